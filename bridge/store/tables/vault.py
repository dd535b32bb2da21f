"""The keys of documents at rest, wrapped; one that was destroyed leaves its row."""

from sqlalchemy import CheckConstraint, Column, LargeBinary, Table, Text

from bridge.store.tables.foundation import METADATA, WHOLE

message_keys = Table(
    "message_keys",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("wrapped", LargeBinary),
    Column("destroyed_at", WHOLE),
    CheckConstraint("(wrapped is null) = (destroyed_at is not null)"),
)
