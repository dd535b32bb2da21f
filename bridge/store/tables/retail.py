"""Retail CBDC: at a bank wallets, payments, orders and credits; at the central bank its register."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column, make_immutable

wallets = Table(
    "wallets",
    METADATA,
    Column("wallet_id", Text, primary_key=True),
    Column("customer_id", ForeignKey("customers.customer_id"), nullable=False),
    Column("currency", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("identification", Text, nullable=False),
    Column("linked_account", ForeignKey("accounts.account_id")),
    Column("opened_at", WHOLE, nullable=False),
    UniqueConstraint("customer_id", "currency"),
)

retail_payments = Table(
    "retail_payments",
    METADATA,
    key_column(),
    Column("payment_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("wallet_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("payee_lei", Text, nullable=False),
    Column("payee_wallet", Text, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("deadline", WHOLE),
    Column("releaser", Text),
    Column("device", Text),
    Column("entry_id", Text),
    Column("reference", LargeBinary, unique=True),
    Column("reason", Text),
    Column("tries", WHOLE, nullable=False),
    Index("retail_payments_by_client", "client", "sequence"),
    sqlite_autoincrement=True,
)

retail_orders = Table(
    "retail_orders",
    METADATA,
    key_column(),
    Column("reference", LargeBinary, nullable=False, unique=True),
    Column("direction", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("receiver_lei", Text),
    Column("details", Text),
    Column("sealed", Text),
    Column("payment_id", Text),
    Column("entry_id", Text, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    CheckConstraint(is_one_of("direction", "issue", "redeem", "transfer")),
    CheckConstraint(is_one_of("state", "ordered", "taken", "refused")),
    Index("retail_orders_by_state", "state", "direction"),
    sqlite_autoincrement=True,
)

retail_credits = Table(
    "retail_credits",
    METADATA,
    Column("currency", Text, primary_key=True),
    Column("position", WHOLE, primary_key=True),
    Column("reference", LargeBinary, nullable=False, unique=True),
    Column("sender_lei", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("wallet_id", Text),
    Column("taken_at", WHOLE, nullable=False),
)

retail_register = Table(
    "retail_register",
    METADATA,
    key_column(),
    Column("reference", LargeBinary, nullable=False, unique=True),
    Column("direction", Text, nullable=False),
    Column("sender_lei", Text, nullable=False),
    Column("receiver_lei", Text),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("position", WHOLE),
    Column("sealed", Text),
    Column("taken_at", WHOLE, nullable=False),
    UniqueConstraint("receiver_lei", "position"),
    CheckConstraint(is_one_of("direction", "issue", "redeem", "transfer")),
    sqlite_autoincrement=True,
)

retail_deliveries = Table(
    "retail_deliveries",
    METADATA,
    Column("receiver_lei", Text, primary_key=True),
    Column("position", WHOLE, nullable=False),
)

retail_reports = Table(
    "retail_reports",
    METADATA,
    Column("lei", Text, primary_key=True),
    Column("day", WHOLE, primary_key=True),
    Column("in_custody", WHOLE, nullable=False),
    Column("tiers", Text, nullable=False),
    Column("taken_at", WHOLE, nullable=False),
)

make_immutable(
    retail_credits,
    "reference = NEW.reference OR (currency = NEW.currency AND position = NEW.position)",
)
make_immutable(retail_register, "sequence = NEW.sequence OR reference = NEW.reference")
