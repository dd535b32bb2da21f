r"""A chain file: blocks with nothing that can be made again from them, for streaming out and in.

    magic    the bytes "corridor-chain-file-1\n"
    frames   length(4, big-endian) || payload || digest(32)

A digest is keccak256(digest before || payload), where that before the first is keccak256(magic). So a
frame that is changed, missing, doubled or out of its order is noticed where it stands. The payload of the
first frame is the file's header, RLP [genesis hash, first number, last number]; each other one is a
block, in the order of the numbers, RLP [number, height of consensus, header RLP, [raw transaction, ...]].
The file ends after the block of the last number; a header with last = first - 1 stands for no block.
Receipts, logs and states are not in it: they are made by executing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from node.block import Header, decode_header
from node.errors import ChainFileInvalid, MalformedRlp
from node.primitives import (
    Hash32,
    RlpItem,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_uint,
    keccak,
)

MAGIC: Final = b"corridor-chain-file-1\n"

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""A block's transactions are at most 1 MB, its header less than 1 KB."""

_LENGTH_BYTES: Final = 4
_DIGEST_BYTES: Final = 32
_NUMBER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class ChainFileHeader:
    """Which blocks of which chain a file holds."""

    genesis_hash: Hash32
    first_number: int
    last_number: int
    """Inclusive; one less than the first where there is none."""


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block as it was decided: what its execution starts from, and the header it must come to."""

    height: int
    """Of consensus."""
    header: Header
    transactions: tuple[bytes, ...]


class ChainFileWriter:
    """Writes a chain file, front to back."""

    def __init__(self, out: BinaryIO, header: ChainFileHeader) -> None:
        self._out = out
        self._digest = keccak(MAGIC)
        out.write(MAGIC)
        numbers = encode_uint(header.first_number), encode_uint(header.last_number)
        self._write([header.genesis_hash, *numbers])

    def add(self, record: BlockRecord) -> None:
        """Writes the next block."""
        header = record.header
        self._write(
            [
                encode_uint(header.number),
                encode_uint(record.height),
                header.encode(),
                list(record.transactions),
            ]
        )

    def _write(self, item: RlpItem) -> None:
        payload = encode_rlp(item)
        self._digest = keccak(self._digest + payload)
        self._out.write(len(payload).to_bytes(_LENGTH_BYTES, "big") + payload + self._digest)


class ChainFileReader:
    """Reads a chain file, front to back, one block in memory at a time."""

    header: ChainFileHeader

    def __init__(self, source: BinaryIO) -> None:
        """Raises ChainFileInvalid where it does not begin as a chain file does."""
        self._source = source
        self._offset = 0
        self._digest = keccak(MAGIC)
        if self._read(len(MAGIC)) != MAGIC:
            raise ChainFileInvalid(0, "it does not begin as a chain file of this format does")
        place = self._offset
        try:
            genesis_hash, first, last = decode_list(decode_rlp(self._read_frame()), 3)
            self.header = ChainFileHeader(
                Hash32(decode_bytes(genesis_hash, 32)),
                decode_uint(first, _NUMBER_BYTES),
                decode_uint(last, _NUMBER_BYTES),
            )
        except MalformedRlp as error:
            raise ChainFileInvalid(place, f"no header: {error}") from error

    def blocks(self) -> Iterator[BlockRecord]:
        """Yields the blocks; raises ChainFileInvalid where one is not as it was written."""
        height = 0
        for number in range(self.header.first_number, self.header.last_number + 1):
            place = self._offset
            try:
                record = _decode_record(self._read_frame())
            except MalformedRlp as error:
                raise ChainFileInvalid(place, f"no block: {error}") from error
            if record.header.number != number:
                raise ChainFileInvalid(place, f"block {record.header.number} instead of {number}")
            if record.height <= height:
                raise ChainFileInvalid(place, f"block {number} has no later height")
            height = record.height
            yield record
        if self._source.read(1):
            raise ChainFileInvalid(self._offset, "bytes after the last block")

    def _read_frame(self) -> bytes:
        place = self._offset
        length = int.from_bytes(self._read(_LENGTH_BYTES), "big")
        if length > FRAME_BYTES_MAX:
            raise ChainFileInvalid(place, f"a frame of {length} bytes, at most {FRAME_BYTES_MAX}")
        payload = self._read(length)
        digest = self._read(_DIGEST_BYTES)
        self._digest = keccak(self._digest + payload)
        if digest != self._digest:
            raise ChainFileInvalid(place, "the frame was changed, or another stood before it")
        return payload

    def _read(self, length: int) -> bytes:
        found = self._source.read(length)
        if len(found) < length:
            raise ChainFileInvalid(self._offset + len(found), "it is cut off")
        self._offset += length
        return found


def _decode_record(payload: bytes) -> BlockRecord:
    number, height, header_rlp, transactions = decode_list(decode_rlp(payload), 4)
    header = decode_header(decode_bytes(header_rlp))
    if header.number != decode_uint(number, _NUMBER_BYTES):
        raise MalformedRlp("the header has another number than its frame")
    return BlockRecord(
        decode_uint(height, _NUMBER_BYTES),
        header,
        tuple(decode_bytes(raw) for raw in decode_list(transactions)),
    )
