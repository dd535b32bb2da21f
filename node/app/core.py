"""The core process: consensus, pool, execution; the only writer."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from node import link
from node.app.directory import lock_directory, open_chain, opened_stores
from node.app.keeper import Keeper
from node.app.process import THREAD_STACK_BYTES, SystemClock
from node.app.shutdown import EXIT_OK, Shutdown, guard, obey_signals
from node.chain import Tip
from node.config import Settings
from node.consensus.application import Application
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.pool import Pool
from node.store import PoolStore
from node.telemetry import configure_logs, get_logger


def run_core(settings: Settings) -> int:
    """Runs the core and its RPC child until a signal or a fault; gives the exit code."""
    sink = configure_logs(process="core", level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    obey_signals(shutdown)
    with contextlib.ExitStack() as stack:
        stack.callback(sink.flush)
        stack.enter_context(lock_directory(settings.data_directory))
        stores = stack.enter_context(opened_stores(settings.data_directory))
        chain = open_chain(settings.genesis_file.read_bytes(), *stores)
        application = Application(chain, SystemClock())
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
