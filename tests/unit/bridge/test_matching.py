"""Matching the items of two or three sides.

Cites docs/spec/reconciliation.md: REC-1, 3, 6, 13.
"""

import itertools

import pytest

from bridge.breaks import BreakType
from bridge.matching import RUN_TARGETS_MAX, Group, Item, Side, judge, match

LEDGER, CHAIN, STATEMENT = Side.LEDGER, Side.CHAIN, Side.STATEMENT
TWO = frozenset({LEDGER, STATEMENT})
THREE = frozenset(Side)
DAY = 86_400


def items(*given: tuple[Side, str, int] | tuple[Side, str, int, int]) -> list[Item]:
    """Items by side, key, amount and, where it matters, time; ordered as the store gives them."""
    numbered = [
        Item(number, each[0], each[1], each[2], each[3] if len(each) == 4 else 0)
        for number, each in enumerate(given)
    ]
    return sorted(numbered, key=lambda item: (item.key, item.sequence))


def shape(groups: tuple[Group, ...]) -> list[list[int]]:
    return sorted(sorted(item.sequence for item in group.items) for group in groups)


def test_rec_1_items_of_one_key_match_when_every_side_has_the_same_sum() -> None:
    result = match(
        items((LEDGER, "a", 7), (CHAIN, "a", 7), (STATEMENT, "a", 3), (STATEMENT, "a", 4)), THREE
    )
    assert (shape(result.matched), result.left) == ([[0, 1, 2, 3]], ())


def test_rec_1_a_side_that_is_missing_leaves_the_others() -> None:
    result = match(items((LEDGER, "a", 7), (CHAIN, "a", 7)), THREE)
    assert (result.matched, shape(result.left)) == ((), [[0, 1]])


def test_rec_13_what_has_no_key_matches_by_amount_and_day() -> None:
    given = items(
        (LEDGER, "", 7), (LEDGER, "", 7, DAY), (STATEMENT, "x", 7, DAY), (STATEMENT, "y", 8)
    )
    result = match(given, TWO)
    assert (shape(result.matched), shape(result.left)) == ([[1, 2]], [[0], [3]])


def test_rec_13_two_sides_that_agree_on_a_key_match_a_third_without() -> None:
    result = match(items((LEDGER, "", 7), (CHAIN, "a", 7), (STATEMENT, "a", 7)), THREE)
    assert (shape(result.matched), result.left) == ([[0, 1, 2]], ())


def test_rec_13_the_same_amount_is_paired_oldest_first_and_once() -> None:
    result = match(items(*[(LEDGER, "", 5)] * 3, *[(STATEMENT, "", 5)] * 2), TWO)
    assert shape(result.matched) == [[0, 3], [1, 4]]
    assert shape(result.left) == [[2]]


def test_rec_13_several_of_one_day_that_add_up_match_one() -> None:
    given = items(
        (LEDGER, "", 1, 1),
        (LEDGER, "", 2, 2),
        (LEDGER, "", 3, 3),
        (LEDGER, "", 9, 4),
        (STATEMENT, "", 5, 9),
        (STATEMENT, "", 5, DAY),
    )
    result = match(given, TWO)
    assert (shape(result.matched), shape(result.left)) == ([[1, 2, 4]], [[0], [3], [5]])


def test_rec_13_runs_do_not_share_items() -> None:
    given = items(
        *((LEDGER, "", amount, at) for at, amount in enumerate((2, 3, 4, 6))),
        (STATEMENT, "", 5),
        (STATEMENT, "", 10),
        (STATEMENT, "", 7),
    )
    result = match(given, TWO)
    assert shape(result.matched) == [[0, 1, 4], [2, 3, 5]]
    assert shape(result.left) == [[6]]


def test_rec_13_no_more_sums_are_tried_than_there_is_time_for() -> None:
    singles = [(STATEMENT, "", 1_000 + number) for number in range(RUN_TARGETS_MAX + 1)]
    last = 1_000 + RUN_TARGETS_MAX
    given = items((LEDGER, "", 600), (LEDGER, "", last - 600), *singles)
    assert match(given, TWO).matched == ()


def test_rec_13_what_a_side_took_back_is_settled() -> None:
    result = match(items((LEDGER, "", 9), (LEDGER, "", -9, 5 * DAY), (LEDGER, "k", 0 + 4)), TWO)
    assert (shape(result.matched), shape(result.left)) == ([[0, 1]], [[2]])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(CHAIN, "a", 7), (STATEMENT, "a", 7)], (BreakType.MISSING_IN_LEDGER, 7)),
        ([(LEDGER, "a", 7), (STATEMENT, "a", 7)], (BreakType.MISSING_ON_CHAIN, 7)),
        ([(LEDGER, "a", 7), (CHAIN, "a", 7)], (BreakType.MISSING_IN_STATEMENT, 7)),
        ([(LEDGER, "a", 7)], (BreakType.MISSING_ON_CHAIN, 7)),
        ([(LEDGER, "a", 7), (CHAIN, "a", 6)], (BreakType.AMOUNT_DIFFERS, 1)),
        ([(CHAIN, "a", 7), (STATEMENT, "a", 4)], (BreakType.AMOUNT_DIFFERS, 3)),
        ([(LEDGER, "a", 7), (CHAIN, "a", 7), (CHAIN, "a", 7)], (BreakType.DUPLICATE, -7)),
        ([(LEDGER, "a", 7), (LEDGER, "a", 7), (CHAIN, "a", 7)], (BreakType.DUPLICATE, 7)),
    ],
)
def test_rec_6_what_is_left_is_judged(
    given: list[tuple[Side, str, int]], expected: tuple[BreakType, int]
) -> None:
    group = Group(tuple(items(*given)))
    assert judge(group, THREE, was_matched=False) == expected


def test_rec_6_what_comes_again_after_it_was_matched_is_a_duplicate() -> None:
    group = Group(tuple(items((CHAIN, "a", 7))))
    assert judge(group, THREE, was_matched=True) == (BreakType.DUPLICATE, 7)


def test_rec_13_a_hundred_thousand_items_are_each_looked_at_a_bounded_number_of_times() -> None:
    """Counted, not timed: as many items are drawn from the source as there are, once."""
    drawn = itertools.count()

    def source() -> list[Item]:
        return items(
            *((side, f"{number:06d}", number) for number in range(1, 2_001) for side in TWO)
        )

    def counted() -> object:
        for item in source():
            next(drawn)
            yield item

    result = match(counted(), TWO)  # type: ignore[arg-type]
    assert (next(drawn), len(result.matched), result.left) == (4_000, 2_000, ())
