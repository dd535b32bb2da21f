"""Accounts that are kept in memory: only what is committed, and never a credit limit.

Cites docs/spec/ledger.md: STO-16.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import AccountUnknown, InsufficientFunds, StoreBusy
from bridge.money import Amount
from bridge.store import Store
from bridge.store.known_accounts import KNOWN_MAX, KnownAccounts
from support.bridge_records import (
    CASH,
    DEPOSIT,
    DOLLARS,
    EUR,
    NOW,
    POSITION,
    SGD,
    open_store_at,
    transfer,
)
from support.databases import Databases

OTHER = replace(DEPOSIT, account_id="deposit:bob", owner="bob")
OTHER_IN_DOLLARS = replace(OTHER, currency=SGD, name="Bob, who moved")


class UndoneError(Exception):
    """Why a unit of work is undone."""


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    with closing(open_store_at(databases.place())) as opened:
        yield opened


def test_an_account_whose_opening_was_undone_may_be_opened_as_another(store: Store) -> None:
    with suppress(UndoneError), store.unit_of_work() as work:
        work.ledger.open_account(OTHER)
        assert work.ledger.balance(OTHER.account_id).account == OTHER
        raise UndoneError
    with store.unit_of_work() as work, pytest.raises(AccountUnknown):
        work.ledger.balance(OTHER.account_id)
    with store.unit_of_work() as work:
        work.ledger.open_account(OTHER_IN_DOLLARS)
    for _ in range(2):
        with store.unit_of_work() as work:
            assert work.ledger.balance(OTHER.account_id).account == OTHER_IN_DOLLARS
            assert work.ledger.balance(DOLLARS.account_id).account == DOLLARS


def test_an_account_that_was_undone_here_may_be_opened_as_another_elsewhere(
    databases: Databases,
) -> None:
    place = databases.place()
    with closing(open_store_at(place)) as here, closing(Store.open(place)) as elsewhere:
        with suppress(UndoneError), here.unit_of_work() as work:
            work.ledger.open_account(OTHER)
            assert work.ledger.account(OTHER.account_id) == OTHER
            raise UndoneError
        with elsewhere.unit_of_work() as work:
            work.ledger.open_account(OTHER_IN_DOLLARS)
        for _ in range(2):
            with here.unit_of_work() as work:
                assert work.ledger.account(OTHER.account_id) == OTHER_IN_DOLLARS


def test_a_reader_of_an_older_snapshot_does_not_see_an_account_that_another_knows(
    store: Store,
) -> None:
    with store.reading() as earlier:
        assert earlier.ledger.find_account(OTHER.account_id) is None
        with store.unit_of_work() as work:
            work.ledger.open_account(OTHER)
        with store.reading() as later:
            assert later.ledger.account(OTHER.account_id) == OTHER
        assert earlier.ledger.find_account(OTHER.account_id) is None


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_behind_a_new_connection_the_database_may_be_another(databases: Databases) -> None:
    """A standby that took over without the last commits: here they are undone by hand."""
    with closing(open_store_at(databases.place())) as store:
        with store.unit_of_work() as work:
            work.ledger.open_account(OTHER)
        with store.unit_of_work() as work:
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


def test_an_account_is_the_same_before_and_after_it_is_known(store: Store) -> None:
    with store.unit_of_work() as work:
        work.ledger.book(transfer("one", CASH, DEPOSIT, 500))
    for _ in range(3):
        with store.reading() as reading:
            balance = reading.ledger.balance(DEPOSIT.account_id)
        with store.unit_of_work() as work:
            assert work.ledger.balance(DEPOSIT.account_id) == balance
        assert (balance.account, balance.posted_credits, balance.version) == (DEPOSIT, 500, 1)


def test_a_credit_limit_that_another_process_sets_is_seen_at_once(databases: Databases) -> None:
    place = databases.place()
    with closing(open_store_at(place)) as here, closing(Store.open(place)) as elsewhere:
        with here.unit_of_work() as work:
            assert work.ledger.balance(DEPOSIT.account_id).account.credit_limit == 0
        owed = 0
        for limit in (300, 700, 250):
            with elsewhere.unit_of_work() as work:
                work.ledger.set_credit_limit(DEPOSIT.account_id, Amount(EUR, limit), NOW)
            with pytest.raises(InsufficientFunds), here.unit_of_work() as work:
                work.ledger.book(transfer("beyond", DEPOSIT, POSITION, limit - owed + 1))
            with here.unit_of_work() as work:
                work.ledger.book(transfer(f"up to {limit}", DEPOSIT, POSITION, 50))
            owed += 50
            with here.reading() as reading:
                assert reading.ledger.account(DEPOSIT.account_id).credit_limit == limit


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_of_an_account_that_is_known_only_its_standing_is_asked(store: Store) -> None:
    asked: list[str] = []
    with store.unit_of_work() as work:
        work.ledger.book(transfer("one", CASH, DEPOSIT, 500))
    with store.unit_of_work() as work:
        driver: Any = work.connection.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        work.ledger.book(transfer("two", CASH, DEPOSIT, 500))
        driver.set_trace_callback(None)
    queries = [statement for statement in asked if statement.startswith("SELECT")]
    assert queries
    assert not any("accounts.name" in query for query in queries)


def test_what_a_transaction_opened_is_kept_only_after_it() -> None:
    known = KnownAccounts()
    known.begin()
    known.open(OTHER.account_id)
    known.keep(OTHER)
    known.keep(CASH)
    assert known.find({OTHER.account_id, CASH.account_id}) is None
    assert known.find({CASH.account_id}) == {CASH.account_id: CASH}
    known.begin()
    known.keep(OTHER)
    assert known.find({OTHER.account_id, CASH.account_id}) is not None


def test_there_is_a_bound_to_how_many_are_kept() -> None:
    known = KnownAccounts()
    for number in range(KNOWN_MAX + 1):
        known.keep(replace(DEPOSIT, account_id=f"deposit:{number}"))
    assert known.find({"deposit:0"}) is None
    assert known.find({f"deposit:{KNOWN_MAX}"}) is not None
