"""A payment at the creditor bank and at the fx provider, driven by the events they would see.

A real store and real keys; the chain is a directory that stands still and events made by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.errors import (
    CommitmentMismatch,
    EnvelopeInvalid,
    EnvelopeMisdirected,
    InboxConflict,
    InboxFull,
    RejectedMessage,
    SubjectUnknown,
)
from bridge.interbank import Kind, Received
from bridge.iso20022.codes import MessageName, StatusReason, TransactionStatus
from bridge.iso20022.format import (
    format_cancellation_request,
    format_credit_transfer,
    format_status_report,
)
from bridge.iso20022.identifiers import parse_bic, parse_uetr
from bridge.iso20022.messages import AccountIdentification, Agent
from bridge.iso20022.parse import parse_status_report
from bridge.money import Amount
from bridge.payment import Direction, PaymentId, PaymentState, SettlementId
from bridge.settlement import acceptance, notices
from bridge.store import (
    CustomerAccountStatus,
    QuoteState,
    RecallDirection,
    SuspenseCause,
    SuspenseState,
)
from support import bridge_records
from support.bridge_api import NOW
from support.later_messages import cancellation_request
from support.messages import credit_transfer, status_report
from support.participants import BANK_A, BANK_B, PROVIDER
from support.settlement_desk import BOB, KEY, SALT, SGD, Desk, committed, fact


@pytest.fixture
def bank(tmp_path: Path) -> Desk:
    return Desk(BANK_B, tmp_path)


class TestTheCreditorBank:
    @pytest.mark.parametrize("first", ["message", "event"])
    def test_accepts_a_payment_once_it_has_both_message_and_event(
        self, bank: Desk, first: str
    ) -> None:
        transfer = credit_transfer()
        steps: list[Callable[[], None]] = [
            lambda: bank.receives(transfer),
            lambda: bank.sees(committed(transfer)),
        ]
        for step in steps if first == "message" else reversed(steps):
            assert bank.effects() == set()
            step()
        payment = bank.considers()
        assert payment.state is PaymentState.ACCEPTED
        assert (payment.uetr, payment.account_id) == (transfer.uetr, chart.deposit(BOB))
        assert "submit_accept" in bank.effects()
        assert bank.deliveries() == ["pacs.002"]

    def test_credits_its_customer_only_when_the_payment_is_settled(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        bank.considers()
        assert bank.balance(chart.deposit(BOB)) == 0
        bank.sees(fact("Accepted"), fact("PaymentSettled"))
        assert bank.payment().state is PaymentState.SETTLED
        assert bank.balance(chart.deposit(BOB)) == bank.balance(chart.tokens(SGD)) == 100_000

    def test_credits_nothing_while_a_payment_waits_for_liquidity(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        bank.considers()
        bank.sees(fact("Accepted"), fact("PaymentQueued"))
        assert bank.payment().state is PaymentState.QUEUED
        assert bank.balance(chart.deposit(BOB)) == 0
        bank.sees(fact("PaymentSettled"))
        assert bank.balance(chart.deposit(BOB)) == 100_000

    def test_tells_its_customer_by_pacs_002_and_camt_054(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        bank.considers()
        bank.sees(fact("PaymentSettled"))
        with bank.store.reading() as work:
            kept = {each.name: each for each in work.messages.of_payment(bank.payment().payment_id)}
        assert set(kept) == {"pacs.008.001.08", "pacs.002.001.10", "camt.054.001.08"}
        report = parse_status_report(kept[MessageName.STATUS_REPORT].document)
        assert report.status is TransactionStatus.ACCC

    def test_takes_the_same_message_twice_without_effect(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        bank.receives(credit_transfer())
        assert bank.considers().state is PaymentState.ACCEPTED
        bank.receives(credit_transfer())
        assert bank.considers().state is PaymentState.ACCEPTED

    def test_refuses_a_message_changed_after_the_commitment_and_keeps_nothing(
        self, bank: Desk
    ) -> None:
        bank.sees(committed(credit_transfer()))
        changed = replace(credit_transfer(), remittance_information="Rent for december")
        with pytest.raises(CommitmentMismatch):
            bank.receives(changed)
        assert bank.effects() == set()
        bank.receives(credit_transfer())
        assert bank.considers().state is PaymentState.ACCEPTED

    def test_refuses_the_right_message_with_another_salt(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        with pytest.raises(CommitmentMismatch):
            bank.receives(credit_transfer(), salt=b"\x08" * 32)

    def test_rejects_a_payment_whose_early_message_is_not_the_one_committed_to(
        self, bank: Desk
    ) -> None:
        bank.receives(replace(credit_transfer(), remittance_information="Something else"))
        bank.sees(committed(credit_transfer()))
        payment = bank.considers()
        assert (payment.state, payment.reason) == (PaymentState.REFUSED, "FF01")

    def test_keeps_the_first_of_two_different_early_messages(self, bank: Desk) -> None:
        bank.receives(credit_transfer())
        with pytest.raises(InboxConflict):
            bank.receives(replace(credit_transfer(), remittance_information="Something else"))
        bank.sees(committed(credit_transfer()))
        assert bank.considers().state is PaymentState.ACCEPTED

    @pytest.mark.parametrize("is_announced", [True, False])
    def test_keeps_no_message_on_a_payment_that_is_not_its_senders(
        self, bank: Desk, is_announced: bool
    ) -> None:
        """The key is derived from participant and UETR, so nobody can squat another's payment."""
        if is_announced:
            bank.sees(committed(credit_transfer()))
        with pytest.raises(EnvelopeInvalid):
            bank.receives(credit_transfer(), sender=PROVIDER)
        if not is_announced:
            bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        assert bank.considers().state is PaymentState.ACCEPTED

    def test_keeps_no_message_whose_uetr_is_not_the_one_on_the_chain(self, bank: Desk) -> None:
        other = replace(credit_transfer(), uetr=parse_uetr("11111111-1111-4111-8111-111111111111"))
        with pytest.raises(EnvelopeInvalid):
            bank.receives(other)

    def test_keeps_only_so_many_early_messages_of_one_sender(
        self, bank: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acceptance, "INBOX_WAITING_MAX", 0)
        with pytest.raises(InboxFull):
            bank.receives(credit_transfer())

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"creditor_account": AccountIdentification(other="999")}, StatusReason.AC01),
            ({"debtor_agent": Agent(parse_bic("NOBKSGS0XXX"))}, StatusReason.FF01),
            ({"creditor_agent": Agent(parse_bic("NOBKSGS0XXX"))}, StatusReason.RC01),
            (
                {
                    "interbank_settlement_amount": Amount(SGD, 100_001),
                    "instructed_amount": Amount(SGD, 100_001),
                },
                StatusReason.AM09,
            ),
        ],
    )
    def test_rejects_what_it_cannot_credit_with_the_reason(
        self, bank: Desk, change: dict[str, Any], reason: StatusReason
    ) -> None:
        transfer = replace(credit_transfer(), **change)
        bank.sees(committed(transfer))
        bank.receives(transfer)
        payment = bank.considers()
        assert (payment.state, payment.reason) == (PaymentState.REFUSED, reason.value)
        assert "submit_reject" in bank.effects()
        assert bank.deliveries() == ["pacs.002"]
        bank.sees(fact("PaymentRejected"))
        assert bank.payment().state is PaymentState.REJECTED
        assert bank.balance(chart.tokens(SGD)) == 0

    def test_rejects_a_payment_to_a_closed_account(self, bank: Desk) -> None:
        with bank.store.unit_of_work() as work:
            work.customers.set_status(chart.deposit(BOB), CustomerAccountStatus.CLOSED)
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        assert bank.considers().reason == "AC04"

    def test_the_refusals_report_names_the_reason(self, bank: Desk) -> None:
        transfer = replace(credit_transfer(), creditor_account=AccountIdentification(other="999"))
        bank.sees(committed(transfer))
        bank.receives(transfer)
        payment = bank.considers()
        with bank.store.reading() as work:
            report = parse_status_report(work.messages.get(notices.answer_id(payment)).document)
        assert (report.status, report.reason) == (TransactionStatus.RJCT, StatusReason.AC01)

    def test_rejects_a_uetr_it_has_already_seen_on_another_payment(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        twin = replace(
            bank.payment(),
            payment_id=PaymentId("pay_in_twin"),
            settlement_id=SettlementId(b"\x55" * 32),
            uetr=credit_transfer().uetr,
            counterparty_lei=PROVIDER,
        )
        with bank.store.unit_of_work() as work:
            work.payments.add(twin)
        bank.receives(credit_transfer())
        assert bank.considers().reason == "AM05"

    def test_books_nothing_for_a_payment_that_expired_before_its_message_came(
        self, bank: Desk
    ) -> None:
        bank.sees(committed(credit_transfer()))
        bank.sees(fact("PaymentExpired"))
        bank.receives(credit_transfer())
        assert bank.considers().state is PaymentState.EXPIRED
        assert bank.balance(chart.tokens(SGD)) == 0

    def test_credits_suspense_when_restored_books_do_not_know_what_it_accepted(
        self, bank: Desk
    ) -> None:
        bank.sees(committed(credit_transfer()))
        bank.sees(fact("Accepted"), fact("PaymentSettled"))
        assert bank.payment().state is PaymentState.SETTLED
        assert bank.balance(chart.suspense(SGD)) == bank.balance(chart.tokens(SGD)) == 100_000

    @pytest.mark.parametrize("first", ["message", "money"])
    def test_credits_its_customer_once_restored_books_have_the_message_again(
        self, tmp_path: Path, first: str
    ) -> None:
        """PAY-24: as if nothing had been lost, whether it comes before the settlement or after."""
        bank = Desk(BANK_B, tmp_path, published_charges={"SGD": "7.50"})
        bank.sees(committed(credit_transfer()))
        if first == "money":
            bank.sees(fact("Accepted"), fact("PaymentSettled"))
            bank.receives(credit_transfer())
            assert bank.balance(chart.suspense(SGD)) == 100_000
        else:
            bank.sees(fact("Accepted"))
            bank.receives(credit_transfer())
            assert bank.considers().account_id == chart.deposit(BOB)
            bank.sees(fact("PaymentSettled"))
        payment = bank.considers()
        assert (payment.state, payment.account_id) == (PaymentState.SETTLED, chart.deposit(BOB))
        assert payment.uetr == credit_transfer().uetr
        assert bank.balance(chart.deposit(BOB)) == 99_250
        assert bank.balance(chart.fee_income(SGD)) == 750
        assert bank.balance(chart.suspense(SGD)) == 0
        with bank.store.reading() as work:
            told = {each.name for each in work.messages.of_payment(payment.payment_id)}
        assert told == {
            MessageName.CREDIT_TRANSFER.value,
            MessageName.STATUS_REPORT.value,
            MessageName.ACCOUNT_NOTIFICATION.value,
        }

    def test_a_recall_waits_until_restored_books_have_the_message_that_it_is_about(
        self, bank: Desk
    ) -> None:
        """IBK-20: refused it would never be sent again."""
        body = {
            "settlement_id": KEY.hex(),
            "document": format_cancellation_request(cancellation_request()).decode(),
        }
        recall = Received(BANK_A, Kind.CANCELLATION_REQUEST, body)
        with pytest.raises(SubjectUnknown):
            bank.takes(recall)
        bank.sees(committed(credit_transfer()))
        bank.sees(fact("Accepted"), fact("PaymentSettled"))
        bank.receives(credit_transfer())
        with pytest.raises(SubjectUnknown):
            bank.takes(recall)
        payment = bank.considers()
        bank.takes(recall)
        with bank.store.reading() as work:
            assert work.recalls.find(payment.payment_id, RecallDirection.INCOMING) is not None

    def test_a_message_again_moves_nothing_that_has_left_suspense(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.sees(fact("Accepted"), fact("PaymentSettled"))
        with bank.store.unit_of_work() as work:
            work.suspense.move(bank.payment().payment_id, SuspenseState.RETURNED, "ret", NOW)
        bank.receives(credit_transfer())
        payment = bank.considers()
        assert payment.is_on_suspense
        assert payment.uetr == credit_transfer().uetr
        assert payment.end_to_end_id == credit_transfer().end_to_end_id
        assert bank.balance(chart.deposit(BOB)) == 0

    def test_a_message_again_for_an_account_that_is_closed_leaves_it_to_be_given_back(
        self, bank: Desk
    ) -> None:
        bank.sees(committed(credit_transfer()))
        bank.sees(fact("Accepted"), fact("PaymentSettled"))
        with bank.store.unit_of_work() as work:
            work.customers.set_status(chart.deposit(BOB), CustomerAccountStatus.CLOSED)
        bank.receives(credit_transfer())
        assert bank.considers().is_on_suspense
        assert bank.balance(chart.suspense(SGD)) == 100_000
        with bank.store.reading() as work:
            (proposal,) = work.approvals.page(limit=9).items
            item = work.suspense.open_item(bank.payment().payment_id)
        assert proposal.document == {"reason": "AC04"}
        assert item.cause is SuspenseCause.ACCOUNT_CLOSED
        assert item.intended_account_id == chart.deposit(BOB)

    def test_a_message_that_came_early_and_does_not_fit_credits_nobody(self, bank: Desk) -> None:
        bank.receives(credit_transfer(), salt=b"\x01" * 32)
        bank.sees(committed(credit_transfer()), fact("Accepted"), fact("PaymentSettled"))
        assert bank.considers().is_on_suspense
        assert bank.balance(chart.deposit(BOB)) == 0

    def test_a_message_that_came_too_late_does_not_wait_for_ever(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.sees(fact("PaymentExpired"))
        bank.receives(credit_transfer())
        bank.considers()
        with bank.store.reading() as work:
            assert work.inbox.waiting_count(BANK_A) == 0

    def test_is_not_stopped_by_an_amount_no_ledger_can_hold(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer(), amount=2**255))
        bank.sees(fact("PaymentExpired"))
        with bank.store.reading() as work:
            assert work.payments.by_settlement_id(KEY, Direction.INCOMING) is None

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"settlement_id": "00"}, EnvelopeInvalid),
            ({"settlement_id": "zz" * 32}, EnvelopeInvalid),
            ({"salt": ""}, EnvelopeInvalid),
            ({"document": ""}, RejectedMessage),
            ({"document": "<!DOCTYPE x><x/>"}, RejectedMessage),
        ],
    )
    def test_refuses_a_malformed_message_by_name(
        self, bank: Desk, change: dict[str, str], error: type[Exception]
    ) -> None:
        body = {
            "settlement_id": KEY.hex(),
            "salt": SALT.hex(),
            "document": format_credit_transfer(credit_transfer()).decode(),
            **change,
        }
        with pytest.raises(error):
            bank.takes(Received(BANK_A, Kind.CREDIT_TRANSFER, body))

    def test_refuses_a_payment_for_another_bank(self, bank: Desk) -> None:
        elsewhere = replace(
            credit_transfer(),
            creditor_agent=Agent(parse_bic("ARDELUL0XXX"), credit_transfer().debtor_agent.lei),
        )
        with pytest.raises(EnvelopeMisdirected):
            bank.receives(elsewhere)

    def test_refuses_a_kind_of_message_it_does_not_take(self, bank: Desk) -> None:
        with pytest.raises(EnvelopeInvalid):
            bank.takes(Received(BANK_A, Kind.QUOTE, {}))

    def test_refuses_a_status_report_on_a_payment_it_never_sent(self, bank: Desk) -> None:
        report = replace(status_report(), uetr=parse_uetr("11111111-1111-4111-8111-111111111111"))
        body = {"document": format_status_report(report).decode()}
        with pytest.raises(EnvelopeInvalid):
            bank.takes(Received(BANK_A, Kind.STATUS_REPORT, body))


