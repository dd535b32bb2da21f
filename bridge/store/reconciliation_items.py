"""Items of every side, kept until they are matched with those of the others, or explained."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from bridge.matching import Item, Side
from bridge.store import tables

CHUNK: Final = 1_000
"""Rows read or changed in one go."""


@unique
class ItemState(StrEnum):
    """Whether an item is still looked at."""

    OPEN = "open"
    MATCHED = "matched"
    EXPLAINED = "explained"


@dataclass(frozen=True, slots=True)
class Comparand:
    """What is compared: `tokens`, `reserves` or `supply`, in one currency."""

    scope: str
    currency: str


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item of one side; `item_id` names it there for ever."""

    side: Side
    item_id: str
    key: str
    amount: int
    at: int
    block: int = 0


class ReconciliationItems:
    """Items by what is compared and by their key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, comparand: Comparand, items: Iterable[NewItem]) -> None:
        """Keep new items; those that move nothing are left out."""
        rows = [
            {
                "scope": comparand.scope,
                "currency": comparand.currency,
                "side": item.side.value,
                "item_id": item.item_id,
                "key": item.key,
                "amount": item.amount,
                "at": item.at,
                "block": item.block,
                "state": ItemState.OPEN.value,
            }
            for item in items
            if item.amount
        ]
        if rows:
            self._connection.execute(insert(tables.reconciliation_items), rows)

    def open(self, comparand: Comparand) -> Iterator[Item]:
        """The items that are not matched, ordered by key, as they are read."""
        kept = tables.reconciliation_items.c
        query = (
            select(kept.sequence, kept.side, kept.key, kept.amount, kept.at, kept.block)
            .where(*_of(comparand), kept.state == ItemState.OPEN.value)
            .order_by(kept.key, kept.sequence)
            .execution_options(yield_per=CHUNK)
        )
        for row in self._connection.execute(query):
            yield Item(row.sequence, Side(row.side), row.key, row.amount, row.at, row.block)

    def sums(self, comparand: Comparand) -> dict[Side, int]:
        """What the items that are not matched, explained or not, add up to on each side."""
        kept = tables.reconciliation_items.c
        query = (
            select(kept.side, func.sum(kept.amount).label("amount"))
            .where(*_of(comparand), kept.state != ItemState.MATCHED.value)
            .group_by(kept.side)
        )
        return {Side(row.side): int(row.amount) for row in self._connection.execute(query)}

    def set_state(self, sequences: Iterable[int], state: ItemState) -> None:
        """Have items matched or explained."""
        kept = tables.reconciliation_items.c
        change = (
            update(tables.reconciliation_items)
            .where(kept.sequence == bindparam("item"))
            .values(state=state.value)
        )
        rows = [{"item": sequence} for sequence in sequences]
        if rows:
            self._connection.execute(change, rows)

    def explain(self, comparand: Comparand, key: str) -> int:
        """Have the open items of a key explained; how many there were."""
        kept = tables.reconciliation_items.c
        which = [kept.key == key]
        side, _, sequence = key.partition("-")
        if side in set(Side) and sequence.isdigit():
            which = [kept.sequence == int(sequence)]
        change = update(tables.reconciliation_items).where(
            *_of(comparand), kept.state == ItemState.OPEN.value, *which
        )
        return self._connection.execute(change.values(state=ItemState.EXPLAINED.value)).rowcount

    def was_matched(self, comparand: Comparand, key: str) -> bool:
        """Whether items of this key were matched before."""
        kept = tables.reconciliation_items.c
        query = select(kept.sequence).where(
            *_of(comparand), kept.state == ItemState.MATCHED.value, kept.key == key
        )
        return self._connection.execute(query.limit(1)).first() is not None


def _of(comparand: Comparand) -> tuple[ColumnElement[bool], ...]:
    kept: Any = tables.reconciliation_items.c
    return (kept.scope == comparand.scope, kept.currency == comparand.currency)
