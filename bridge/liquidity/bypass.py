"""Pass 2: explicit sets of items that skip others, where the skipped ones' payers said that they may be.

An item may be taken although another one stands before it in a queue and is not, if every such one is
bypassable. Such sets have no single largest one and finding one is hard, so this is best effort with
bounded work, and deterministic: a few items are searched exactly, more of them by three rules, each of
which gives a feasible set; the best of what is found is proposed. Better is more items, then more value.

Pass 1 goes first, and again after each explicit set. Only where all items are few enough to be searched
exactly may a set stand in place of pass 1, if it is better: it then holds every item of the largest set
that is not bypassable, so nobody is passed over who did not agree.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from bridge.liquidity.book import Book, narrowed, without
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import Solution, solve

EXACT_ITEMS_MAX: Final = 16
"""Items up to which every set is considered."""

NODES_MAX: Final = 20_000
"""Decisions of one exact search; what was best so far is taken when they are used up."""

SEARCHES_MAX: Final = 8
"""Searches for an explicit set, each after the one before has been taken as settled."""

PASSES_MAX: Final = 16
"""Times that the items not taken are gone through for some that fit."""

Rank = tuple[int, tuple[int, ...]]


class _Dropped(Enum):
    """Which bypassable item is skipped where a bound is broken."""

    LARGEST = "the largest"
    SUFFICIENT = "the smallest that mends it"


def second_pass(book: Book, items_max: int | None = None) -> tuple[Solution, ...]:
    """Return what to propose, in order: advances of pass 1 or, where `advances` is empty, explicit items.

    Each is feasible after those before it and takes at most `items_max` items.
    """
    steps = _in_turns(book, items_max)
    if len(book.items) > EXACT_ITEMS_MAX:
        return steps
    largest = set(solve(book).settled)
    required = [
        number
        for number, item in enumerate(book.items)
        if item.item_id in largest and not item.bypassable
    ]
    chosen = _ExactSearch(book, required).best()
    explicit = _explicit(book, chosen, items_max)
    instead = explicit + _in_turns(_after(book, explicit), items_max)
    return max(steps, instead, key=_rank_of_steps)


def _in_turns(book: Book, items_max: int | None) -> tuple[Solution, ...]:
    """Pass 1 and a search by turns, until nothing is found."""
    steps = _pass_one(book, items_max)
    book = _after(book, steps)
    for _ in range(SEARCHES_MAX):
        explicit = _explicit(book, _best_choice(book), items_max)
        if not explicit:
            break
        book = _after(book, explicit)
        ordered = _pass_one(book, items_max)
        book = _after(book, ordered)
        steps += explicit + ordered
    return steps


def _pass_one(book: Book, items_max: int | None) -> tuple[Solution, ...]:
    return solve_in_rounds(book, len(book.items) if items_max is None else items_max).rounds


def _explicit(book: Book, chosen: Collection[int], items_max: int | None) -> tuple[Solution, ...]:
    """Return a set as explicit items; what is ahead of it in a queue and not in it is skipped."""
    rounds = _pass_one(narrowed(book, chosen), items_max)
    return tuple(replace(each, advances={}) for each in rounds)


def _after(book: Book, steps: Sequence[Solution]) -> Book:
    settled = {name for step in steps for name in step.settled}
    return without(book, {n for n, item in enumerate(book.items) if item.item_id in settled})


def _rank_of_steps(steps: Sequence[Solution]) -> Rank:
    currencies = sorted({currency for step in steps for currency in step.value_by_currency})
    values = (
        sum(step.value_by_currency.get(currency, 0) for step in steps) for currency in currencies
    )
    return sum(len(step.settled) for step in steps), tuple(values)


def _best_choice(book: Book) -> list[int]:
    """Return the best set found, as numbers of items; none if nothing may settle."""
    choices = [_Choice(book, everything=False)]
    for rule in _Dropped:
        choice = _Choice(book, everything=True)
        choice.drop_until_feasible(rule)
        choices.append(choice)
    for choice in choices:
        choice.add_what_fits()
    found = [choice.items() for choice in choices]
    if len(book.items) <= EXACT_ITEMS_MAX:
        found.append(_ExactSearch(book, ()).best())
    return max(found, key=lambda items: _rank(book, items))


def _rank(book: Book, items: Collection[int]) -> Rank:
    currencies = sorted({currency for _, currency in book.positions})
    value = dict.fromkeys(currencies, 0)
    for item in items:
        for leg in book.items[item].legs:
            value[leg.currency] += leg.amount
    return len(items), tuple(value.values())


class _Choice:
    """A set of items that is made feasible, then larger.

    `fed` counts the chosen items that each bound counts as outflow, `ends` says behind which rank a
    queue gives nothing any more, because an item there that is not bypassable was dropped.
    """

    def __init__(self, book: Book, *, everything: bool) -> None:
        self.book = book
        self.chosen = bytearray(len(book.items))
        self.room = list(book.headroom)
        self.fed = [0] * len(book.headroom)
        self.ends = [len(order) for order in book.orders]
        self.places: list[list[tuple[int, int]]] = [[] for _ in book.items]
        for queue, order in enumerate(book.orders):
            for rank, item in enumerate(order):
                self.places[item].append((queue, rank))
        if everything:
            for item in range(len(book.items)):
                self._take(item)

    def items(self) -> list[int]:
        """Return the set."""
        return [item for item, taken in enumerate(self.chosen) if taken]

    def drop_until_feasible(self, rule: _Dropped) -> None:
        """Drop bypassable items by the rule; where there is none, the last that feeds a broken bound."""
        candidates = self._bypassable_by_bound()
        pending = [bound for bound in range(len(self.room)) if self._is_broken(bound)]
        while pending:
            bound = pending.pop()
            while self._is_broken(bound):
                item = self._candidate(candidates[bound], -self.room[bound], rule)
                if item is None:
                    item = self._last_feeding(bound)
                pending += self._drop(item)

    def add_what_fits(self) -> None:
        """Add single items that fit, in order of arrival, as long as some does."""
        for _ in range(PASSES_MAX):
            blocking = [self._first_blocking(queue) for queue in range(len(self.ends))]
            added = False
            for item, places in enumerate(self.places):
                if self.chosen[item] or any(rank > blocking[queue] for queue, rank in places):
                    continue
                if self._fits(item):
                    self._take(item)
                    added = True
            if not added:
                break

    def _bypassable_by_bound(self) -> list[list[tuple[int, int]]]:
        """Return for each bound the (amount, item) pairs that may be skipped to mend it, rising."""
        candidates: list[list[tuple[int, int]]] = [[] for _ in self.room]
        for item, bounds in enumerate(self.book.feeds):
            if self.book.items[item].bypassable:
                amounts = dict(self.book.effects[item])
                for bound in bounds:
                    candidates[bound].append((amounts[bound], item))
        for pairs in candidates:
            pairs.sort()
        return candidates

    def _candidate(self, pairs: list[tuple[int, int]], missing: int, rule: _Dropped) -> int | None:
        """Take the next item to drop out of the pairs; None if no chosen one is left in them."""
        while pairs:
            place = len(pairs) - 1
            if rule is _Dropped.SUFFICIENT:
                place = min(place, bisect_left(pairs, (missing, -1)))
            _, item = pairs.pop(place)
            if self.chosen[item]:
                return item
        return None

    def _last_feeding(self, bound: int) -> int:
        queue = self.book.bound_queue[bound]
        order = self.book.orders[queue]
        return next(
            order[rank]
            for rank in range(self.ends[queue] - 1, -1, -1)
            if self.chosen[order[rank]] and bound in self.book.feeds[order[rank]]
        )

    def _first_blocking(self, queue: int) -> int:
        """Return the rank behind which nothing may be taken as the set stands."""
        order = self.book.orders[queue]
        for rank, item in enumerate(order):
            if not self.chosen[item] and not self.book.items[item].bypassable:
                return rank
        return len(order)

    def _is_broken(self, bound: int) -> bool:
        return self.room[bound] < 0 and self.fed[bound] > 0

    def _fits(self, item: int) -> bool:
        fed = self.book.feeds[item]
        return all(
            self.room[bound] >= amount
            for bound, amount in self.book.effects[item]
            if amount > 0 or bound in fed
        )

    def _take(self, item: int) -> None:
        self.chosen[item] = 1
        for bound, amount in self.book.effects[item]:
            self.room[bound] -= amount
        for bound in self.book.feeds[item]:
            self.fed[bound] += 1

    def _drop(self, item: int) -> list[int]:
        """Drop an item and, if it cannot be skipped, all behind it; return the bounds this breaks."""
        broken = []
        waiting = [item]
        while waiting:
            item = waiting.pop()
            if not self.chosen[item]:
                continue
            self.chosen[item] = 0
            for bound in self.book.feeds[item]:
                self.fed[bound] -= 1
            for bound, amount in self.book.effects[item]:
                self.room[bound] += amount
                if amount < 0 and self.room[bound] < 0:
                    broken.append(bound)
            if not self.book.items[item].bypassable:
                for queue, rank in self.places[item]:
                    waiting += self.book.orders[queue][rank + 1 : self.ends[queue]]
                    self.ends[queue] = min(self.ends[queue], rank)
        return broken


@dataclass(slots=True)
class _Node:
    """A point of the exact search: items before `depth` are decided, `barred` ones cannot be taken."""

    depth: int
    taken: int
    barred: int
    count: int


class _ExactSearch:
    """The best set of a few items that holds the required ones, by deciding one item after the other.

    Sets are bit masks. A branch ends where a bound stays broken whatever is still received, or where
    too few items are left to beat the best set so far.
    """

    def __init__(self, book: Book, required: Collection[int]) -> None:
        self.book = book
        self.required = sum(1 << item for item in required)
        self.behind = self._behind()
        self.fed_by = [0] * len(book.headroom)
        self.effect = [[0] * len(book.items) for _ in book.headroom]
        for item, effects in enumerate(book.effects):
            for bound, amount in effects:
                self.effect[bound][item] = amount
            for bound in book.feeds[item]:
                self.fed_by[bound] |= 1 << item

    def best(self) -> list[int]:
        """Return the best set, as numbers of items."""
        count = len(self.book.items)
        best: list[int] = []
        best_rank = _rank(self.book, best)
        nodes = [_Node(0, 0, 0, 0)]
        for _ in range(NODES_MAX):
            if not nodes:
                break
            node = nodes.pop()
            if node.count + count - node.depth < best_rank[0] or not self._may_hold(node):
                continue
            if node.depth == count:
                items = [item for item in range(count) if node.taken >> item & 1]
                if _rank(self.book, items) > best_rank:
                    best, best_rank = items, _rank(self.book, items)
                continue
            nodes += self._decided(node)
        return best

    def _decided(self, node: _Node) -> list[_Node]:
        """Return the two ways on, the one to be tried first last."""
        item = node.depth
        bit = 1 << item
        ways = []
        if not self.required & bit and not self.behind[item] & node.taken:
            barred = node.barred | self.behind[item]
            ways.append(_Node(item + 1, node.taken, barred, node.count))
        if not node.barred & bit:
            ways.append(_Node(item + 1, node.taken | bit, node.barred, node.count + 1))
        return ways

    def _may_hold(self, node: _Node) -> bool:
        """Return whether every bound can still hold once the undecided items are decided."""
        count = len(self.book.items)
        for bound, room in enumerate(self.book.headroom):
            if not node.taken & self.fed_by[bound]:
                continue
            left = room
            for item, amount in enumerate(self.effect[bound]):
                if node.taken >> item & 1 or (amount < 0 and node.depth <= item < count):
                    left -= amount
            if left < 0:
                return False
        return True

    def _behind(self) -> list[int]:
        """Return for each item the ones that cannot be taken without it; none if it may be skipped."""
        behind = [0] * len(self.book.items)
        for order in self.book.orders:
            mask = 0
            for item in reversed(order):
                if not self.book.items[item].bypassable:
                    behind[item] |= mask
                mask |= 1 << item
        return behind
