"""Where transactions enter the core: checked against the newest state, then pooled.

Place in the flow: `link.Server` -> `Intake.submit_many` -> `Application.admit`, `Pool.add` -> the engine of
consensus, which waits for something executable (`await_selection`) and says what became of it once
the block is durable (`settle`). One lock guards the pool: submissions come from the link's threads,
everything else from the engine's thread.

What is acknowledged is kept first (`store.pool`), so a core killed right after finds it at its next start: `restore`
sends it through the same admission. Every change of the pool is told in order (`on_events`), under the lock: whoever
listens must not wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import islice
from typing import Final

from node import failpoint
from node.consensus.application import BLOCK_BYTES_MAX, TIME_RECORD_BYTES, Application
from node.errors import (
    NodeError,
    NonceGap,
    NonceTooLow,
    Rejected,
    TransactionAlreadyKnown,
    Unavailable,
)
from node.failpoint import Failpoint
from node.link import Submission
from node.pool import (
    DropReason,
    Pool,
    PooledTransaction,
    PoolEvent,
    PoolPage,
    PoolStatus,
    Standing,
)
from node.primitives import Address, Hash32, keccak
from node.store import KeptTransaction, PoolStore
from node.telemetry import get_logger
from node.transaction import (
    CheckedTransaction,
    decode_transaction,
    recover_sender,
    remember_sender,
)

UNLIMITED: Final = 2**63
"""More gas or bytes than the pool could ever hold."""

EXPIRY_SECONDS: Final = 5
"""How often an idle node looks for transactions that have waited too long."""

GOSSIP_GAP_MAX: Final = 64
"""Missing nonces before a transaction that nodes may hand on: gossip does not keep an order."""

PAGE_BYTES_MAX: Final = 64 * 1024
"""Raw bytes of one page of the pool's content; one transaction may be larger."""


