"""What waits to be sent on one connection, in order; bounded by number and by bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from node.history import LogPlace
from node.rpc.subscriptions import Subscription

MESSAGES_MAX: Final = 512
"""Messages that wait on one connection."""

BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes that wait on one connection, unless one message alone has more."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a client: an answer, or a notice for a subscription."""

    text: str
    subscription: Subscription | None = None
    place: LogPlace | None = None


class Outbox:
    """A queue in which whoever has a message waits until there is room for it."""

    def __init__(self, *, messages_max: int = MESSAGES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def put(self, message: Message) -> None:
        """Takes a message in, as soon as there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(len(message.text)))
            self._messages.append(message)
            self._bytes += len(message.text)
            self._changed.notify_all()

    async def get(self) -> Message:
        """The next message, as soon as there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._messages)
            message = self._messages.popleft()
            self._bytes -= len(message.text)
            self._changed.notify_all()
            return message

    def _has_room(self, size: int) -> bool:
        if not self._messages:
            return True
        return len(self._messages) < self._messages_max and self._bytes + size <= self._bytes_max
