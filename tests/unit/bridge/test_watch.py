"""What is stuck is found, kept and ended by two operators.

Cites docs/spec/payment.md: STK-1 to STK-5, NON-1 to NON-4.
"""

from pathlib import Path

import pytest

from bridge.alert import ACTIONS_BY_KIND, AlertKind
from bridge.config import AlertSettings
from bridge.displacement import CONSUME_NONCE, consume, consume_nonce
from bridge.errors import (
    EffectNotStuck,
    MessageNotWaiting,
    PaymentNotOverdue,
    TransactionNotOutstanding,
)
from bridge.operating import FourEyes, Operator, Wish
from bridge.payment import PaymentState
from bridge.revival import REVIVE_EFFECT, WRITE_OFF_EFFECT, revive_effect, write_off_effect
from bridge.settlement.interventions import settlement_actions
from bridge.settlement.observation import EXPIRE, INSTRUCT
from bridge.settlement.order import Result
from bridge.store import InboxMessage, NewEffect, OutgoingTransaction, TransactionState
from bridge.watch import Watch
from support.participants import BANK_B
from support.payment_street import ALICE, Bank, Street

BOUNDS = AlertSettings(
    payment_seconds=5, effect_seconds=5, transaction_seconds=5, message_seconds=5
)
TEN = 10_000


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def watch(bank: Bank) -> set[tuple[AlertKind, str]]:
    """Look once; what is raised then."""
    clock = bank.institution.clock
    Watch(bank.store, BOUNDS, clock, patient=frozenset({EXPIRE})).step()
    with bank.store.reading() as work:
        raised = work.alerts.raised()
        assert sum(work.alerts.counts().values()) == len(raised)
    return {(alert.finding.kind, alert.finding.subject) for alert in raised}


def act(bank: Bank, kind: str, subject: str) -> None:
    """Two operators agree."""
    everywhere = {
        REVIVE_EFFECT: revive_effect,
        WRITE_OFF_EFFECT: write_off_effect,
        CONSUME_NONCE: consume_nonce,
    }
    actions = {**settlement_actions(bank.institution), **everywhere}
    four_eyes = FourEyes(bank.store, actions, bank.institution.clock)
    with bank.store.reading() as work:
        key = str(len(work.approvals.page().items))
    proposal = four_eyes.propose(Operator("olga"), Wish(kind, subject, {}, "stuck"), key)
    four_eyes.approve(Operator("otto"), proposal.proposal_id)


def outstanding(bank: Bank) -> OutgoingTransaction:
    with bank.store.reading() as work:
        (found,) = [each for each in work.transactions.outstanding() if each.replaces is None]
    return found


def consumed(bank: Bank) -> None:
    """The worker carries out what was agreed on."""
    with bank.store.unit_of_work() as work:
        now = bank.institution.clock()
        due = work.effects.claim(now=now, owner="nonce", limit=99, lease_seconds=60)
    for effect in due:
        if effect.kind == CONSUME_NONCE:
            consume(bank.submitter, effect)
        with bank.store.unit_of_work() as work:
            if effect.kind == CONSUME_NONCE:
                work.effects.done(effect)
            else:
                work.effects.retry(effect, now, "not this worker's")


def state(bank: Bank) -> PaymentState:
    (payment,) = bank.payments()
    return payment.state


def test_stk_1_a_quiet_bank_has_no_alert_and_writes_nothing(street: Street) -> None:
    street.settled(TEN)
    assert watch(street.a) == watch(street.b) == set()


def test_stk_2_a_payment_past_its_deadline_is_an_alert_until_the_chain_has_ended_it(
    street: Street,
) -> None:
    """The debtor bank is gone for ever: the creditor bank finds it and has it ended."""
    street.is_cut = True
    street.pays("one", TEN)
    street.a.works()
    street.chain.mine()
    street.b.works()
    (payment,) = street.b.payments()
    with pytest.raises(PaymentNotOverdue):
        act(street.b, "expire_now", payment.payment_id)
    street.chain.now = payment.terms.accept_by + 6
    assert watch(street.b) == {(AlertKind.PAYMENT_OVERDUE, payment.payment_id)}
    act(street.b, "expire_now", payment.payment_id)
    street.b.works()
    street.chain.mine()
    street.b.works()
    assert (state(street.b), watch(street.b)) == (PaymentState.EXPIRED, set())
    with street.b.store.reading() as work:
        (alert,) = work.alerts.page(is_raised=False).items
    assert alert.cleared_at == street.chain.now


def test_stk_2_an_expiry_that_was_written_off_can_still_be_asked_for(street: Street) -> None:
    street.is_cut = True
    street.pays("one", TEN)
    street.a.works()
    street.chain.mine()
    street.a.works()
    (payment,) = street.a.payments()
    street.chain.now = payment.terms.accept_by + 6
    with street.a.store.unit_of_work() as work:
        due = work.effects.claim(now=street.chain.now, owner="x", limit=9, lease_seconds=1)
        for effect in due:
            work.effects.abandon(effect, "given up")
    act(street.a, "write_off_effect", f"{payment.payment_id}:{EXPIRE}")
    assert (AlertKind.PAYMENT_OVERDUE, payment.payment_id) in watch(street.a)
    act(street.a, "expire_now", payment.payment_id)
    street.settle_down()
    assert state(street.a) is PaymentState.EXPIRED


