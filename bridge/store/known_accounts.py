"""Accounts that are in the database for good, so that a booking asks only where they stand.

What an account is never changes once it is committed: the database refuses it, and a migration has it for
itself. So each engine keeps the accounts that bookings have read, and the next ones read less than half of the
columns. One that was opened in the transaction at hand is not kept, since the transaction may still be undone
and the account be opened again as another. With each new connection all is forgotten: behind it the database
may be another, such as a standby that came later. Whether an account is there, and its credit limit, every
booking reads anew.
"""

from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from bridge.ledger import Account

KNOWN_MAX: Final = 16_384
"""How many accounts an engine keeps; when there are more it begins anew."""

_NAME: Final = "known accounts"


class KnownAccounts:
    """What one engine keeps; the writer's has one connection, the connections of readers share it."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._opened: set[str] = set()

    def forget(self) -> None:
        """A connection begins."""
        self._accounts.clear()

    def begin(self) -> None:
        """A transaction begins: what the one before opened is committed, or was never there."""
        self._opened.clear()

    def open(self, account_id: str) -> None:
        """An account is opened in this transaction."""
        self._opened.add(account_id)

    def keep(self, account: Account) -> None:
        """An account was read."""
        if account.account_id in self._opened:
            return
        if len(self._accounts) >= KNOWN_MAX and account.account_id not in self._accounts:
            self.forget()
        self._accounts[account.account_id] = account

    def find(self, account_ids: set[str]) -> dict[str, Account] | None:
        """These accounts, if each of them is known."""
        try:
            return {account_id: self._accounts[account_id] for account_id in account_ids}
        except KeyError:
            return None


def keep_accounts(engine: Engine) -> None:
    """Have an engine keep the accounts that bookings read over it."""
    known = KnownAccounts()

    @event.listens_for(engine, "connect")
    def share(_: Any, record: Any) -> None:
        known.forget()
        record.info[_NAME] = known

    @event.listens_for(engine, "begin")
    def begin(_: Connection) -> None:
        known.begin()


def known_accounts(connection: Connection) -> KnownAccounts:
    """What the engine of a connection keeps; of an engine that keeps none, nothing."""
    kept: KnownAccounts | None = connection.info.get(_NAME)
    return KnownAccounts() if kept is None else kept
