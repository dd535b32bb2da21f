"""The audit log; its records never change."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table, Text

from bridge.store.tables.foundation import METADATA, WHOLE, make_immutable

audit_records = Table(
    "audit_records",
    METADATA,
    Column("sequence", WHOLE, primary_key=True, autoincrement=False),
    Column("at", WHOLE, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", LargeBinary, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    CheckConstraint("sequence > 0", "audit_records_sequence"),
    Index("audit_records_by_action", "action", "sequence"),
)

make_immutable(
    audit_records, "sequence >= NEW.sequence OR previous = NEW.previous OR hash = NEW.hash"
)
