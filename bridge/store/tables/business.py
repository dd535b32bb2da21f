"""What the bank keeps of its business: payments, issuances, customers, quotes."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.store.tables.foundation import METADATA, WHOLE, key_column

payments = Table(
    "payments",
    METADATA,
    key_column(),
    Column("payment_id", Text, nullable=False, unique=True),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_terminal", Boolean, nullable=False),
    Column("client", Text, nullable=False),
    Column("uetr", Text, nullable=False),
    Column("counterparty_lei", Text, nullable=False),
    Column("settlement_id", LargeBinary, nullable=False),
    Column("lapses_after", WHOLE),
    Column("ends_by", WHOLE),
    Column("is_return", Boolean, nullable=False),
    Column("return_of", Text),
    Column("document", Text, nullable=False),
    UniqueConstraint("direction", "settlement_id"),
    Index("payments_by_client", "client", "sequence"),
    Index("payments_by_uetr", "uetr"),
    Index("payments_open", "is_terminal"),
    Index("payments_lapsing", "lapses_after"),
    Index("payments_ending", "ends_by"),
    Index("payments_returning", "return_of"),
    sqlite_autoincrement=True,
)
Index(
    "payments_outgoing_uetr",
    payments.c.uetr,
    unique=True,
    sqlite_where=(payments.c.direction == "outgoing") & payments.c.is_return.is_(False),
    postgresql_where=(payments.c.direction == "outgoing") & payments.c.is_return.is_(False),
)
Index(
    "payments_incoming_uetr",
    payments.c.uetr,
    payments.c.counterparty_lei,
    unique=True,
    sqlite_where=(payments.c.direction == "incoming") & payments.c.is_return.is_(False),
    postgresql_where=(payments.c.direction == "incoming") & payments.c.is_return.is_(False),
)

issuances = Table(
    "issuances",
    METADATA,
    key_column(),
    Column("reference", LargeBinary, nullable=False, unique=True),
    Column("participant_lei", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("account_reference", LargeBinary, nullable=False),
    Column("account_address", LargeBinary, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("entry_id", Text),
    Column("reason", Text),
    Column("transaction_hash", LargeBinary),
    Index("issuances_by_state", "state", "currency"),
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
    key_column(),
    Column("quote_hash", LargeBinary, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("settlement_id", LargeBinary),
    Column("document", Text, nullable=False),
    Index("quotes_by_state", "state"),
    Index("quotes_by_settlement", "settlement_id"),
    sqlite_autoincrement=True,
)
