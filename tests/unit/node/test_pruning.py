"""Old states left behind: what is kept is whole, what is gone is said to be, and blocks go on.

Cites docs/spec/node.md: N-103.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from node import app
from node.archive import prune_states
from node.archive.pruning import COPY_NAME
from node.engine import PyEvmEngine
from node.errors import StateMissing, StatePruned, StoreBusy, StoreCorrupt
from node.history import History
from node.primitives import EMPTY_TRIE_ROOT, Hash32, RlpItem, encode_rlp, encode_uint, keccak
from node.rpc.faults import REFUSED, describe_error
from node.store import ChainStore, MemoryState, StateCopy, StateStore
from support.core import open_core
from support.kept_chain import KeptChain, dump_table, make_chain, open_raw, still_genesis
from support.settlement_network import ALPHA
from support.transactions import ALICE, Draft

BLOCKS = 4


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> KeptChain:
    return make_chain(tmp_path_factory.mktemp("archive") / "data", still_genesis(), BLOCKS)


@pytest.fixture
def kept(archive: KeptChain, tmp_path: Path) -> KeptChain:
    shutil.copytree(archive.directory, tmp_path / "data")
    return KeptChain(tmp_path / "data")


def pruned(kept: KeptChain, keep: int) -> int:
    with closing(ChainStore(kept.directory / "chain")) as store:
        return prune_states(kept.directory, store, keep=keep)


def nonces_by_number(kept: KeptChain) -> Mapping[int, int | None]:
    """A sender's nonce in the state of each block; None where the state is not there."""
    found: dict[int, int | None] = {}
    with (
        kept.reading() as store,
        closing(StateStore(kept.directory / "state", readonly=True)) as state,
    ):
        history = History(store)
        for number in range(history.head().number + 1):
            header = history.header(number)
            assert header is not None
            try:
                account = PyEvmEngine(state).account(header.state_root, ALICE.address)
                found[number] = account.nonce
            except StateMissing:
                found[number] = None
    return found


def values_of(kept: KeptChain) -> dict[bytes, bytes]:
    with open_raw(kept.directory / "state") as environment:
        return dict(dump_table(environment, "nodes"))


def test_the_newest_states_are_kept_and_the_chain_goes_on(kept: KeptChain) -> None:
    before = values_of(kept)
    assert pruned(kept, 2) == 3
    after = values_of(kept)
    assert after.items() < before.items()
    assert nonces_by_number(kept) == {0: None, 1: None, 2: None, 3: 3, 4: 4}
    assert not (kept.directory / COPY_NAME).exists()
    kept.extend(2)
    assert nonces_by_number(kept) == {0: None, 1: None, 2: None, 3: 3, 4: 4, 5: 5, 6: 6}


def test_a_pruned_chain_makes_the_blocks_that_an_archive_makes(
    archive: KeptChain, kept: KeptChain, tmp_path: Path
) -> None:
    shutil.copytree(archive.directory, tmp_path / "archive")
    other = KeptChain(tmp_path / "archive")
    pruned(kept, 1)
    kept.extend(3)
    other.extend(3)
    mine, theirs = kept.dump(), other.dump()
    assert [key for key, _ in mine["meta"] if key == b"first_state"]
    mine["meta"] = [entry for entry in mine["meta"] if entry[0] != b"first_state"]
    assert mine == theirs


def test_keeping_more_than_there_is_loses_nothing(archive: KeptChain, kept: KeptChain) -> None:
    assert pruned(kept, 100) == 0
    assert nonces_by_number(kept) == nonces_by_number(archive)


def test_what_is_gone_stays_gone_however_much_is_kept_later(kept: KeptChain) -> None:
    assert pruned(kept, 1) == 4
    assert pruned(kept, 100) == 4


def test_the_remains_of_a_copy_are_no_hindrance(kept: KeptChain) -> None:
    (kept.directory / COPY_NAME).mkdir()
    (kept.directory / COPY_NAME / "data.mdb").write_bytes(b"half a copy")
    assert pruned(kept, 1) == 4
    assert nonces_by_number(kept)[4] == 4


def test_a_store_that_lost_a_value_is_not_pruned(kept: KeptChain) -> None:
    values = values_of(kept)
    with open_raw(kept.directory / "state") as environment:
        nodes = environment.open_db(b"nodes")
        with environment.begin(nodes, write=True) as transaction:
            for key in sorted(values)[::3]:
                transaction.delete(key)
    with pytest.raises(StateMissing):
        pruned(kept, 1)
    with kept.reading() as store:
        assert History(store).first_state_number() == 0
    assert not (kept.directory / COPY_NAME).exists()


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(StoreBusy, match="does not exist"):
        app.prune_store(data_directory=nowhere, keep=1, out=io.StringIO())
    with pytest.raises(StoreBusy, match="does not exist"):
        app.verify_store(
            data_directory=nowhere,
            genesis_file=tmp_path / "genesis.json",
            first_number=1,
            out=io.StringIO(),
        )
    assert not nowhere.exists()


