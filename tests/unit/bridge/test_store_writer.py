"""Group commit: units of work of several threads in one transaction, as if each had its own.

Cites docs/spec/ledger.md: STO-1, 2, 11, 15, 16.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from bridge.errors import InsufficientFunds, StatementRefused, StoreBusy
from bridge.ledger import Account
from bridge.store import Store, UnitOfWork
from bridge.store.engines import BUSY_SECONDS_MAX, open_readers, open_writer
from bridge.store.gathering import settle
from bridge.store.writer import GROUP_MILLISECONDS_MAX, GROUP_UNITS_MAX, Writer
from support.bridge_records import CASH, DEPOSIT, SGD, effect, open_store_at, transfer
from support.databases import Databases

SECONDS_MAX = 30
OTHER = replace(DEPOSIT, account_id="deposit:bob", name="Bob")
OTHER_AGAIN = replace(OTHER, name="Bob, who moved", currency=SGD)
GOES_ON = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"


@dataclass
class Bench:
    """A store whose commits are counted and can be made to fail, on a clock that stands still."""

    store: Store
    writer: Writer
    commits: list[str] = field(default_factory=list)
    now: int = 0
    fault: Exception | None = None

    def committed(self, key: str) -> bool:
        """Whether somebody who opens the database now finds an effect there."""
        with self.store.reading() as work:
            return work.effects.has(key)

    def await_waiting(self, count: int) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while self.writer.waiting != count:
            assert time.monotonic() < deadline
            time.sleep(0.001)


@pytest.fixture
def bench(databases: Databases) -> Iterator[Bench]:
    open_store_at(databases.place()).close()
    engine = open_writer(databases.place(), busy_seconds=BUSY_SECONDS_MAX)
    writer = Writer(engine, lambda: made.now)
    made = Bench(Store(writer, open_readers(databases.place())), writer)

    @event.listens_for(engine, "commit")
    def count(_: object) -> None:
        made.commits.append("commit")
        if made.fault is not None:
            raise made.fault

    with closing(made.store):
        yield made


class Caller(threading.Thread):
    """A thread with one unit of work; `outcome` is what its caller was given."""

    def __init__(self, store: Store, body: Callable[[UnitOfWork], None]) -> None:
        super().__init__()
        self._store = store
        self._body = body
        self.outcome: list[BaseException | None] = []
        self.start()

    def run(self) -> None:
        try:
            with self._store.unit_of_work() as work:
                self._body(work)
        except BaseException as error:  # noqa: BLE001 - it is the outcome
            self.outcome.append(error)
        else:
            self.outcome.append(None)

    def result(self) -> BaseException | None:
        self.join(SECONDS_MAX)
        return self.outcome[0]


@contextmanager
def held(bench: Bench, body: Callable[[UnitOfWork], None]) -> Iterator[Caller]:
    """A caller inside its unit of work until the block ends, so that others come to wait."""
    entered, leave = threading.Event(), threading.Event()

    def wait(work: UnitOfWork) -> None:
        body(work)
        settle(work.connection)  # only now it surely has the database for itself
        entered.set()
        assert leave.wait(SECONDS_MAX)

    caller = Caller(bench.store, wait)
    assert entered.wait(SECONDS_MAX)
    try:
        yield caller
    finally:
        leave.set()


def one_behind_the_other(
    bench: Bench, *bodies: Callable[[UnitOfWork], None]
) -> list[BaseException | None]:
    """What became of units of work of one group, in this order: inside each one waits the next."""
    callers: dict[int, Caller] = {}

    def start(place: int) -> None:
        def run(work: UnitOfWork) -> None:
            if place + 1 < len(bodies):
                start(place + 1)
                bench.await_waiting(1)
            bodies[place](work)

        callers[place] = Caller(bench.store, run)

    start(0)
    return [callers[place].result() for place in range(len(bodies))]


def add(key: str) -> Callable[[UnitOfWork], None]:
    return lambda work: work.effects.add(effect(key))


def overdraw(work: UnitOfWork) -> None:
    work.effects.add(effect("undone"))
    work.ledger.book(transfer("too much", DEPOSIT, CASH, 1))


def opened_as(bench: Bench, account_id: str) -> list[Account]:
    """What units of work say an account is, the first that reads it and the next."""
    found = []
    for _ in range(2):
        with bench.store.unit_of_work() as work:
            found.append(work.ledger.account(account_id))
    return found


def test_a_unit_of_work_alone_commits_at_once(bench: Bench) -> None:
    with bench.store.unit_of_work() as work:
        add("a")(work)
    assert bench.commits == ["commit"]
    assert bench.committed("a")


def test_units_of_work_that_wait_share_one_commit(bench: Bench) -> None:
    """STO-11."""
    with held(bench, add("a")) as first:
        others = [Caller(bench.store, add(key)) for key in "bcd"]
        bench.await_waiting(3)
        assert not bench.committed("a")
    assert [caller.result() for caller in (first, *others)] == [None] * 4
    assert bench.commits == ["commit"]
    assert all(bench.committed(key) for key in "abcd")


def test_nobody_returns_before_the_common_commit(bench: Bench) -> None:
    """STO-11."""
    returned_before: list[bool] = []
    with held(bench, add("a")) as first:
        second = Caller(
            bench.store,
            lambda _: returned_before.append(bool(first.outcome) or bool(bench.commits)),
        )
        bench.await_waiting(1)
    assert (first.result(), second.result()) == (None, None)
    assert returned_before == [False]


def test_a_later_unit_sees_what_earlier_ones_of_the_group_wrote(bench: Bench) -> None:
    seen: list[bool] = []
    with held(bench, add("a")):
        second = Caller(bench.store, lambda work: seen.append(work.effects.has("a")))
        bench.await_waiting(1)
    assert second.result() is None
    assert seen == [True]


def test_a_unit_that_raises_is_undone_alone(bench: Bench) -> None:
    """STO-11."""
    with held(bench, add("a")) as first:
        wrong = Caller(bench.store, overdraw)
        bench.await_waiting(1)
        third = Caller(bench.store, add("c"))
        bench.await_waiting(2)
    assert first.result() is None
    assert third.result() is None
    assert isinstance(wrong.result(), InsufficientFunds)
    assert bench.commits == ["commit"]
    assert [bench.committed(key) for key in ("a", "undone", "c")] == [True, False, True]


def test_an_error_too_is_given_only_after_the_commit_of_what_it_saw(bench: Bench) -> None:
    """STO-11."""
    bench.fault = OSError("the disk is gone")
    with held(bench, add("a")) as first:
        wrong = Caller(bench.store, overdraw)
        bench.await_waiting(1)
    assert (first.result(), wrong.result()) == (bench.fault, bench.fault)


def test_a_commit_that_fails_fails_for_everybody_in_its_group(bench: Bench) -> None:
    """STO-11."""
    bench.fault = OSError("the disk is gone")
    with held(bench, add("a")) as first:
        others = [Caller(bench.store, add(key)) for key in "bc"]
        bench.await_waiting(2)
    assert [caller.result() for caller in (first, *others)] == [bench.fault] * 3
    bench.fault = None
    assert not any(bench.committed(key) for key in "abc")
    with bench.store.unit_of_work() as work:
        add("a")(work)
    assert bench.committed("a")


def test_the_balances_of_a_group_are_those_of_its_units_that_were_not_undone(bench: Bench) -> None:
    """STO-16."""
    seen: list[int] = []

    def pay(name: str) -> Callable[[UnitOfWork], None]:
        return lambda work: work.ledger.book(transfer(name, CASH, DEPOSIT, 100))

    def pay_in_vain(work: UnitOfWork) -> None:
        pay("in vain")(work)
        raise OSError

    def look(work: UnitOfWork) -> None:
        seen.append(work.ledger.balance(DEPOSIT.account_id).posted_credits)

    outcomes = one_behind_the_other(bench, pay("first"), pay_in_vain, pay("second"), look)
    assert [type(outcome) for outcome in outcomes] == [type(None), OSError, *[type(None)] * 2]
    assert (seen, bench.commits) == ([200], ["commit"])
    with bench.store.unit_of_work() as work:
        look(work)
    assert seen == [200, 200]


def test_an_account_of_a_group_whose_commit_failed_may_be_opened_as_another(bench: Bench) -> None:
    """STO-16: the unit behind the one that opened it had read it."""
    seen: list[Account] = []
    with held(bench, lambda work: work.ledger.open_account(OTHER)) as first:
        second = Caller(bench.store, lambda work: seen.append(work.ledger.account("deposit:bob")))
        bench.await_waiting(1)
        bench.fault = OSError("the disk is gone")
    assert [first.result(), second.result()] == [bench.fault] * 2
    assert seen == [OTHER]
    bench.fault = None
    with bench.store.unit_of_work() as work:
        work.ledger.open_account(OTHER_AGAIN)
    assert opened_as(bench, "deposit:bob") == [OTHER_AGAIN] * 2


def test_an_account_of_a_unit_undone_within_its_group_may_be_opened_as_another(
    bench: Bench,
) -> None:
    """STO-16."""

    def open_in_vain(work: UnitOfWork) -> None:
        work.ledger.open_account(OTHER)
        assert work.ledger.account("deposit:bob") == OTHER
        raise OSError

    first, wrong, third = one_behind_the_other(
        bench, add("a"), open_in_vain, lambda work: work.ledger.open_account(OTHER_AGAIN)
    )
    assert (first, third) == (None, None)
    assert isinstance(wrong, OSError)
    assert bench.commits == ["commit"]
    assert opened_as(bench, "deposit:bob") == [OTHER_AGAIN] * 2


def test_a_first_unit_that_raises_leaves_those_behind_it_a_transaction_of_their_own(
    bench: Bench,
) -> None:
    with held(bench, lambda _: None) as idle:
        wrong = Caller(bench.store, overdraw)
        bench.await_waiting(1)
    assert idle.result() is None
    assert isinstance(wrong.result(), InsufficientFunds)
    alone = Caller(bench.store, overdraw)
    assert isinstance(alone.result(), InsufficientFunds)
    good = Caller(bench.store, add("b"))
    assert good.result() is None
    assert [bench.committed(key) for key in ("undone", "b")] == [False, True]


def test_a_group_is_closed_by_its_age(bench: Bench) -> None:
    """STO-11."""
    with held(bench, add("a")) as first:
        second = Caller(bench.store, add("b"))
        bench.await_waiting(1)
        bench.now += GROUP_MILLISECONDS_MAX
    assert (first.result(), second.result()) == (None, None)
    assert bench.commits == ["commit", "commit"]


def test_a_group_is_closed_by_its_number(bench: Bench) -> None:
    """STO-11."""
    with held(bench, add("first")):
        others = [Caller(bench.store, add(f"{number}")) for number in range(GROUP_UNITS_MAX)]
        bench.await_waiting(GROUP_UNITS_MAX)
    assert [caller.result() for caller in others] == [None] * GROUP_UNITS_MAX
    assert bench.commits == ["commit", "commit"]


def test_listeners_hear_each_unit_that_added_effects_after_its_commit(bench: Bench) -> None:
    heard: list[tuple[str, bool]] = []
    bench.store.subscribe(
        lambda: heard.append((threading.current_thread().name, bool(bench.commits)))
    )
    with held(bench, add("a")) as first:
        quiet = Caller(bench.store, lambda _: None)
        wrong = Caller(bench.store, overdraw)
        second = Caller(bench.store, add("b"))
        bench.await_waiting(3)
    for caller in (first, quiet, wrong, second):
        caller.result()
    assert sorted(heard) == sorted([(first.name, True), (second.name, True)])


def test_a_refused_statement_that_somebody_caught_is_not_committed_over(bench: Bench) -> None:
    """PostgreSQL would answer the commit by rolling everything back, and call that no error."""

    def catch(work: UnitOfWork) -> None:
        work.effects.add(effect("half"))
        with pytest.raises(Exception, match=r"(?i)constraint"):
            work.ledger._connection.exec_driver_sql(
                "INSERT INTO credit_lines VALUES ('cash:EUR', 1, -1, 1)"
            )

    for caller in (Caller(bench.store, catch), _behind_another(bench, catch)):
        outcome = caller.result()
        assert outcome is None or isinstance(outcome, StatementRefused)
        assert bench.committed("half") == (outcome is None)


def _behind_another(bench: Bench, body: Callable[[UnitOfWork], None]) -> Caller:
    with held(bench, add("a")):
        caller = Caller(bench.store, body)
        bench.await_waiting(1)
    return caller


def test_processes_take_turns_and_readers_wait_for_none(databases: Databases) -> None:
    """STO-2."""
    here, there = open_store_at(databases.place()), Store.open(databases.place())
    bench = Bench(here, here._writer)
    with held(bench, add("a")) as first:
        second = Caller(there, add("b"))
        with there.reading() as work:
            assert not work.effects.has("a")
        assert second.is_alive()
    assert (first.result(), second.result()) == (None, None)
    with here.reading() as work:
        assert work.effects.has("b")
    here.close()
    there.close()


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_connection_that_is_lost_fails_its_group_and_the_next_one_begins_anew(
    databases: Databases, bench: Bench
) -> None:
    """STO-1."""
    with held(bench, add("a")) as first:
        second = Caller(bench.store, add("b"))
        bench.await_waiting(1)
        databases.lose_connections()
    assert isinstance(first.result(), StoreBusy)
    assert isinstance(second.result(), StoreBusy | type(None))
    again = Caller(bench.store, add("a"))
    assert again.result() is None
    assert bench.committed("a")


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_caught", [False, True])
def test_a_connection_lost_in_a_later_unit_fails_the_whole_group_as_passing(
    databases: Databases, bench: Bench, is_caught: bool
) -> None:
    """STO-1. Whatever noticed it first, and whether or not somebody caught that."""

    def lose(work: UnitOfWork) -> None:
        databases.lose_connections()
        with suppress(DBAPIError) if is_caught else nullcontext():
            work.connection.execute(text("SELECT 1"))

    with held(bench, add("a")) as first:
        second = Caller(bench.store, lose)
        bench.await_waiting(1)
    assert isinstance(second.result(), StoreBusy)
    assert isinstance(first.result(), StoreBusy)
    assert Caller(bench.store, add("b")).result() is None
    assert not bench.committed("a")
    assert bench.committed("b")


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_unit_that_stands_still_is_undone_and_holds_nobody_up_for_longer(
    databases: Databases, bench: Bench
) -> None:
    """STO-15. The server ends it; the time it gives is cut short here."""

    def stand_still(work: UnitOfWork) -> None:
        add("a")(work)
        session = work.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        work.connection.execute(text("SET idle_in_transaction_session_timeout = '50ms'"))
        with psycopg.connect(str(databases.place()), autocommit=True) as watcher:
            while watcher.execute(GOES_ON, [session]).fetchone():
                time.sleep(0.02)

    assert isinstance(Caller(bench.store, stand_still).result(), StoreBusy)
    assert Caller(bench.store, add("b")).result() is None
    assert not bench.committed("a")
    assert bench.committed("b")


def add_and_forget(key: str) -> Callable[[UnitOfWork], None]:
    """Add an effect, and have the server forget what is prepared, as by somebody else's hand."""

    def body(work: UnitOfWork) -> None:
        add(key)(work)
        settle(work.connection)
        driver: Any = work.connection.connection.dbapi_connection
        driver.execute("DEALLOCATE ALL")

    return body


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_unit_whose_savepoint_was_never_set_undoes_no_other(bench: Bench) -> None:
    """Nobody is told that what is undone was committed: the whole group fails, and may try again."""
    with held(bench, add("v")) as first:
        others = [Caller(bench.store, add(key)) for key in "wxyz"]
        bench.await_waiting(4)
    for caller in (first, *others):  # what a group needs is prepared from here on
        assert caller.result() is None
    with held(bench, add("a")) as first:
        forgotten, third_waits = threading.Event(), threading.Event()

        def forget(work: UnitOfWork) -> None:
            add_and_forget("b")(work)
            forgotten.set()
            assert third_waits.wait(SECONDS_MAX)

        second = Caller(bench.store, forget)
        bench.await_waiting(1)
    assert forgotten.wait(SECONDS_MAX)  # a third that came sooner might have gone first
    third = Caller(bench.store, add("c"))
    bench.await_waiting(1)
    third_waits.set()
    for caller in (first, second, third):
        assert isinstance(caller.result(), StoreBusy)
    assert not any(bench.committed(key) for key in "abc")
    assert Caller(bench.store, add("a")).result() is None
    assert bench.committed("a")


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_nothing_is_committed_without_a_transaction(bench: Bench) -> None:
    """A transaction could not begin, and somebody caught that and went on."""
    assert Caller(bench.store, add_and_forget("a")).result() is None

    def go_on(work: UnitOfWork) -> None:
        with pytest.raises(DBAPIError):
            work.effects.has("a")
        with pytest.raises(DBAPIError):
            work.connection.execute(text("UPDATE effects SET kind = 'changed'"))
        add("b")(work)

    assert isinstance(Caller(bench.store, go_on).result(), StoreBusy)
    assert not bench.committed("b")
    with bench.store.reading() as work:
        assert work.connection.execute(text("SELECT kind FROM effects")).scalars().all() == ["send"]
    assert Caller(bench.store, add("b")).result() is None
