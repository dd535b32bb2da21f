"""Matching the items of two or three sides with each other; pure, and linear in the items.

    by key             items that name the same payment, issuance or transfer belong together
    by amount and day  what is left over and has one side only, one to one
    many to one        what is left over after that: items of one day that follow one another and add up
    reversed           what one side has and took back again

Items that belong together are *matched* when every side has them and all sides have the same sum.
What is left is judged by `judge`, once it is old enough.

Invariants: an item is in one group; a group is matched only if all sides agree to the last minor unit.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import groupby, islice
from typing import Final

from bridge.breaks import BreakType

SECONDS_PER_DAY: Final = 86_400


@unique
class Side(StrEnum):
    """Who says so."""

    LEDGER = "ledger"
    CHAIN = "chain"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Item:
    """One movement as one side has it.

    `sequence` names it in the store, `key` what is behind it, empty where that is unknown. `amount` is
    in minor units, positive where the account grows; `at` a UTC second; `block` where the chain stood,
    0 where that is nothing to the side.
    """

    sequence: int
    side: Side
    key: str
    amount: int
    at: int
    block: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Items that belong together."""

    items: tuple[Item, ...]

    @property
    def key(self) -> str:
        """What is behind them; an item's own sequence where that is unknown."""
        first = self.items[0]
        return first.key or f"{first.side.value}-{first.sequence}"

    @property
    def at(self) -> int:
        """When the newest of them was."""
        return max(item.at for item in self.items)

    @property
    def block(self) -> int:
        """The newest block that one of them names."""
        return max(item.block for item in self.items)

    @property
    def sums(self) -> Mapping[Side, int]:
        """What each side that has them has."""
        sums: defaultdict[Side, int] = defaultdict(int)
        for item in self.items:
            sums[item.side] += item.amount
        return sums

    def is_matched(self, sides: frozenset[Side]) -> bool:
        """Whether every side has them, to the same sum; or one side took them back itself."""
        sums = self.sums
        if not any(sums.values()):
            return True
        return sums.keys() == sides and len(set(sums.values())) == 1


@dataclass(frozen=True, slots=True)
class Result:
    """What matching came to: the items that are matched, and the groups that are not."""

    matched: tuple[Group, ...]
    left: tuple[Group, ...]


def match(items: Iterable[Item], sides: frozenset[Side]) -> Result:
    """Match items that come ordered by key; see the module docstring."""
    matched: list[Group] = []
    left: list[Group] = []
    for key, members in groupby(items, key=lambda item: item.key):
        for group in _groups(key, members):
            (matched if group.is_matched(sides) else left).append(group)
    for pass_ in (_one_to_one, _many_to_one, _reversed):
        joined, left = pass_(left, sides)
        matched += joined
    return Result(tuple(matched), tuple(left))


def _groups(key: str, members: Iterable[Item]) -> Iterator[Group]:
    if key:
        yield Group(tuple(members))
    else:
        yield from (Group((item,)) for item in members)


def _missing(group: Group, sides: frozenset[Side]) -> frozenset[Side]:
    return sides - frozenset(group.sums)


def _sum_of(group: Group) -> int | None:
    """What the sides of a group agree on; None where they do not."""
    sums = set(group.sums.values())
    return sums.pop() if len(sums) == 1 else None


def _day_of(group: Group) -> int:
    return group.at // SECONDS_PER_DAY


def _one_to_one(groups: list[Group], sides: frozenset[Side]) -> tuple[list[Group], list[Group]]:
    """Join groups of the same amount and day whose sides complete each other, oldest first."""
    waiting: defaultdict[tuple[object, ...], deque[int]] = defaultdict(deque)
    joined: list[Group] = []
    used: set[int] = set()
    for place, group in enumerate(groups):
        amount = _sum_of(group)
        if amount is None:
            continue
        where = (amount, _day_of(group))
        partners = waiting[(*where, frozenset(group.sums))]
        if partners:
            partner = partners.popleft()
            joined.append(Group((*groups[partner].items, *group.items)))
            used |= {partner, place}
        else:
            waiting[(*where, _missing(group, sides))].append(place)
    return joined, [group for place, group in enumerate(groups) if place not in used]


