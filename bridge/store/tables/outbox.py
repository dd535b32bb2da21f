"""Answers given, with the request they answer; effects that must still be done outside."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from bridge.store.tables.foundation import METADATA

idempotency = Table(
    "idempotency",
    METADATA,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

effects = Table(
    "effects",
    METADATA,
    Column("effect_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("payment_id", Text),
    Column("state", Text, nullable=False),
    Column("due_at", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", Text),
    Column("error", Text),
    CheckConstraint("state in ('waiting', 'claimed', 'done', 'dead')"),
    Index("effects_by_due", "state", "due_at", "effect_id"),
    sqlite_autoincrement=True,
)
