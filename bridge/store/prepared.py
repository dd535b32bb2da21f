"""Statements of the hot paths: their text is made once for each kind of database, and the driver executes it.

SQLAlchemy says what a statement means; its compiler and its processing of parameters and results, for
every single execution, take several times as long as SQLite takes to do the work. What a prepared
statement is given, and what it answers, are the driver's own values: SQLite answers 0 and 1 where a
column is a boolean. Its errors are SQLAlchemy's, as everywhere else.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    literal,
)
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.gathering import Change, add, execute, execute_now, gathering, shown

Given: TypeAlias = Mapping[str, Any]
"""Values by the names of a statement's parameters, of types that the driver takes as they are."""

_ROWS_AT_ONCE: Final = (32, 8, 4, 2, 1)
"""How many rows a statement that gathers them adds: one for each number would be prepared too often."""

_NAMED: Final = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement in the words of one kind of database, and how its parameters are handed over."""

    text: str
    constants: dict[str, Any]
    arrange: Callable[[Given], tuple[Any, ...]]

    def parameters(self, given: Given) -> tuple[Any, ...]:
        return self.arrange({**self.constants, **given} if self.constants else given)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that is executed often; on PostgreSQL it may have to be put in another way."""

    statement: Select[Any] | Insert | Update | Delete
    on_postgresql: Select[Any] | Insert | None = None
    _text_by_dialect: dict[str, _Text] = field(default_factory=dict)

    def rows(self, connection: Connection, given: Given) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return self._execute(connection, given).fetchall()  # type: ignore[no-any-return]

    def changed(self, connection: Connection, given: Given) -> int:
        """Make a change now; the number of rows that it changed."""
        return self._execute(connection, given).rowcount  # type: ignore[no-any-return]

    def change(
        self,
        connection: Connection,
        given: Given,
        then: Callable[[int], None],
        refused: Callable[[], BaseException] | None = None,
    ) -> None:
        """Make a change, and give `then` the number of rows that it changed.

        Where changes are gathered both wait for what is executed next, or for the end of the unit of
        work, and so do their errors; `refused` makes the one of a row that breaks the table's rules.
        """
        text, kept = self._text(connection.dialect), gathering(connection)
        parameters = text.parameters(given)
        if kept is None:
            then(execute_now(connection, text.text, parameters, refused).rowcount)
        else:
            add(connection, kept, (Change(text.text, parameters, then, refused),))

    def add_unless_known(
        self,
        connection: Connection,
        row: Given,
        known: Callable[[], None],
        added: Callable[[], None] | None = None,
    ) -> None:
        """Change at most one row, as `change` does; `known` is called if it was none, else `added`."""

        def report(count: int) -> None:
            if count == 0:
                known()
            elif added is not None:
                added()

        self.change(connection, row, report)

    def _execute(self, connection: Connection, given: Given) -> Any:  # the driver's cursor
        text = self._text(connection.dialect)
        return execute(connection, text.text, text.parameters(given))

    def _text(self, dialect: Dialect) -> _Text:
        found = self._text_by_dialect.get(dialect.name)
        if found is None:
            other = self.on_postgresql if dialect.name == "postgresql" else None
            statement = self.statement if other is None else other
            found = self._text_by_dialect[dialect.name] = _compiled(statement, dialect)
        return found


def one_of(column: Column[str], values: Iterable[str]) -> ColumnElement[bool]:
    """That a column has one of these values, of which there is at least one; they are the statement's own."""
    return column.in_([literal(value) for value in sorted(values)])


def unless_known(table: Table, *key: str, empty: Collection[str] = ()) -> Prepared:
    """The adding of one row, of which every column is given but a key that counts up by itself, and what
    is `empty` at first; nothing happens when there is one with the same `key`, which is unique: the row
    count tells.
    """
    names = [name for name in _given(table) if name not in empty]
    row: dict[str, Any] = {name: bindparam(name) for name in names}
    return Prepared(
        sqlite.insert(table).values(row).on_conflict_do_nothing(index_elements=key),
        postgresql.insert(table).values(row).on_conflict_do_nothing(index_elements=key),
    )


@dataclass(frozen=True, slots=True)
class PreparedInsert:
    """The adding of rows to a table, of which every column is given but a key that counts up by itself."""

    table: Table
    _text_by_kind: dict[tuple[str, int], _Text] = field(default_factory=dict)

    def add(
        self,
        connection: Connection,
        rows: Sequence[Given],
        refused: Callable[[], BaseException] | None = None,
    ) -> None:
        """Add rows in their order.

        Where changes are gathered they wait for what is executed next, or for the end of the unit of
        work, and so does their error; `refused` makes the one of a row that breaks the table's rules.
        """
        kept = gathering(connection)
        if kept is not None:
            add(connection, kept, self._gathered(connection.dialect, rows, refused))
            return
        text = self._text(connection.dialect, 1)
        if len(rows) == 1:
            execute_now(connection, text.text, text.parameters(rows[0]), refused)
            return
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.executemany(text.text, map(text.parameters, rows))
        except connection.dialect.loaded_dbapi.Error as error:
            raise shown(error, connection, Change(text.text, refused=refused)) from error

    def _gathered(
        self,
        dialect: Dialect,
        rows: Sequence[Given],
        refused: Callable[[], BaseException] | None,
    ) -> Iterator[Change]:
        start = 0
        while start < len(rows):
            size = next(size for size in _ROWS_AT_ONCE if size <= len(rows) - start)
            text = self._text(dialect, size)
            values = sum((text.parameters(row) for row in rows[start : start + size]), ())
            yield Change(text.text, values, refused=refused)
            start += size

    def _text(self, dialect: Dialect, size: int) -> _Text:
        found = self._text_by_kind.get((dialect.name, size))
        if found is None:
            found = self._text_by_kind[dialect.name, size] = self._compiled(dialect, size)
        return found

    def _compiled(self, dialect: Dialect, size: int) -> _Text:
        """The statement for so many rows; its parameters are those of one row, for each of them."""
        names = _given(self.table)
        row: dict[str, Any] = {name: bindparam(name) for name in names}
        if size == 1:
            return _compiled(insert(self.table).values(row), dialect)
        many: list[dict[str, Any]] = [
            {name: bindparam(f"{name}_{at}") for name in names} for at in range(size)
        ]
        text = _compiled(insert(self.table).values(many), dialect).text
        return _Text(text, {}, _picker(names))


def _given(table: Table) -> tuple[str, ...]:
    """The columns of a row that is added, without a key that counts up by itself."""
    return tuple(each.name for each in table.columns if each.autoincrement is not True)


def _compiled(statement: Any, dialect: Dialect) -> _Text:
    compiled: Any = statement.compile(dialect=dialect)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    text = str(compiled)
    if compiled.positional:
        return _Text(text, constants, _picker(tuple(compiled.positiontup)))
    names = tuple(_NAMED.findall(text))
    return _Text(_NAMED.sub("%s", text), constants, _picker(names))


def _picker(names: tuple[str, ...]) -> Callable[[Given], tuple[Any, ...]]:
    """What puts named values into an order; one name and none give a tuple too."""
    if len(names) <= 1:
        return lambda given: tuple(given[name] for name in names)
    return itemgetter(*names)
