"""Suspense items: money that came for an account that could not be credited, until it has a home."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.errors import RecordConflict, SuspenseItemUnknown, SuspenseResolved
from bridge.money import Amount, parse_currency
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


@unique
class SuspenseCause(StrEnum):
    """Why the account could not be credited."""

    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_FROZEN = "account_frozen"
    OTHER_CURRENCY = "other_currency"


@unique
class SuspenseState(StrEnum):
    """Where an item stands; `returning` goes back to `open` when the return does not settle."""

    OPEN = "open"
    RETURNING = "returning"
    RETURNED = "returned"
    CREDITED = "credited"


@dataclass(frozen=True, slots=True)
class SuspenseItem:
    """The money of one payment on suspense.

    `account_id` is the suspense account, `intended_account_id` the customer's it was meant for, where
    it is known. `resolved_by` is the return's payment id or the journal entry that credited it.
    """

    payment_id: str
    account_id: str
    intended_account_id: str | None
    amount: Amount
    cause: SuspenseCause
    opened_at: int
    state: SuspenseState = SuspenseState.OPEN
    resolved_at: int | None = None
    resolved_by: str | None = None


class Suspense:
    """Suspense items by payment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, item: SuspenseItem) -> None:
        """Keep a new item; raises `RecordConflict` when the payment has one."""
        if self.find(item.payment_id) is not None:
            raise RecordConflict("suspense item", item.payment_id)
        self._connection.execute(
            insert(tables.suspense_items).values(
                payment_id=item.payment_id,
                account_id=item.account_id,
                intended_account_id=item.intended_account_id,
                currency=item.amount.currency.code,
                amount=item.amount.minor_units,
                cause=item.cause.value,
                state=item.state.value,
                opened_at=item.opened_at,
            )
        )

    def find(self, payment_id: str) -> SuspenseItem | None:
        """The item of a payment, if it has one."""
        query = select(tables.suspense_items).where(
            tables.suspense_items.c.payment_id == payment_id
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _item(row)

    def open_item(self, payment_id: str) -> SuspenseItem:
        """The item of a payment that waits; raises `SuspenseItemUnknown`, `SuspenseResolved`."""
        found = self.find(payment_id)
        if found is None:
            raise SuspenseItemUnknown(payment_id)
        if found.state is not SuspenseState.OPEN:
            raise SuspenseResolved(payment_id, found.state.value)
        return found

    def move(self, payment_id: str, state: SuspenseState, by: str | None, at: int) -> None:
        """Move an item on; raises `SuspenseItemUnknown` where there is none."""
        change = update(tables.suspense_items).where(
            tables.suspense_items.c.payment_id == payment_id
        )
        values = {"state": state.value, "resolved_by": by, "resolved_at": at}
        if state is SuspenseState.OPEN:
            values |= {"resolved_by": None, "resolved_at": None}
        if self._connection.execute(change.values(**values)).rowcount != 1:
            raise SuspenseItemUnknown(payment_id)

    def learn(self, payment_id: str, intended_account_id: str | None, cause: SuspenseCause) -> None:
        """Say whose money an item is, and why that account cannot be credited, once that is known."""
        change = update(tables.suspense_items).where(
            tables.suspense_items.c.payment_id == payment_id
        )
        values = {"intended_account_id": intended_account_id, "cause": cause.value}
        self._connection.execute(change.values(**values))

    def page(
        self,
        state: SuspenseState | None = None,
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Page[SuspenseItem]:
        """Items, newest first, in one state or in any."""
        kept = tables.suspense_items.c
        query = select(tables.suspense_items)
        if state is not None:
            query = query.where(kept.state == state.value)
        return read_page(self._connection, query, kept.sequence, _item, limit=limit, cursor=cursor)

    def opened_before(self, at: int, limit: int) -> tuple[SuspenseItem, ...]:
        """Items that are open since before a UTC second, oldest first."""
        kept = tables.suspense_items.c
        query = (
            select(tables.suspense_items)
            .where(kept.state == SuspenseState.OPEN.value, kept.opened_at < at)
            .order_by(kept.sequence)
            .limit(limit)
        )
        return tuple(_item(row) for row in self._connection.execute(query))

    def total(self, account_id: str) -> int:
        """Minor units of the items on a suspense account whose money is still there."""
        kept = tables.suspense_items.c
        there = (SuspenseState.OPEN.value, SuspenseState.RETURNING.value)
        query = select(func.coalesce(func.sum(kept.amount), 0)).where(
            kept.account_id == account_id, kept.state.in_(there)
        )
        return int(self._connection.execute(query).scalar_one())


def _item(row: Row[Any]) -> SuspenseItem:  # a row of the whole table
    return SuspenseItem(
        payment_id=row.payment_id,
        account_id=row.account_id,
        intended_account_id=row.intended_account_id,
        amount=Amount(parse_currency(row.currency), row.amount),
        cause=SuspenseCause(row.cause),
        opened_at=row.opened_at,
        state=SuspenseState(row.state),
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
    )
