"""The database of one bridge: opened and checked once, then used in units of work.

Everything that belongs together (a payment, its entries, its effects, the idempotent answer, the
checkpoint) is written in one unit of work: all of it is committed or none. One writes at a time,
whichever thread or process it is of; readers see a snapshot and never wait. Nothing slow, no network
and no signing device may happen inside a unit of work.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Self, TypeVar

from sqlalchemy import Connection, Engine

from bridge.config import DatabasePlace
from bridge.errors import StoreBusy
from bridge.failpoint import Failpoint, visit
from bridge.store import migration
from bridge.store.account_statements import AccountStatements
from bridge.store.alerts import Alerts
from bridge.store.approvals import Approvals
from bridge.store.audit_log import AuditLog
from bridge.store.breaks import Breaks
from bridge.store.chain_log import ChainLog
from bridge.store.customers import Customers
from bridge.store.deliveries import Deliveries
from bridge.store.effects import Effects
from bridge.store.engines import (
    BUSY_SECONDS_MAX,
    kept_if_usable,
    make_private,
    open_readers,
    open_writer,
    shown,
    translated,
)
from bridge.store.idempotency import Idempotency
from bridge.store.issuances import Issuances
from bridge.store.leases import Lease, Leases
from bridge.store.ledger_book import LedgerBook
from bridge.store.ledger_record import LedgerRecord
from bridge.store.messages import Inbox, Messages
from bridge.store.movements import Movements
from bridge.store.payments import Payments
from bridge.store.quotations import Quotations
from bridge.store.quotes import Quotes
from bridge.store.recalls import Recalls
from bridge.store.receipts import Receipts
from bridge.store.reconciliation_items import ReconciliationItems
from bridge.store.retail import RetailPayments, Wallets
from bridge.store.retail_offline import Devices
from bridge.store.retail_register import CustodyCredits, CustodyOrders, RetailRegister
from bridge.store.rtgs import RtgsBook
from bridge.store.standing_orders import StandingOrders
from bridge.store.statements import Statements
from bridge.store.supervision import SupervisorCopies
from bridge.store.suspense import Suspense
from bridge.store.token_flows import TokenFlows
from bridge.store.transactions import Transactions
from bridge.store.vault import MasterKey, Vault
from bridge.store.writer import Writer

_Repository = TypeVar("_Repository")


class _Part(Generic[_Repository]):
    """A repository of a unit of work, made when it is first asked for: most units need few of them."""

    def __init__(self, make: Callable[["UnitOfWork"], _Repository]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, work: "UnitOfWork", _: type) -> _Repository:
        """The repository; from now on it is an attribute of the unit of work itself."""
        made = self._make(work)
        work.__dict__[self._name] = made
        return made


def _over(make: Callable[[Connection], _Repository]) -> _Part[_Repository]:
    return _Part(lambda work: make(work.connection))


def _sealed(make: Callable[[Connection, Vault], _Repository]) -> _Part[_Repository]:
    return _Part(lambda work: make(work.connection, work.vault))


class UnitOfWork:
    """The repositories of one database transaction."""

    connection: Connection
    master: MasterKey | None

    vault = _Part(lambda work: Vault(work.connection, work.master))
    ledger = _over(LedgerBook)
    ledger_record = _over(LedgerRecord)
    statements = _over(Statements)
    payments = _over(Payments)
    idempotency = _over(Idempotency)
    effects = _over(Effects)
    transactions = _over(Transactions)
    chain_log = _over(ChainLog)
    messages = _sealed(Messages)
    inbox = _sealed(Inbox)
    deliveries = _sealed(Deliveries)
    supervisor_copies = _sealed(SupervisorCopies)
    receipts = _over(Receipts)
    quotes = _over(Quotes)
    issuances = _over(Issuances)
    customers = _over(Customers)
    quotations = _over(Quotations)
    standing_orders = _over(StandingOrders)
    leases = _over(Leases)
    wallets = _over(Wallets)
    retail_payments = _over(RetailPayments)
    devices = _over(Devices)
    custody_orders = _over(CustodyOrders)
    custody_credits = _over(CustodyCredits)
    retail_register = _over(RetailRegister)
    approvals = _over(Approvals)
    audit = _over(AuditLog)
    rtgs = _over(RtgsBook)
    movements = _over(Movements)
    token_flows = _over(TokenFlows)
    account_statements = _over(AccountStatements)
    reconciliation_items = _over(ReconciliationItems)
    breaks = _over(Breaks)
    suspense = _over(Suspense)
    alerts = _over(Alerts)
    recalls = _over(Recalls)

    def __init__(self, connection: Connection, master: MasterKey | None) -> None:
        self.connection = connection
        self.master = master

    @property
    def has_added(self) -> bool:
        """Whether effects or deliveries were added that somebody has to be woken for."""
        return self.effects.has_added or self.deliveries.has_added


class _Thread(threading.local):
    """What a store knows of the thread that uses it."""

    lease: Lease | None = None


class Store:
    """One bridge's database; safe to share between threads."""

    def __init__(
        self,
        writer: Writer,
        readers: Engine,
        master: MasterKey | None = None,
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._master = master
        self._thread = _Thread()
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def open(
        cls,
        place: DatabasePlace,
        *,
        busy_seconds: int = BUSY_SECONDS_MAX,
        migrates: bool = False,
        master: MasterKey | None = None,
    ) -> Self:
        """The store at a path or PostgreSQL URL; an empty database is given all its tables.

        `master` wraps the keys of what is kept of messages; without one they are kept in clear.
        `busy_seconds` is how long a statement waits for a lock of another process. Raises
        `StoreFormatUnknown` for a database of another revision, unless it `migrates`, and
        `DatabaseUnsafe` for a server that would lose what it confirmed.
        """
        if isinstance(place, Path):
            make_private(place)
        if migrates:
            migration.migrate(place)
        engine = open_writer(place, busy_seconds=busy_seconds)
        with kept_if_usable(engine) as connection:
            migration.make_or_check(connection)
        return cls(Writer(engine), open_readers(place), master)

    @classmethod
    def open_read_only(cls, place: DatabasePlace) -> Self:
        """The store in a database that another process writes; a unit of work in it is refused.

        Raises `StoreBusy` while there is none, `StoreFormatUnknown` for one of another revision.
        """
        if isinstance(place, Path) and not place.is_file():
            raise StoreBusy(f"there is no database {shown(place)} yet")
        readers = open_readers(place)
        with kept_if_usable(readers) as connection:
            if migration.is_empty(connection):
                raise StoreBusy(f"the database {shown(place)} is still being made")
            migration.check(connection)
        return cls(Writer(readers), readers)

    def close(self) -> None:
        """Give every connection back to the system."""
        self._writer.close()
        self._readers.dispose()

    @contextmanager
    def under(self, lease: Lease) -> Iterator[None]:
        """Inside, every unit of work of this thread holds only while the lease is the newest.

        It raises `LeaseLost` as soon as another process has taken the lease, and writes nothing.
        """
        self._thread.lease = lease
        try:
            yield
        finally:
            self._thread.lease = None

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        """Everything done inside is committed at the end, or nothing of it if an error leaves it.

        Waits for the units of work of others and may share a commit with them; returns, or raises,
        when that commit is on disk. Raises `UnitOfWorkNested` inside one's own, and `StoreBusy` when
        another process holds the database too long or the commit could not be made sure of.
        """
        with translated(), self._writer.unit() as connection:
            work = UnitOfWork(connection, self._master)
            if self._thread.lease is not None:
                work.leases.check(self._thread.lease)
            yield work
        visit(Failpoint.COMMITTED)
        if work.has_added:
            for listener in self._listeners:
                listener()

    @contextmanager
    def reading(self) -> Iterator[UnitOfWork]:
        """The repositories over one snapshot; the database refuses to write in it."""
        with translated(), self._readers.begin() as connection:
            yield UnitOfWork(connection, self._master)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit that added effects or deliveries, in that thread."""
        self._listeners.append(listener)
