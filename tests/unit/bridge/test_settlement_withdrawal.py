"""A payment that is not final is asked back (PAY-20)."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import PaymentNotWaiting
from bridge.payment import Direction, Payment, PaymentState
from bridge.settlement.withdrawal import WITHDRAWABLE, ask_withdrawal
from support import bridge_records
from support.participants import BANK_A
from support.settlement_desk import Desk


@pytest.fixture
def bank(tmp_path: Path) -> Desk:
    return Desk(BANK_A, tmp_path)


def kept(bank: Desk, state: PaymentState, direction: Direction = Direction.OUTGOING) -> Payment:
    payment = replace(bridge_records.payment(1, direction), state=state)
    with bank.store.unit_of_work() as work:
        work.payments.add(payment)
    return payment


@pytest.mark.parametrize("state", sorted(WITHDRAWABLE, key=str))
def test_a_payment_under_way_is_on_its_way_out_once_however_often_it_is_asked_for(
    bank: Desk, state: PaymentState
) -> None:
    """Only one that waits can no longer be refused: before that its reason may still be another."""
    payment = kept(bank, state)
    for _ in range(2):
        asked = ask_withdrawal(bank.institution, payment.payment_id)
        assert asked.state is state
        assert asked.reason == ("CUST" if state is PaymentState.QUEUED else None)
    with bank.store.unit_of_work() as work:
        due = work.effects.claim(now=10**12, owner="test", limit=9, lease_seconds=0)
    assert [effect.kind for effect in due] == ["submit_withdraw"]


@pytest.mark.parametrize("state", sorted(set(PaymentState) - WITHDRAWABLE, key=str))
def test_no_other_payment_can_be_asked_back(bank: Desk, state: PaymentState) -> None:
    payment = kept(bank, state)
    with pytest.raises(PaymentNotWaiting):
        ask_withdrawal(bank.institution, payment.payment_id)
    assert bank.effects() == set()


def test_the_creditor_bank_cannot_take_back_what_another_sent(bank: Desk) -> None:
    payment = kept(bank, PaymentState.QUEUED, Direction.INCOMING)
    with pytest.raises(PaymentNotWaiting):
        ask_withdrawal(bank.institution, payment.payment_id)
