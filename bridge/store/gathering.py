"""Changes that wait for each other, so that they go to PostgreSQL in one round trip.

A round trip takes longer than most statements do. So changes whose answer nobody needs at once wait for
the next statement that does, or for the end of the unit of work, and are sent together, in the pipeline
mode of PostgreSQL's protocol:

    lock, query  -->            entry, postings, answer, effect  -->            commit  -->
                 <-- rows                                        <-- counts             <-- on disk

SQLite needs none of it: a connection to it gathers nothing, and each statement is executed where it stands.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

_NAME: Final = "gathering"
"""Under this name a connection that gathers changes keeps them."""


@dataclass(frozen=True, slots=True)
class Change:
    """A statement in the driver's words; `then` is given the number of rows that it changed.

    `refused` makes the error of a row that breaks the tables' rules. What is control belongs to the
    transaction, not to the unit of work in it.
    """

    text: str
    parameters: Any = None
    then: Callable[[int], None] | None = None
    refused: Callable[[], BaseException] | None = None
    is_control: bool = False


class Gathering:
    """The changes of a connection that wait, and its cursors, each for one statement alone."""

    def __init__(self) -> None:
        self.waiting: list[Change] = []
        self.undone = 0
        self._cursors: dict[tuple[str, int], psycopg.Cursor[Any]] = {}

    def take(self) -> tuple[Change, ...]:
        """What waits, which no longer does."""
        taken = tuple(self.waiting)
        self.waiting.clear()
        return taken

    def cursors(
        self, driver: psycopg.Connection, changes: Sequence[Change]
    ) -> list[psycopg.Cursor[Any]]:
        """A cursor for each change: one that has had the same statement before is quicker."""
        count_by_text: Counter[str] = Counter()
        found = []
        for change in changes:
            place = (change.text, count_by_text[change.text])
            count_by_text[change.text] += 1
            if place not in self._cursors:
                self._cursors[place] = driver.cursor()
            found.append(self._cursors[place])
        return found


def gathering(connection: Connection) -> Gathering | None:
    """What a connection gathers, if it does."""
    return connection.info.get(_NAME)


def gather(connection: Connection) -> None:
    """Have a connection to PostgreSQL gather changes; what waited is forgotten."""
    kept = connection.info.setdefault(_NAME, Gathering())
    kept.waiting.clear()


def control(connection: Connection, *statements: str) -> None:
    """Execute statements about the transaction, or have them wait for what is next."""
    changes = [Change(statement, is_control=True) for statement in statements]
    kept = gathering(connection)
    if kept is not None:
        kept.waiting.extend(changes)
        return
    for change in changes:
        execute(connection, change)


def settle(connection: Connection) -> None:
    """Have everything executed that waits; raises what it would have raised by itself."""
    kept = gathering(connection)
    if kept is not None and kept.waiting:
        _send(connection, kept, kept.take())


def undo(connection: Connection, mark: str) -> None:
    """Take back what was done since the savepoint `mark`, and forget what still waits.

    psycopg takes a statement for prepared as soon as it stands in a pipeline, even if one before it
    failed and the server never came to it. A ROLLBACK that psycopg has not seen before makes it forget
    what it prepared, so each is given a number.
    """
    kept = gathering(connection)
    if kept is None:
        control(connection, f"ROLLBACK TO SAVEPOINT {mark}")
        return
    kept.waiting[:] = [change for change in kept.waiting if change.is_control]
    kept.undone += 1
    settle(connection)
    execute(connection, Change(f"ROLLBACK TO SAVEPOINT {mark} -- {kept.undone}"))


def execute(connection: Connection, change: Change) -> Any:  # the driver's cursor
    """Execute what waits, and a statement whose answer is needed now."""
    kept = gathering(connection)
    if kept is not None and kept.waiting:
        return _send(connection, kept, (*kept.take(), change))
    driver: Any = connection.connection.dbapi_connection
    try:
        if change.parameters is None:
            return driver.execute(change.text)
        return driver.execute(change.text, change.parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise shown(error, connection, change) from error


def shown(error: Exception, connection: Connection, change: Change) -> BaseException:
    """A driver's error of a statement as SQLAlchemy's, or as its repository calls a refused row."""
    dialect = connection.dialect
    made = DBAPIError.instance(
        change.text, None, error, dialect.loaded_dbapi.Error, dialect=dialect
    )
    if change.refused is not None and isinstance(made, IntegrityError):
        return change.refused()
    return made


def _send(
    connection: Connection, kept: Gathering, changes: Sequence[Change]
) -> psycopg.Cursor[Any]:
    """Execute changes in one round trip; the cursor of the last."""
    driver: Any = connection.connection.dbapi_connection
    cursors: list[psycopg.Cursor[Any]] = []
    sent = 0
    try:
        cursors = kept.cursors(driver, changes)
        with driver.pipeline():
            for change, cursor in zip(changes, cursors, strict=True):
                cursor.execute(change.text, change.parameters)
                sent += 1
    except psycopg.Error as error:
        done = sum(cursor.statusmessage is not None for cursor in cursors[:sent])
        raise shown(error, connection, changes[min(done, len(changes) - 1)]) from error
    counts = [cursor.rowcount for cursor in cursors]
    for change, count in zip(changes, counts, strict=True):
        if change.then is not None:
            change.then(count)
    return cursors[-1]
