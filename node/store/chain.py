"""The chain environment: blocks, receipts, logs and their indexes, and how far consensus has come."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import lmdb

from node.block import (
    Block,
    Header,
    Log,
    Receipt,
    decode_body,
    decode_header,
    decode_log,
    encode_body,
)
from node.errors import GenesisMismatch, StoreCorrupt
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
from node.store.environment import (
    MAP_BYTES,
    check_format,
    open_environment,
    open_tables,
    write_transaction,
)

CHAIN_FORMAT: Final = b"corridor-chain-1"

_GENESIS: Final = b"genesis"
_HEAD: Final = b"head"
_HEIGHT: Final = b"height"
_APP_HASH: Final = b"app_hash"
_FIRST: Final = b"first"

_TABLES: Final = (
    "headers",
    "numbers",
    "bodies",
    "transactions",
    "receipts",
    "logs",
    "by_address",
    "by_topic",
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the consensus engine's history has been applied."""

    height: int
    """Consensus height, not the block number; 0 before the first."""
    app_hash: Hash32
    """Hash of the newest block."""


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


class ChainStore:
    """The chain environment. One process writes (`commit`), any may `read`."""

    def __init__(self, path: Path, *, readonly: bool = False, map_bytes: int = MAP_BYTES) -> None:
        self._environment = open_environment(path, readonly=readonly, map_bytes=map_bytes)
        names = (*_TABLES, "meta")
        self._tables = dict(
            zip(names, open_tables(self._environment, names, readonly=readonly), strict=True)
        )
        check_format(
            self._environment, self._tables["meta"], "chain", CHAIN_FORMAT, readonly=readonly
        )

    @contextmanager
    def read(self) -> Iterator["ChainReader"]:
        """Give one consistent snapshot; keep it short."""
        with self._environment.begin() as transaction:
            yield ChainReader(transaction, self._tables)

    def initialise(self, genesis: Header) -> None:
        """Write block 0, or check that this store began with it; raises GenesisMismatch."""
        with self.read() as reader:
            found = reader.genesis_hash()
        if found is not None:
            if found != genesis.hash:
                raise GenesisMismatch("genesis block", expected=genesis.hash, found=found)
            return
        with write_transaction(self._environment) as transaction:
            self._put_block(transaction, Block(genesis, ()), ())
            transaction.put(_GENESIS, genesis.hash, db=self._tables["meta"])
            self._put_checkpoint(transaction, Checkpoint(0, genesis.hash))

    def commit(
        self,
        checkpoint: Checkpoint,
        block: Block | None = None,
        receipts: Sequence[Receipt] = (),
        transaction_hashes: Sequence[Hash32] = (),
    ) -> None:
        """Make a consensus height final on this disk, with its block if it made one.

        The state of the block must have been committed before. Either all of it is stored or
        nothing; doing it again is harmless.
        """
        with write_transaction(self._environment) as transaction:
            if block is not None:
                self._put_block(transaction, block, receipts)
                self._put_transactions(transaction, block.header.number, transaction_hashes)
            self._put_checkpoint(transaction, checkpoint)

    def close(self) -> None:
        """Release the environment; it cannot be used any more."""
        self._environment.close()

    def _put_checkpoint(self, transaction: lmdb.Transaction, checkpoint: Checkpoint) -> None:
        meta = self._tables["meta"]
        transaction.put(_HEIGHT, encode_number(checkpoint.height), db=meta)
        transaction.put(_APP_HASH, checkpoint.app_hash, db=meta)

    def _put_block(
        self, transaction: lmdb.Transaction, block: Block, receipts: Sequence[Receipt]
    ) -> None:
        header, tables = block.header, self._tables
        number = encode_number(header.number)
        transaction.put(number, header.hash + header.encode(), db=tables["headers"])
        transaction.put(header.hash, number, db=tables["numbers"])
        transaction.put(number, encode_body(block.transactions), db=tables["bodies"])
        log_index = 0
        for position, receipt in enumerate(receipts):
            key = number + _encode_position(position)
            transaction.put(key, _encode_receipt(receipt, log_index), db=tables["receipts"])
            for log in receipt.logs:
                self._put_log(transaction, number + _encode_position(log_index), position, log)
                log_index += 1
        transaction.put(_HEAD, number, db=tables["meta"])

    def _put_log(self, transaction: lmdb.Transaction, key: bytes, position: int, log: Log) -> None:
        tables = self._tables
        transaction.put(
            key, _encode_position(position) + encode_rlp(log.items()), db=tables["logs"]
        )
        transaction.put(log.address + key, b"", db=tables["by_address"])
        for topic_position, topic in enumerate(log.topics):
            transaction.put(bytes([topic_position]) + topic + key, b"", db=tables["by_topic"])

    def _put_transactions(
        self, transaction: lmdb.Transaction, number: int, hashes: Sequence[Hash32]
    ) -> None:
        for position, transaction_hash in enumerate(hashes):
            place = encode_number(number) + _encode_position(position)
            transaction.put(transaction_hash, place, db=self._tables["transactions"])


