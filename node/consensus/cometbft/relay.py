"""Hands what the pool can execute to the engine of consensus, until it is in a block.

The engine's mempool is volatile: it loses everything when the engine ends, and drops every transaction of a decided
block. So whatever is executable here and, as far as the engine's own questions tell (`Held`), not in its mempool is
handed over, again and again. Transactions that came by gossip are in the mempool already and need nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final, Protocol

from node.consensus.cometbft.face import Held
from node.consensus.intake import Intake
from node.errors import Unavailable
from node.primitives import Hash32
from node.telemetry import get_logger

BATCH_TRANSACTIONS_MAX: Final = 200
"""Transactions handed over at once."""

HELD_MAX: Final = 2_000
"""Transactions in the engine's mempool above which it gets no more from here: the pool keeps them, in fair order.

More than a block takes, and few enough that looking at each again after every block costs little.
"""

PAUSE_SECONDS: Final = 0.02
"""Pause after each look at the pool: while many come in, one look serves all of them."""

WAIT_SECONDS: Final = 0.25
"""Pause while there is nothing to hand over."""

AGAIN_SECONDS: Final = 2.0
"""After which a transaction that did not arrive in the mempool is handed over again."""

DOUBT_SECONDS: Final = 30.0
"""After which one that did, and is in no block, is handed over again: where the mempool has it, that does no harm."""

REFUSED_WAIT_SECONDS: Final = 0.1
"""Pause after the engine took not all of a batch."""


class Broadcaster(Protocol):
    """The engine's way in. Implemented by `status.EngineClient`."""

    def broadcast(self, raws: Sequence[bytes]) -> list[str | None]:
        """For each transaction None, or why the engine did not take it; raises `Unavailable`."""


class Relay:
    """Hands over, in a thread of its own, until it is stopped."""

    def __init__(self, intake: Intake, held: Held, engine: Broadcaster) -> None:
        self._intake = intake
        self._held = held
        self._engine = engine
        self._stopping = threading.Event()
        self._sent_at: dict[Hash32, float] = {}

    def run(self) -> None:
        """Hands over until `stop`."""
        is_reachable = True
        while not self._stopping.is_set():
            try:
                is_content = self._hand_over()
                if not is_reachable:
                    get_logger().info("engine_reached")
                is_reachable = True
            except Unavailable as fault:
                if is_reachable:
                    get_logger().warning("engine_not_reached", reason=str(fault))
                is_reachable = is_content = False
            pause_seconds = PAUSE_SECONDS if is_content else REFUSED_WAIT_SECONDS
            self._stopping.wait(pause_seconds if is_reachable else WAIT_SECONDS)

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopping.set()

    def _hand_over(self) -> bool:
        """Hands one batch over; false where the engine took not all of it."""
        room = HELD_MAX - len(self._held)
        if room <= 0:
            return False
        wanted = self._intake.await_executable(
            self._is_wanted, count_max=min(room, BATCH_TRANSACTIONS_MAX), seconds=WAIT_SECONDS
        )
        self._forget_old()
        if not wanted:
            return True
        faults = self._engine.broadcast([entry.raw for entry in wanted])
        now = time.monotonic()
        for entry, fault in zip(wanted, faults, strict=True):
            if fault is None:
                # Taken out first, so that they stand in the order of their times.
                self._sent_at.pop(entry.transaction_hash, None)
                self._sent_at[entry.transaction_hash] = now
        refused = [fault for fault in faults if fault is not None]
        if refused:
            get_logger().debug("engine_refused", count=len(refused), reason=refused[0])
        return not refused

    def _is_wanted(self, transaction_hash: Hash32) -> bool:
        sent_at = self._sent_at.get(transaction_hash)
        if transaction_hash in self._held:
            return sent_at is not None and time.monotonic() - sent_at > DOUBT_SECONDS
        return sent_at is None or time.monotonic() - sent_at > AGAIN_SECONDS

    def _forget_old(self) -> None:
        """Forgets what was handed over long ago: it is in a block, or will be handed over again."""
        oldest = time.monotonic() - 2 * DOUBT_SECONDS
        while self._sent_at:
            transaction_hash, sent_at = next(iter(self._sent_at.items()))
            if sent_at > oldest:
                return
            del self._sent_at[transaction_hash]
