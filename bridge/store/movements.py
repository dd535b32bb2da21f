"""What has moved on a ledger account since it was last asked, each movement once.

A posted entry moves at once, a pending one when, and as far as, it is posted; what is released never
does. `take` goes on where it ended, in the caller's transaction: a movement and what is made of it are
kept together.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from bridge.ledger import AccountType, Change
from bridge.store import tables

TAKE_MAX: Final = 10_000
"""Most movements that are taken at one time."""

KEY_DIGITS: Final = 32
"""Hexadecimal digits of a reference that name an item: they fit an ISO 20022 reference."""

OPENING: Final = "opening"
"""Kind of the entries with which books begin, and the key under which they are compared."""

_FX_PREFIX: Final = "fx:"
_DIGITS: Final = frozenset("0123456789abcdef")
_GROWING: Final = {each.value: each.normal_side.value for each in AccountType}
_MOVING: Final = frozenset({Change.POSTED.value, Change.COMPLETED.value})


@dataclass(frozen=True, slots=True)
class Movement:
    """One posting that has moved one account.

    `movement_id` names it for ever; `key` names the payment, issuance or transfer behind it, empty
    where nothing does; `amount` is in minor units, positive where the account grows; `at` is the UTC
    second in which it moved.
    """

    movement_id: str
    kind: str
    key: str
    amount: int
    at: int


class Movements:
    """The movements of ledger accounts, as they become effective."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, account_id: str, most: int = TAKE_MAX) -> tuple[Movement, ...]:
        """The next movements of an account, oldest first; none is given twice."""
        feed = f"ledger:{account_id}"
        begin = position = self.position(feed)
        query = (
            _postings(account_id)
            .where(tables.postings.c.version > begin)
            .order_by(tables.postings.c.version)
            .limit(most)
        )
        taken = []
        for row in self._connection.execute(query):
            position = row.version
            key = self._key(row)
            if row.change in _MOVING:
                signed = row.amount if row.side == _GROWING[row.account_type] else -row.amount
                name = f"{account_id}/{row.version}"
                taken.append(Movement(name, row.kind, key, signed, row.at))
            self._await(account_id, row, key)
        if position > begin:
            self.move(feed, position)
        return tuple(taken)

    def is_read(self, account_id: str) -> bool:
        """Whether every posting there is has been looked at for an account."""
        kept = tables.postings.c
        query = select(func.max(kept.version)).where(kept.account_id == account_id)
        newest = self._connection.execute(query).scalar_one() or 0
        return self.position(f"ledger:{account_id}") >= int(newest)

    def awaited(self, account_id: str) -> frozenset[str]:
        """The keys of pending entries on an account that are neither posted nor released yet."""
        kept = tables.awaited.c
        query = select(kept.key).where(kept.account_id == account_id, kept.key != "")
        return frozenset(self._connection.execute(query).scalars())

    def position(self, feed: str) -> int:
        """How far a feed has been read; 0 before anything was."""
        query = select(tables.feeds.c.position).where(tables.feeds.c.feed == feed)
        return int(self._connection.execute(query).scalar_one_or_none() or 0)

    def move(self, feed: str, position: int) -> None:
        """Record how far a feed has been read."""
        change = update(tables.feeds).where(tables.feeds.c.feed == feed).values(position=position)
        if self._connection.execute(change).rowcount == 0:
            self._connection.execute(insert(tables.feeds).values(feed=feed, position=position))

    def _await(self, account_id: str, row: Row[Any], key: str) -> None:  # a row of `_postings`
        """Remember a pending entry until what is left of it is posted or released."""
        kept = tables.awaited.c
        match Change(row.change):
            case Change.RESERVED:
                query = select(kept.key).where(
                    kept.account_id == account_id, kept.entry_id == row.entry_id
                )
                if self._connection.execute(query).first() is None:
                    self._connection.execute(
                        insert(tables.awaited).values(
                            account_id=account_id, entry_id=row.entry_id, key=key
                        )
                    )
            case Change.COMPLETED | Change.RELEASED:
                self._connection.execute(
                    delete(tables.awaited).where(
                        kept.account_id == account_id, kept.entry_id == row.entry_id
                    )
                )
            case Change.POSTED:
                return

    def _key(self, row: Row[Any]) -> str:  # a row of `_postings`
        """What names the business behind an entry; empty where nothing does."""
        if row.kind == OPENING:
            return OPENING
        if row.settlement_id is not None:
            return str(row.settlement_id.hex()[:KEY_DIGITS])
        if row.entry_id.startswith(_FX_PREFIX):
            return self._key_of_quote(row.entry_id.split(":")[1])
        for part in row.entry_id.split(":")[1:]:
            if len(part) >= KEY_DIGITS and not set(part) - _DIGITS:
                return str(part[:KEY_DIGITS])
        return ""

    def _key_of_quote(self, quote_hash: str) -> str:
        query = select(tables.quotes.c.settlement_id).where(
            tables.quotes.c.quote_hash == bytes.fromhex(quote_hash)
        )
        settlement_id = self._connection.execute(query).scalar_one_or_none()
        return "" if settlement_id is None else str(settlement_id.hex()[:KEY_DIGITS])


def _postings(account_id: str) -> Select[Any]:
    """Postings on an account, with their entries and the payments behind those."""
    entries, postings, accounts = tables.entries, tables.postings, tables.accounts
    payments = tables.payments
    return (
        select(
            postings.c.version,
            postings.c.change,
            postings.c.side,
            postings.c.amount,
            postings.c.at,
            entries.c.entry_id,
            entries.c.kind,
            accounts.c.account_type,
            payments.c.settlement_id,
        )
        .select_from(postings)
        .join(entries, entries.c.entry_id == postings.c.entry_id)
        .join(accounts, accounts.c.account_id == postings.c.account_id)
        .outerjoin(payments, payments.c.payment_id == entries.c.payment_id)
        .where(postings.c.account_id == account_id)
    )
