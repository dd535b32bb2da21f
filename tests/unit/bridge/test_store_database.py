"""The database itself: units of work, immutability, format, threads."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.pool import QueuePool

from bridge.errors import (
    AccountUnknown,
    CursorInvalid,
    DatabaseUnsafe,
    EntryResolved,
    InsufficientFunds,
    RecordConflict,
    RecordMissing,
    StatementRefused,
    StoreBusy,
    StoreFormatUnknown,
    UnitOfWorkNested,
)
from bridge.ledger import Account, AccountType, Resolution
from bridge.store import PAGE_MAX, Store
from bridge.store.engines import READERS_KEPT, open_readers
from local_network.postgres import PostgresServer
from support.bridge_records import (
    ACCOUNTS,
    CASH,
    DEPOSIT,
    NOW,
    effect,
    euros,
    open_store_at,
    transfer,
)
from support.databases import TEMPLATE, Databases, running_server


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    opened = open_store_at(databases.place())
    yield opened
    opened.close()


def book(store: Store, *ids: str, pending: bool = False) -> None:
    with store.unit_of_work() as work:
        for entry_id in ids:
            work.ledger.book(transfer(entry_id, CASH, DEPOSIT, 100, pending=pending))


def ledger_balance(store: Store, account: Account) -> int:
    with store.reading() as work:
        return work.ledger.balance(account.account_id).ledger.minor_units


# The unit of work


def test_a_unit_of_work_commits_everything_at_its_end(store: Store) -> None:
    """STO-1."""
    book(store, "one", "two")
    assert ledger_balance(store, DEPOSIT) == 200


def test_an_error_rolls_the_whole_unit_of_work_back(store: Store) -> None:
    """STO-1."""

    def book_good_and_bad() -> None:
        with store.unit_of_work() as work:
            work.ledger.book(transfer("good", CASH, DEPOSIT, 100))
            work.effects.add(effect("good"))
            work.ledger.book(transfer("bad", DEPOSIT, CASH, 101))

    with pytest.raises(InsufficientFunds):
        book_good_and_bad()
    assert ledger_balance(store, DEPOSIT) == 0
    with store.reading() as work:
        assert not work.effects.has("good")
        assert work.ledger.find_entry("good") is None


def test_what_was_committed_is_there_after_the_store_is_opened_again(
    store: Store, databases: Databases
) -> None:
    """STO-1."""
    book(store, "one")
    store.close()
    again = Store.open(databases.place())
    assert ledger_balance(again, DEPOSIT) == 100
    again.close()


def test_a_unit_of_work_inside_another_is_refused_instead_of_waiting_for_itself(
    store: Store,
) -> None:
    """STO-2."""
    with store.unit_of_work(), pytest.raises(UnitOfWorkNested), store.unit_of_work():
        pass
    book(store, "afterwards")


def test_a_reader_does_not_see_what_is_not_committed_and_does_not_wait(store: Store) -> None:
    """STO-2."""
    with store.unit_of_work() as work:
        work.ledger.book(transfer("one", CASH, DEPOSIT, 100))
        assert ledger_balance(store, DEPOSIT) == 0
    assert ledger_balance(store, DEPOSIT) == 100


def test_reading_cannot_write(store: Store) -> None:
    """STO-2."""
    with pytest.raises(StatementRefused), store.reading() as work:
        work.ledger.book(transfer("one", CASH, DEPOSIT, 100))


def test_threads_write_one_after_the_other(store: Store) -> None:
    """STO-2."""
    threads = [
        threading.Thread(target=book, args=(store, f"{number}-a", f"{number}-b"))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger_balance(store, DEPOSIT) == 1_600


@pytest.mark.usefixtures("store")
def test_another_process_that_holds_the_database_makes_it_busy(databases: Databases) -> None:
    impatient = Store.open(databases.place(), busy_seconds=0)
    other = Store.open(databases.place())
    with other.unit_of_work() as work:
        assert work.ledger.accounts()
        with pytest.raises(StoreBusy):
            book(impatient, "one")
    book(impatient, "one")
    other.close()
    impatient.close()


def test_listeners_hear_of_commits_that_added_effects_and_of_no_others(store: Store) -> None:
    heard: list[str] = []
    store.subscribe(lambda: heard.append("effects"))
    book(store, "no effect")
    with suppress(ZeroDivisionError), store.unit_of_work() as work:
        work.effects.add(effect("rolled back"))
        _ = 1 // 0
    assert heard == []
    with store.unit_of_work() as work:
        work.effects.add(effect("kept"))
        assert heard == []
    assert heard == ["effects"]


# Revisions (STO-3; the rest stands in test_store_migrations.py)


def test_a_sqlite_database_is_durable_and_checks_its_references(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "bridge.sqlite")
    with store._writer._engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    store.close()


@pytest.mark.integration
@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_a_server_that_confirms_too_early_is_refused(
    postgresql: PostgresServer, value: str
) -> None:
    """STO-9."""
    with postgresql.database(TEMPLATE) as place:
        name = place.partition("@/")[2].partition("?")[0]
        postgresql.execute(f"ALTER DATABASE {name} SET synchronous_commit = {value}")
        with pytest.raises(DatabaseUnsafe, match=f"synchronous_commit = {value}"):
            Store.open(place)


@pytest.mark.integration
def test_what_was_confirmed_survives_a_server_that_is_killed() -> None:
    """STO-1, 9."""
    with running_server() as server, server.database(TEMPLATE) as place:
        store = open_store_at(place)
        book(store, "one", "two")
        server.stop("immediate")
        with pytest.raises(StoreBusy):
            book(store, "never")
        server.start()
        assert ledger_balance(store, DEPOSIT) == 200
        book(store, "three")
        assert ledger_balance(store, DEPOSIT) == 300
        store.close()


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """STO-3."""
    with sqlite3.connect(tmp_path / "foreign.sqlite") as connection:
        connection.execute("CREATE TABLE something (one INTEGER)")
    connection.close()
    with pytest.raises(StoreFormatUnknown):
        Store.open(tmp_path / "foreign.sqlite")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to look at" * 40)
    with pytest.raises(StatementRefused):
        Store.open(tmp_path / "text.sqlite")


def test_a_read_only_store_reads_what_another_process_writes(
    store: Store, databases: Databases
) -> None:
    book(store, "one")
    reader = Store.open_read_only(databases.place())
    assert ledger_balance(reader, DEPOSIT) == 100
    with pytest.raises(StatementRefused):
        book(reader, "two")
    book(store, "three")
    assert ledger_balance(reader, DEPOSIT) == 200
    reader.close()


def test_a_read_only_store_waits_for_the_tables(databases: Databases) -> None:
    with pytest.raises(StoreBusy):
        Store.open_read_only(databases.empty_place())


def test_a_read_only_store_waits_for_its_file(tmp_path: Path) -> None:
    with pytest.raises(StoreBusy):
        Store.open_read_only(tmp_path / "missing.sqlite")


# Raw SQL attacks (LED-10)

NEXT_POSTING = """INSERT INTO postings (entry_id, step, position, account_id, side, amount, change,
    at, version, pending_debits, pending_credits, posted_debits, posted_credits)
    VALUES ('one', 0, {position}, 'cash:EUR', '{side}', {amount}, '{change}', {at}, {version}, {balances})"""

RIGHT = {
    "position": 9,
    "side": "debit",
    "amount": 5,
    "change": "posted",
    "at": NOW,
    "version": 5,
    "balances": "100, 0, 205, 0",
}
"""A posting that would follow: cash has had four movements of 100 each."""

FIRST_POSTING = """INSERT INTO postings (entry_id, step, position, account_id, side, amount, change,
    version, at, pending_debits, pending_credits, posted_debits, posted_credits)
    VALUES ('one', 0, 8, 'custody:EUR', 'debit', 7, 'posted', {})"""
FIRST = "1, 7, 0, 0, 7, 0"
"""What would be the first of an account without any."""

ATTACKS = [
    "UPDATE entries SET description = 'forged'",
    "DELETE FROM entries",
    "UPDATE postings SET amount = amount * 2",
    "UPDATE postings SET posted_debits = posted_debits * 2",
    "UPDATE postings SET version = version + 10",
    "DELETE FROM postings",
    "UPDATE entry_resolutions SET resolution = 'voided'",
    NEXT_POSTING.format(**RIGHT | {"amount": 0, "balances": "100, 0, 200, 0"}),
    NEXT_POSTING.format(**RIGHT | {"side": "left"}),
    NEXT_POSTING.format(**RIGHT | {"change": "forged"}),
    NEXT_POSTING.format(**RIGHT | {"version": 6}),
    NEXT_POSTING.format(**RIGHT | {"version": 4}),
    NEXT_POSTING.format(**RIGHT | {"version": 0}),
    NEXT_POSTING.format(**RIGHT | {"balances": "100, 0, 206, 0"}),
    NEXT_POSTING.format(**RIGHT | {"balances": "100, 0, 205, 1"}),
    NEXT_POSTING.format(**RIGHT | {"balances": "95, 0, 205, 0"}),
    NEXT_POSTING.format(**RIGHT | {"at": NOW - 1}),
    FIRST_POSTING.format("3, 7, 0, 0, 7, 0"),
    FIRST_POSTING.format(f"2, {NOW}, 0, 0, 107, 0"),  # after the one of cash
    FIRST_POSTING.format("1, -1, 0, 0, 7, 0"),
    FIRST_POSTING.format("1, 7, 0, 0, 8, 0"),
    FIRST_POSTING.format("1, 7, 0, 0, 7, 1"),
    FIRST_POSTING.format("1, 7, 7, 0, 7, 0"),
    "UPDATE entry_resolutions SET resolution = 'voided'",
    "DELETE FROM entry_resolutions",
    "INSERT INTO entry_resolutions VALUES ('held', 2, 'voided', true, 2)",
    "INSERT INTO entry_resolutions VALUES ('other', 1, 'lost', true, 2)",
    "INSERT INTO entry_resolutions VALUES ('other', 1, 'voided', false, 2)",
    "UPDATE accounts SET may_overdraw = true",
    "DELETE FROM accounts WHERE account_id = 'custody:EUR'",
    "UPDATE credit_lines SET credit_limit = 1000000",
    "DELETE FROM credit_lines",
    "INSERT INTO credit_lines VALUES ('deposit:alice', 3, 1000000, 1)",
]

SQLITE_ATTACKS = [
    "INSERT OR REPLACE INTO entries SELECT * FROM entries",
    """REPLACE INTO entries (sequence, entry_id, kind, description, pending, booked_at)
       VALUES (99, 'one', 'test', 'forged', 0, 1)""",
    "INSERT OR REPLACE INTO postings SELECT * FROM postings",
    "INSERT OR REPLACE INTO entry_resolutions VALUES ('held', 1, 'voided', 1, 2)",
    "INSERT OR REPLACE INTO accounts SELECT * FROM accounts",
    "INSERT OR REPLACE INTO credit_lines VALUES ('deposit:alice', 1, 1000000, 1)",
    NEXT_POSTING.format(**RIGHT | {"amount": 5.5, "balances": "100, 0, 205.5, 0"}),
    NEXT_POSTING.format(**RIGHT | {"position": "'ninth'"}),
    NEXT_POSTING.format(**RIGHT | {"version": "'5th'"}),
    NEXT_POSTING.format(**RIGHT | {"at": "'tomorrow'"}),
    NEXT_POSTING.format(**RIGHT | {"balances": "'100 euros', 0, 205, 0"}),
    NEXT_POSTING.format(**RIGHT | {"balances": "100, 0, '205 euros', 0"}),
    "INSERT INTO entry_resolutions VALUES ('other', 'once', 'voided', 1, 2)",
    "INSERT INTO entry_resolutions VALUES ('other', 1, 'voided', 1, 'today')",
    "INSERT INTO credit_lines VALUES ('deposit:alice', 2, 'unlimited', 1)",
]

POSTGRESQL_ATTACKS = [
    "DELETE FROM chain_events",
    "TRUNCATE entry_resolutions",
    "TRUNCATE entries CASCADE",
    "TRUNCATE chain_events",
    """INSERT INTO entries (entry_id, kind, description, pending, booked_at)
       VALUES ('one', 'test', 'forged', false, 1)
       ON CONFLICT (entry_id) DO UPDATE SET description = 'forged'""",
    """MERGE INTO postings USING entries ON postings.entry_id = entries.entry_id
       WHEN MATCHED THEN DELETE""",
    "SET session_replication_role = replica; UPDATE entries SET description = 'forged'",
]


def check_refused(store: Store, databases: Databases, statement: str) -> None:
    book(store, "one")
    book(store, "held", "other", pending=True)
    with store.unit_of_work() as work:
        work.ledger.post("held", NOW)
        work.ledger.set_credit_limit(DEPOSIT.account_id, euros(1), NOW)
    before = databases.dump()
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        databases.execute(statement)
    assert databases.dump() == before


@pytest.mark.parametrize("statement", ATTACKS)
def test_raw_sql_cannot_change_what_was_booked(
    store: Store, databases: Databases, statement: str
) -> None:
    """LED-10."""
    check_refused(store, databases, statement)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", SQLITE_ATTACKS)
def test_what_only_sqlite_has_cannot_either(
    store: Store, databases: Databases, statement: str
) -> None:
    """LED-10."""
    check_refused(store, databases, statement)


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", POSTGRESQL_ATTACKS)
def test_what_only_postgresql_has_cannot_either(
    store: Store, databases: Databases, statement: str
) -> None:
    """LED-10."""
    check_refused(store, databases, statement)


def test_the_posting_that_the_attacks_spoil_would_be_taken(
    store: Store, databases: Databases
) -> None:
    """LED-10: each attack above fails for what it changes, not for anything else."""
    book(store, "one")
    book(store, "held", "other", pending=True)
    with store.unit_of_work() as work:
        work.ledger.post("held", NOW)
    databases.execute(NEXT_POSTING.format(**RIGHT))
    databases.execute(FIRST_POSTING.format(FIRST))


# The ledger book


def test_opening_an_account_twice_is_the_same_as_once(store: Store) -> None:
    """STO-4."""
    with store.unit_of_work() as work:
        work.ledger.open_account(CASH)
        with pytest.raises(RecordConflict):
            work.ledger.open_account(
                Account(CASH.account_id, "Other", AccountType.ASSET, CASH.currency)
            )
        assert work.ledger.accounts() == tuple(sorted(ACCOUNTS, key=lambda each: each.account_id))
        assert work.ledger.accounts(owner="alice") == (DEPOSIT,)
        assert work.ledger.account(CASH.account_id) == CASH


def test_an_account_nobody_opened_is_unknown(store: Store) -> None:
    stranger = Account("stranger", "Stranger", AccountType.ASSET, CASH.currency)
    with store.unit_of_work() as work:
        with pytest.raises(AccountUnknown):
            work.ledger.account("stranger")
        with pytest.raises(AccountUnknown):
            work.ledger.balance("stranger")
        with pytest.raises(AccountUnknown):
            work.ledger.book(transfer("one", CASH, stranger, 1))


def test_an_entry_comes_back_as_it_was_booked(store: Store) -> None:
    entry = transfer("held", CASH, DEPOSIT, 100, pending=True)
    with store.unit_of_work() as work:
        work.ledger.book(entry)
        booked = work.ledger.entry("held")
        assert (booked.entry, booked.resolution) == (entry, None)
        work.ledger.void("held", NOW + 5)
        booked = work.ledger.entry("held")
        assert booked.entry == entry
        assert (booked.resolution, booked.resolved_at) == (Resolution.VOIDED, NOW + 5)


def test_an_entry_id_is_used_once(store: Store) -> None:
    """LED-9."""
    book(store, "one")
    with pytest.raises(RecordConflict):
        book(store, "one")


def test_a_pending_entry_is_resolved_once_in_the_database_too(store: Store) -> None:
    """LED-8."""
    book(store, "held", pending=True)
    with store.unit_of_work() as work:
        work.ledger.post("held", NOW)
    for step in ("post", "void"):
        with pytest.raises(EntryResolved), store.unit_of_work() as work:
            getattr(work.ledger, step)("held", NOW)
    with pytest.raises(RecordMissing), store.unit_of_work() as work:
        work.ledger.void("never booked", NOW)
    assert ledger_balance(store, DEPOSIT) == 100


def test_the_entries_of_an_account_are_paged_newest_first(store: Store) -> None:
    """STO-8."""
    book(store, *[f"entry-{number}" for number in range(5)])
    seen: list[str] = []
    cursor = None
    with store.reading() as work:
        while True:
            page = work.ledger.entries(CASH.account_id, limit=2, cursor=cursor)
            seen += [booked.entry.entry_id for booked in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert seen == [f"entry-{number}" for number in reversed(range(5))]


@pytest.mark.parametrize(
    ("limit", "cursor"), [(0, None), (PAGE_MAX + 1, None), (1, "x"), (1, "-1"), (1, "9" * 30)]
)
def test_a_page_nobody_gave_out_is_refused(store: Store, limit: int, cursor: str | None) -> None:
    """STO-8."""
    with pytest.raises(CursorInvalid), store.reading() as work:
        work.ledger.entries(CASH.account_id, limit=limit, cursor=cursor)


def test_a_new_database_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store.open(tmp_path / "new" / "bridge.sqlite")
        with store.unit_of_work() as work:
            work.effects.add(effect("a"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert "bridge.sqlite-wal" in modes
    assert set(modes.values()) == {0o600}


def test_of_a_crowd_of_readers_few_connections_stay_open(databases: Databases) -> None:
    readers = open_readers(databases.place())
    with ExitStack() as crowd:
        for _ in range(READERS_KEPT + 8):
            crowd.enter_context(readers.connect())
    pool = readers.pool
    assert isinstance(pool, QueuePool)
    assert (pool.checkedin(), pool.checkedout()) == (READERS_KEPT, 0)
    readers.dispose()
