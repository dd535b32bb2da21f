"""What the liquidity service knows and proposes, without a chain (LQS-1 to LQS-6 of the payment specification)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.chain import settlement_call
from bridge.chain.encoding import plain_arguments
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import Solution, solve
from bridge.payment import Leg, Terms
from bridge.resolving.proposal import NOTHING, Proposal, Walk, propose
from bridge.resolving.service import GAS_MAX, rounds_of
from bridge.resolving.snapshot import HEAD_ITEMS_MAX, Position, Queued, Snapshot, Standing, book_of
from bridge.resolving.waiting import Waiting
from bridge.store import EventRow

NOW = 1_800_000_000
ENTERED = NOW - 100
A, B, C = (bytes([number]) * 32 for number in (1, 2, 3))
LEI_BY_ACCOUNT = {A: "LEI-A", B: "LEI-B", C: "LEI-C"}


def name_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def queued(
    number: int, *legs: tuple[str, bytes, bytes, int], bypassable: int = 0, quoted: bool = False
) -> Queued:
    """A payment that waits, of legs (currency, payer, payee, amount)."""
    terms = Terms(
        legs=tuple(Leg(*leg) for leg in legs),
        message_commitment=bytes(32),
        quote_hash=b"\x07" * 32 if quoted else bytes(32),
        accept_by=NOW + 60,
        settle_by=NOW + 120,
    )
    return Queued(name_of(number), terms, ENTERED + number, bypassable, is_set_aside=False)


def snapshot_of(*payments: Queued, **balances: int) -> Snapshot:
    """Queues in the order given; balances by the account's letter and currency, as `A_EUR`."""
    queues: dict[Position, tuple[bytes, ...]] = {}
    for payment in payments:
        for position in payment.positions:
            queues[position] = (*queues.get(position, ()), payment.payment_id)
    positions = {
        (reference, leg.currency)
        for payment in payments
        for leg in payment.terms.legs
        for reference in (leg.from_reference, leg.to_reference)
    }
    account_by_letter = {"A": A, "B": B, "C": C}
    available = {(account_by_letter[key[0]], key[2:]): amount for key, amount in balances.items()}
    return Snapshot(
        at=NOW,
        queued={payment.payment_id: payment for payment in payments},
        queues=queues,
        standings={
            position: Standing(
                lei=LEI_BY_ACCOUNT[position[0]],
                is_admitted=True,
                suspended_since=0,
                is_usable=True,
                payment_max=2**127 - 1,
                available=available.get(position, 0),
            )
            for position in positions
        },
        bilateral={},
        honours_earlier_entries=False,
    )


def with_standing(snapshot: Snapshot, account: bytes, **changes: Any) -> Snapshot:
    """The same with one account's euros standing otherwise."""
    changed = replace(snapshot.standings[account, "EUR"], **changes)
    return replace(snapshot, standings={**snapshot.standings, (account, "EUR"): changed})


def names(proposal: Proposal) -> list[int]:
    return [int.from_bytes(item.payment_id, "big") for item in proposal.items]


RING = (
    queued(1, ("EUR", A, B, 9)),
    queued(2, ("EUR", B, C, 9)),
    queued(3, ("EUR", C, A, 9)),
)


# What waits


def instructed(payment: Queued) -> dict[str, Any]:
    terms = payment.terms
    legs = tuple(
        (leg.currency.encode(), leg.from_reference, leg.to_reference, leg.amount)
        for leg in terms.legs
    )
    return {
        "paymentId": payment.payment_id,
        "participant": b"A" * 20,
        "terms": (1, legs, bytes(32), bytes(32), bytes(32), NOW + 60, NOW + 120, 0, 0, 0),
    }


LIFE: list[tuple[str, dict[str, Any]]] = [
    ("Instructed", instructed(RING[0])),
    ("Instructed", instructed(RING[1])),
    ("PaymentQueued", {"paymentId": name_of(1), "reason": 1}),
    (
        "BilateralLimitSet",
        {"account": b"\x05" * 20, "currency": b"EUR", "counterparty": b"L" * 20, "netMax": 5},
    ),
    ("LimitsSet", {"account": b"\x05" * 20, "currency": b"EUR", "netMax": 1, "grossMax": 1}),
    ("PaymentRejected", {"paymentId": name_of(2), "participant": b"B" * 20}),
]


