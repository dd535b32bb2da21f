"""Every read of committed data: headers, blocks, transactions, receipts, logs.

Each method answers from one snapshot of the chain store, so what it returns belongs together
even while blocks are committed. `latest`, `safe` and `finalized` are all `head()`: what is
committed is final.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from node.block import Block, Header, Log, Receipt
from node.errors import LogQueryTooLarge, StoreCorrupt
from node.primitives import Address, Hash32, keccak
from node.store import (
    ChainReader,
    ChainStore,
    Checkpoint,
    PostingList,
    StoredLog,
    encode_log_key,
    encode_number,
)

LOGS_MAX: Final = 10_000
"""Logs one answer may hold."""
LOGS_EXAMINED_MAX: Final = 200_000
"""Index entries one query may look up: the measure of its work."""


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A committed transaction and where it is."""

    raw: bytes
    hash: Hash32
    sender: Address
    block_hash: Hash32
    number: int
    timestamp: int
    position: int


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """A committed transaction's receipt and where it is."""

    receipt: Receipt
    raw: bytes
    transaction_hash: Hash32
    block_hash: Hash32
    number: int
    timestamp: int
    position: int
    first_log_index: int
    """Block-wide index of the receipt's first log."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs: in a range of blocks, from any of the addresses, with the topics."""

    from_number: int
    to_number: int
    """Inclusive."""
    addresses: tuple[Address, ...] = ()
    """Any of these; empty: all."""
    topics: tuple[tuple[Hash32, ...], ...] = ()
    """By position, any of these; an empty position matches all."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A committed log and where it is."""

    log: Log
    number: int
    block_hash: Hash32
    timestamp: int
    transaction_hash: Hash32
    transaction_position: int
    log_index: int


class History:
    """What is committed, read from the chain store."""

    def __init__(self, store: ChainStore, *, logs_examined_max: int = LOGS_EXAMINED_MAX) -> None:
        self._store = store
        self._logs_examined_max = logs_examined_max

    def head(self) -> Header:
        """Return the newest header; it is final."""
        with self._store.read() as reader:
            return _header(reader, reader.head_number())

    def checkpoint(self) -> Checkpoint:
        """Return the consensus height and app_hash applied last."""
        with self._store.read() as reader:
            return reader.checkpoint()

    def genesis_hash(self) -> Hash32 | None:
        """Return the hash of block 0, None before the store is initialised."""
        with self._store.read() as reader:
            return reader.genesis_hash()

    def first_state_number(self) -> int:
        """Return the oldest block whose state is kept: 0 unless states were pruned."""
        with self._store.read() as reader:
            return reader.first_state_number()

    def header(self, number: int) -> Header | None:
        """Return the header of a block."""
        with self._store.read() as reader:
            return reader.header(number)

    def header_by_hash(self, block_hash: bytes) -> Header | None:
        """Return the header with that hash."""
        with self._store.read() as reader:
            number = reader.number(block_hash)
            return None if number is None else _header(reader, number)

    def block(self, number: int) -> Block | None:
        """Return a block with its raw transactions."""
        with self._store.read() as reader:
            header = reader.header(number)
            return None if header is None else Block(header, reader.transactions(number))

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        """Return the block with that hash."""
        with self._store.read() as reader:
            number = reader.number(block_hash)
            if number is None:
                return None
            return Block(_header(reader, number), reader.transactions(number))

    def transaction(self, transaction_hash: bytes) -> TransactionRecord | None:
        """Return a committed transaction."""
        with self._store.read() as reader:
            place = reader.transaction_place(transaction_hash)
            if place is None:
                return None
            number, position = place
            header = _header(reader, number)
            return TransactionRecord(
                raw=reader.transactions(number)[position],
                hash=Hash32(bytes(transaction_hash)),
                sender=reader.receipt(number, position).receipt.sender,
                block_hash=header.hash,
                number=number,
                timestamp=header.timestamp,
                position=position,
            )

    def receipt(self, transaction_hash: bytes) -> ReceiptRecord | None:
        """Return a committed transaction's receipt."""
        with self._store.read() as reader:
            place = reader.transaction_place(transaction_hash)
            if place is None:
                return None
            number, position = place
            raw = reader.transactions(number)[position]
            return _receipt_record(reader, _header(reader, number), raw, position)

    def receipt_records(self, number: int) -> tuple[ReceiptRecord, ...]:
        """Return the receipts of a committed block with their places, in order."""
        with self._store.read() as reader:
            header = _header(reader, number)
            return tuple(
                _receipt_record(reader, header, raw, position)
                for position, raw in enumerate(reader.transactions(number))
            )

    def receipts(self, number: int) -> tuple[Receipt, ...]:
        """Return the receipts of a committed block, in order."""
        with self._store.read() as reader:
            count = len(reader.transactions(number))
            return tuple(reader.receipt(number, position).receipt for position in range(count))

    def ancestor_hashes(self, number: int, count: int = 256) -> tuple[Hash32, ...]:
        """Return the hashes of the blocks before `number`, newest first: what BLOCKHASH sees."""
        if number == 0:
            return ()
        with self._store.read() as reader:
            return reader.block_hashes(newest=number - 1, count=count)

    def logs(self, log_filter: LogFilter) -> list[LogRecord]:
        """Return the matching logs in order; raises LogQueryTooLarge past the limits."""
        with self._store.read() as reader:
            found = _matching(reader, log_filter, _Work(self._logs_examined_max))
            return list(_resolve(reader, found))


