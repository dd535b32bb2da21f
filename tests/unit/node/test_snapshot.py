"""A snapshot is the same bytes on every node, comes back as the same state, and is believed in nothing.

Cites docs/spec/node.md: N-170, N-171, N-172, N-175.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.archive import Verification
from node.block import Block, Header
from node.errors import HistoryPruned, SnapshotInvalid, StateMissing, StatePruned
from node.primitives import EMPTY_TRIE_ROOT, RlpItem, decode_list, decode_rlp, encode_rlp, keccak
from node.rpc.faults import PRUNED
from node.snapshot import CHUNK_BYTES_MAX, SNAPSHOTS_KEPT, Manifest, Shelf, cut_chunks
from node.store import MemoryState, StateStore, StateWalk
from support.core import Core
from support.kept_chain import still_genesis
from support.snapshot_chain import (
    BLOCKS,
    Parcel,
    open_chain,
    open_newcomer,
    pack,
    pack_stream,
    records_of,
    restore,
)
from support.transactions import ALICE, Draft

NUMBER = BLOCKS - 1
OTHER_HASH = b"\x11" * 32


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    core = open_chain(tmp_path_factory.mktemp("source") / "chain")
    yield core
    core.store.close()


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Core]:
    core = open_newcomer(tmp_path / "newcomer")
    yield core
    core.store.close()


@pytest.fixture(scope="module")
def records(chain: Core) -> list[bytes]:
    return records_of(chain, NUMBER)


@pytest.fixture(scope="module")
def pool_of_newcomers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """One node at genesis for many refusals: each must leave it there."""
    core = open_newcomer(tmp_path_factory.mktemp("refusing") / "chain")
    yield core
    core.store.close()


def walked(state: MemoryState, header: Header) -> list[bytes]:
    """The values of a state, each found by its hash."""
    walk, values = StateWalk(header.state_root), []
    while (key := walk.next_key) is not None:
        value = state.get(key)
        assert value is not None
        walk.take(value)
        values.append(value)
    return values


def header_of(core: Core, number: int) -> Header:
    found = core.history.header(number)
    assert found is not None
    return found


def test_the_walk_goes_by_path_and_depends_on_the_root_alone(
    chain: Core, records: list[bytes]
) -> None:
    """N-170. However the values came into a store, and whatever else is in it."""
    values = {keccak(value): value for value in records[1:]}
    other = MemoryState()
    for key in sorted(values, reverse=True):
        other.write({key: values[key], keccak(key): key})
    assert walked(other, header_of(chain, NUMBER)) == records[1:]
    assert records_of(chain, NUMBER, other) == records


def test_each_node_of_a_trie_comes_before_those_below_it_and_a_code_once(
    chain: Core, records: list[bytes]
) -> None:
    """N-170."""
    seen = {bytes(header_of(chain, NUMBER).state_root)}
    for value in records[1:]:
        assert keccak(value) in seen, "nothing comes that was not named before"
        seen.update(value[at : at + 32] for at in range(len(value) - 31))
    codes = [value for value in records[1:] if value.startswith(b"\x60\x80")]
    assert codes
    assert len(set(codes)) == len(codes)


def test_an_empty_state_has_no_values() -> None:
    assert StateWalk(EMPTY_TRIE_ROOT).next_key is None


def test_a_state_that_lacks_a_value_gives_no_snapshot(chain: Core, records: list[bytes]) -> None:
    """N-170."""
    values = {keccak(value): value for value in records[1:]}
    for lost in (records[1], records[len(records) // 2], records[-1]):
        damaged = MemoryState()
        damaged.write({key: value for key, value in values.items() if value != lost})
        with pytest.raises(StateMissing):
            records_of(chain, NUMBER, damaged)


def test_chunks_are_cut_at_their_size_whatever_a_record_is(records: list[bytes]) -> None:
    """N-170."""
    whole = b"".join(cut_chunks(records))
    assert [len(each) for each in cut_chunks([bytes(2 * CHUNK_BYTES_MAX)])] == [
        CHUNK_BYTES_MAX,
        CHUNK_BYTES_MAX,
        4,
    ]
    for size in (1, 7, 1_000):
        chunks = [*cut_chunks(records, chunk_bytes=size)]
        assert {len(each) for each in chunks[:-1]} == {size}
        assert b"".join(chunks) == whole


def test_a_manifest_says_what_it_is_and_other_bytes_are_none(
    chain: Core, records: list[bytes]
) -> None:
    """N-170, N-172."""
    manifest = pack(chain, NUMBER, records).manifest
    encoded = manifest.encode()
    assert Manifest.decode(encoded) == manifest
    assert len(encoded) < CHUNK_BYTES_MAX
    for other in (b"", b"\xc0", encoded[:-1], encoded + b"\x00", encoded.replace(b"\x01", b"\x02")):
        with pytest.raises(SnapshotInvalid):
            Manifest.decode(other)


@pytest.mark.parametrize("chunk_bytes", [1, 1_000, 10_000_000])
def test_a_restored_node_has_the_state_and_makes_the_blocks_that_all_others_make(
    chain: Core, newcomer: Core, records: list[bytes], chunk_bytes: int
) -> None:
    """N-172."""
    restore(pack(chain, NUMBER, records, chunk_bytes), newcomer)
    tip, header = newcomer.chain.tip, header_of(chain, NUMBER)
    assert (tip.header, tip.height) == (header, chain.history.height(NUMBER))
    assert tip.ancestor_hashes == chain.history.ancestor_hashes(NUMBER + 1)
    assert walked(newcomer.state, header) == records[1:]  # type: ignore[arg-type]
    following = chain.history.block(NUMBER + 1)
    assert following is not None
    newcomer.chain.execute(
        following.transactions, height=tip.height + 2, timestamp=following.header.timestamp
    )
    assert newcomer.chain.commit().header == following.header


def test_a_restored_node_answers_for_its_first_block_and_what_follows(
    chain: Core, newcomer: Core, records: list[bytes]
) -> None:
    """N-175."""
    restore(pack(chain, NUMBER, records), newcomer)
    for method, *params in (
        ("eth_getBlockByNumber", hex(NUMBER), True),
        ("eth_getBlockReceipts", hex(NUMBER)),
        ("eth_getLogs", {"fromBlock": hex(NUMBER), "toBlock": hex(NUMBER)}),
        ("eth_getBlockByNumber", "earliest", True),
    ):
        assert newcomer.ask(method, *params) == chain.ask(method, *params), method
    oldest = newcomer.ask("eth_capabilities")
    assert oldest["blocks"]["oldestBlock"] == oldest["state"]["oldestBlock"] == hex(NUMBER)


def test_a_restored_node_says_what_it_does_not_keep(
    chain: Core, newcomer: Core, records: list[bytes]
) -> None:
    """N-175. An answer that leaves old blocks out must not look complete."""
    restore(pack(chain, NUMBER, records), newcomer)
    for method, *params in (
        ("eth_getBlockByNumber", hex(NUMBER - 1), True),
        ("eth_getBlockReceipts", hex(NUMBER - 1)),
        ("eth_getLogs", {"fromBlock": hex(NUMBER - 1)}),
        ("eth_getLogs", {"fromBlock": "0x0"}),
    ):
        assert newcomer.ask(method, *params).code == PRUNED, method
    refused = newcomer.ask("eth_getBalance", "0x" + ALICE.address.hex(), hex(NUMBER - 1))
    assert str(NUMBER) in refused.message
    with pytest.raises(StatePruned):
        newcomer.view.check_state(NUMBER - 1)


def test_headers_before_those_that_a_block_sees_are_pruned_too(newcomer: Core) -> None:
    """N-175."""
    far = replace(newcomer.chain.tip.header, number=300)
    newcomer.store.begin_at(Block(far, ()), (), ancestors=(), changes=(), height=700)
    assert newcomer.history.header(300) == far
    assert newcomer.history.header(301) is None
    with pytest.raises(HistoryPruned):
        newcomer.history.header(20)


def test_a_restored_store_is_verified_from_the_block_after_its_first(
    chain: Core, newcomer: Core, records: list[bytes], tmp_path: Path
) -> None:
    """N-175."""
    restore(pack(chain, NUMBER, records), newcomer)
    state = StateStore(tmp_path / "state", is_throwaway=True)
    verification = Verification(
        genesis_text=still_genesis(), state=state, chain=newcomer.store, scratch=tmp_path / "s"
    )
    with pytest.raises(HistoryPruned):
        next(verification.run(NUMBER))
    state.close()


def test_a_restoration_that_ended_early_leaves_the_node_at_genesis_and_is_done_again(
    chain: Core, newcomer: Core, records: list[bytes]
) -> None:
    """N-172."""
    parcel = pack(chain, NUMBER, records)
    for count in range(0, len(parcel.chunks), 5):
        with pytest.raises(SnapshotInvalid, match="ends early"):
            restore(Parcel(pack_stream_manifest(parcel, count), parcel.chunks[:count]), newcomer)
        assert newcomer.application.is_untouched()
        assert newcomer.chain.adopt().height == 0
    restore(parcel, newcomer)
    assert newcomer.chain.tip.header.number == NUMBER
    restore(parcel, newcomer)
    assert newcomer.application.is_untouched()
    newcomer.finalize()
    newcomer.submit(Draft(nonce=2 * NUMBER).signed_by(ALICE))
    newcomer.make_block()
    assert not newcomer.application.is_untouched()


def pack_stream_manifest(parcel: Parcel, count: int) -> Manifest:
    """The manifest of a snapshot's first chunks alone."""
    whole = parcel.manifest
    hashes = whole.chunk_hashes[:count]
    return Manifest(whole.height, whole.number, whole.genesis_hash, whole.app_hash, hashes)


