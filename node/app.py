"""Composition roots: the only file that builds the node's concrete objects.

A running node is two processes. The *core* is the one that was started: it holds the directory's
lock, the stores' writing side, the pool and the engine of consensus, and starts the *RPC* process as
its child. The RPC process reads the stores and asks the core over the link. It faces the network, so
its end is not the core's: it is started again, after a pause that doubles, and only when it fails
`RPC_FAILURES_MAX` times in a row does the core end. The RPC process ends when the link to the core
breaks, also by a killed core. SIGTERM and SIGINT end both in order.

Whatever ends the thread that makes blocks ends the node: a node that makes no blocks must not look
alive. So it is asked to end before anything else is tried, a log line included.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from node import genesis, link
from node.chain import Chain, Tip
from node.config import Settings, parse_network
from node.consensus.application import Application
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.engine import PyEvmEngine
from node.errors import CoreUnavailable, DirectoryBusy, InvariantBroken, PortBusy
from node.history import History
from node.permissions import Permissions
from node.pool import Pool
from node.rpc.health import Health
from node.rpc.methods import Methods
from node.rpc.server import Server
from node.store import ChainStore, MemoryState, StateStore
from node.telemetry import LogSink, configure_logs, get_logger

CLIENT_VERSION: Final = "corridor-node/0.1.0"

START_SECONDS_MAX: Final = 10
"""How long a process waits for its port or its peer at the start."""

STOP_SECONDS_MAX: Final = 10
"""How long a process is given to end before it is killed."""

THREAD_STACK_BYTES: Final = 64 * 1024 * 1024
"""Address space of each thread's stack: the EVM's deepest calls run in threads."""

POLL_SECONDS: Final = 0.02
KEEP_ALIVE_SECONDS: Final = 75

GRACE_SECONDS: Final = 2
"""How long requests at hand may go on once the RPC process is to end."""

CONNECTIONS_MAX: Final = 1_024
"""Connections and requests of the RPC process at once; past it the answer is 503."""

RPC_FAILURES_MAX: Final = 5
"""RPC processes that may fail in a row, each sooner than `RPC_WELL_SECONDS` after its start."""

RPC_WELL_SECONDS: Final = 60
RPC_PAUSE_SECONDS: Final = 0.5
"""Pause before a failed RPC process is started again; it doubles with each failure in a row."""

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_BROKEN: Final = 4
EXIT_PEER_LOST: Final = 5

EXITS_FOR_GOOD: Final = frozenset({2, 3, EXIT_BROKEN})
"""Codes with which an RPC process has said what is wrong; another one would say the same."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """UTC seconds."""
        return int(time.time())


@dataclass(slots=True)
class Shutdown:
    """Why a process should end; the first reason stands."""

    exit_code: int = EXIT_OK
    reason: str = ""
    requested: threading.Event = field(default_factory=threading.Event)

    def request(self, *, exit_code: int, reason: str) -> None:
        """Asks the main thread to end the process."""
        if not self.requested.is_set():
            self.exit_code, self.reason = exit_code, reason
            self.requested.set()

    def on_fault(self, error: InvariantBroken) -> None:
        """Asks for the end because of a broken invariant, in its own words."""
        self.request(exit_code=EXIT_BROKEN, reason=str(error))
        get_logger().error("invariant_broken", error=type(error).__name__, fault=str(error))

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Asks for the end on SIGTERM or SIGINT."""
        self.request(exit_code=EXIT_OK, reason=signal.Signals(number).name)


