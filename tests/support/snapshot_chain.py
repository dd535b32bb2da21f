"""A chain to make snapshots of, and nodes at genesis to bring them to."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from node.history import History
from node.primitives import Hash32
from node.snapshot import Manifest, Restoration, cut_chunks, read_preamble, snapshot_records
from node.store import MemoryState, StateValues
from support.core import Core, open_core
from support.kept_chain import deployment
from support.settlement_network import ALPHA, network_file
from support.transactions import ALICE, Draft

BLOCKS: Final = 4
NETWORK: Final = {**network_file(), "development": True, "transactions_open": True}


def open_chain(directory: Path, state: StateValues | None = None) -> Core:
    """Blocks with creations, storage, logs, and every type of transaction."""
    core = open_core(directory, NETWORK, state)
    for number in range(BLOCKS):
        core.submit(deployment(2 * number, ALICE))
        core.submit(Draft(nonce=2 * number + 1, transaction_type=number % 3).signed_by(ALICE))
        core.send(deployment(number, ALPHA.operating))
    return core


def open_newcomer(directory: Path) -> Core:
    """Another node of that chain, at genesis."""
    return open_core(directory, NETWORK)


def records_of(core: Core, number: int, state: StateValues | None = None) -> list[bytes]:
    """What a snapshot of a block holds."""
    with core.store.read() as reader:
        preamble = read_preamble(reader, number, reader.validator_changes())
    return [*snapshot_records(preamble, state or core.state)]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A snapshot as it travels; whoever makes one can say of it what they like."""

    manifest: Manifest
    chunks: list[bytes]


def pack(core: Core, number: int, records: list[bytes], chunk_bytes: int = 2_000) -> Parcel:
    """A snapshot of some records, with hashes that are right."""
    return pack_stream(core, number, b"".join(cut_chunks(records)), chunk_bytes)


def pack_stream(core: Core, number: int, stream: bytes, chunk_bytes: int = 2_000) -> Parcel:
    """A snapshot of some bytes, with hashes that are right."""
    history = History(core.store)
    header = history.header(number)
    assert header is not None
    chunks = [stream[at : at + chunk_bytes] for at in range(0, len(stream), chunk_bytes)]
    manifest = Manifest(
        height=history.height(number),
        number=number,
        genesis_hash=Hash32(history.genesis_hash() or b""),
        app_hash=header.hash,
        chunk_hashes=tuple(sha256(chunk).digest() for chunk in chunks),
    )
    return Parcel(manifest, chunks)


def restore(parcel: Parcel, target: Core, state: MemoryState | None = None) -> None:
    """Takes a snapshot in as a node does whose consensus vouches for its block."""
    restoration = Restoration(
        parcel.manifest,
        app_hash=parcel.manifest.app_hash,
        genesis_hash=target.history.genesis_hash() or b"",
        state=state or target.state,
        store=target.store,
    )
    for index, chunk in enumerate(parcel.chunks):
        assert restoration.is_next(index, chunk)
        restoration.add(chunk)
    assert restoration.is_whole
    restoration.finish(lambda _: None)
    target.application.adopt()
