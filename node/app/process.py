"""What both processes of a node need: the clock, the stacks, the patience."""

from __future__ import annotations

import time
from typing import Final

START_SECONDS_MAX: Final = 10
"""How long a process waits for its port or its peer at the start."""

THREAD_STACK_BYTES: Final = 64 * 1024 * 1024
"""Address space of each thread's stack: the EVM's deepest calls run in threads."""

POLL_SECONDS: Final = 0.02


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """UTC seconds."""
        return int(time.time())
