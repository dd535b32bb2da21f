"""uvicorn's WebSocket protocol, but for one thing: a client that takes nothing cannot keep its connection.

As it comes, the protocol sends a close frame only once the client has taken what was sent before, and then waits for it
without end. Here the close frame follows what was sent, so that a client which wakes up in time reads why it was cut;
and `ABORT_SECONDS` after its application has ended the connection is gone.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

ABORT_SECONDS: Final = 15
"""Seconds that a client has to take what was sent and to answer the close frame."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection, as uvicorn drives it."""

    async def run_asgi(self) -> None:
        """Runs the application; what is left of the connection a while later is dropped."""
        await super().run_asgi()
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    async def send(self, message: Any) -> None:
        """Sends; a close frame does not wait for the client."""
        if message["type"] == "websocket.close":
            self.writable.set()
        await super().send(message)
