"""The core process: consensus, pool, execution; the only writer."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from typing import Final

from node import genesis, link
from node.app.consensus import Beginning, Consensus, running_consensus
from node.app.directory import lock_directory, open_chain, opened_stores
from node.app.process import THREAD_STACK_BYTES, SystemClock, settle_in
from node.app.processes import rpc_processes
from node.app.shutdown import EXIT_OK, Shutdown, obey_signals
from node.chain import Chain, Tip
from node.config import Settings
from node.consensus.application import Application
from node.consensus.intake import Intake
from node.pool import Pool
from node.store import ChainStore, PoolStore, StateStore, StateValues
from node.telemetry import CoreMetrics, CoreReading, configure_logs, get_logger

STORES: Final = ("state", "chain", "pool")
"""The directories of the stores."""

STAT_BLOCK_BYTES: Final = 512
"""What the operating system counts a file's blocks in."""


def run_core(settings: Settings) -> int:
    """Runs the core and its RPC processes until a signal or a fault; gives the exit code."""
    sink = configure_logs(process="core", level=settings.log_level)
    threading.stack_size(THREAD_STACK_BYTES)
    shutdown = Shutdown()
    obey_signals(shutdown)
    with contextlib.ExitStack() as stack:
        stack.callback(sink.flush)
        stack.enter_context(lock_directory(settings.data_directory))
        metrics = CoreMetrics()
        state_store, chain_store = stack.enter_context(opened_stores(settings.data_directory))
        timed_store = TimedState(state_store, metrics)
        chain, beginning = _open(settings, timed_store, chain_store)
        application = Application(chain, SystemClock())
        pool_store = PoolStore(settings.data_directory / "pool")
        stack.callback(pool_store.close)
        intake = Intake(application, Pool(**settings.pool.model_dump()), pool_store)
        socket_path = link.socket_path(settings.data_directory)
        consensus = Consensus(application, intake, metrics, timed_store, chain_store, beginning)
        board = link.Board(lambda: metrics.encode(_read(settings, consensus)))
        server = link.Server(socket_path, intake, shutdown.on_fault, board)
        stack.callback(server.close)
        intake.on_events(server.announce_events)

        def announce(tip: Tip) -> None:
            header = tip.header
            get_logger().info(
                "block_committed", number=header.number, hash=header.hash, gas_used=header.gas_used
            )
            metrics.block_committed(number=header.number, gas_used=header.gas_used)
            server.announce(link.Head(header.number, header.hash))

        info = application.info()
        metrics.set_head(chain.tip.header.number)
        get_logger().info("core_started", height=info.last_height, hash=info.app_hash)
        intake.restore()
        settle_in()
        server.start()
        consensus.on_block.append(announce)
        stack.enter_context(running_consensus(settings, consensus, shutdown))
        stack.enter_context(rpc_processes(settings, shutdown))
        shutdown.requested.wait()
        get_logger().info("core_stopping", reason=shutdown.reason)
    if shutdown.exit_code != EXIT_OK:
        with contextlib.suppress(OSError, ValueError):
            print(f"node: {shutdown.reason}", file=sys.stderr)  # noqa: T201 - a person reads this
    return shutdown.exit_code


def _open(
    settings: Settings, state_store: StateValues, chain_store: ChainStore
) -> tuple[Chain, Beginning]:
    """The chain, and what of its genesis is still asked for; the rest of the file is not kept in memory."""
    made = genesis.parse(settings.genesis_file.read_bytes())
    return open_chain(made, state_store, chain_store), Beginning.of(made)


def _read(settings: Settings, consensus: Consensus) -> CoreReading:
    """What the core's metrics show of this moment."""
    status = consensus.intake.pool_status()
    files = {name: settings.data_directory / name / "data.mdb" for name in STORES}
    return CoreReading(
        executable=status.executable,
        waiting=status.waiting,
        pool_bytes=consensus.intake.pool_bytes(),
        clock_lag_seconds=consensus.application.clock_lag_seconds(),
        bytes_by_store={
            name: file.stat().st_blocks * STAT_BLOCK_BYTES
            for name, file in files.items()
            if file.exists()
        },
        engine=consensus.engine_reading(),
    )


class TimedState:
    """The state store, its writes timed. Implements `StateValues`."""

    def __init__(self, store: StateStore, metrics: CoreMetrics) -> None:
        self._store = store
        self._metrics = metrics

    def get(self, key: bytes) -> bytes | None:
        """Return the value stored under a hash."""
        return self._store.get(key)

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Store values under their hashes, durably and all together."""
        with self._metrics.time_state_write():
            self._store.write(values)
