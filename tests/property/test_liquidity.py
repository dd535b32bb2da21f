"""The liquidity solver against every subset: small random queues in which nothing is left out.

Items of up to three legs in two currencies, queues that order them differently, accounts of one
participant, and each kind of limit, some already overrun (LIQ-1 to LIQ-8 of the settlement
specification). The model in `support.queues` shares nothing with the solver but the items.
"""

import random
from collections.abc import Iterator

import pytest

from bridge.liquidity.book import Position, without
from bridge.liquidity.bypass import second_pass
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import Solution, solve
from support.queues import (
    Situation,
    draw_situation,
    feasible_sets,
    keeps_bounds,
    keeps_order,
    subsets,
)

BLOCKS = pytest.mark.parametrize("block", range(10))
SITUATIONS_PER_BLOCK = 150


def situations(block: int, count: int = SITUATIONS_PER_BLOCK) -> Iterator[tuple[int, Situation]]:
    """Yield situations with the seeds that draw them again."""
    for seed in range(block * SITUATIONS_PER_BLOCK, block * SITUATIONS_PER_BLOCK + count):
        yield seed, draw_situation(random.Random(seed), items_max=8)


def numbers(situation: Situation, solution: Solution) -> frozenset[int]:
    """Return the numbers of the settled items."""
    number_by_id = {item.item_id: number for number, item in enumerate(situation.items)}
    return frozenset(number_by_id[name] for name in solution.settled)


def union(sets: list[frozenset[int]]) -> frozenset[int]:
    """Return what stands in any of them."""
    return frozenset().union(*sets)


def balances_after(situation: Situation, chosen: frozenset[int]) -> dict[Position, int]:
    """Return every balance once these items have settled."""
    balances = dict(situation.available)
    for number in chosen:
        for leg in situation.items[number].legs:
            balances[leg.payer, leg.currency] -= leg.amount
            balances[leg.payee, leg.currency] += leg.amount
    return balances


@BLOCKS
def test_the_solver_finds_the_union_of_all_feasible_sets_and_it_is_feasible(block: int) -> None:
    drawn = split = 0
    for seed, situation in situations(block):
        feasible = feasible_sets(situation)
        largest = union(feasible)
        assert largest in feasible, seed
        solution = solve(situation.book())
        assert numbers(situation, solution) == largest, seed
        assert solution.closing == balances_after(situation, largest), seed
        for position, order in situation.queues.items():
            taken = solution.advances.get(position, 0)
            assert set(order[:taken]) == set(order) & set(solution.settled), seed
        drawn += bool(largest)
        split += 0 < len(largest) < len(situation.items)
    # The draw is worth something only if part of what waits can settle, often.
    assert drawn >= SITUATIONS_PER_BLOCK // 4
    assert split >= SITUATIONS_PER_BLOCK // 8


@BLOCKS
def test_the_union_of_two_feasible_sets_is_feasible(block: int) -> None:
    """LIQ-3, LIQ-5."""
    for seed, situation in situations(block, 60):
        feasible = set(feasible_sets(situation))
        assert all(one | other in feasible for one in feasible for other in feasible), seed


@BLOCKS
def test_settling_a_feasible_part_first_loses_nothing_and_gains_nothing(block: int) -> None:
    for seed, situation in situations(block):
        feasible, book = feasible_sets(situation), situation.book()
        largest = union(feasible)
        for part in sorted(feasible, key=sorted)[:12]:
            rest = solve(without(book, part))
            assert numbers(situation, rest) == largest - part, (seed, part)
            assert rest.closing == balances_after(situation, largest), (seed, part)


@BLOCKS
@pytest.mark.parametrize("items_max", [1, 2, 3])
def test_rounds_settle_whatever_any_rounds_of_that_size_can(block: int, items_max: int) -> None:
    for seed, situation in situations(block):
        feasible = set(feasible_sets(situation))
        reached: frozenset[int] = frozenset()
        while further := [
            each for each in feasible if reached < each and len(each - reached) <= items_max
        ]:
            reached = min(further, key=sorted)
        found = solve_in_rounds(situation.book(), items_max)
        settled: frozenset[int] = frozenset()
        for each in found.rounds:
            assert 0 < len(each.settled) <= items_max, seed
            assert not settled & numbers(situation, each), seed
            settled |= numbers(situation, each)
            assert settled in feasible, seed
            assert each.closing == balances_after(situation, settled), seed
        assert settled == reached, seed
        left = [
            situation.items[number].item_id for number in sorted(union(list(feasible)) - reached)
        ]
        assert list(found.left) == left, seed
        assert_indivisible(situation, found.indivisible, settled, items_max)


def assert_indivisible(
    situation: Situation, names: tuple[object, ...], settled: frozenset[int], items_max: int
) -> None:
    """Fail unless the part is feasible, above the cap and without a feasible part of its own."""
    if not names:
        return
    part = {number for number, item in enumerate(situation.items) if item.item_id in names}
    inside = [each for each in feasible_sets(situation) if settled < each <= settled | part]
    assert inside == [settled | part]
    assert len(part) > items_max


@BLOCKS
@pytest.mark.parametrize("items_max", [None, 2])
def test_the_second_pass_skips_only_what_may_be_skipped_and_breaks_no_bound(
    block: int, items_max: int | None
) -> None:
    for seed, situation in situations(block, 60):
        settled: frozenset[int] = frozenset()
        for step in second_pass(situation.book(), items_max):
            before, settled = settled, settled | numbers(situation, step)
            assert keeps_bounds(situation, settled), seed
            assert keeps_order(situation, settled, may_bypass=True), seed
            assert items_max is None or len(step.settled) <= items_max, seed
            assert step.closing == balances_after(situation, settled), seed
            assert_head_first(situation, step, before)


def assert_head_first(situation: Situation, step: Solution, before: frozenset[int]) -> None:
    """Fail if a step says that it advances queues and does not take them from their heads."""
    gone = {situation.items[number].item_id for number in before}
    for position, order in situation.queues.items():
        waiting = [name for name in order if name not in gone]
        if step.advances:
            taken = step.advances.get(position, 0)
            assert set(waiting[:taken]) == set(waiting) & set(step.settled)


@BLOCKS
def test_the_second_pass_over_few_items_is_the_best_that_passes_over_nobody_unasked(
    block: int,
) -> None:
    for seed, situation in situations(block, 60):
        largest = numbers(situation, solve(situation.book()))
        protected = {number for number in largest if not situation.items[number].bypassable}
        best = max(
            len(chosen)
            for chosen in subsets(range(len(situation.items)))
            if protected <= chosen
            and keeps_order(situation, chosen, may_bypass=True)
            and keeps_bounds(situation, chosen)
        )
        steps = second_pass(situation.book())
        assert sum(len(step.settled) for step in steps) >= best, seed
