"""Reads of committed data; the index of logs above all."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from node.block import EMPTY_BLOOM, Block, Header, Log, Receipt
from node.errors import LogQueryTooLarge
from node.history import LOGS_MAX, History, LogFilter
from node.primitives import EMPTY_TRIE_ROOT, ZERO_HASH, Address, Hash32, keccak
from node.store import ChainStore, Checkpoint
from support.transactions import ALICE, Draft

ADDRESSES = [Address(bytes([n]) * 20) for n in (1, 2, 3)]
TOPICS = [Hash32(bytes([n]) * 32) for n in (1, 2)]
BLOCKS = 4


def header(number: int, parent_hash: Hash32 = ZERO_HASH) -> Header:
    return Header(
        parent_hash=parent_hash,
        state_root=EMPTY_TRIE_ROOT,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=EMPTY_BLOOM,
        number=number,
        gas_limit=30_000_000,
        gas_used=0,
        timestamp=1_800_000_000 + number,
    )


def logs_of_block() -> list[tuple[Log, ...]]:
    """Logs of two transactions: every address with no, one and two topics; then one without."""
    combinations = [(), *product(TOPICS, repeat=1), *product(TOPICS, repeat=2)]
    first = tuple(Log(address, topics, b"") for address in ADDRESSES for topics in combinations)
    return [first, (Log(ADDRESSES[0], (), b"last"),)]


def receipt(logs: tuple[Log, ...]) -> Receipt:
    return Receipt(2, True, 21_000, logs, 21_000, ALICE.address)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainStore]:
    with closing(ChainStore(tmp_path_factory.mktemp("data") / "chain")) as store:
        head = header(0)
        store.initialise(head)
        for number in range(1, BLOCKS + 1):
            head = header(number, head.hash)
            raws = tuple(Draft(nonce=2 * number + n).signed_by(ALICE) for n in range(2))
            store.commit(
                Checkpoint(number, head.hash),
                Block(head, raws),
                [receipt(logs) for logs in logs_of_block()],
                [keccak(raw) for raw in raws],
            )
        yield store


@pytest.fixture(scope="module")
def history(store: ChainStore) -> History:
    return History(store)


def expected(log_filter: LogFilter) -> list[tuple[int, int]]:
    """The places of the matching logs, found without an index."""
    places = []
    for number in range(1, BLOCKS + 1):
        logs = [log for part in logs_of_block() for log in part]
        for index, log in enumerate(logs):
            if (
                log_filter.from_number <= number <= log_filter.to_number
                and (not log_filter.addresses or log.address in log_filter.addresses)
                and len(log.topics) >= len(log_filter.topics)
                and all(
                    not wanted or topic in wanted
                    for topic, wanted in zip(log.topics, log_filter.topics, strict=False)
                )
            ):
                places.append((number, index))
    return places


@pytest.mark.parametrize("span", [(0, BLOCKS), (2, 3), (3, 10**9), (4, 1), (9, 9)], ids=str)
@pytest.mark.parametrize("addresses", [(), (ADDRESSES[1],), (ADDRESSES[2], ADDRESSES[0])])
@pytest.mark.parametrize(
    "topics",
    [
        (),
        ((),),
        ((TOPICS[0],),),
        ((TOPICS[0], TOPICS[1]),),
        ((), (TOPICS[1],)),
        ((TOPICS[0],), (TOPICS[1],)),
        ((), (), ()),
        ((Hash32(b"\x99" * 32),),),
    ],
)
def test_logs_are_found_by_block_address_and_topics(
    history: History,
    span: tuple[int, int],
    addresses: tuple[Address, ...],
    topics: tuple[tuple[Hash32, ...], ...],
) -> None:
    log_filter = LogFilter(*span, addresses, topics)
    found = history.logs(log_filter)
    assert [(log.number, log.log_index) for log in found] == expected(log_filter)


def test_a_log_knows_its_block_and_transaction(history: History) -> None:
    found = history.logs(LogFilter(2, 2))[-1]
    block = history.block(2)
    assert block is not None
    assert found.log.data == b"last"
    assert found.block_hash == block.header.hash
    assert found.timestamp == block.header.timestamp
    assert found.transaction_hash == keccak(block.transactions[1])
    assert found.transaction_position == 1


def test_a_receipt_knows_its_first_logs_index(history: History) -> None:
    block = history.block(1)
    assert block is not None
    found = [history.receipt(keccak(raw)) for raw in block.transactions]
    first, second = found
    assert first is not None
    assert second is not None
    assert (first.first_log_index, second.first_log_index) == (0, len(first.receipt.logs))
    assert second.receipt == receipt(logs_of_block()[1])


def test_a_transaction_is_found_with_its_sender(history: History) -> None:
    raw = Draft(nonce=5).signed_by(ALICE)
    found = history.transaction(keccak(raw))
    assert found is not None
    assert (found.raw, found.number, found.position) == (raw, 2, 1)
    assert found.sender == ALICE.address
    assert history.transaction(b"\x00" * 32) is None
    assert history.receipt(b"\x00" * 32) is None


def test_blocks_that_do_not_exist_are_not_found(history: History) -> None:
    assert history.block(BLOCKS + 1) is None
    assert history.header(BLOCKS + 1) is None
    assert history.block_by_hash(b"\x00" * 32) is None
    assert history.header_by_hash(b"\x00" * 32) is None


def test_ancestors_are_the_blocks_before_newest_first(history: History) -> None:
    headers = [history.header(number) for number in range(BLOCKS + 1)]
    hashes = [found.hash for found in headers if found is not None]
    assert history.ancestor_hashes(BLOCKS + 1) == tuple(reversed(hashes))
    assert history.ancestor_hashes(3, count=2) == (hashes[2], hashes[1])
    assert history.ancestor_hashes(0) == ()


def test_a_query_is_measured_by_the_index_entries_it_looks_up(
    store: ChainStore, history: History
) -> None:
    """N-46."""
    everywhere = tuple(Address(bytes([number]) * 20) for number in range(1, 60))
    wide = LogFilter(0, BLOCKS, everywhere, ((), (TOPICS[0],)))
    with pytest.raises(LogQueryTooLarge):
        History(store, logs_examined_max=50).logs(wide)
    assert History(store, logs_examined_max=1_000).logs(wide) == history.logs(wide)
    # A list that holds nothing is looked up once, not once for each log that another one holds.
    nowhere = tuple(Address(bytes([number]) * 20) for number in range(100, 150))
    few = LogFilter(0, BLOCKS, (*nowhere, ADDRESSES[1]))
    found = len(expected(few))
    assert len(History(store, logs_examined_max=len(nowhere) + found + 1).logs(few)) == found


def test_a_query_for_too_many_logs_is_refused(tmp_path: Path) -> None:
    with closing(ChainStore(tmp_path / "chain")) as store:
        store.initialise(header(0))
        many = receipt(tuple(Log(ADDRESSES[0], (), b"") for _ in range(LOGS_MAX + 1)))
        block = Block(header(1), (Draft().signed_by(ALICE),))
        store.commit(Checkpoint(1, block.header.hash), block, [many], [ZERO_HASH])
        with pytest.raises(LogQueryTooLarge):
            History(store).logs(LogFilter(0, 1))
        few = replace(LogFilter(0, 1), addresses=(ADDRESSES[1],))
        assert History(store).logs(few) == []
