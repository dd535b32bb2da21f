"""Money that came for an account that could not be credited, one item per payment."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column

suspense_items = Table(
    "suspense_items",
    METADATA,
    key_column(),
    Column("payment_id", Text, nullable=False, unique=True),
    Column("account_id", Text, nullable=False),
    Column("intended_account_id", Text),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", WHOLE, nullable=False),
    Column("resolved_at", WHOLE),
    Column("resolved_by", Text),
    CheckConstraint(
        is_one_of("state", "open", "returning", "returned", "credited"), "suspense_items_state"
    ),
    Index("suspense_items_by_state", "state", "sequence"),
    sqlite_autoincrement=True,
)
