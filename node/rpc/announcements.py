"""Tells every WebSocket connection of this process what the core announced.

The link's reading thread hands a head or the pool's events in and goes on; the event loop passes them to each
connection. A head is only a reason to look: what is new stands in the store before its head is announced, and is read
from there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from node.link import Head
from node.pool import PoolEvent


class Listener(Protocol):
    """Somebody to tell. Implemented by `rpc.websocket.Connection`."""

    def wake(self) -> None:
        """Says that there may be something new in the store."""

    def take_pool_events(self, events: tuple[PoolEvent, ...]) -> None:
        """Takes what happened to the pool."""


class Announcements:
    """The way from the link to the connections."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, listener: Listener) -> None:
        """Tells a listener from now on; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._listeners.add(listener)

    def remove(self, listener: Listener) -> None:
        """Tells a listener no more; called on the event loop."""
        self._listeners.discard(listener)

    def on_head(self, _head: Head) -> None:
        """Takes the notice of a new head; called by any thread, and waits for nothing."""
        self._pass_on(lambda listener: listener.wake())

    def on_pool_events(self, events: tuple[PoolEvent, ...]) -> None:
        """Takes what happened to the pool; called by any thread, and waits for nothing."""
        self._pass_on(lambda listener: listener.take_pool_events(events))

    def _pass_on(self, tell: Callable[[Listener], None]) -> None:
        loop = self._loop
        if loop is None:
            return  # nobody has connected yet
        with contextlib.suppress(RuntimeError):  # the loop has ended with the process's server
            loop.call_soon_threadsafe(self._tell_all, tell)

    def _tell_all(self, tell: Callable[[Listener], None]) -> None:
        for listener in tuple(self._listeners):
            tell(listener)
