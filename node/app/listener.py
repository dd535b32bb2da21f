"""The port of a node: one listening socket, taken once and shared by its RPC processes.

The core holds it for as long as it runs. So another node on the port is refused at the start, a connection that comes
while an RPC process is started again waits instead of failing, and what one process cannot take any more another does.
"""

from __future__ import annotations

import socket
import time
from typing import Final

from node.app.process import POLL_SECONDS, START_SECONDS_MAX
from node.errors import PortBusy

CONNECTIONS_WAITING_MAX: Final = 1_024
"""Connections that wait to be accepted."""

ACCEPTED_AT_ONCE: Final = 1
"""Connections that a process takes in one go, so that those which come together are spread over the processes."""


class SharedListener(socket.socket):
    """The port's socket in an RPC process: it listens already, with the line that who took the port has given it."""

    def listen(self, _backlog: int = 0, /) -> None:
        """Leaves the line as it is; asyncio would shorten it to what it accepts at once."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; waits a little for a predecessor that is still ending. Raises `PortBusy`."""
    deadline = time.monotonic() + START_SECONDS_MAX
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        # The protocol is named so that asyncio turns Nagle's algorithm off: 40 ms per answer.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            if time.monotonic() > deadline:
                raise PortBusy(host, port) from error
            time.sleep(POLL_SECONDS)
            continue
        listener.listen(CONNECTIONS_WAITING_MAX)
        return listener


def url_of(host: str, port: int) -> str:
    """What a client on this machine asks."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
