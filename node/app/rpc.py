"""The RPC process: JSON-RPC over the stores, read here, and the core, asked over the link."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Final

import uvicorn

from node import genesis, link
from node.app.process import POLL_SECONDS, START_SECONDS_MAX, THREAD_STACK_BYTES, SystemClock
from node.app.shutdown import EXIT_PEER_LOST, Shutdown, obey_signals
from node.config import Settings
from node.engine import PyEvmEngine
from node.errors import CoreUnavailable, PortBusy
from node.history import History
from node.rpc.announcements import Announcements
from node.rpc.health import Health
from node.rpc.hosts import HostNames
from node.rpc.methods import Methods, View
from node.rpc.server import BODY_BYTES_MAX, Receive, Scope, Send, Server
from node.rpc.socket_protocol import SocketProtocol
from node.rpc.websocket import Sockets
from node.store import ChainStore, StateStore
from node.telemetry import LogSink, configure_logs, get_logger

CLIENT_VERSION: Final = "corridor-node/0.1.0"

KEEP_ALIVE_SECONDS: Final = 75

GRACE_SECONDS: Final = 2
"""How long requests at hand may go on once the RPC process is to end."""

CONNECTIONS_MAX: Final = 1_024
"""Connections and requests of the RPC process at once; past it the answer is 503."""


def run_rpc(settings: Settings) -> int:
    """Serves JSON-RPC until a signal or the core's end; gives the exit code."""
    sink = configure_logs(process="rpc", level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    obey_signals(shutdown)
    announcements = Announcements()
    client = _connect(settings.data_directory, announcements)
    specification = genesis.parse(settings.genesis_file.read_bytes()).specification
    history = History(ChainStore(settings.data_directory / "chain", readonly=True))
    view = View(
        specification=specification,
        history=history,
        engine=PyEvmEngine(StateStore(settings.data_directory / "state", readonly=True)),
        core=client,
        filters=client.filters,
        clock=SystemClock(),
        client_version=CLIENT_VERSION,
    )
    health = Health(specification, history, client, SystemClock())
    listener = _listen(settings.host, settings.port)
    methods = Methods(view)
    face = Server(methods, health.report, settings.host)
    sockets = Sockets(methods, view, face.answer_body, announcements, HostNames(settings.host))

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (sockets if scope["type"] == "websocket" else face)(scope, receive, send)

    config = uvicorn.Config(
        serve,
        ws=SocketProtocol,
        ws_max_size=BODY_BYTES_MAX,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS_MAX,
    )
    server = uvicorn.Server(config)
    # Off the main thread the server leaves signals alone: they stay ours.
    worker = threading.Thread(target=server.run, args=([listener],), name="http", daemon=True)
    worker.start()
    while not server.started and worker.is_alive():
        time.sleep(POLL_SECONDS)
    with contextlib.suppress(OSError, ValueError):  # whoever waited for it may have gone
        print(f"ready http://{settings.host}:{settings.port}", flush=True)  # noqa: T201 - the ready line
    threading.Thread(target=_watch_core, args=(client, shutdown), daemon=True).start()
    shutdown.requested.wait()
    get_logger().info("rpc_stopping", reason=shutdown.reason)
    server.should_exit = True
    worker.join(GRACE_SECONDS + 1)
    face.close()
    sockets.close()
    return _end_now(shutdown.exit_code, sink)


def _end_now(exit_code: int, sink: LogSink) -> int:
    """Ends the process without waiting for threads at work on answers that nobody will get."""
    sink.flush()
    os._exit(exit_code)


def _watch_core(client: link.Client, shutdown: Shutdown) -> None:
    client.closed.wait()
    shutdown.request(exit_code=EXIT_PEER_LOST, reason="the core process ended")


def _connect(directory: Path, announcements: Announcements) -> link.Client:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return link.Client(link.socket_path(directory), announcements.on_head)
        except CoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; waits a little for a predecessor that is still ending."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        # The protocol is named so that asyncio turns Nagle's algorithm off: 40 ms per answer.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            if time.monotonic() > deadline:
                raise PortBusy(host, port) from error
            time.sleep(POLL_SECONDS)
            continue
        listener.listen()
        return listener
