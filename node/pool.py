"""Pending transactions, in memory: who waits, in which order, and what a block may take next.

Place in the flow: after the one static check and the permission check, `Pool.add`; then the consensus engine asks
`select` for the next block, and tells `advance` and `drop` what became of it. Nothing here is consensus: two nodes may
hold different pools. The pool is pure (no clock, lock or I/O); `consensus/intake.py` guards it.

Rules, in the order they are applied by `add`:

1. a transaction held already is *already known*;
2. its nonce is at least the sender's nonce in the state and below it plus `SENDER_TRANSACTIONS_MAX`, which bounds the
   number a sender may have pooled, and less than `GAP_MAX` above the first nonce that is free; all that a sender has
   pooled is at most `SENDER_BYTES_MAX`;
3. a nonce taken by an *executable* transaction (no gap between it and the state) cannot be taken again: on a chain
   without fees there is no price to outbid with, and the first is on its way into the next block. A transaction that
   *waits* behind a gap may be replaced by its sender;
4. the pool as a whole is bounded by count and by bytes. Past the bound an executable transaction takes the place of
   those that have waited longest behind a gap of another sender; where none waits it is refused, and a transaction that
   would wait is always refused. No executable transaction is ever lost;
5. at most one in `WAITING_DIVISOR` places is for transactions that wait; past it a new one takes the place of the one
   that has waited longest. So what nobody completes leaves by itself, and the pool needs no clock.

Invariants: per sender and nonce at most one transaction; `select` keeps nonce order per sender, never exceeds the
gas and byte limits, and gives no sender more than its share of gas while another sender's transaction would fit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, unique

from node.errors import (
    NonceGap,
    NonceTooLow,
    PoolFull,
    ReplacementRefused,
    TransactionAlreadyKnown,
)
from node.primitives import Address, Hash32

TRANSACTIONS_MAX = 8_192
"""Transactions the pool holds."""

BYTES_MAX = 64 * 1024 * 1024
"""Raw bytes the pool holds."""

SENDER_TRANSACTIONS_MAX = 1_024
"""Nonces above the state's that one sender may fill."""

SENDER_BYTES_MAX = 2 * 1024 * 1024
"""Raw bytes of one sender that the pool holds."""

GAP_MAX = 64
"""How far above its first free nonce a sender's transaction may wait."""

WAITING_DIVISOR = 4
"""At most this fraction (1/n) of the places is for transactions that wait behind a gap."""

SENDER_GAS_SHARE_DIVISOR = 4
"""One sender takes at most this fraction (1/n) of a block's gas while others wait."""


@dataclass(frozen=True, slots=True)
class PooledTransaction:
    """What the pool knows of a transaction; `raw` is its canonical encoding."""

    transaction_hash: Hash32
    sender: Address
    nonce: int
    gas_limit: int
    raw: bytes


@unique
class DropReason(IntEnum):
    """Why a transaction left the pool without a block. Crosses the link: append only."""

    EXPIRED = 1
    REPLACED = 2
    DISPLACED = 3
    REFUSED = 4
    NONCE_USED = 5


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """One transaction became executable, or left the pool without a block."""

    transaction_hash: Hash32
    sender: Address
    nonce: int
    dropped_for: DropReason | None
    """None: it became executable ("pending"); else why it left the pool without a block."""


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How many transactions could enter the next blocks now, and how many wait behind a gap."""

    executable: int
    waiting: int


@dataclass(slots=True)
class _Queue:
    """One sender's transactions: `first` is its nonce in the state, `end` the first nonce not executable."""

    first: int
    end: int
    by_nonce: dict[int, PooledTransaction] = field(default_factory=dict)
    bytes: int = 0