@dataclass(slots=True)
class _Work:
    """How many more index entries a query may look up."""

    examined_max: int
    examined: int = 0

    def examine(self) -> None:
        self.examined += 1
        if self.examined > self.examined_max:
            raise LogQueryTooLarge(found_max=LOGS_MAX, examined_max=self.examined_max)


@dataclass(slots=True)
class _Alternative:
    """One posting list, walked forwards: it is looked up again only once its key is passed."""

    posting: PostingList
    work: _Work
    key: bytes | None = b""

    def seek(self, target: bytes) -> bytes | None:
        """Return its first key at or after `target`, which never moves back."""
        if self.key is not None and self.key < target:
            self.work.examine()
            self.key = self.posting.seek(target)
        return self.key


def _matching(reader: ChainReader, log_filter: LogFilter, work: _Work) -> list[StoredLog]:
    """Return the logs that stand in a posting list of every constraint."""
    target = encode_log_key(log_filter.from_number, 0)
    end = encode_log_key(min(log_filter.to_number, reader.head_number()) + 1, 0)
    constraints = [
        [_Alternative(posting, work) for posting in alternatives]
        for alternatives in _constraints(reader, log_filter)
    ]
    found: list[StoredLog] = []
    while len(found) <= LOGS_MAX:
        key = _first_allowed(constraints, target)
        if key is None or key >= end:
            return found
        if key == target:
            stored = reader.log(key)
            if len(stored.log.topics) >= len(log_filter.topics):
                found.append(stored)
            key = _successor(key)
        target = key
    raise LogQueryTooLarge(found_max=LOGS_MAX, examined_max=work.examined_max)


def _first_allowed(constraints: Sequence[Sequence[_Alternative]], target: bytes) -> bytes | None:
    """Return `target` if every constraint holds there, else how far one of them lets us skip."""
    furthest = target
    for alternatives in constraints:
        keys = [key for each in alternatives if (key := each.seek(target)) is not None]
        if not keys:
            return None
        furthest = max(furthest, min(keys))
    return furthest


def _constraints(reader: ChainReader, log_filter: LogFilter) -> list[list[PostingList]]:
    """Return, for each condition of the filter, the posting lists of which one must match."""
    constraints = []
    if log_filter.addresses:
        constraints.append([reader.keys_by_address(address) for address in log_filter.addresses])
    for position, topics in enumerate(log_filter.topics):
        if topics:
            constraints.append([reader.keys_by_topic(position, topic) for topic in topics])
    return constraints or [[reader.log_keys()]]


def _successor(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") + 1).to_bytes(len(key), "big")


def _resolve(reader: ChainReader, logs: Sequence[StoredLog]) -> Iterator[LogRecord]:
    """Yield the logs, which are in order, with the hashes of their blocks and transactions."""
    for number, of_block in groupby(logs, key=lambda stored: stored.number):
        header = _header(reader, number)
        transactions = reader.transactions(number)
        for stored in of_block:
            yield LogRecord(
                log=stored.log,
                number=number,
                block_hash=header.hash,
                timestamp=header.timestamp,
                transaction_hash=keccak(transactions[stored.transaction_position]),
                transaction_position=stored.transaction_position,
                log_index=stored.log_index,
            )


def _header(reader: ChainReader, number: int) -> Header:
    header = reader.header(number)
    if header is None:
        raise StoreCorrupt("no header", encode_number(number))
    return header


def _receipt_record(
    reader: ChainReader, header: Header, raw: bytes, position: int
) -> ReceiptRecord:
    stored = reader.receipt(header.number, position)
    return ReceiptRecord(
        receipt=stored.receipt,
        raw=raw,
        transaction_hash=keccak(raw),
        block_hash=header.hash,
        number=header.number,
        timestamp=header.timestamp,
        position=position,
        first_log_index=stored.first_log_index,
    )
