"""Statements that the driver executes itself, on either database."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from bridge.errors import RecordConflict
from bridge.store import Remembered, Store, UnitOfWork, tables
from bridge.store.gathering import WAITING_MAX, control, gathering, settle, undo
from bridge.store.prepared import Prepared, PreparedInsert
from support.bridge_records import CASH, DEPOSIT, effect, transfer
from support.databases import Databases

ADD = PreparedInsert(tables.message_keys)
FIND = Prepared(
    select(tables.message_keys.c.wrapped).where(tables.message_keys.c.scope == bindparam("scope"))
)


def _row(scope: str) -> dict[str, object]:
    return {"scope": scope, "wrapped": scope.encode(), "destroyed_at": None}


@contextmanager
def opened(databases: Databases) -> Iterator[Store]:
    with closing(Store.open(databases.place())) as store:
        yield store


def test_what_is_added_one_by_one_or_many_at_once_is_found(databases: Databases) -> None:
    store = Store.open(databases.place())
    with store.unit_of_work() as work:
        ADD.add(work.connection, [_row("a")])
        ADD.add(work.connection, [_row("b"), _row("c")])
        found = [FIND.rows(work.connection, {"scope": scope}) for scope in ("a", "b", "c", "d")]
    assert found == [[(b"a",)], [(b"b",)], [(b"c",)], []]
    store.close()


def test_what_waits_is_bounded(databases: Databases) -> None:
    """Neither memory nor the server's patience are used up by a unit of work that asks for nothing."""
    with opened(databases) as store, store.unit_of_work() as work:
        kept = gathering(work.connection)
        for number in range(2 * WAITING_MAX):
            ADD.add(work.connection, [_row(str(number))])
            assert kept is None or len(kept.waiting) <= WAITING_MAX
        assert FIND.rows(work.connection, {"scope": "0"}) == [(b"0",)]
        last = str(2 * WAITING_MAX - 1)
        assert FIND.rows(work.connection, {"scope": last}) == [(last.encode(),)]


@pytest.mark.parametrize("count", [1, 3, 7, 50])
def test_any_number_of_rows_is_added_in_their_order(databases: Databases, count: int) -> None:
    with opened(databases) as store:
        with store.unit_of_work() as work:
            work.ledger.open_account(CASH)
            work.ledger.open_account(DEPOSIT)
        entries = [transfer(f"entry-{at}", CASH, DEPOSIT, 1) for at in range(count)]
        with store.unit_of_work() as work:
            work.ledger.book_many(entries)
        with store.reading() as work:
            page = work.ledger.entries(CASH.account_id, limit=count)
            assert work.ledger.balance(CASH.account_id).version == count
    assert [each.entry.entry_id for each in reversed(page.items)] == [
        each.entry_id for each in entries
    ]


# Changes that wait for each other: on SQLite they do not, and the outcome is the same


def test_of_gathered_changes_the_one_that_failed_is_named(databases: Databases) -> None:
    """An entry id used twice is told from everything that was sent with it."""
    with opened(databases) as store:
        with store.unit_of_work() as work:
            work.ledger.open_account(CASH)
            work.ledger.open_account(DEPOSIT)
            work.ledger.book(transfer("one", CASH, DEPOSIT, 1))

        def book_again() -> None:
            with store.unit_of_work() as work:
                work.effects.add(effect("before"))
                work.ledger.book(transfer("one", CASH, DEPOSIT, 2))
                work.effects.add(effect("after"))

        with pytest.raises(RecordConflict, match="journal entry"):
            book_again()
        with store.reading() as work:
            assert not work.effects.has("before")
            assert not work.effects.has("after")
            assert work.ledger.balance(CASH.account_id).version == 1


def test_a_conflict_is_found_though_nobody_asks_any_more(databases: Databases) -> None:
    answer = Remembered(bytes(32), 202, "{}")
    with opened(databases) as store:
        with store.unit_of_work() as work:
            work.idempotency.remember("alice", "key", answer)
            work.effects.add(effect("once"))

        def remember_again() -> None:
            with store.unit_of_work() as work:
                work.effects.add(effect("lost"))
                work.idempotency.remember("alice", "key", answer)

        with pytest.raises(RecordConflict, match="idempotency key"):
            remember_again()
        with pytest.raises(RecordConflict, match="effect"), store.unit_of_work() as work:
            work.effects.add(replace(effect("once"), payload={"key": "another"}))
        with store.reading() as work:
            assert not work.effects.has("lost")


def test_what_waits_is_there_for_whoever_reads_in_the_same_unit(databases: Databases) -> None:
    with opened(databases) as store, store.unit_of_work() as work:
        work.effects.add(effect("one"))
        assert work.effects.has("one")


def test_a_unit_that_fails_before_anything_was_sent_undoes_only_itself(
    databases: Databases,
) -> None:
    """Its savepoint too still waits then."""
    with opened(databases) as store:
        connection = store._writer._engine.connect()
        connection.begin()
        work = UnitOfWork(connection, None)
        work.effects.add(effect("kept"))
        settle(connection)
        control(connection, "SAVEPOINT unit")
        work.effects.add(effect("lost"))
        undo(connection, "unit")
        work.effects.add(effect("kept as well"))
        settle(connection)
        connection.commit()
        connection.close()
        with store.reading() as work:
            kept = {key: work.effects.has(key) for key in ("kept", "lost", "kept as well")}
    assert kept == {"kept": True, "lost": False, "kept as well": True}


def test_nothing_of_one_transaction_waits_for_the_next(databases: Databases) -> None:
    with opened(databases) as store:
        with suppress(ZeroDivisionError), store.unit_of_work() as work:
            work.effects.add(effect("lost"))
            _ = 1 // 0
        with store.unit_of_work() as work:
            work.effects.add(effect("kept"))
        with store.reading() as work:
            assert not work.effects.has("lost")
            assert work.effects.has("kept")


def test_the_drivers_errors_are_those_of_sqlalchemy(databases: Databases) -> None:
    store = Store.open(databases.place())

    def add_twice() -> None:
        with store.unit_of_work() as work:
            ADD.add(work.connection, [_row("a"), _row("b"), _row("a")])

    with pytest.raises(Exception, match="refuses") as caught:
        add_twice()
    assert isinstance(caught.value.__cause__, IntegrityError)
    store.close()


def test_a_failure_among_gathered_changes_leaves_no_statement_half_prepared(
    databases: Databases,
) -> None:
    """A statement that stood behind the one that failed is executed again, as if for the first time."""
    with opened(databases) as store:
        connection = store._writer._engine.connect()
        connection.begin()
        control(connection, "SAVEPOINT unit")
        undo(connection, "unit")
        for at in range(5):  # with the next one the driver prepares it
            ADD.add(connection, [_row(f"early-{at}")])
            settle(connection)
        control(connection, "SAVEPOINT unit")

        def fail() -> None:
            first = {"one": 1, "number": 0, "hash": bytes(32)}
            for _ in range(2):
                PreparedInsert(tables.checkpoint).add(connection, [first])
            ADD.add(connection, [_row("lost")])
            settle(connection)

        with pytest.raises(IntegrityError):
            fail()
        undo(connection, "unit")
        for name in ("kept", "kept as well"):
            ADD.add(connection, [_row(name)])
            settle(connection)
        found = [FIND.rows(connection, {"scope": each}) for each in ("early-4", "lost", "kept")]
        connection.commit()
        connection.close()
    assert found == [[(b"early-4",)], [], [(b"kept",)]]
