"""The tables of one bridge: their columns, constraints and triggers.

    accounts, entries, postings, entry_resolutions, balances    the ledger; entries never change
    payments, issuances, customers, customer_accounts, quotes   what the bank keeps of its business
    idempotency                                                 answers given, with the request's fingerprint
    effects                                                     what must still be done outside (the outbox)
    transactions                                                signed transactions, kept before they are sent
    checkpoint, chain_events                                    how far the chain has been read, and what it said
    messages, inbox                                             documents; sealed messages ahead of their event

Amounts are integers in minor units, times are UTC seconds, hashes and keys are raw bytes. Columns
that are searched or must be unique stand by themselves; what only travels with a record is in its
JSON `document`.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

FORMAT_VERSION: Final = 1
"""Version of these tables; a database with any other is refused."""

METADATA: Final = MetaData()

_KEY_OF_IMMUTABLE: Final = {
    "entries": "sequence = NEW.sequence OR entry_id = NEW.entry_id",
    "postings": "entry_id = NEW.entry_id AND position = NEW.position",
    "entry_resolutions": "entry_id = NEW.entry_id",
    "chain_events": "block_hash = NEW.block_hash AND log_index = NEW.log_index",
}
"""Tables whose rows are written once, with what makes a new row meet an old one: triggers refuse to
change, delete or replace a row. (SQLite's INSERT OR REPLACE deletes without firing DELETE triggers.)"""


def _key() -> Column[int]:
    return Column("sequence", Integer, primary_key=True, autoincrement=True)


store_format = Table(
    "store_format",
    METADATA,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True),
    Column("version", Integer, nullable=False),
)

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
    _key(),
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

payments = Table(
    "payments",
    METADATA,
    _key(),
    Column("payment_id", Text, nullable=False, unique=True),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_terminal", Boolean, nullable=False),
    Column("client", Text, nullable=False),
    Column("uetr", Text, nullable=False),
    Column("counterparty_lei", Text, nullable=False),
    Column("settlement_id", LargeBinary, nullable=False),
    Column("lapses_after", Integer),
    Column("document", Text, nullable=False),
    UniqueConstraint("direction", "settlement_id"),
    Index("payments_by_client", "client", "sequence"),
    Index("payments_by_uetr", "uetr"),
    Index("payments_open", "is_terminal"),
    Index("payments_lapsing", "lapses_after"),
    sqlite_autoincrement=True,
)
Index(
    "payments_outgoing_uetr",
    payments.c.uetr,
    unique=True,
    sqlite_where=payments.c.direction == "outgoing",
)
Index(
    "payments_incoming_uetr",
    payments.c.uetr,
    payments.c.counterparty_lei,
    unique=True,
    sqlite_where=payments.c.direction == "incoming",
)

issuances = Table(
    "issuances",
    METADATA,
    _key(),
    Column("reference", LargeBinary, nullable=False, unique=True),
    Column("participant_lei", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Integer, CheckConstraint("amount > 0"), nullable=False),
    Column("account_reference", LargeBinary, nullable=False),
    Column("account_address", LargeBinary, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("entry_id", Text),
    Column("reason", Text),
    Column("transaction_hash", LargeBinary),
    sqlite_autoincrement=True,
)

customers = Table(
    "customers",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("document", Text, nullable=False),
)

customer_accounts = Table(
    "customer_accounts",
    METADATA,
    Column("account_id", ForeignKey("accounts.account_id"), primary_key=True),
    Column("customer_id", ForeignKey("customers.customer_id"), nullable=False),
    Column("scheme", Text, nullable=False),
    Column("identification", Text, nullable=False, unique=True),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Index("customer_accounts_by_customer", "customer_id"),
)

quotes = Table(
    "quotes",
    METADATA,
    _key(),
    Column("quote_hash", LargeBinary, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("settlement_id", LargeBinary),
    Column("document", Text, nullable=False),
    Index("quotes_by_state", "state"),
    Index("quotes_by_settlement", "settlement_id"),
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    METADATA,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

effects = Table(
    "effects",
    METADATA,
    Column("effect_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("payment_id", Text),
    Column("state", Text, nullable=False),
    Column("due_at", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", Text),
    Column("error", Text),
    CheckConstraint("state in ('waiting', 'claimed', 'done', 'dead')"),
    Index("effects_by_due", "state", "due_at", "effect_id"),
    sqlite_autoincrement=True,
)

transactions = Table(
    "transactions",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("sender", LargeBinary, nullable=False),
    Column("nonce", Integer, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("purpose", Text, nullable=False, unique=True),
    Column("payment_id", Text),
    Column("created_at", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("block_number", Integer),
    UniqueConstraint("sender", "nonce"),
    Index("transactions_by_state", "state", "nonce"),
)

checkpoint = Table(
    "checkpoint",
    METADATA,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

chain_events = Table(
    "chain_events",
    METADATA,
    Column("block_hash", LargeBinary, primary_key=True),
    Column("log_index", Integer, primary_key=True),
    Column("block_number", Integer, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("chain_events_by_block", "block_number", "log_index"),
)

messages = Table(
    "messages",
    METADATA,
    _key(),
    Column("message_id", Text, nullable=False, unique=True),
    Column("direction", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("payment_id", Text),
    Column("peer", Text),
    Column("salt", LargeBinary),
    Column("created_at", Integer, nullable=False),
    Index("messages_by_payment", "payment_id"),
    sqlite_autoincrement=True,
)

inbox = Table(
    "inbox",
    METADATA,
    Column("settlement_id", LargeBinary, primary_key=True),
    Column("sender_lei", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("is_taken", Boolean, nullable=False),
)


def _refuse(table: str, verb: str, condition: str) -> None:
    statement = (
        f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are immutable'); END"
    )

    @event.listens_for(METADATA.tables[table], "after_create")
    def create(_: Table, connection: Connection, **__: object) -> None:
        connection.exec_driver_sql(statement)


for _table, _same in _KEY_OF_IMMUTABLE.items():
    _refuse(_table, "UPDATE", "")
    _refuse(_table, "DELETE", "")
    _refuse(_table, "INSERT", f"WHEN EXISTS (SELECT 1 FROM {_table} WHERE {_same})")  # noqa: S608
