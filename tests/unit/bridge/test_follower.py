"""Following the chain from far behind: blocks read ahead are processed once, in order, whatever fails."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from bridge.chain import BlockData, ChainClient, Follower
from bridge.chain.client import BlockRef
from bridge.chain.encoding import TOKEN, ChainEvent
from bridge.chain.follower import TOGETHER_EVENTS_MAX
from bridge.errors import NodeUnavailable, StoreBusy
from bridge.store import EffectState, Store, UnitOfWork
from support.bridge_records import effect

LENGTH = 200
SOME = TOGETHER_EVENTS_MAX // 2 + 1
"""So many events in each block that two share a transaction, and blocks read ahead are left over."""


class Node:
    """A chain of blocks with some events each, whose answers can be made to fail."""

    def __init__(self, events: int = 0) -> None:
        self.events = events
        self.asked: list[tuple[int, int]] = []
        self.fails_at: set[int] = set()
        self.length = LENGTH

    def blocks(self, first: int, count: int) -> tuple[BlockData, ...]:
        self.asked.append((first, count))
        if first in self.fails_at:
            self.fails_at.remove(first)
            raise NodeUnavailable("eth_getBlockByNumber", "it is away")
        numbers = range(first, min(first + count, self.length))
        return tuple(BlockData(_ref(each), (), _events(each, self.events)) for each in numbers)

    def refresh(self) -> None:
        """Nothing is remembered."""


def _ref(number: int) -> BlockRef:
    return BlockRef(number, number.to_bytes(32), max(number - 1, 0).to_bytes(32), number)


def _events(number: int, count: int) -> tuple[ChainEvent, ...]:
    """Events in which nobody has a part."""
    return tuple(
        ChainEvent(
            contract=TOKEN,
            name="Approval",
            address=bytes(20),
            block_number=number,
            block_hash=number.to_bytes(32),
            log_index=place,
            transaction_hash=(number + 1).to_bytes(32),
            arguments={},
        )
        for place in range(count)
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "bridge.sqlite")) as opened:
        yield opened


def follow(store: Store, node: Node) -> tuple[Follower, list[int]]:
    seen: list[int] = []
    follower = Follower(
        store,
        cast(ChainClient, node),
        lambda _, block, __: seen.append(block.ref.number),
        seconds=lambda: 0.0,
    )
    return follower, seen


def test_every_block_is_processed_once_and_in_order(store: Store) -> None:
    node = Node()
    follower, seen = follow(store, node)
    assert follower.catch_up() == LENGTH
    assert seen == list(range(LENGTH))
    assert len(node.asked) < LENGTH / 10


def test_at_the_head_few_blocks_are_asked_for_at_a_time(store: Store) -> None:
    node = Node()
    follower, _ = follow(store, node)
    follower.catch_up()
    node.asked.clear()
    node.length += 1
    assert follower.catch_up() == 1
    assert [count for _, count in node.asked] == [1, 2]


@pytest.mark.parametrize("place", [0, 1, 3, 7, 15, 31, 63])
def test_a_node_that_fails_while_it_is_read_ahead_costs_nothing(store: Store, place: int) -> None:
    node = Node()
    node.fails_at = {place}
    follower, seen = follow(store, node)
    with pytest.raises(NodeUnavailable):
        follower.catch_up()
    assert seen == list(range(place))
    follower.catch_up()
    assert seen == list(range(LENGTH))


def test_blocks_that_come_while_others_are_processed_are_not_missed(store: Store) -> None:
    """What was read ahead found nothing, but that was a while ago."""
    node = Node()
    node.length = 7
    follower, seen = follow(store, node)
    while len(seen) < 7:
        assert follower.step()
    node.length = 20
    follower.catch_up()
    assert seen == list(range(20))


def test_what_was_read_ahead_is_dropped_when_another_process_went_on(store: Store) -> None:
    node = Node(events=SOME)
    behind, seen = follow(store, node)
    while len(seen) < 10:
        assert behind.step()
    before = list(seen)
    other, _ = follow(store, node)
    other.catch_up()
    assert behind.step() == 0
    assert seen == before == list(range(len(before)))


@dataclass
class Booking:
    """Books something of every block, and fails at one of them as often as it is told to."""

    fault: Exception
    at: int = 22
    times: int = 1

    def __call__(self, work: UnitOfWork, block: BlockData, _: object) -> None:
        work.effects.add(effect(f"block-{block.ref.number}"))
        if block.ref.number == self.at and self.times:
            self.times -= 1
            raise self.fault


def booked(store: Store) -> tuple[int, int]:
    """The number of the newest block that was processed, and how many were booked."""
    with store.reading() as work:
        checkpoint = work.chain_log.checkpoint()
        assert checkpoint is not None
        return checkpoint.number, work.effects.count(EffectState.WAITING)


@pytest.mark.parametrize("events", [0, SOME])
def test_a_database_that_is_busy_meanwhile_costs_nothing(store: Store, events: int) -> None:
    """Whole blocks are left for the next time, those that were read ahead among them."""
    booking = Booking(StoreBusy("somebody else writes"))
    follower = Follower(store, cast(ChainClient, Node(events)), booking, seconds=lambda: 0.0)
    with pytest.raises(StoreBusy):
        follower.catch_up()
    number, count = booked(store)
    assert number < booking.at
    assert count == number + 1
    follower.catch_up()
    assert booked(store) == (LENGTH - 1, LENGTH)


@pytest.mark.parametrize("events", [0, SOME])
def test_of_blocks_that_share_a_transaction_those_before_a_wrong_one_are_kept(
    store: Store, events: int
) -> None:
    """CHN-5."""
    booking = Booking(ValueError("a fault of ours"), times=2)  # among others, then alone
    follower = Follower(store, cast(ChainClient, Node(events)), booking, seconds=lambda: 0.0)
    with pytest.raises(ValueError, match="of ours"):
        follower.catch_up()
    assert booked(store) == (booking.at - 1, booking.at)
    follower.catch_up()
    assert booked(store) == (LENGTH - 1, LENGTH)