class Intake:
    """The guarded pool of this node. Implements `link.Intake`."""

    def __init__(
        self,
        application: Application,
        pool: Pool,
        store: PoolStore | None = None,
    ) -> None:
        """Without a store the pool dies with this process."""
        self._application = application
        self._pool = pool
        self._store = store
        self._listener: Callable[[tuple[PoolEvent, ...]], None] = lambda _: None
        self._changed = threading.Condition()
        self._is_closed = False

    def on_events(self, listener: Callable[[tuple[PoolEvent, ...]], None]) -> None:
        """From now on tells `listener` what happens to the pool."""
        self._listener = listener

    def restore(self) -> None:
        """Takes in again what the store kept, in the order in which it had come."""
        if self._store is None:
            return
        kept = self._store.load()
        refused = 0
        for each in kept:
            try:
                checked = self._application.admit(each.raw)
                with self._changed:
                    self._pool.add(
                        _entry_of(checked, each.raw),
                        state_nonce=self._application.nonce_of(checked.sender),
                        now=each.arrived_at,
                    )
            except (Rejected, Unavailable) as refusal:
                self._store.strike(each.transaction_hash)
                self._refuse_kept(each, refusal)
                refused += not isinstance(refusal, NonceTooLow)
        with self._changed:
            self._tell()
            status = self._pool.status()
        self._store.flush()
        get_logger().info(
            "pool_restored",
            kept=len(kept),
            executable=status.executable,
            waiting=status.waiting,
            refused=refused,
        )

    def submit(self, raw: bytes) -> Hash32:
        """Takes a transaction into the pool, or raises why not; gives its hash."""
        (answer,) = self._take_in([self._admit(raw)])
        if isinstance(answer, NodeError):
            raise answer
        return answer

    def submit_many(self, submissions: Sequence[Submission]) -> list[Hash32 | NodeError]:
        """One answer for each: its hash, or why it was not taken in. Their senders are trusted."""
        for submission in submissions:
            remember_sender(submission.transaction_hash, submission.sender)
        return self._take_in([self._admit(submission.raw) for submission in submissions])

    def next_nonce(self, sender: Address) -> int:
        """The first nonce not taken by an executable pooled transaction."""
        with self._changed:
            state_nonce = self._application.nonce_of(sender)
            return self._pool.next_nonce(sender, state_nonce=state_nonce)

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """A pooled transaction, executable or waiting."""
        with self._changed:
            return self._pool.get(transaction_hash)

    def pool_status(self) -> PoolStatus:
        """Counts of the pool."""
        with self._changed:
            return self._pool.status()

    def standing(self, transaction_hash: Hash32) -> Standing | None:
        """Where a transaction stands with the pool; None where the pool does not know it."""
        with self._changed:
            return self._pool.standing(transaction_hash)

    def pool_page(self, after: tuple[Address, int] | None, sender: Address | None) -> PoolPage:
        """The pool's content after a place, of everybody or of one sender, as much as one page holds."""
        with self._changed:
            return self._pool.page(after=after, sender=sender, bytes_max=PAGE_BYTES_MAX)

    def pool_bytes(self) -> int:
        """Raw bytes that the pool holds."""
        with self._changed:
            return self._pool.bytes_held

    def await_selection(self) -> tuple[PooledTransaction, ...]:
        """What the next block may take, as soon as there is something; empty once closed."""
        with self._changed:
            while True:
                self._changed.wait_for(
                    lambda: self._is_closed or self._pool.has_executable(), EXPIRY_SECONDS
                )
                if self._is_closed:
                    return ()
                self._pool.expire(self._application.now())
                self._tell()
                gas_max = self._application.gas_max()
                bytes_max = BLOCK_BYTES_MAX - TIME_RECORD_BYTES
                selection = self._pool.select(gas_max=gas_max, bytes_max=bytes_max)
                if selection:
                    return selection
                self._drop_oversized(gas_max=gas_max, bytes_max=bytes_max)

    def take_gossip(self, raw: bytes) -> Hash32:
        """Takes in what the engine of consensus has, from whichever node; gives its hash.

        Raises why not, also where it is so far past a gap that no block will take it soon.
        """
        transaction_hash = keccak(raw)
        with self._changed:
            is_known = self._pool.get(transaction_hash) is not None
        if not is_known:
            # It may have come to us directly meanwhile. Nobody here was told that it is kept, so that can wait.
            (answer,) = self._take_in([self._admit(raw)], is_acknowledged=False)
            if isinstance(answer, NodeError) and not isinstance(answer, TransactionAlreadyKnown):
                raise answer
        with self._changed:
            entry = self._pool.get(transaction_hash)
            missing = 0 if entry is None else self._pool.missing_before(transaction_hash)
        if entry is not None and missing > GOSSIP_GAP_MAX:
            raise NonceGap(expected=entry.nonce - missing, given=entry.nonce)
        return transaction_hash

    def is_executable(self, transaction_hash: Hash32) -> bool:
        """Whether the pool holds a transaction and nothing is missing before it."""
        with self._changed:
            return self._pool.is_executable(transaction_hash)

    def unknown_among(self, hashes: Iterable[Hash32]) -> list[Hash32]:
        """Those of some transactions that the pool does not hold."""
        with self._changed:
            return [each for each in hashes if self._pool.get(each) is None]

    def selection_among(
        self, hashes: Container[Hash32], bytes_max: int
    ) -> tuple[PooledTransaction, ...]:
        """What the next block may take of some transactions; of each sender those without a gap."""
        gas_max = self._application.gas_max()
        with self._changed:
            return self._pool.select(gas_max=gas_max, bytes_max=bytes_max, among=hashes)

    def await_executable(
        self, is_wanted: Callable[[Hash32], bool], *, count_max: int, seconds: float
    ) -> tuple[PooledTransaction, ...]:
        """The first executable transactions that are wanted, after a change of the pool or some time; empty if none."""
        with self._changed:
            self._pool.expire(self._application.now())
            self._tell()
            wanted = self._wanted(is_wanted, count_max)
            if not wanted and not self._is_closed:
                self._changed.wait(seconds)
                wanted = self._wanted(is_wanted, count_max)
            return wanted

    def entry_of(self, transaction_hash: Hash32, raw: bytes) -> PooledTransaction:
        """A decided transaction that was included, as the pool names it; most are in the pool."""
        known = self.pooled_transaction(transaction_hash)
        if known is not None:
            return known
        transaction = decode_transaction(raw)
        return _entry_of(CheckedTransaction(transaction, recover_sender(transaction)), raw)

    def settle(
        self,
        *,
        included: Sequence[PooledTransaction],
        refused: Sequence[tuple[PooledTransaction, str]],
    ) -> None:
        """Forgets what a durable block holds, and what no block will take, with the reason for people."""
        now = self._application.now()
        with self._changed:
            self._pool.advance(
                {entry.sender: entry.nonce + 1 for entry in included},
                {entry.transaction_hash: entry.sender for entry in included},
                now=now,
            )
            for entry in included:
                self._strike(entry.transaction_hash)
            for entry, detail in refused:
                self._pool.drop(entry.transaction_hash, now=now, detail=detail)
            self._tell()
            self._changed.notify_all()

    def close(self) -> None:
        """Ends every wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _wanted(
        self, is_wanted: Callable[[Hash32], bool], count_max: int
    ) -> tuple[PooledTransaction, ...]:
        executable = self._pool.executable()
        return tuple(
            islice((each for each in executable if is_wanted(each.transaction_hash)), count_max)
        )

    def _admit(self, raw: bytes) -> PooledTransaction | NodeError:
        try:
            return _entry_of(self._application.admit(raw), raw)
        except (Rejected, Unavailable) as refusal:
            return refusal

    def _take_in(
        self, entries: Sequence[PooledTransaction | NodeError], *, is_acknowledged: bool = True
    ) -> list[Hash32 | NodeError]:
        """Puts what was admitted into the pool, and keeps it before anybody is told so."""
        answers: list[Hash32 | NodeError] = []
        nonce_by_sender: dict[Address, int] = {}
        now = self._application.now()
        with self._changed:
            for entry in entries:
                if isinstance(entry, NodeError):
                    answers.append(entry)
                    continue
                if entry.sender not in nonce_by_sender:
                    nonce_by_sender[entry.sender] = self._application.nonce_of(entry.sender)
                try:
                    self._pool.add(entry, state_nonce=nonce_by_sender[entry.sender], now=now)
                except (Rejected, Unavailable) as refusal:
                    answers.append(refusal)
                    continue
                answers.append(entry.transaction_hash)
                if self._store is not None:
                    self._store.put(entry.transaction_hash, now, entry.raw)
                failpoint.visit(Failpoint.POOL_ADDED)
            if self._tell():
                self._changed.notify_all()
        if self._store is not None and is_acknowledged:
            self._store.flush()
        return answers

    def _drop_oversized(self, *, gas_max: int, bytes_max: int) -> None:
        """Forgets what no block takes any more: the rules have changed since it came."""
        now = self._application.now()
        detail = f"no block takes it any more: at most {gas_max} gas and {bytes_max} bytes"
        for entry in self._pool.select(gas_max=UNLIMITED, bytes_max=UNLIMITED):
            if entry.gas_limit > gas_max or len(entry.raw) > bytes_max:
                self._pool.drop(entry.transaction_hash, now=now, detail=detail)
        self._tell()

    def _tell(self) -> bool:
        """Hands on what happened to the pool, and strikes from the store what has left it; whether anything did."""
        events = self._pool.take_events()
        if not events:
            return False
        for event in events:
            if event.dropped_for is not None:
                self._strike(event.transaction_hash)
        self._listener(events)
        return True

    def _refuse_kept(self, kept: KeptTransaction, refusal: NodeError) -> None:
        """Lets whoever asks for it know why it did not come back."""
        is_used = isinstance(refusal, NonceTooLow)
        try:
            transaction = decode_transaction(kept.raw)
            sender = recover_sender(transaction)
        except Rejected:
            return  # It is not what was taken in: nobody knows it by this hash.
        entry = _entry_of(CheckedTransaction(transaction, sender), kept.raw)
        reason = DropReason.NONCE_USED if is_used else DropReason.REFUSED
        with self._changed:
            self._pool.refuse(entry, reason, self._application.now(), str(refusal))
        if not is_used:
            get_logger().warning(
                "pooled_transaction_refused", hash=kept.transaction_hash, reason=str(refusal)
            )

    def _strike(self, transaction_hash: Hash32) -> None:
        if self._store is not None:
            self._store.strike(transaction_hash)


def _entry_of(checked: CheckedTransaction, raw: bytes) -> PooledTransaction:
    return PooledTransaction(
        transaction_hash=checked.hash,
        sender=checked.sender,
        nonce=checked.nonce,
        gas_limit=checked.transaction.gas_limit,
        raw=raw,
    )
