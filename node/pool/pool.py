"""The pool itself: its tables, and what changes them. The rules stand in the package's docstring."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from node.errors import (
    NonceGap,
    NonceTooLow,
    PoolFull,
    ReplacementRefused,
    TransactionAlreadyKnown,
)
from node.pool.entry import (
    Dropped,
    DropReason,
    Executable,
    PooledTransaction,
    PoolEvent,
    PoolPage,
    PoolStatus,
    Standing,
    Waiting,
)
from node.pool.line import Head, fill_block, head_of
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

WAITING_SECONDS_MAX = 3 * 60 * 60
"""How long a transaction may wait behind a gap."""

DROPS_REMEMBERED_MAX = 4_096
"""Transactions that left without a block and can still be explained."""

MISSING_TOLD_MAX = 64
"""Missing nonces named for one waiting transaction."""


@dataclass(slots=True)
class _Queue:
    """One sender's transactions: `first` is its nonce in the state, `end` the first nonce not executable."""

    first: int
    end: int
    turn: int
    """Blocks there had been when the sender was last served, or when it had something executable again."""
    by_nonce: dict[int, PooledTransaction] = field(default_factory=dict)
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Wait:
    transaction: PooledTransaction
    since: int


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
        self._bytes = 0
        self._waiting: dict[Hash32, _Wait] = {}
        """Those behind a gap, the one that has waited longest first."""
        self._places: dict[Hash32, int] = {}
        """The place in the line of every executable transaction."""
        self._next_place = 0
        self._blocks = 0
        self._events: list[PoolEvent] = []
        self._drops: dict[Hash32, Dropped] = {}

    @property
    def bytes_held(self) -> int:
        """Raw bytes of all its transactions."""
        return self._bytes

    def add(self, transaction: PooledTransaction, *, state_nonce: int, now: int) -> None:
        """Takes a transaction in, or raises why not.

        `state_nonce` is its sender's nonce in the newest state. The state may be a block ahead of the pool: what that
        block made of the sender's other transactions, `advance` will tell.
        """
        queue = self._queues.get(transaction.sender)
        if queue is None:
            queue = _Queue(state_nonce, state_nonce, self._blocks)
        nonce = transaction.nonce
        if transaction.transaction_hash in self._by_hash:
            raise TransactionAlreadyKnown(transaction.transaction_hash)
        if nonce < max(queue.first, state_nonce):
            raise NonceTooLow(expected=max(queue.first, state_nonce), given=nonce)
        if nonce >= queue.first + self._sender_transactions_max:
            raise NonceGap(expected=queue.end, given=nonce)
        if nonce < queue.end:
            raise ReplacementRefused(nonce)
        if nonce >= queue.end + GAP_MAX:
            raise NonceGap(expected=queue.end, given=nonce)
        replaced = queue.by_nonce.get(nonce)
        displaced = self._displaced_by(transaction, queue, replaced)

        # From here it must succeed.
        for each in displaced:
            self._leave(each, DropReason.DISPLACED, now, "the pool needed the room")
        if replaced is not None:
            detail = f"0x{transaction.transaction_hash.hex()} took its place"
            self._leave(replaced, DropReason.REPLACED, now, detail)
        self._queues[transaction.sender] = queue
        queue.by_nonce[nonce] = transaction
        queue.bytes += len(transaction.raw)
        self._by_hash[transaction.transaction_hash] = transaction
        self._waiting[transaction.transaction_hash] = _Wait(transaction, now)
        self._drops.pop(transaction.transaction_hash, None)
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
        return PoolStatus(len(self._places), len(self._waiting))

    def has_executable(self) -> bool:
        """Whether a block could be made now."""
        return bool(self._places)

    def standing(self, transaction_hash: Hash32) -> Standing | None:
        """Where a transaction stands: executable, waiting, dropped lately; None where it is not known."""
        transaction = self._by_hash.get(transaction_hash)
        if transaction is None:
            return self._drops.get(transaction_hash)
        queue = self._queues[transaction.sender]
        wait = self._waiting.get(transaction_hash)
        if wait is not None:
            missing = [n for n in range(queue.end, transaction.nonce) if n not in queue.by_nonce]
            return Waiting(
                transaction,
                missing=tuple(missing[:MISSING_TOLD_MAX]),
                expires_at=wait.since + WAITING_SECONDS_MAX,
                lost=self._dropped_at(transaction.sender, queue.end),
            )
        own_ahead = transaction.nonce - queue.first
        heads = [head for each in self._queues.values() if (head := self._head(each)) is not None]
        own = next(head for head in heads if head.transaction.sender == transaction.sender)
        senders_ahead = sum(head < own for head in heads)
        blocks_max = senders_ahead + 1 + own_ahead * len(heads)
        return Executable(transaction, own_ahead, senders_ahead, blocks_max)

    def page(
        self,
        *,
        after: tuple[Address, int] | None = None,
        sender: Address | None = None,
        bytes_max: int,
    ) -> PoolPage:
        """The transactions after a place in the order of sender and nonce, as many as fit, one at least."""
        executable: list[PooledTransaction] = []
        waiting: list[PooledTransaction] = []
        last: tuple[Address, int] | None = None
        for transaction in self._after(after, sender):
            bytes_max -= len(transaction.raw)
            if bytes_max < 0 and last is not None:
                return PoolPage(tuple(executable), tuple(waiting), last)
            is_waiting = transaction.transaction_hash in self._waiting
            (waiting if is_waiting else executable).append(transaction)
            last = (transaction.sender, transaction.nonce)
        return PoolPage(tuple(executable), tuple(waiting), None)

    def select(
        self, *, gas_max: int, bytes_max: int, among: Container[Hash32] | None = None
    ) -> tuple[PooledTransaction, ...]:
        """Executable transactions for the next block, by turns; see `line`.

        `among`: only these, so of each sender those before the first that is none of them.
        """
        found = (self._head(queue, among) for queue in self._queues.values())
        heads = [head for head in found if head is not None]
        return fill_block(heads, gas_max=gas_max, bytes_max=bytes_max)

    def is_executable(self, transaction_hash: Hash32) -> bool:
        """Whether nothing is missing before a transaction that the pool holds."""
        return transaction_hash in self._places

    def executable(self) -> Iterator[PooledTransaction]:
        """All executable transactions, in the order in which they became it; the pool must not change meanwhile."""
        return map(self._by_hash.__getitem__, self._places)

    def missing_before(self, transaction_hash: Hash32) -> int:
        """How far a pooled transaction's nonce is past its sender's executable ones; 0 where it is one of them."""
        transaction = self._by_hash[transaction_hash]
        return max(0, transaction.nonce - self._queues[transaction.sender].end)

    def advance(
        self,
        nonce_by_sender: Mapping[Address, int],
        included: Mapping[Hash32, Address],
        *,
        now: int,
    ) -> None:
        """Forgets what a block has passed, and counts the block.

        `nonce_by_sender` holds the new state nonce of each sender of the block; `included` the hashes of its
        transactions, with their senders. Another transaction with a used nonce leaves as such.
        """
        self._blocks += 1
        for sender, nonce in nonce_by_sender.items():
            queue = self._queues.get(sender)
            if queue is None:
                continue
            queue.turn = self._blocks
            for passed in [each for each in queue.by_nonce if each < nonce]:
                transaction = queue.by_nonce[passed]
                if transaction.transaction_hash in included:
                    self._remove(transaction)
                else:
                    detail = f"another transaction with nonce {passed} is in a block"
                    self._leave(transaction, DropReason.NONCE_USED, now, detail)
            queue.first = max(queue.first, nonce)
            queue.end = max(queue.end, nonce)
            self._extend(queue)

    def drop(
        self,
        transaction_hash: Hash32,
        *,
        now: int,
        detail: str,
        reason: DropReason = DropReason.REFUSED,
    ) -> None:
        """Forgets one transaction; those of its sender with higher nonces wait again."""
        transaction = self._by_hash.get(transaction_hash)
        if transaction is None:
            return
        queue = self._queues[transaction.sender]
        for nonce in range(transaction.nonce + 1, queue.end):
            follower = queue.by_nonce[nonce]
            self._waiting[follower.transaction_hash] = _Wait(follower, now)
            del self._places[follower.transaction_hash]
        queue.end = min(queue.end, transaction.nonce)
        self._leave(transaction, reason, now, detail)

    def refuse(
        self, transaction: PooledTransaction, reason: DropReason, now: int, detail: str
    ) -> None:
        """Books that a transaction which the pool held before its restart is not taken in again."""
        self._book_leaving(transaction, reason, now, detail)

    def expire(self, now: int) -> None:
        """Forgets what has waited behind a gap for too long."""
        detail = f"waited for {WAITING_SECONDS_MAX} s behind a missing nonce"
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if now - oldest.since < WAITING_SECONDS_MAX:
                return
            self._leave(oldest.transaction, DropReason.EXPIRED, now, detail)

    def take_events(self) -> tuple[PoolEvent, ...]:
        """What happened since the last call, in order."""
        events = tuple(self._events)
        self._events.clear()
        return events

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
        waiting = (each.transaction for each in self._waiting.values())
        others = (each for each in waiting if each.sender != sender)
        while places > 0 or bytes_over > 0:
            other = next(others, None)
            if other is None:
                raise PoolFull(self._transactions_max if places > 0 else self._bytes_max)
            found.append(other)
            places -= 1
            bytes_over -= len(other.raw)
        return found

    def _extend(self, queue: _Queue) -> None:
        """Gives a place in the line to what follows without a gap."""
        if queue.first == queue.end:
            queue.turn = self._blocks
        while (follower := queue.by_nonce.get(queue.end)) is not None:
            del self._waiting[follower.transaction_hash]
            self._places[follower.transaction_hash] = self._next_place
            self._next_place += 1
            queue.end += 1
            self._events.append(_event_of(follower, None))

    def _dropped_at(self, sender: Address, nonce: int) -> Hash32 | None:
        """The transaction of a sender's nonce that was dropped last, while that is remembered."""
        slot = (sender, nonce)
        drops = reversed(self._drops.items())
        return next((each for each, why in drops if (why.sender, why.nonce) == slot), None)

    def _leave(
        self, transaction: PooledTransaction, reason: DropReason, now: int, detail: str
    ) -> None:
        """Takes a transaction out without a block, with its event, and remembers why."""
        self._remove(transaction)
        self._book_leaving(transaction, reason, now, detail)

    def _book_leaving(
        self, transaction: PooledTransaction, reason: DropReason, now: int, detail: str
    ) -> None:
        self._events.append(_event_of(transaction, reason))
        if len(self._drops) >= DROPS_REMEMBERED_MAX:
            del self._drops[next(iter(self._drops))]
        self._drops[transaction.transaction_hash] = Dropped(
            transaction.sender, transaction.nonce, reason, now, detail
        )

    def _remove(self, transaction: PooledTransaction) -> None:
        """Takes a transaction out of every table; its sender's queue goes with the last."""
        queue = self._queues[transaction.sender]
        del queue.by_nonce[transaction.nonce]
        queue.bytes -= len(transaction.raw)
        if not queue.by_nonce:
            del self._queues[transaction.sender]
        del self._by_hash[transaction.transaction_hash]
        self._places.pop(transaction.transaction_hash, None)
        self._waiting.pop(transaction.transaction_hash, None)
        self._bytes -= len(transaction.raw)

    def _head(self, queue: _Queue, among: Container[Hash32] | None = None) -> Head | None:
        line: Iterator[PooledTransaction] = (
            queue.by_nonce[nonce] for nonce in range(queue.first, queue.end)
        )
        if among is not None:
            line = takewhile(lambda each: each.transaction_hash in among, line)
        rest = ((self._places[each.transaction_hash], each) for each in line)
        return head_of(queue.turn, rest)

    def _after(
        self, after: tuple[Address, int] | None, sender: Address | None
    ) -> Iterator[PooledTransaction]:
        senders: Sequence[Address] = sorted(self._queues) if sender is None else [sender]
        for each in senders:
            if after is not None and each < after[0]:
                continue
            queue = self._queues.get(each)
            for nonce in sorted(queue.by_nonce) if queue else ():
                if queue and (after is None or (each, nonce) > after):
                    yield queue.by_nonce[nonce]


def _event_of(transaction: PooledTransaction, dropped_for: DropReason | None) -> PoolEvent:
    return PoolEvent(
        transaction.transaction_hash, transaction.sender, transaction.nonce, dropped_for
    )
