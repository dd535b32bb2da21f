"""Pending transactions, in memory: who waits, in which order, and what a block may take next.

Place in the flow: after the one static check and the permission check, `Pool.add`; then the consensus engine asks
`select` for the next block, and tells `advance` and `drop` what became of it. Nothing here is consensus: two nodes may
hold different pools. The pool is pure (no clock, lock or I/O); `consensus/intake.py` guards it.

Rules, in the order they are applied by `add`:

1. a transaction held already is *already known*;
2. its nonce is at least the sender's nonce in the state and below it plus `SENDER_TRANSACTIONS_MAX`, which bounds
   both the gap and the number a sender may have pooled;
3. a nonce taken by an *executable* transaction (no gap between it and the state) cannot be taken again: on a chain
   without fees there is no price to outbid with, and the first is on its way into the next block. A transaction that
   *waits* behind a gap may be replaced by its sender;
4. the pool as a whole is bounded by count and by bytes; past the bound the new transaction is refused, none is lost.

Invariants: per sender and nonce at most one transaction; `select` keeps nonce order per sender, never exceeds the
gas and byte limits, and gives no sender more than its share of gas while another sender's transaction would fit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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

    def extend(self) -> None:
        while self.end in self.by_nonce:
            self.end += 1


class Pool:
    """The pending transactions of this node."""

    def __init__(
        self,
        *,
        transactions_max: int = TRANSACTIONS_MAX,
        bytes_max: int = BYTES_MAX,
        sender_transactions_max: int = SENDER_TRANSACTIONS_MAX,
    ) -> None:
        self._transactions_max = transactions_max
        self._bytes_max = bytes_max
        self._sender_transactions_max = sender_transactions_max
        self._queues: dict[Address, _Queue] = {}
        self._by_hash: dict[Hash32, PooledTransaction] = {}
        self._arrivals: dict[Hash32, int] = {}
        self._arrival = 0
        self._bytes = 0
        self._executable = 0

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
        replaced = queue.by_nonce.get(nonce)
        freed_bytes = len(replaced.raw) if replaced else 0
        if len(self._by_hash) - (replaced is not None) >= self._transactions_max:
            raise PoolFull(self._transactions_max)
        if self._bytes - freed_bytes + len(transaction.raw) > self._bytes_max:
            raise PoolFull(self._bytes_max)

        # From here it must succeed.
        if replaced:
            self._forget(replaced)
        queue.by_nonce[nonce] = transaction
        self._queues[transaction.sender] = queue
        self._by_hash[transaction.transaction_hash] = transaction
        self._arrivals[transaction.transaction_hash] = self._arrival
        self._arrival += 1
        self._bytes += len(transaction.raw)
        executable_before = queue.end - queue.first
        queue.extend()
        self._executable += queue.end - queue.first - executable_before

    def get(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """The pooled transaction with this hash, executable or waiting."""
        return self._by_hash.get(transaction_hash)

    def next_nonce(self, sender: Address, *, state_nonce: int) -> int:
        """The first nonce not taken by an executable transaction: what the sender should sign next."""
        queue = self._queues.get(sender)
        return state_nonce if queue is None else max(state_nonce, queue.end)

    def status(self) -> PoolStatus:
        """Counts of executable and waiting transactions."""
        return PoolStatus(self._executable, len(self._by_hash) - self._executable)

    def has_executable(self) -> bool:
        """Whether a block could be made now."""
        return self._executable > 0

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
        executable_before = queue.end - queue.first
        self._forget(transaction)
        queue.end = min(queue.end, max(queue.first, transaction.nonce))
        self._executable += queue.end - queue.first - executable_before
        if not queue.by_nonce:
            del self._queues[transaction.sender]

    def _advance_sender(self, sender: Address, state_nonce: int) -> None:
        queue = self._queues.get(sender)
        if queue is None or state_nonce <= queue.first:
            return
        executable_before = queue.end - queue.first
        for nonce in [nonce for nonce in queue.by_nonce if nonce < state_nonce]:
            self._forget(queue.by_nonce[nonce])
        queue.first = state_nonce
        queue.end = max(queue.end, state_nonce)
        queue.extend()
        self._executable += queue.end - queue.first - executable_before
        if not queue.by_nonce:
            del self._queues[sender]

    def _forget(self, transaction: PooledTransaction) -> None:
        del self._queues[transaction.sender].by_nonce[transaction.nonce]
        del self._by_hash[transaction.transaction_hash]
        del self._arrivals[transaction.transaction_hash]
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
