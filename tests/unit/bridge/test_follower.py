"""Following the chain from far behind: blocks read ahead are processed once, in order, whatever fails."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from bridge.chain import BlockData, ChainClient, Follower
from bridge.chain.client import BlockRef
from bridge.errors import NodeUnavailable
from bridge.store import Store

LENGTH = 200


class Node:
    """A chain of empty blocks, whose answers can be made to fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fails_at: set[int] = set()
        self.length = LENGTH

    def blocks(self, first: int, count: int) -> tuple[BlockData, ...]:
        self.asked.append((first, count))
        if first in self.fails_at:
            self.fails_at.remove(first)
            raise NodeUnavailable("eth_getBlockByNumber", "it is away")
        numbers = range(first, min(first + count, self.length))
        return tuple(BlockData(_ref(number), (), ()) for number in numbers)

    def refresh(self) -> None:
        """Nothing is remembered."""


def _ref(number: int) -> BlockRef:
    return BlockRef(number, number.to_bytes(32), max(number - 1, 0).to_bytes(32), number)


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
    node = Node()
    behind, seen = follow(store, node)
    while len(seen) < 10:
        assert behind.step()
    before = list(seen)
    other, _ = follow(store, node)
    other.catch_up()
    assert behind.step() == 0
    assert seen == before == list(range(len(before)))
