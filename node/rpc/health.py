"""What `GET /readyz` answers: whether this node can do its work, and if not, why.

"ready" means more than that two processes run. It is not said while transactions that could enter a block
wait and no block comes, or while this machine's clock stands so far behind the newest block that no
proposal of this node would be accepted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from node.chain import Clock
from node.errors import NodeError
from node.history import History
from node.link import Intake
from node.rpc.codec.format import format_data
from node.specification import Specification

STALLED_SECONDS_MAX: Final = 30
"""How long something executable may wait, as seen by successive reports, while no block comes."""


def monotonic_seconds() -> int:
    """Seconds on a clock that nobody sets."""
    return time.monotonic_ns() // 1_000_000_000


@dataclass(slots=True)
class Health:
    """The node's health; one report at a time."""

    specification: Specification
    history: History
    core: Intake
    clock: Clock
    monotonic: Callable[[], int] = monotonic_seconds
    _number: int = field(default=-1, init=False)
    _seen_at: int = field(default=0, init=False)

    def report(self) -> dict[str, Any]:  # a JSON object
        """The answer; its `status` is "ready" when the node serves and blocks can be made."""
        try:
            head = self.history.head()
            first_state_number = self.history.first_state_number()
            status = self.core.pool_status()
        except NodeError as error:
            return {"status": "unavailable", "reason": str(error)}
        behind = max(0, head.timestamp - self.clock.now())
        reason = self._fault(head.number, status.executable, behind)
        return {
            **({"status": "unavailable", "reason": reason} if reason else {"status": "ready"}),
            "chain_id": self.specification.chain_id,
            "number": head.number,
            "hash": format_data(head.hash),
            "first_state_number": first_state_number,
            "pool": {"executable": status.executable, "waiting": status.waiting},
            "clock_behind_seconds": behind,
        }

    def _fault(self, number: int, executable: int, behind: int) -> str:
        now = self.monotonic()
        if executable == 0 or number != self._number:
            self._number, self._seen_at = number, now
        if behind > self.specification.clock_skew_max_seconds:
            return f"this machine's clock is {behind} s behind the newest block: set it right"
        if now - self._seen_at >= STALLED_SECONDS_MAX:
            return f"{executable} transactions wait and no block came for {now - self._seen_at} s"
        return ""
