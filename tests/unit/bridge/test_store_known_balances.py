"""Balances that a writer knows are those of its database: after what others write, and after what is undone.

Cites docs/spec/ledger.md: STO-16, LED-10.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import AccountUnknown, InsufficientFunds, StatementRefused, StoreBusy
from bridge.ledger import Balance
from bridge.money import Amount
from bridge.store import Store, UnitOfWork
from bridge.store.engines import translated
from bridge.store.gathering import settle
from bridge.store.known_balances import KnownBalances, known_balances
from support.bridge_records import (
    ACCOUNTS,
    CASH,
    DEPOSIT,
    EUR,
    FEES,
    NOW,
    POSITION,
    SGD,
    open_store_at,
    transfer,
)
from support.databases import Databases

OTHER = replace(DEPOSIT, account_id="deposit:bob", owner="bob")
OTHER_IN_DOLLARS = replace(OTHER, currency=SGD, name="Bob, who moved")
ACCOUNT_IDS = frozenset(account.account_id for account in ACCOUNTS)
ENOUGH_SECONDS = 0.2
"""For a thread to come to wait; a slower one sees the same."""
ONLY_SQLITE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


class UndoneError(Exception):
    """Why a unit of work is undone."""


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    with closing(open_store_at(databases.place())) as opened:
        yield opened


@pytest.fixture
def elsewhere(databases: Databases, store: Store) -> Iterator[Store]:  # noqa: ARG001 - it made it
    """Another process on the same database."""
    with closing(Store.open(databases.place())) as opened:
        yield opened


def pay(store: Store, entry_id: str, cents: int = 500) -> None:
    with store.unit_of_work() as work:
        work.ledger.book(transfer(entry_id, CASH, DEPOSIT, cents))


def stands(work: UnitOfWork) -> int:
    return work.ledger.balance(DEPOSIT.account_id).posted_credits


def assert_known_is_kept(work: UnitOfWork) -> None:
    """What the writer knows is what the database holds."""
    kept = {balance.account.account_id: balance for balance in work.ledger.balances()}
    assert {account_id: work.ledger.balance(account_id) for account_id in ACCOUNT_IDS} == kept


def known_of(work: UnitOfWork) -> dict[str, Balance]:
    return known_balances(work.connection).by_account


@contextmanager
def statements_of(work: UnitOfWork) -> Iterator[list[str]]:
    """What SQLite is asked inside."""
    driver: Any = work.connection.connection.dbapi_connection
    asked: list[str] = []
    driver.set_trace_callback(asked.append)
    try:
        yield asked
    finally:
        driver.set_trace_callback(None)


@ONLY_SQLITE
def test_a_booking_asks_for_no_balance_that_is_known(store: Store) -> None:
    pay(store, "one")
    with store.unit_of_work() as work, statements_of(work) as asked:
        work.ledger.book(transfer("two", CASH, DEPOSIT, 500))
    assert any(statement.startswith("INSERT INTO postings") for statement in asked)
    assert not any(statement.startswith("SELECT") for statement in asked)


@ONLY_SQLITE
def test_only_what_is_not_known_is_asked_for(store: Store) -> None:
    pay(store, "one")
    with store.unit_of_work() as work, statements_of(work) as asked:
        work.ledger.book(transfer("two", DEPOSIT, FEES, 100))
    (query,) = [statement for statement in asked if statement.startswith("SELECT")]
    assert FEES.account_id in query
    assert DEPOSIT.account_id not in query


def test_within_a_unit_of_work_balances_are_read_once(store: Store) -> None:
    with store.unit_of_work() as work:
        assert stands(work) == 0
        assert DEPOSIT.account_id in known_of(work)
        work.ledger.book(transfer("one", CASH, DEPOSIT, 500))
        assert stands(work) == 500


def test_what_another_process_booked_is_seen_at_once(store: Store, elsewhere: Store) -> None:
    for number in range(4):
        for writes, reads in ((store, elsewhere), (elsewhere, store)):
            pay(writes, f"{number} {writes is store}", 100)
            with reads.unit_of_work() as work:
                assert_known_is_kept(work)
    with store.unit_of_work() as work:
        assert stands(work) == 800


def test_a_credit_limit_that_another_process_sets_is_seen_at_once(
    store: Store, elsewhere: Store
) -> None:
    with store.unit_of_work() as work:
        assert work.ledger.account(DEPOSIT.account_id).credit_limit == 0
    owed = 0
    for limit in (300, 700, 250):
        with elsewhere.unit_of_work() as work:
            work.ledger.set_credit_limit(DEPOSIT.account_id, Amount(EUR, limit), NOW)
        with pytest.raises(InsufficientFunds), store.unit_of_work() as work:
            work.ledger.book(transfer("beyond", DEPOSIT, POSITION, limit - owed + 1))
        with store.unit_of_work() as work:
            work.ledger.book(transfer(f"up to {limit}", DEPOSIT, POSITION, 50))
        owed += 50
        with store.reading() as reading:
            assert reading.ledger.account(DEPOSIT.account_id).credit_limit == limit


def test_what_another_process_commits_while_a_unit_of_work_waits_for_it_is_seen(
    store: Store, elsewhere: Store
) -> None:
    """What others have written is asked for when they can write no more."""
    pay(store, "one")
    seen: list[tuple[int, int]] = []

    def look() -> None:
        with store.unit_of_work() as work:
            balance = work.ledger.balance(DEPOSIT.account_id)
            seen.append((balance.posted_credits, balance.account.credit_limit))

    waits = threading.Thread(target=look)
    with elsewhere.unit_of_work() as work:
        work.ledger.book(transfer("two", CASH, DEPOSIT, 500))
        work.ledger.set_credit_limit(DEPOSIT.account_id, Amount(EUR, 700), NOW)
        settle(work.connection)
        waits.start()
        time.sleep(ENOUGH_SECONDS)
    waits.join()
    assert seen == [(1_000, 700)]


def test_whoever_judges_the_books_reads_the_database(store: Store) -> None:
    pay(store, "one")
    with store.unit_of_work() as work:
        kept = work.ledger.balance(DEPOSIT.account_id)
        known_of(work)[DEPOSIT.account_id] = kept._replace(posted_credits=7)
        assert work.ledger.balance_anew(DEPOSIT.account_id) == kept
        assert work.ledger.balance(DEPOSIT.account_id) == kept
        with pytest.raises(AccountUnknown):
            work.ledger.balance_anew(OTHER.account_id)


def test_a_credit_limit_set_in_a_unit_of_work_holds_in_it(store: Store) -> None:
    with store.unit_of_work() as work:
        assert stands(work) == 0
        work.ledger.set_credit_limit(DEPOSIT.account_id, Amount(EUR, 300), NOW)
        work.ledger.book(transfer("owed", DEPOSIT, POSITION, 300))
        with pytest.raises(InsufficientFunds):
            work.ledger.book(transfer("beyond", DEPOSIT, POSITION, 1))


def _books(work: UnitOfWork) -> None:
    work.ledger.book(transfer("undone", CASH, DEPOSIT, 900))


def _reserves_and_posts(work: UnitOfWork) -> None:
    work.ledger.book(transfer("undone", DEPOSIT, POSITION, 100, pending=True))
    work.ledger.post("undone", NOW)


def _raises_a_limit(work: UnitOfWork) -> None:
    work.ledger.set_credit_limit(DEPOSIT.account_id, Amount(EUR, 10_000), NOW)
    work.ledger.book(transfer("undone", DEPOSIT, POSITION, 5_000))


def _opens(work: UnitOfWork) -> None:
    work.ledger.open_account(OTHER)
    work.ledger.book(transfer("undone", CASH, OTHER, 100))


@pytest.mark.parametrize("does", [_books, _reserves_and_posts, _raises_a_limit, _opens])
def test_what_was_undone_is_not_known(store: Store, does: Callable[[UnitOfWork], None]) -> None:
    pay(store, "one")
    with suppress(UndoneError), store.unit_of_work() as work:
        does(work)
        raise UndoneError
    for _ in range(2):
        with store.unit_of_work() as work:
            assert_known_is_kept(work)
            assert work.ledger.find_account(OTHER.account_id) is None


@ONLY_SQLITE
def test_after_a_booking_that_failed_half_way_a_unit_of_work_knows_what_was_added(
    store: Store,
) -> None:
    """Its first posting was added, which nobody may do; whoever goes on all the same finds it."""
    pay(store, "one")
    with suppress(UndoneError), store.unit_of_work() as work:
        known = known_of(work)
        known[DEPOSIT.account_id] = known[DEPOSIT.account_id]._replace(version=7)
        with pytest.raises(StatementRefused), translated():
            work.ledger.book(transfer("two", CASH, DEPOSIT, 500))
        assert_known_is_kept(work)
        raise UndoneError


@ONLY_SQLITE
def test_a_balance_that_is_wrong_in_memory_becomes_no_posting(store: Store) -> None:
    """LED-10: the database refuses what does not follow from the newest posting."""
    pay(store, "one")
    with store.unit_of_work() as work:
        known = known_of(work)
        known[DEPOSIT.account_id] = known[DEPOSIT.account_id]._replace(posted_credits=10_000)
    with pytest.raises(StatementRefused), store.unit_of_work() as work:
        work.ledger.book(transfer("two", DEPOSIT, POSITION, 9_000))
    pay(store, "three")
    with store.unit_of_work() as work:
        assert stands(work) == 1_000


def test_an_account_whose_opening_was_undone_may_be_opened_as_another(store: Store) -> None:
    with suppress(UndoneError), store.unit_of_work() as work:
        work.ledger.open_account(OTHER)
        assert work.ledger.balance(OTHER.account_id).account == OTHER
        raise UndoneError
    with store.unit_of_work() as work, pytest.raises(AccountUnknown):
        work.ledger.balance(OTHER.account_id)
    with store.unit_of_work() as work:
        work.ledger.open_account(OTHER_IN_DOLLARS)
    with store.unit_of_work() as work:
        assert work.ledger.account(OTHER.account_id) == OTHER_IN_DOLLARS


def test_an_account_that_was_undone_here_may_be_opened_as_another_elsewhere(
    store: Store, elsewhere: Store
) -> None:
    with suppress(UndoneError), store.unit_of_work() as work:
        work.ledger.open_account(OTHER)
        assert work.ledger.account(OTHER.account_id) == OTHER
        raise UndoneError
    with elsewhere.unit_of_work() as work:
        work.ledger.open_account(OTHER_IN_DOLLARS)
    with store.unit_of_work() as work:
        assert work.ledger.account(OTHER.account_id) == OTHER_IN_DOLLARS


def test_a_reader_sees_its_snapshot_whatever_a_writer_knows(store: Store) -> None:
    with store.reading() as earlier:
        assert stands(earlier) == 0
        pay(store, "one")
        with store.reading() as later:
            assert stands(later) == 500
            assert not known_of(later)
        assert stands(earlier) == 0
        assert earlier.ledger.balance(CASH.account_id).posted_debits == 0


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_behind_a_new_connection_the_database_may_be_another(
    databases: Databases, store: Store
) -> None:
    """A standby that took over without the last commits: here they are undone by hand."""
    with store.unit_of_work() as work:
        work.ledger.open_account(OTHER)
        assert work.ledger.account(OTHER.account_id) == OTHER
    databases.execute(
        "ALTER TABLE accounts DISABLE TRIGGER USER; DELETE FROM accounts WHERE owner = 'bob'"
    )
    databases.lose_connections()
    with suppress(StoreBusy), store.unit_of_work() as work:
        work.ledger.find_account(OTHER.account_id)
    with store.unit_of_work() as work:
        work.ledger.open_account(OTHER_IN_DOLLARS)
    with store.unit_of_work() as work:
        assert work.ledger.account(OTHER.account_id) == OTHER_IN_DOLLARS


@ONLY_SQLITE
def test_a_new_connection_knows_nothing(store: Store) -> None:
    pay(store, "one")

    def lose_it(work: UnitOfWork) -> None:
        assert known_of(work)
        work.connection.invalidate()
        raise UndoneError

    with pytest.raises(UndoneError), store.unit_of_work() as work:
        lose_it(work)
    with store.unit_of_work() as work:
        assert not known_of(work)
        assert_known_is_kept(work)


def test_there_is_a_bound_to_how_many_are_known(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one question asks for comes on top, and is answered whole."""
    monkeypatch.setattr("bridge.store.known_balances.KNOWN_MAX", 2)
    with store.unit_of_work() as work:
        for _ in range(2):
            for account in ACCOUNTS:
                assert work.ledger.account(account.account_id) == account
                assert len(known_of(work)) <= 2
        work.ledger.book(transfer("one", CASH, DEPOSIT, 500))
        work.ledger.book(transfer("two", DEPOSIT, FEES, 100))
        assert_known_is_kept(work)


def test_balances_are_known_from_one_transaction_to_the_next_only_where_nobody_wrote() -> None:
    known = KnownBalances()
    for writings, is_kept in ((1, False), (1, True), (2, False), (None, False), (None, False)):
        known.by_account["an account"] = Balance(DEPOSIT)
        known.begin(writings)
        assert bool(known.by_account) is is_kept
