"""What every table is made with: the metadata, whole numbers of 64 bits, the key that counts up,
rows that never change.
"""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, event

METADATA: Final = MetaData()

WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits: SQLite's INTEGER has them, PostgreSQL's has 32."""

_CHANGES: Final = ("UPDATE", "DELETE", "TRUNCATE")
_GUARDED: Final = "guards"
_SQLITE: Final = frozenset({"sqlite"})
_POSTGRESQL: Final = frozenset({"postgresql"})


@dataclass(frozen=True, slots=True)
class Guard:
    """A trigger that refuses a verb: always, or for the new rows of which `refused` holds, in SQL over `NEW`."""

    name: str
    verb: str
    refused: str
    message: str
    on: frozenset[str] = _SQLITE | _POSTGRESQL
    """On which databases it is needed."""


def key_column() -> Column[int]:
    """The key of a table whose rows are read in the order in which they were written."""
    return Column("sequence", WHOLE, primary_key=True, autoincrement=True)


def is_one_of(column: str, *words: str) -> str:
    """In SQL, that a column has one of these words; beside anything but an OR it needs parentheses.

    Each word is compared: SQLite makes a table of an IN list of more than two, for each statement that
    checks it.
    """
    return " or ".join([f"{column} = '{word}'" for word in words])


def make_immutable(table: Table, same: str) -> None:
    """Have the database refuse to change, delete or replace a row of `table`.

    `same` is what makes a new row meet an old one, in SQL over `NEW`: SQLite's INSERT OR REPLACE
    deletes without firing DELETE triggers. PostgreSQL has no such statement, and refuses TRUNCATE.
    """
    message = f"{table.name} are immutable"
    for verb in _CHANGES:
        guard = Guard(f"{table.name}_refuse_{verb.lower()}", verb, "", message)
        _add_guard(table, guard if verb != "TRUNCATE" else replace(guard, on=_POSTGRESQL))
    meets = f"EXISTS (SELECT 1 FROM {table.name} WHERE {same})"  # noqa: S608
    name = f"{table.name}_refuse_insert"
    _add_guard(table, Guard(name, "INSERT", meets, message, on=_SQLITE))


def guard_inserts(table: Table, requirement: str, message: str) -> None:
    """Have the database refuse a new row of `table` that does not meet a requirement, in SQL over `NEW`.

    SQLite keeps any value in any column, so there a column of whole numbers must hold one, too.
    """
    name = f"{table.name}_guard_insert"
    whole = [
        f"typeof(NEW.{column.name}) = 'integer'"
        for column in table.columns
        if column.type is WHOLE and not column.nullable and column.autoincrement is not True
    ]
    in_sqlite = " AND ".join([*whole, f"({requirement})"])
    _add_guard(table, Guard(name, "INSERT", f"NOT ({in_sqlite})", message, on=_SQLITE))
    _add_guard(table, Guard(name, "INSERT", f"NOT ({requirement})", message, on=_POSTGRESQL))


def guard_immutable(connection: Connection) -> None:
    """Put the triggers of every guarded table in their place, after a migration."""
    for table in METADATA.sorted_tables:
        for guard in table.info.get(_GUARDED, ()):
            _create(connection, table.name, guard)


def release_immutable(connection: Connection) -> None:
    """Take the triggers away, before a migration whose transaction puts them back."""
    rows = connection.exec_driver_sql(_GUARDS[connection.dialect.name]).all()
    for trigger, table in rows:
        place = "" if connection.dialect.name == "sqlite" else f" ON {table}"
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}{place}")


_GUARDS: Final = {
    "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal",
}
"""The triggers that are there, whichever version of the tables they are of."""


def _add_guard(table: Table, guard: Guard) -> None:
    table.info.setdefault(_GUARDED, []).append(guard)

    @event.listens_for(table, "after_create")
    def create(_: Table, connection: Connection, **__: object) -> None:
        _create(connection, table.name, guard)


def _create(connection: Connection, table: str, guard: Guard) -> None:
    if connection.dialect.name not in guard.on:
        return
    if connection.dialect.name == "sqlite":
        _create_in_sqlite(connection, table, guard)
    else:
        _create_in_postgresql(connection, table, guard)


def _create_in_sqlite(connection: Connection, table: str, guard: Guard) -> None:
    condition = f"WHEN {guard.refused}" if guard.refused else ""
    connection.exec_driver_sql(
        f"CREATE TRIGGER {guard.name} BEFORE {guard.verb} ON {table} {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"
    )


def _create_in_postgresql(connection: Connection, table: str, guard: Guard) -> None:
    """A verb is refused by statement, a new row by row; also where a replica's changes are replayed
    (ALWAYS), which fires no other trigger.
    """
    refuse = f"RAISE EXCEPTION '{guard.message}' USING ERRCODE = 'integrity_constraint_violation';"
    body = f"IF {guard.refused} THEN {refuse} END IF; RETURN NEW;" if guard.refused else refuse
    each = "ROW" if guard.refused else "STATEMENT"
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {guard.name}() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN {body} END $$"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {guard.name} BEFORE {guard.verb} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION {guard.name}()"
    )
    connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {guard.name}")
