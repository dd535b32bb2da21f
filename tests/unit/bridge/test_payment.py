"""The life of a payment: every state against every fact, as a table."""

from dataclasses import replace
from itertools import product

import pytest

from bridge.errors import UnexpectedTransition
from bridge.money import Amount, parse_currency
from bridge.payment import (
    Charges,
    Direction,
    Effect,
    Event,
    Fact,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    SettlementId,
    Terms,
    transition,
)

EUR, SGD = parse_currency("EUR"), parse_currency("SGD")

PAYMENT = Payment(
    payment_id=PaymentId("pay_1"),
    direction=Direction.OUTGOING,
    state=PaymentState.RESERVED,
    client="alice",
    uetr="6c1d9f04-5b0e-4f6a-9b1c-2f7a3c58d9e1",
    end_to_end_id="RENT",
    settlement_id=SettlementId(bytes(32)),
    counterparty_lei="DEVN00STRAITSHARB026",
    settlement_amount=Amount(SGD, 100_000),
    terms=Terms(
        legs=(Leg("EUR", bytes(32), bytes(32), 1),),
        message_commitment=bytes(32),
        quote_hash=bytes(32),
        accept_by=1,
        settle_by=2,
    ),
    created_at=0,
)

WHOLE = (Effect.VOID_RESERVATION, Effect.NOTIFY_CUSTOMER)
POSTED = (Effect.POST_RESERVATION, Effect.NOTIFY_CUSTOMER)
TAKEN_BACK = (Effect.SUBMIT_WITHDRAW,)
DELIVERED = (Effect.DELIVER_MESSAGE,)
CREDITED = (Effect.CREDIT_CUSTOMER, Effect.NOTIFY_CUSTOMER)
CONSENTED = (Effect.SUBMIT_ACCEPT, Effect.DELIVER_STATUS)
DECLINED = (Effect.DELIVER_STATUS, Effect.SUBMIT_REJECT)

STEPS = [
    # direction, before, fact, after, effects
    ("outgoing", "reserved", "instructed", "instructed", DELIVERED),
    ("outgoing", "reserved", "reverted", "failed", WHOLE),
    ("outgoing", "reserved", "lapsed", "failed", WHOLE),
    ("outgoing", "reserved", "withdrawal_asked", "reserved", TAKEN_BACK),
    ("outgoing", "instructed", "accepted", "accepted", ()),
    ("outgoing", "instructed", "settled", "settled", POSTED),
    ("outgoing", "instructed", "rejected", "rejected", WHOLE),
    ("outgoing", "instructed", "cancelled", "cancelled", WHOLE),
    ("outgoing", "instructed", "expired", "expired", WHOLE),
    ("outgoing", "instructed", "message_refused", "instructed", TAKEN_BACK),
    ("outgoing", "instructed", "withdrawal_asked", "instructed", TAKEN_BACK),
    ("outgoing", "accepted", "queued", "queued", (Effect.NOTIFY_CUSTOMER,)),
    ("outgoing", "accepted", "settled", "settled", POSTED),
    ("outgoing", "accepted", "rejected", "rejected", WHOLE),
    ("outgoing", "accepted", "cancelled", "cancelled", WHOLE),
    ("outgoing", "accepted", "expired", "expired", WHOLE),
    ("outgoing", "queued", "settled", "settled", POSTED),
    ("outgoing", "queued", "cancelled", "withdrawn", WHOLE),
    ("outgoing", "queued", "expired", "expired", WHOLE),
    ("outgoing", "queued", "withdrawal_asked", "queued", TAKEN_BACK),
    ("incoming", "announced", "accept_decided", "accepted", CONSENTED),
    ("incoming", "announced", "refuse_decided", "refused", DECLINED),
    ("incoming", "announced", "accepted", "accepted", ()),
    ("incoming", "announced", "settled", "settled", CREDITED),
    ("incoming", "announced", "rejected", "rejected", ()),
    ("incoming", "announced", "cancelled", "cancelled", ()),
    ("incoming", "announced", "expired", "expired", ()),
    ("incoming", "accepted", "accepted", "accepted", ()),
    ("incoming", "accepted", "queued", "queued", ()),
    ("incoming", "accepted", "settled", "settled", CREDITED),
    ("incoming", "accepted", "rejected", "rejected", ()),
    ("incoming", "accepted", "cancelled", "cancelled", ()),
    ("incoming", "accepted", "expired", "expired", ()),
    ("incoming", "queued", "settled", "settled", CREDITED),
    ("incoming", "queued", "cancelled", "withdrawn", ()),
    ("incoming", "queued", "expired", "expired", ()),
    ("incoming", "refused", "accepted", "accepted", ()),
    ("incoming", "refused", "settled", "settled", CREDITED),
    ("incoming", "refused", "rejected", "rejected", ()),
    ("incoming", "refused", "cancelled", "cancelled", ()),
    ("incoming", "refused", "expired", "expired", ()),
]

