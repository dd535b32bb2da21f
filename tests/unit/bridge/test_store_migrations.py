"""Migrations: they come to the declared tables, keep what is there, and refuse what they do not know.

Cites docs/spec/ledger.md: STO-3, 10, 15.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from bridge.config import DatabasePlace
from bridge.errors import StatementRefused, StoreBusy, StoreFormatUnknown
from bridge.ledger import Resolution
from bridge.store import Store
from bridge.store.engines import open_writer, translated
from bridge.store.migration import alembic_settings, migrate, newest_revision, upgrade
from bridge.store.tables import METADATA
from bridge.verification import verify_books
from support.databases import Databases

FIRST = "0001"
OLD_ROWS = [
    "INSERT INTO store_format VALUES (1, 1)",
    """INSERT INTO accounts VALUES
       ('cash:EUR', 'Cash', 'asset', 'EUR', false, NULL, NULL),
       ('equity:EUR', 'Equity', 'equity', 'EUR', false, NULL, NULL)""",
    """INSERT INTO balances VALUES
       ('cash:EUR', 0, 3, 9000000000, 100), ('equity:EUR', 3, 0, 100, 9000000000)""",
    """INSERT INTO entries (entry_id, kind, description, pending, payment_id, booked_at)
       VALUES ('opening:one', 'opening', 'opening balance', false, NULL, 1800000000)""",
    """INSERT INTO postings VALUES
       ('opening:one', 0, 'cash:EUR', 'debit', 9000000000),
       ('opening:one', 1, 'equity:EUR', 'credit', 9000000000)""",
    """INSERT INTO entries (entry_id, kind, description, pending, payment_id, booked_at) VALUES
       ('paid', 'payment', 'outgoing', true, 'pay_1', 1800000009),
       ('given up', 'payment', 'outgoing', true, 'pay_2', 1800000007),
       ('under way', 'payment', 'outgoing', true, 'pay_3', 1800000008)""",
    """INSERT INTO postings VALUES
       ('paid', 0, 'equity:EUR', 'debit', 100), ('paid', 1, 'cash:EUR', 'credit', 100),
       ('given up', 0, 'equity:EUR', 'debit', 20), ('given up', 1, 'cash:EUR', 'credit', 20),
       ('under way', 0, 'equity:EUR', 'debit', 3), ('under way', 1, 'cash:EUR', 'credit', 3)""",
    """INSERT INTO entry_resolutions VALUES
       ('paid', 'posted', 1800000005), ('given up', 'voided', 1800000020)""",
    "INSERT INTO checkpoint VALUES (1, 41, '41')",
]


@contextmanager
def written(place: DatabasePlace) -> Iterator[Connection]:
    """One transaction of a migration."""
    engine = open_writer(place, busy_seconds=1, migrates=True)
    try:
        with translated(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def described(connection: Connection) -> dict[str, Any]:
    """Everything a database says of its tables, in one order."""
    seen = inspect(connection)
    found: dict[str, Any] = {"triggers": sorted(triggers(connection))}
    for name in seen.get_table_names():
        found[name] = {
            "columns": [
                (each["name"], str(each["type"]), each["nullable"])
                for each in sorted(seen.get_columns(name), key=lambda each: each["name"])
            ],
            "key": seen.get_pk_constraint(name)["constrained_columns"],
            "references": sorted(
                (each["constrained_columns"], each["referred_table"], each["referred_columns"])
                for each in seen.get_foreign_keys(name)
            ),
            "unique": sorted(each["column_names"] for each in seen.get_unique_constraints(name)),
            "checks": sorted(each["sqltext"] for each in seen.get_check_constraints(name)),
            "indexes": sorted(
                (each["name"], each["column_names"], each["unique"], condition(each))
                for each in seen.get_indexes(name)
            ),
        }
    return found


def condition(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


def triggers(connection: Connection) -> list[str]:
    statement = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": """SELECT pg_get_triggerdef(oid) || tgenabled::text || pg_get_functiondef(tgfoid)
                         FROM pg_trigger WHERE NOT tgisinternal""",
    }[connection.dialect.name]
    return [re.sub(r"\s+", " ", each) for each in connection.execute(text(statement)).scalars()]


def at_first_revision(place: DatabasePlace) -> None:
    """A database as the first format left it, with rows in it."""
    with written(place) as connection:
        command.upgrade(alembic_settings(connection), FIRST)
        for statement in OLD_ROWS:
            connection.execute(text(statement))


def rows(place: DatabasePlace) -> dict[str, list[Any]]:
    kept = {
        "accounts": "account_id, name, account_type, currency, may_overdraw, owner",
        "entries": "sequence, entry_id, kind, description, pending, payment_id, booked_at",
        "postings": "entry_id, position, account_id, side, amount",
        "entry_resolutions": "entry_id, resolution, resolved_at",
        "checkpoint": "*",
    }
    with written(place) as connection:
        return {
            name: sorted(
                {tuple(row) for row in connection.execute(text(f"SELECT {columns} FROM {name}"))}  # noqa: S608
            )
            for name, columns in kept.items()
        }


def test_migrations_come_to_the_tables_as_they_are_declared(databases: Databases) -> None:
    """STO-10. Where this fails: scripts/make-migration drafts what is missing."""
    migrated, declared = databases.empty_place("migrated"), databases.place("declared")
    with written(migrated) as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        by_migrations = described(connection)
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
            with pytest.raises(OperationalError, match="may not be modified"):
                connection.execute(text("UPDATE sqlite_master SET sql = sql"))
    Store.open(declared).close()
    with written(declared) as connection:
        assert by_migrations == described(connection)


def test_a_new_database_has_the_newest_revision(databases: Databases) -> None:
    place = databases.empty_place()
    Store.open(place).close()
    assert migrate(place) == (newest_revision(), newest_revision())


@pytest.mark.parametrize("is_adopted", [False, True])
def test_a_migration_keeps_what_is_there(databases: Databases, is_adopted: bool) -> None:
    """STO-10."""
    place = databases.empty_place()
    at_first_revision(place)
    if is_adopted:
        with written(place) as connection:
            connection.execute(text("DROP TABLE alembic_version"))
    before = rows(place)
    with pytest.raises(StoreFormatUnknown, match="revision 0001"):
        Store.open(place)
    with pytest.raises(StoreFormatUnknown, match="revision 0001"):
        Store.open_read_only(place)
    assert migrate(place) == (FIRST, newest_revision())
    assert rows(place) == before
    with closing(Store.open(place)) as store, store.reading() as work:
        balance = work.ledger.balance("cash:EUR")
        assert balance.ledger.minor_units == 9_000_000_000 - 100
        assert balance.available.minor_units == 9_000_000_000 - 103
        assert (balance.version, balance.at) == (6, 1_800_000_020)
        assert work.ledger.entry("paid").resolution is Resolution.POSTED
        assert work.ledger.entry("given up").resolution is Resolution.VOIDED
        assert verify_books(store) == ()
    with pytest.raises(StatementRefused, match="immutable"), written(place) as connection:
        connection.execute(text("DELETE FROM postings"))


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_migration_on_a_slow_machine_is_given_more_time_than_a_unit_of_work(
    databases: Databases,
) -> None:
    """STO-10, 15."""
    allowed = text(
        "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
    )
    with written(databases.empty_place()) as connection:
        for_a_migration = connection.execute(allowed).scalar_one()
    with closing(Store.open(databases.place())) as store, store.unit_of_work() as work:
        for_a_unit = work.connection.execute(allowed).scalar_one()
    assert 0 < for_a_unit < for_a_migration


@pytest.mark.integration
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_a_migration_that_loses_its_connection_says_why(databases: Databases) -> None:
    """STO-1."""

    def lose_it() -> None:
        with written(databases.place()) as connection:
            connection.execute(text("SELECT 1"))  # the transaction has begun at the server
            databases.lose_connections()
            connection.execute(text("CREATE TABLE anything (one bigint)"))

    with pytest.raises(StoreBusy, match="terminating connection"):
        lose_it()


def test_a_bridge_migrates_at_its_start_only_when_it_is_told_to(databases: Databases) -> None:
    place = databases.empty_place()
    at_first_revision(place)
    with pytest.raises(StoreFormatUnknown):
        Store.open(place)
    Store.open(place, migrates=True).close()
    Store.open(place).close()


def test_another_revision_is_refused_by_name_and_left_alone(databases: Databases) -> None:
    """STO-3."""
    place = databases.empty_place()
    Store.open(place).close()
    with written(place) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for open_it in (Store.open, Store.open_read_only, migrate):
        with pytest.raises(StoreFormatUnknown, match="revision 9999"):
            open_it(place)


def test_a_later_format_without_revisions_is_refused_by_name(databases: Databases) -> None:
    """STO-3."""
    place = databases.empty_place()
    at_first_revision(place)
    with written(place) as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text("UPDATE store_format SET version = 2"))
    with pytest.raises(StoreFormatUnknown, match="revision format 2"):
        migrate(place)


def test_a_migration_that_fails_changes_nothing(databases: Databases) -> None:
    """STO-10."""
    place = databases.empty_place()
    at_first_revision(place)
    with written(place) as connection:
        connection.execute(text("CREATE TABLE leases (in_the_way INTEGER)"))
        before = described(connection)
    with pytest.raises(StatementRefused):
        migrate(place)
    with written(place) as connection:
        assert described(connection) == before
