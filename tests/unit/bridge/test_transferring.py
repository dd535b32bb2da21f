"""A participant's side of RTGS: transfers by pacs.009, and what the central bank says of them.

Cites docs/spec/central-bank.md: RTGS-5, 9, 10, 12.
"""

from pathlib import Path

import pytest

from bridge import chart
from bridge.centralbank.transferring import TransferOrder, cancel_transfer, order_transfer
from bridge.errors import (
    CurrencyUnsupported,
    EnvelopeInvalid,
    IdempotencyKeyReused,
    InsufficientFunds,
    MessageIdReused,
    ParticipantUnknown,
    SubjectUnknown,
    TransferUnknown,
)
from bridge.interbank import Kind
from bridge.money import Amount, parse_currency
from bridge.rtgs import Priority, Transfer, TransferState
from bridge.store import DeliveryState
from support.bridge_api import CENTRAL_BANK
from support.participants import BANK_A, BANK_B, PROVIDER
from support.token_books import EUR
from support.wholesale_street import Street

RESERVES, INTERBANK = chart.reserves(EUR), chart.interbank(EUR)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path / "issuer", tmp_path / "bank")


def order(street: Street, cents: int, key: str = "k", creditor: str = BANK_B) -> Transfer:
    wanted = TransferOrder(creditor, Amount(EUR, cents), Priority.NORMAL, "RENT-1")
    return order_transfer(street.bank.institution, wanted, key)


def kept(street: Street, transfer: Transfer) -> Transfer:
    with street.bank.store.reading() as work:
        return work.rtgs.get(BANK_A, transfer.transfer_id)


def available(street: Street) -> int:
    with street.bank.store.reading() as work:
        return work.ledger.balance(RESERVES).available.minor_units


def test_rtgs_10_what_is_ordered_is_reserved_and_booked_when_it_has_settled(
    street: Street,
) -> None:
    transfer = order(street, 30_000)
    assert order(street, 30_000) == transfer
    assert (available(street), street.bank.ledger(RESERVES)) == (70_000, 100_000)
    street.post()
    assert street.issuer.ledger(chart.rtgs(BANK_B)) == 130_000
    street.post()
    assert kept(street, transfer).state is TransferState.SETTLED
    assert (street.bank.ledger(RESERVES), street.bank.ledger(INTERBANK)) == (70_000, 30_000)
    with pytest.raises(IdempotencyKeyReused):
        order(street, 30_001)


def test_rtgs_5_what_waits_may_be_asked_back(street: Street) -> None:
    street.issuer.done("repay_credit", BANK_A, {"amount": "900.00"})
    transfer = order(street, 30_000)
    street.post()
    assert kept(street, transfer).state is TransferState.QUEUED
    cancel_transfer(street.bank.institution, transfer.transfer_id)
    cancel_transfer(street.bank.institution, transfer.transfer_id)
    street.post()
    street.post()
    ended = kept(street, transfer)
    assert (ended.state, ended.reason) == (TransferState.CANCELLED, "CUST")
    assert available(street) == street.bank.ledger(RESERVES) == 10_000
    with pytest.raises(TransferUnknown):
        cancel_transfer(street.bank.institution, "none")


def test_rtgs_5_a_cancellation_that_comes_too_late_changes_nothing(street: Street) -> None:
    transfer = order(street, 30_000)
    cancel_transfer(street.bank.institution, transfer.transfer_id)
    street.post()
    street.post()
    assert kept(street, transfer).state is TransferState.SETTLED


def test_rtgs_10_what_the_central_bank_refuses_for_good_is_free_again(street: Street) -> None:
    transfer = order(street, 30_000)
    course = street.bank.office.courses()[Kind.INSTITUTION_TRANSFER]
    with street.bank.store.unit_of_work() as work:
        claimed = work.deliveries.claim(now=street.bank.now, owner="t", lease_seconds=9)
        assert claimed is not None
        work.deliveries.finish(claimed, DeliveryState.REFUSED, "no")
        course.refused(work, claimed, "rtgs_account_unknown")
    assert kept(street, transfer).state is TransferState.CANCELLED
    assert available(street) == 100_000


