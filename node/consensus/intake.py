"""Where transactions enter the core: checked against the newest state, then pooled.

Place in the flow: `link.Server` -> `Intake.submit` -> `Application.admit`, `Pool.add` -> the engine of
consensus, which waits for something executable (`await_selection`) and says what became of it once
the block is durable (`settle`). One lock guards the pool: submissions come from the link's threads,
everything else from the engine's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from node import failpoint
from node.consensus.application import BLOCK_BYTES_MAX, TIME_RECORD_BYTES, Application
from node.failpoint import Failpoint
from node.pool import Pool, PooledTransaction, PoolStatus
from node.primitives import Address, Hash32

UNLIMITED: Final = 2**63
"""More gas or bytes than the pool could ever hold."""


class Intake:
    """The guarded pool of this node. Implements `link.Intake`."""

    def __init__(self, application: Application, pool: Pool) -> None:
        self._application = application
        self._pool = pool
        self._changed = threading.Condition()
        self._is_closed = False

    def submit(self, raw: bytes) -> Hash32:
        """Takes a transaction into the pool, or raises why not; gives its hash."""
        checked = self._application.admit(raw)
        entry = PooledTransaction(
            transaction_hash=checked.hash,
            sender=checked.sender,
            nonce=checked.nonce,
            gas_limit=checked.transaction.gas_limit,
            raw=raw,
        )
        with self._changed:
            state_nonce = self._application.nonce_of(checked.sender)
            self._pool.add(entry, state_nonce=state_nonce)
            failpoint.visit(Failpoint.POOL_ADDED)
            self._changed.notify_all()
        return checked.hash

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

    def await_selection(self) -> tuple[PooledTransaction, ...]:
        """What the next block may take, as soon as there is something; empty once closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._is_closed or self._pool.has_executable())
                if self._is_closed:
                    return ()
                gas_max = self._application.gas_max()
                bytes_max = BLOCK_BYTES_MAX - TIME_RECORD_BYTES
                selection = self._pool.select(gas_max=gas_max, bytes_max=bytes_max)
                if selection:
                    return selection
                self._drop_oversized(gas_max=gas_max, bytes_max=bytes_max)

    def _drop_oversized(self, *, gas_max: int, bytes_max: int) -> None:
        """Forgets what no block takes any more: the rules have changed since it came."""
        for entry in self._pool.select(gas_max=UNLIMITED, bytes_max=UNLIMITED):
            if entry.gas_limit > gas_max or len(entry.raw) > bytes_max:
                self._pool.drop(entry.transaction_hash)

    def settle(
        self, *, included: Sequence[PooledTransaction], refused: Sequence[PooledTransaction]
    ) -> None:
        """Forgets what a durable block holds, and what no block will take."""
        with self._changed:
            self._pool.advance({entry.sender: entry.nonce + 1 for entry in included})
            for entry in refused:
                self._pool.drop(entry.transaction_hash)

    def close(self) -> None:
        """Ends every wait."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
