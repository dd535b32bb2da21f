"""Prices, standing orders, deliveries, retail CBDC, keys of messages, the audit log.

What was kept of messages until now is marked as kept in clear.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from bridge.store.tables.foundation import WHOLE

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    op.create_table(
        "audit_records",
        sa.Column("sequence", WHOLE, autoincrement=False, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("sequence > 0", name="audit_records_sequence"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("previous"),
    )
    with op.batch_alter_table("audit_records", schema=None) as batch_op:
        batch_op.create_index("audit_records_by_action", ["action", "sequence"], unique=False)

    op.create_table(
        "deliveries",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("peer_lei", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("due_at", WHOLE, nullable=False),
        sa.Column("persists_until", WHOLE, nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.Column("failures", WHOLE, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'claimed', 'taken', 'refused', 'needless', 'dead')"
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("message_id"),
        sa.UniqueConstraint("peer_lei", "stream", "position"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index("deliveries_by_due", ["state", "due_at"], unique=False)
        batch_op.create_index("deliveries_by_payment", ["payment_id"], unique=False)
        batch_op.create_index("deliveries_by_peer", ["peer_lei", "state"], unique=False)

    op.create_table(
        "message_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("destroyed_at", WHOLE, nullable=True),
        sa.CheckConstraint("(wrapped is null) = (destroyed_at is not null)"),
        sa.PrimaryKeyConstraint("scope"),
    )
    op.create_table(
        "quotations",
        sa.Column("quotation_id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("valid_until", WHOLE, nullable=False),
        sa.Column("value_date", sa.Date(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("creditor_charge", WHOLE, nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.CheckConstraint("creditor_charge >= 0"),
        sa.PrimaryKeyConstraint("quotation_id"),
        sa.UniqueConstraint("payment_id"),
    )
    with op.batch_alter_table("quotations", schema=None) as batch_op:
        batch_op.create_index("quotations_by_client", ["client", "valid_until"], unique=False)

    op.create_table(
        "receipts",
        sa.Column("sender_lei", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("sender_lei", "message_id"),
    )
    op.create_table(
        "retail_credits",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("sender_lei", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("wallet_id", sa.Text(), nullable=True),
        sa.Column("taken_at", WHOLE, nullable=False),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("currency", "position"),
        sa.UniqueConstraint("reference"),
    )
    op.create_table(
        "retail_deliveries",
        sa.Column("receiver_lei", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("receiver_lei"),
    )
    op.create_table(
        "retail_orders",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("receiver_lei", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.CheckConstraint("direction in ('issue', 'redeem', 'transfer')"),
        sa.CheckConstraint("state in ('ordered', 'taken', 'refused')"),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("reference"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "retail_payments",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("wallet_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("payee_lei", sa.Text(), nullable=False),
        sa.Column("payee_wallet", sa.Text(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("deadline", WHOLE, nullable=True),
        sa.Column("releaser", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.Text(), nullable=True),
        sa.Column("reference", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("tries", WHOLE, nullable=False),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("payment_id"),
        sa.UniqueConstraint("reference"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("retail_payments", schema=None) as batch_op:
        batch_op.create_index("retail_payments_by_client", ["client", "sequence"], unique=False)

    op.create_table(
        "retail_register",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("sender_lei", sa.Text(), nullable=False),
        sa.Column("receiver_lei", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=True),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("taken_at", WHOLE, nullable=False),
        sa.CheckConstraint("direction in ('issue', 'redeem', 'transfer')"),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("receiver_lei", "position"),
        sa.UniqueConstraint("reference"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "retail_reports",
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("day", WHOLE, nullable=False),
        sa.Column("in_custody", WHOLE, nullable=False),
        sa.Column("tiers", sa.Text(), nullable=False),
        sa.Column("taken_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("lei", "day"),
    )
    op.create_table(
        "standing_orders",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("instruction", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("state in ('active', 'completed', 'cancelled')"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("order_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("standing_orders", schema=None) as batch_op:
        batch_op.create_index("standing_orders_by_client", ["client", "sequence"], unique=False)

    op.create_table(
        "supervisor_copies",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("settlement_id", sa.LargeBinary(), nullable=False),
        sa.Column("sender_lei", sa.Text(), nullable=False),
        sa.Column("copy_hash", sa.LargeBinary(), nullable=False),
        sa.Column("message_commitment", sa.LargeBinary(), nullable=False),
        sa.Column("announced_at", WHOLE, nullable=False),
        sa.Column("copy", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", WHOLE, nullable=True),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("settlement_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "voucher_conflicts",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("culprit", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=False),
        sa.Column("found_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("second"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("voucher_conflicts", schema=None) as batch_op:
        batch_op.create_index("voucher_conflicts_by_culprit", ["culprit"], unique=False)

    op.create_table(
        "standing_order_occurrences",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("execution_date", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(state = 'executed') = (payment_id is not null)"),
        sa.CheckConstraint("state in ('due', 'executed', 'missed', 'cancelled')"),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["standing_orders.order_id"],
        ),
        sa.PrimaryKeyConstraint("order_id", "due_date"),
        sa.UniqueConstraint("payment_id"),
    )
    op.create_table(
        "wallets",
        sa.Column("wallet_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("identification", sa.Text(), nullable=False),
        sa.Column("linked_account", sa.Text(), nullable=True),
        sa.Column("opened_at", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.customer_id"],
        ),
        sa.ForeignKeyConstraint(
            ["linked_account"],
            ["accounts.account_id"],
        ),
        sa.PrimaryKeyConstraint("wallet_id"),
        sa.UniqueConstraint("customer_id", "currency"),
    )
    op.create_table(
        "devices",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("wallet_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("loaded", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Column("registered_at", WHOLE, nullable=False),
        sa.CheckConstraint("status in ('active', 'blocked')"),
        sa.CheckConstraint("loaded >= 0"),
        sa.ForeignKeyConstraint(
            ["wallet_id"],
            ["wallets.wallet_id"],
        ),
        sa.PrimaryKeyConstraint("device"),
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index("devices_by_wallet", ["wallet_id"], unique=False)

    op.create_table(
        "vouchers",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("counter", WHOLE, nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("presentation", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("taken_at", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(
            ["device"],
            ["devices.device"],
        ),
        sa.PrimaryKeyConstraint("device", "counter"),
        sa.UniqueConstraint("device", "serial"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("copy", sa.LargeBinary(), nullable=True))

    _mark_clear("messages", "message_id", ("document", "salt"))
    _mark_clear("inbox", "settlement_id", ("document", "salt"))


_CLEAR: Final = b"\x00"


def _mark_clear(table: str, key: str, columns: tuple[str, ...]) -> None:
    connection = op.get_bind()
    rows = sa.table(table, sa.column(key), *(sa.column(name) for name in columns))
    for row in connection.execute(sa.select(rows)).mappings().all():
        values = {name: None if row[name] is None else _CLEAR + row[name] for name in columns}
        change = sa.update(rows).where(rows.c[key] == row[key]).values(**values)
        connection.execute(change)
