"""Balances that a writer knows, so that a booking need not ask for them again.

Inside a transaction of the one writer nobody else writes, and SQLite says at the beginning of the next whether
anybody has written in between (`PRAGMA data_version`). So what was read or booked over the writer's connection
stands until somebody else writes, or until anything is undone; then all is forgotten and read anew. PostgreSQL
does not say so: there it is forgotten at the beginning of each transaction. What is read over any other
connection is known only to the unit of work at hand, which sees one snapshot. With each new connection all is
forgotten: behind it the database may be another.

The database refuses a posting that does not follow from the newest of its account (LED-10), so money never comes
of a balance that is wrong here. It knows nothing of credit limits: that one is the newest rests on forgetting.
"""

from typing import Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from bridge.ledger import Balance
from bridge.store import gathering

KNOWN_MAX: Final = 16_384
"""How many balances are kept beside those that one question asks for; when there are more it begins anew."""

_NAME: Final = "known balances"


class KnownBalances:
    """Where accounts stand, as one connection knows it."""

    def __init__(self) -> None:
        self.by_account: dict[str, Balance] = {}
        self._writings: int | None = None

    def forget(self) -> None:
        """Something was undone, or may have been written by others."""
        self.by_account.clear()

    def begin(self, writings: int | None) -> None:
        """A transaction begins; `writings` changes whenever others have written, None if nobody can say."""
        if writings is None or writings != self._writings:
            self.forget()
        self._writings = writings

    def make_room(self) -> None:
        """More balances are about to be kept."""
        if len(self.by_account) >= KNOWN_MAX:
            self.forget()


def keep_balances(engine: Engine) -> None:
    """Have the connections of a writer's engine know balances; it calls `begin` in each transaction."""

    @event.listens_for(engine, "connect")
    def start(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_NAME] = KnownBalances()

    @event.listens_for(engine, "rollback")
    def undo(connection: Connection) -> None:
        if not connection.invalidated:
            known_balances(connection).forget()


def begin(connection: Connection) -> None:
    """Forget what others may have written; to be called when they can write no more."""
    known_balances(connection).begin(_writings_of_others(connection))


def known_balances(connection: Connection) -> KnownBalances:
    """What a connection knows; if it keeps nothing, nothing yet."""
    kept: KnownBalances | None = connection.info.get(_NAME)
    return KnownBalances() if kept is None else kept


def _writings_of_others(connection: Connection) -> int | None:
    """A number that is another when anybody else has written, as SQLite gives it."""
    if connection.dialect.name != "sqlite":
        return None
    rows: list[tuple[int]] = gathering.execute_now(connection, "PRAGMA data_version").fetchall()
    return rows[0][0]
