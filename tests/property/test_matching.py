"""Whatever the sides say: matched items agree, and none is lost or in two groups.

Cites docs/spec/reconciliation.md: REC-1, 13.
"""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bridge.matching import Item, Side, match

ITEM = st.tuples(
    st.sampled_from(Side),
    st.sampled_from(["", "", "a", "b", "c"]),
    st.integers(-4, 4).filter(bool),
    st.integers(0, 2),
)


@given(st.lists(ITEM, max_size=40), st.sets(st.sampled_from(Side), min_size=2))
def test_matched_groups_agree_to_the_last_unit_and_every_item_is_in_one_group(
    drawn: list[tuple[Side, str, int, int]], chosen: set[Side]
) -> None:
    sides = frozenset(chosen)
    items = [
        Item(number, side, key, amount, day * 86_400)
        for number, (side, key, amount, day) in enumerate(drawn)
        if side in sides
    ]
    items.sort(key=lambda item: (item.key, item.sequence))
    result = match(items, sides)
    for group in result.matched:
        sums = group.sums
        agrees = sums.keys() == sides and len(set(sums.values())) == 1
        assert agrees or not any(sums.values())
    everywhere = Counter(
        item.sequence for group in (*result.matched, *result.left) for item in group.items
    )
    assert everywhere == Counter(item.sequence for item in items)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2)), max_size=30))
def test_two_sides_that_say_the_same_leave_nothing(amounts: list[tuple[int, int]]) -> None:
    items = [
        Item(2 * number + place, side, "", amount, day * 86_400)
        for number, (amount, day) in enumerate(amounts)
        for place, side in enumerate((Side.LEDGER, Side.STATEMENT))
    ]
    assert match(items, frozenset({Side.LEDGER, Side.STATEMENT})).left == ()