def test_rtgs_15_a_transfer_that_restored_books_forgot_ends_as_it_did_once_it_is_ordered_again(
    street: Street, tmp_path: Path
) -> None:
    """The notice waits until the transfer is known again, and a refusal of its second message frees no money."""
    transfer = order(street, 30_000)
    street.post()
    told = notice(
        transfer_id=transfer.transfer_id, ordered_by=BANK_A, debtor=BANK_A, creditor=BANK_B
    )
    told["amount"] = "300.00"
    street.bank = Street(tmp_path / "issuer-again", tmp_path / "bank-again").bank
    with pytest.raises(SubjectUnknown):
        street.bank.takes(CENTRAL_BANK, Kind.TRANSFER_NOTICE, told, "notice")
    street.bank.now += 5
    assert order(street, 30_000).transfer_id == transfer.transfer_id
    with street.bank.store.unit_of_work() as work:
        (message,) = work.deliveries.page(limit=9, cursor=None).items
        course = street.bank.office.courses()[Kind.INSTITUTION_TRANSFER]
        course.refused(work, message, MessageIdReused.code)
    assert (kept(street, transfer).state, available(street)) == (TransferState.QUEUED, 70_000)
    assert street.bank.takes(CENTRAL_BANK, Kind.TRANSFER_NOTICE, told, "notice")
    assert kept(street, transfer).state is TransferState.SETTLED
    assert street.bank.ledger(RESERVES) == 70_000


def test_rtgs_9_an_order_that_cannot_be_is_refused_before_anything_is_booked(
    street: Street,
) -> None:
    with pytest.raises(InsufficientFunds):
        order(street, 100_001)
    with pytest.raises(ParticipantUnknown):
        order(street, 1, creditor="DEVN00NOBODY00000000")
    dollars = TransferOrder(BANK_B, Amount(parse_currency("SGD"), 1), Priority.NORMAL, "X")
    with pytest.raises(CurrencyUnsupported):
        order_transfer(street.bank.institution, dollars, "k")
    assert available(street) == 100_000


def test_rtgs_9_a_participant_orders_out_of_its_own_account_only(street: Street) -> None:
    order(street, 30_000)
    ((_, kind, body, message_id),) = street.bank.posted()
    assert kind is Kind.INSTITUTION_TRANSFER
    with pytest.raises(EnvelopeInvalid):
        street.issuer.takes(BANK_B, kind, body, message_id)
    with pytest.raises(EnvelopeInvalid):
        street.issuer.takes(BANK_A, kind, {**body, "priority": "soon"}, message_id)
    to_self = {**body, "document": body["document"].replace(BANK_B, BANK_A)}
    with pytest.raises(EnvelopeInvalid):
        street.issuer.takes(BANK_A, kind, to_self, message_id)
    assert street.issuer.takes(BANK_A, kind, body, message_id)
    assert not street.issuer.takes(BANK_A, kind, body, message_id)
    assert street.issuer.ledger(chart.rtgs(BANK_A)) == 70_000


def test_rtgs_12_credit_and_what_others_pay_is_booked_on_the_notice(street: Street) -> None:
    street.issuer.done("grant_credit", BANK_A, {"amount": "50.00"})
    street.issuer.done("repay_credit", BANK_A, {"amount": "20.00"})
    street.issuer.done(
        "transfer_rtgs",
        BANK_B,
        {"creditor": BANK_A, "amount": "7.00", "end_to_end_id": "ORDER"},
    )
    street.post()
    assert street.bank.ledger(RESERVES) == 100_000 + 5_000 - 2_000 + 700
    assert street.bank.ledger(chart.central_bank_credit(EUR)) == 3_000
    assert street.bank.ledger(INTERBANK) == -700


def notice(**changed: str) -> dict[str, str]:
    body = {
        "transfer_id": "t-1",
        "ordered_by": BANK_B,
        "debtor": BANK_B,
        "creditor": BANK_A,
        "amount": "5.00",
        "currency": "EUR",
        "end_to_end_id": "E",
        "state": "settled",
        "reason": "",
    }
    return {**body, **changed}


def test_rtgs_10_a_notice_is_booked_once_and_only_on_its_issuers_word(street: Street) -> None:
    kind = Kind.TRANSFER_NOTICE
    with pytest.raises(EnvelopeInvalid):
        street.bank.takes(BANK_B, kind, notice(), "m-1")
    for changed in (
        {"creditor": PROVIDER},
        {"amount": "five"},
        {"state": "lost"},
    ):
        with pytest.raises(EnvelopeInvalid):
            street.bank.takes(CENTRAL_BANK, kind, notice(**changed), f"m-{changed}"[:30])
    assert street.bank.takes(CENTRAL_BANK, kind, notice(), "m-2")
    assert street.bank.takes(CENTRAL_BANK, kind, notice(), "m-3")
    assert street.bank.ledger(RESERVES) == 100_500
