"""RTGS accounts and transfers, statements, what is compared item by item, breaks."""

import sqlalchemy as sa
from alembic import op

from bridge.store.tables.foundation import WHOLE

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    op.create_table(
        "awaited",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "entry_id"),
    )
    op.create_table(
        "break_reports",
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("break_id", sa.Text(), nullable=False),
        sa.Column("break_type", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("opened_at", WHOLE, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lei", "break_id"),
    )
    op.create_table(
        "breaks",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("break_id", sa.Text(), nullable=False),
        sa.Column("break_type", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("opened_at", WHOLE, nullable=False),
        sa.Column("block", WHOLE, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("closed_at", WHOLE, nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at is null)", name="breaks_closed"),
        sa.CheckConstraint(
            "state <> 'resolved' or explanation is not null", name="breaks_explained"
        ),
        sa.CheckConstraint("state in ('open', 'resolved', 'agreed')", name="breaks_state"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("break_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("breaks", schema=None) as batch_op:
        batch_op.create_index("breaks_by_state", ["state", "currency"], unique=False)
        batch_op.create_index("breaks_by_subject", ["scope", "currency", "subject"], unique=False)

    op.create_table(
        "business_days",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("currency"),
    )
    op.create_table(
        "feeds",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("feed"),
    )
    op.create_table(
        "payment_legs",
        sa.Column("payment_id", sa.LargeBinary(), nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("from_reference", sa.LargeBinary(), nullable=False),
        sa.Column("to_reference", sa.LargeBinary(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("payment_id", "position"),
    )
    op.create_table(
        "reconciliation_items",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("block", WHOLE, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "side in ('ledger', 'chain', 'statement')", name="reconciliation_items_side"
        ),
        sa.CheckConstraint(
            "state in ('open', 'matched', 'explained')", name="reconciliation_items_state"
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("scope", "currency", "side", "item_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("reconciliation_items", schema=None) as batch_op:
        batch_op.create_index(
            "reconciliation_items_by_key", ["scope", "currency", "state", "key"], unique=False
        )

    op.create_table(
        "rtgs_accounts",
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("credit_line", WHOLE, nullable=False),
        sa.Column("reserve_requirement", WHOLE, nullable=False),
        sa.Column("transfer_max", WHOLE, nullable=True),
        sa.Column("day_max", WHOLE, nullable=True),
        sa.CheckConstraint("credit_line >= 0"),
        sa.CheckConstraint("reserve_requirement >= 0"),
        sa.PrimaryKeyConstraint("lei"),
    )
    op.create_table(
        "rtgs_transfers",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("transfer_id", sa.Text(), nullable=False),
        sa.Column("ordered_by", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("debtor_lei", sa.Text(), nullable=False),
        sa.Column("creditor_lei", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("end_to_end_id", sa.Text(), nullable=False),
        sa.Column("entered_at", WHOLE, nullable=False),
        sa.Column("business_day", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ended_at", WHOLE, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'queued') = (ended_at is null)", name="rtgs_transfers_ended"),
        sa.CheckConstraint(
            "state in ('queued', 'settled', 'cancelled', 'expired')", name="rtgs_transfers_state"
        ),
        sa.CheckConstraint("amount > 0"),
        sa.CheckConstraint("debtor_lei <> creditor_lei", name="rtgs_transfers_parties"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("ordered_by", "transfer_id"),
        sa.UniqueConstraint("reference"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("rtgs_transfers", schema=None) as batch_op:
        batch_op.create_index("rtgs_transfers_by_day", ["debtor_lei", "business_day"], unique=False)
        batch_op.create_index(
            "rtgs_transfers_waiting", ["debtor_lei", "state", "priority", "sequence"], unique=False
        )

    op.create_table(
        "statement_lines",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("balance", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.CheckConstraint("scope in ('tokens', 'reserves')", name="statement_lines_scope"),
        sa.CheckConstraint("amount <> 0"),
        sa.CheckConstraint("number > 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("scope", "lei", "currency", "number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "statements",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("statement_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("first_line", WHOLE, nullable=False),
        sa.Column("last_line", WHOLE, nullable=False),
        sa.Column("opening", WHOLE, nullable=False),
        sa.Column("closing", WHOLE, nullable=False),
        sa.Column("period_start", WHOLE, nullable=False),
        sa.Column("period_end", WHOLE, nullable=False),
        sa.Column("block", WHOLE, nullable=False),
        sa.CheckConstraint("kind in ('statement', 'intraday')", name="statements_kind"),
        sa.CheckConstraint("last_line >= first_line - 1", name="statements_span"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("kind", "scope", "lei", "currency", "number", "first_line"),
        sa.UniqueConstraint("statement_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "token_flows",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("balance", WHOLE, nullable=False),
        sa.Column("block_number", WHOLE, nullable=False),
        sa.Column("log_index", WHOLE, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.CheckConstraint(
            "kind in ('issue', 'redeem', 'payment', 'other')", name="token_flows_kind"
        ),
        sa.CheckConstraint("amount <> 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("block_number", "log_index", "lei", "currency", "kind"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("token_flows", schema=None) as batch_op:
        batch_op.create_index(
            "token_flows_by_holder", ["lei", "currency", "sequence"], unique=False
        )

    op.create_table(
        "token_positions",
        sa.Column("lei", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("lei", "currency"),
    )
    with op.batch_alter_table("issuances", schema=None) as batch_op:
        batch_op.create_index("issuances_by_state", ["state", "currency"], unique=False)

    with op.batch_alter_table("proposals", schema=None) as batch_op:
        batch_op.create_index("proposals_by_subject", ["kind", "subject"], unique=False)
