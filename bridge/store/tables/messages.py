"""Documents as they travelled; sealed messages ahead of their event."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
)

from bridge.store.tables.foundation import METADATA, WHOLE, key_column

messages = Table(
    "messages",
    METADATA,
    key_column(),
    Column("message_id", Text, nullable=False, unique=True),
    Column("direction", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("payment_id", Text),
    Column("peer", Text),
    Column("salt", LargeBinary),
    Column("created_at", WHOLE, nullable=False),
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
    Column("copy", LargeBinary),
    Column("received_at", WHOLE, nullable=False),
    Column("is_taken", Boolean, nullable=False),
)
for _name, _column in (("inbox_waiting", "sender_lei"), ("inbox_waiting_since", "received_at")):
    Index(
        _name,
        inbox.c[_column],
        sqlite_where=inbox.c.is_taken.is_(False),
        postgresql_where=inbox.c.is_taken.is_(False),
    )
