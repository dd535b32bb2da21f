"""Lists of allowed words become comparisons, and the guard of postings looks at one row.

The new declarations of words say what the old ones said. On SQLite they are written where the old ones
stand, so that the rows, of which there may be many, are not copied. The guards of postings, resolutions
and credit lines there refuse what is no whole number, and a credit line that does not follow, from now on.
"""

import re
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TABLES: Final = (
    "proposals",
    "deliveries",
    "accounts",
    "postings",
    "entry_resolutions",
    "devices",
    "standing_orders",
    "standing_order_occurrences",
    "effects",
    "recalls",
    "token_flows",
    "statement_lines",
    "statements",
    "reconciliation_items",
    "breaks",
    "retail_orders",
    "retail_register",
    "rtgs_transfers",
    "suspense_items",
)
_IN_SQLITE: Final = re.compile(r"\b(\w+) in \((('\w+'(, )?)+)\)", re.IGNORECASE)
_IN_POSTGRESQL: Final = re.compile(r"\b(\w+) = ANY \(ARRAY\[(('\w+'::text(, )?)+)\]\)")


def upgrade() -> None:
    """Bring the tables from the revision before to this one."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _upgrade_sqlite(connection)
    else:
        _upgrade_postgresql(connection)


def _compared(found: re.Match[str]) -> str:
    words = re.findall(r"'\w+'", found[2])
    return " or ".join([f"{found[1]} = {word}" for word in words])


def _upgrade_sqlite(connection: sa.Connection) -> None:
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    try:
        for table in _TABLES:
            declared = connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
            ).scalar_one()
            connection.exec_driver_sql(
                "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?",
                (_IN_SQLITE.sub(_compared, declared), table),
            )
        connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    finally:
        connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _upgrade_postgresql(connection: sa.Connection) -> None:
    found = sa.inspect(connection)
    for table in _TABLES:
        for check in found.get_check_constraints(table):
            name, declared = check["name"], check["sqltext"]
            compared = _IN_POSTGRESQL.sub(_compared, declared)
            if name is not None and compared != declared:
                op.drop_constraint(name, table, type_="check")
                op.create_check_constraint(name, table, compared)
