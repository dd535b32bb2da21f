"""The newest metrics of each process of a node, held by the core for whichever is asked for the page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

CORE: Final = "core"

PROCESS_NAME_LENGTH_MAX: Final = 64
"""Characters of a process's name."""


class Board:
    """What each process has last said of itself. Safe between threads."""

    def __init__(self, read_own: Callable[[], bytes]) -> None:
        """`read_own` gives the core's samples, in the thread of who asks."""
        self._read_own = read_own
        self._lock = threading.Lock()
        self._samples: dict[str, tuple[object, bytes]] = {}

    def report(self, owner: object, process: str, samples: bytes) -> None:
        """Takes a process's samples in place of its earlier ones; `owner` is the connection they came by."""
        with self._lock:
            self._samples[process] = owner, samples

    def forget(self, owner: object) -> None:
        """Drops what came by a connection that has ended."""
        with self._lock:
            for process in [name for name, (by, _) in self._samples.items() if by is owner]:
                del self._samples[process]

    def next_after(self, process: str) -> tuple[str, bytes] | None:
        """The process that follows in the order of names, with its samples; None after the last."""
        with self._lock:
            names = sorted(name for name in (CORE, *self._samples) if name > process)
            if not names:
                return None
            if names[0] != CORE:
                return names[0], self._samples[names[0]][1]
        return CORE, self._read_own()
