"""What is on disk: formats, atomic commits, reopening, and dying between the two steps."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import lmdb
import pytest

from node.block import EMPTY_BLOOM, Block, Header, Log, Receipt
from node.engine import BlockEnv, Executed, GenesisAccount, PyEvmEngine
from node.errors import (
    GenesisMismatch,
    StateMissing,
    StoreBusy,
    StoreCorrupt,
    StoreUnwritable,
    StoreVersionUnknown,
)
from node.history import History
from node.primitives import EMPTY_TRIE_ROOT, ZERO_HASH, Address, Hash32
from node.store import ChainStore, Checkpoint, StateStore
from support.transactions import ALICE, CHAIN_ID, RULES, SINK, Draft

GENESIS = Header(
    parent_hash=ZERO_HASH,
    state_root=EMPTY_TRIE_ROOT,
    transactions_root=EMPTY_TRIE_ROOT,
    receipts_root=EMPTY_TRIE_ROOT,
    logs_bloom=EMPTY_BLOOM,
    number=0,
    gas_limit=30_000_000,
    gas_used=0,
    timestamp=1_800_000_000,
)
RAW = Draft().signed_by(ALICE)
LOG = Log(SINK, (Hash32(b"\x07" * 32),), b"data")
RECEIPT = Receipt(2, True, 21_000, (LOG,), 21_000, ALICE.address)
BLOCK = Block(replace(GENESIS, parent_hash=GENESIS.hash, number=1), (RAW,))
RAW_HASH = Hash32(b"\x09" * 32)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainStore]:
    with closing(ChainStore(tmp_path / "chain")) as store:
        store.initialise(GENESIS)
        yield store


def commit_block(store: ChainStore) -> None:
    store.commit(Checkpoint(5, BLOCK.header.hash), BLOCK, [RECEIPT], [RAW_HASH])


def test_a_new_chain_stands_at_its_genesis(chain: ChainStore) -> None:
    history = History(chain)
    assert history.head() == GENESIS
    assert history.genesis_hash() == GENESIS.hash
    assert history.checkpoint() == Checkpoint(0, GENESIS.hash)
    assert history.block(0) == Block(GENESIS, ())


def test_a_committed_block_is_found_every_way_after_reopening(tmp_path: Path) -> None:
    with closing(ChainStore(tmp_path / "chain")) as store:
        store.initialise(GENESIS)
        commit_block(store)
    with closing(ChainStore(tmp_path / "chain")) as store:
        store.initialise(GENESIS)
        history = History(store)
        assert history.head() == BLOCK.header
        assert history.checkpoint() == Checkpoint(5, BLOCK.header.hash)
        assert history.block(1) == history.block_by_hash(BLOCK.header.hash) == BLOCK
        assert history.receipts(1) == (RECEIPT,)
        found = history.receipt(RAW_HASH)
        assert found is not None
        assert (found.receipt, found.raw, found.number, found.position) == (RECEIPT, RAW, 1, 0)


def test_an_empty_height_moves_only_the_checkpoint(chain: ChainStore) -> None:
    chain.commit(Checkpoint(9, GENESIS.hash))
    assert History(chain).checkpoint().height == 9
    assert History(chain).head() == GENESIS


def test_committing_again_changes_nothing(chain: ChainStore) -> None:
    commit_block(chain)
    commit_block(chain)
    assert History(chain).block(1) == BLOCK
    assert len(History(chain).receipts(1)) == 1


def test_a_commit_that_fails_leaves_nothing(chain: ChainStore) -> None:
    broken = replace(
        RECEIPT, logs=(replace(LOG, address=Address(b"\x01" * 600)),)
    )  # an impossible key
    with pytest.raises(StoreUnwritable):
        chain.commit(Checkpoint(5, BLOCK.header.hash), BLOCK, [broken], [RAW_HASH])
    assert History(chain).head() == GENESIS
    assert History(chain).block(1) is None
    assert History(chain).checkpoint().height == 0


def test_a_store_of_another_chain_is_refused(chain: ChainStore) -> None:
    with pytest.raises(GenesisMismatch):
        chain.initialise(replace(GENESIS, timestamp=1))


@pytest.mark.parametrize(("kind", "table"), [(StateStore, "meta"), (ChainStore, "meta")])
def test_a_store_of_an_unknown_format_is_refused_by_name(
    tmp_path: Path, kind: type[StateStore] | type[ChainStore], table: str
) -> None:
    kind(tmp_path / "store").close()
    with lmdb.open(str(tmp_path / "store"), max_dbs=9) as environment:
        meta = environment.open_db(table.encode())
        with environment.begin(meta, write=True) as transaction:
            transaction.put(b"format", b"corridor-of-next-year")
    with pytest.raises(StoreVersionUnknown, match="corridor-of-next-year"):
        kind(tmp_path / "store")


@pytest.mark.parametrize("kind", [StateStore, ChainStore])
def test_a_reader_of_a_store_that_does_not_exist_is_told_to_try_again(
    tmp_path: Path, kind: type[StateStore] | type[ChainStore]
) -> None:
    with pytest.raises(StoreBusy):
        kind(tmp_path / "nowhere", readonly=True)
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_that_cannot_hold_a_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreBusy):
        StateStore(tmp_path / "file")


def test_a_missing_entry_is_called_corruption(chain: ChainStore) -> None:
    with chain.read() as reader, pytest.raises(StoreCorrupt):
        reader.transactions(77)


def test_state_values_are_there_after_reopening(tmp_path: Path) -> None:
    with closing(StateStore(tmp_path / "state")) as store:
        store.write({b"k" * 32: b"value"})
        store.write({})
    with closing(StateStore(tmp_path / "state", readonly=True)) as reader:
        assert reader.get(b"k" * 32) == b"value"
        assert reader.get(b"x" * 32) is None


def execute_first_block(engine: PyEvmEngine) -> tuple[Hash32, Executed]:
    loaded = engine.load_genesis({ALICE.address: GenesisAccount(balance=10**18)})
    engine.commit(loaded.handle)
    env = BlockEnv(CHAIN_ID, 1, 1_800_000_000, RULES, (GENESIS.hash,))
    raw = replace(Draft(), value=5).signed_by(ALICE)
    return loaded.state_root, engine.execute(env, loaded.state_root, [raw])


def test_a_node_killed_between_state_and_chain_reaches_the_same_root(tmp_path: Path) -> None:
    with (
        closing(StateStore(tmp_path / "state")) as state,
        closing(ChainStore(tmp_path / "chain")) as chain,
    ):
        chain.initialise(GENESIS)
        engine = PyEvmEngine(state)
        parent_root, executed = execute_first_block(engine)
        engine.commit(executed.handle)  # and here the process dies
    with (
        closing(StateStore(tmp_path / "state")) as state,
        closing(ChainStore(tmp_path / "chain")) as chain,
    ):
        assert History(chain).head() == GENESIS
        engine = PyEvmEngine(state)
        parent_root_again, executed_again = execute_first_block(engine)
        assert parent_root_again == parent_root
        assert executed_again.state_root == executed.state_root
        engine.commit(executed_again.handle)
        assert engine.account(executed.state_root, SINK).balance == 5


def test_a_block_that_was_executed_but_not_committed_is_not_there(tmp_path: Path) -> None:
    with closing(StateStore(tmp_path / "state")) as state:
        engine = PyEvmEngine(state)
        parent_root, executed = execute_first_block(engine)
        engine.discard(executed.handle)
        engine.commit(executed.handle)
        assert engine.account(parent_root, SINK).balance == 0
        with pytest.raises(StateMissing):
            engine.account(executed.state_root, SINK)
