"""The ledger: accounts and their balances; entries, postings and resolutions, which never change."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from bridge.store.tables.foundation import METADATA, key_column, make_immutable

accounts = Table(
    "accounts",
    METADATA,
    Column("account_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("account_type", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("may_overdraw", Boolean, nullable=False),
    Column("owner", Text),
    Column("unit", Text),
    Index("accounts_by_owner", "owner"),
)

balances = Table(
    "balances",
    METADATA,
    Column("account_id", ForeignKey("accounts.account_id"), primary_key=True),
    Column("pending_debits", Integer, CheckConstraint("pending_debits >= 0"), nullable=False),
    Column("pending_credits", Integer, CheckConstraint("pending_credits >= 0"), nullable=False),
    Column("posted_debits", Integer, CheckConstraint("posted_debits >= 0"), nullable=False),
    Column("posted_credits", Integer, CheckConstraint("posted_credits >= 0"), nullable=False),
)

entries = Table(
    "entries",
    METADATA,
    key_column(),
    Column("entry_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("payment_id", Text),
    Column("booked_at", Integer, nullable=False),
    sqlite_autoincrement=True,
)

postings = Table(
    "postings",
    METADATA,
    Column("entry_id", ForeignKey("entries.entry_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.account_id"), nullable=False),
    Column("side", Text, CheckConstraint("side in ('debit', 'credit')"), nullable=False),
    Column("amount", Integer, CheckConstraint("amount > 0"), nullable=False),
    Index("postings_by_account", "account_id"),
)

entry_resolutions = Table(
    "entry_resolutions",
    METADATA,
    Column("entry_id", ForeignKey("entries.entry_id"), primary_key=True),
    Column("resolution", Text, nullable=False),
    Column("resolved_at", Integer, nullable=False),
    CheckConstraint("resolution in ('posted', 'voided')"),
)

make_immutable(entries, "sequence = NEW.sequence OR entry_id = NEW.entry_id")
make_immutable(postings, "entry_id = NEW.entry_id AND position = NEW.position")
make_immutable(entry_resolutions, "entry_id = NEW.entry_id")
