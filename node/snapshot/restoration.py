"""A snapshot taken in: chunk by chunk into the state store, then one step that makes the chain store begin there.

Every byte is held to a hash that leads to the block's, which consensus vouches for: the headers to it, the block and
its receipts to their roots in it, each value of the state to what names it. What was written when a restoration ends
early are values under their own hash, of no harm; the node stands where it stood and begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from node import failpoint
from node.errors import SnapshotInvalid, StoreCorrupt
from node.failpoint import Failpoint
from node.snapshot.content import LENGTH_BYTES, RECORD_BYTES_MAX, Manifest, Preamble
from node.store import ChainStore, StateValues, StateWalk

BATCH_VALUES: Final = 10_000
"""Values written in one transaction."""

BATCH_BYTES: Final = 16 * 1024 * 1024
"""Bytes of values after which a batch is written, however few."""


class Restoration:
    """One snapshot on its way into the stores of a node that has executed nothing yet."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        app_hash: bytes,
        genesis_hash: bytes,
        state: StateValues,
        store: ChainStore,
    ) -> None:
        """`app_hash` is what consensus says the snapshot must lead to; raises SnapshotInvalid where it cannot."""
        if manifest.app_hash != app_hash:
            raise SnapshotInvalid("it is of another block than consensus names")
        if manifest.genesis_hash != genesis_hash:
            raise SnapshotInvalid("it is of another chain")
        self.manifest = manifest
        self._state = state
        self._store = store
        self._next_index = 0
        self._waiting = bytearray()
        self._begun: tuple[Preamble, StateWalk] | None = None
        """The preamble, once it is here, and how far the state under it has come."""
        self._batch: dict[bytes, bytes] = {}
        self._batch_bytes = 0

    @property
    def is_whole(self) -> bool:
        """Whether all chunks are here."""
        return self._next_index == len(self.manifest.chunk_hashes)

    def is_next(self, index: int, chunk: bytes) -> bool:
        """Whether these are the bytes of the chunk that comes next."""
        return index == self._next_index and self.manifest.is_chunk(index, chunk)

    def add(self, chunk: bytes) -> None:
        """Takes in the chunk that comes next; raises SnapshotInvalid where it does not hold what it must."""
        self._next_index += 1
        self._waiting += chunk
        for record in self._records():
            if self._begun is None:
                self._begin(Preamble.decode(record))
            else:
                self._add_value(self._begun[1], record)

    def finish(self, check: Callable[[Preamble], None]) -> None:
        """Makes the store begin with the snapshot's block; raises SnapshotInvalid where anything is missing.

        `check` holds the changes of validators to the state, which is in the state store by then, and raises likewise.
        """
        if self._begun is None or self._waiting or self._begun[1].next_key is not None:
            raise SnapshotInvalid("it ends early")
        preamble = self._begun[0]
        self._write()
        check(preamble)
        failpoint.visit(Failpoint.SNAPSHOT_STATE_WRITTEN)
        self._store.begin_at(
            preamble.block,
            preamble.receipts,
            ancestors=preamble.headers[:-1],
            changes=preamble.validator_changes,
            height=self.manifest.height,
        )
        failpoint.visit(Failpoint.SNAPSHOT_RESTORED)

    def _records(self) -> Iterator[bytes]:
        """Yields the records that are here in full, and keeps the rest."""
        at = 0
        while (start := at + LENGTH_BYTES) <= len(self._waiting):
            length = int.from_bytes(self._waiting[at:start], "big")
            if length > RECORD_BYTES_MAX:
                raise SnapshotInvalid(f"a record of {length} bytes")
            if start + length > len(self._waiting):
                break
            at = start + length
            yield bytes(self._waiting[start:at])
        del self._waiting[:at]

    def _begin(self, preamble: Preamble) -> None:
        block, first = preamble.block.header, preamble.headers[0]
        if block.hash != self.manifest.app_hash or block.number != self.manifest.number:
            raise SnapshotInvalid("its newest header is not the block's")
        if first.number == 0 and first.hash != self.manifest.genesis_hash:
            raise SnapshotInvalid("its first header is not the chain's")
        self._begun = (preamble, StateWalk(block.state_root))

    def _add_value(self, walk: StateWalk, value: bytes) -> None:
        key = walk.next_key
        if key is None:
            raise SnapshotInvalid("it holds more than the state")
        try:
            walk.take(value)
        except StoreCorrupt as error:
            raise SnapshotInvalid(f"its state: {error.what}") from error
        self._batch[key] = value
        self._batch_bytes += len(value)
        if len(self._batch) >= BATCH_VALUES or self._batch_bytes >= BATCH_BYTES:
            self._write()

    def _write(self) -> None:
        self._state.write(self._batch)
        self._batch = {}
        self._batch_bytes = 0
