"""A store held to its chain: every block executed again, every entry compared, every state walked.

The replay runs on stores of its own, thrown away afterwards, through the same `Chain` that makes blocks;
from there come the entries that each block must have. They are compared one by one; then each table is
counted, so that one with more than the blocks account for is found out too; and every state that is
kept is walked, each value held to its hash. Heights of consensus are no part of a block: only their
order can be checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from node import genesis
from node.archive.chain_file import BlockRecord
from node.archive.replay import execute_again
from node.block import Block, Header, decode_body, decode_header, transactions_root
from node.chain import Chain
from node.engine import PyEvmEngine
from node.engine.seam import ANCESTOR_HASHES_MAX
from node.errors import (
    BlockDiffers,
    BlockUnknown,
    GenesisMismatch,
    HistoryPruned,
    MalformedRlp,
    StateMissing,
    StatePruned,
    StoreCorrupt,
    StoreDiffers,
)
from node.permissions import Permissions
from node.primitives import Hash32, keccak
from node.store import (
    BLOCK_TABLES,
    ChainReader,
    ChainStore,
    Entry,
    LayeredState,
    StateCopy,
    StateStore,
    StateValues,
    block_entries,
    encode_number,
    number_of,
)


class Verification:
    """One run over a data directory that nobody writes; `run` raises StoreDiffers at the first difference."""

    def __init__(
        self, *, genesis_text: bytes, state: StateStore, chain: ChainStore, scratch: Path
    ) -> None:
        """`scratch` is a directory for the replay's own stores; it takes about what the chain's take."""
        self._genesis_text = genesis_text
        self._state = state
        self._store = chain
        self._scratch = scratch
        self._counts: Counter[str] = Counter()

    def run(self, first_number: int = 1) -> Iterator[int]:
        """Verifies block 0, or the state of the block before the first, and all after; yields their numbers.

        Raises StoreDiffers, GenesisMismatch for another chain's genesis, BlockUnknown, StatePruned and
        HistoryPruned for a first block that cannot be started from.
        """
        with ExitStack() as stack:
            reader = stack.enter_context(self._store.read())
            if first_number <= reader.first_number():
                raise HistoryPruned(reader.first_number())
            over = StateStore(self._scratch / "state", is_throwaway=True)
            stack.callback(over.close)
            replayed = ChainStore(self._scratch / "chain", is_throwaway=True)
            stack.callback(replayed.close)
            walked = StateStore(self._scratch / "walked", is_throwaway=True)
            stack.callback(walked.close)
            states = StateCopy(source=self._state, target=walked)
            if first_number > 1:
                # A replay that starts from a state must be able to trust it.
                self._verify_start(reader, first_number - 1)
                _walk_state(reader, states, first_number - 1)
            chain = self._chain_before(reader, first_number, over, replayed)
            head_number = reader.head_number()
            for number in range(first_number, head_number + 1):
                self._verify_block(reader, chain, number)
                yield number
            self._verify_checkpoint(reader, chain)
            for table in BLOCK_TABLES:
                self._verify_count(reader, table, first_number)
            oldest = max(reader.first_state_number(), 0 if first_number == 1 else first_number)
            for number in range(oldest, head_number + 1):
                _walk_state(reader, states, number)

    def _chain_before(
        self, reader: ChainReader, first_number: int, over: StateStore, replayed: ChainStore
    ) -> Chain:
        """The chain that the replay goes on from: at genesis, or at the block before the first."""
        state: StateValues = over
        if first_number > 1:
            state = LayeredState(over=over, under=self._state)
        engine = PyEvmEngine(state)
        loaded = genesis.parse(self._genesis_text)
        found = reader.genesis_hash()
        if found != loaded.header.hash:
            raise GenesisMismatch("genesis block", expected=loaded.header.hash, found=found or b"")
        if first_number == 1:
            engine.commit(genesis.load_state(loaded, engine).handle)
            replayed.initialise(loaded.header)
            self._compare(reader, block_entries(Block(loaded.header, ())), 0)
        else:
            self._begin_after(reader, replayed, first_number - 1)
        return Chain(
            store=replayed,
            engine=engine,
            specification=loaded.specification,
            permissions=Permissions(engine),
        )

    def _verify_start(self, reader: ChainReader, number: int) -> None:
        if number >= reader.head_number():
            raise BlockUnknown(number + 1)
        if number < reader.first_state_number():
            raise StatePruned(number, reader.first_state_number())

    def _begin_after(self, reader: ChainReader, replayed: ChainStore, number: int) -> None:
        oldest = max(0, number + 1 - ANCESTOR_HASHES_MAX)
        headers = [_stored_header(reader, each) for each in range(oldest, number + 1)]
        replayed.begin_after(Hash32(reader.genesis_hash() or b""), headers, reader.height(number))

    def _verify_block(self, reader: ChainReader, chain: Chain, number: int) -> None:
        record = _stored_record(reader, number)
        if record.height <= chain.tip.height or record.height > reader.checkpoint().height:
            raise StoreDiffers(
                "heights", encode_number(number), f"{record.height} is out of order", number=number
            )
        try:
            execution = execute_again(chain, record)
        except BlockDiffers as error:
            raise StoreDiffers(
                "headers", encode_number(number), str(error), number=number
            ) from error
        if execution.block is None or execution.executed is None:
            raise StoreCorrupt("a block without transactions", encode_number(number))
        included = execution.executed.included
        receipts, hashes = [each.receipt for each in included], [each.hash for each in included]
        entries = block_entries(execution.block, receipts, hashes, record.height)
        self._compare(reader, entries, number)
        chain.commit()

    def _compare(self, reader: ChainReader, entries: Iterator[Entry], number: int) -> None:
        for entry in entries:
            self._counts[entry.table] += 1
            found = reader.value(entry.table, entry.key)
            if found is None:
                raise StoreDiffers(entry.table, entry.key, "it is missing", number=number)
            if found != entry.value:
                raise StoreDiffers(
                    entry.table,
                    entry.key,
                    f"it holds 0x{found.hex()}, execution comes to 0x{entry.value.hex()}",
                    number=number,
                )

    def _verify_checkpoint(self, reader: ChainReader, chain: Chain) -> None:
        checkpoint = reader.checkpoint()
        if checkpoint.app_hash != chain.tip.header.hash:
            raise StoreDiffers("meta", b"app_hash", "it is not the newest block's hash")
        first_number = reader.first_state_number()
        if first_number > chain.tip.header.number:
            raise StoreDiffers("meta", b"first_state", f"block {first_number} does not exist")

    def _verify_count(self, reader: ChainReader, table: str, first_number: int) -> None:
        """Every entry of the blocks is there; so if there are no more than that, there is no other."""
        from_number = 0 if first_number == 1 else first_number
        count = 0
        for entry in reader.entries(table):
            number = number_of(entry)
            if number is None:
                raise StoreDiffers(table, entry.key, "no entry has that shape")
            count += number >= from_number
        if count == self._counts[table]:
            return
        for entry in reader.entries(table):
            number = number_of(entry) or 0
            if number >= from_number and not _belongs(reader, entry, number):
                raise StoreDiffers(table, entry.key, "no block accounts for it", number=number)
        raise StoreCorrupt(f"{table} has {count} entries, the blocks {self._counts[table]}")


def _walk_state(reader: ChainReader, states: StateCopy, number: int) -> None:
    """Holds every value of the state after a block to its hash."""
    try:
        states.add(_stored_header(reader, number).state_root)
    except StateMissing as error:
        raise StoreDiffers("state", error.key, "it is missing", number=number) from error
    except StoreCorrupt as error:
        raise StoreDiffers("state", error.key, error.what, number=number) from error


def _stored_header(reader: ChainReader, number: int) -> Header:
    key = encode_number(number)
    value = reader.value("headers", key)
    if value is None:
        raise StoreDiffers("headers", key, "it is missing", number=number)
    if keccak(value[32:]) != value[:32]:
        raise StoreDiffers("headers", key, "its hash is not that of its bytes", number=number)
    try:
        return decode_header(value[32:])
    except MalformedRlp as error:
        raise StoreDiffers("headers", key, str(error), number=number) from error


def _stored_record(reader: ChainReader, number: int) -> BlockRecord:
    key = encode_number(number)
    header = _stored_header(reader, number)
    body, height = reader.value("bodies", key), reader.value("heights", key)
    if body is None:
        raise StoreDiffers("bodies", key, "it is missing", number=number)
    if height is None:
        raise StoreDiffers("heights", key, "it is missing", number=number)
    try:
        transactions = decode_body(body)
    except MalformedRlp as error:
        raise StoreDiffers("bodies", key, str(error), number=number) from error
    if transactions_root(transactions) != header.transactions_root:
        raise StoreDiffers(
            "bodies", key, "they are not those of the header's transactions' root", number=number
        )
    return BlockRecord(int.from_bytes(height, "big"), header, transactions)


def _belongs(reader: ChainReader, entry: Entry, number: int) -> bool:
    """Whether an entry is one of a stored block's own, which were all found to be right."""
    header = reader.header(number)
    if header is None or number > reader.head_number():
        return False
    transactions = reader.transactions(number)
    receipts = [reader.receipt(number, position).receipt for position in range(len(transactions))]
    hashes = [keccak(raw) for raw in transactions]
    own = block_entries(Block(header, transactions), receipts, hashes, reader.height(number))
    return entry in set(own)
