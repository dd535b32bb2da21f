"""Which process may do what only one may: the newest lease of each name."""

from sqlalchemy import Column, Table, Text

from bridge.store.tables.foundation import METADATA, WHOLE

leases = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("epoch", WHOLE, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
)
