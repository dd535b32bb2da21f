"""How the database is reached: one engine that writes, one that reads, on SQLite or PostgreSQL.

                  SQLite                                  PostgreSQL
    a commit      WAL, synchronous FULL                   synchronous_commit and fsync on, checked
    one writer    BEGIN IMMEDIATE                         an advisory lock of the transaction
    a reader      a deferred transaction, query_only      REPEATABLE READ, READ ONLY

Either way a commit is on disk when it returns, one transaction writes at a time whichever process
it is of, and a reader sees one snapshot and waits for nobody. A password is never part of a place:
PostgreSQL's client takes it from the file that PGPASSFILE or the URL's `passfile` names.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from bridge.config import DatabasePlace
from bridge.errors import DatabaseUnsafe, StatementRefused, StoreBusy
from bridge.store import gathering, known_balances

BUSY_SECONDS_MAX: Final = 10
"""How long a statement waits for another process, and a reader for a free connection."""

READERS_MAX: Final = 48
"""Most connections of one process that read at the same time."""

READERS_KEPT: Final = 12
"""How many of them stay open for the next reader. Those of a rare crowd are closed again: on PostgreSQL
each costs the server a process, on SQLite this process a cache."""

READER_CACHE_KILOBYTES: Final = 512
"""How much a SQLite connection that reads keeps of the database for itself."""

CONNECT_SECONDS_MAX: Final = 5
"""How long a database server is given to take a connection."""

PAGE_BYTES: Final = 2_048
"""Page size of a new SQLite database: a commit writes a dozen pages of which little has changed."""

CHECKPOINT_PAGES: Final = 16_000
"""After how many pages of its log SQLite copies them into the database: the hot ones then go once for
thousands of commits, and the log stays at some 32 MB."""

STALLED_SECONDS_MAX: Final = 5
"""How long a process that stopped inside a transaction may hold a PostgreSQL database up."""

MIGRATION_STALLED_SECONDS_MAX: Final = 120
"""The same for a migration, which nobody works beside and which would have to begin again."""

WRITER_LOCK: Final = int.from_bytes(b"corridor")
"""Key of the advisory lock under which a PostgreSQL database is written."""

_PASSING_FAULTS: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_PRIMARY_CODE: Final = 0xFF

_PASSING_STATES: Final = ("08", "25P03", "26", "3B", "40", "53", "55P03", "57", "58")
"""SQLSTATEs, by how they begin: connections, a session that stood still, a prepared statement that the
server forgot, the savepoint of a unit that never came to set it, rollbacks to be tried again, resources,
a lock that was not to be had, a server that ends, its disk (PostgreSQL, appendix A)."""

_PLANNING: Final = (
    b"SET plan_cache_mode = force_generic_plan",
    b"SET enable_seqscan = off",
)
"""What is written is found by keys: a plan for that is made once, and made when tables were still empty
it must not be one that reads them through."""

sqlite3.register_adapter(type(None), lambda _: None)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(bytes, lambda value: value)
"""The driver asks each of these by three protocols whether it would rather be something else, which takes longer
than to store it. It is told once."""

_DURABLE: Final = {
    "synchronous_commit": ("on", "remote_apply"),
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "server_encoding": ("UTF8",),
}


def open_writer(place: DatabasePlace, *, busy_seconds: int, migrates: bool = False) -> Engine:
    """The engine that writes, of one connection.

    One that `migrates` may take its time, and leaves SQLite's foreign keys unchecked: it rebuilds tables.
    """
    if isinstance(place, Path):
        return _sqlite(place, busy_seconds=busy_seconds, with_references=not migrates)
    stalled_seconds = MIGRATION_STALLED_SECONDS_MAX if migrates else STALLED_SECONDS_MAX
    engine = create_engine(_url(place), pool_size=1, max_overflow=0, connect_args=_CONNECT)
    known_balances.keep_balances(engine)

    @event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection, _: ConnectionPoolEntry) -> None:
        try:
            _check_durable(connection)
        except BaseException:
            connection.close()  # it is in no pool yet
            raise
        connection.commit()
        connection.autocommit = True  # transactions begin below, with their lock in one round trip
        for setting in _PLANNING:
            connection.execute(setting)
        connection.execute(f"SET lock_timeout = '{max(busy_seconds * 1_000, 1)}'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{stalled_seconds}s'")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        gathering.gather(connection)
        gathering.control(connection, "BEGIN", f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
        known_balances.begin(connection)

    @event.listens_for(engine, "before_cursor_execute")
    def settle(connection: Connection, *_: object) -> None:
        gathering.settle(connection)

    @event.listens_for(engine, "rollback")
    def roll_back(connection: Connection) -> None:
        gathering.roll_back(connection)

    return engine


def open_readers(place: DatabasePlace) -> Engine:
    """The engine that reads snapshots; the database refuses to write through it."""
    if isinstance(place, Path):
        return _sqlite(place, busy_seconds=BUSY_SECONDS_MAX, read_only=True)
    return create_engine(
        _url(place),
        isolation_level="REPEATABLE READ",
        pool_size=READERS_KEPT,
        max_overflow=READERS_MAX - READERS_KEPT,
        pool_timeout=BUSY_SECONDS_MAX,
        pool_use_lifo=True,
        connect_args={**_CONNECT, "options": "-c default_transaction_read_only=on"},
    )


def make_private(path: Path) -> None:
    """Make the file and its directory, for their owner alone; what is there stays as it is.

    SQLite gives the files it puts beside a database the mode of the database.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def shown(place: DatabasePlace) -> str:
    """The place as a person is told of it: a file's name, or a database at a host."""
    if isinstance(place, Path):
        return place.name
    url = make_url(place)
    return f"{url.database} at {url.host or url.query.get('host', 'localhost')}"


