"""What a failed write, a lost store or a full map leaves behind: a chain that goes on, or a clear refusal.

Cites docs/spec/node.md: N-30, N-32. The stores are real ones on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from node import genesis
from node.block import Block, Receipt
from node.chain import Chain
from node.config import parse_network
from node.consensus.application import Application, encode_time_record
from node.engine import PyEvmEngine
from node.errors import StateMissing, StoreCorrupt, StoreUnwritable
from node.genesis import Genesis
from node.history import History
from node.permissions import Permissions
from node.primitives import ZERO_HASH, Hash32
from node.store import NO_ANNEX, Annex, ChainStore, Checkpoint, MemoryState, StateStore
from support.core import MovableClock
from support.settlement_network import ALPHA, GENESIS_TIME, network_file
from support.transactions import Draft

ENTRIES = [encode_time_record(GENESIS_TIME + 1), Draft().signed_by(ALPHA.operating)]
TINY_MAP_BYTES = 256 * 1024


class DyingState(StateStore):
    """A state store whose next write fails before anything is written."""

    is_dying = False

    def write(self, values: Mapping[bytes, bytes]) -> None:
        if self.is_dying:
            raise StoreUnwritable("state", "the disk is full")
        super().write(values)


class DyingChain(ChainStore):
    """A chain store whose next commit fails before anything is written."""

    is_dying = False

    def commit(
        self,
        checkpoint: Checkpoint,
        block: Block | None = None,
        receipts: Sequence[Receipt] = (),
        transaction_hashes: Sequence[Hash32] = (),
        annex: Annex = NO_ANNEX,
    ) -> None:
        if self.is_dying:
            raise StoreUnwritable("chain", "the disk is full")
        super().commit(checkpoint, block, receipts, transaction_hashes, annex)


class Node:
    """An application over the stores of a directory, opened as it is found."""

    def __init__(self, made: Genesis, state: DyingState, store: DyingChain) -> None:
        self.state, self.store = state, store
        self.engine = PyEvmEngine(state)
        self.chain = Chain(
            store=store,
            engine=self.engine,
            specification=made.specification,
            permissions=Permissions(self.engine),
        )
        self.application = Application(self.chain, MovableClock())

    @property
    def head_number(self) -> int:
        return History(self.store).head().number


@pytest.fixture(scope="module")
def made() -> Genesis:
    network = parse_network(json.dumps(network_file()).encode())
    return genesis.generate(network, PyEvmEngine(MemoryState()))


@contextmanager
def opened(directory: Path, made: Genesis, **limits: Any) -> Iterator[Node]:
    """A node on the directory; `limits` are those of its state store."""
    with (
        closing(DyingState(directory / "state", **limits)) as state,
        closing(DyingChain(directory / "chain")) as store,
    ):
        yield Node(made, state, store)


@pytest.fixture
def directory(tmp_path: Path, made: Genesis) -> Path:
    """A data directory at genesis."""
    with (
        closing(StateStore(tmp_path / "state")) as state,
        closing(ChainStore(tmp_path / "chain")) as store,
    ):
        engine = PyEvmEngine(state)
        engine.commit(engine.load_genesis(made.alloc).handle)
        store.initialise(made.header)
    return tmp_path


def test_a_node_that_died_between_its_two_writes_makes_the_same_block_again(
    directory: Path, made: Genesis
) -> None:
    with opened(directory, made) as node:
        node.store.is_dying = True
        decided = node.application.finalize_block(1, ENTRIES)
        with pytest.raises(StoreUnwritable):
            node.application.commit()
        assert node.head_number == 0
        assert node.chain.tip.header == made.header
    with opened(directory, made) as node:
        assert node.application.info().last_height == 0
        assert node.application.finalize_block(1, ENTRIES) == decided
        assert node.application.commit().header.hash == decided.app_hash
    with opened(directory, made) as node:
        assert (node.head_number, node.application.info().app_hash) == (1, decided.app_hash)


def test_the_head_does_not_move_where_the_state_was_not_written(
    directory: Path, made: Genesis
) -> None:
    """State first: with the stores written the other way round the head would name a lost state."""
    with opened(directory, made) as node:
        node.state.is_dying = True
        node.application.finalize_block(1, ENTRIES)
        with pytest.raises(StoreUnwritable):
            node.application.commit()
        assert node.head_number == 0
    with opened(directory, made) as node:
        decided = node.application.finalize_block(1, ENTRIES)
        assert node.application.commit().header.hash == decided.app_hash


def test_both_stores_are_synced_at_every_commit(directory: Path, made: Genesis) -> None:
    with opened(directory, made) as node:
        for store in (node.state, node.store):
            flags = store._environment.flags()
            assert {name: flags[name] for name in ("sync", "metasync", "writemap")} == {
                "sync": True,
                "metasync": True,
                "writemap": False,
            }


def test_a_full_map_is_reported_and_the_store_goes_on_with_a_larger_one(tmp_path: Path) -> None:
    kept = {bytes([number]) * 32: bytes(1_000) for number in range(3)}
    large = {number.to_bytes(32, "big"): bytes(1_000) for number in range(1, 1_000)}
    with closing(StateStore(tmp_path / "state", map_bytes=TINY_MAP_BYTES)) as store:
        store.write(kept)
        with pytest.raises(StoreUnwritable, match="state"):
            store.write(large)
        assert all(store.get(key) is None for key in large)
    with closing(StateStore(tmp_path / "state")) as store:
        assert all(store.get(key) == value for key, value in kept.items())
        store.write(large)
        assert all(store.get(key) == value for key, value in large.items())


def test_a_lost_state_is_refused_at_the_start_by_the_name_of_its_directory(
    directory: Path, made: Genesis
) -> None:
    for file in (directory / "state").iterdir():
        file.unlink()
    with pytest.raises(StateMissing, match="'state'") as caught, opened(directory, made):
        pass
    assert caught.value.key == made.header.state_root


def test_a_state_older_than_the_chain_is_refused_at_the_start(
    directory: Path, made: Genesis
) -> None:
    older = (directory / "state" / "data.mdb").read_bytes()
    with opened(directory, made) as node:
        node.application.finalize_block(1, ENTRIES)
        root = node.application.commit().header.state_root
    (directory / "state" / "data.mdb").write_bytes(older)
    with pytest.raises(StateMissing) as caught, opened(directory, made):
        pass
    assert caught.value.key == root


def test_a_checkpoint_that_names_another_block_than_the_newest_is_refused(
    directory: Path, made: Genesis
) -> None:
    with closing(ChainStore(directory / "chain")) as store:
        store.commit(Checkpoint(1, ZERO_HASH))
    with pytest.raises(StoreCorrupt), opened(directory, made):
        pass
