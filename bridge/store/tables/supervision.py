"""Sealed copies of payment messages: which the chain announced, which have come."""

from sqlalchemy import Column, LargeBinary, Table, Text

from bridge.store.tables.foundation import METADATA, WHOLE, key_column

supervisor_copies = Table(
    "supervisor_copies",
    METADATA,
    key_column(),
    Column("settlement_id", LargeBinary, nullable=False, unique=True),
    Column("sender_lei", Text, nullable=False),
    Column("copy_hash", LargeBinary, nullable=False),
    Column("message_commitment", LargeBinary, nullable=False),
    Column("announced_at", WHOLE, nullable=False),
    Column("copy", LargeBinary),
    Column("received_at", WHOLE),
    Column("finding", Text),
    sqlite_autoincrement=True,
)
