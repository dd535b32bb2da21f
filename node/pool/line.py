"""The line for the next block: senders take turns, first come first served within a turn.

Each sender with something executable has a *turn*: the number of blocks there had been when it was last served, or
when it joined. Each executable transaction has a *place*: its number in the order in which transactions became
executable. A block is filled in the order of (turn, place). While nobody is left out, all turns are equal and the order
is that of the places alone. A sender that a full block passed over keeps its older turn, and so comes before everybody
who was served: no flood, whether of one sender or of many, keeps it out again.

Why the wait is bounded: the first in the line always fits an empty block, so each block serves at least one sender, and
whoever is served moves behind all those who were not; a newcomer joins behind them as well. So a sender with k others
before it is served after at most k + 1 blocks, and each time with at least its next nonce.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from node.pool.entry import PooledTransaction
from node.primitives import Address

SENDER_GAS_SHARE_DIVISOR = 4
"""One sender takes at most this fraction (1/n) of a block's gas while others wait."""


@dataclass(frozen=True, slots=True)
class Head:
    """The next transaction of a sender in the line, and those that follow it."""

    turn: int
    place: int
    transaction: PooledTransaction
    rest: Iterator[tuple[int, PooledTransaction]]

    def __lt__(self, other: Head) -> bool:
        return (self.turn, self.place) < (other.turn, other.place)

    def following(self) -> Head | None:
        """The sender's next one in the line."""
        return head_of(self.turn, self.rest)


def head_of(turn: int, rest: Iterator[tuple[int, PooledTransaction]]) -> Head | None:
    """The head of a sender's executable transactions, given with their places; None without any."""
    found = next(rest, None)
    return None if found is None else Head(turn, *found, rest)


def fill_block(
    heads: Iterable[Head], *, gas_max: int, bytes_max: int
) -> tuple[PooledTransaction, ...]:
    """What the next block takes, in nonce order per sender.

    A sender past its share of gas steps back until nobody else's transaction fits; then what remains of the block is
    its own again.
    """
    selected: list[PooledTransaction] = []
    gas_by_sender: dict[Address, int] = {}
    line = list(heads)
    heapq.heapify(line)
    stepped_back: list[Head] = []
    share = gas_max // SENDER_GAS_SHARE_DIVISOR
    while line or stepped_back:
        is_shared = bool(line)
        head = heapq.heappop(line if is_shared else stepped_back)
        transaction = head.transaction
        if transaction.gas_limit > gas_max or len(transaction.raw) > bytes_max:
            continue
        used = gas_by_sender.get(transaction.sender, 0)
        if is_shared and used and used + transaction.gas_limit > share:
            heapq.heappush(stepped_back, head)
            continue
        selected.append(transaction)
        gas_by_sender[transaction.sender] = used + transaction.gas_limit
        gas_max -= transaction.gas_limit
        bytes_max -= len(transaction.raw)
        following = head.following()
        if following is not None:
            heapq.heappush(line if is_shared else stepped_back, following)
    return tuple(selected)
