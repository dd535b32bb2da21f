"""Statements that the driver executes itself, on either database."""

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from bridge.store import Store, tables
from bridge.store.prepared import Prepared, prepared_insert
from support.databases import Databases

ADD = prepared_insert(tables.message_keys)
FIND = Prepared(
    select(tables.message_keys.c.wrapped).where(tables.message_keys.c.scope == bindparam("scope"))
)


def _row(scope: str) -> dict[str, object]:
    return {"scope": scope, "wrapped": scope.encode(), "destroyed_at": None}


def test_what_is_added_one_by_one_or_many_at_once_is_found(databases: Databases) -> None:
    store = Store.open(databases.place())
    with store.unit_of_work() as work:
        connection = work.ledger._connection
        assert ADD.run(connection, _row("a")) == 1
        ADD.run_all(connection, [_row("b"), _row("c")])
        found = [FIND.rows(connection, {"scope": scope}) for scope in ("a", "b", "c", "d")]
    assert found == [[(b"a",)], [(b"b",)], [(b"c",)], []]
    store.close()


def test_the_drivers_errors_are_those_of_sqlalchemy(databases: Databases) -> None:
    store = Store.open(databases.place())

    def add_twice() -> None:
        with store.unit_of_work() as work:
            ADD.run_all(work.ledger._connection, [_row("a"), _row("b"), _row("a")])

    with pytest.raises(Exception, match="refuses") as caught:
        add_twice()
    assert isinstance(caught.value.__cause__, IntegrityError)
    store.close()
