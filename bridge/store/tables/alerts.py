"""What was found stuck, and since when: one row for each thing, raised or cleared."""

from sqlalchemy import Boolean, Column, Index, Table, Text, UniqueConstraint

from bridge.store.tables.foundation import METADATA, WHOLE, key_column

alerts = Table(
    "alerts",
    METADATA,
    key_column(),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payment_id", Text),
    Column("since", WHOLE, nullable=False),
    Column("raised_at", WHOLE, nullable=False),
    Column("seen_at", WHOLE, nullable=False),
    Column("cleared_at", WHOLE),
    Column("is_raised", Boolean, nullable=False),
    UniqueConstraint("kind", "subject"),
    Index("alerts_raised", "is_raised", "sequence"),
    sqlite_autoincrement=True,
)
