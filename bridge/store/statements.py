"""Statements: what an account had at a moment, and what happened on it between two moments.

A moment is a version of the account, or a UTC second, which stands for the newest version that is no
later. Since an account's time never goes back, what a second meant yesterday it means for ever, unless
that second is not over yet. Nothing is added up: every posting carries the balances after it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from bridge.errors import CursorInvalid
from bridge.ledger import Account, Balance, Change, Side
from bridge.money import Amount
from bridge.store import tables
from bridge.store.ledger_book import LedgerBook
from bridge.store.page import PAGE_DEFAULT, PAGE_MAX, parse_cursor


@dataclass(frozen=True, slots=True)
class StatementItem:
    """One movement of an account's ledger balance, which is `balance` after it."""

    version: int
    at: int
    entry_id: str
    kind: str
    description: str
    payment_id: str | None
    side: Side
    amount: Amount
    balance: Amount


@dataclass(frozen=True, slots=True)
class Statement:
    """An account between two moments: `items` in the order they happened, `opening` and `closing` of
    the whole statement whatever the page. `next_cursor` is None on the last page.
    """

    account: Account
    opening: Balance
    closing: Balance
    items: tuple[StatementItem, ...]
    next_cursor: str | None


class Statements:
    """Balances at a moment and statements, by account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._book = LedgerBook(connection)

    def version_at(self, account_id: str, second: int) -> int:
        """How many movements the account had seen at the end of a UTC second."""
        newest = select(func.max(tables.postings.c.version)).where(
            tables.postings.c.account_id == account_id
        )
        earlier, later = 0, (self._connection.execute(newest).scalar() or 0) + 1
        while later - earlier > 1:  # times never go back, so that halving finds it without an index
            middle = (earlier + later) // 2
            given = {"account_id": account_id, "version": middle}
            if self._connection.execute(_POSTING_AT, given).one().at <= second:
                earlier = middle
            else:
                later = middle
        return earlier

    def balance_at(self, account_id: str, second: int) -> Balance:
        """The balance at the end of a UTC second; raises `AccountUnknown`."""
        return self.balance_as_of(account_id, self.version_at(account_id, second))

    def balance_as_of(self, account_id: str, version: int) -> Balance:
        """The balance after the account's movement `version`, of which 0 is before the first.

        A version that has not come yet is the newest. Raises `AccountUnknown`.
        """
        current = self._book.balance(account_id)
        if version >= current.version:
            return current
        row = self._connection.execute(
            _POSTING_AT, {"account_id": account_id, "version": version}
        ).one_or_none()
        if row is None:
            return Balance(current.account)
        return _balance_after(current.account, row)

    def statement(
        self,
        account_id: str,
        *,
        after: int = 0,
        through: int | None = None,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Statement:
        """One page of the statement from after version `after` to version `through` (default: now).

        Raises `AccountUnknown` and `CursorInvalid`.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise CursorInvalid(str(limit))
        opening = self.balance_as_of(account_id, after)
        closing = self._book.balance(account_id)
        if through is not None:
            closing = self.balance_as_of(account_id, max(after, through))
        start = opening.version if cursor is None else parse_cursor(cursor)
        given = {
            "account_id": account_id,
            "start": max(start, opening.version),
            "end": closing.version,
            "limit": limit + 1,
        }
        rows = self._connection.execute(_ITEMS, given).all()
        items = tuple(_item(opening.account, row) for row in rows[:limit])
        next_cursor = str(items[-1].version) if len(rows) > limit else None
        return Statement(opening.account, opening, closing, items, next_cursor)


_POSTING_AT = select(tables.postings).where(
    tables.postings.c.account_id == bindparam("account_id"),
    tables.postings.c.version == bindparam("version"),
)

_ITEMS = (
    select(
        tables.postings,
        tables.entries.c.kind,
        tables.entries.c.description,
        tables.entries.c.payment_id,
    )
    .join(tables.entries)
    .where(
        tables.postings.c.account_id == bindparam("account_id"),
        tables.postings.c.version > bindparam("start"),
        tables.postings.c.version <= bindparam("end"),
        tables.postings.c.change.in_([Change.POSTED.value, Change.COMPLETED.value]),
    )
    .order_by(tables.postings.c.version)
    .limit(bindparam("limit"))
)


def _balance_after(account: Account, row: Row[Any]) -> Balance:
    return Balance(
        account=account,
        pending_debits=row.pending_debits,
        pending_credits=row.pending_credits,
        posted_debits=row.posted_debits,
        posted_credits=row.posted_credits,
        version=row.version,
        at=row.at,
    )


def _item(account: Account, row: Row[Any]) -> StatementItem:
    return StatementItem(
        version=row.version,
        at=row.at,
        entry_id=row.entry_id,
        kind=row.kind,
        description=row.description,
        payment_id=row.payment_id,
        side=Side(row.side),
        amount=Amount(account.currency, row.amount),
        balance=_balance_after(account, row).ledger,
    )
