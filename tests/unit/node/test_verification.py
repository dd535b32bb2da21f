"""A store held to its chain: whatever is changed, missing or too much in any table is found and named.

Cites docs/spec/node.md: N-102.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from node.archive import Verification
from node.archive.pruning import prune_states
from node.errors import (
    BlockUnknown,
    GenesisMismatch,
    InvariantBroken,
    StatePruned,
    StoreDiffers,
)
from node.history import History
from node.primitives import keccak
from node.store import BLOCK_TABLES, ChainStore, StateStore, encode_number
from support.kept_chain import (
    KeptChain,
    dump_table,
    make_chain,
    open_raw,
    put_raw,
    still_genesis,
)
from support.settlement_network import network_file

BLOCKS = 3
NO_VALUE_TABLES = {"by_address", "by_topic"}
"""Indexes: their keys say it all."""


@pytest.fixture(scope="module")
def genesis_text() -> bytes:
    return still_genesis()


@pytest.fixture(scope="module")
def intact(genesis_text: bytes, tmp_path_factory: pytest.TempPathFactory) -> KeptChain:
    return make_chain(tmp_path_factory.mktemp("intact") / "data", genesis_text, BLOCKS)


@pytest.fixture
def kept(intact: KeptChain, tmp_path: Path) -> KeptChain:
    """A copy to be spoilt."""
    shutil.copytree(intact.directory, tmp_path / "data")
    return KeptChain(tmp_path / "data")


def verified(kept: KeptChain, scratch: Path, first_number: int = 1) -> list[int]:
    with (
        closing(StateStore(kept.directory / "state", readonly=True)) as state,
        closing(ChainStore(kept.directory / "chain", readonly=True)) as chain,
    ):
        verification = Verification(
            genesis_text=kept.genesis_file.read_bytes(), state=state, chain=chain, scratch=scratch
        )
        return list(verification.run(first_number))


def difference(kept: KeptChain, scratch: Path, first_number: int = 1) -> StoreDiffers:
    with pytest.raises(StoreDiffers) as caught:
        verified(kept, scratch, first_number)
    return caught.value


def entries(kept: KeptChain, table: str) -> list[tuple[bytes, bytes]]:
    with open_raw(kept.directory / "chain") as environment:
        return dump_table(environment, table)


def test_an_intact_store_is_verified_whole_or_from_any_block(
    kept: KeptChain, tmp_path: Path
) -> None:
    assert verified(kept, tmp_path / "whole") == [1, 2, 3]
    assert verified(kept, tmp_path / "second", 2) == [2, 3]
    assert verified(kept, tmp_path / "third", 3) == [3]
    with pytest.raises(BlockUnknown):
        verified(kept, tmp_path / "fourth", 5)


@pytest.mark.parametrize("table", BLOCK_TABLES)
def test_a_missing_entry_is_found_in_any_table(kept: KeptChain, tmp_path: Path, table: str) -> None:
    key, _ = entries(kept, table)[-1]
    put_raw(kept.directory / "chain", table, key, None)
    found = difference(kept, tmp_path)
    assert (found.table, found.key, found.reason) == (table, key, "it is missing")
    assert found.number in range(BLOCKS + 1)


@pytest.mark.parametrize("table", BLOCK_TABLES)
def test_a_changed_entry_is_found_in_any_table(kept: KeptChain, tmp_path: Path, table: str) -> None:
    key, value = entries(kept, table)[-1]
    changed = value[:-1] + bytes([value[-1] ^ 1]) if value else b"\x01"
    put_raw(kept.directory / "chain", table, key, changed)
    found = difference(kept, tmp_path)
    assert (found.table, found.key) == (table, key)


@pytest.mark.parametrize("table", BLOCK_TABLES)
def test_an_entry_too_many_is_found_in_any_table(
    kept: KeptChain, tmp_path: Path, table: str
) -> None:
    key, value = entries(kept, table)[-1]
    strange: tuple[bytes, bytes]
    if len(key) == 32:
        strange = (keccak(key), value)
    elif table in NO_VALUE_TABLES:
        strange = (b"\x05".rjust(len(key) - 12, b"\0") + key[-12:], b"")
    else:
        strange = (encode_number(BLOCKS + 1) + key[8:], value)
    put_raw(kept.directory / "chain", table, *strange)
    found = difference(kept, tmp_path)
    assert (found.table, found.key) == (table, strange[0])
    assert found.reason == "no block accounts for it"


@pytest.mark.parametrize("table", BLOCK_TABLES)
def test_an_entry_of_no_known_shape_is_found_in_any_table(
    kept: KeptChain, tmp_path: Path, table: str
) -> None:
    put_raw(kept.directory / "chain", table, b"strange", b"")
    found = difference(kept, tmp_path)
    assert (found.table, found.key) == (table, b"strange")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"app_hash", bytes(32)),
        (b"first_state", encode_number(BLOCKS + 1)),
        (b"head", encode_number(BLOCKS - 1)),
        (b"head", encode_number(BLOCKS + 1)),
        (b"height", encode_number(2 * BLOCKS - 1)),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_found(
    kept: KeptChain, tmp_path: Path, key: bytes, value: bytes
) -> None:
    put_raw(kept.directory / "chain", "meta", key, value)
    difference(kept, tmp_path)


@pytest.mark.parametrize("key", [b"genesis", b"head", b"app_hash"])
def test_a_checkpoint_that_is_gone_is_found(kept: KeptChain, tmp_path: Path, key: bytes) -> None:
    put_raw(kept.directory / "chain", "meta", key, None)
    with pytest.raises((InvariantBroken, GenesisMismatch)):
        verified(kept, tmp_path)


def test_every_state_value_is_held_to_its_hash(kept: KeptChain, tmp_path: Path) -> None:
    with open_raw(kept.directory / "state") as environment:
        values = dump_table(environment, "nodes")
    for position, (key, value) in enumerate(values[:: len(values) // 5]):
        put_raw(kept.directory / "state", "nodes", key, value + b"\0")
        found = difference(kept, tmp_path / f"changed-{position}")
        assert (found.table, found.key) == ("state", key)
        put_raw(kept.directory / "state", "nodes", key, None)
        found = difference(kept, tmp_path / f"missing-{position}")
        assert (found.table, found.key, found.reason) == ("state", key, "it is missing")
        put_raw(kept.directory / "state", "nodes", key, value)


def test_a_state_is_held_to_its_hashes_before_a_replay_starts_from_it(
    kept: KeptChain, tmp_path: Path
) -> None:
    with kept.reading() as store:
        header = History(store).header(1)
    assert header is not None
    put_raw(kept.directory / "state", "nodes", header.state_root, b"\xc1\x80")
    found = difference(kept, tmp_path, 2)
    assert (found.table, found.key, found.number) == ("state", header.state_root, 1)


def test_another_chain_s_genesis_is_refused(kept: KeptChain, tmp_path: Path) -> None:
    network = {**network_file(), "development": True, "transactions_open": False}
    kept.genesis_file.write_bytes(still_genesis(network))
    with pytest.raises(GenesisMismatch):
        verified(kept, tmp_path)


def test_a_pruned_store_is_verified_and_started_from_what_it_keeps(
    kept: KeptChain, tmp_path: Path
) -> None:
    """N-102, N-103."""
    with closing(ChainStore(kept.directory / "chain")) as store:
        assert prune_states(kept.directory, store, keep=2) == 2
    assert verified(kept, tmp_path / "whole") == [1, 2, 3]
    assert verified(kept, tmp_path / "third", 3) == [3]
    with pytest.raises(StatePruned):
        verified(kept, tmp_path / "second", 2)
