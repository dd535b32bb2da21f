"""Whatever happens to a payment, in whatever order: money moves once, ends are final."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UnexpectedTransition
from bridge.payment import (
    TERMINAL,
    Direction,
    Effect,
    Event,
    Fact,
    Payment,
    PaymentState,
    transition,
)
from support import bridge_records

STARTS = {
    Direction.OUTGOING: PaymentState.RESERVED,
    Direction.INCOMING: PaymentState.ANNOUNCED,
}

EVENTS = st.builds(
    Event,
    fact=st.sampled_from(Fact),
    reason=st.sampled_from([None, "AC01", "FF01"]),
    block_number=st.none() | st.integers(0, 100),
)


def played(direction: Direction, events: list[Event]) -> tuple[Payment, Counter[Effect]]:
    """The payment after all events that can follow, and how often each effect came."""
    payment = replace(bridge_records.payment(1, direction), state=STARTS[direction])
    effects: Counter[Effect] = Counter()
    for event in events:
        try:
            changed, followed = transition(payment, event)
        except UnexpectedTransition:
            continue
        assert not payment.is_terminal
        assert replace(changed, state=payment.state, reason=payment.reason) == replace(
            payment,
            block_number=changed.block_number,
            transaction_hash=changed.transaction_hash,
        )
        payment = changed
        effects.update(followed)
    return payment, effects


@given(st.sampled_from(Direction), st.lists(EVENTS, max_size=12))
def test_money_moves_at_most_once_and_only_when_the_payment_has_ended(
    direction: Direction, events: list[Event]
) -> None:
    payment, effects = played(direction, events)
    moves = (
        effects[Effect.POST_RESERVATION]
        + effects[Effect.VOID_RESERVATION]
        + effects[Effect.CREDIT_CUSTOMER]
    )
    assert moves <= 1
    if not payment.is_terminal:
        assert moves == 0
    elif direction is Direction.OUTGOING:
        assert moves == 1
        assert bool(effects[Effect.POST_RESERVATION]) == (payment.state is PaymentState.SETTLED)
    else:
        assert bool(effects[Effect.CREDIT_CUSTOMER]) == (payment.state is PaymentState.SETTLED)


@given(st.sampled_from(Direction), st.lists(EVENTS, max_size=12))
def test_the_creditor_bank_answers_once_and_never_both_ways(
    direction: Direction, events: list[Event]
) -> None:
    _, effects = played(direction, events)
    answers = effects[Effect.SUBMIT_ACCEPT] + effects[Effect.SUBMIT_REJECT]
    assert answers <= 1
    assert effects[Effect.DELIVER_STATUS] == answers
    assert effects[Effect.DELIVER_MESSAGE] <= 1


@given(st.sampled_from(Direction), st.sampled_from(sorted(TERMINAL, key=str)), EVENTS)
def test_nothing_follows_an_end(direction: Direction, state: PaymentState, event: Event) -> None:
    payment = replace(bridge_records.payment(1, direction), state=state)
    try:
        transition(payment, event)
    except UnexpectedTransition:
        return
    raise AssertionError(f"{event} changed a payment that is {state}")
