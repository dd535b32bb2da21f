"""What the pool holds and what it tells: transactions, their standing, and what happened to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique

from node.primitives import Address, Hash32


@dataclass(frozen=True, slots=True)
class PooledTransaction:
    """What the pool knows of a transaction; `raw` is its canonical encoding."""

    transaction_hash: Hash32
    sender: Address
    nonce: int
    gas_limit: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How many transactions could enter the next blocks now, and how many wait behind a gap."""

    executable: int
    waiting: int


@unique
class DropReason(IntEnum):
    """Why a transaction left the pool without a block. Crosses the link: append only."""

    EXPIRED = 1
    """It waited behind a gap for too long."""
    REPLACED = 2
    """Its sender put another one in its place while it waited."""
    DISPLACED = 3
    """It waited, and the pool needed the room."""
    REFUSED = 4
    """No block will take it any more."""
    NONCE_USED = 5
    """Another transaction with its nonce was included."""


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """One transaction became executable, or left the pool without a block."""

    transaction_hash: Hash32
    sender: Address
    nonce: int
    dropped_for: DropReason | None
    """None: it became executable ("pending"); else why it left the pool without a block."""


@dataclass(frozen=True, slots=True)
class Executable:
    """Nothing is missing before it: the next blocks take it."""

    transaction: PooledTransaction
    own_ahead: int
    """Executable transactions of its sender with lower nonces."""
    senders_ahead: int
    """Other senders whose turn comes before its sender's."""
    blocks_max: int
    """It is in one of so many next blocks, unless senders join before its sender's last turn."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Lower nonces of its sender are missing."""

    transaction: PooledTransaction
    missing: tuple[int, ...]
    """The lowest of the nonces that must come first, at most `MISSING_TOLD_MAX`."""
    expires_at: int
    """UTC seconds."""
    lost: Hash32 | None
    """The transaction with the first missing nonce, where one was here and was dropped lately."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """It left the pool without a block, lately."""

    sender: Address
    nonce: int
    reason: DropReason
    dropped_at: int
    """UTC seconds."""
    detail: str
    """For people: the refusal, or the hash of the transaction that has its nonce."""


Standing = Executable | Waiting | Dropped
"""Where a transaction stands with the pool."""


@dataclass(frozen=True, slots=True)
class PoolPage:
    """Some of the pool's transactions, ordered by sender and nonce."""

    executable: tuple[PooledTransaction, ...]
    waiting: tuple[PooledTransaction, ...]
    following: tuple[Address, int] | None
    """Sender and nonce after which the next page begins; None where this one is the last."""
