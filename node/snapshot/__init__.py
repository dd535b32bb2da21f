"""Snapshots: the state after one block, so that a new node need not execute all blocks before it.

A snapshot (`content`) is one stream, the same bytes on every node: a preamble with the newest headers, the block and
the chain of validator changes, then every value of the state in the order of its paths. It is cut into chunks whose
hashes stand in a manifest; the manifest's hash is the snapshot's. `Shelf` keeps them on disk; `Restoration` takes one
in, chunk by chunk, and believes none of it: all hangs by hashes from the one that consensus vouches for, the block's.
Neither direction holds the state in memory.
"""

from node.snapshot.content import (
    CHUNK_BYTES_MAX,
    SNAPSHOT_FORMAT,
    Manifest,
    Preamble,
    cut_chunks,
    read_preamble,
    snapshot_records,
)
from node.snapshot.restoration import Restoration
from node.snapshot.shelf import SNAPSHOTS_KEPT, Shelf

__all__ = [
    "CHUNK_BYTES_MAX",
    "SNAPSHOTS_KEPT",
    "SNAPSHOT_FORMAT",
    "Manifest",
    "Preamble",
    "Restoration",
    "Shelf",
    "cut_chunks",
    "read_preamble",
    "snapshot_records",
]
