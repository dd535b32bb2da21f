"""Lists of allowed words become comparisons, and the guard of postings looks at one row.

Nothing that is kept changes, nor what may be. On SQLite the declarations are written anew where they
stand, as its documentation says for constraints: the rows, of which there may be many, are not copied.
"""

import re
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_IN_SQLITE: Final = re.compile(r"(\w+) in \((('\w+'(, )?)+)\)", re.IGNORECASE)
_IN_POSTGRESQL: Final = re.compile(r"(\w+) = ANY \(ARRAY\[(('\w+'::text(, )?)+)\]\)")


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
    tables = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '% in (''%'"
    ).all()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    for name, declared in tables:
        connection.exec_driver_sql(
            "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?",
            (_IN_SQLITE.sub(_compared, declared), name),
        )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _upgrade_postgresql(connection: sa.Connection) -> None:
    found = sa.inspect(connection)
    for table in found.get_table_names():
        for check in found.get_check_constraints(table):
            name, declared = check["name"], check["sqltext"]
            compared = _IN_POSTGRESQL.sub(_compared, declared)
            if name is not None and compared != declared:
                op.drop_constraint(name, table, type_="check")
                op.create_check_constraint(name, table, compared)