def _many_to_one(groups: list[Group], sides: frozenset[Side]) -> tuple[list[Group], list[Group]]:
    """Join a group with several of one day that follow one another and add up to it."""
    joined: list[Group] = []
    used: set[int] = set()
    lanes: defaultdict[tuple[int, frozenset[Side]], list[int]] = defaultdict(list)
    for place in sorted(range(len(groups)), key=lambda each: groups[each].at):
        if _sum_of(groups[place]) is not None:
            lanes[_day_of(groups[place]), frozenset(groups[place].sums)].append(place)
    for (day, present), singles in lanes.items():
        several = lanes.get((day, sides - present))
        if not several:
            continue
        wanted: defaultdict[int, deque[int]] = defaultdict(deque)
        for place in singles:
            if place not in used:
                wanted[_sum_of(groups[place]) or 0].append(place)
        for single, run in _runs(groups, several, wanted, used):
            members = [groups[single], *(groups[place] for place in run)]
            joined.append(Group(tuple(item for group in members for item in group.items)))
            used |= {single, *run}
    return joined, [group for place, group in enumerate(groups) if place not in used]


def _runs(
    groups: list[Group], places: list[int], wanted: Mapping[int, deque[int]], used: set[int]
) -> Iterator[tuple[int, list[int]]]:
    """The runs of several groups whose sum is wanted, found by their running totals in one pass."""
    if not wanted:
        return
    targets = list(islice(wanted.items(), RUN_TARGETS_MAX))
    total, start = 0, 0
    totals = {0: 0}
    free = [place for place in places if place not in used]
    for end, place in enumerate(free, start=1):
        total += _sum_of(groups[place]) or 0
        for amount, singles in targets:
            begin = totals.get(total - amount)
            if begin is not None and begin >= start and end - begin > 1 and singles:
                yield singles.popleft(), free[begin:end]
                start, totals = end, {}
                break
        totals[total] = end


def _reversed(groups: list[Group], _: frozenset[Side]) -> tuple[list[Group], list[Group]]:
    """Join groups of the same sides and of opposite amounts, oldest first."""
    waiting: defaultdict[tuple[int, frozenset[Side]], deque[int]] = defaultdict(deque)
    joined: list[Group] = []
    used: set[int] = set()
    for place, group in enumerate(groups):
        amount = _sum_of(group)
        if amount is None:
            continue
        present = frozenset(group.sums)
        if partners := waiting[-amount, present]:
            partner = partners.popleft()
            joined.append(Group((*groups[partner].items, *group.items)))
            used |= {partner, place}
        else:
            waiting[amount, present].append(place)
    return joined, [group for place, group in enumerate(groups) if place not in used]


RUN_TARGETS_MAX: Final = 64
"""Most different sums that a run of items is tried against; more are left to people."""


def judge(group: Group, sides: frozenset[Side], *, was_matched: bool) -> tuple[BreakType, int]:
    """What is wrong with items that do not match, and the difference in minor units.

    `was_matched` says that others with the same key were matched before.
    """
    sums = group.sums
    present = set(sums.values())
    if was_matched or _is_repeated(group):
        return BreakType.DUPLICATE, _difference(sums)
    if len(present) > 1:
        return BreakType.AMOUNT_DIFFERS, _difference(sums)
    missing = [side for side in Side if side in sides and side not in sums]
    return _MISSING[missing[0]], present.pop()


_MISSING: Final[Mapping[Side, BreakType]] = {
    Side.LEDGER: BreakType.MISSING_IN_LEDGER,
    Side.CHAIN: BreakType.MISSING_ON_CHAIN,
    Side.STATEMENT: BreakType.MISSING_IN_STATEMENT,
}


def _is_repeated(group: Group) -> bool:
    """Whether one side has the same amount more often than the side that has it least often."""
    amounts = {item.amount for item in group.items}
    counts: defaultdict[Side, int] = defaultdict(int)
    for item in group.items:
        counts[item.side] += 1
    return len(amounts) == 1 and len(counts) > 1 and len(set(counts.values())) > 1


def _difference(sums: Mapping[Side, int]) -> int:
    """What the ledger has more than the others; without it, the widest gap."""
    ledger = sums.get(Side.LEDGER)
    if ledger is None or len(sums) == 1:
        return max(sums.values()) - min(sums.values()) or next(iter(sums.values()))
    return ledger - next(
        (amount for side, amount in sums.items() if side is not Side.LEDGER and amount != ledger),
        0,
    )