def preamble_with(change: Callable[[list[list[RlpItem]]], None]) -> Callable[[list[bytes]], None]:
    """Changes the preamble of a snapshot."""

    def changed(records: list[bytes]) -> None:
        parts = [[*decode_list(part)] for part in decode_list(decode_rlp(records[0]))]
        change(parts)
        records[0] = encode_rlp(parts)

    return changed


def swap(records: list[bytes]) -> None:
    records[1], records[2] = records[2], records[1]


def set_last_value(records: list[bytes]) -> None:
    records[-1] = bytes([records[-1][0] ^ 1]) + records[-1][1:]


DAMAGE: dict[str, Callable[[list[bytes]], None]] = {
    "no preamble": lambda records: records.__delitem__(0),
    "a preamble that is none": lambda records: records.__setitem__(0, b"\xc0"),
    "no header": preamble_with(lambda parts: parts[0].clear()),
    "a header missing": preamble_with(lambda parts: parts[0].__delitem__(0)),
    "the newest header missing": preamble_with(lambda parts: parts[0].__delitem__(-1)),
    "headers in another order": preamble_with(lambda parts: parts[0].reverse()),
    "a transaction missing": preamble_with(lambda parts: parts[1].__delitem__(-1)),
    "transactions in another order": preamble_with(lambda parts: parts[1].reverse()),
    "a transaction that is none": preamble_with(lambda parts: parts[1].__setitem__(0, b"\x01")),
    "a result missing": preamble_with(lambda parts: parts[2].__delitem__(-1)),
    "results in another order": preamble_with(lambda parts: parts[2].reverse()),
    "a change that is none": preamble_with(lambda parts: parts[3].append(b"\xc0")),
    "a value missing": lambda records: records.__delitem__(5),
    "the last value missing": lambda records: records.__delitem__(-1),
    "all values missing": lambda records: records.__delitem__(slice(1, None)),
    "a value too many": lambda records: records.append(b"\x01"),
    "a value twice": lambda records: records.insert(1, records[1]),
    "values in another order": swap,
    "a value changed": set_last_value,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_snapshot_that_does_not_lead_to_its_block_is_refused(
    chain: Core,
    pool_of_newcomers: Core,
    records: list[bytes],
    damage: Callable[[list[bytes]], None],
) -> None:
    """N-172. Whoever made it can give its chunks the right hashes."""
    changed = [*records]
    damage(changed)
    with pytest.raises(SnapshotInvalid):
        restore(pack(chain, NUMBER, changed), pool_of_newcomers)
    assert pool_of_newcomers.history.head().number == 0


@settings(max_examples=60)
@given(data=st.data())
def test_no_byte_of_a_snapshot_can_be_another(
    chain: Core, pool_of_newcomers: Core, records: list[bytes], data: st.DataObject
) -> None:
    """N-172."""
    stream = bytearray(b"".join(cut_chunks(records)))
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SnapshotInvalid):
        restore(pack_stream(chain, NUMBER, bytes(stream)), pool_of_newcomers)
    assert pool_of_newcomers.history.head().number == 0


