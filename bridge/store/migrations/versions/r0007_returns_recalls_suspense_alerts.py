"""Returns, recalls, money on suspense, alerts; a nonce that another transaction uses up.

Payments that are open get the second after which the chain itself can end them.
"""

import json
from typing import Final

import sqlalchemy as sa
from alembic import op

from bridge.store.tables.foundation import WHOLE

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    op.create_table(
        "alerts",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("since", WHOLE, nullable=False),
        sa.Column("raised_at", WHOLE, nullable=False),
        sa.Column("seen_at", WHOLE, nullable=False),
        sa.Column("cleared_at", WHOLE, nullable=True),
        sa.Column("is_raised", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("kind", "subject"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index("alerts_raised", ["is_raised", "sequence"], unique=False)

    op.create_table(
        "recalls",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("peer_lei", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rejection", sa.Text(), nullable=True),
        sa.Column("return_payment_id", sa.Text(), nullable=True),
        sa.Column("asked_at", WHOLE, nullable=False),
        sa.Column("answer_by", WHOLE, nullable=False),
        sa.Column("answered_at", WHOLE, nullable=True),
        sa.CheckConstraint("direction in ('outgoing', 'incoming')", name="recalls_direction"),
        sa.CheckConstraint(
            "state in ('asked', 'granted', 'rejected', 'closed')", name="recalls_state"
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("payment_id", "direction"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("recalls", schema=None) as batch_op:
        batch_op.create_index("recalls_by_state", ["state", "answer_by"], unique=False)

    op.create_table(
        "suspense_items",
        sa.Column("sequence", WHOLE, autoincrement=True, nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("intended_account_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", WHOLE, nullable=False),
        sa.Column("resolved_at", WHOLE, nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('open', 'returning', 'returned', 'credited')", name="suspense_items_state"
        ),
        sa.CheckConstraint("amount > 0"),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("payment_id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("suspense_items", schema=None) as batch_op:
        batch_op.create_index("suspense_items_by_state", ["state", "sequence"], unique=False)

    with op.batch_alter_table("effects", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retried_since", WHOLE, nullable=True))

    _extend_payments()
    _free_nonces()


_DIRECTIONS: Final = {"outgoing": ["uetr"], "incoming": ["uetr", "counterparty_lei"]}


def _extend_payments() -> None:
    connection = op.get_bind()
    with op.batch_alter_table("payments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ends_by", WHOLE, nullable=True))
        batch_op.add_column(sa.Column("is_return", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("return_of", sa.Text(), nullable=True))
    kept = sa.table(
        "payments",
        *(sa.column(name) for name in ("sequence", "state", "is_terminal", "document", "ends_by")),
        sa.column("is_return", sa.Boolean()),
    )
    connection.execute(sa.update(kept).values(is_return=False))
    for row in connection.execute(sa.select(kept).where(kept.c.is_terminal.is_(False))).all():
        terms = json.loads(row.document)["terms"]
        last = terms["settle_by"] if row.state == "queued" else terms["accept_by"]
        connection.execute(
            sa.update(kept).where(kept.c.sequence == row.sequence).values(ends_by=last)
        )
    for direction, columns in _DIRECTIONS.items():
        name = f"payments_{direction}_uetr"
        where = f"direction = '{direction}' AND is_return IS"
        op.drop_index(name, table_name="payments")
        op.create_index(
            name,
            "payments",
            columns,
            unique=True,
            sqlite_where=sa.text(f"{where} 0"),
            postgresql_where=sa.text(f"{where} false"),
        )
    with op.batch_alter_table("payments", schema=None) as batch_op:
        batch_op.alter_column("is_return", existing_type=sa.Boolean(), nullable=False)
        batch_op.create_index("payments_ending", ["ends_by"], unique=False)
        batch_op.create_index("payments_returning", ["return_of"], unique=False)


def _free_nonces() -> None:
    with op.batch_alter_table(
        "transactions",
        naming_convention={"uq": "transactions_%(column_0_N_name)s_key"},
    ) as batch_op:
        batch_op.drop_constraint("transactions_sender_nonce_key", type_="unique")
        batch_op.add_column(sa.Column("replaces", sa.LargeBinary(), nullable=True))
        batch_op.create_unique_constraint("transactions_replaces_key", ["replaces"])
    free = sa.text("replaces IS NULL")
    op.create_index(
        "transactions_by_nonce",
        "transactions",
        ["sender", "nonce"],
        unique=True,
        sqlite_where=free,
        postgresql_where=free,
    )
