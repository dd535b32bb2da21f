"""Blocks from a store to a chain file, and from a chain file into a store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from node import failpoint
from node.archive.chain_file import (
    BlockRecord,
    ChainFileHeader,
    ChainFileReader,
    ChainFileWriter,
)
from node.archive.replay import execute_again
from node.chain import Chain
from node.errors import BlockDiffers, BlockUnknown, ChainFileAhead, GenesisMismatch
from node.failpoint import Failpoint
from node.history import History
from node.store import ChainStore

FIRST_NUMBER = 1
"""Block 0 is genesis: every node has it from its own file."""


def export_blocks(
    store: ChainStore, out: BinaryIO, *, first_number: int = FIRST_NUMBER, last_number: int | None
) -> Iterator[int]:
    """Writes a chain file, and yields the number of each block in it; None: up to the newest.

    Each block is read in a snapshot of its own, so a node may go on committing. Raises BlockUnknown.
    """
    with store.read() as reader:
        head_number = reader.head_number()
        genesis_hash = reader.genesis_hash()
    last = head_number if last_number is None else last_number
    if genesis_hash is None or last > head_number or not FIRST_NUMBER <= first_number <= last + 1:
        raise BlockUnknown(max(first_number, last))
    writer = ChainFileWriter(out, ChainFileHeader(genesis_hash, first_number, last))
    for number in range(first_number, last + 1):
        writer.add(_recorded(store, number))
        yield number


def import_blocks(chain: Chain, history: History, source: BinaryIO) -> Iterator[int]:
    """Executes and commits the blocks of a chain file, and yields the number of each new one.

    Blocks that are there already are compared and passed over, so an import that was killed is
    done again from the start of its file. Raises ChainFileInvalid, ChainFileAhead, GenesisMismatch,
    and BlockDiffers with everything before that block committed.
    """
    reader = ChainFileReader(source)
    expected = history.genesis_hash()
    if reader.header.genesis_hash != expected:
        raise GenesisMismatch(
            "genesis block", expected=expected or b"", found=reader.header.genesis_hash
        )
    head_number = chain.tip.header.number
    if reader.header.first_number > head_number + 1:
        raise ChainFileAhead(first_number=reader.header.first_number, head_number=head_number)
    for record in reader.blocks():
        number = record.header.number
        if number <= head_number:
            _check_known(history, record)
            continue
        if record.height <= chain.tip.height:
            raise BlockDiffers(
                number,
                "its height",
                expected=record.height.to_bytes(8, "big"),
                found=chain.tip.height.to_bytes(8, "big"),
            )
        execute_again(chain, record)
        chain.commit()
        failpoint.visit(Failpoint.BLOCK_IMPORTED)
        yield number


def _check_known(history: History, record: BlockRecord) -> None:
    known = history.header(record.header.number)
    if known is None or known.hash != record.header.hash:
        raise BlockDiffers(
            record.header.number,
            "its hash",
            expected=record.header.hash,
            found=known.hash if known else b"",
        )


def _recorded(store: ChainStore, number: int) -> BlockRecord:
    with store.read() as reader:
        header = reader.header(number)
        if header is None:
            raise BlockUnknown(number)
        return BlockRecord(reader.height(number), header, reader.transactions(number))