ALLOWED = {(direction, before, fact) for direction, before, fact, _, _ in STEPS}


@pytest.mark.parametrize(("direction", "before", "fact", "after", "effects"), STEPS)
def test_a_fact_leads_to_its_state_and_its_effects(
    direction: str, before: str, fact: str, after: str, effects: tuple[Effect, ...]
) -> None:
    payment = replace(PAYMENT, direction=Direction(direction), state=PaymentState(before))
    changed, followed = transition(payment, Event(Fact(fact)))
    assert changed == replace(payment, state=PaymentState(after))
    assert followed == effects


@pytest.mark.parametrize(
    ("direction", "before", "fact"),
    [
        (direction.value, before.value, fact.value)
        for direction, before, fact in product(Direction, PaymentState, Fact)
        if (direction.value, before.value, fact.value) not in ALLOWED
    ],
)
def test_any_other_fact_breaks_an_invariant(direction: str, before: str, fact: str) -> None:
    payment = replace(PAYMENT, direction=Direction(direction), state=PaymentState(before))
    with pytest.raises(UnexpectedTransition):
        transition(payment, Event(Fact(fact)))


def test_money_moves_exactly_once_on_every_path_to_an_end() -> None:
    """Walk every path of the table: a reservation is posted or voided once, a credit booked once."""
    moving = {Effect.POST_RESERVATION, Effect.VOID_RESERVATION, Effect.CREDIT_CUSTOMER}
    starts = [("outgoing", "reserved", 0), ("incoming", "announced", 0)]
    seen = set()
    while starts:
        direction, state, moved = starts.pop()
        if (direction, state, moved) in seen:
            continue
        seen.add((direction, state, moved))
        nexts = [row for row in STEPS if row[0] == direction and row[1] == state]
        if not nexts:
            expected = {0} if (direction, state) != ("incoming", "settled") else {1}
            assert moved in ({1} if direction == "outgoing" else expected)
        for _, _, _, after, effects in nexts:
            starts.append((direction, after, moved + sum(effect in moving for effect in effects)))


def test_an_event_leaves_its_transaction_and_reason_on_the_payment() -> None:
    payment = replace(PAYMENT, state=PaymentState.INSTRUCTED)
    event = Event(Fact.REJECTED, reason="AC01", transaction_hash=b"\x01" * 32, block_number=7)
    changed, _ = transition(payment, event)
    assert (changed.reason, changed.transaction_hash, changed.block_number) == (
        "AC01",
        b"\x01" * 32,
        7,
    )


def test_a_reason_that_was_sealed_is_not_lost_to_a_coarse_event() -> None:
    payment = replace(PAYMENT, state=PaymentState.INSTRUCTED, reason="AC01")
    changed, _ = transition(payment, Event(Fact.REJECTED))
    assert changed.reason == "AC01"


@pytest.mark.parametrize("direction", Direction)
def test_a_payment_that_settled_has_no_reason(direction: Direction) -> None:
    """A withdrawal that came too late names one; it is none of a payment that settled."""
    payment = replace(PAYMENT, direction=direction, state=PaymentState.QUEUED, reason="CUST")
    changed, _ = transition(payment, Event(Fact.SETTLED))
    assert changed.reason is None


def test_the_debit_is_principal_and_fee_and_the_margin_is_principal_less_cost() -> None:
    charges = Charges(
        principal=Amount(EUR, 69_044),
        cost=Amount(EUR, 68_871),
        fee=Amount(EUR, 500),
        rate="1.44837",
    )
    assert charges.debit == Amount(EUR, 69_544)
    assert charges.margin == Amount(EUR, 173)
