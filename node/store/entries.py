"""What a block is in the chain environment: every key and value it adds, as bytes.

`block_entries` is the one place that says so: the store writes them, and `node verify` makes them again
from the replayed block and compares. Reading goes through `decode_receipt` and `decode_stored_log`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.block import Block, Log, Receipt, decode_log, encode_body
from node.primitives import (
    Address,
    Hash32,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_uint,
)

BLOCK_TABLES: Final = (
    "headers",
    "numbers",
    "heights",
    "bodies",
    "transactions",
    "receipts",
    "logs",
    "by_address",
    "by_topic",
)
"""Tables that blocks add to."""

CONSENSUS_TABLES: Final = ("signed_headers", "validator_changes", "misbehaviours")
"""Tables of what consensus tells besides blocks; they differ between nodes."""

HEADER_TABLES: Final = frozenset({"headers", "numbers"})
"""Those that a header adds to alone."""

NUMBER_BYTES: Final = 8
POSITION_BYTES: Final = 4
LOG_KEY_BYTES: Final = NUMBER_BYTES + POSITION_BYTES


class Entry(NamedTuple):
    """One key and its value in a table."""

    table: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A validator that signed what it must not, as the engine of consensus reports it with its evidence."""

    kind: str
    """`duplicate_vote` or `light_client_attack`."""
    validator: Address
    height: int
    """Of what it signed."""
    timestamp: int
    """UTC seconds of the block at that height."""
    reported_height: int
    """Of the block that holds the evidence."""


@dataclass(frozen=True, slots=True)
class StoredLog:
    """A log with its place."""

    number: int
    log_index: int
    """Position among the block's logs."""
    transaction_position: int
    log: Log


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt with the block-wide index of its first log."""

    receipt: Receipt
    first_log_index: int


def block_entries(
    block: Block,
    receipts: Sequence[Receipt] = (),
    transaction_hashes: Sequence[Hash32] = (),
    height: int = 0,
) -> Iterator[Entry]:
    """Yield all that a block adds, made at a height of consensus; block 0 has nothing but its header."""
    header = block.header
    number = encode_number(header.number)
    yield Entry("headers", number, header.hash + header.encode())
    yield Entry("numbers", header.hash, number)
    yield Entry("heights", number, encode_number(height))
    yield Entry("bodies", number, encode_body(block.transactions))
    for position, transaction_hash in enumerate(transaction_hashes):
        yield Entry("transactions", transaction_hash, number + encode_position(position))
    log_index = 0
    for position, receipt in enumerate(receipts):
        key = number + encode_position(position)
        yield Entry("receipts", key, encode_receipt(receipt, log_index))
        for log in receipt.logs:
            yield from _log_entries(number + encode_position(log_index), position, log)
            log_index += 1


def number_of(entry: Entry) -> int | None:
    """Return the number of the block that an entry belongs to; None where it has another shape."""
    key_bytes, where = _SHAPE_BY_TABLE[entry.table]
    if len(entry.key) != key_bytes:
        return None
    place = entry.value if where is None else entry.key[where:]
    return int.from_bytes(place[:NUMBER_BYTES], "big")


_SHAPE_BY_TABLE: Final[dict[str, tuple[int, int | None]]] = {
    "headers": (NUMBER_BYTES, 0),
    "numbers": (32, None),
    "heights": (NUMBER_BYTES, 0),
    "bodies": (NUMBER_BYTES, 0),
    "transactions": (32, None),
    "receipts": (LOG_KEY_BYTES, 0),
    "logs": (LOG_KEY_BYTES, 0),
    "by_address": (20 + LOG_KEY_BYTES, 20),
    "by_topic": (33 + LOG_KEY_BYTES, 33),
}
"""How long a table's keys are and where in them the number begins; None: it begins the value."""


def encode_number(number: int) -> bytes:
    """Return a block number as the indexes hold it: 8 bytes, big-endian."""
    return number.to_bytes(NUMBER_BYTES, "big")


def encode_position(position: int) -> bytes:
    """Return a position within a block: 4 bytes, big-endian."""
    return position.to_bytes(POSITION_BYTES, "big")


def encode_log_key(number: int, log_index: int) -> bytes:
    """Return a log's key: number || log index."""
    return encode_number(number) + encode_position(log_index)


def encode_receipt(receipt: Receipt, first_log_index: int) -> bytes:
    """Return what is stored of a receipt: all but its logs."""
    return encode_rlp(
        [
            encode_uint(receipt.transaction_type),
            encode_uint(int(receipt.succeeded)),
            encode_uint(receipt.cumulative_gas_used),
            encode_uint(receipt.gas_used),
            receipt.sender,
            receipt.contract_address or b"",
            encode_uint(first_log_index),
            encode_uint(len(receipt.logs)),
        ]
    )


def log_span(encoded_receipt: bytes) -> tuple[int, int]:
    """Return the block-wide index of a stored receipt's first log, and how many it has."""
    items = decode_list(decode_rlp(encoded_receipt), 8)
    return decode_uint(items[6]), decode_uint(items[7])


def decode_receipt(data: bytes, logs: tuple[Log, ...]) -> StoredReceipt:
    """Return a stored receipt with its logs."""
    items = decode_list(decode_rlp(data), 8)
    created = decode_bytes(items[5])
    receipt = Receipt(
        transaction_type=decode_uint(items[0]),
        succeeded=bool(decode_uint(items[1])),
        cumulative_gas_used=decode_uint(items[2]),
        logs=logs,
        gas_used=decode_uint(items[3]),
        sender=Address(decode_bytes(items[4], 20)),
        contract_address=Address(created) if created else None,
    )
    return StoredReceipt(receipt, decode_uint(items[6]))


def decode_stored_log(key: bytes, value: bytes) -> StoredLog:
    """Return a stored log with the place its key names."""
    return StoredLog(
        number=int.from_bytes(key[:NUMBER_BYTES], "big"),
        log_index=int.from_bytes(key[NUMBER_BYTES:], "big"),
        transaction_position=int.from_bytes(value[:POSITION_BYTES], "big"),
        log=decode_log(decode_rlp(value[POSITION_BYTES:])),
    )


def _log_entries(key: bytes, position: int, log: Log) -> Iterator[Entry]:
    yield Entry("logs", key, encode_position(position) + encode_rlp(log.items()))
    yield Entry("by_address", log.address + key, b"")
    for topic_position, topic in enumerate(log.topics):
        yield Entry("by_topic", bytes([topic_position]) + topic + key, b"")


def encode_misbehaviour(misbehaviour: Misbehaviour) -> bytes:
    """Return the form in which evidence is kept."""
    return encode_rlp(
        [
            misbehaviour.kind.encode(),
            misbehaviour.validator,
            encode_uint(misbehaviour.height),
            encode_uint(misbehaviour.timestamp),
            encode_uint(misbehaviour.reported_height),
        ]
    )


def decode_misbehaviour(value: bytes) -> Misbehaviour:
    """Return what `encode_misbehaviour` gave."""
    kind, validator, height, timestamp, reported_height = decode_list(decode_rlp(value), 5)
    return Misbehaviour(
        kind=decode_bytes(kind).decode(),
        validator=Address(decode_bytes(validator, 20)),
        height=decode_uint(height),
        timestamp=decode_uint(timestamp),
        reported_height=decode_uint(reported_height),
    )
