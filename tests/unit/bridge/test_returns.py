"""Settled money goes back: in whole or in part, once, and both banks' books and the chain agree.

Cites docs/spec/payment.md: RTN-1 to RTN-9, SUS-1 to SUS-5; docs/spec/interbank.md: IBK-40, 42.
"""

from pathlib import Path

import pytest

from bridge import chart
from bridge.errors import ReturnExceeded, ReturnUnavailable, SuspenseResolved
from bridge.interbank.copies import Copyist, copy_hash
from bridge.iso20022.codes import MessageName, ReturnReason, StatusReason
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.parse import parse_payment_return
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount
from bridge.operating import Operator
from bridge.payment import Payment, PaymentState
from bridge.settlement.order import Answer, Result
from bridge.settlement.returning import ReturnOrder, give_back, request_return
from bridge.store import CustomerAccountStatus, SuspenseCause, SuspenseState, UnitOfWork
from support.bridge_api import ALICE_IBAN, CENTRAL_BANK, GENESIS_HASH
from support.participants import BANK_A, BANK_B
from support.payment_street import (
    ALICE,
    BOB,
    BOB_ACCOUNT,
    EUR,
    NETWORK,
    SUSPENSE,
    TOKENS,
    Bank,
    Street,
)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def asked(
    street: Street, payment: Payment, cents: int | None = None, key: str = "back", who: str = "bob"
) -> Answer:
    order = ReturnOrder(
        payment_id=payment.payment_id,
        reason=ReturnReason.CUST,
        key=key,
        amount=None if cents is None else Amount(EUR, cents),
        client=who if who == "bob" else None,
    )
    return request_return(street.b.institution, who, order)


def returns(street: Street, payment: Payment) -> list[Payment]:
    with street.b.store.reading() as work:
        return list(work.payments.returns_of(payment.payment_id))


def books(street: Street) -> tuple[int, int]:
    """Alice's and Bob's money, once both banks' tokens are what the chain says."""
    for bank, lei in ((street.a, BANK_A), (street.b, BANK_B)):
        assert bank.balance(TOKENS) == street.chain.balances[lei, "EUR"]
    return street.a.balance(ALICE), street.b.balance(BOB)


def test_rtn_1_a_customer_gives_a_payment_back_and_the_debtor_has_all_of_it(
    street: Street,
) -> None:
    payment = street.settled(5_000)
    assert books(street) == (195_000, 5_000)
    answer = asked(street, payment)
    assert answer.result is Result.ACCEPTED, answer.body
    street.settle_down()
    assert books(street) == (200_000, 0)
    (given,) = returns(street, payment)
    taken = street.a_side(given)
    assert (given.state, taken.state) == (PaymentState.SETTLED, PaymentState.SETTLED)
    assert given.return_of is not None
    assert taken.return_of is not None
    assert given.return_of.payment_id == payment.payment_id
    assert taken.return_of.payment_id == street.a_side(payment).payment_id
    assert (given.return_of.reason, taken.return_of.reason) == ("CUST", "CUST")


def test_rtn_2_the_pacs_004_names_the_original(street: Street) -> None:
    payment = street.settled(5_000)
    asked(street, payment, 2_000)
    street.settle_down()
    (given,) = returns(street, payment)
    with street.a.store.reading() as work:
        taken = street.a_side(given)
        kept = {each.name: each for each in work.messages.of_payment(taken.payment_id)}
    message = parse_payment_return(kept[MessageName.PAYMENT_RETURN].document)
    assert message.original.uetr == payment.uetr
    assert message.original_interbank_settlement_amount == Amount(EUR, 5_000)
    assert message.returned_interbank_settlement_amount == Amount(EUR, 2_000)
    assert set(kept) == {
        MessageName.PAYMENT_RETURN,
        MessageName.STATUS_REPORT,
        MessageName.ACCOUNT_NOTIFICATION,
    }


def test_ibk_40_the_central_bank_has_a_copy_of_a_return_that_fits_its_commitment(
    street: Street,
) -> None:
    payment = street.settled(5_000)
    street.copies.clear()
    asked(street, payment)
    street.settle_down()
    (given,) = returns(street, payment)
    (copy,) = street.copies
    assert given.terms.supervisor_copy_hash == copy_hash(copy)
    keys = NETWORK[CENTRAL_BANK].keys
    opened = Copyist(CENTRAL_BANK, keys, GENESIS_HASH.hex()).open(copy, street.chain.known)
    assert (opened.sender_lei, opened.content.settlement_id) == (BANK_B, given.settlement_id)
    message = parse_payment_return(opened.content.document)
    commitment = commit(canonical_content(message), opened.content.salt)
    assert commitment == given.terms.message_commitment


