"""The database of one bridge: opened and checked once, then used in units of work.

SQLite in WAL mode with synchronous FULL: a commit is on disk when it returns. There is one writer
at a time, in the process by a lock and between processes by BEGIN IMMEDIATE; readers see a snapshot
and never wait for it. Everything that belongs together (a payment, its entries, its effects, the
idempotent answer, the checkpoint) is written in one unit of work: all of it is committed or none.
Nothing slow, no network and no signing device may happen inside one.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from bridge.errors import (
    BridgeError,
    StatementRefused,
    StoreBusy,
    StoreFormatUnknown,
    UnitOfWorkNested,
)
from bridge.failpoint import Failpoint, visit
from bridge.store.approvals import Approvals
from bridge.store.audit_log import AuditLog
from bridge.store.chain_log import ChainLog
from bridge.store.customers import Customers
from bridge.store.deliveries import Deliveries
from bridge.store.effects import Effects
from bridge.store.idempotency import Idempotency
from bridge.store.issuances import Issuances
from bridge.store.ledger_book import LedgerBook
from bridge.store.ledger_record import LedgerRecord
from bridge.store.messages import Inbox, Messages
from bridge.store.payments import Payments
from bridge.store.quotations import Quotations
from bridge.store.quotes import Quotes
from bridge.store.receipts import Receipts
from bridge.store.standing_orders import StandingOrders
from bridge.store.statements import Statements
from bridge.store.tables import FORMAT_VERSION, METADATA, store_format
from bridge.store.transactions import Transactions

BUSY_SECONDS_MAX: Final = 10
"""How long a statement waits for another process, and a reader for a free connection."""

READERS_MAX: Final = 48
"""Most connections that read at the same time."""

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


class UnitOfWork:
    """The repositories of one database transaction."""

    def __init__(self, connection: Connection) -> None:
        self.ledger = LedgerBook(connection)
        self.ledger_record = LedgerRecord(connection)
        self.statements = Statements(connection)
        self.payments = Payments(connection)
        self.idempotency = Idempotency(connection)
        self.effects = Effects(connection)
        self.transactions = Transactions(connection)
        self.chain_log = ChainLog(connection)
        self.messages = Messages(connection)
        self.inbox = Inbox(connection)
        self.deliveries = Deliveries(connection)
        self.receipts = Receipts(connection)
        self.quotes = Quotes(connection)
        self.issuances = Issuances(connection)
        self.customers = Customers(connection)
        self.quotations = Quotations(connection)
        self.standing_orders = StandingOrders(connection)
        self.approvals = Approvals(connection)
        self.audit = AuditLog(connection)


class Store:
    """One bridge's database; safe to share between threads."""

    def __init__(self, writer: Engine, readers: Engine) -> None:
        self._writer = writer
        self._readers = readers
        self._lock = threading.Lock()
        self._writing_thread: int | None = None
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def open(cls, path: Path, *, busy_seconds: int = BUSY_SECONDS_MAX) -> Self:
        """The store in the file at `path`, made with all its tables if it is not there yet.

        `busy_seconds` is how long a statement waits for a lock of another process.
        Raises `StoreFormatUnknown` for a database of another format.
        """
        _make_private(path)
        with _translated():
            writer = _engine(path, connections=1, read_only=False, busy_seconds=busy_seconds)
            with writer.begin() as connection:
                if not inspect(connection).get_table_names():
                    _create(connection)
                _check_format(connection)
            readers = _engine(
                path, connections=READERS_MAX, read_only=True, busy_seconds=busy_seconds
            )
            return cls(writer, readers)

    @classmethod
    def open_read_only(cls, path: Path) -> Self:
        """The store in a database that another process writes; a unit of work in it is refused.

        Raises `StoreBusy` while there is none, `StoreFormatUnknown` for one of another format.
        """
        if not path.is_file():
            raise StoreBusy(f"there is no database {path.name} yet")
        with _translated():
            readers = _engine(
                path, connections=READERS_MAX, read_only=True, busy_seconds=BUSY_SECONDS_MAX
            )
            with readers.begin() as connection:
                if not inspect(connection).get_table_names():
                    raise StoreBusy(f"the database {path.name} is still being made")
                _check_format(connection)
        return cls(readers, readers)

    def close(self) -> None:
        """Give every connection back to the system."""
        self._readers.dispose()
        self._writer.dispose()

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        """Everything done inside is committed at the end, or nothing of it if an error leaves it.

        Waits for the unit of work of another thread; raises `UnitOfWorkNested` inside one's own,
        and `StoreBusy` when another process holds the database too long.
        """
        if self._writing_thread == threading.get_ident():
            raise UnitOfWorkNested
        with self._lock:
            self._writing_thread = threading.get_ident()
            try:
                with _translated(), self._writer.begin() as connection:
                    work = UnitOfWork(connection)
                    yield work
                    visit(Failpoint.COMMITTING)
                visit(Failpoint.COMMITTED)
            finally:
                self._writing_thread = None
        if work.effects.has_added or work.deliveries.has_added:
            for listener in self._listeners:
                listener()

    @contextmanager
    def reading(self) -> Iterator[UnitOfWork]:
        """The repositories over one snapshot; the database refuses to write in it."""
        with _translated(), self._readers.begin() as connection:
            yield UnitOfWork(connection)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit that added effects or deliveries, in that thread."""
        self._listeners.append(listener)


def _make_private(path: Path) -> None:
    """Make the file and its directory, for their owner alone; what is there stays as it is.

    SQLite gives the files it puts beside a database the mode of the database.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(path: Path, *, connections: int, read_only: bool, busy_seconds: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_seconds},
        pool_size=min(connections, 4),
        max_overflow=max(connections - 4, 0),
        pool_timeout=BUSY_SECONDS_MAX,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _create(connection: Connection) -> None:
    METADATA.create_all(connection)
    connection.execute(insert(store_format).values(one=1, version=FORMAT_VERSION))


def _check_format(connection: Connection) -> None:
    found = None
    if inspect(connection).has_table(store_format.name):
        found = connection.execute(select(store_format.c.version)).scalar()
    if found != FORMAT_VERSION:
        raise StoreFormatUnknown(str(found), FORMAT_VERSION)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the database's errors into ours; ours pass."""
    try:
        yield
    except BridgeError:
        raise
    except PoolTimeout as error:
        raise StoreBusy("too many readers") from error
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if code in _PASSING_FAULTS:
            raise StoreBusy(str(error.orig)) from error
        raise StatementRefused(str(error.orig)) from error
