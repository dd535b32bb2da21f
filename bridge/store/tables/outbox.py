"""Answers given, with the request they answer; effects that must still be done outside."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
)

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of

idempotency = Table(
    "idempotency",
    METADATA,
    Column("client", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", WHOLE, nullable=False),
    Column("body", Text, nullable=False),
)

effects = Table(
    "effects",
    METADATA,
    Column("effect_id", WHOLE, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("payload", Text, nullable=False),
    Column("payment_id", Text),
    Column("state", Text, nullable=False),
    Column("due_at", WHOLE, nullable=False),
    Column("attempts", WHOLE, nullable=False),
    Column("owner", Text),
    Column("error", Text),
    Column("retried_since", WHOLE),
    CheckConstraint(is_one_of("state", "waiting", "claimed", "done", "dead")),
    Index("effects_by_due", "state", "due_at", "effect_id"),
    sqlite_autoincrement=True,
)
