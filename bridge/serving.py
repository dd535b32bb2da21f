"""The listening sockets of a bridge and the web servers behind them.

One face serves customers and operators on a loopback port; a proxy in front of it terminates TLS. With
`interbank_tls` other institutions have a face of their own, on another port of the same process, over
TLS 1.3 that demands a certificate of every client and tells the application whose it is.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from asyncio import Transport
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.api import CERTIFIED_LEI
from bridge.errors import SettingsInvalid
from bridge.interbank.tls import lei_of_certificate

STOP_SECONDS_MAX: Final = 10
"""How long a stopping process waits for its threads and its open requests."""

CONNECTIONS_MAX: Final = 512
"""Connections served at one time by a face; more are told to come back."""

HOST: Final = "127.0.0.1"
"""Address that is listened on."""


@dataclass(frozen=True, slots=True)
class Face:
    """An application behind a listening socket, over TLS where there is a context for it."""

    app: ASGIApp
    listener: socket.socket
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{HOST}:{self.listener.getsockname()[1]}"


def listen(port: int) -> socket.socket:
    """A listening socket, taken first: a second process on the same settings ends here.

    Raises `SettingsInvalid`.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise SettingsInvalid("settings", f"port {port}: {error.strerror}") from error
    # Accepted sockets inherit it; without it every answer waits some 40 ms for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve_faces(faces: Sequence[Face], stop: threading.Event, announce: Callable[[], None]) -> None:
    """Serve until `stop` is set or a face ends; `announce` is called once all answer requests."""
    waiting = threading.Semaphore(len(faces) - 1)

    def answers() -> None:
        if not waiting.acquire(blocking=False):
            announce()

    servers = [_Server(_config(face), stop, answers) for face in faces]

    async def serve_one(server: _Server, face: Face) -> None:
        try:
            await server.serve(sockets=[face.listener])
        finally:
            stop.set()

    async def serve_all() -> None:
        async with asyncio.TaskGroup() as group:
            for server, face in zip(servers, faces, strict=True):
                group.create_task(serve_one(server, face))

    with asyncio.Runner(loop_factory=servers[0].config.get_loop_factory()) as runner:
        runner.run(serve_all())


def _config(face: Face) -> uvicorn.Config:
    tls = face.tls
    return uvicorn.Config(
        face.app,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        http="auto" if tls is None else _CertifiedProtocol,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )


class _Server(uvicorn.Server):
    """A web server that says when it serves and ends when an event is set, not by signals."""

    def __init__(
        self, config: uvicorn.Config, stop: threading.Event, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._stop = stop
        self._announce = announce

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command line."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def on_tick(self, counter: int) -> bool:
        """Whether to end now; asked ten times a second."""
        return await super().on_tick(counter) or self._stop.is_set()


class _CertifiedProtocol(H11Protocol):
    """HTTP/1.1 over TLS that tells the application whose certificate the client showed."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take the connection, with the LEI in its certificate."""
        super().connection_made(transport)
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.app: Any = _Certified(self.app, lei_of_certificate(tls.getpeercert() or {}))


class _Certified:
    """An application whose requests all come over one connection with a client's certificate."""

    def __init__(self, app: ASGIApp, lei: str | None) -> None:
        self._app = app
        self._lei = lei

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the LEI in the certificate."""
        scope.setdefault("state", {})[CERTIFIED_LEI] = self._lei
        await self._app(scope, receive, send)