class Pool:
    """The pending transactions of this node."""

    def __init__(
        self,
        *,
        transactions_max: int = TRANSACTIONS_MAX,
        bytes_max: int = BYTES_MAX,
        sender_transactions_max: int = SENDER_TRANSACTIONS_MAX,
        sender_bytes_max: int = SENDER_BYTES_MAX,
    ) -> None:
        self._transactions_max = transactions_max
        self._bytes_max = bytes_max
        self._sender_transactions_max = sender_transactions_max
        self._sender_bytes_max = sender_bytes_max
        self._queues: dict[Address, _Queue] = {}
        self._by_hash: dict[Hash32, PooledTransaction] = {}
        self._arrivals: dict[Hash32, int] = {}
        self._arrival = 0
        self._bytes = 0
        self._waiting: dict[Hash32, PooledTransaction] = {}
        """Those behind a gap, the one that has waited longest first."""

    def add(self, transaction: PooledTransaction, *, state_nonce: int) -> None:
        """Takes a transaction in, or raises why not. `state_nonce` is its sender's nonce in the newest state."""
        self._advance_sender(transaction.sender, state_nonce)
        queue = self._queues.get(transaction.sender) or _Queue(state_nonce, state_nonce)
        nonce = transaction.nonce
        if transaction.transaction_hash in self._by_hash:
            raise TransactionAlreadyKnown(transaction.transaction_hash)
        if nonce < queue.first:
            raise NonceTooLow(expected=queue.first, given=nonce)
        if nonce >= queue.first + self._sender_transactions_max:
            raise NonceGap(expected=queue.end, given=nonce)
        if nonce < queue.end:
            raise ReplacementRefused(nonce)
        if nonce >= queue.end + GAP_MAX:
            raise NonceGap(expected=queue.end, given=nonce)
        replaced = queue.by_nonce.get(nonce)
        displaced = self._displaced_by(transaction, queue, replaced)

        # From here it must succeed.
        for each in (*displaced, *([replaced] if replaced else [])):
            self._remove(each)
        self._queues[transaction.sender] = queue
        queue.by_nonce[nonce] = transaction
        queue.bytes += len(transaction.raw)
        self._by_hash[transaction.transaction_hash] = transaction
        self._waiting[transaction.transaction_hash] = transaction
        self._arrivals[transaction.transaction_hash] = self._arrival
        self._arrival += 1
        self._bytes += len(transaction.raw)
        self._extend(queue)

    def get(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """The pooled transaction with this hash, executable or waiting."""
        return self._by_hash.get(transaction_hash)

    def next_nonce(self, sender: Address, *, state_nonce: int) -> int:
        """The first nonce not taken by an executable transaction: what the sender should sign next."""
        queue = self._queues.get(sender)
        return state_nonce if queue is None else max(state_nonce, queue.end)

    def status(self) -> PoolStatus:
        """Counts of executable and waiting transactions."""
        return PoolStatus(len(self._by_hash) - len(self._waiting), len(self._waiting))

    def has_executable(self) -> bool:
        """Whether a block could be made now."""
        return len(self._by_hash) > len(self._waiting)

    def select(self, *, gas_max: int, bytes_max: int) -> tuple[PooledTransaction, ...]:
        """Executable transactions for the next block: first come first served, in nonce order per sender.

        A sender past its share of gas steps back until nobody else's transaction fits; then what remains of the
        block is its own again.
        """
        selected: list[PooledTransaction] = []
        gas_by_sender: dict[Address, int] = {}
        heads = [self._head(self._executable_of(queue)) for queue in self._queues.values()]
        line = [head for head in heads if head is not None]
        heapq.heapify(line)
        stepped_back: list[_Head] = []
        share = gas_max // SENDER_GAS_SHARE_DIVISOR
        while line or stepped_back:
            is_shared = bool(line)
            head = heapq.heappop(line if is_shared else stepped_back)
            transaction = head.transaction
            if transaction.gas_limit > gas_max or len(transaction.raw) > bytes_max:
                continue
            sender_gas = gas_by_sender.get(transaction.sender, 0) + transaction.gas_limit
            if is_shared and sender_gas > share and gas_by_sender.get(transaction.sender):
                heapq.heappush(stepped_back, head)
                continue
            selected.append(transaction)
            gas_by_sender[transaction.sender] = sender_gas
            gas_max -= transaction.gas_limit
            bytes_max -= len(transaction.raw)
            following = self._head(head.rest)
            if following is not None:
                heapq.heappush(line if is_shared else stepped_back, following)
        return tuple(selected)

    def advance(self, nonce_by_sender: Mapping[Address, int]) -> None:
        """Forgets what the state has passed. `nonce_by_sender` holds the new state nonce of each sender of a block."""
        for sender, nonce in nonce_by_sender.items():
            self._advance_sender(sender, nonce)

    def drop(self, transaction_hash: Hash32) -> None:
        """Forgets one transaction; those of its sender with higher nonces wait again."""
        transaction = self._by_hash.get(transaction_hash)
        if transaction is None:
            return
        queue = self._queues[transaction.sender]
        for nonce in range(transaction.nonce + 1, queue.end):
            follower = queue.by_nonce[nonce]
            self._waiting[follower.transaction_hash] = follower
        queue.end = min(queue.end, transaction.nonce)
        self._remove(transaction)

    def _displaced_by(
        self, transaction: PooledTransaction, queue: _Queue, replaced: PooledTransaction | None
    ) -> list[PooledTransaction]:
        """What must go so that a transaction finds room, besides the one it replaces; raises `PoolFull`."""
        size = len(transaction.raw) - (len(replaced.raw) if replaced else 0)
        count = 0 if replaced else 1
        if queue.bytes + size > self._sender_bytes_max:
            raise PoolFull(self._sender_bytes_max)
        places = len(self._by_hash) + count - self._transactions_max
        bytes_over = self._bytes + size - self._bytes_max
        if transaction.nonce == queue.end:
            return self._longest_waiting(transaction.sender, places, bytes_over)
        if places > 0 or bytes_over > 0:
            raise PoolFull(self._transactions_max if places > 0 else self._bytes_max)
        waiting_max = max(1, self._transactions_max // WAITING_DIVISOR)
        return self._longest_waiting(
            transaction.sender, len(self._waiting) + count - waiting_max, 0
        )

    def _longest_waiting(
        self, sender: Address, places: int, bytes_over: int
    ) -> list[PooledTransaction]:
        """Enough waiting transactions of others to free places and bytes; raises `PoolFull`."""
        found: list[PooledTransaction] = []
        others = (each for each in self._waiting.values() if each.sender != sender)
        while places > 0 or bytes_over > 0:
            other = next(others, None)
            if other is None:
                raise PoolFull(self._transactions_max if places > 0 else self._bytes_max)
            found.append(other)
            places -= 1
            bytes_over -= len(other.raw)
        return found

    def _advance_sender(self, sender: Address, state_nonce: int) -> None:
        queue = self._queues.get(sender)
        if queue is None or state_nonce <= queue.first:
            return
        for nonce in [nonce for nonce in queue.by_nonce if nonce < state_nonce]:
            self._remove(queue.by_nonce[nonce])
        queue.first = state_nonce
        queue.end = max(queue.end, state_nonce)
        self._extend(queue)

    def _extend(self, queue: _Queue) -> None:
        """Counts as executable what follows without a gap."""
        while (follower := queue.by_nonce.get(queue.end)) is not None:
            del self._waiting[follower.transaction_hash]
            queue.end += 1

    def _remove(self, transaction: PooledTransaction) -> None:
        """Takes a transaction out of every table; its sender's queue goes with the last."""
        queue = self._queues[transaction.sender]
        del queue.by_nonce[transaction.nonce]
        queue.bytes -= len(transaction.raw)
        if not queue.by_nonce:
            del self._queues[transaction.sender]
        del self._by_hash[transaction.transaction_hash]
        del self._arrivals[transaction.transaction_hash]
        self._waiting.pop(transaction.transaction_hash, None)
        self._bytes -= len(transaction.raw)

    @staticmethod
    def _executable_of(queue: _Queue) -> Iterator[PooledTransaction]:
        return (queue.by_nonce[nonce] for nonce in range(queue.first, queue.end))

    def _head(self, rest: Iterator[PooledTransaction]) -> _Head | None:
        transaction = next(rest, None)
        if transaction is None:
            return None
        return _Head(self._arrivals[transaction.transaction_hash], transaction, rest)


@dataclass(frozen=True, slots=True)
class _Head:
    """The next transaction of a sender in the line for a block, ordered by arrival."""

    arrival: int
    transaction: PooledTransaction
    rest: Iterator[PooledTransaction]

    def __lt__(self, other: _Head) -> bool:
        return self.arrival < other.arrival
