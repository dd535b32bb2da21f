"""Firm FX quotes an institution offered or took, by the hash that was signed.

    OFFERED --a payment instructs on it--> CONSUMED --settled--> FILLED
                                               '--ended otherwise--> RELEASED --> CONSUMED again

The settlement contract decides all of this; here stands what its final events said.
"""

import itertools
from dataclasses import dataclass
from enum import Enum, unique
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.payment import Quote, SignedQuote
from bridge.store import tables
from bridge.store.payment_record import decode_signed_quote, encode_signed_quote


@unique
class QuoteState(Enum):
    """Free; held by a payment; settled; freed by a payment that ended."""

    OFFERED = "offered"
    CONSUMED = "consumed"
    FILLED = "filled"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class QuoteRecord:
    """A signed quote with what became of it; `settlement_id` is the payment that last held it."""

    signed: SignedQuote
    state: QuoteState
    settlement_id: bytes | None

    @property
    def quote(self) -> Quote:
        """What was offered."""
        return self.signed.quote

    @property
    def quote_hash(self) -> bytes:
        """The hash that was signed."""
        return self.signed.quote_hash


class Quotes:
    """Quotes by hash and by the payment that holds them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, signed: SignedQuote) -> None:
        """Keep a quote that is free; raises `RecordConflict` when it is kept already."""
        if self.get(signed.quote_hash) is not None:
            raise RecordConflict("quote", signed.quote_hash.hex())
        self._connection.execute(
            insert(tables.quotes).values(
                quote_hash=signed.quote_hash,
                state=QuoteState.OFFERED.value,
                document=encode_signed_quote(signed),
            )
        )

    def get(self, quote_hash: bytes) -> QuoteRecord | None:
        """The quote with this hash, if it is kept here."""
        return self._newest(tables.quotes.c.quote_hash == quote_hash)

    def by_settlement_id(self, settlement_id: bytes) -> QuoteRecord | None:
        """The quote that this payment holds or held last."""
        return self._newest(tables.quotes.c.settlement_id == settlement_id)

    def open_count(self, taker: str, now: int) -> int:
        """How many quotes a taker was offered that are free and have not run out.

        They are offered for equally long, so those that run out last are the newest: one that has
        run out ends the search.
        """
        kept = tables.quotes.c
        query = select(tables.quotes).where(kept.state == QuoteState.OFFERED.value)
        newest_first = query.order_by(kept.sequence.desc())
        records = (_record(row) for row in self._connection.execute(newest_first))
        live = itertools.takewhile(lambda record: record.quote.valid_until >= now, records)
        return sum(record.quote.taker == taker for record in live)

    def consume(self, quote_hash: bytes, settlement_id: bytes) -> None:
        """Record that a payment holds a quote; raises `RecordMissing`."""
        self._change(quote_hash, state=QuoteState.CONSUMED.value, settlement_id=settlement_id)

    def mark(self, quote_hash: bytes, state: QuoteState) -> None:
        """Record what became of a quote; raises `RecordMissing`."""
        self._change(quote_hash, state=state.value)

    def _change(self, quote_hash: bytes, **values: str | bytes) -> None:
        change = update(tables.quotes).where(tables.quotes.c.quote_hash == quote_hash)
        if self._connection.execute(change.values(**values)).rowcount != 1:
            raise RecordMissing("quote", quote_hash.hex())

    def _newest(self, condition: ColumnElement[bool]) -> QuoteRecord | None:
        query = select(tables.quotes).where(condition).order_by(tables.quotes.c.sequence.desc())
        row = self._connection.execute(query.limit(1)).first()
        return None if row is None else _record(row)


def _record(row: Row[Any]) -> QuoteRecord:  # a row of the whole table
    return QuoteRecord(
        signed=decode_signed_quote(row.document),
        state=QuoteState(row.state),
        settlement_id=row.settlement_id,
    )
