"""What one client is still to be told unasked, in order, by a thread of its own.

Whoever has something to tell never waits: it puts a notice down and goes on. A client that reads too slowly, so that
`NOTICES_MAX` pile up, loses its connection: it is told by that, and never skips a notice unknowingly.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from node.link.frames import Connection, Head, encode_head
from node.link.pool_codec import EVENTS_PER_FRAME_MAX, encode_events
from node.pool import PoolEvent
from node.telemetry import get_logger

NOTICES_MAX = 32_768
"""Notices that wait for one client: every transaction of a full pool come and gone, and as many to spare."""

Notice = Head | PoolEvent


class Outbox:
    """The notices for one connection."""

    def __init__(self, connection: Connection, notices_max: int = NOTICES_MAX) -> None:
        """Begins to send at once."""
        self._connection = connection
        self._notices_max = notices_max
        self._notices: deque[Notice] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        threading.Thread(target=self._send, name="link-notices", daemon=True).start()

    def put(self, notices: Sequence[Notice]) -> None:
        """Puts notices down without waiting; past the limit the connection ends instead."""
        with self._changed:
            if self._is_closed:
                return
            if len(self._notices) + len(notices) > self._notices_max:
                self._is_closed = True
            else:
                self._notices.extend(notices)
            self._changed.notify()
        if self._is_closed:
            get_logger().warning("link_client_too_slow", notices_max=self._notices_max)
            self._connection.close()

    def close(self) -> None:
        """Ends the thread; what waits is not sent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._notices)
                if self._is_closed:
                    return
                first = self._notices.popleft()
                events = [] if isinstance(first, Head) else [first, *self._following_events()]
            if isinstance(first, Head):
                self._connection.send(encode_head(first))
            else:
                self._connection.send(encode_events(events))

    def _following_events(self) -> list[PoolEvent]:
        """The events up to the next head, as many as one frame holds besides the first."""
        found: list[PoolEvent] = []
        while self._notices and len(found) < EVENTS_PER_FRAME_MAX - 1:
            notice = self._notices[0]
            if isinstance(notice, Head):
                break
            found.append(notice)
            self._notices.popleft()
        return found
