"""Changes that wait for each other, so that they go to PostgreSQL in one round trip.

A round trip takes longer than most statements do. So changes whose answer nobody needs at once wait for
the next statement that does, or for the end of the unit of work, and are sent together, in the pipeline
mode of PostgreSQL's protocol:

    lock, query  -->            entry, postings, answer, effect  -->            commit  -->
                 <-- rows                                        <-- counts             <-- on disk

SQLite needs none of it: a connection to it gathers nothing, and each statement is executed where it stands.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from bridge.store.pipeline import Answer, Command, Pipeline, StatementFailed, command

WAITING_MAX: Final = 1_000
"""Most changes that wait: when there are more they are sent, and the server knows that somebody is there."""

_NAME: Final = "gathering"
"""Under this name a connection that gathers changes keeps them."""


class Change(NamedTuple):
    """A statement in the driver's words; `then` is given the number of rows that it changed.

    `refused` makes the error of a row that breaks the tables' rules. What is control belongs to the
    transaction, not to the unit of work in it.
    """

    text: str
    parameters: Sequence[Any] = ()
    then: Callable[[int], None] | None = None
    refused: Callable[[], BaseException] | None = None
    is_control: bool = False


class Gathering:
    """The changes of a connection that wait."""

    def __init__(self, driver: psycopg.Connection) -> None:
        self.pipeline = Pipeline(driver)
        self.waiting: list[Change] = []


def gathering(connection: Connection) -> Gathering | None:
    """What a connection gathers, if it does."""
    if connection.dialect.name != "postgresql":
        return None
    return connection.info.get(_NAME)


def gather(connection: Connection) -> None:
    """Have a connection to PostgreSQL gather changes; what waited is forgotten."""
    kept = gathering(connection)
    if kept is None:
        driver: Any = connection.connection.dbapi_connection
        kept = connection.info[_NAME] = Gathering(driver)
    kept.waiting.clear()


def control(connection: Connection, *statements: str) -> None:
    """Execute statements about the transaction, or have them wait for what is next."""
    kept = gathering(connection)
    if kept is not None:
        kept.waiting.extend([Change(statement, is_control=True) for statement in statements])
        return
    for statement in statements:
        execute_now(connection, statement)


def add(connection: Connection, kept: Gathering, changes: Iterable[Change]) -> None:
    """Have changes wait for what is executed next, or for the end of the unit of work."""
    kept.waiting.extend(changes)
    if len(kept.waiting) > WAITING_MAX:
        _send(connection, kept)


def settle(connection: Connection) -> None:
    """Have everything executed that waits; raises what it would have raised by itself."""
    kept = gathering(connection)
    if kept is not None and kept.waiting:
        _send(connection, kept)


def undo(connection: Connection, mark: str) -> None:
    """Take back what was done since the savepoint `mark`, and forget what still waits."""
    kept = gathering(connection)
    if kept is not None:
        kept.waiting[:] = [change for change in kept.waiting if change.is_control]
    execute(connection, f"ROLLBACK TO SAVEPOINT {mark}")


def roll_back(connection: Connection) -> None:
    """Give up the transaction of a connection that gathers, and forget what waits.

    psycopg, when it does this, has the server forget every prepared statement, also ours. A connection
    that is lost has nothing to give up, and its caller should hear why it was lost.
    """
    if connection.invalidated:
        return
    kept = gathering(connection)
    if kept is None:
        return
    kept.waiting.clear()
    if kept.pipeline.is_in_transaction:
        execute(connection, "ROLLBACK")


def execute(
    connection: Connection, text: str, parameters: Sequence[Any] = ()
) -> Any:  # the driver's cursor
    """Execute what waits, and a statement whose answer is needed now."""
    kept = gathering(connection)
    if kept is None:
        return execute_now(connection, text, parameters)
    kept.waiting.append(Change(text, parameters))
    return _send(connection, kept)


def execute_now(
    connection: Connection,
    text: str,
    parameters: Sequence[Any] = (),
    refused: Callable[[], BaseException] | None = None,
) -> Any:  # the driver's cursor
    """Execute a statement on a connection that gathers nothing; `refused` as for a change."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return driver.execute(text, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise shown(error, connection, Change(text, refused=refused)) from error


def shown(error: Exception, connection: Connection, change: Change) -> BaseException:
    """A driver's error of a statement as SQLAlchemy's, or as its repository calls a refused row."""
    dialect = connection.dialect
    made = DBAPIError.instance(
        change.text, None, error, dialect.loaded_dbapi.Error, dialect=dialect
    )
    if change.refused is not None and isinstance(made, IntegrityError):
        return change.refused()
    return made


def _send(connection: Connection, kept: Gathering) -> Answer:
    """Execute what waits in one round trip; the answer to the last."""
    changes = tuple(kept.waiting)
    commands = [_command(connection, change) for change in changes]
    kept.waiting.clear()
    try:
        answers = kept.pipeline.run(commands)
    except StatementFailed as failed:
        if (
            not kept.pipeline.is_in_transaction
        ):  # it never began: what follows would commit by itself
            kept.pipeline.close()
        raise shown(failed.error, connection, changes[failed.position]) from failed.error
    except psycopg.Error as error:
        raise shown(error, connection, changes[-1]) from error
    for change, answer in zip(changes, answers, strict=True):
        if change.then is not None:
            change.then(answer.rowcount)
    return answers[-1]


def _command(connection: Connection, change: Change) -> Command:
    try:
        return command(change.text, change.parameters)
    except psycopg.DataError as error:
        raise shown(error, connection, change) from error
