"""What every table is made with: the metadata, whole numbers of 64 bits, the key that counts up,
rows that never change.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, event

METADATA: Final = MetaData()

WHOLE: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits: SQLite's INTEGER has them, PostgreSQL's has 32."""

_SAME: Final = "same"
_FIT: Final = "fit"


def key_column() -> Column[int]:
    """The key of a table whose rows are read in the order in which they were written."""
    return Column("sequence", WHOLE, primary_key=True, autoincrement=True)


def make_immutable(table: Table, same: str, *, fit: str = "") -> None:
    """Have the database refuse to change, delete or replace a row of `table`.

    `same` is what makes a new row meet an old one, in SQL over `NEW`: SQLite's INSERT OR REPLACE
    deletes without firing DELETE triggers. PostgreSQL refuses TRUNCATE as well. `fit` is what a new
    row must be beside that, in SQL over `NEW`.
    """
    table.info[_SAME] = same
    table.info[_FIT] = fit

    @event.listens_for(table, "after_create")
    def create(_: Table, connection: Connection, **__: object) -> None:
        _guard(connection, table)


def guard_immutable(connection: Connection) -> None:
    """Put the triggers of every immutable table in their place, after a migration."""
    for table in _immutable():
        _guard(connection, table)


def release_immutable(connection: Connection) -> None:
    """Take the triggers away, before a migration whose transaction puts them back."""
    rows = connection.exec_driver_sql(_GUARDS[connection.dialect.name]).all()
    for trigger, table in rows:
        place = "" if connection.dialect.name == "sqlite" else f" ON {table}"
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}{place}")


_GUARDS: Final = {
    "sqlite": """SELECT name, tbl_name FROM sqlite_master
                 WHERE type = 'trigger' AND instr(name, '_refuse_')""",
    "postgresql": """SELECT tgname, tgrelid::regclass FROM pg_trigger
                     WHERE NOT tgisinternal AND strpos(tgname, '_refuse_') > 0""",
}
"""The triggers that are there, whichever version of the tables they are of."""


def _immutable() -> list[Table]:
    return [table for table in METADATA.sorted_tables if _SAME in table.info]


def _guard(connection: Connection, table: Table) -> None:
    if connection.dialect.name == "sqlite":
        _guard_in_sqlite(connection, table)
    else:
        _guard_in_postgresql(connection, table)


def _guard_in_sqlite(connection: Connection, table: Table) -> None:
    name = table.name
    meets = f"WHEN EXISTS (SELECT 1 FROM {name} WHERE {table.info[_SAME]})"  # noqa: S608
    for verb, condition in (("UPDATE", ""), ("DELETE", ""), ("INSERT", meets)):
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name}_refuse_{verb.lower()} BEFORE {verb} ON {name} {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{name} are immutable'); END"
        )
    if table.info[_FIT]:
        unfit = f"WHEN NOT ({table.info[_FIT]})"
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name}_refuse_unfit BEFORE INSERT ON {name} {unfit} "  # noqa: S608
            f"BEGIN SELECT RAISE(ABORT, '{name} follow from those before'); END"
        )


def _guard_in_postgresql(connection: Connection, table: Table) -> None:
    """Also in sessions that replay a replica's changes (ALWAYS), which skip other triggers."""
    name = table.name
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' are immutable', "
        "ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for verb in ("UPDATE", "DELETE", "TRUNCATE"):
        trigger = f"{name}_refuse_{verb.lower()}"
        connection.exec_driver_sql(
            f"CREATE TRIGGER {trigger} BEFORE {verb} ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger}")
    if table.info[_FIT]:
        trigger = f"{name}_refuse_unfit"
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NOT ({table.info[_FIT]}) THEN RAISE EXCEPTION USING "
            f"MESSAGE = '{name} follow from those before', "
            "ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER {trigger} BEFORE INSERT ON {name} "
            f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
        )
        connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger}")
