"""Snapshots of a data directory: made beside a running node's consensus, or by a command while none runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from node.app.directory import lock_directory
from node.consensus.cometbft.archivist import SignedHeaders
from node.errors import Rejected, SnapshotInvalid, StoreBusy, Unavailable
from node.signed_header import SignedHeader
from node.snapshot import (
    Manifest,
    Shelf,
    cut_chunks,
    read_preamble,
    snapshot_records,
)
from node.snapshot.shelf import SUCCESSORS
from node.store import ChainStore, StateStore, StateValues
from node.telemetry import get_logger

SNAPSHOTS_DIRECTORY: Final = "snapshots"
"""Where a data directory keeps them."""

AGAIN_SECONDS: Final = 10
"""After which to look again, also without a new height: a certifying header may have been late."""

PAUSE_SECONDS: Final = 0.01
"""Rest between some hundred values of a state: blocks go first."""


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """What snapshots are made of."""

    store: ChainStore
    state: StateValues
    engine: SignedHeaders | None = None
    """Where the commits can be had that all nodes agree on; without it they are those that this node saw."""

    def newest(self, every_blocks: int = 1) -> int | None:
        """The newest block whose number is a multiple that a snapshot can be made of; None where there is none.

        Its state must be kept, two heights must follow its own, and its certifying header must be kept: by then every
        change of validators up to it is known, with a commit that all nodes agree on.
        """
        with self.store.read() as reader:
            newest_height = reader.checkpoint().height
            certified = min(reader.certified_number(), reader.head_number())
            first_number = max(reader.first_state_number(), reader.first_number(), 1)
            newest_number = certified - certified % every_blocks
            for number in range(newest_number, first_number - 1, -every_blocks):
                if reader.height(number) + SUCCESSORS <= newest_height:
                    return number
        return None

    def put(self, shelf: Shelf, number: int, watch: Callable[[], None] = lambda: None) -> Manifest:
        """Makes and keeps the snapshot of a block that `newest` gave; raises what `watch` raises."""
        with self.store.read() as reader:
            height = reader.height(number)
            genesis_hash = reader.genesis_hash()
            stored = [
                each for each in reader.validator_changes() if each.header.height <= height + 1
            ]
        changes = [self._agreed(each) for each in stored]
        with self.store.read() as reader:
            preamble = read_preamble(reader, number, changes)
        if genesis_hash is None:
            raise SnapshotInvalid("the store has no genesis")
        return shelf.put(
            height=height,
            number=number,
            genesis_hash=genesis_hash,
            app_hash=preamble.block.header.hash,
            chunks=cut_chunks(snapshot_records(preamble, self.state, watch)),
        )

    def _agreed(self, seen: SignedHeader) -> SignedHeader:
        """A signed header with the commit that the next block holds, where the engine has it still."""
        if self.engine is None:
            return seen
        try:
            agreed = self.engine.signed_header(seen.header.height)
        except (Unavailable, Rejected):
            return seen
        return agreed if agreed.header == seen.header else seen


class SnapshotMaker:
    """Makes a snapshot of each block whose number is a multiple, once it can be: in a thread of its own."""

    def __init__(self, source: SnapshotSource, shelf: Shelf, every_blocks: int) -> None:
        """`every_blocks` of 0: none is made, and what is there is offered."""
        self._source = source
        self._shelf = shelf
        self._every_blocks = every_blocks
        self._wanted = threading.Event()
        self._stopping = threading.Event()

    def notice(self) -> None:
        """A height is durable; does not wait."""
        self._wanted.set()

    def stop(self) -> None:
        """Has `run` return soon, in the midst of a snapshot if need be."""
        self._stopping.set()
        self._wanted.set()

    def run(self) -> None:
        """Makes what is due, until `stop`."""
        self._shelf.inspect()
        while not self._stopping.is_set():
            self.catch_up()
            self._wanted.wait(AGAIN_SECONDS)
            self._wanted.clear()

    def catch_up(self) -> None:
        """Makes the newest snapshot that there should be and is none."""
        number = self._source.newest(self._every_blocks) if self._every_blocks else None
        if number is None or any(each.number >= number for each in self._shelf.manifests()):
            return
        try:
            manifest = self._source.put(self._shelf, number, self._rest)
        except _StoppedError:
            return
        except OSError as error:  # of its own files; the node goes on without
            get_logger().error("snapshot_failed", number=number, reason=str(error))
            return
        get_logger().info(
            "snapshot_made",
            height=manifest.height,
            number=number,
            chunks=len(manifest.chunk_hashes),
        )

    def _rest(self) -> None:
        if self._stopping.wait(PAUSE_SECONDS):
            raise _StoppedError


class _StoppedError(Exception):
    """The node ends while a snapshot is made."""


def keep_snapshot(*, data_directory: Path, only_list: bool, out: TextIO) -> None:
    """Makes a snapshot of the newest block that others can verify, and lists what is there."""
    if not (data_directory / "chain").exists():
        raise StoreBusy(str(data_directory / "chain"), "it does not exist")
    with (
        lock_directory(data_directory),
        closing(ChainStore(data_directory / "chain", readonly=True)) as store,
        closing(StateStore(data_directory / "state", readonly=True)) as state,
    ):
        shelf = Shelf(data_directory / SNAPSHOTS_DIRECTORY)
        shelf.inspect()
        if not only_list:
            source = SnapshotSource(store, state)
            number = source.newest()
            if number is None:
                raise SnapshotInvalid("no block whose state is kept has two heights after it")
            source.put(shelf, number)
        with store.read() as reader:
            newest_height = reader.checkpoint().height
        offered = shelf.offered(newest_height)
        for each in shelf.manifests():
            kept_back = "" if each in offered else "  not offered yet"
            chunks = len(each.chunk_hashes)
            out.write(
                f"height {each.height}  block {each.number}  0x{each.app_hash.hex()}  "
                f"{chunks} chunks  0x{each.hash.hex()}{kept_back}\n"
            )
