"""The largest set in rounds: each feasible by itself, in order, and of at most so many items.

Rounds are a chain of feasible sets, each holding the one before and at most `items_max` items more. A
round is found by capping the queues and solving again, first all of them alike, then one after the
other. If that ends at a part that is too large and holds no smaller one, the search goes on in the
sets that lack one of its items, so a round that exists is found unless the search meets its bound.
Which round goes first never changes what can settle in the end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.liquidity.book import Book, Name
from bridge.liquidity.solve import (
    Solution,
    Taken,
    largest,
    largest_within,
    nothing_taken,
    solution_of,
)

PARTS_MAX: Final = 200
"""Parts looked at for one round; a part beyond is not searched for."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds in their order, and what they leave of the largest set.

    `left` is empty if the rounds settle all of it. Otherwise no round could be found for it, and
    `indivisible` is the smallest part found: feasible, above the cap, and without a smaller part.
    """

    rounds: tuple[Solution, ...]
    left: tuple[Name, ...] = ()
    indivisible: tuple[Name, ...] = ()


def solve_in_rounds(book: Book, items_max: int) -> Rounds:
    """Return the largest set in rounds of at most `items_max` items, as far as it can be split."""
    whole, settled = largest(book), nothing_taken(book)
    rounds: list[Solution] = []
    while settled.count < whole.count:
        part = _RoundSearch(book, settled, settled.count + items_max).within(whole)
        if part.count > settled.count + items_max:
            left = solution_of(book, settled, whole).settled
            return Rounds(tuple(rounds), left, solution_of(book, settled, part).settled)
        rounds.append(solution_of(book, settled, part))
        settled = part
    return Rounds(tuple(rounds))


@dataclass(frozen=True, slots=True)
class _RoundSearch:
    """The search for the next link of the chain: more than `settled`, at most `count_max` items."""

    book: Book
    settled: Taken
    count_max: int

    def within(self, whole: Taken) -> Taken:
        """Return a round, or the smallest part found if there is none."""
        smallest = whole
        scopes, seen = [whole], {bytes(whole.kept)}
        for _ in range(PARTS_MAX):
            if not scopes:
                break
            scope = scopes.pop()
            part = self._part(scope)
            if self._fits(part):
                return part
            smallest = min(smallest, part, key=lambda taken: taken.count)
            for other in self._lacking_some_of(part, scope):
                if other.count > self.settled.count and bytes(other.kept) not in seen:
                    seen.add(bytes(other.kept))
                    scopes.append(other)
        return smallest

    def _fits(self, taken: Taken) -> bool:
        return taken.count <= self.count_max

    def _lacking_some_of(self, part: Taken, scope: Taken) -> Iterator[Taken]:
        """Yield sets of which one holds each feasible subset of the scope that lacks some of the part."""
        for queue, length in enumerate(part.lengths):
            if length > self.settled.lengths[queue]:
                lengths = list(scope.lengths)
                lengths[queue] = length - 1
                yield largest_within(self.book, scope, lengths)

    def _part(self, scope: Taken) -> Taken:
        """Return a round within the scope, or a part above the cap that cannot be divided."""
        if self._fits(scope):
            return scope
        smaller, larger = self._capped_alike(scope)
        for queue, floor in enumerate(smaller.lengths):
            if larger.lengths[queue] == floor:
                continue
            fitting, larger = self._capped_in(queue, floor, larger)
            if fitting is not None and fitting.count > self.settled.count:
                return fitting
        return smaller if smaller.count > self.settled.count else larger

    def _capped_alike(self, scope: Taken) -> tuple[Taken, Taken]:
        """Return the last set that fits and the first that does not as all queues advance alike."""
        begin = self.settled.lengths
        longest = max(end - start for start, end in zip(begin, scope.lengths, strict=True))

        def advanced(steps: int, within: Taken) -> Taken:
            return largest_within(self.book, within, [start + steps for start in begin])

        fitting, beyond = self._boundary(advanced, 0, longest, scope)
        return fitting or self.settled, beyond

    def _capped_in(self, queue: int, floor: int, scope: Taken) -> tuple[Taken | None, Taken]:
        """Return the same two for one queue, the others as they are; None if not even its floor fits."""

        def shortened(length: int, within: Taken) -> Taken:
            lengths = list(within.lengths)
            lengths[queue] = length
            return largest_within(self.book, within, lengths)

        return self._boundary(shortened, floor, scope.lengths[queue], scope)

    def _boundary(
        self, at: Callable[[int, Taken], Taken], low: int, high: int, beyond: Taken
    ) -> tuple[Taken | None, Taken]:
        """Halve the interval, at whose upper end `beyond` does not fit; sets grow from low to high."""
        fitting = at(low, beyond)
        if not self._fits(fitting):
            return None, fitting
        while high - low > 1:
            middle = (low + high) // 2
            taken = at(middle, beyond)
            if self._fits(taken):
                low, fitting = middle, taken
            else:
                high, beyond = middle, taken
        return fitting, beyond