def test_ibk_42_a_return_whose_copy_is_not_shown_is_refused_and_booked_back(
    street: Street,
) -> None:
    payment = street.settled(5_000)
    street.hides_copies = True
    asked(street, payment)
    street.settle_down(70)
    (given,) = returns(street, payment)
    taken = street.a_side(given)
    assert (given.state, taken.reason) == (PaymentState.REJECTED, StatusReason.FF01)
    assert books(street) == (195_000, 5_000)


def test_rtn_3_parts_go_back_up_to_what_came_and_no_further(street: Street) -> None:
    payment = street.settled(5_000)
    assert asked(street, payment, 3_000, "a").result is Result.ACCEPTED
    assert asked(street, payment, 2_001, "b").body["code"] == "return_exceeded"
    street.settle_down()
    assert asked(street, payment, 2_000, "c").result is Result.ACCEPTED
    street.settle_down()
    assert books(street) == (200_000, 0)
    assert asked(street, payment, 1, "d").body["code"] == "return_exceeded"
    assert asked(street, payment, None, "e").body["code"] == "return_exceeded"


def test_rtn_4_the_same_wish_again_is_one_return_and_a_refusal_stays_one(street: Street) -> None:
    payment = street.settled(5_000)
    first = asked(street, payment, 3_000)
    assert asked(street, payment, 3_000) == Answer(first.result, first.body, replayed=True)
    refused = asked(street, payment, 3_000, "late")
    assert refused.result is Result.REFUSED
    street.chain.now += 1_000
    street.settle_down(5)
    assert [each.state for each in returns(street, payment)] == [PaymentState.FAILED]
    assert asked(street, payment, 3_000, "late").body == refused.body


def test_rtn_5_above_the_figure_for_one_person_two_must_want_it(street: Street) -> None:
    payment = street.settled(5_001)
    answer = asked(street, payment)
    assert answer.body["payment"] is None
    assert returns(street, payment) == []
    street.b.four_eyes.approve(Operator("otto"), str(answer.body["proposal_id"]))
    street.settle_down()
    assert books(street) == (200_000, 0)


def test_rtn_6_only_what_came_and_settled_goes_back(street: Street) -> None:
    payment = street.settled(5_000)
    asked(street, payment, 1_000)
    street.settle_down()
    sent = street.a_side(payment)
    with pytest.raises(ReturnUnavailable), street.a.store.unit_of_work() as work:
        _give(street.a, work, sent)
    (given,) = returns(street, payment)
    with pytest.raises(ReturnUnavailable), street.a.store.unit_of_work() as work:
        _give(street.a, work, street.a_side(given))


def test_rtn_7_a_return_that_does_not_settle_leaves_everything_as_it_was(street: Street) -> None:
    payment = street.settled(5_000)
    street.is_cut = True
    asked(street, payment)
    assert street.b.available(BOB) == 0
    street.settle_down(70)
    assert [each.state for each in returns(street, payment)] == [PaymentState.EXPIRED]
    assert books(street) == (195_000, 5_000)
    assert street.b.available(BOB) == 5_000
    street.is_cut = False
    asked(street, payment, key="again")
    street.settle_down()
    assert books(street) == (200_000, 0)


def test_rtn_8_a_return_to_a_closed_account_is_on_suspense_until_two_operators_credit_it(
    street: Street,
) -> None:
    payment = street.settled(5_000)
    _set(street.a, ALICE, CustomerAccountStatus.CLOSED)
    asked(street, payment)
    street.settle_down()
    (given,) = returns(street, payment)
    assert street.a.balance(SUSPENSE) == 5_000
    _set(street.a, ALICE, CustomerAccountStatus.OPEN)
    back = street.a_side(given).payment_id
    street.a.approves("release_suspense", back, account=ALICE_IBAN)
    assert books(street) == (200_000, 0)
    assert street.a.balance(SUSPENSE) == 0


def announced(street: Street, cents: int) -> Payment:
    """A payment that bank B has accepted and that waits on the chain for bank A's tokens."""
    street.chain.balances[BANK_A, "EUR"] = 0
    payment = street.settled(cents)
    street.chain.balances[BANK_A, "EUR"] = 500_000
    return payment


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (CustomerAccountStatus.CLOSED, SuspenseCause.ACCOUNT_CLOSED),
        (CustomerAccountStatus.FROZEN, SuspenseCause.ACCOUNT_FROZEN),
    ],
)
def test_sus_1_money_for_an_account_that_closed_meanwhile_is_on_suspense(
    street: Street, status: CustomerAccountStatus, cause: SuspenseCause
) -> None:
    payment = announced(street, 5_000)
    _set(street.b, BOB, status)
    street.chain.settle_queued()
    street.settle_down()
    assert (street.b.balance(BOB), street.b.balance(SUSPENSE)) == (0, 5_000)
    with street.b.store.reading() as work:
        item = work.suspense.open_item(payment.payment_id)
        (proposal,) = work.approvals.page().items
        assert work.payments.get(payment.payment_id).is_on_suspense
    assert (item.cause, item.intended_account_id) == (cause, BOB)
    assert (proposal.kind, proposal.subject) == ("return_suspense", payment.payment_id)


