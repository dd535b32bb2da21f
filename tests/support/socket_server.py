"""The WebSocket face of a core in this process, on a real port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from node.config import Settings
from node.rpc.access import build_access
from node.rpc.announcements import Announcements
from node.rpc.methods import Methods, View
from node.rpc.server import Server
from node.rpc.socket_protocol import SocketProtocol
from node.rpc.websocket import STALL_SECONDS_MAX, Sockets
from support.rpc_face import Unobserved, face_settings, open_face


@dataclass(frozen=True, slots=True)
class Face:
    """What serves, and how to tell it news."""

    server: Server
    sockets: Sockets
    announcements: Announcements

    def close(self) -> None:
        """Lets go of the threads."""
        self.server.close()
        self.sockets.close()


def make_face(
    view: View,
    *,
    stall_seconds_max: float = STALL_SECONDS_MAX,
    settings: Settings | None = None,
) -> Face:
    """The faces of a node, put together as `node.app.rpc` does."""
    methods, announcements = Methods(view), Announcements()
    server = open_face(methods, lambda: {"status": "ready"}, settings=settings)
    access = build_access(settings or face_settings())
    sockets = Sockets(methods, view, server, access, announcements, Unobserved())
    sockets.stall_seconds_max = stall_seconds_max
    return Face(server, sockets, announcements)


@contextmanager
def serving(face: Face) -> Iterator[str]:
    """The face on a free port, for as long as the context lasts; its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    application: Any = face.sockets
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            ws=SocketProtocol,
            ws_per_message_deflate=False,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    worker = threading.Thread(target=server.run, args=([listener],), daemon=True)
    worker.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        worker.join(10)
        listener.close()
        face.close()
