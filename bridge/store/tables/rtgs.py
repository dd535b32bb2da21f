"""A central bank's RTGS accounts, the transfers between them, and the business day that is open.

A bank keeps the transfers that it ordered in the same table.
"""

from sqlalchemy import CheckConstraint, Column, Index, Table, Text, UniqueConstraint

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column

rtgs_accounts = Table(
    "rtgs_accounts",
    METADATA,
    Column("lei", Text, primary_key=True),
    Column("currency", Text, nullable=False),
    Column("credit_line", WHOLE, CheckConstraint("credit_line >= 0"), nullable=False),
    Column(
        "reserve_requirement",
        WHOLE,
        CheckConstraint("reserve_requirement >= 0"),
        nullable=False,
    ),
    Column("transfer_max", WHOLE),
    Column("day_max", WHOLE),
)

rtgs_transfers = Table(
    "rtgs_transfers",
    METADATA,
    key_column(),
    Column("transfer_id", Text, nullable=False),
    Column("ordered_by", Text, nullable=False),
    Column("reference", Text, nullable=False, unique=True),
    Column("debtor_lei", Text, nullable=False),
    Column("creditor_lei", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", WHOLE, CheckConstraint("amount > 0"), nullable=False),
    Column("priority", Text, nullable=False),
    Column("end_to_end_id", Text, nullable=False),
    Column("entered_at", WHOLE, nullable=False),
    Column("business_day", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ended_at", WHOLE),
    Column("reason", Text),
    UniqueConstraint("ordered_by", "transfer_id"),
    CheckConstraint("debtor_lei <> creditor_lei", "rtgs_transfers_parties"),
    CheckConstraint(
        is_one_of("state", "queued", "settled", "cancelled", "expired"), "rtgs_transfers_state"
    ),
    CheckConstraint("(state = 'queued') = (ended_at is null)", "rtgs_transfers_ended"),
    Index("rtgs_transfers_waiting", "debtor_lei", "state", "priority", "sequence"),
    Index("rtgs_transfers_by_day", "debtor_lei", "business_day"),
    sqlite_autoincrement=True,
)

business_days = Table(
    "business_days",
    METADATA,
    Column("currency", Text, primary_key=True),
    Column("day", Text, nullable=False),
)