def test_sus_2_what_the_rule_proposed_one_operator_lets_happen(street: Street) -> None:
    payment = announced(street, 5_000)
    _set(street.b, BOB, CustomerAccountStatus.CLOSED)
    street.chain.settle_queued()
    street.settle_down()
    with street.b.store.reading() as work:
        (proposal,) = work.approvals.page().items
    street.b.four_eyes.approve(Operator("otto"), proposal.proposal_id)
    with pytest.raises(SuspenseResolved):
        street.b.approves("release_suspense", payment.payment_id, account=BOB_ACCOUNT)
    street.settle_down()
    assert (street.b.balance(SUSPENSE), books(street)) == (0, (200_000, 0))
    with street.b.store.reading() as work:
        item = work.suspense.find(payment.payment_id)
    assert item is not None
    assert item.state is SuspenseState.RETURNED


def test_sus_3_a_return_from_suspense_that_fails_leaves_the_item_open(street: Street) -> None:
    payment = announced(street, 5_000)
    _set(street.b, BOB, CustomerAccountStatus.CLOSED)
    street.chain.settle_queued()
    street.settle_down()
    street.is_cut = True
    street.b.approves("return_suspense", payment.payment_id)
    street.settle_down(70)
    assert street.b.available(SUSPENSE) == 5_000
    with street.b.store.reading() as work:
        assert work.suspense.open_item(payment.payment_id).amount == Amount(EUR, 5_000)


def test_sus_4_after_its_time_the_rule_gives_back_but_never_what_is_frozen(
    tmp_path: Path,
) -> None:
    street = Street(tmp_path, suspense_return_seconds=10)
    for status, left in ((CustomerAccountStatus.CLOSED, 0), (CustomerAccountStatus.FROZEN, 5_000)):
        _set(street.b, BOB, CustomerAccountStatus.OPEN)
        street.chain.balances[BANK_A, "EUR"] = 0
        street.settled(5_000, key=status.value)
        _set(street.b, BOB, status)
        street.chain.balances[BANK_A, "EUR"] = street.a.balance(TOKENS)
        street.chain.settle_queued()
        street.settle_down(20)
        assert street.b.balance(SUSPENSE) == left


def test_sus_4_a_return_by_rule_waits_for_the_money_it_needs_and_books_nothing_meanwhile(
    tmp_path: Path,
) -> None:
    street = Street(tmp_path, suspense_return_seconds=10)
    payment = announced(street, 5_000)
    _set(street.b, BOB, CustomerAccountStatus.CLOSED)
    street.chain.settle_queued()
    street.settle_down(5)
    assert street.b.available(SUSPENSE) == 5_000
    with street.b.store.unit_of_work() as work:
        work.ledger.book(_set_aside(street.b.available(TOKENS), street.chain.now))
    street.settle_down(20)
    assert street.b.available(SUSPENSE) == 5_000
    assert returns(street, payment) == []
    with street.b.store.unit_of_work() as work:
        work.ledger.void("elsewhere", street.chain.now)
    street.settle_down(610)
    assert (street.b.balance(SUSPENSE), books(street)) == (0, (200_000, 0))


def _set_aside(cents: int, at: int) -> JournalEntry:
    """All of a bank's tokens, reserved for something else."""
    amount = Amount(EUR, cents)
    return JournalEntry(
        entry_id="elsewhere",
        kind="test",
        description="reserved for something else",
        postings=(debit(chart.reserves(EUR), amount), credit(TOKENS, amount)),
        booked_at=at,
        pending=True,
    )


def test_sus_5_a_part_of_what_is_on_suspense_does_not_go_back(street: Street) -> None:
    payment = announced(street, 5_000)
    _set(street.b, BOB, CustomerAccountStatus.CLOSED)
    street.chain.settle_queued()
    street.settle_down()
    with pytest.raises(ReturnExceeded), street.b.store.unit_of_work() as work:
        _give(street.b, work, payment, 1_000)


def _set(bank: Bank, account_id: str, status: CustomerAccountStatus) -> None:
    with bank.store.unit_of_work() as work:
        work.customers.set_status(account_id, status)


def _give(bank: Bank, work: UnitOfWork, payment: Payment, cents: int | None = None) -> None:
    amount = None if cents is None else Amount(EUR, cents)
    order = ReturnOrder(payment.payment_id, ReturnReason.MS03, "key", amount)
    give_back(bank.institution, work, order, bank.institution.clock())