def test_what_is_queued_waits_until_it_ends_and_applying_it_twice_changes_nothing() -> None:
    waiting = Waiting()
    for name, arguments in [*LIFE, *LIFE]:
        waiting.observe(name, arguments)
    assert waiting.queued == {name_of(1)}
    assert waiting.terms == {name_of(1): RING[0].terms}
    assert waiting.bilateral == {(b"\x05" * 20, "EUR", "L" * 20)}
    waiting.observe("PaymentSettled", {"paymentId": name_of(1), "termsHash": bytes(32)})
    assert (waiting.queued, waiting.terms) == (set(), {})


def test_what_a_store_has_kept_gives_back_the_same() -> None:
    rows = [
        EventRow(1, bytes(32), index, bytes(32), bytes(20), name, json.dumps(plain_arguments(said)))
        for index, (name, said) in enumerate(LIFE)
    ]
    seen, restored = Waiting(), Waiting()
    for name, arguments in LIFE:
        seen.observe(name, arguments)
    restored.restore(rows)
    assert restored == seen


# What is eligible


@pytest.mark.parametrize(
    ("terms", "standing"),
    [
        ({"not_before": NOW + 1}, {}),
        ({"settle_by": NOW - 1}, {}),
        ({}, {"is_usable": False}),
        ({}, {"payment_max": 8}),
        ({}, {"is_admitted": False}),
        ({}, {"is_admitted": False, "suspended_since": ENTERED}),
    ],
)
def test_what_cannot_settle_for_another_reason_than_money_is_not_eligible(
    terms: dict[str, Any], standing: dict[str, Any]
) -> None:
    payment = replace(RING[0], terms=replace(RING[0].terms, **terms))
    snapshot = with_standing(snapshot_of(payment), A, **standing)
    assert not snapshot.is_eligible(payment)
    assert snapshot.misjudged() == (payment,)
    set_aside = replace(snapshot, queued={payment.payment_id: replace(payment, is_set_aside=True)})
    assert set_aside.misjudged() == ()
    assert book_of(snapshot).items == ()


def test_what_waits_in_closed_currencies_alone_is_left_as_it_is() -> None:
    snapshot = snapshot_of(RING[0])
    for account in (A, B):
        snapshot = with_standing(snapshot, account, is_usable=False, is_open=False)
    assert not snapshot.is_eligible(RING[0])
    assert snapshot.misjudged() == ()


def test_what_was_accepted_before_a_suspension_is_eligible_where_the_rulebook_says_so() -> None:
    snapshot = with_standing(snapshot_of(*RING), B, is_admitted=False, suspended_since=ENTERED + 2)
    assert not snapshot.is_eligible(RING[0])
    honouring = replace(snapshot, honours_earlier_entries=True)
    assert honouring.is_eligible(RING[0])
    assert not honouring.is_eligible(RING[1]), "it was accepted in the second of the suspension"


# What the solver reads


def test_a_ring_is_solved_and_proposed_with_walks_in_rising_order() -> None:
    snapshot = snapshot_of(*RING)
    solution = solve(book_of(snapshot))
    assert set(solution.settled) == {name_of(number) for number in (1, 2, 3)}
    proposal = propose(snapshot, frozenset(each.payment_id for each in RING))
    assert proposal.walks == (Walk(A, "EUR", (0,)), Walk(B, "EUR", (1,)), Walk(C, "EUR", (2,)))
    assert [item.accounts for item in proposal.items] == [(0, 1), (1, 2), (2, 0)]
    assert proposal.skipped == (False, False, False)


def test_walks_are_ordered_by_currency_before_account() -> None:
    exchange = queued(1, ("SGD", A, B, 5), ("EUR", B, A, 3))
    proposal = propose(snapshot_of(exchange), {exchange.payment_id})
    assert [(walk.currency, walk.account) for walk in proposal.walks] == [
        ("EUR", A),
        ("EUR", B),
        ("SGD", A),
        ("SGD", B),
    ]
    assert [walk.items for walk in proposal.walks] == [(), (0,), (0,), ()]
    assert proposal.items[0].accounts == (2, 3, 1, 0)


def test_what_is_not_eligible_is_named_where_it_stands_and_blocks_nobody() -> None:
    early = queued(1, ("EUR", A, B, 9))
    early = replace(early, terms=replace(early.terms, not_before=NOW + 9))
    snapshot = snapshot_of(early, queued(2, ("EUR", A, B, 4)), A_EUR=4)
    solution = solve(book_of(snapshot))
    assert solution.settled == (name_of(2),)
    proposal = propose(snapshot, {name_of(2)})
    assert names(proposal) == [1, 2]
    assert proposal.walks[0] == Walk(A, "EUR", (0, 1))