class Keeper:
    """Keeps one child process running."""

    def __init__(
        self,
        command: Sequence[str],
        shutdown: Shutdown,
        pause_seconds: float = RPC_PAUSE_SECONDS,
    ) -> None:
        self._command = command
        self._pause_seconds = pause_seconds
        self._shutdown = shutdown
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Starts the process, and again each time it fails, until `stop`; asks for the end if that is no use."""
        failures = 0
        while (child := self._start()) is not None:
            started_at = time.monotonic()
            code = child.wait()
            if self._stopping.is_set():
                return
            was_well = time.monotonic() - started_at >= RPC_WELL_SECONDS
            failures = 1 if was_well else failures + 1
            if code in EXITS_FOR_GOOD or failures >= RPC_FAILURES_MAX:
                reason = f"the RPC process ended with code {code}, {failures} times in a row"
                self._shutdown.request(exit_code=EXIT_FAILED, reason=reason)
                return
            get_logger().error("rpc_process_failed", code=code, failures=failures)
            self._stopping.wait(self._pause_seconds * 2 ** (failures - 1))

    def stop(self) -> None:
        """Ends the process in order, or by force after a while; `keep` returns."""
        self._stopping.set()
        with self._lock:
            child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            child.kill()

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._child = subprocess.Popen(self._command)
            return self._child


def generate_genesis(network_file: Path) -> tuple[bytes, bytes]:
    """The content of genesis.json for a network file, and the genesis hash."""
    made = genesis.generate(parse_network(network_file.read_bytes()), PyEvmEngine(MemoryState()))
    return genesis.format_genesis(made), made.header.hash


def verify_genesis(genesis_file: Path) -> bytes:
    """The hash of a genesis file, recomputed; raises `GenesisMismatch` where the file states another."""
    loaded, _ = genesis.load(genesis_file.read_bytes(), PyEvmEngine(MemoryState()))
    return loaded.header.hash


def run_core(settings: Settings) -> int:
    """Runs the core and its RPC child until a signal or a fault; gives the exit code."""
    sink = configure_logs(process="core", level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    _obey_signals(shutdown)
    with contextlib.ExitStack() as stack:
        stack.callback(sink.flush)
        stack.enter_context(_lock_directory(settings.data_directory))
        state_store = StateStore(settings.data_directory / "state")
        stack.callback(state_store.close)
        chain_store = ChainStore(settings.data_directory / "chain")
        stack.callback(chain_store.close)
        application = _build_application(settings, state_store, chain_store)
        intake = Intake(application, Pool())
        socket_path = link.socket_path(settings.data_directory)
        server = link.Server(socket_path, intake, shutdown.on_fault)
        stack.callback(server.close)

        def announce(tip: Tip) -> None:
            get_logger().info(
                "block_committed",
                number=tip.header.number,
                hash=tip.header.hash,
                gas_used=tip.header.gas_used,
            )
            server.announce(link.Head(tip.header.number, tip.header.hash))

        solo = SoloEngine(application, intake, announce)
        info = application.info()
        get_logger().info("core_started", height=info.last_height, hash=info.app_hash)
        server.start()
        worker = threading.Thread(target=guard, args=(solo.run, shutdown), name="consensus")
        worker.start()
        stack.callback(worker.join)
        stack.callback(solo.stop)
        stack.enter_context(_rpc_child(settings, shutdown))
        shutdown.requested.wait()
        get_logger().info("core_stopping", reason=shutdown.reason)
    if shutdown.exit_code != EXIT_OK:
        with contextlib.suppress(OSError, ValueError):
            print(f"node: {shutdown.reason}", file=sys.stderr)  # noqa: T201 - a person reads this
    return shutdown.exit_code


def run_rpc(settings: Settings) -> int:
    """Serves JSON-RPC until a signal or the core's end; gives the exit code."""
    sink = configure_logs(process="rpc", level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    _obey_signals(shutdown)
    client = _connect(settings.data_directory)
    specification = genesis.load(settings.genesis_file.read_bytes(), PyEvmEngine(MemoryState()))[
        0
    ].specification
    history = History(ChainStore(settings.data_directory / "chain", readonly=True))
    methods = Methods(
        specification=specification,
        history=history,
        engine=PyEvmEngine(StateStore(settings.data_directory / "state", readonly=True)),
        core=client,
        clock=SystemClock(),
        client_version=CLIENT_VERSION,
    )
    health = Health(specification, history, client, SystemClock())
    listener = _listen(settings.host, settings.port)
    face = Server(methods, health.report, settings.host)
    config = uvicorn.Config(
        face,
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
    return _end_now(shutdown.exit_code, sink)


def _end_now(exit_code: int, sink: LogSink) -> int:
    """Ends the process without waiting for threads at work on answers that nobody will get."""
    sink.flush()
    os._exit(exit_code)


def _build_application(
    settings: Settings, state_store: StateStore, chain_store: ChainStore
) -> Application:
    engine = PyEvmEngine(state_store)
    loaded, state = genesis.load(settings.genesis_file.read_bytes(), engine)
    if History(chain_store).genesis_hash() is None:
        engine.commit(state.handle)
    else:
        engine.discard(state.handle)
    chain_store.initialise(loaded.header)
    chain = Chain(
        store=chain_store,
        engine=engine,
        specification=loaded.specification,
        permissions=Permissions(engine),
    )
    return Application(chain, SystemClock())


def guard(run: Callable[[], None], shutdown: Shutdown) -> None:
    """Runs the work of a thread the node cannot be without; however it fails, the process is asked to end."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - outermost loop of its thread: the process must end
        is_broken = isinstance(error, InvariantBroken)
        name = threading.current_thread().name
        shutdown.request(
            exit_code=EXIT_BROKEN if is_broken else EXIT_FAILED, reason=f"{name} failed: {error}"
        )
        get_logger().exception("thread_failed", thread=name)


@contextlib.contextmanager
def _rpc_child(settings: Settings, shutdown: Shutdown) -> Iterator[None]:
    """An RPC process, for as long as the context lasts; one that ends is started again."""
    command = [
        *(sys.executable, "-m", "node", "rpc"),
        *("--genesis", str(settings.genesis_file), "--data", str(settings.data_directory)),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--log-level", settings.log_level),
    ]
    keeper = Keeper(command, shutdown)
    thread = threading.Thread(target=guard, args=(keeper.keep, shutdown), name="keep-rpc")
    thread.start()
    try:
        yield
    finally:
        keeper.stop()
        thread.join()


def _watch_core(client: link.Client, shutdown: Shutdown) -> None:
    client.closed.wait()
    shutdown.request(exit_code=EXIT_PEER_LOST, reason="the core process ended")


def _obey_signals(shutdown: Shutdown) -> None:
    signal.signal(signal.SIGTERM, shutdown.on_signal)
    signal.signal(signal.SIGINT, shutdown.on_signal)


@contextlib.contextmanager
def _lock_directory(directory: Path) -> Iterator[None]:
    """A claim on a data directory, which ends with this process however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DirectoryBusy(str(directory)) from error
        yield


def _connect(directory: Path) -> link.Client:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return link.Client(link.socket_path(directory))
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
