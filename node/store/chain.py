"""The chain environment: blocks, receipts, logs and their indexes, and how far consensus has come.

What a block is in its tables stands in `entries`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, cast

import lmdb

from node import failpoint
from node.block import Block, Header, Log, Receipt, decode_body, decode_header
from node.errors import GenesisMismatch, HistoryPruned, StoreCorrupt
from node.failpoint import Failpoint
from node.primitives import Hash32, keccak
from node.signed_header import SignedHeader
from node.store.entries import (
    BLOCK_TABLES,
    CONSENSUS_TABLES,
    HEADER_TABLES,
    Entry,
    Misbehaviour,
    StoredLog,
    StoredReceipt,
    block_entries,
    decode_misbehaviour,
    decode_receipt,
    decode_stored_log,
    encode_misbehaviour,
    encode_number,
    encode_position,
    log_span,
)
from node.store.environment import (
    MAP_BYTES,
    check_format,
    open_environment,
    open_tables,
    write_transaction,
)

CHAIN_FORMAT: Final = b"corridor-chain-3"

_GENESIS: Final = b"genesis"
_HEAD: Final = b"head"
_HEIGHT: Final = b"height"
_APP_HASH: Final = b"app_hash"
_FIRST: Final = b"first"
_FIRST_STATE: Final = b"first_state"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far the consensus engine's history has been applied."""

    height: int
    """Consensus height, not the block number; 0 before the first."""
    app_hash: Hash32
    """Hash of the newest block."""


@dataclass(frozen=True, slots=True)
class Annex:
    """What consensus tells of a height besides its block."""

    signed: SignedHeader | None = None
    """The header that certifies the block, where it is signed already."""
    misbehaviours: tuple[Misbehaviour, ...] = ()


NO_ANNEX: Final = Annex()


