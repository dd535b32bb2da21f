"""The liquidity solver on worked cases (LIQ-1 to LIQ-8 of the settlement specification)."""

import pytest

from bridge.errors import QueuesInvalid
from bridge.liquidity.book import Item, Leg, Limits, Name, Position, line_up
from bridge.liquidity.bypass import second_pass
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import solve


def pay(
    name: str, payer: str, payee: str, amount: int, *, priority: int = 0, skip: bool = False
) -> Item:
    """A payment of one leg in euros."""
    return Item(name, (Leg(payer, payee, "EUR", amount, priority),), bypassable=skip)


def exchange(name: str, euros_from: str, dollars_from: str, *, euros: int, dollars: int) -> Item:
    """Euros one way against dollars the other way, both or neither."""
    return Item(
        name,
        (
            Leg(euros_from, dollars_from, "EUR", euros),
            Leg(dollars_from, euros_from, "SGD", dollars),
        ),
    )


def euros(**balances: int) -> dict[Position, int]:
    return {(account, "EUR"): balance for account, balance in balances.items()}


RING = [pay("T1", "A", "B", 9), pay("T2", "B", "C", 9), pay("T3", "C", "A", 9)]


def test_a_ring_settles_at_once_although_no_payment_of_it_could() -> None:
    solution = solve(line_up(RING, euros(A=0, B=0, C=0)))
    assert solution.settled == ("T1", "T2", "T3")
    assert solution.advances == {("A", "EUR"): 1, ("B", "EUR"): 1, ("C", "EUR"): 1}
    assert solution.closing == euros(A=0, B=0, C=0)
    assert solution.value_by_currency == {"EUR": 27}


def test_a_payment_behind_one_that_cannot_settle_waits() -> None:
    book = line_up([pay("T1", "A", "B", 9), pay("T2", "A", "B", 1)], euros(A=5))
    assert solve(book).settled == ()


def test_high_priority_stands_first_and_equal_priority_by_arrival() -> None:
    """LIQ-1."""
    items = [pay("T1", "A", "B", 4), pay("T2", "A", "B", 3, priority=1), pay("T3", "A", "B", 1)]
    solution = solve(line_up(items, euros(A=7)))
    assert solution.settled == ("T1", "T2")
    assert solution.closing == euros(A=0, B=7)


def test_a_dropped_exchange_takes_what_stands_behind_it_in_the_other_queue_with_it() -> None:
    # B has dollars enough for T2, which stands behind its leg of T1; A lacks the euros of T1.
    items = [
        exchange("T1", "A", "B", euros=5, dollars=6),
        Item("T2", (Leg("B", "A", "SGD", 1),)),
    ]
    solution = solve(line_up(items, {("A", "EUR"): 4, ("B", "SGD"): 100}))
    assert solution.settled == ()


def test_queues_may_order_the_same_items_differently() -> None:
    items = [
        exchange("T1", "A", "B", euros=5, dollars=6),
        exchange("T2", "A", "B", euros=1, dollars=1),
    ]
    queues: dict[Position, list[Name]] = {("A", "EUR"): ["T2", "T1"], ("B", "SGD"): ["T1", "T2"]}
    available: dict[Position, int] = {("A", "EUR"): 4, ("B", "SGD"): 100}
    assert solve(line_up(items, available)).settled == ()
    assert solve(line_up(items, available, queues=queues)).settled == ()
    queues[("B", "SGD")] = ["T2", "T1"]
    assert solve(line_up(items, available, queues=queues)).settled == ("T2",)


def test_a_bilateral_limit_counts_what_comes_back_from_any_account_of_the_participant() -> None:
    """LIQ-2."""
    items = [pay("T1", "A", "B1", 9), pay("T2", "B2", "A", 6)]
    participants: dict[Name, Name] = {"B1": "B", "B2": "B"}
    for limit, settled in ((3, ("T1", "T2")), (2, ("T2",))):
        limits = Limits(bilateral={("A", "EUR", "B"): limit}, participants=participants)
        assert solve(line_up(items, euros(A=9, B2=6), limits)).settled == settled


def test_a_bilateral_limit_holds_others_only_behind_the_payment_that_it_stops() -> None:
    items = [pay("T1", "A", "C", 1), pay("T2", "A", "B", 1), pay("T3", "A", "C", 1)]
    limits = Limits(bilateral={("A", "EUR", "B"): 0})
    assert solve(line_up(items, euros(A=9), limits)).settled == ("T1",)


def test_a_multilateral_limit_is_net_and_an_outflow_limit_is_gross() -> None:
    items = [pay("T1", "A", "B", 9), pay("T2", "B", "A", 8)]
    place = ("A", "EUR")
    book = line_up(items, euros(A=20, B=20), Limits(multilateral={place: 1}))
    assert solve(book).settled == ("T1", "T2")
    book = line_up(items, euros(A=20, B=20), Limits(outflow={place: 8}))
    assert solve(book).settled == ("T2",)


