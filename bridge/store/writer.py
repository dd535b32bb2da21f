"""The one writer of a database: units of work take turns, and those that wait share a commit.

    unit A   |-- body --|                    waits          returns
    unit B      waits   |-- body --|         waits          returns
                                   COMMIT: everything of A and B is on disk

Bringing a commit to disk costs far more than a unit of work. So when one unit ends while others wait, the
transaction goes on to the next, up to `GROUP_UNITS_MAX` units or `GROUP_MILLISECONDS_MAX`; nobody returns
before the common commit. A unit that raises is undone alone, to its savepoint, and its error too is
given only after the commit: what it saw of the units before it is true by then. When the commit fails,
everybody in the group gets that failure.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from bridge.errors import UnitOfWorkNested
from bridge.failpoint import Failpoint, visit
from bridge.store import gathering
from bridge.store.engines import check_intact
from bridge.store.known_balances import known_balances

GROUP_UNITS_MAX: Final = 64
"""Most units of work that share one commit."""

GROUP_MILLISECONDS_MAX: Final = 20
"""Age at which a group takes no further unit."""

_MARKS: Final = ("even_unit", "odd_unit")
"""Names of the savepoint before a unit of work that shares its transaction, in turn: a unit whose own was
never set must not be undone to that of the unit before it, which is done."""

STRANDED_SECONDS: Final = 1
"""How long a unit that has ended leaves the commit to those behind it, before it sees to it itself."""


def milliseconds() -> int:
    """A clock that only measures how much time passes."""
    return time.monotonic_ns() // 1_000_000


class _Group:
    """The units of work of one database transaction."""

    def __init__(self, connection: Connection, closes_at: int) -> None:
        self.connection = connection
        self.closes_at = closes_at
        self.count = 0
        self._mark: str | None = None
        self.failure: BaseException | None = None
        self.ended = threading.Event()

    def mark(self) -> None:
        """Set the point that this unit alone is undone to; for the first that is the whole transaction."""
        if self.count:
            before, self._mark = self._mark, _MARKS[self.count % 2]
            release = () if before is None else (f"RELEASE {before}",)
            gathering.control(self.connection, *release, f"SAVEPOINT {self._mark}")

    def undo(self) -> None:
        """Take back what was done since the mark; for the first unit there is none."""
        if self._mark is not None:
            known_balances(self.connection).forget()
            gathering.undo(self.connection, self._mark)


class Writer:
    """Runs units of work of any number of threads, one after the other."""

    def __init__(self, engine: Engine, clock: Callable[[], int] = milliseconds) -> None:
        self._engine = engine
        self._clock = clock
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._thread: int | None = None
        self._connection: Connection | None = None
        self._group: _Group | None = None

    @property
    def waiting(self) -> int:
        """How many units of work wait for their turn."""
        return self._waiting

    def close(self) -> None:
        """Give the connection back to the system."""
        with self._turn:
            if self._group is not None:
                self._commit(self._group)
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self._engine.dispose()

    @contextmanager
    def unit(self) -> Iterator[Connection]:
        """One unit of work; returns when it is on disk, or raises when it is undone."""
        if self._thread == threading.get_ident():
            raise UnitOfWorkNested
        fault: BaseException | None = None
        self._take_turn()
        try:
            group = self._group or self._begin()
            try:
                group.mark()
                try:
                    yield group.connection
                    gathering.settle(group.connection)
                    check_intact(group.connection)
                    visit(Failpoint.COMMITTING)
                except BaseException as error:  # noqa: BLE001 - raised below, when the group has ended
                    fault = error
                    self._undo(group)
                group.count += 1
            except DBAPIError as error:  # the transaction itself is lost, with everybody's work
                self._end(group, error)
            except PendingRollbackError as error:  # the same; SQLAlchemy saw it before us
                self._end(group, fault if isinstance(fault, DBAPIError) else error)
            if not group.ended.is_set() and not self._goes_on(group):
                self._commit(group)
        finally:
            self._end_turn()
        self._await(group)
        if group.failure is not None:
            raise group.failure
        if fault is not None:
            raise fault

    def _take_turn(self) -> None:
        with self._counting:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._waiting -= 1
        self._thread = threading.get_ident()

    def _end_turn(self) -> None:
        self._thread = None
        self._turn.release()

    def _begin(self) -> _Group:
        if self._connection is None:
            self._connection = self._engine.connect()
        try:
            self._connection.begin()
        except BaseException:
            self._drop_connection()
            raise
        self._group = _Group(self._connection, self._clock() + GROUP_MILLISECONDS_MAX)
        return self._group

    def _drop_connection(self) -> None:
        """Never use the connection again: what it holds is in doubt."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
            finally:
                connection.close()

    def _undo(self, group: _Group) -> None:
        """Take one unit back; the group ends with its first one."""
        if group.count:
            group.undo()
        else:
            self._end(group, None)

    def _goes_on(self, group: _Group) -> bool:
        is_open = group.count < GROUP_UNITS_MAX and self._clock() < group.closes_at
        return is_open and self._waiting > 0

    def _commit(self, group: _Group) -> None:
        try:
            group.connection.commit()
        except BaseException as error:  # noqa: BLE001 - raised by everybody in the group
            self._end(group, error)
        else:
            self._end(group, None)

    def _end(self, group: _Group, failure: BaseException | None) -> None:
        """Close the group: what is not committed by now is rolled back."""
        self._group = None
        group.failure = failure
        try:
            if failure is None:
                group.connection.rollback()
            else:
                self._drop_connection()
        finally:
            group.ended.set()

    def _await(self, group: _Group) -> None:
        """Wait for the commit; make it, should the thread that was to follow never have come."""
        while not group.ended.wait(STRANDED_SECONDS):
            with self._turn:
                if self._group is group:
                    self._commit(group)
