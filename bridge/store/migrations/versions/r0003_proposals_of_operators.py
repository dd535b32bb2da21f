"""Proposals Of Operators."""

import sqlalchemy as sa
from alembic import op

from bridge.store.tables.foundation import WHOLE

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    op.create_table(
        "proposals",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("proposal_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", WHOLE, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", WHOLE, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (decided_by is null)", name="proposals_decided"),
        sa.CheckConstraint(
            "state in ('open', 'approved', 'rejected', 'withdrawn')", name="proposals_state"
        ),
        sa.CheckConstraint(
            "state in ('open', 'withdrawn') or decided_by <> proposed_by",
            name="proposals_four_eyes",
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("proposal_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("proposals", schema=None) as batch_op:
        batch_op.create_index("proposals_by_state", ["state", "sequence"], unique=False)
