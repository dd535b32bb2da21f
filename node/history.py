"""Every read of committed data: headers, blocks, transactions, receipts, logs.

Each method answers from one snapshot of the chain store, so what it returns belongs together
even while blocks are committed. `latest`, `safe` and `finalized` are all `head()`: what is
committed is final.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from node.block import Block, Header, Log, Receipt
from node.errors import CursorAhead, HistoryPruned, LogQueryTooLarge, StoreCorrupt
from node.primitives import Address, Hash32, keccak
from node.signed_header import SignedHeader
from node.store import (
    ChainReader,
    ChainStore,
    Checkpoint,
    Misbehaviour,
    PostingList,
    StoredLog,
    encode_log_key,
    encode_number,
)

LOGS_MAX: Final = 10_000
"""Logs one answer may hold."""
LOGS_EXAMINED_MAX: Final = 200_000
"""Index entries one query may look up: the measure of its work."""
PAGE_EXAMINED_MAX: Final = 20_000
"""Index entries one page of logs may look up; then it ends, full or not."""
PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of data in the logs of one page, about."""
NUMBER_MAX: Final = 2**63 - 1
"""No chain has so many blocks."""
LOG_INDEX_MAX: Final = 2**32 - 1
"""No block holds so many logs."""


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


@dataclass(frozen=True, slots=True, order=True)
class LogPlace:
    """Where a log stands in the one order of all logs; every node of a chain has the same."""

    number: int
    log_index: int

    @classmethod
    def end_of(cls, number: int) -> "LogPlace":
        """After all the logs of a block; of block 0, which holds none: the beginning."""
        return cls(number, LOG_INDEX_MAX)

    @classmethod
    def of_key(cls, key: bytes) -> "LogPlace":
        """The place that a log key names."""
        return cls(int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big"))

    @property
    def key(self) -> bytes:
        """Its log key: number || log index."""
        return encode_log_key(self.number, self.log_index)


@dataclass(frozen=True, slots=True)
class LogPageQuery:
    """Which logs, from which place on, and how many at most."""

    after: LogPlace
    """What stands here or before has been seen."""
    logs_max: int
    to_number: int = NUMBER_MAX
    """Inclusive."""
    addresses: tuple[Address, ...] = ()
    topics: tuple[tuple[Hash32, ...], ...] = ()
    bytes_max: int = PAGE_BYTES_MAX
    """Bytes of data after which the page ends."""
    accepts: Callable[[Log], bool] = lambda _: True
    """What no index answers; asked last, of each log that the indexes give."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """The next logs in order. A page may be empty and yet not the last one."""

    records: tuple[LogRecord, ...]
    examined_to: LogPlace
    """Whatever matches up to here is in this page or in one before it: where the next page begins."""
    head: Header
    """The newest block in the snapshot that the page was read from."""


class History:
    """What is committed, read from the chain store."""

    def __init__(
        self,
        store: ChainStore,
        *,
        logs_examined_max: int = LOGS_EXAMINED_MAX,
        page_examined_max: int = PAGE_EXAMINED_MAX,
    ) -> None:
        self._store = store
        self._logs_examined_max = logs_examined_max
        self._page_examined_max = page_examined_max

    def head(self) -> Header:
        """Return the newest header; it is final."""
        with self._store.read() as reader:
            return _header(reader, reader.head_number())

    def head_number(self) -> int:
        """Return the number of the newest block."""
        with self._store.read() as reader:
            return reader.head_number()

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

    def first_number(self) -> int:
        """Return the oldest block that is kept whole: 0 unless this node began from a snapshot."""
        with self._store.read() as reader:
            return reader.first_number()

    def header(self, number: int) -> Header | None:
        """Return the header of a block; raises HistoryPruned where it is not kept any more."""
        with self._store.read() as reader:
            return _kept_header(reader, number)

    def header_by_hash(self, block_hash: bytes) -> Header | None:
        """Return the header with that hash."""
        with self._store.read() as reader:
            number = reader.number(block_hash)
            return None if number is None else _header(reader, number)

    def block(self, number: int) -> Block | None:
        """Return a block with its raw transactions; raises HistoryPruned."""
        with self._store.read() as reader:
            header = _kept_header(reader, number)
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

    def signed_header(self, number: int) -> SignedHeader | None:
        """Return the header of consensus that certifies a block; None before it is signed and kept."""
        with self._store.read() as reader:
            return reader.signed_header(number)

    def certified_number(self) -> int:
        """Return the newest block whose certifying header is kept; 0 where there is none."""
        with self._store.read() as reader:
            return reader.certified_number()

    def validator_changes(self, *, above: int = 0) -> tuple[SignedHeader, ...]:
        """Return the headers above a height that name another set of validators as the next, in their order."""
        with self._store.read() as reader:
            return reader.validator_changes(above=above)

    def misbehaviours(self, newest: int) -> tuple[Misbehaviour, ...]:
        """Return the newest evidence against validators, newest first."""
        with self._store.read() as reader:
            return reader.misbehaviours(newest=newest)

    def height(self, number: int) -> int:
        """Return the consensus height that made a block."""
        with self._store.read() as reader:
            return reader.height(number)

    def ancestor_hashes(self, number: int, count: int = 256) -> tuple[Hash32, ...]:
        """Return the hashes of the blocks before `number`, newest first: what BLOCKHASH sees."""
        if number == 0:
            return ()
        with self._store.read() as reader:
            return reader.block_hashes(newest=number - 1, count=count)

    def logs(self, log_filter: LogFilter) -> list[LogRecord]:
        """Return the matching logs in order; raises LogQueryTooLarge past the limits, or HistoryPruned."""
        with self._store.read() as reader:
            if log_filter.from_number < reader.first_number():
                raise HistoryPruned(reader.first_number())
            found = _matching(reader, log_filter, _Work(self._logs_examined_max))
            return list(_resolve(reader, found))

    def log_page(self, query: LogPageQuery) -> LogPage:
        """Return the next matching logs in order, after bounded work.

        Raises `CursorAhead` where this node has not come so far, `HistoryPruned` where it holds no longer what follows.
        """
        with self._store.read() as reader:
            head = _header(reader, reader.head_number())
            if query.after.number > head.number:
                raise CursorAhead(number=query.after.number, head_number=head.number)
            first_number = reader.first_number()
            if LogPlace.of_key(_successor(query.after.key)).number < first_number:
                raise HistoryPruned(first_number)
            last_number = min(query.to_number, head.number)
            found, reached = _next_matching(reader, query, last_number, self._page_examined_max)
            return LogPage(tuple(_resolve(reader, found)), reached, head)


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
        for alternatives in _constraints(reader, log_filter.addresses, log_filter.topics)
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


def _next_matching(
    reader: ChainReader, query: LogPageQuery, last_number: int, examined_max: int
) -> tuple[list[StoredLog], LogPlace]:
    """Return the first matching logs after a place, and the place up to which nothing is left out."""
    posting_lists = _constraints(reader, query.addresses, query.topics)
    step_max = sum(map(len, posting_lists)) + 1
    # The last step begins below the limit and may end above it, so that every page gets on.
    work = _Work(examined_max + step_max)
    constraints = [[_Alternative(each, work) for each in lists] for lists in posting_lists]
    target, end = _successor(query.after.key), encode_log_key(last_number + 1, 0)
    found: list[StoredLog] = []
    size = 0
    while (
        target < end
        and len(found) < query.logs_max
        and size <= query.bytes_max
        and work.examined < examined_max
    ):
        key = _first_allowed(constraints, target)
        if key is None or key >= end:
            target = end
            break
        if key == target:
            work.examine()
            stored = reader.log(key)
            if len(stored.log.topics) >= len(query.topics) and query.accepts(stored.log):
                found.append(stored)
                size += len(stored.log.data)
            key = _successor(key)
        target = key
    return found, LogPlace.of_key(_predecessor(target))


def _first_allowed(constraints: Sequence[Sequence[_Alternative]], target: bytes) -> bytes | None:
    """Return `target` if every constraint holds there, else how far one of them lets us skip."""
    furthest = target
    for alternatives in constraints:
        keys = [key for each in alternatives if (key := each.seek(target)) is not None]
        if not keys:
            return None
        furthest = max(furthest, min(keys))
    return furthest


def _constraints(
    reader: ChainReader,
    addresses: tuple[Address, ...],
    topics: tuple[tuple[Hash32, ...], ...],
) -> list[list[PostingList]]:
    """Return, for each condition of a filter, the posting lists of which one must match."""
    constraints = []
    if addresses:
        constraints.append([reader.keys_by_address(address) for address in addresses])
    for position, alternatives in enumerate(topics):
        if alternatives:
            constraints.append([reader.keys_by_topic(position, topic) for topic in alternatives])
    return constraints or [[reader.log_keys()]]


def _successor(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") + 1).to_bytes(len(key), "big")


def _predecessor(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") - 1).to_bytes(len(key), "big")


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


def _kept_header(reader: ChainReader, number: int) -> Header | None:
    header = reader.header(number)
    if header is None and number < reader.first_number():
        raise HistoryPruned(reader.first_number())
    return header


def _header(reader: ChainReader, number: int) -> Header:
    header = _kept_header(reader, number)
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
