"""Offline retail CBDC: devices, the vouchers paid, and evidence of what was spent twice."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.store.tables.foundation import METADATA, WHOLE, is_one_of, key_column, make_immutable

devices = Table(
    "devices",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("wallet_id", ForeignKey("wallets.wallet_id"), nullable=False),
    Column("status", Text, nullable=False),
    Column("loaded", WHOLE, CheckConstraint("loaded >= 0"), nullable=False),
    Column("expires_at", WHOLE, nullable=False),
    Column("registered_at", WHOLE, nullable=False),
    CheckConstraint(is_one_of("status", "active", "blocked")),
    Index("devices_by_wallet", "wallet_id"),
)

vouchers = Table(
    "vouchers",
    METADATA,
    Column("device", ForeignKey("devices.device"), primary_key=True),
    Column("counter", WHOLE, primary_key=True),
    Column("serial", Text, nullable=False),
    Column("presentation", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("taken_at", WHOLE, nullable=False),
    UniqueConstraint("device", "serial"),
)

voucher_conflicts = Table(
    "voucher_conflicts",
    METADATA,
    key_column(),
    Column("culprit", Text, nullable=False),
    Column("first", Text, nullable=False),
    Column("second", Text, nullable=False, unique=True),
    Column("found_at", WHOLE, nullable=False),
    Index("voucher_conflicts_by_culprit", "culprit"),
    sqlite_autoincrement=True,
)

make_immutable(
    vouchers,
    "device = NEW.device AND (counter = NEW.counter OR serial = NEW.serial)",
)
make_immutable(voucher_conflicts, "sequence = NEW.sequence OR second = NEW.second")
