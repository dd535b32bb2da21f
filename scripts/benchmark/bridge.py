"""What a bridge's books carry: journal entries per second, durable, and what reading an account's past takes.

Each part is a function that is given a folder of its own and answers with its figures, so that a part can be added
beside the ledger's without touching it.
"""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.machine import on_one_processor
from benchmark.payments import PaymentsSize, measure_payments
from benchmark.reconciliation import measure_reconciliation
from bridge import chart
from bridge.allocation import bound_arenas
from bridge.config import DatabasePlace
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.store import NewEffect, Remembered, Store, UnitOfWork
from bridge.verification import verify_books
from local_network.postgres import NoPostgres, running_server

EUR: Final = parse_currency("EUR")
OPENING: Final = Amount(EUR, 10**9)
PAID: Final = Amount(EUR, 1)
START: Final = 1_800_000_000
GROUP: Final = 50
PASTS: Final = 200
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
DISK: Final = Path("/var/tmp")  # noqa: S108 - kept when a machine starts again, so no memory


@dataclass(frozen=True, slots=True)
class BridgeSize:
    """How much is measured."""

    accounts: int
    entries: int
    """Booked in each way in each round."""
    rounds: int
    writers: tuple[int, ...]
    items: int
    payments: PaymentsSize


def measure_bridge(size: BridgeSize, folder: Path) -> dict[str, Any]:  # a JSON object
    """Every figure of a bridge, by a process that keeps its memory as one does."""
    bound_arenas()
    return {
        "ledger": measure_ledger(size, folder / "ledger" / "bridge.sqlite"),
        "ledger_in_memory": _in_memory(size),
        "ledger_on_postgresql": _on_postgresql(size),
        "payments": measure_payments(size.payments, folder / "street"),
        "reconciliation": measure_reconciliation(size.items, folder / "reconciliation"),
    }


def _in_memory(size: BridgeSize) -> dict[str, Any]:
    """The same where a write to disk costs nothing: what the processor allows."""
    if not MEMORY.is_dir():
        return {"left_out": f"there is no {MEMORY}"}
    with tempfile.TemporaryDirectory(prefix="bench", dir=MEMORY) as name:
        return measure_ledger(size, Path(name) / "bridge.sqlite")


def _on_postgresql(size: BridgeSize) -> dict[str, Any]:
    """The same on a PostgreSQL server of its own, with its files on a disk."""
    try:
        with running_server(DISK) as server, server.database("template0") as url:
            return measure_ledger(size, url)
    except NoPostgres as missing:
        return {"left_out": str(missing)}


def measure_ledger(size: BridgeSize, place: DatabasePlace) -> dict[str, Any]:  # a JSON object
    """Entries per second by how they are booked, and milliseconds of reading the past of a busy account.

    Every way to book has its turn in each round, so that a machine that is slower for a while is so for all.
    """
    with _opened(place, size.accounts) as store:
        books = _Books(store, size)
        held, free = [], []
        for _ in range(size.rounds):
            free.append(books.rates_of_several())
            with on_one_processor(os.getpid()):
                held.append(_measure_booking(books))
        with on_one_processor(os.getpid()):
            reading = _measure_reading(books)
        started = time.perf_counter()
        wrong = len(verify_books(store))
        return {
            **_summary(held),
            **reading,
            "entries_verified_per_second": round(books.booked / (time.perf_counter() - started)),
            "wrong_balances": wrong,
            "on_any_processor": _summary(free),
        }


def _summary(rounds: list[dict[str, float]]) -> dict[str, Any]:  # a JSON object
    """Of each figure the median of the rounds, and the least and the most that one gave."""
    taken = {name: [each[name] for each in rounds] for name in rounds[0]}
    return {
        **{name: round(statistics.median(each), 1) for name, each in taken.items()},
        "ranges": {name: (min(each), max(each)) for name, each in taken.items()},
    }


def _measure_booking(books: "_Books") -> dict[str, float]:
    cpu, booked = time.process_time(), books.booked
    single = books.rate(books.book_single, writers=1)
    cpu, booked = time.process_time() - cpu, books.booked - booked
    return {
        "single_entries_per_second": single,
        **books.rates_of_several(),
        "single_entries_per_second_on_one_account": books.rate(books.book_on_one, writers=1),
        "grouped_entries_per_second": books.rate(books.book_group, writers=1, at_once=GROUP),
        "reservations_posted_per_second": books.rate(books.reserve_and_post, writers=1),
        "cpu_microseconds_per_single_entry": round(1_000_000 * cpu / booked, 1),
    }