def test_money_that_a_quote_set_aside_is_there_whatever_the_taker_has_left() -> None:
    payment = queued(1, ("EUR", A, B, 9), ("SGD", B, C, 12), quoted=True)
    assert payment.positions == ((B, "SGD"),)
    snapshot = snapshot_of(payment, B_SGD=12)
    solution = solve(book_of(snapshot))
    assert solution.settled == (name_of(1),)
    proposal = propose(snapshot, {name_of(1)})
    assert [(walk.account, walk.currency, walk.items) for walk in proposal.walks] == [
        (A, "EUR", ()),
        (B, "EUR", ()),
        (B, "SGD", (0,)),
        (C, "SGD", ()),
    ]


def test_limits_bound_what_the_solver_takes() -> None:
    payments = [queued(number, ("EUR", A, B, 4)) for number in (1, 2, 3)]
    rich = snapshot_of(*payments, A_EUR=100)
    assert len(solve(book_of(rich)).settled) == 3
    assert len(solve(book_of(with_standing(rich, A, gross_room=8))).settled) == 2
    assert len(solve(book_of(with_standing(rich, A, net_room=4))).settled) == 1
    assert solve(book_of(replace(rich, bilateral={(A, "EUR", "LEI-B"): 3}))).settled == ()
    assert len(solve(book_of(replace(rich, bilateral={(A, "EUR", "LEI-C"): 3}))).settled) == 3


def test_a_payment_that_another_queues_head_does_not_reach_ends_the_head() -> None:
    far = queued(1, ("EUR", A, B, 1), ("SGD", B, A, 1))
    behind = queued(2, ("EUR", A, B, 1))
    snapshot = snapshot_of(far, behind, A_EUR=9, B_SGD=9)
    cut = replace(snapshot, queues={**snapshot.queues, (B, "SGD"): ()})
    assert book_of(cut).items == ()
    assert len(book_of(snapshot).items) == 2


@pytest.mark.parametrize(("bits", "is_bypassable"), [(0b11, True), (0b01, False), (0b10, False)])
def test_a_payment_may_be_skipped_only_if_every_payer_says_so(
    bits: int,
    is_bypassable: bool,
) -> None:
    legs = (("EUR", A, B, 1), ("SGD", B, A, 1))
    assert queued(1, *legs, bypassable=bits).is_bypassable is is_bypassable
    assert queued(1, *legs, bypassable=0b10, quoted=True).is_bypassable


# What is sent


def test_rounds_go_by_what_those_before_them_leave_of_the_queues() -> None:
    payments = [queued(number, ("EUR", A, B, 1)) for number in range(1, 6)]
    snapshot = snapshot_of(*payments, A_EUR=5)
    steps = solve_in_rounds(book_of(snapshot), 2).rounds
    rounds = rounds_of(snapshot, steps)
    assert [(each.items, each.settles) for each in rounds] == [(2, 2), (2, 2), (1, 1)]
    second = propose(snapshot.without({name_of(1), name_of(2)}), {name_of(3), name_of(4)})
    assert names(second) == [3, 4]
    assert rounds[1].call == settlement_call("resolve", (second.abi,))


def test_explicit_items_are_proposed_with_those_that_are_skipped_marked() -> None:
    large = queued(1, ("EUR", A, B, 9), bypassable=1)
    snapshot = snapshot_of(large, queued(2, ("EUR", A, B, 4)), A_EUR=4)
    step = Solution(advances={}, settled=(name_of(2),), closing={}, value_by_currency={})
    (only,) = rounds_of(snapshot, [step])
    proposal = propose(snapshot, {name_of(2)})
    assert proposal.skipped == (True, False)
    arguments = (NOTHING, proposal.abi, [True, False])
    assert only.call == settlement_call("resolveSelected", arguments)


def test_the_largest_round_of_the_plainest_payments_fits_a_transaction() -> None:
    payments = [queued(number, ("EUR", A, B, 1)) for number in range(1, HEAD_ITEMS_MAX + 1)]
    snapshot = snapshot_of(*payments, A_EUR=HEAD_ITEMS_MAX)
    (only,) = rounds_of(snapshot, solve_in_rounds(book_of(snapshot), HEAD_ITEMS_MAX).rounds)
    assert only.settles == HEAD_ITEMS_MAX
    assert len(only.call.data) < 100_000
    assert only.gas_limit < GAS_MAX
