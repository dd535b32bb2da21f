"""What both processes of a node need: the clock, the stacks, the patience."""

from __future__ import annotations

import gc
import sys
import time
from typing import Final

START_SECONDS_MAX: Final = 10
"""How long a process waits for its port or its peer at the start."""

THREAD_STACK_BYTES: Final = 64 * 1024 * 1024
"""Address space of each thread's stack: the EVM's deepest calls run in threads."""

POLL_SECONDS: Final = 0.02

GARBAGE_THRESHOLDS: Final = (50_000, 20, 100)
"""Objects made, and collections of each generation, until the next: a block makes garbage by the hundred thousand."""

TURN_SECONDS: Final = 0.001
"""How long a thread runs while others wait: a short question must not wait for a long one's full five."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """UTC seconds."""
        return int(time.time())


def settle_in() -> None:
    """To be called once all is built: it is there to stay, so no collection looks at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.setswitchinterval(TURN_SECONDS)
