"""The core process: consensus, pool, execution; the only writer."""

from __future__ import annotations

import contextlib
import fcntl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from node import genesis, link
from node.app.keeper import Keeper
from node.app.process import THREAD_STACK_BYTES, SystemClock
from node.app.shutdown import EXIT_OK, Shutdown, guard, obey_signals
from node.chain import Chain, Tip
from node.config import Settings
from node.consensus.application import Application
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.engine import PyEvmEngine
from node.errors import DirectoryBusy
from node.history import History
from node.permissions import Permissions
from node.pool import Pool
from node.store import ChainStore, PoolStore, StateStore
from node.telemetry import configure_logs, get_logger


def run_core(settings: Settings) -> int:
    """Runs the core and its RPC child until a signal or a fault; gives the exit code."""
    sink = configure_logs(process="core", level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    obey_signals(shutdown)
    with contextlib.ExitStack() as stack:
        stack.callback(sink.flush)
        stack.enter_context(_lock_directory(settings.data_directory))
        state_store = StateStore(settings.data_directory / "state")
        stack.callback(state_store.close)
        chain_store = ChainStore(settings.data_directory / "chain")
        stack.callback(chain_store.close)
        application = _build_application(settings, state_store, chain_store)
        pool_store = PoolStore(settings.data_directory / "pool")
        stack.callback(pool_store.close)
        intake = Intake(application, Pool(), pool_store)
        socket_path = link.socket_path(settings.data_directory)
        server = link.Server(socket_path, intake, shutdown.on_fault)
        stack.callback(server.close)
        intake.on_events(server.announce_events)

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
        intake.restore()
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


def _build_application(
    settings: Settings, state_store: StateStore, chain_store: ChainStore
) -> Application:
    engine = PyEvmEngine(state_store)
    text = settings.genesis_file.read_bytes()
    if History(chain_store).genesis_hash() is None:
        loaded, state = genesis.load(text, engine)
        engine.commit(state.handle)
    else:
        loaded = genesis.parse(text)
    chain_store.initialise(loaded.header)
    chain = Chain(
        store=chain_store,
        engine=engine,
        specification=loaded.specification,
        permissions=Permissions(engine),
    )
    return Application(chain, SystemClock())


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