class TestTheFxProvider:
    @pytest.fixture
    def provider(self, tmp_path: Path) -> Desk:
        return Desk(PROVIDER, tmp_path)

    def offered(self, provider: Desk) -> bytes:
        signed = bridge_records.signed_quote()
        quote = replace(
            signed.quote,
            maker_currency="SGD",
            maker_amount=100_000,
            taker_currency="EUR",
            taker_amount=68_871,
        )
        with provider.store.unit_of_work() as work:
            work.quotes.add(replace(signed, quote=quote))
        return signed.quote_hash

    def test_books_both_legs_at_once_when_its_quote_settles(self, provider: Desk) -> None:
        quote_hash = self.offered(provider)
        provider.sees(committed(credit_transfer(), quote_hash=quote_hash))
        assert provider.balance("tokens:EUR") == 0
        provider.sees(fact("Accepted"), fact("PaymentSettled"))
        assert provider.balance("tokens:EUR") == 68_871
        assert provider.balance("tokens:SGD") == 500_000 - 100_000
        assert provider.balance("fx-position:EUR") == -68_871
        assert provider.balance("fx-position:SGD") == 100_000

    @pytest.mark.parametrize("end", ["PaymentRejected", "PaymentCancelled", "PaymentExpired"])
    def test_books_nothing_and_releases_the_quote_when_it_does_not(
        self, provider: Desk, end: str
    ) -> None:
        quote_hash = self.offered(provider)
        provider.sees(committed(credit_transfer(), quote_hash=quote_hash))
        provider.sees(fact(end))
        with provider.store.reading() as work:
            record = work.quotes.get(quote_hash)
        assert record is not None
        assert record.state is QuoteState.RELEASED
        assert provider.balance("tokens:SGD") == 500_000
