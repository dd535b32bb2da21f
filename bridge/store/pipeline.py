"""Statements that go to PostgreSQL together and are answered together: the pipeline mode of its protocol.

psycopg has a pipeline of its own, which takes four times as long for a statement as PostgreSQL's library
below it does; this one uses that library, through psycopg. A statement is prepared when it is first sent,
and counts as prepared only when the server has said so.
"""

import re
import select
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

_DONE: Final = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)

_BEGUN: Final = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)

_MARK: Final = re.compile("%[s%]")

_NAME_UNKNOWN: Final = "26000"
"""SQLSTATE of a prepared statement that the session does not know (PostgreSQL, appendix A)."""


class StatementFailed(Exception):
    """The server refused the command at `position`, and executed none behind it; `error` says why."""

    def __init__(self, position: int, error: psycopg.Error) -> None:
        super().__init__(position, error)
        self.position = position
        self.error = error


class Command(NamedTuple):
    """A statement, and its values as they are sent."""

    text: str
    values: list[bytes | None]
    formats: list[pq.Format]


class Answer:
    """What the server answered to a command; as far as it goes it is like a driver's cursor."""

    def __init__(self, result: pq.abc.PGresult, driver: psycopg.Connection) -> None:
        self._result = result
        self._driver = driver

    @property
    def rowcount(self) -> int:
        """How many rows were changed or found."""
        return self._result.command_tuples or 0

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that were found."""
        loader = Transformer(self._driver)
        loader.set_pgresult(self._result)
        return loader.load_rows(0, self._result.ntuples, tuple)


def command(text: str, values: Sequence[Any]) -> Command:
    """A statement with `%s` where a value goes; values are str, int, bool, bytes and None.

    Raises `psycopg.DataError` for any other value.
    """
    formats = [pq.Format.BINARY if isinstance(each, bytes) else pq.Format.TEXT for each in values]
    return Command(text, [_encoded(each) for each in values], formats)


class Pipeline:
    """What goes through one connection, which nobody else uses meanwhile."""

    def __init__(self, driver: psycopg.Connection) -> None:
        self._driver = driver
        self._session = driver.pgconn
        self._socket = select.poll()
        self._names: dict[str, bytes] = {}
        self._named = 0

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction has begun, be it one that has failed; False of a connection that is lost."""
        return self._session.transaction_status in _BEGUN

    def close(self) -> None:
        """Give the connection up, for good."""
        self._driver.close()

    def run(self, commands: Sequence[Command]) -> list[Answer]:
        """Execute commands in one round trip.

        Raises `StatementFailed`, and `psycopg.OperationalError` when the connection is lost.
        """
        try:
            results = self._exchange(commands)
        except BaseException:  # nobody knows what would be answered next
            self.close()
            raise
        for position, result in enumerate(results):
            if result.status not in _DONE:
                error = error_from_result(result)
                if error.sqlstate == _NAME_UNKNOWN:
                    self._names.clear()
                raise StatementFailed(position, error)
        return [Answer(result, self._driver) for result in results]

    def _exchange(self, commands: Sequence[Command]) -> list[pq.abc.PGresult]:
        """The result of each command, or of preparing it where that failed."""
        session = self._session
        session.enter_pipeline_mode()
        fresh: dict[int, str] = {}
        for position, (text, values, formats) in enumerate(commands):
            name = self._names.get(text)
            if name is None:
                name = self._name(text)
                session.send_prepare(name, _numbered(text).encode())
                fresh[position] = text
            session.send_query_prepared(name, values, formats)
        session.pipeline_sync()
        self._flush()
        answered = self._results()
        results = []
        for position in range(len(commands)):
            if position in fresh:
                prepared = next(answered)
                result = next(answered)
                if prepared.status not in _DONE:
                    del self._names[fresh[position]]
                    result = prepared
            else:
                result = next(answered)
            results.append(result)
        next(answered, None)
        session.exit_pipeline_mode()
        return results

    def _name(self, text: str) -> bytes:
        self._named += 1
        name = self._names[text] = b"corridor_%d" % self._named
        return name

    def _flush(self) -> None:
        """Hand everything to the system; the server may have to be listened to before it takes more."""
        if not self._session.flush():
            return
        self._socket.register(self._session.socket, select.POLLIN | select.POLLOUT)
        while self._session.flush():
            if any(event & ~select.POLLOUT for _, event in self._socket.poll()):
                self._session.consume_input()

    def _results(self) -> Iterator[pq.abc.PGresult]:
        """Results as they come in, up to the end of the pipeline."""
        session = self._session
        self._socket.register(session.socket, select.POLLIN)
        while True:
            while session.is_busy():
                self._socket.poll()
                session.consume_input()
            result = session.get_result()
            if result is None:  # the end of one command's results, or of everything
                if session.status != pq.ConnStatus.OK:
                    raise psycopg.OperationalError(session.get_error_message())
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return
            else:
                yield result


def _encoded(value: Any) -> bytes | None:  # a driver's value
    match value:
        case str():
            if "\0" in value:
                raise psycopg.DataError("a text holds a NUL character")
            return value.encode()
        case None | bytes():
            return value
        case bool():
            return b"t" if value else b"f"
        case int():
            return b"%d" % value
        case _:
            raise psycopg.DataError(f"a {type(value).__name__} is no value of a statement")


def _numbered(text: str) -> str:
    """A statement as PostgreSQL's protocol has it: `$1` where its first value goes, `%` for `%%`."""
    numbers = count(1)
    return _MARK.sub(lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", text)
