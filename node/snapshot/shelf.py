"""The snapshots of a data directory: each in a directory of its own, there whole or not at all.

    snapshots/<height>/manifest   as `Manifest` encodes it
    snapshots/<height>/<index>    a chunk
    snapshots/making-<height>     one that is being made; what a killed process left is removed by `inspect`

Each file is synced before the directory gets its name. Only what was read back and found sound is offered; what turns
out damaged later is withdrawn.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.errors import SnapshotInvalid
from node.primitives import Hash32
from node.snapshot.content import Manifest
from node.store import sync_directory

SNAPSHOTS_KEPT: Final = 3
"""The newest of them are kept, older ones removed."""

SUCCESSORS: Final = 2
"""Heights that must follow one for others to verify it: its hash is in the next, those who sign in the one after."""

_MANIFEST_NAME: Final = "manifest"
_MAKING: Final = "making-"


class Shelf:
    """Keeps and gives snapshots. Safe between threads; one thread at a time makes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._sound: dict[int, Manifest] = {}

    def inspect(self) -> None:
        """Reads everything that is there; until then nothing is offered."""
        for path in self._directory.glob(f"{_MAKING}*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self._directory.glob("[0-9]*"):
            manifest = _read_sound(path)
            if manifest is not None and str(manifest.height) == path.name:
                with self._lock:
                    self._sound[manifest.height] = manifest
            else:
                shutil.rmtree(path, ignore_errors=True)

    def put(
        self,
        *,
        height: int,
        number: int,
        genesis_hash: Hash32,
        app_hash: Hash32,
        chunks: Iterable[bytes],
    ) -> Manifest:
        """Writes a snapshot, durably, and removes those that are too many; it is there afterwards or nothing is."""
        making = self._directory / f"{_MAKING}{height}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        try:
            hashes = []
            for index, chunk in enumerate(chunks):
                hashes.append(sha256(chunk).digest())
                _write(making / str(index), chunk)
            manifest = Manifest(height, number, genesis_hash, app_hash, tuple(hashes))
            _write(making / _MANIFEST_NAME, manifest.encode())
            sync_directory(making)
            shutil.rmtree(self._path(height), ignore_errors=True)
            making.rename(self._path(height))
            sync_directory(self._directory)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        with self._lock:
            self._sound[height] = manifest
        self._remove_old()
        return manifest

    def manifests(self) -> tuple[Manifest, ...]:
        """Those that are sound, newest first."""
        with self._lock:
            return tuple(self._sound[height] for height in sorted(self._sound, reverse=True))

    def oldest_height(self) -> int | None:
        """Height of the oldest that lies there, whether it was inspected or not; None where there is none."""
        names = [path.name for path in self._directory.glob("[0-9]*")]
        return min((int(name) for name in names if name.isdecimal()), default=None)

    def offered(self, newest_height: int) -> tuple[Manifest, ...]:
        """Those that another node can verify when this one stands at a height, newest first."""
        return tuple(each for each in self.manifests() if each.height + SUCCESSORS <= newest_height)

    def chunk(self, height: int, index: int) -> bytes | None:
        """A chunk of a snapshot; None where there is none, or where it is damaged, which withdraws the snapshot."""
        with self._lock:
            manifest = self._sound.get(height)
        if manifest is None or index >= len(manifest.chunk_hashes):
            return None
        try:
            chunk = (self._path(height) / str(index)).read_bytes()
        except OSError:
            chunk = b""
        if manifest.is_chunk(index, chunk):
            return chunk
        with self._lock:
            self._sound.pop(height, None)
        return None

    def _path(self, height: int) -> Path:
        return self._directory / str(height)

    def _remove_old(self) -> None:
        for manifest in self.manifests()[SNAPSHOTS_KEPT:]:
            with self._lock:
                del self._sound[manifest.height]
            shutil.rmtree(self._path(manifest.height), ignore_errors=True)


def _read_sound(path: Path) -> Manifest | None:
    """The manifest of a snapshot all of whose chunks are what it says; None where they are not."""
    try:
        manifest = Manifest.decode((path / _MANIFEST_NAME).read_bytes())
        for index in range(len(manifest.chunk_hashes)):
            if not manifest.is_chunk(index, (path / str(index)).read_bytes()):
                return None
    except (OSError, SnapshotInvalid):
        return None
    return manifest


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
