"""A settled payment is asked back and answered, at both banks.

Cites docs/spec/payment.md: RCL-1 to RCL-8, ENQ-1 to ENQ-3.
"""

from pathlib import Path

import pytest

from bridge.alert import AlertKind
from bridge.config import AlertSettings
from bridge.errors import RecallAnswered, RecallLate, RecallUnavailable, RequestInvalid
from bridge.iso20022.codes import CancellationReason, MessageName
from bridge.iso20022.parse import parse_status_report
from bridge.money import Amount
from bridge.payment import Payment, PaymentState
from bridge.settlement.observation import ENQUIRE, EXPIRE
from bridge.settlement.recall import DAY_SECONDS, RecallOrder, answer_recall, ask_back
from bridge.store import CustomerAccountStatus, Recall, RecallState
from bridge.watch import Watch
from support.payment_street import ALICE, BOB, EUR, Bank, Street


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def recalled(street: Street, payment: Payment, client: str | None = "alice") -> Recall | None:
    """Bank A asks back what it sent."""
    sent = street.a_side(payment)
    order = RecallOrder(sent.payment_id, CancellationReason.DUPL, client)
    return ask_back(street.a.institution, order)


def answered(street: Street, payment: Payment, answer: str) -> None:
    """The customer of bank B says what they want."""
    institution = street.b.institution
    with street.b.store.unit_of_work() as work:
        answer_recall(institution, work, payment.payment_id, answer, street.clock())


def recall(bank: Bank, payment: Payment) -> Recall:
    with bank.store.reading() as work:
        (found,) = work.recalls.page().items
    assert found.payment_id == payment.payment_id
    return found


def states(street: Street, payment: Payment) -> tuple[RecallState, RecallState]:
    sent = street.a_side(payment)
    return recall(street.a, sent).state, recall(street.b, payment).state


def test_rcl_1_a_granted_recall_brings_the_money_back(street: Street) -> None:
    payment = street.settled()
    recalled(street, payment)
    street.settle_down()
    assert states(street, payment) == (RecallState.ASKED, RecallState.ASKED)
    street.b.approves("answer_recall", payment.payment_id, answer="grant")
    street.settle_down()
    assert states(street, payment) == (RecallState.GRANTED, RecallState.GRANTED)
    assert (street.a.balance(ALICE), street.b.balance(BOB)) == (200_000, 0)
    with street.b.store.reading() as work:
        (given,) = work.payments.returns_of(payment.payment_id)
        names = {each.name for each in work.messages.of_payment(payment.payment_id)}
    assert given.return_of is not None
    assert given.return_of.reason == "FOCR"
    assert recall(street.b, payment).return_payment_id == given.payment_id
    assert names >= {MessageName.CANCELLATION_REQUEST, MessageName.INVESTIGATION_RESOLUTION}


def test_rcl_2_a_rejected_recall_moves_nothing_and_says_why(street: Street) -> None:
    payment = street.settled()
    recalled(street, payment)
    street.settle_down()
    answered(street, payment, "CUST")
    street.settle_down()
    assert states(street, payment) == (RecallState.REJECTED, RecallState.REJECTED)
    assert recall(street.a, street.a_side(payment)).rejection == "CUST"
    assert (street.a.balance(ALICE), street.b.balance(BOB)) == (190_000, 10_000)
    with pytest.raises(RecallAnswered):
        answered(street, payment, "grant")


def test_rcl_3_a_payment_is_asked_back_once_however_often_it_is_asked_for(street: Street) -> None:
    payment = street.settled()
    first = recalled(street, payment)
    assert recalled(street, payment, None) == first
    street.settle_down()
    answered(street, payment, "grant")
    street.settle_down()
    again = recalled(street, payment)
    assert again is not None
    assert again.state is RecallState.GRANTED
    assert street.a.balance(ALICE) == 200_000


def test_rcl_4_what_is_not_final_is_withdrawn_instead(street: Street) -> None:
    street.is_cut = True
    street.pays("one", 10_000)
    street.a.works()
    street.chain.mine()
    street.a.works()
    (payment,) = street.a.payments()
    assert payment.state is PaymentState.INSTRUCTED
    assert ask_back(street.a.institution, RecallOrder(payment.payment_id, _DUPL, "alice")) is None
    street.settle_down()
    (payment,) = street.a.payments()
    assert (payment.state, payment.reason) == (PaymentState.CANCELLED, "CUST")
    assert street.a.available(ALICE) == 200_000
    with pytest.raises(RecallUnavailable):
        ask_back(street.a.institution, RecallOrder(payment.payment_id, _DUPL))


def test_rcl_5_a_customer_asks_in_time_a_bank_at_any_time(street: Street) -> None:
    payment = street.settled()
    street.chain.now += 10 * DAY_SECONDS + 1
    with pytest.raises(RecallLate):
        recalled(street, payment)
    assert recalled(street, payment, None) is not None