def test_a_snapshot_of_another_block_or_chain_is_refused_before_a_byte_of_it_comes(
    chain: Core, pool_of_newcomers: Core, records: list[bytes]
) -> None:
    """N-172."""
    parcel = pack(chain, NUMBER - 1, records)
    with pytest.raises(SnapshotInvalid, match="newest header"):
        restore(parcel, pool_of_newcomers)
    whole = pack(chain, NUMBER, records)
    for genesis_hash, number in ((OTHER_HASH, NUMBER), (whole.manifest.genesis_hash, NUMBER + 1)):
        manifest = Manifest(
            whole.manifest.height,
            number,
            genesis_hash,  # type: ignore[arg-type]
            whole.manifest.app_hash,
            whole.manifest.chunk_hashes,
        )
        with pytest.raises(SnapshotInvalid):
            restore(Parcel(manifest, whole.chunks), pool_of_newcomers)


def put(shelf: Shelf, height: int, chunks: tuple[bytes, ...] = (b"one", b"two")) -> Manifest:
    manifest = pack_bytes(height, chunks)
    made = shelf.put(
        height=height,
        number=height,
        genesis_hash=manifest.genesis_hash,
        app_hash=manifest.app_hash,
        chunks=chunks,
    )
    assert made == manifest
    return made


