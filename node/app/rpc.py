"""An RPC process: JSON-RPC over the stores, read here, and the core, asked over the link."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from dataclasses import dataclass
from typing import Final, Self

import uvicorn

from node import genesis, link
from node.admission import Admission
from node.app.listener import ACCEPTED_AT_ONCE, SharedListener, listen, url_of
from node.app.process import (
    POLL_SECONDS,
    START_SECONDS_MAX,
    THREAD_STACK_BYTES,
    SystemClock,
    settle_in,
)
from node.app.shutdown import EXIT_PEER_LOST, Shutdown, obey_signals
from node.config import Settings
from node.engine import PyEvmEngine
from node.errors import CoreUnavailable, NodeError, SettingsInvalid
from node.history import History
from node.permissions import Permissions
from node.rpc.access import build_access
from node.rpc.announcements import Announcements
from node.rpc.health import Health
from node.rpc.http_protocol import HttpProtocol
from node.rpc.methods import Methods, View
from node.rpc.methods.table import METHODS
from node.rpc.server import Pages, Receive, Scope, Send, Server
from node.rpc.socket_protocol import SocketProtocol
from node.rpc.websocket import Sockets
from node.store import ChainStore, StateStore
from node.telemetry import LogSink, RpcMetrics, configure_logs, format_samples, get_logger

CLIENT_VERSION: Final = "corridor-node/0.1.0"

ORPHAN_SECONDS_MAX: Final = 2
"""How long requests at hand may go on once the core has ended."""

REPORT_SECONDS: Final = 5
"""How often a process leaves its metrics with the core, for those of whom they are asked."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a core hands to an RPC process that it starts, on its standard input."""

    settings: Settings
    process: str
    """Its name in logs and metrics."""
    listener: int
    """The descriptor of the port's listening socket."""
    core: int
    """The core's process id: this process serves no other one."""

    def encode(self) -> bytes:
        """As JSON."""
        document = {
            "settings": self.settings.model_dump(mode="json"),
            "process": self.process,
            "listener": self.listener,
            "core": self.core,
        }
        return json.dumps(document).encode()

    @classmethod
    def decode(cls, inherited: bytes) -> Self:
        """What `encode` wrote; raises `SettingsInvalid` for anything else."""
        try:
            document = json.loads(inherited)
            settings = Settings.model_validate_json(json.dumps(document["settings"]))
            process, listener = str(document["process"]), int(document["listener"])
            return cls(settings, process, listener, int(document["core"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsInvalid("--inherited is for the core alone: use other flags") from error


def run_kept_rpc(inherited: bytes) -> int:
    """Runs an RPC process that its core has started; gives the exit code."""
    given = Inheritance.decode(inherited)
    listener = SharedListener(fileno=given.listener)
    return _run(given.settings, given.process, listener, given.core)


def run_rpc(settings: Settings) -> int:
    """Runs an RPC process beside a core that runs already, on a port of its own; gives the exit code."""
    return _run(settings, f"rpc-{os.getpid()}", None, None)


def _run(
    settings: Settings, process: str, listener: SharedListener | None, core: int | None
) -> int:
    """Serves JSON-RPC until a signal or the core's end; `core` is the process that must be this one's parent."""
    sink = configure_logs(process=process, level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    obey_signals(shutdown)
    access = build_access(settings)
    announcements = Announcements()
    client = _connect(settings, announcements, core)
    view = _open_view(settings, client)
    metrics = RpcMetrics(METHODS)
    pages = Pages(
        report_readiness=Health(view.specification, view.history, client, view.clock).report,
        report_metrics=lambda: _report_metrics(client, process, metrics),
    )
    submitter = link.Submitter(
        link.socket_path(settings.data_directory), on_lost=lambda: _end_without_core(shutdown)
    )
    methods = Methods(view, submitter)
    face = Server(methods, pages, access, metrics, settings.limits)
    sockets = Sockets(methods, view, face, access, announcements, metrics)
    listener = listener or SharedListener(fileno=listen(settings.host, settings.port).detach())
    server = uvicorn.Server(_server_config(face, sockets, settings))
    # Off the main thread the server leaves signals alone: they stay ours.
    settle_in()
    worker = threading.Thread(target=server.run, args=([listener],), name="http", daemon=True)
    worker.start()
    while not server.started and worker.is_alive():
        time.sleep(POLL_SECONDS)
    with contextlib.suppress(OSError, ValueError):  # whoever waited for it may have gone
        print(f"ready {url_of(settings.host, settings.port)}", flush=True)  # noqa: T201 - the ready line
    threading.Thread(target=_watch_core, args=(client, shutdown), daemon=True).start()
    samples = threading.Thread(
        target=_leave_samples, args=(client, shutdown, process, metrics), daemon=True
    )
    samples.start()
    shutdown.requested.wait()
    get_logger().info("rpc_stopping", reason=shutdown.reason)
    seconds = settings.limits.shutdown_seconds_max
    if shutdown.exit_code == EXIT_PEER_LOST:
        # Whoever still asks is told by each call itself that the core does not answer.
        seconds = server.config.timeout_graceful_shutdown = min(seconds, ORPHAN_SECONDS_MAX)
    else:
        face.drain()
    server.should_exit = True
    worker.join(seconds + 1)
    face.close()
    sockets.close()
    return _end_now(shutdown.exit_code, sink)


def _end_now(exit_code: int, sink: LogSink) -> int:
    """Ends the process without waiting for threads at work on answers that nobody will get."""
    sink.flush()
    os._exit(exit_code)


def _server_config(face: Server, sockets: Sockets, settings: Settings) -> uvicorn.Config:
    limits = settings.limits

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (sockets if scope["type"] == "websocket" else face)(scope, receive, send)

    return uvicorn.Config(
        serve,
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_max_size=limits.body_bytes_max,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.shutdown_seconds_max,
        limit_concurrency=limits.connections_max,
    )


def _open_view(settings: Settings, client: link.Client) -> View:
    directory = settings.data_directory
    engine = PyEvmEngine(StateStore(directory / "state", readonly=True))
    return View(
        specification=genesis.parse(settings.genesis_file.read_bytes()).specification,
        history=History(ChainStore(directory / "chain", readonly=True)),
        engine=engine,
        admission=Admission(engine, Permissions(engine)),
        core=client,
        filters=client.filters,
        clock=SystemClock(),
        client_version=CLIENT_VERSION,
        limits=settings.limits,
    )


def _report_metrics(client: link.Client, process: str, metrics: RpcMetrics) -> bytes:
    """The page of all processes; of this one alone where the core does not answer."""
    samples: dict[str, bytes] = {}
    with contextlib.suppress(CoreUnavailable):
        samples = client.collect_samples()
    return format_samples({**samples, process: metrics.encode()})


def _leave_samples(
    client: link.Client, shutdown: Shutdown, process: str, metrics: RpcMetrics
) -> None:
    """Keeps the core's copy of this process's metrics fresh."""
    while not shutdown.requested.is_set():
        try:
            client.report_samples(process, metrics.encode())
        except NodeError as error:
            get_logger().warning("metrics_not_left", reason=str(error))
        shutdown.requested.wait(REPORT_SECONDS)


def _watch_core(client: link.Client, shutdown: Shutdown) -> None:
    client.closed.wait()
    _end_without_core(shutdown)


def _end_without_core(shutdown: Shutdown) -> None:
    shutdown.request(exit_code=EXIT_PEER_LOST, reason="the core process ended")


def _connect(settings: Settings, announcements: Announcements, core: int | None) -> link.Client:
    """A connection to the core; raises `CoreUnavailable`, also where the core that started this process has ended.

    An orphan must not go over to its core's successor: it holds the port that the successor waits for.
    """
    deadline = time.monotonic() + START_SECONDS_MAX
    path = link.socket_path(settings.data_directory)
    while True:
        client = None
        with contextlib.suppress(CoreUnavailable):
            client = link.Client(path, announcements.on_head, announcements.on_pool_events)
        is_orphan = core is not None and os.getppid() != core
        if client is not None and not is_orphan:
            return client
        if client is not None:
            client.close()
        if is_orphan or time.monotonic() > deadline:
            raise CoreUnavailable
        time.sleep(POLL_SECONDS)