def test_a_question_about_a_state_that_is_gone_says_where_states_begin(tmp_path: Path) -> None:
    """N-103: bodies, receipts and logs are there as ever."""
    core = open_core(tmp_path / "chain")
    with closing(core.store):
        sent = core.send(Draft().signed_by(ALPHA.operating))
        core.send(Draft(nonce=1).signed_by(ALPHA.operating))
        core.store.mark_first_state(2)
        sender = "0x" + ALPHA.operating.address.hex()
        assert core.ask("eth_getTransactionCount", sender, "latest") == "0x2"
        assert core.ask("eth_getTransactionReceipt", "0x" + sent.hex())["status"] == "0x1"
        assert core.ask("eth_getBlockByNumber", "0x1", True)["number"] == "0x1"
        refusal = describe_error(StatePruned(1, 2))
        assert refusal.code == REFUSED
        assert "from block 2 on" in refusal.message
        call = {"to": sender}
        questions: list[tuple[Any, ...]] = [
            ("eth_getTransactionCount", sender, "0x1"),
            ("eth_getBalance", sender, "0x1"),
            ("eth_getCode", sender, "0x1"),
            ("eth_getStorageAt", sender, "0x0", "0x1"),
            ("eth_call", call, "0x1"),
            ("eth_estimateGas", call, "0x1"),
            ("eth_getProof", sender, [], "0x1"),
            ("debug_traceBlockByNumber", "0x2"),
        ]
        for question in questions:
            assert core.ask(*question) == refusal, question
        assert core.ask("eth_getBalance", sender, "earliest") == describe_error(StatePruned(0, 2))
        capabilities = core.ask("eth_capabilities")
        assert capabilities["state"]["oldestBlock"] == "0x2"
        assert capabilities["blocks"]["oldestBlock"] == "0x0"
        assert core.health.report()["first_state_number"] == 2


def leaf(content: bytes) -> bytes:
    return encode_rlp([b"\x20", content])


def account(storage_root: bytes, code_hash: bytes) -> bytes:
    return encode_rlp([encode_uint(1), b"", storage_root, code_hash])


def store_of(*values: bytes) -> tuple[MemoryState, dict[bytes, bytes]]:
    state = MemoryState()
    content: dict[bytes, bytes] = {keccak(value): value for value in values}
    state.write(content)
    return state, content


def copied(state: MemoryState, root: bytes, content: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    target = MemoryState()
    states = StateCopy(source=state, target=target)
    states.add(Hash32(root))
    states.finish()
    return {key: value for key in content if (value := target.get(key)) is not None}


@pytest.mark.parametrize("code_comes_first", [False, True])
def test_a_code_with_the_bytes_of_a_node_does_not_hide_the_node_s_children(
    *, code_comes_first: bool
) -> None:
    """Anybody may deploy such a code."""
    deep = leaf(b"\x07" * 40)
    storage: RlpItem = [keccak(deep), *[b""] * 16]
    node = encode_rlp(storage)
    bearer = leaf(account(EMPTY_TRIE_ROOT, keccak(node)))
    owner = leaf(account(keccak(node), keccak(b"plain")))
    order = [owner, bearer] if code_comes_first else [bearer, owner]
    root = encode_rlp([*map(keccak, order), *[b""] * 15])
    state, content = store_of(deep, node, bearer, owner, root, b"plain")
    assert copied(state, keccak(root), content) == content


def test_a_node_within_a_node_is_passed_over() -> None:
    below = leaf(b"\x09" * 40)
    branch = encode_rlp([[b"\x31", b"\x05"], keccak(below), *[b""] * 15])
    owner = leaf(account(keccak(branch), keccak(b"plain")))
    state, content = store_of(below, branch, owner, b"plain")
    assert copied(state, keccak(owner), content) == content


def test_a_value_that_is_not_itself_or_no_node_is_corruption() -> None:
    state = MemoryState()
    state.write({b"\x01" * 32: b"whatever"})
    with pytest.raises(StoreCorrupt, match="hash"):
        copied(state, b"\x01" * 32, {})
    for nonsense in (
        b"\xff" * 40,
        encode_rlp([b"a", b"b", b"c"]),
        leaf(b"no account"),
        encode_rlp([b"", b"x"]),
    ):
        state, content = store_of(nonsense)
        with pytest.raises(StoreCorrupt, match="state node"):
            copied(state, keccak(nonsense), content)
