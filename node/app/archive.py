"""Commands on a data directory that no node runs on: import, verify, prune; and export, beside a node too."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, TextIO

from node import failpoint, genesis
from node.app.directory import lock_directory, open_chain, opened_stores
from node.app.process import THREAD_STACK_BYTES
from node.app.shutdown import EXIT_FAILED, EXIT_OK, Shutdown, obey_signals
from node.archive import Verification, export_blocks, import_blocks, prune_states
from node.errors import StoreBusy
from node.history import History
from node.store import ChainStore, StateStore

PROGRESS_BLOCKS: Final = 1_000
"""Blocks between two lines that say how far a command has come."""


def export_chain(
    *,
    data_directory: Path,
    file: Path,
    first_number: int,
    last_number: int | None,
    out: TextIO,
) -> int:
    """Writes a chain file, whole or not at all; gives the exit code."""
    partial = file.with_name(f"{file.name}.partial")

    def export(watch: _Watch) -> int:
        with (
            closing(ChainStore(data_directory / "chain", readonly=True)) as store,
            partial.open("wb") as target,
        ):
            blocks = export_blocks(
                store, target, first_number=first_number, last_number=last_number
            )
            if not watch(blocks):
                return EXIT_FAILED
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
        return EXIT_OK

    try:
        return _run("exported", export, out)
    finally:
        partial.unlink(missing_ok=True)


def import_chain(*, data_directory: Path, genesis_file: Path, file: Path, out: TextIO) -> int:
    """Executes the blocks of a chain file into a data directory; gives the exit code."""

    def execute(watch: _Watch) -> int:
        with (
            lock_directory(data_directory),
            opened_stores(data_directory) as (state_store, chain_store),
            file.open("rb") as source,
        ):
            chain = open_chain(genesis.parse(genesis_file.read_bytes()), state_store, chain_store)
            is_done = watch(import_blocks(chain, History(chain_store), source))
        return EXIT_OK if is_done else EXIT_FAILED

    return _run("imported", execute, out)


def verify_store(
    *, data_directory: Path, genesis_file: Path, first_number: int, out: TextIO
) -> int:
    """Holds a data directory to its chain; gives the exit code, raises StoreDiffers."""
    _check_there(data_directory)

    def verify(watch: _Watch) -> int:
        with (
            lock_directory(data_directory),
            closing(StateStore(data_directory / "state", readonly=True)) as state,
            closing(ChainStore(data_directory / "chain", readonly=True)) as chain,
            tempfile.TemporaryDirectory(prefix="corridor-verify-") as scratch,
        ):
            verification = Verification(
                genesis_text=genesis_file.read_bytes(),
                state=state,
                chain=chain,
                scratch=Path(scratch),
            )
            return EXIT_OK if watch(verification.run(first_number)) else EXIT_FAILED

    return _run("verified", verify, out)


def prune_store(*, data_directory: Path, keep: int, out: TextIO) -> int:
    """Keeps the newest states of a data directory; gives the exit code."""
    failpoint.arm(os.environ, is_development=False)
    _check_there(data_directory)
    file = data_directory / "state" / "data.mdb"
    with (
        lock_directory(data_directory),
        closing(ChainStore(data_directory / "chain")) as chain_store,
    ):
        before = file.stat().st_size
        first_number = prune_states(data_directory, chain_store, keep=keep)
    out.write(
        f"states kept from block {first_number} on; {before} bytes before, "
        f"{file.stat().st_size} now\n"
    )
    return EXIT_OK


def _check_there(data_directory: Path) -> None:
    """Raises StoreBusy where no node has run: a mistyped name must not leave a directory behind."""
    for name in ("state", "chain"):
        if not (data_directory / name).exists():
            raise StoreBusy(str(data_directory / name), "it does not exist")


_Watch = Callable[[Iterator[int]], bool]
"""Goes through blocks to their end, and says whether it came there before it was told to stop."""


def _run(what: str, work: Callable[[_Watch], int], out: TextIO) -> int:
    """Does work on blocks in a thread whose stack is deep enough for them, until a signal at most."""
    shutdown = Shutdown()
    obey_signals(shutdown)
    outcome: list[int | Exception] = []

    def watch(blocks: Iterator[int]) -> bool:
        count, newest = 0, None
        for number in blocks:
            count, newest = count + 1, number
            if count % PROGRESS_BLOCKS == 0:
                out.write(f"{what} {count} blocks, up to {number}\n")
                out.flush()
            if shutdown.requested.is_set():
                out.write(f"stopped by {shutdown.reason} after block {number}\n")
                return False
        out.write(f"{what} {count} blocks" + ("\n" if newest is None else f", up to {newest}\n"))
        return True

    def run() -> None:
        try:
            outcome.append(work(watch))
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it again
            outcome.append(error)

    threading.stack_size(THREAD_STACK_BYTES)
    worker = threading.Thread(target=run, name="blocks")
    worker.start()
    worker.join()
    (result,) = outcome
    if isinstance(result, Exception):
        raise result
    return result
