"""What a snapshot holds, as bytes: a manifest, and a stream of records that is cut into chunks.

    manifest   RLP [format, height, block number, genesis hash, block hash, chunk hashes joined]
    stream     record*, each its length (4 bytes, big-endian) and its bytes
    record 0   the preamble: RLP [headers, transactions, results, validator changes]
    record n   a value of the state, in the order of `StateWalk`

The headers are what BLOCKHASH sees from the next block on, oldest first, the block's own last. A result is
[succeeded, cumulative gas, logs]: what its receipt holds beyond it follows from the transaction. A chunk is
`CHUNK_BYTES_MAX` of the stream, the last one what is left; records may lie across two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final

from node.block import (
    Block,
    Header,
    Log,
    Receipt,
    decode_header,
    decode_log,
    receipts_root,
    transactions_root,
)
from node.engine.seam import ANCESTOR_HASHES_MAX
from node.errors import MalformedRlp, Rejected, SnapshotInvalid, StateMissing
from node.primitives import (
    Hash32,
    RlpItem,
    created_address,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_uint,
)
from node.signed_header import SignedHeader
from node.store import ChainReader, StateValues, StateWalk
from node.transaction import decode_transaction, recover_sender

SNAPSHOT_FORMAT: Final = 1
CHUNK_BYTES_MAX: Final = 4 * 1024 * 1024
RECORD_BYTES_MAX: Final = 64 * 1024 * 1024
"""No record is longer; the longest is the preamble, with a whole block."""
LENGTH_BYTES: Final = 4
WATCH_VALUES: Final = 256
"""Values of a state between two looks at whether to go on."""

_MANIFEST_FIELDS: Final = 6
_PREAMBLE_FIELDS: Final = 4
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is said to be. Nothing of it is vouched for but by what it leads to."""

    height: int
    """Height of consensus at which the block was made."""
    number: int
    genesis_hash: Hash32
    app_hash: Hash32
    """Hash of the block."""
    chunk_hashes: tuple[bytes, ...]
    """SHA-256 of each chunk."""

    @property
    def hash(self) -> bytes:
        """SHA-256 of the encoding."""
        return sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """Its bytes, which ABCI calls metadata."""
        return encode_rlp(
            [
                encode_uint(SNAPSHOT_FORMAT),
                encode_uint(self.height),
                encode_uint(self.number),
                self.genesis_hash,
                self.app_hash,
                b"".join(self.chunk_hashes),
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """The manifest; raises SnapshotInvalid."""
        try:
            items = decode_list(decode_rlp(data), _MANIFEST_FIELDS)
            joined = decode_bytes(items[5])
            known_format = decode_uint(items[0]) == SNAPSHOT_FORMAT
            manifest = cls(
                height=decode_uint(items[1], 8),
                number=decode_uint(items[2], 8),
                genesis_hash=Hash32(decode_bytes(items[3], _HASH_BYTES)),
                app_hash=Hash32(decode_bytes(items[4], _HASH_BYTES)),
                chunk_hashes=tuple(
                    joined[at : at + _HASH_BYTES] for at in range(0, len(joined), _HASH_BYTES)
                ),
            )
        except MalformedRlp as error:
            raise SnapshotInvalid(f"its manifest: {error}") from error
        if not known_format or len(joined) % _HASH_BYTES or not joined or not manifest.number:
            raise SnapshotInvalid("its manifest is none of this format")
        return manifest

    def is_chunk(self, index: int, chunk: bytes) -> bool:
        """Whether these are the bytes of a chunk."""
        return index < len(self.chunk_hashes) and sha256(chunk).digest() == self.chunk_hashes[index]


@dataclass(frozen=True, slots=True)
class Preamble:
    """What a snapshot holds besides the state."""

    headers: tuple[Header, ...]
    """Oldest first; the last is the block's own."""
    transactions: tuple[bytes, ...]
    receipts: tuple[Receipt, ...]
    validator_changes: tuple[SignedHeader, ...]
    """Headers of consensus in which the validators changed, oldest first, up to that which certifies the block."""

    @property
    def block(self) -> Block:
        """The block that the snapshot is of."""
        return Block(self.headers[-1], self.transactions)

    def encode(self) -> bytes:
        """Its bytes."""
        results: list[RlpItem] = [
            [
                encode_uint(int(each.succeeded)),
                encode_uint(each.cumulative_gas_used),
                [log.items() for log in each.logs],
            ]
            for each in self.receipts
        ]
        return encode_rlp(
            [
                [header.encode() for header in self.headers],
                list(self.transactions),
                results,
                [each.encode() for each in self.validator_changes],
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Preamble:
        """The preamble, its block whole and its headers linked; raises SnapshotInvalid."""
        try:
            headers, bodies, results, changes = decode_list(decode_rlp(data), _PREAMBLE_FIELDS)
            transactions = tuple(decode_bytes(raw) for raw in decode_list(bodies))
            preamble = cls(
                headers=tuple(decode_header(decode_bytes(each)) for each in decode_list(headers)),
                transactions=transactions,
                receipts=tuple(_receipts(transactions, decode_list(results))),
                validator_changes=tuple(
                    SignedHeader.decode(decode_bytes(each)) for each in decode_list(changes)
                ),
            )
        except Rejected as error:  # also of a transaction that cannot be read
            raise SnapshotInvalid(f"its preamble: {error}") from error
        _check_linked(preamble.headers)
        header = preamble.headers[-1]
        if transactions_root(transactions) != header.transactions_root:
            raise SnapshotInvalid("its transactions are not the block's")
        if receipts_root(preamble.receipts) != header.receipts_root:
            raise SnapshotInvalid("its receipts are not the block's")
        return preamble


def read_preamble(reader: ChainReader, number: int, changes: Sequence[SignedHeader]) -> Preamble:
    """The preamble of a snapshot of a committed block."""
    oldest = max(0, number + 1 - ANCESTOR_HASHES_MAX)
    headers = [reader.header(each) for each in range(oldest, number + 1)]
    transactions = reader.transactions(number)
    receipts = [reader.receipt(number, at).receipt for at in range(len(transactions))]
    return Preamble(
        tuple(header for header in headers if header is not None),
        transactions,
        tuple(receipts),
        tuple(changes),
    )


def snapshot_records(
    preamble: Preamble, state: StateValues, watch: Callable[[], None] = lambda: None
) -> Iterator[bytes]:
    """Yields the records of a snapshot; raises StateMissing, StoreCorrupt and what `watch` raises."""
    yield preamble.encode()
    walk = StateWalk(preamble.headers[-1].state_root)
    count = 0
    while (key := walk.next_key) is not None:
        if count % WATCH_VALUES == 0:
            watch()
        value = state.get(key)
        if value is None:
            raise StateMissing(key)
        walk.take(value)
        yield value
        count += 1


def cut_chunks(records: Iterable[bytes], *, chunk_bytes: int = CHUNK_BYTES_MAX) -> Iterator[bytes]:
    """Yields the chunks of a stream of records."""
    waiting = bytearray()
    for record in records:
        waiting += len(record).to_bytes(LENGTH_BYTES, "big") + record
        while len(waiting) >= chunk_bytes:
            yield bytes(waiting[:chunk_bytes])
            del waiting[:chunk_bytes]
    if waiting:
        yield bytes(waiting)


def _receipts(transactions: Sequence[bytes], results: Sequence[RlpItem]) -> Iterator[Receipt]:
    """The receipts of transactions, of which there must be as many."""
    if len(results) != len(transactions):
        raise SnapshotInvalid("it has not one result for each transaction")
    gas_before = 0
    for raw, result in zip(transactions, results, strict=True):
        succeeded, cumulative, logs = decode_list(result, 3)
        transaction = decode_transaction(raw)
        sender = recover_sender(transaction)
        creates = transaction.to is None
        gas_used, gas_before = decode_uint(cumulative, 8) - gas_before, decode_uint(cumulative, 8)
        yield Receipt(
            transaction_type=transaction.transaction_type,
            succeeded=bool(decode_uint(succeeded, 1)),
            cumulative_gas_used=gas_before,
            logs=_logs(logs),
            gas_used=gas_used,
            sender=sender,
            contract_address=created_address(sender, transaction.nonce) if creates else None,
        )


def _logs(item: RlpItem) -> tuple[Log, ...]:
    return tuple(decode_log(each) for each in decode_list(item))


def _check_linked(headers: Sequence[Header]) -> None:
    """Raises SnapshotInvalid unless the headers follow one another, and are all that BLOCKHASH sees."""
    if not headers or len(headers) != min(ANCESTOR_HASHES_MAX, headers[-1].number + 1):
        raise SnapshotInvalid("it has not the headers that the next block sees")
    for parent, header in pairwise(headers):
        if header.parent_hash != parent.hash or header.number != parent.number + 1:
            raise SnapshotInvalid(f"its header {header.number} does not follow the one before")