class ChainStore:
    """The chain environment. One process writes (`commit`), any may `read`."""

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool = False,
        is_throwaway: bool = False,
        map_bytes: int = MAP_BYTES,
    ) -> None:
        """`is_throwaway`: nobody will read it after a crash, so nothing is synced."""
        self._environment = open_environment(
            path, readonly=readonly, is_synced=not is_throwaway, map_bytes=map_bytes
        )
        names = (*BLOCK_TABLES, *CONSENSUS_TABLES, "meta")
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
            self._put_block(transaction, Block(genesis, ()), block_entries(Block(genesis, ())))
            transaction.put(_GENESIS, genesis.hash, db=self._tables["meta"])
            failpoint.visit(Failpoint.GENESIS_BLOCK_INSIDE)
            self._put_checkpoint(transaction, Checkpoint(0, genesis.hash))
        failpoint.visit(Failpoint.GENESIS_BLOCK_WRITTEN)

    def begin_after(self, genesis: Hash32, headers: Sequence[Header], height: int) -> None:
        """Begin with the last of some headers instead of block 0: for a replay from there on.

        `headers` rise by one; those before the last are what BLOCKHASH can see.
        """
        newest = headers[-1]
        with write_transaction(self._environment) as transaction:
            for block in (Block(header, ()) for header in headers):
                self._put_block(transaction, block, block_entries(block))
            transaction.put(_GENESIS, genesis, db=self._tables["meta"])
            self._put_checkpoint(transaction, Checkpoint(height, newest.hash))

    def begin_at(
        self,
        block: Block,
        receipts: Sequence[Receipt],
        *,
        ancestors: Sequence[Header],
        changes: Sequence[SignedHeader],
        height: int,
    ) -> None:
        """Begin anew with a block whose state is here, in one step: what is before it is not kept.

        Of its `ancestors`, which are what BLOCKHASH can see, there are the headers alone; `changes` are the headers
        of consensus in which the validators changed so far.
        """
        number = encode_number(block.header.number)
        hashes = [keccak(raw) for raw in block.transactions]
        meta = self._tables["meta"]
        with write_transaction(self._environment) as transaction:
            for header in ancestors:
                for table, key, value in block_entries(Block(header, ())):
                    if table in HEADER_TABLES:
                        transaction.put(key, value, db=self._tables[table])
            self._put_block(transaction, block, block_entries(block, receipts, hashes, height))
            for each in changes:
                self._put_change(transaction, each, each.encode())
            transaction.put(_FIRST, number, db=meta)
            transaction.put(_FIRST_STATE, number, db=meta)
            self._put_checkpoint(transaction, Checkpoint(height, block.header.hash))

    def mark_first_state(self, number: int) -> None:
        """Record that states before that of block `number` are about to be gone."""
        with write_transaction(self._environment) as transaction:
            transaction.put(_FIRST_STATE, encode_number(number), db=self._tables["meta"])

    def commit(
        self,
        checkpoint: Checkpoint,
        block: Block | None = None,
        receipts: Sequence[Receipt] = (),
        transaction_hashes: Sequence[Hash32] = (),
        annex: Annex = NO_ANNEX,
    ) -> None:
        """Make a consensus height final on this disk, with its block if it made one.

        The state of the block must have been committed before. Either all of it is stored or
        nothing; doing it again is harmless.
        """
        with write_transaction(self._environment) as transaction:
            if block is not None:
                entries = block_entries(block, receipts, transaction_hashes, checkpoint.height)
                self._put_block(transaction, block, entries)
                if annex.signed is not None:
                    self._put_signed(transaction, block.header.number, annex.signed)
            for position, each in enumerate(annex.misbehaviours):
                key = encode_number(checkpoint.height) + encode_position(position)
                value = encode_misbehaviour(each)
                transaction.put(key, value, db=self._tables["misbehaviours"])
            failpoint.visit(Failpoint.BLOCK_INSIDE)
            self._put_checkpoint(transaction, checkpoint)
        failpoint.visit(Failpoint.BLOCK_WRITTEN)

    def certify(self, signed_by_number: Mapping[int, SignedHeader]) -> None:
        """Keep the signed headers that certify blocks; again is harmless."""
        with write_transaction(self._environment) as transaction:
            for number, signed in signed_by_number.items():
                self._put_signed(transaction, number, signed)

    def agree(self, change: SignedHeader) -> None:
        """Keep a change of validators with another commit than the one that was kept; again is harmless."""
        with write_transaction(self._environment) as transaction:
            self._put_change(transaction, change, change.encode())

    def close(self) -> None:
        """Release the environment; it cannot be used any more."""
        self._environment.close()

    def _put_signed(self, transaction: lmdb.Transaction, number: int, signed: SignedHeader) -> None:
        encoded = signed.encode()
        transaction.put(encode_number(number), encoded, db=self._tables["signed_headers"])
        header = signed.header
        if header.next_validators_hash != header.validators_hash:
            self._put_change(transaction, signed, encoded)

    def _put_change(
        self, transaction: lmdb.Transaction, signed: SignedHeader, encoded: bytes
    ) -> None:
        key = encode_number(signed.header.height)
        transaction.put(key, encoded, db=self._tables["validator_changes"])

    def _put_checkpoint(self, transaction: lmdb.Transaction, checkpoint: Checkpoint) -> None:
        meta = self._tables["meta"]
        transaction.put(_HEIGHT, encode_number(checkpoint.height), db=meta)
        transaction.put(_APP_HASH, checkpoint.app_hash, db=meta)

    def _put_block(
        self, transaction: lmdb.Transaction, block: Block, entries: Iterator[Entry]
    ) -> None:
        for table, key, value in entries:
            transaction.put(key, value, db=self._tables[table])
        transaction.put(_HEAD, encode_number(block.header.number), db=self._tables["meta"])


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

    def first_state_number(self) -> int:
        """Return the oldest block whose state is kept: 0 unless states were pruned."""
        found = self._get("meta", _FIRST_STATE)
        return 0 if found is None else int.from_bytes(found, "big")

    def height(self, number: int) -> int:
        """Return the consensus height that made a block."""
        return int.from_bytes(self._need("heights", encode_number(number)), "big")

    def signed_header(self, number: int) -> SignedHeader | None:
        """Return the header of consensus that certifies a block; None before it is signed and kept."""
        found = self._get("signed_headers", encode_number(number))
        return None if found is None else SignedHeader.decode(found)

    def certified_number(self) -> int:
        """Return the newest block whose certifying header is kept; 0 where there is none."""
        with self._transaction.cursor(self._tables["signed_headers"]) as cursor:
            return int.from_bytes(cursor.key(), "big") if cursor.last() else 0

    def validator_changes(self, *, above: int = 0) -> tuple[SignedHeader, ...]:
        """Return the headers above a height that name another set of validators as the next, in their order."""
        with self._transaction.cursor(self._tables["validator_changes"]) as cursor:
            if not cursor.set_range(encode_number(above + 1)):
                return ()
            return tuple(SignedHeader.decode(bytes(value)) for _, value in cursor)

    def misbehaviours(self, *, newest: int) -> tuple[Misbehaviour, ...]:
        """Return the newest evidence against validators, newest first."""
        with self._transaction.cursor(self._tables["misbehaviours"]) as cursor:
            values = (value for _, value in cursor.iterprev())
            return tuple(decode_misbehaviour(bytes(value)) for value in islice(values, newest))

    def value(self, table: str, key: bytes) -> bytes | None:
        """Return what a table holds for a key, as it stands there."""
        return self._get(table, key)

    def entries(self, table: str) -> Iterator[Entry]:
        """Yield all that a table holds, by key."""
        with self._transaction.cursor(self._tables[table]) as cursor:
            for key, value in cursor:
                yield Entry(table, bytes(key), bytes(value))

    def first_number(self) -> int:
        """Return the oldest block that is kept whole: 0 unless blocks before it were left out."""
        found = self._get("meta", _FIRST)
        return 0 if found is None else int.from_bytes(found, "big")

    def header(self, number: int) -> Header | None:
        """Return the header of a block."""
        found = self._get("headers", encode_number(number))
        return None if found is None else decode_header(found[32:])

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
        """Return a block's raw transactions; raises HistoryPruned where the block is not kept whole."""
        if number < self.first_number() and self._get("bodies", encode_number(number)) is None:
            raise HistoryPruned(self.first_number())
        return decode_body(self._need("bodies", encode_number(number)))

    def transaction_place(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Return the block number and position of a transaction."""
        found = self._get("transactions", transaction_hash)
        if found is None:
            return None
        return int.from_bytes(found[:8], "big"), int.from_bytes(found[8:], "big")

    def receipt(self, number: int, position: int) -> StoredReceipt:
        """Return the receipt of a transaction that is in a block."""
        key = encode_number(number) + encode_position(position)
        encoded = self._need("receipts", key)
        logs = self._logs_of(encode_number(number), encoded)
        return decode_receipt(encoded, logs)

    def log(self, key: bytes) -> StoredLog:
        """Return the log at number || log index."""
        return decode_stored_log(key, self._need("logs", key))

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
        first, count = log_span(encoded_receipt)
        return tuple(
            self.log(number + encode_position(index)).log for index in range(first, first + count)
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