class ChainReader:
    """One snapshot of the chain environment."""

    def __init__(self, transaction: lmdb.Transaction, tables: Mapping[str, lmdb._Database]) -> None:
        self._transaction = transaction
        self._tables = tables

    def genesis_hash(self) -> Hash32 | None:
        """Return the hash of block 0, None before `initialise`."""
        found = self._get("meta", _GENESIS)
        return None if found is None else Hash32(found)

    def checkpoint(self) -> Checkpoint:
        """Return how far consensus has been applied."""
        return Checkpoint(
            int.from_bytes(self._need("meta", _HEIGHT), "big"),
            Hash32(self._need("meta", _APP_HASH)),
        )

    def head_number(self) -> int:
        """Return the newest block's number."""
        return int.from_bytes(self._need("meta", _HEAD), "big")

    def first_number(self) -> int:
        """Return the oldest block that is kept whole: 0 unless blocks before it were left out."""
        found = self._get("meta", _FIRST)
        return 0 if found is None else int.from_bytes(found, "big")

    def header(self, number: int) -> Header | None:
        """Return the header of a block."""
        found = self._get("headers", encode_number(number))
        return None if found is None else decode_header(found[32:])

    def block_hash(self, number: int) -> Hash32 | None:
        """Return the hash of a block."""
        found = self._get("headers", encode_number(number))
        return None if found is None else Hash32(found[:32])

    def block_hashes(self, *, newest: int, count: int) -> tuple[Hash32, ...]:
        """Return up to `count` block hashes, from `newest` downwards."""
        hashes: list[Hash32] = []
        with self._transaction.cursor(self._tables["headers"]) as cursor:
            found = cursor.set_key(encode_number(newest))
            while found and len(hashes) < count:
                hashes.append(Hash32(bytes(cursor.value())[:32]))
                found = cursor.prev()
        return tuple(hashes)

    def number(self, block_hash: bytes) -> int | None:
        """Return the number of the block with that hash."""
        found = self._get("numbers", block_hash)
        return None if found is None else int.from_bytes(found, "big")

    def transactions(self, number: int) -> tuple[bytes, ...]:
        """Return a block's raw transactions."""
        return decode_body(self._need("bodies", encode_number(number)))

    def transaction_place(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Return the block number and position of a transaction."""
        found = self._get("transactions", transaction_hash)
        if found is None:
            return None
        return int.from_bytes(found[:8], "big"), int.from_bytes(found[8:], "big")

    def receipt(self, number: int, position: int) -> StoredReceipt:
        """Return the receipt of a transaction that is in a block."""
        key = encode_number(number) + _encode_position(position)
        encoded = self._need("receipts", key)
        logs = self._logs_of(encode_number(number), encoded)
        return _decode_receipt(encoded, logs)

    def log(self, key: bytes) -> StoredLog:
        """Return the log at number || log index."""
        return _decode_stored_log(key, self._need("logs", key))

    def log_keys(self) -> "PostingList":
        """Return where any log is."""
        return PostingList(self._transaction.cursor(self._tables["logs"]), b"")

    def keys_by_address(self, address: bytes) -> "PostingList":
        """Return where an address logged."""
        return PostingList(self._transaction.cursor(self._tables["by_address"]), address)

    def keys_by_topic(self, topic_position: int, topic: bytes) -> "PostingList":
        """Return where a topic stands at that position."""
        prefix = bytes([topic_position]) + topic
        return PostingList(self._transaction.cursor(self._tables["by_topic"]), prefix)

    def _logs_of(self, number: bytes, encoded_receipt: bytes) -> tuple[Log, ...]:
        first, count = _log_span(encoded_receipt)
        return tuple(
            self.log(number + _encode_position(index)).log for index in range(first, first + count)
        )

    def _get(self, table: str, key: bytes) -> bytes | None:
        return cast(bytes | None, self._transaction.get(key, db=self._tables[table]))

    def _need(self, table: str, key: bytes) -> bytes:
        found = self._get(table, key)
        if found is None:
            raise StoreCorrupt(f"no entry in {table}", key)
        return found


class PostingList:
    """The sorted log keys (number || log index) under one prefix of an index."""

    def __init__(self, cursor: lmdb.Cursor, prefix: bytes) -> None:
        self._cursor = cursor
        self._prefix = prefix

    def seek(self, key: bytes) -> bytes | None:
        """Return the first log key at or after `key`."""
        if not self._cursor.set_range(self._prefix + key):
            return None
        found = bytes(self._cursor.key())
        return found[len(self._prefix) :] if found.startswith(self._prefix) else None


def encode_number(number: int) -> bytes:
    """Return a block number as the indexes hold it: 8 bytes, big-endian."""
    return number.to_bytes(8, "big")


def encode_log_key(number: int, log_index: int) -> bytes:
    """Return a log's key: number || log index."""
    return encode_number(number) + _encode_position(log_index)


def _encode_position(position: int) -> bytes:
    return position.to_bytes(4, "big")


def _encode_receipt(receipt: Receipt, first_log_index: int) -> bytes:
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


def _log_span(encoded_receipt: bytes) -> tuple[int, int]:
    items = decode_list(decode_rlp(encoded_receipt), 8)
    return decode_uint(items[6]), decode_uint(items[7])


def _decode_receipt(data: bytes, logs: tuple[Log, ...]) -> StoredReceipt:
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


def _decode_stored_log(key: bytes, value: bytes) -> StoredLog:
    return StoredLog(
        number=int.from_bytes(key[:8], "big"),
        log_index=int.from_bytes(key[8:], "big"),
        transaction_position=int.from_bytes(value[:4], "big"),
        log=decode_log(decode_rlp(value[4:])),
    )
