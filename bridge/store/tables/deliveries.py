"""Messages to other institutions until they are taken; which of theirs were taken here."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column

deliveries = Table(
    "deliveries",
    METADATA,
    key_column(),
    Column("message_id", Text, nullable=False, unique=True),
    Column("peer_lei", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("position", WHOLE, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payment_id", Text),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", WHOLE, nullable=False),
    Column("due_at", WHOLE, nullable=False),
    Column("persists_until", WHOLE, nullable=False),
    Column("attempts", WHOLE, nullable=False),
    Column("failures", WHOLE, nullable=False),
    Column("owner", Text),
    Column("error", Text),
    CheckConstraint(
        is_one_of("state", "waiting", "claimed", "taken", "refused", "needless", "dead")
    ),
    UniqueConstraint("peer_lei", "stream", "position"),
    Index("deliveries_by_due", "state", "due_at"),
    Index("deliveries_by_peer", "peer_lei", "state"),
    Index("deliveries_by_payment", "payment_id"),
    sqlite_autoincrement=True,
)

receipts = Table(
    "receipts",
    METADATA,
    Column("sender_lei", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("received_at", WHOLE, nullable=False),
)
