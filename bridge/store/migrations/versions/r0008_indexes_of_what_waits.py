"""Indexes of messages and orders that wait; PostgreSQL's guards against a replacing insert go.

PostgreSQL has no statement that replaces a row by inserting one: its keys alone refuse the second.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    for name, column in (("inbox_waiting", "sender_lei"), ("inbox_waiting_since", "received_at")):
        op.create_index(
            name,
            "inbox",
            [column],
            sqlite_where=sa.text("is_taken IS 0"),
            postgresql_where=sa.text("is_taken IS false"),
        )
    op.create_index("retail_orders_by_state", "retail_orders", ["state", "direction"])
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        functions = sa.text(
            "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            " AND proname LIKE '%\\_refuse\\_insert'"
        )
        for name in connection.execute(functions).scalars().all():
            op.execute(f"DROP FUNCTION {name}()")