def test_rcl_6_a_recall_without_an_answer_is_an_alert_at_both_banks_until_it_is_closed(
    street: Street,
) -> None:
    payment = street.settled()
    recalled(street, payment)
    street.settle_down()
    street.chain.now += 10 * DAY_SECONDS + 1
    sent = street.a_side(payment)
    for bank, subject in ((street.a, sent.payment_id), (street.b, payment.payment_id)):
        assert raised(bank) == {(AlertKind.RECALL_UNANSWERED, subject)}
    street.a.approves("close_recall", sent.payment_id)
    assert raised(street.a) == set()
    street.b.approves("answer_recall", payment.payment_id, answer="grant")
    street.settle_down()
    assert states(street, payment) == (RecallState.GRANTED, RecallState.GRANTED)
    assert street.a.balance(ALICE) == 200_000


def test_rcl_7_money_that_is_not_there_is_not_granted(street: Street) -> None:
    payment = street.settled(5_000)
    with street.b.store.unit_of_work() as work:
        work.customers.set_status(BOB, CustomerAccountStatus.CLOSED)
    recalled(street, payment)
    street.settle_down()
    with pytest.raises(RequestInvalid):
        answered(street, payment, "perhaps")
    street.b.approves("return_payment", payment.payment_id, reason="AC04", amount="30.00")
    street.settle_down()
    street.b.approves("answer_recall", payment.payment_id, answer="grant")
    street.settle_down()
    with street.b.store.reading() as work:
        amounts = [each.settlement_amount for each in work.payments.returns_of(payment.payment_id)]
    assert amounts == [Amount(EUR, 3_000), Amount(EUR, 2_000)]
    assert street.a.balance(ALICE) == 200_000


def test_rcl_8_a_granted_recall_whose_return_did_not_settle_is_an_alert_until_one_does(
    street: Street,
) -> None:
    payment = street.settled(5_000)
    recalled(street, payment)
    street.settle_down()
    street.is_cut = True
    street.b.approves("answer_recall", payment.payment_id, answer="grant")
    street.settle_down(70)
    assert (AlertKind.RECALL_UNPAID, payment.payment_id) in raised(street.b)
    street.is_cut = False
    street.b.approves("return_payment", payment.payment_id, reason="FOCR")
    street.settle_down()
    assert (AlertKind.RECALL_UNPAID, payment.payment_id) not in raised(street.b)
    assert street.a.balance(ALICE) == 200_000


def raised(bank: Bank) -> set[tuple[AlertKind, str]]:
    clock = bank.institution.clock
    patient = frozenset({ENQUIRE, EXPIRE})
    Watch(bank.store, AlertSettings(), clock, patient).step()
    with bank.store.reading() as work:
        found = work.alerts.raised()
    return {(each.finding.kind, each.finding.subject) for each in found}


def reports(street: Street, payment: Payment) -> list[str]:
    """What bank B reported to bank A."""
    with street.a.store.reading() as work:
        kept = work.messages.of_payment(payment.payment_id)
    return [
        parse_status_report(each.document).status.value
        for each in kept
        if ":from-agent:" in each.message_id
    ]


def instructed(street: Street) -> Payment:
    """A payment on the chain whose pacs.008 has not reached bank B."""
    street.is_cut = True
    street.pays("one", 10_000)
    street.a.works()
    street.chain.mine()
    for bank in (street.a, street.b):
        bank.works()
    (payment,) = street.a.payments()
    return payment


def test_enq_1_a_bank_that_hears_nothing_asks_and_is_told(street: Street) -> None:
    """The message is there, bank B has not looked at it: so it says, and then what it decided."""
    payment = instructed(street)
    street.is_cut = False
    street.chain.now += 19
    street.a.works()
    assert reports(street, payment) == []
    street.chain.now += 2
    for bank in (street.a, street.b):
        bank.works()
    assert reports(street, payment) == ["PDNG", "ACCP"]


def test_enq_2_nothing_is_asked_once_the_other_bank_has_reported_or_it_is_over(
    street: Street,
) -> None:
    payment = street.settled()
    street.settle_down(25)
    sent = street.a_side(payment)
    assert reports(street, sent) == ["ACCP"]
    with street.b.store.reading() as work:
        names = [each.name for each in work.messages.of_payment(payment.payment_id)]
    assert MessageName.STATUS_REQUEST not in names


def test_enq_3_once_told_it_asks_no_more(street: Street) -> None:
    payment = instructed(street)
    street.is_cut = False
    street.chain.now += 21
    for _ in range(3):
        for bank in (street.a, street.b):
            bank.works()
        street.chain.now += 20
    told = reports(street, payment)
    assert told[-1] == "ACCP"
    assert told.count("PDNG") <= 1
    with street.a.store.reading() as work:
        waiting = work.effects.retried_since(street.chain.now + 999, 9)
    assert ENQUIRE not in {each.effect.kind for each in waiting}


_DUPL = CancellationReason.DUPL
