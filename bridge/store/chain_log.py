"""How far the chain has been read, and what it said.

The checkpoint moves in the same database transaction as the effects of its block. It moves by one
block at a time, each the child of the one before, from the genesis block on.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from bridge.errors import ChainDiscontinuous, ChainNotFollowed, RecordConflict
from bridge.store import tables
from bridge.store.prepared import Prepared, PreparedInsert


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest block whose effects are in the database."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class EventRow:
    """One log of a contract. `document` is its arguments as JSON."""

    block_number: int
    block_hash: bytes
    log_index: int
    transaction_hash: bytes
    address: bytes
    name: str
    document: str


class ChainLog:
    """The checkpoint and the events behind it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def checkpoint(self) -> Checkpoint | None:
        """The newest processed block; None before the first."""
        rows = _CHECKPOINT.rows(self._connection, {})
        return Checkpoint(rows[0][0], bytes(rows[0][1])) if rows else None

    def position(self) -> Checkpoint:
        """The newest processed block; raises `ChainNotFollowed` before the first."""
        found = self.checkpoint()
        if found is None:
            raise ChainNotFollowed
        return found

    def advance(self, *, number: int, block_hash: bytes, parent_hash: bytes) -> None:
        """Move the checkpoint to the next block; raises `ChainDiscontinuous` for any other block."""
        current = self.checkpoint()
        if current is None:
            if number != 0:
                raise ChainDiscontinuous(number, -1, "nothing was processed before")
            first = {"one": 1, "number": number, "hash": block_hash}
            _ADD_CHECKPOINT.add(self._connection, (first,))
            return
        if number != current.number + 1:
            raise ChainDiscontinuous(number, current.number, "blocks are processed one by one")
        if parent_hash != current.hash:
            raise ChainDiscontinuous(number, current.number, "its parent is another block")
        moved = {"to_number": number, "to_hash": block_hash}
        _MOVE_CHECKPOINT.change(self._connection, moved, lambda _: None)

    def record(self, rows: Iterable[EventRow]) -> None:
        """Keep the events of a block; raises `RecordConflict` for one that is kept already."""
        given: list[dict[str, Any]] = [
            {
                "block_hash": row.block_hash,
                "log_index": row.log_index,
                "block_number": row.block_number,
                "transaction_hash": row.transaction_hash,
                "address": row.address,
                "name": row.name,
                "document": row.document,
            }
            for row in rows
        ]
        if not given:
            return
        kept: set[tuple[bytes, int]] = set()
        for block_hash in {row["block_hash"] for row in given}:
            found = _INDEXES_OF.rows(self._connection, {"block_hash": block_hash})
            kept |= {(block_hash, log_index) for (log_index,) in found}
        for row in given:
            place = (row["block_hash"], row["log_index"])
            if place in kept:
                raise RecordConflict("chain event", f"{place[0].hex()}/{place[1]}")
            kept.add(place)
        _ADD_EVENTS.add(self._connection, given)

    def about(self, settlement_id: bytes) -> tuple[EventRow, ...]:
        """The kept events that name a payment, in the order of the chain. Reads them all: rare."""
        kept = tables.chain_events.c
        query = (
            select(tables.chain_events)
            .where(kept.document.contains(settlement_id.hex()))
            .order_by(kept.block_number, kept.log_index)
        )
        rows = (_event_row(row) for row in self._connection.execute(query))
        return tuple(row for row in rows if _payment_id(row) == f"0x{settlement_id.hex()}")

    def events(self, *, first: int, last: int) -> tuple[EventRow, ...]:
        """The events kept of blocks `first` to `last`, in the order of the chain."""
        kept = tables.chain_events.c
        query = (
            select(tables.chain_events)
            .where(kept.block_number.between(first, last))
            .order_by(kept.block_number, kept.log_index)
        )
        return tuple(_event_row(row) for row in self._connection.execute(query))


_CHECKPOINT = Prepared(select(tables.checkpoint.c.number, tables.checkpoint.c.hash))

_ADD_CHECKPOINT = PreparedInsert(tables.checkpoint)

_MOVE_CHECKPOINT = Prepared(
    update(tables.checkpoint).values(number=bindparam("to_number"), hash=bindparam("to_hash"))
)

_ADD_EVENTS = PreparedInsert(tables.chain_events)

_INDEXES_OF = Prepared(
    select(tables.chain_events.c.log_index).where(
        tables.chain_events.c.block_hash == bindparam("block_hash")
    )
)


def _event_row(row: Row[Any]) -> EventRow:  # a row of the whole table
    return EventRow(
        block_number=row.block_number,
        block_hash=row.block_hash,
        log_index=row.log_index,
        transaction_hash=row.transaction_hash,
        address=row.address,
        name=row.name,
        document=row.document,
    )


def _payment_id(row: EventRow) -> object:
    """What an event names as its payment; a document may hold the same bytes elsewhere."""
    return json.loads(row.document).get("paymentId")
