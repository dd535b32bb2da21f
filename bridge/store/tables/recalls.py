"""Settled payments that are asked back: what was asked of others, and what others asked."""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, UniqueConstraint

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column

recalls = Table(
    "recalls",
    METADATA,
    key_column(),
    Column("payment_id", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("peer_lei", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rejection", Text),
    Column("return_payment_id", Text),
    Column("asked_at", WHOLE, nullable=False),
    Column("answer_by", WHOLE, nullable=False),
    Column("answered_at", WHOLE),
    CheckConstraint(is_one_of("direction", "outgoing", "incoming"), "recalls_direction"),
    CheckConstraint(is_one_of("state", "asked", "granted", "rejected", "closed"), "recalls_state"),
    UniqueConstraint("payment_id", "direction"),
    Index("recalls_by_state", "state", "answer_by"),
    sqlite_autoincrement=True,
)
