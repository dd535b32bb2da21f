"""A chain taken to a file and back: the same to the last entry, or refused with the place.

Cites docs/spec/node.md: N-100, N-101.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.archive import (
    BlockRecord,
    ChainFileHeader,
    ChainFileReader,
    ChainFileWriter,
    export_blocks,
    import_blocks,
)
from node.archive.chain_file import MAGIC
from node.errors import (
    BlockDiffers,
    BlockUnknown,
    ChainFileAhead,
    ChainFileInvalid,
    GenesisMismatch,
)
from node.primitives import Hash32, keccak
from support.kept_chain import KeptChain, make_chain, still_genesis
from support.settlement_network import network_file

BLOCKS = 4


@pytest.fixture(scope="module")
def genesis_text() -> bytes:
    return still_genesis()


@pytest.fixture(scope="module")
def source(genesis_text: bytes, tmp_path_factory: pytest.TempPathFactory) -> KeptChain:
    return make_chain(tmp_path_factory.mktemp("source") / "data", genesis_text, BLOCKS)


@pytest.fixture(scope="module")
def chain_file(source: KeptChain) -> bytes:
    return exported(source)


@pytest.fixture
def empty(genesis_text: bytes, tmp_path: Path) -> KeptChain:
    return make_chain(tmp_path / "data", genesis_text)


def exported(chain: KeptChain, first_number: int = 1, last_number: int | None = None) -> bytes:
    out = io.BytesIO()
    with chain.reading() as store:
        for _ in export_blocks(store, out, first_number=first_number, last_number=last_number):
            pass
    return out.getvalue()


def imported(chain: KeptChain, content: bytes) -> list[int]:
    with chain.opened() as (writer, history):
        return list(import_blocks(writer, history, io.BytesIO(content)))


def frames(content: bytes) -> Iterator[tuple[int, int]]:
    """Where each frame begins and ends."""
    place = len(MAGIC)
    while place < len(content):
        end = place + 4 + int.from_bytes(content[place : place + 4], "big") + 32
        yield place, end
        place = end


def test_an_imported_chain_is_the_exported_one_to_the_last_entry(
    source: KeptChain, chain_file: bytes, empty: KeptChain
) -> None:
    """N-100, N-101: receipts, logs, indexes and states are not in the file, and come out the same."""
    assert imported(empty, chain_file) == [1, 2, 3, 4]
    assert empty.dump() == source.dump()
    assert exported(empty) == chain_file


def test_an_import_that_was_broken_off_is_taken_up_where_it_ended(
    source: KeptChain, chain_file: bytes, empty: KeptChain
) -> None:
    """N-101."""
    with empty.opened() as (writer, history):
        blocks = import_blocks(writer, history, io.BytesIO(chain_file))
        assert [next(blocks), next(blocks)] == [1, 2]
    assert imported(empty, chain_file) == [3, 4]
    assert imported(empty, chain_file) == []
    assert empty.dump() == source.dump()


def test_parts_of_a_chain_are_imported_in_their_order_only(
    source: KeptChain, empty: KeptChain
) -> None:
    first, second = exported(source, 1, 2), exported(source, 3)
    with pytest.raises(ChainFileAhead) as ahead:
        imported(empty, second)
    assert (ahead.value.first_number, ahead.value.head_number) == (3, 0)
    assert imported(empty, first) == [1, 2]
    assert imported(empty, second) == [3, 4]
    assert empty.dump() == source.dump()


@pytest.mark.parametrize(("first", "last"), [(1, BLOCKS + 1), (BLOCKS + 2, None), (0, 2)])
def test_blocks_that_are_not_there_are_not_exported(
    source: KeptChain, first: int, last: int | None
) -> None:
    with pytest.raises(BlockUnknown):
        exported(source, first, last)


def test_a_chain_without_blocks_makes_a_file_without_blocks(
    genesis_text: bytes, empty: KeptChain, tmp_path: Path
) -> None:
    with empty.opened():
        pass
    content = exported(empty)
    assert ChainFileReader(io.BytesIO(content)).header.last_number == 0
    assert imported(make_chain(tmp_path / "other", genesis_text), content) == []


def test_a_file_cut_off_anywhere_is_refused_with_the_place(chain_file: bytes) -> None:
    """N-100."""
    for length in range(0, len(chain_file), 97):
        with pytest.raises(ChainFileInvalid) as refusal:
            list(ChainFileReader(io.BytesIO(chain_file[:length])).blocks())
        assert length <= len(MAGIC) or refusal.value.offset == length
    for place, _ in frames(chain_file):
        with pytest.raises(ChainFileInvalid, match=f"byte {place}: it is cut off"):
            list(ChainFileReader(io.BytesIO(chain_file[:place])).blocks())


def test_a_file_changed_anywhere_is_refused_with_the_frame(chain_file: bytes) -> None:
    """N-100."""
    spans = list(frames(chain_file))
    for position in range(0, len(chain_file), 61):
        changed = bytearray(chain_file)
        changed[position] ^= 1
        with pytest.raises(ChainFileInvalid) as refusal:
            list(ChainFileReader(io.BytesIO(changed)).blocks())
        frame = [place for place, end in spans if place <= position < end]
        # A changed length is found out where the file ends, all else at its frame.
        assert not frame or refusal.value.offset in {*frame, len(chain_file)}


@pytest.mark.parametrize("change", ["doubled", "missing", "exchanged", "added"])
def test_frames_in_another_order_are_refused(chain_file: bytes, change: str) -> None:
    """N-100."""
    start, one, two, *rest = [chain_file[place:end] for place, end in frames(chain_file)]
    order = {
        "doubled": [start, one, one, two, *rest],
        "missing": [start, two, *rest],
        "exchanged": [start, two, one, *rest],
        "added": [start, one, two, *rest, one],
    }[change]
    with pytest.raises(ChainFileInvalid):
        list(ChainFileReader(io.BytesIO(b"".join([MAGIC, *order]))).blocks())


def records(chain_file: bytes) -> list[BlockRecord]:
    return list(ChainFileReader(io.BytesIO(chain_file)).blocks())


def written(genesis_hash: Hash32, blocks: list[BlockRecord], *, last: int = BLOCKS) -> bytes:
    """A chain file of somebody who knows the format."""
    out = io.BytesIO()
    writer = ChainFileWriter(out, ChainFileHeader(genesis_hash, 1, last))
    for record in blocks:
        writer.add(record)
    return out.getvalue()


def test_well_formed_nonsense_is_refused_in_words(chain_file: bytes) -> None:
    header = ChainFileReader(io.BytesIO(chain_file)).header
    one, two, *_ = records(chain_file)
    skipping = written(header.genesis_hash, [one, one])
    with pytest.raises(ChainFileInvalid, match="block 1 instead of 2"):
        list(ChainFileReader(io.BytesIO(skipping)).blocks())
    falling = written(header.genesis_hash, [one, BlockRecord(1, two.header, two.transactions)])
    with pytest.raises(ChainFileInvalid, match="no later height"):
        list(ChainFileReader(io.BytesIO(falling)).blocks())
    with pytest.raises(ChainFileInvalid, match="at most"):
        ChainFileReader(io.BytesIO(MAGIC + b"\xff" * 64))
    payload = b"\xc0"
    frame = payload + keccak(keccak(MAGIC) + payload)
    with pytest.raises(ChainFileInvalid, match="no header"):
        ChainFileReader(io.BytesIO(MAGIC + b"\0\0\0\1" + frame))


def test_another_chain_s_file_is_refused(chain_file: bytes, tmp_path: Path) -> None:
    """N-101."""
    network = {**network_file(), "development": True, "transactions_open": False}
    other = make_chain(tmp_path / "other", still_genesis(network))
    with pytest.raises(GenesisMismatch):
        imported(other, chain_file)


def test_a_forged_block_is_found_out_and_what_came_before_it_stays(
    chain_file: bytes, empty: KeptChain
) -> None:
    """N-101: the header is compared with what execution comes to, field by field."""
    header = ChainFileReader(io.BytesIO(chain_file)).header
    one, two, three, four = records(chain_file)
    forged = BlockRecord(two.height, two.header, two.transactions[:1])
    with pytest.raises(BlockDiffers, match="block 2: the transactions' root") as difference:
        imported(empty, written(header.genesis_hash, [one, forged, three, four]))
    assert difference.value.number == 2
    with empty.opened() as (chain, _):
        assert chain.tip.header == one.header
    torn = BlockRecord(two.height, two.header, (two.transactions[0][:-1] + b"\0", b"junk"))
    with pytest.raises(BlockDiffers, match="the result of transaction"):
        imported(empty, written(header.genesis_hash, [one, torn, three, four]))
    assert imported(empty, chain_file) == [2, 3, 4]


def test_a_file_of_a_chain_that_went_another_way_is_refused(
    source: KeptChain, chain_file: bytes, tmp_path: Path
) -> None:
    shutil.copytree(source.directory, tmp_path / "copy")
    copy = KeptChain(tmp_path / "copy")
    copy.extend(1)
    header = ChainFileReader(io.BytesIO(chain_file)).header
    one, two, *rest = records(chain_file)
    moved = replace(two, header=replace(two.header, gas_used=two.header.gas_used + 1))
    with pytest.raises(BlockDiffers, match="block 2: its hash"):
        imported(copy, written(header.genesis_hash, [one, moved, *rest]))


def test_the_height_of_each_block_is_kept(source: KeptChain) -> None:
    with source.reading() as store, store.read() as reader:
        assert [reader.height(number) for number in range(BLOCKS + 1)] == [0, 2, 4, 6, 8]
