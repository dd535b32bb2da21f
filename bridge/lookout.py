"""How far the books are behind the chain, as a process that serves requests sees it.

The leader, in this process or another, follows the chain; here the node's head is compared with the
checkpoint in the database. Until the checkpoint has come to the head that was seen first, no write is
served: books that were restored from a back-up are older than what the bank did. It also reads the
directory again now and then, which in a process that does not follow nobody else does.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from bridge.chain import ChainClient
from bridge.chain.follower import DIRECTORY_SECONDS_MAX
from bridge.errors import Unavailable
from bridge.leadership import Leadership
from bridge.store import Store
from bridge.telemetry import get_logger

BEHIND_SECONDS_MAX: Final = 10
"""Longest time since the books were last seen level with the node's head, for a ready bridge."""

LOOK_SECONDS: Final = 1
"""How often the node is asked for its head."""

FIRST_LOOK_SECONDS: Final = 0.1
"""How often, until the books have been level once."""

DIRECTORY_SECONDS: Final = min(10, DIRECTORY_SECONDS_MAX)
"""How old the directory becomes in a process that does not follow the chain."""


class Lookout:
    """Watches how the books follow the chain; one thread runs it, any may ask."""

    def __init__(self, store: Store, chain: ChainClient, leadership: Leadership) -> None:
        self._store = store
        self._chain = chain
        self._leadership = leadership
        self._first_head: int | None = None
        self._has_been_level = threading.Event()
        self._telling = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self._level_at: int | None = None
        self._directory_read_at = time.monotonic_ns()

    @property
    def has_been_level(self) -> bool:
        """Whether the books have come to the head of the chain that was seen first."""
        return self._has_been_level.is_set()

    @property
    def is_level(self) -> bool:
        """Whether the books were level with the chain a moment ago."""
        level_at = self._level_at
        return level_at is not None and not _is_past(level_at, BEHIND_SECONDS_MAX)

    def when_level(self, tell: Callable[[], None]) -> None:
        """Have `tell` called once, as soon as `has_been_level` holds."""
        with self._telling:
            if not self.has_been_level:
                self._waiting.append(tell)
                return
        tell()

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set; a node or a database that does not answer is asked again."""
        while not stop.is_set():
            try:
                self.look()
            except Unavailable as error:
                get_logger().debug("lookout_waits", error=str(error))
            stop.wait(LOOK_SECONDS if self.has_been_level else FIRST_LOOK_SECONDS)

    def look(self) -> None:
        """Compare the books with the chain once."""
        head = self._chain.head().number
        if self._first_head is None:
            self._first_head = head
        with self._store.reading() as work:
            checkpoint = work.chain_log.checkpoint()
        reached = -1 if checkpoint is None else checkpoint.number
        if reached >= self._first_head and not self.has_been_level:
            self._tell_level()
        if reached >= head:
            self._level_at = time.monotonic_ns()
        if not self._leadership.is_leading and _is_past(self._directory_read_at, DIRECTORY_SECONDS):
            self._chain.refresh()
            self._directory_read_at = time.monotonic_ns()

    def _tell_level(self) -> None:
        with self._telling:
            self._has_been_level.set()
            waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell()


def _is_past(moment: int, seconds: int) -> bool:
    return time.monotonic_ns() - moment > seconds * 10**9
