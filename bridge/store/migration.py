"""Which revision a database is of, and how it comes to the newest.

An empty database is made with the newest tables at once. Every other one has a revision, the number of
the last migration it went through, and is used only at the newest: a bridge that finds an older (or a
newer) one refuses it by name, and `bridge migrate` brings it up to date, in one transaction, or not at
all. The triggers that keep rows as they were are taken away for that transaction and put back at its
end as the tables declare them.
"""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, text

from bridge.config import DatabasePlace
from bridge.errors import StatementRefused, StoreFormatUnknown
from bridge.store.engines import BUSY_SECONDS_MAX, make_private, open_writer, translated
from bridge.store.tables.foundation import METADATA, guard_immutable, release_immutable

MIGRATIONS: Final = Path(__file__).parent / "migrations"

_VERSION: Final = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)

_EMPTY: Final = "nothing"
_FOREIGN: Final = "unknown"
_FIRST: Final = "0001"


@cache
def newest_revision() -> str:
    """The revision of the tables in this version: the highest number among the migrations."""
    return max(path.name[1:5] for path in (MIGRATIONS / "versions").glob("r[0-9]*.py"))


def make_or_check(connection: Connection) -> None:
    """Make the tables in an empty database; raises `StoreFormatUnknown` for another revision."""
    if found_revision(connection) == _EMPTY:
        METADATA.create_all(connection)
        _VERSION.create(connection)
        connection.execute(insert(_VERSION).values(version_num=newest_revision()))
    check(connection)


def check(connection: Connection) -> None:
    """Raise `StoreFormatUnknown` unless the database has the newest revision."""
    found = found_revision(connection)
    if found != newest_revision():
        raise StoreFormatUnknown(found, newest_revision())


def is_empty(connection: Connection) -> bool:
    """Whether nothing was made in the database yet."""
    return found_revision(connection) == _EMPTY


def migrate(place: DatabasePlace) -> tuple[str, str]:
    """Bring a database to the newest revision; its revision before and after.

    Raises `StoreFormatUnknown` for one that this version does not know, and leaves it as it is.
    """
    if isinstance(place, Path):
        make_private(place)
    engine = open_writer(place, busy_seconds=BUSY_SECONDS_MAX, migrates=True)
    try:
        with translated(), engine.begin() as connection:
            found = found_revision(connection)
            if found == _EMPTY:
                make_or_check(connection)
            elif found == _FOREIGN or not _FIRST <= found <= newest_revision():
                raise StoreFormatUnknown(found, newest_revision())
            elif found != newest_revision():
                upgrade(connection)
            return found, newest_revision()
    finally:
        engine.dispose()


def found_revision(connection: Connection) -> str:
    """The revision of a database; a database of format 1, before there were revisions, has the first."""
    names = inspect(connection).get_table_names()
    if not names:
        return _EMPTY
    if _VERSION.name in names:
        return connection.execute(select(_VERSION.c.version_num)).scalar() or _FOREIGN
    if "store_format" in names:
        version = connection.execute(text("SELECT version FROM store_format")).scalar()
        return _FIRST if version == 1 else f"format {version}"
    return _FOREIGN


def alembic_settings(connection: Connection) -> Config:
    """Alembic's settings for the migrations of this package over an open transaction."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.set_main_option("path_separator", "newline")
    settings.attributes["connection"] = connection
    return settings


def upgrade(connection: Connection) -> None:
    """Run every migration that a database has not been through, from nothing if need be.

    The caller's transaction is all of it; SQLite's references must be unchecked while it runs.
    """
    settings = alembic_settings(connection)
    found = found_revision(connection)
    release_immutable(connection)
    if found != _EMPTY and not inspect(connection).has_table(_VERSION.name):
        command.stamp(settings, found)
    command.upgrade(settings, "head")
    guard_immutable(connection)
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise StatementRefused(f"after the migration a row of {broken[0]} refers to none")
