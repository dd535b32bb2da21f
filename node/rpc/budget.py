"""What one HTTP request may cost: time, and nothing more once its client has gone.

A request's time begins when its body has arrived, so waiting for a thread counts too: under load old
requests fall out of the line instead of making it longer. All the calls of a batch share it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class Budget:
    """The time left to one request; asked by the threads that work on it."""

    ends_at: int
    """On the monotonic clock, in nanoseconds."""
    is_cancelled: bool = False

    @classmethod
    def of_seconds(cls, seconds: int) -> Budget:
        """A budget that begins now."""
        return cls(time.monotonic_ns() + seconds * NANOSECONDS)

    def cancel(self) -> None:
        """Ends it: nobody waits for the answer any more."""
        self.is_cancelled = True

    def is_spent(self) -> bool:
        """Whether work on the request must stop."""
        return self.is_cancelled or time.monotonic_ns() >= self.ends_at
