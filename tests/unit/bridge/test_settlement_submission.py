"""What a payment's effects send to the chain, and when they wait instead."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from bridge.chain import Call, Submitter, settlement_call, uetr_hash
from bridge.payment import Direction, Payment, PaymentState
from bridge.settlement.observation import EXPIRE, EXPIRY_DELAY_SECONDS, INSTRUCT
from bridge.settlement.submission import GAS_LIMIT, Submission
from bridge.store import EffectRow
from bridge.worker import Done, Outcome, Retry
from support import bridge_records
from support.bridge_api import NOW
from support.participants import BANK_A
from support.settlement_desk import NETWORK, Desk


@dataclass(slots=True)
class Wire:
    """A submitter that keeps what it is given."""

    calls: list[Call] = field(default_factory=list)

    def submit(self, call: Call) -> None:
        self.calls.append(call)


@dataclass(slots=True)
class Street:
    """A bank's submission over a wire, with one payment."""

    desk: Desk
    wire: Wire
    payment: Payment

    def does(self, kind: str, *, at: int = NOW) -> Outcome:
        institution = replace(self.desk.institution, clock=lambda: at)
        submission = Submission(institution, cast(Submitter, self.wire))
        effect = EffectRow(
            effect_id=1,
            kind=kind,
            key=f"{self.payment.payment_id}:{kind}",
            payload={},
            payment_id=self.payment.payment_id,
            attempts=1,
        )
        return submission.handlers()[kind](effect)

    def becomes(self, state: PaymentState) -> None:
        self.payment = replace(self.payment, state=state)
        with self.desk.store.unit_of_work() as work:
            work.payments.save(self.payment)

    @property
    def sent(self) -> list[bytes]:
        return [call.data for call in self.wire.calls]


@pytest.fixture
def street(tmp_path: Path) -> Street:
    desk = Desk(BANK_A, tmp_path)
    payment = bridge_records.payment(1, Direction.OUTGOING)
    payment = replace(
        payment, terms=replace(payment.terms, accept_by=NOW + 60, settle_by=NOW + 300)
    )
    signed = bridge_records.signed_quote()
    signature = NETWORK[BANK_A].quoting.sign_digest(signed.quote_hash)
    payment = replace(payment, signed_quote=replace(signed, signature=signature))
    with desk.store.unit_of_work() as work:
        work.payments.add(payment)
    return Street(desk, Wire(), payment)


def test_an_exchange_is_instructed_with_its_one_quote_and_who_signed_it(street: Street) -> None:
    payment = street.payment
    street.does(INSTRUCT)
    arguments = (uetr_hash(payment.uetr), payment.terms, [payment.signed_quote])
    assert street.sent == [settlement_call("instructWithQuotes", arguments).data]
    assert street.wire.calls[0].gas_limit == GAS_LIMIT["instructWithQuotes"]


def test_consent_ranks_no_leg_since_the_bank_pays_none(street: Street) -> None:
    payment = street.payment
    street.does("submit_accept")
    arguments = (payment.settlement_id, payment.terms, 0, 0)
    assert street.sent == [settlement_call("accept", arguments).data]


def test_what_nobody_accepted_is_expired_after_its_deadline(street: Street) -> None:
    payment = street.payment
    street.becomes(PaymentState.INSTRUCTED)
    assert isinstance(street.does(EXPIRE, at=NOW + 63), Retry)
    arguments = (payment.settlement_id, payment.terms)
    assert street.sent == [settlement_call("expire", arguments).data]


def test_what_waits_for_liquidity_is_expired_only_after_its_last_second_to_settle(
    street: Street,
) -> None:
    street.becomes(PaymentState.QUEUED)
    waiting = street.does(EXPIRE, at=NOW + 63)
    assert isinstance(waiting, Retry)
    due_at = NOW + 63 + waiting.after_seconds
    assert due_at == NOW + 300 + EXPIRY_DELAY_SECONDS
    assert street.sent == []
    assert isinstance(street.does(EXPIRE, at=due_at), Retry)
    assert len(street.sent) == 1


@pytest.mark.parametrize("kind", [EXPIRE, "submit_withdraw"])
def test_nothing_is_sent_for_a_payment_that_has_ended(street: Street, kind: str) -> None:
    street.becomes(PaymentState.SETTLED)
    assert street.does(kind, at=NOW + 999) == Done()
    assert street.sent == []