def pack_bytes(height: int, chunks: tuple[bytes, ...]) -> Manifest:
    hashes = tuple(sha256(chunk).digest() for chunk in chunks)
    return Manifest(height, height, keccak(b"genesis"), keccak(b"block"), hashes)


def test_the_newest_snapshots_are_kept_and_given_out(tmp_path: Path) -> None:
    """N-171."""
    shelf = Shelf(tmp_path / "snapshots")
    made = [put(shelf, height) for height in (10, 20, 30, 40)]
    assert shelf.manifests() == tuple(reversed(made[-SNAPSHOTS_KEPT:]))
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["20", "30", "40"]
    assert shelf.chunk(40, 1) == b"two"
    assert shelf.chunk(40, 2) is None
    assert shelf.chunk(10, 0) is None
    again = Shelf(tmp_path / "snapshots")
    assert again.manifests() == (), "nothing is offered before it was read"
    again.inspect()
    assert again.manifests() == shelf.manifests()


def test_a_snapshot_is_offered_once_two_heights_follow(tmp_path: Path) -> None:
    """N-171."""
    shelf = Shelf(tmp_path / "snapshots")
    for height in (10, 20):
        put(shelf, height)
    assert [each.height for each in shelf.offered(11)] == []
    assert [each.height for each in shelf.offered(12)] == [10]
    assert [each.height for each in shelf.offered(21)] == [10]
    assert [each.height for each in shelf.offered(22)] == [20, 10]


@pytest.mark.parametrize("name", ["0", "1", "manifest"])
@pytest.mark.parametrize("text", [b"", b"other", None])
def test_a_damaged_snapshot_is_not_offered(tmp_path: Path, name: str, text: bytes | None) -> None:
    """N-171."""
    shelf = Shelf(tmp_path / "snapshots")
    for height in (10, 20):
        put(shelf, height)
    damaged = tmp_path / "snapshots" / "20" / name
    if text is None:
        damaged.unlink()
    else:
        damaged.write_bytes(text)
    again = Shelf(tmp_path / "snapshots")
    again.inspect()
    assert [each.height for each in again.manifests()] == [10]
    if name != "manifest":
        assert shelf.chunk(20, int(name)) is None, "damaged while it was offered"
        assert [each.height for each in shelf.manifests()] == [10]


def test_one_that_could_not_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    """N-171."""
    shelf = Shelf(tmp_path / "snapshots")
    left = tmp_path / "snapshots" / "making-5"
    left.mkdir(parents=True)
    shelf.inspect()
    assert not left.exists()

    def failing() -> Iterator[bytes]:
        yield b"one"
        raise StateMissing(OTHER_HASH)

    with pytest.raises(StateMissing):
        shelf.put(
            height=10,
            number=10,
            genesis_hash=keccak(b"genesis"),
            app_hash=keccak(b"block"),
            chunks=failing(),
        )
    assert [*(tmp_path / "snapshots").iterdir()] == []
    assert shelf.manifests() == ()