def test_stk_3_an_effect_tried_in_vain_or_given_up_is_an_alert_until_it_is_written_off(
    street: Street,
) -> None:
    with street.a.store.unit_of_work() as work:
        for key in ("vain", "dead", "done"):
            effect = NewEffect(kind="unheard", key=key, payload={}, due_at=street.chain.now)
            work.effects.add(effect)
        claimed = work.effects.claim(now=street.chain.now, owner="test", limit=9, lease_seconds=1)
        by_key = {effect.key: effect for effect in claimed}
        work.effects.retry(by_key["vain"], street.chain.now + 1, "not yet")
        work.effects.abandon(by_key["dead"], "never")
        work.effects.done(by_key["done"])
    assert watch(street.a) == {(AlertKind.EFFECT_DEAD, "dead")}
    street.chain.now += 10
    both = {(AlertKind.EFFECT_DEAD, "dead"), (AlertKind.EFFECT_RETRYING, "vain")}
    assert watch(street.a) == both
    for _, key in both:
        act(street.a, "write_off_effect", key)
    assert watch(street.a) == set()
    with pytest.raises(EffectNotStuck):
        act(street.a, "write_off_effect", "done")


def test_stk_4_a_message_whose_payment_never_came_is_an_alert_until_it_is_forgotten(
    street: Street,
) -> None:
    message = InboxMessage(b"\x42" * 32, BANK_B, b"<x/>", b"\x01" * 32, street.chain.now)
    with street.a.store.unit_of_work() as work:
        work.inbox.put(message)
    assert watch(street.a) == set()
    street.chain.now += 6
    subject = f"0x{message.settlement_id.hex()}"
    assert watch(street.a) == {(AlertKind.MESSAGE_UNANNOUNCED, subject)}
    act(street.a, "write_off_message", subject)
    assert watch(street.a) == set()
    with pytest.raises(MessageNotWaiting):
        act(street.a, "write_off_message", "0xnonsense")
    with street.a.store.unit_of_work() as work:
        assert work.inbox.put(message)


def test_stk_5_every_kind_of_alert_has_an_action_that_can_end_it(street: Street) -> None:
    known = {
        REVIVE_EFFECT,
        WRITE_OFF_EFFECT,
        CONSUME_NONCE,
        *settlement_actions(street.a.institution),
    }
    for kind in AlertKind:
        assert ACTIONS_BY_KIND[kind], kind
        assert set(ACTIONS_BY_KIND[kind]) <= known


def refused(street: Street) -> OutgoingTransaction:
    """A's instruction, which no node takes: its nonce holds up all that A signs after it."""
    answer = street.pays("one", TEN)
    assert answer.result is Result.ACCEPTED
    street.chain.forget()
    with street.a.store.reading() as work:
        payment = work.payments.get(str(answer.body["id"]))
    street.a.works()
    street.chain.forget()
    transaction = outstanding(street.a)
    assert transaction.purpose == f"{payment.payment_id}:{INSTRUCT}"
    street.chain.refused.add(transaction.hash)
    return transaction


def test_non_1_a_nonce_that_cannot_be_included_is_used_up_and_the_receipt_decides(
    street: Street,
) -> None:
    transaction = refused(street)
    street.chain.now += 6
    subject = f"0x{transaction.hash.hex()}"
    assert watch(street.a) == {(AlertKind.TRANSACTION_UNMINED, subject)}
    act(street.a, "consume_nonce", subject)
    consumed(street.a)
    assert state(street.a) is PaymentState.RESERVED
    street.chain.mine()
    street.a.works()
    assert state(street.a) is PaymentState.FAILED
    assert street.a.available(ALICE) == 200_000
    assert watch(street.a) == set()
    with street.a.store.reading() as work:
        found = work.transactions.get(transaction.hash)
    assert found is not None
    assert found.state is TransactionState.DISPLACED
    with pytest.raises(TransactionNotOutstanding):
        act(street.a, "consume_nonce", subject)


def test_non_2_one_no_op_is_signed_however_often_it_is_wanted_and_sent(street: Street) -> None:
    transaction = refused(street)
    act(street.a, "consume_nonce", f"0x{transaction.hash.hex()}")
    consumed(street.a)
    street.chain.forget()
    street.a.submitter.consume(transaction.hash)
    with street.a.store.reading() as work:
        signed = work.transactions.at_nonce(transaction.sender, transaction.nonce)
    with pytest.raises(TransactionNotOutstanding):
        act(street.a, "consume_nonce", f"0x{signed[1].hash.hex()}")
    assert [each.replaces for each in signed] == [None, transaction.hash]
    assert list(street.chain.pool.values()) == [signed[1].raw]


def test_non_3_where_the_transaction_came_into_a_block_after_all_it_counts(
    street: Street,
) -> None:
    transaction = refused(street)
    act(street.a, "consume_nonce", f"0x{transaction.hash.hex()}")
    consumed(street.a)
    street.chain.forget()
    street.chain.refused.clear()
    street.a.submitter.resend_outstanding()
    street.settle_down()
    assert state(street.a) is PaymentState.SETTLED
    with street.a.store.reading() as work:
        assert work.transactions.outstanding() == ()


def test_non_4_sending_what_was_displaced_before_its_block_was_read_does_no_harm(
    street: Street,
) -> None:
    transaction = refused(street)
    act(street.a, "consume_nonce", f"0x{transaction.hash.hex()}")
    consumed(street.a)
    street.chain.mine()
    street.chain.refused.clear()
    assert street.a.submitter.resend_outstanding()
    street.a.works()
    assert state(street.a) is PaymentState.FAILED