def _measure_reading(books: "_Books") -> dict[str, float]:
    busiest = chart.in_transit(EUR)
    return {
        "milliseconds_of_a_balance": books.milliseconds(
            lambda work, _: work.ledger.balance(busiest)
        ),
        "milliseconds_of_a_balance_in_the_past": books.milliseconds(
            lambda work, number: work.statements.balance_at(busiest, START + number)
        ),
        "milliseconds_of_a_page_of_a_statement": books.milliseconds(
            lambda work, number: work.statements.statement(busiest, after=number)
        ),
    }


@contextmanager
def _opened(place: DatabasePlace, accounts: int) -> Iterator[Store]:
    """The books of a bank with that many customers, each with money."""
    store = Store.open(place)
    with store.unit_of_work() as work:
        for account in chart.institution_accounts(EUR):
            work.ledger.open_account(account)
        for number in range(accounts):
            account = chart.deposit_account(str(number), EUR, f"customer-{number}")
            work.ledger.open_account(account)
        work.ledger.book_many([_opening(number) for number in range(accounts)])
    try:
        yield store
    finally:
        store.close()


def _opening(number: int) -> JournalEntry:
    return JournalEntry(
        entry_id=f"opening:{number}",
        kind="opening",
        description="opening balance",
        postings=(
            debit(chart.reserves(EUR), OPENING),
            credit(chart.deposit(str(number)), OPENING),
        ),
        booked_at=START,
    )


class _Books:
    """Ways to book, each entry with a number that no other has."""

    def __init__(self, store: Store, size: BridgeSize) -> None:
        self._store = store
        self._size = size
        self.booked = 0

    def rates_of_several(self) -> dict[str, float]:
        """Single entries per second by how many threads book them."""
        return {
            f"single_entries_per_second_of_{count}_writers": self.rate(
                self.book_single, writers=count
            )
            for count in self._size.writers
        }

    def rate(self, book: Callable[[range], None], *, writers: int, at_once: int = 1) -> float:
        """Entries per second until the last is on disk, by that many threads."""
        share = self._size.entries // writers // at_once * at_once
        starts = [self.booked + share * writer for writer in range(writers)]
        self.booked += share * writers

        def write(start: int) -> None:
            for first in range(start, start + share, at_once):
                book(range(first, first + at_once))

        threads = [threading.Thread(target=write, args=(start,)) for start in starts]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return round(share * writers / (time.perf_counter() - started), 1)

    def book_single(self, numbers: range) -> None:
        """One entry with its answer and an effect, in a unit of work of its own."""
        with self._store.unit_of_work() as work:
            work.ledger.book(self._entry(numbers.start))
            _remember(work, numbers.start)

    def book_on_one(self, numbers: range) -> None:
        """The same, always from one account to one other."""
        with self._store.unit_of_work() as work:
            work.ledger.book(self._entry(numbers.start, account=0))
            _remember(work, numbers.start)

    def book_group(self, numbers: range) -> None:
        """A group of entries in one unit of work, with one answer and one effect."""
        with self._store.unit_of_work() as work:
            work.ledger.book_many([self._entry(number) for number in numbers])
            _remember(work, numbers.start)

    def reserve_and_post(self, numbers: range) -> None:
        """A pending entry and, in another unit of work, its post."""
        entry = self._entry(numbers.start, pending=True)
        with self._store.unit_of_work() as work:
            work.ledger.book(entry)
        with self._store.unit_of_work() as work:
            work.ledger.post(entry.entry_id, entry.booked_at)

    def milliseconds(self, read: Callable[[UnitOfWork, int], object]) -> float:
        """The median of reading something for one moment after another."""
        taken = []
        for number in range(PASTS):
            started = time.perf_counter()
            with self._store.reading() as work:
                read(work, number * self.booked // PASTS)
            taken.append(time.perf_counter() - started)
        return round(1_000 * statistics.median(taken), 3)

    def _entry(
        self, number: int, *, account: int | None = None, pending: bool = False
    ) -> JournalEntry:
        account = number % self._size.accounts if account is None else account
        return JournalEntry(
            entry_id=f"entry:{number}",
            kind="payment",
            description="a payment",
            postings=(
                debit(chart.deposit(str(account)), PAID),
                credit(chart.in_transit(EUR), PAID),
            ),
            booked_at=START + number,
            pending=pending,
            payment_id=f"pay_{number}",
        )


def _remember(work: UnitOfWork, number: int) -> None:
    key = f"key-{number}"
    work.idempotency.remember("client", key, Remembered(bytes(32), 202, '{"id": "pay_1"}'))
    work.effects.add(NewEffect("instruct", key, {}, START, f"pay_{number}"))