@pytest.mark.parametrize("kind", ["bilateral", "multilateral", "outflow"])
def test_a_limit_lowered_below_its_use_stops_outflow_and_nothing_else(kind: str) -> None:
    """LIQ-4."""
    limits = {
        "bilateral": Limits(bilateral={("A", "EUR", "B"): -5}),
        "multilateral": Limits(multilateral={("A", "EUR"): -5}),
        "outflow": Limits(outflow={("A", "EUR"): -5}),
    }[kind]
    items = [pay("T1", "A", "B", 1), pay("T2", "B", "A", 2)]
    assert solve(line_up(items, euros(A=9, B=9), limits)).settled == ("T2",)


def test_what_comes_in_covers_a_balance_below_zero_before_anything_is_paid() -> None:
    items = [pay("T1", "A", "B", 3), pay("T2", "B", "A", 4)]
    assert solve(line_up(items, euros(A=-1, B=9))).settled == ("T1", "T2")
    assert solve(line_up(items, euros(A=-2, B=9))).settled == ("T2",)


INVALID: dict[str, tuple[list[Item], dict[Position, int], dict[Position, list[Name]] | None]] = {
    "two items of one id": ([pay("T1", "A", "B", 1), pay("T1", "B", "A", 1)], euros(), None),
    "no legs": ([Item("T1", ())], euros(), None),
    "too many legs": ([Item("T1", (Leg("A", "B", "EUR", 1),) * 9)], euros(), None),
    "nothing moved": ([pay("T1", "A", "B", 0)], euros(), None),
    "a queue without its item": ([pay("T1", "A", "B", 1)], euros(), {}),
    "a queue with an item twice": ([pay("T1", "A", "B", 1)], euros(), {("A", "EUR"): ["T1", "T1"]}),
    "a queue with a stranger": ([pay("T1", "A", "B", 1)], euros(), {("A", "EUR"): ["T1", "T2"]}),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_no_state_could_hold_is_refused(name: str) -> None:
    items, available, queues = INVALID[name]
    with pytest.raises(QueuesInvalid):
        line_up(items, available, queues=queues)


def test_a_large_set_is_settled_in_rounds_that_lose_nothing() -> None:
    items = [
        pay(f"{payer}{number}", payer, payee, 5)
        for number in range(50)
        for payer, payee in (("A", "B"), ("B", "C"), ("C", "A"))
    ]
    found = solve_in_rounds(line_up(items, euros(A=0, B=0, C=0)), 40)
    assert [len(each.settled) for each in found.rounds] == [39, 39, 39, 33]
    assert found.left == found.indivisible == ()


def test_a_part_that_cannot_be_divided_stays_and_others_of_the_same_set_settle() -> None:
    """LIQ-6."""
    pair = [pay("P1", "D", "E", 3), pay("P2", "E", "D", 3)]
    found = solve_in_rounds(line_up([*RING, *pair], euros(A=0, B=0, C=0, D=0, E=0)), 2)
    assert [each.settled for each in found.rounds] == [("P1", "P2")]
    assert found.left == found.indivisible == ("T1", "T2", "T3")


def test_the_second_pass_skips_a_payment_that_may_be_skipped() -> None:
    for skip, settled in ((True, ["T2"]), (False, [])):
        items = [pay("T1", "A", "B", 9, skip=skip), pay("T2", "A", "B", 1)]
        steps = second_pass(line_up(items, euros(A=5)))
        assert [name for step in steps for name in step.settled] == settled
        assert all(step.advances == {} for step in steps)


def test_the_second_pass_runs_pass_one_first_and_again_after_an_explicit_set() -> None:
    items = [
        pay("T1", "A", "B", 1),
        pay("T2", "A", "B", 90, skip=True),
        *(pay(f"S{number}", "A", "C", 1, skip=True) for number in range(20)),
        pay("T3", "C", "D", 20),
    ]
    steps = second_pass(line_up(items, euros(A=21, B=0, C=0, D=0)))
    assert steps[0].settled == ("T1",)
    assert steps[0].advances == {("A", "EUR"): 1}
    assert {name for step in steps for name in step.settled} == {
        item.item_id for item in items if item.item_id != "T2"
    }


def test_the_second_pass_displaces_nobody_who_did_not_agree() -> None:
    """LIQ-7."""
    # Skipping T1 would free two payments, but T1 settles in pass 1 and may not be skipped.
    waiting = [pay("T2", "A", "C", 5, skip=True), pay("T3", "A", "D", 5, skip=True)]
    for skip, settled in ((False, {"T1"}), (True, {"T2", "T3"})):
        items = [pay("T1", "A", "B", 10, skip=skip), *waiting]
        steps = second_pass(line_up(items, euros(A=10)))
        assert {name for step in steps for name in step.settled} == settled
