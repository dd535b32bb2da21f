"""Signed transactions, kept before they are sent.

Nonce, signed bytes and hash are committed together, before the first send. Whoever recovers sends
the very same bytes again and never signs a second time for one purpose, so that whatever dies,
whenever, at most one transaction per purpose can be included.

The one exception is a no-op that uses up the nonce of another transaction (`replaces`): of the two the
chain includes one, and the other is displaced for ever.
"""

from dataclasses import dataclass
from enum import Enum, unique
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.store import tables
from bridge.store.prepared import Given, Prepared, PreparedInsert


@unique
class TransactionState(Enum):
    """Signed and perhaps sent; final, with success or reverted; or displaced at its nonce."""

    PREPARED = "prepared"
    SUCCEEDED = "succeeded"
    REVERTED = "reverted"
    DISPLACED = "displaced"

    @property
    def has_failed(self) -> bool:
        """Whether a final block proves that it changed nothing and never will."""
        return self in {TransactionState.REVERTED, TransactionState.DISPLACED}


@dataclass(frozen=True, slots=True)
class OutgoingTransaction:
    """One signed transaction. `purpose` is the key of the effect that it carries out, used once.

    `replaces` is the hash of the transaction at whose nonce it was signed, if there is one.
    """

    hash: bytes
    sender: bytes
    nonce: int
    raw: bytes
    purpose: str
    payment_id: str | None
    created_at: int
    state: TransactionState = TransactionState.PREPARED
    block_number: int | None = None
    replaces: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outstanding:
    """How many transactions are not final, and when the oldest was signed, as a UTC second."""

    count: int
    oldest: int | None


class Transactions:
    """Our own transactions by hash and by purpose."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def next_nonce(self, sender: bytes, chain_nonce: int) -> int:
        """The nonce to sign next: past what the chain has seen and past what was ever signed."""
        rows = _NEWEST_NONCE.rows(self._connection, {"sender": sender, "nonce": chain_nonce})
        newest: int | None = rows[0][0]
        return chain_nonce if newest is None else newest + 1

    def add(self, transaction: OutgoingTransaction) -> None:
        """Keep a signed transaction; raises `RecordConflict` when its purpose has one already."""
        if self.by_purpose(transaction.purpose) is not None:
            raise RecordConflict("transaction for", transaction.purpose)
        row = {
            "hash": transaction.hash,
            "sender": transaction.sender,
            "nonce": transaction.nonce,
            "raw": transaction.raw,
            "purpose": transaction.purpose,
            "payment_id": transaction.payment_id,
            "created_at": transaction.created_at,
            "state": transaction.state.value,
            "block_number": transaction.block_number,
            "replaces": transaction.replaces,
        }
        _ADD.add(self._connection, (row,))

    def get(self, transaction_hash: bytes) -> OutgoingTransaction | None:
        """The transaction with this hash, if it is ours."""
        return self._one(_BY_HASH, {"hash": transaction_hash})

    def by_purpose(self, purpose: str) -> OutgoingTransaction | None:
        """The transaction that carries out this effect, if it was signed."""
        return self._one(_BY_PURPOSE, {"purpose": purpose})

    def outstanding(self) -> tuple[OutgoingTransaction, ...]:
        """Every transaction that is not final, by nonce."""
        return tuple(_transaction(*row) for row in _OUTSTANDING.rows(self._connection, {}))

    def outstanding_since(self) -> Outstanding:
        """How many transactions are not final, and since when."""
        kept = tables.transactions.c
        query = select(func.count(), func.min(kept.created_at)).where(
            kept.state == TransactionState.PREPARED.value
        )
        count, oldest = self._connection.execute(query).one()
        return Outstanding(count, oldest)

    def at_nonce(self, sender: bytes, nonce: int) -> tuple[OutgoingTransaction, ...]:
        """What was signed at a nonce: a transaction, and the no-op that was to use it up."""
        rows = _AT_NONCE.rows(self._connection, {"sender": sender, "nonce": nonce})
        return tuple(_transaction(*row) for row in rows)

    def finalise(
        self, transaction_hash: bytes, *, block_number: int, succeeded: bool
    ) -> tuple[OutgoingTransaction, ...]:
        """Record that a transaction of ours is in a final block, and what that displaced.

        Raises `RecordMissing` when it is not ours or is final already.
        """
        kept = tables.transactions.c
        is_prepared = kept.state == TransactionState.PREPARED.value
        state = TransactionState.SUCCEEDED if succeeded else TransactionState.REVERTED
        including = (
            update(tables.transactions)
            .where(kept.hash == transaction_hash, is_prepared)
            .values(state=state.value, block_number=block_number)
            .returning(kept.sender, kept.nonce)
        )
        included = self._connection.execute(including).one_or_none()
        if included is None:
            raise RecordMissing("outstanding transaction", transaction_hash.hex())
        displacing = (
            update(tables.transactions)
            .where(kept.sender == included.sender, kept.nonce == included.nonce, is_prepared)
            .values(state=TransactionState.DISPLACED.value, block_number=block_number)
            .returning(*_COLUMNS)
        )
        return tuple(_transaction(*row) for row in self._connection.execute(displacing))

    def _one(self, query: Prepared, given: Given) -> OutgoingTransaction | None:
        rows = query.rows(self._connection, given)
        return _transaction(*rows[0]) if rows else None


def _transaction(*row: Any) -> OutgoingTransaction:  # the columns below, which are its fields
    fields = (*row[:7], TransactionState(row[7]), *row[8:])
    return OutgoingTransaction(*fields)


_KEPT = tables.transactions.c
_COLUMNS = (
    _KEPT.hash,
    _KEPT.sender,
    _KEPT.nonce,
    _KEPT.raw,
    _KEPT.purpose,
    _KEPT.payment_id,
    _KEPT.created_at,
    _KEPT.state,
    _KEPT.block_number,
    _KEPT.replaces,
)

_ADD = PreparedInsert(tables.transactions)
_BY_HASH = Prepared(select(*_COLUMNS).where(_KEPT.hash == bindparam("hash")))
_BY_PURPOSE = Prepared(select(*_COLUMNS).where(_KEPT.purpose == bindparam("purpose")))
_AT_NONCE = Prepared(
    select(*_COLUMNS).where(_KEPT.sender == bindparam("sender"), _KEPT.nonce == bindparam("nonce"))
)
_OUTSTANDING = Prepared(
    select(*_COLUMNS)
    .where(_KEPT.state == literal(TransactionState.PREPARED.value))
    .order_by(_KEPT.sender, _KEPT.nonce)
)
_NEWEST_NONCE = Prepared(
    # a no-op stands at the nonce of a transaction that is kept: it can be left out
    select(func.max(_KEPT.nonce)).where(
        _KEPT.sender == bindparam("sender"),
        _KEPT.nonce >= bindparam("nonce"),
        _KEPT.replaces.is_(None),
    )
)
