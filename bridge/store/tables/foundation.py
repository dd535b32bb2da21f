"""What every table is made with: the metadata, the key that counts up, rows that never change."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, event

FORMAT_VERSION: Final = 2
"""Version of these tables; a database with any other is refused."""

METADATA: Final = MetaData()


def key_column() -> Column[int]:
    """The key of a table whose rows are read in the order in which they were written."""
    return Column("sequence", Integer, primary_key=True, autoincrement=True)


def make_immutable(table: Table, same: str) -> None:
    """Have the database refuse to change, delete or replace a row of `table`.

    `same` is what makes a new row meet an old one, in SQL over `NEW`: SQLite's INSERT OR REPLACE
    deletes without firing DELETE triggers.
    """
    meets = f"WHEN EXISTS (SELECT 1 FROM {table.name} WHERE {same})"  # noqa: S608
    message = f"{table.name} are immutable"
    for verb, condition in (("UPDATE", ""), ("DELETE", ""), ("INSERT", meets)):
        _refuse(
            table, f"refuse_{verb.lower()}", f"BEFORE {verb} ON {table.name} {condition}", message
        )


def guard_inserts(table: Table, requirement: str, message: str) -> None:
    """Have the database refuse a new row of `table` that does not meet a requirement, in SQL over `NEW`."""
    occasion = f"BEFORE INSERT ON {table.name} WHEN NOT ({requirement})"
    _refuse(table, "guard_insert", occasion, message)


def _refuse(table: Table, name: str, occasion: str, message: str) -> None:
    statement = (
        f"CREATE TRIGGER {table.name}_{name} {occasion} BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )

    @event.listens_for(table, "after_create")
    def create(_: Table, connection: Connection, **__: object) -> None:
        connection.exec_driver_sql(statement)


store_format = Table(
    "store_format",
    METADATA,
    Column("one", Integer, CheckConstraint("one = 1"), primary_key=True),
    Column("version", Integer, nullable=False),
)
