"""Signed transactions, kept before they are sent; how far the chain has been read, and what it said."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Table,
    Text,
)

from bridge.store.tables.foundation import METADATA, WHOLE, make_immutable

transactions = Table(
    "transactions",
    METADATA,
    Column("hash", LargeBinary, primary_key=True),
    Column("sender", LargeBinary, nullable=False),
    Column("nonce", WHOLE, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("purpose", Text, nullable=False, unique=True),
    Column("payment_id", Text),
    Column("created_at", WHOLE, nullable=False),
    Column("state", Text, nullable=False),
    Column("block_number", WHOLE),
    Column("replaces", LargeBinary, unique=True),
    Index("transactions_by_state", "state", "nonce"),
)

Index(
    "transactions_by_nonce",
    transactions.c.sender,
    transactions.c.nonce,
    unique=True,
    sqlite_where=transactions.c.replaces.is_(None),
    postgresql_where=transactions.c.replaces.is_(None),
)

checkpoint = Table(
    "checkpoint",
    METADATA,
    Column("one", WHOLE, CheckConstraint("one = 1"), primary_key=True, autoincrement=False),
    Column("number", WHOLE, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

chain_events = Table(
    "chain_events",
    METADATA,
    Column("block_hash", LargeBinary, primary_key=True),
    Column("log_index", WHOLE, primary_key=True),
    Column("block_number", WHOLE, nullable=False),
    Column("transaction_hash", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("chain_events_by_block", "block_number", "log_index"),
)

make_immutable(chain_events, "block_hash = NEW.block_hash AND log_index = NEW.log_index")
