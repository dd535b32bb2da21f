"""A JSON-RPC client over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

SECONDS_MAX: Final = 20
"""How long a message may take to come."""


@contextmanager
def open_socket(url: str) -> Iterator[Socket]:
    """A connection for as long as the context lasts."""
    with connect(url.replace("http://", "ws://")) as connection:
        yield Socket(connection)


class Socket:
    """A client that keeps answers and notifications apart."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.notices: list[dict[str, Any]] = []
        self.asked = 0

    def call(self, method: str, *params: Any) -> Any:
        """The whole answer to one call; notifications that come before it are kept."""
        self.asked += 1
        request = {"jsonrpc": "2.0", "id": self.asked, "method": method, "params": list(params)}
        self.connection.send(json.dumps(request))
        while True:
            message = json.loads(self.connection.recv(SECONDS_MAX))
            if message.get("id") == self.asked:
                return message
            self.notices.append(message)

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one call."""
        answer = self.call(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    def take(self, count: int) -> list[dict[str, Any]]:
        """The next notifications."""
        while len(self.notices) < count:
            self.notices.append(json.loads(self.connection.recv(SECONDS_MAX)))
        taken, self.notices = self.notices[:count], self.notices[count:]
        return [each["params"] for each in taken]
