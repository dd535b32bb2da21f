"""What customers were quoted, and what they ordered for later days."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
)

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column

quotations = Table(
    "quotations",
    METADATA,
    Column("quotation_id", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("valid_until", WHOLE, nullable=False),
    Column("value_date", Date, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("price", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("creditor_charge", WHOLE, CheckConstraint("creditor_charge >= 0"), nullable=False),
    Column("payment_id", Text, unique=True),
    Index("quotations_by_client", "client", "valid_until"),
)

standing_orders = Table(
    "standing_orders",
    METADATA,
    key_column(),
    Column("order_id", Text, nullable=False, unique=True),
    Column("client", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("instruction", LargeBinary, nullable=False),
    CheckConstraint(is_one_of("state", "active", "completed", "cancelled")),
    Index("standing_orders_by_client", "client", "sequence"),
    sqlite_autoincrement=True,
)

occurrences = Table(
    "standing_order_occurrences",
    METADATA,
    Column("order_id", ForeignKey("standing_orders.order_id"), primary_key=True),
    Column("due_date", Date, primary_key=True),
    Column("number", WHOLE, nullable=False),
    Column("execution_date", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("payment_id", Text, unique=True),
    Column("reason", Text),
    Column("code", Text),
    Column("report", LargeBinary),
    CheckConstraint(is_one_of("state", "due", "executed", "missed", "cancelled")),
    CheckConstraint("(state = 'executed') = (payment_id is not null)"),
)
