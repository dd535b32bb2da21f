"""HTTP for uvicorn: its own protocol over h11, whose answers leave in one write.

uvicorn writes the head of an answer and its body each by itself: two system calls, and two packets where one would do.
Here what one turn of the event loop writes to a connection leaves together, at its end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class GatheredWrites(asyncio.Transport):
    """A transport that writes what one turn of the loop gave it at once; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes | bytearray | memoryview] = []

    def write(self, part: bytes | bytearray | memoryview) -> None:
        """Writes at the end of this turn."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(part)

    def flush(self) -> None:
        """Writes what was given so far."""
        if self._parts:
            parts, self._parts = self._parts, []
            self.transport.write(b"".join(parts))

    def close(self) -> None:
        """Closes once everything is written."""
        self.flush()
        self.transport.close()

    def abort(self) -> None:
        """Closes at once."""
        self._parts.clear()
        self.transport.abort()

    def is_closing(self) -> bool:
        """Whether it closes or is closed."""
        return self.transport.is_closing()

    def pause_reading(self) -> None:
        """Lets the peer wait."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Takes in again what the peer sends."""
        self.transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # whatever the transport tells
        """What the transport says of itself."""
        return self.transport.get_extra_info(name, default)


class HttpProtocol(H11Protocol):
    """uvicorn's protocol with gathered writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins a connection."""
        super().connection_made(GatheredWrites(transport))

    def handle_websocket_upgrade(self, event: Any) -> None:  # a request as h11 reads it
        """Hands the connection over, with the transport itself."""
        if isinstance(self.transport, GatheredWrites):
            self.transport.flush()
            self.transport = self.transport.transport
        super().handle_websocket_upgrade(event)
