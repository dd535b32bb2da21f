"""What is compared, item by item, and what was found not to agree.

payment_legs          who pays whom in each payment the chain has, for when it settles
token_flows           tokens in and out of a participant's account, as final events say; never change
token_positions       what the flows of a participant add up to
statement_lines       numbered movements of an account at the central bank; never change
statements            spans of lines between an opening and a closing balance; never change
feeds, awaited        how far each side has been read, and which pending entries are waited for
reconciliation_items  one side's item, until it is matched or explained
breaks, break_reports what does not agree here, and what others say does not agree there
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column, make_immutable

payment_legs = Table(
    "payment_legs",
    METADATA,
    Column("payment_id", LargeBinary, primary_key=True),
    Column("position", WHOLE, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("from_reference", LargeBinary, nullable=False),
    Column("to_reference", LargeBinary, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
)

token_flows = Table(
    "token_flows",
    METADATA,
    key_column(),
    Column("currency", Text, nullable=False),
    Column("lei", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount <> 0"), nullable=False),
    Column("balance", WHOLE, nullable=False),
    Column("block_number", WHOLE, nullable=False),
    Column("log_index", WHOLE, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("at", WHOLE, nullable=False),
    UniqueConstraint("block_number", "log_index", "lei", "currency", "kind"),
    CheckConstraint(is_one_of("kind", "issue", "redeem", "payment", "other"), "token_flows_kind"),
    Index("token_flows_by_holder", "lei", "currency", "sequence"),
    sqlite_autoincrement=True,
)

make_immutable(
    token_flows,
    "sequence = NEW.sequence OR (block_number = NEW.block_number AND log_index = NEW.log_index "
    "AND lei = NEW.lei AND currency = NEW.currency AND kind = NEW.kind)",
)

token_positions = Table(
    "token_positions",
    METADATA,
    Column("lei", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("amount", WHOLE, nullable=False),
)

statement_lines = Table(
    "statement_lines",
    METADATA,
    key_column(),
    Column("scope", Text, nullable=False),
    Column("lei", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("number", WHOLE, CheckConstraint("number > 0"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount <> 0"), nullable=False),
    Column("balance", WHOLE, nullable=False),
    Column("at", WHOLE, nullable=False),
    UniqueConstraint("scope", "lei", "currency", "number"),
    CheckConstraint(is_one_of("scope", "tokens", "reserves"), "statement_lines_scope"),
    sqlite_autoincrement=True,
)

make_immutable(
    statement_lines,
    "sequence = NEW.sequence OR (scope = NEW.scope AND lei = NEW.lei "
    "AND currency = NEW.currency AND number = NEW.number)",
)

statements = Table(
    "statements",
    METADATA,
    key_column(),
    Column("statement_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("lei", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("number", WHOLE, nullable=False),
    Column("first_line", WHOLE, nullable=False),
    Column("last_line", WHOLE, nullable=False),
    Column("opening", WHOLE, nullable=False),
    Column("closing", WHOLE, nullable=False),
    Column("period_start", WHOLE, nullable=False),
    Column("period_end", WHOLE, nullable=False),
    Column("block", WHOLE, nullable=False),
    UniqueConstraint("kind", "scope", "lei", "currency", "number", "first_line"),
    CheckConstraint(is_one_of("kind", "statement", "intraday"), "statements_kind"),
    CheckConstraint("last_line >= first_line - 1", "statements_span"),
    sqlite_autoincrement=True,
)

make_immutable(statements, "sequence = NEW.sequence OR statement_id = NEW.statement_id")

feeds = Table(
    "feeds",
    METADATA,
    Column("feed", Text, primary_key=True),
    Column("position", WHOLE, nullable=False),
)

awaited = Table(
    "awaited",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("entry_id", Text, primary_key=True),
    Column("key", Text, nullable=False),
)

reconciliation_items = Table(
    "reconciliation_items",
    METADATA,
    key_column(),
    Column("scope", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("amount", WHOLE, nullable=False),
    Column("at", WHOLE, nullable=False),
    Column("block", WHOLE, nullable=False),
    Column("state", Text, nullable=False),
    UniqueConstraint("scope", "currency", "side", "item_id"),
    CheckConstraint(is_one_of("side", "ledger", "chain", "statement"), "reconciliation_items_side"),
    CheckConstraint(
        is_one_of("state", "open", "matched", "explained"), "reconciliation_items_state"
    ),
    Index("reconciliation_items_by_key", "scope", "currency", "state", "key"),
    sqlite_autoincrement=True,
)

breaks = Table(
    "breaks",
    METADATA,
    key_column(),
    Column("break_id", Text, nullable=False, unique=True),
    Column("break_type", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("opened_at", WHOLE, nullable=False),
    Column("block", WHOLE, nullable=False),
    Column("note", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("owner", Text),
    Column("closed_at", WHOLE),
    Column("explanation", Text),
    Column("entry_id", Text),
    CheckConstraint(is_one_of("state", "open", "resolved", "agreed"), "breaks_state"),
    CheckConstraint("(state = 'open') = (closed_at is null)", "breaks_closed"),
    CheckConstraint("state <> 'resolved' or explanation is not null", "breaks_explained"),
    Index("breaks_by_state", "state", "currency"),
    Index("breaks_by_subject", "scope", "currency", "subject"),
    sqlite_autoincrement=True,
)

break_reports = Table(
    "break_reports",
    METADATA,
    Column("lei", Text, primary_key=True),
    Column("break_id", Text, primary_key=True),
    Column("break_type", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, nullable=False),
    Column("opened_at", WHOLE, nullable=False),
    Column("state", Text, nullable=False),
)