def check_intact(connection: Connection) -> None:
    """Refuse to go on after a failed statement, or a lost connection, that somebody caught.

    PostgreSQL answers the commit of a transaction that failed by rolling it back, and calls that no error.
    """
    driver: object = connection.connection.dbapi_connection
    if not isinstance(driver, psycopg.Connection):
        return
    status = driver.info.transaction_status
    if status is psycopg.pq.TransactionStatus.INERROR:
        raise StatementRefused("an earlier statement of this unit of work was refused")
    if status is psycopg.pq.TransactionStatus.UNKNOWN:
        raise StoreBusy("the connection was lost")


@contextmanager
def kept_if_usable(engine: Engine) -> Iterator[Connection]:
    """A first transaction of an engine, which is given back when that fails."""
    try:
        with translated(), engine.begin() as connection:
            yield connection
    except BaseException:
        engine.dispose()
        raise


def translated() -> AbstractContextManager[None]:
    """Turn the database's errors into ours; ours pass."""
    return _TRANSLATION


class _Translation:
    """A context without a state: every unit of work, and every reading, is in it."""

    def __enter__(self) -> None:
        """Nothing happens."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise our error for one of the database."""
        match error:
            case PoolTimeout():
                raise StoreBusy("too many readers") from error
            case PendingRollbackError():  # somebody caught the loss of the connection and went on
                raise StoreBusy("the connection was lost") from error
            case DBAPIError() if _is_passing(error.orig):
                raise StoreBusy(str(error.orig)) from error
            case DBAPIError():
                raise StatementRefused(str(error.orig)) from error
            case _:
                pass


_TRANSLATION: Final = _Translation()


def _is_passing(fault: BaseException | None) -> bool:
    match fault:
        case sqlite3.Error():
            code = getattr(fault, "sqlite_errorcode", 0) & _PRIMARY_CODE
            return code in _PASSING_FAULTS
        case psycopg.Error():
            if fault.sqlstate is None:  # it never came to a server's answer
                return isinstance(fault, psycopg.OperationalError | psycopg.InterfaceError)
            return fault.sqlstate.startswith(_PASSING_STATES)
        case _:
            return False


_CONNECT: Final = {"connect_timeout": CONNECT_SECONDS_MAX, "application_name": "corridor-bridge"}


def _url(place: str) -> URL:
    return make_url(place).set(drivername="postgresql+psycopg")


def _check_durable(connection: psycopg.Connection) -> None:
    """Refuse a server that says a commit is on disk before it is."""
    for name, allowed in _DURABLE.items():
        row = connection.execute(f"SHOW {name}").fetchone()
        found = "" if row is None else str(row[0])
        if found not in allowed:
            raise DatabaseUnsafe(name, found)


def _sqlite(
    path: Path, *, busy_seconds: int, read_only: bool = False, with_references: bool = True
) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_seconds},
        pool_size=READERS_KEPT if read_only else 1,
        max_overflow=READERS_MAX - READERS_KEPT if read_only else 0,
        pool_timeout=BUSY_SECONDS_MAX,
        pool_use_lifo=True,
    )
    if not read_only:
        known_balances.keep_balances(engine)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if with_references else 'OFF'}")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KILOBYTES}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if read_only:
            gathering.control(connection, "BEGIN")
        else:
            gathering.control(connection, "BEGIN IMMEDIATE")
            known_balances.begin(connection)

    return engine
