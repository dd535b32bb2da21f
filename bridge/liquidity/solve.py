"""Pass 1: the largest set of waiting items that can settle together and keeps every payer's order.

Take everything; while a bound of a queue is broken, drop that queue's last taken item, and with it, in
every queue where it stands, all that stands behind it. An item is dropped only if no feasible set holds
it: the taken set always contains the largest one, so it receives at least what that one receives and,
up to and including this last item, pays the same. What is left is therefore the union of all feasible
sets. Each item is dropped at most once, so the work grows with the number of legs, whatever the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.liquidity.book import Book, Name, Position


@dataclass(slots=True)
class Taken:
    """A set of items as prefixes of queues, with the room it leaves in every bound."""

    lengths: list[int]
    room: list[int]
    kept: bytearray
    count: int


@dataclass(frozen=True, slots=True)
class Solution:
    """What can settle at once: `advances` says how many items from the head of each queue.

    `settled` is in order of arrival, `closing` has every position's balance afterwards, and
    `value_by_currency` what the settled legs move, gross; all in minor units.
    """

    advances: Mapping[Position, int]
    settled: tuple[Name, ...]
    closing: Mapping[Position, int]
    value_by_currency: Mapping[str, int]


def solve(book: Book) -> Solution:
    """Return the largest set that settles together and keeps the order of every queue."""
    return solution_of(book, nothing_taken(book), largest(book))


def largest(book: Book) -> Taken:
    """Return the largest feasible set, as prefixes."""
    room = list(book.headroom)
    for effects in book.effects:
        for bound, amount in effects:
            room[bound] -= amount
    lengths = [len(order) for order in book.orders]
    count = len(book.items)
    taken = Taken(lengths, room, bytearray(b"\1") * count, count)
    _drop_what_cannot_settle(book, taken, list(lengths))
    return taken


def nothing_taken(book: Book) -> Taken:
    """Return the empty set, which is always feasible."""
    count = len(book.items)
    return Taken([0] * len(book.orders), list(book.headroom), bytearray(count), 0)


def largest_within(book: Book, scope: Taken, lengths_max: Sequence[int]) -> Taken:
    """Return the largest feasible subset of a set that takes at most so many items of each queue."""
    part = Taken(list(scope.lengths), list(scope.room), bytearray(scope.kept), scope.count)
    _drop_what_cannot_settle(book, part, list(lengths_max))
    return part


def solution_of(book: Book, before: Taken, after: Taken) -> Solution:
    """Return what settles when `before` has settled and `after`, which contains it, is next."""
    settled = [
        number
        for number, (old, new) in enumerate(zip(before.kept, after.kept, strict=True))
        if new and not old
    ]
    value_by_currency: dict[str, int] = {}
    for number in settled:
        for leg in book.items[number].legs:
            currency = leg.currency
            value_by_currency[currency] = value_by_currency.get(currency, 0) + leg.amount
    advances = {
        position: after.lengths[queue] - before.lengths[queue]
        for queue, position in enumerate(book.positions)
        if after.lengths[queue] > before.lengths[queue]
    }
    closing = {
        position: balance + after.room[number] - book.headroom[number]
        for number, (position, balance) in enumerate(
            zip(book.positions, book.available, strict=True)
        )
    }
    names = tuple(book.items[number].item_id for number in settled)
    return Solution(advances, names, closing, value_by_currency)


def _drop_what_cannot_settle(book: Book, taken: Taken, lengths_max: list[int]) -> None:
    """Drop, in place, what is beyond the lengths and what a broken bound forbids.

    `pending` holds bounds to look at: each that was broken by a drop, and each queue that was cut.
    """
    lengths, room, kept = taken.lengths, taken.room, taken.kept
    effects, places = book.effects, book.places
    pending = [bound for bound, left in enumerate(room) if left < 0]
    pending += [q for q, length in enumerate(lengths) if length > lengths_max[q]]
    while pending:
        bound = pending.pop()
        queue, first_rank = book.bound_queue[bound], book.first_rank[bound]
        order, length = book.orders[queue], lengths[queue]
        while length > lengths_max[queue] or (room[bound] < 0 and length > first_rank):
            length -= 1
            item = order[length]
            if not kept[item]:
                continue
            kept[item] = 0
            taken.count -= 1
            for other, amount in effects[item]:
                room[other] += amount
                if amount < 0 and room[other] < 0:
                    pending.append(other)
            for other, rank in places[item]:
                if rank < lengths_max[other]:
                    lengths_max[other] = rank
                    pending.append(other)
        lengths[queue] = length
