"""Statements of the hot paths: their text is made once for each kind of database, and the driver executes it.

SQLAlchemy says what a statement means; its compiler and its processing of parameters and results, for
every single execution, take several times as long as SQLite takes to do the work. What a prepared
statement is given, and what it answers, are the driver's own values: SQLite answers 0 and 1 where a
column is a boolean. Its errors are SQLAlchemy's, as everywhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Table, Update, insert
from sqlalchemy.exc import DBAPIError

Given: TypeAlias = Mapping[str, Any]
"""Values by the names of a statement's parameters, of types that the driver takes as they are."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement in the words of one kind of database, and how its parameters are handed over."""

    text: str
    constants: dict[str, Any]
    arrange: Callable[[Given], Any]

    def parameters(self, given: Given) -> Any:  # what the driver takes: a tuple or a mapping
        return self.arrange({**self.constants, **given} if self.constants else given)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that is executed often; `columns` are those that a plain insert is given."""

    statement: Select[Any] | Insert | Update | Delete
    columns: tuple[str, ...] | None = None
    _text_by_dialect: dict[str, _Text] = field(default_factory=dict)

    def rows(self, connection: Connection, given: Given) -> list[tuple[Any, ...]]:
        """What a query answers."""
        return self._execute(connection, given).fetchall()  # type: ignore[no-any-return]

    def run(self, connection: Connection, given: Given) -> int:
        """How many rows a change has changed."""
        return self._execute(connection, given).rowcount  # type: ignore[no-any-return]

    def run_all(self, connection: Connection, rows: Sequence[Given]) -> None:
        """Make a change once for each of the rows, in their order."""
        if len(rows) == 1:
            self.run(connection, rows[0])
            return
        text, driver = self._text(connection.dialect), _driver(connection)
        try:
            driver.cursor().executemany(text.text, [text.parameters(row) for row in rows])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(error, connection, text.text) from error

    def _execute(self, connection: Connection, given: Given) -> Any:  # the driver's cursor
        text, driver = self._text(connection.dialect), _driver(connection)
        try:
            return driver.execute(text.text, text.parameters(given))
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(error, connection, text.text) from error

    def _text(self, dialect: Dialect) -> _Text:
        found = self._text_by_dialect.get(dialect.name)
        if found is None:
            found = self._text_by_dialect[dialect.name] = self._compiled(dialect)
        return found

    def _compiled(self, dialect: Dialect) -> _Text:
        compiled: Any = self.statement.compile(
            dialect=dialect, column_keys=None if self.columns is None else list(self.columns)
        )
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        names = tuple(compiled.positiontup) if compiled.positional else None
        return _Text(str(compiled), constants, dict if names is None else _picker(names))


def prepared_insert(table: Table) -> Prepared:
    """Add a row of which every column is given but a key that counts up by itself."""
    given = tuple(column.name for column in table.columns if column.autoincrement is not True)
    return Prepared(insert(table), given)


def execute_plainly(connection: Connection, *statements: str) -> None:
    """Execute statements without parameters one after the other, on PostgreSQL in one round trip."""
    driver = _driver(connection)
    try:
        if isinstance(driver, psycopg.Connection):
            driver.execute("; ".join(statements).encode(), prepare=False)
        else:
            for statement in statements:
                driver.execute(statement)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, connection, "; ".join(statements)) from error


def _picker(names: tuple[str, ...]) -> Callable[[Given], tuple[Any, ...]]:
    """What puts named values into an order; a single name too gives a tuple."""
    if len(names) == 1:
        (name,) = names
        return lambda given: (given[name],)
    return itemgetter(*names)


def _driver(connection: Connection) -> Any:  # sqlite3's or psycopg's connection
    return connection.connection.dbapi_connection


def _translated(error: Exception, connection: Connection, text: str) -> BaseException:
    """A driver's error as SQLAlchemy's."""
    dialect = connection.dialect
    return DBAPIError.instance(text, None, error, dialect.loaded_dbapi.Error, dialect=dialect)
