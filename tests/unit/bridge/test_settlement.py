"""A payment at the creditor bank and at the fx provider, driven by the events they would see.

A real store and real keys; the chain is a directory that stands still and events made by hand.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from bridge import chart
from bridge.centralbank.funding import Funding
from bridge.chain import (
    BlockData,
    BlockRef,
    ChainClient,
    ChainEvent,
    Directory,
    Submitter,
    settlement_id,
)
from bridge.chain.encoding import SETTLEMENT
from bridge.config import Settings
from bridge.errors import (
    CommitmentMismatch,
    EnvelopeInvalid,
    EnvelopeMisdirected,
    InboxConflict,
    RejectedMessage,
)
from bridge.institution import Institution
from bridge.interbank import Interbank, Kind, Received
from bridge.iso20022.codes import MessageName, StatusReason, TransactionStatus
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.format import format_credit_transfer, format_status_report
from bridge.iso20022.identifiers import parse_bic, parse_uetr
from bridge.iso20022.messages import AccountIdentification, Agent, CreditTransfer
from bridge.iso20022.parse import parse_status_report
from bridge.money import Amount, parse_currency
from bridge.opening import open_books
from bridge.payment import Direction, Leg, Payment, PaymentId, PaymentState, SettlementId
from bridge.settlement import notices
from bridge.settlement.acceptance import consider, receive
from bridge.settlement.observation import CONSIDER, Observer
from bridge.store import CustomerAccountStatus, QuoteState, Store
from support import bridge_records
from support.bridge_api import NOW, StandingChain, make_network, settings_document
from support.messages import credit_transfer, status_report
from support.participants import BANK_A, BANK_B, PROVIDER

SGD = parse_currency("SGD")
SALT = b"\x09" * 32
BOB = "0720123456"
NETWORK = make_network()
DIRECTORY = Directory(keys.participant for keys in NETWORK.values())
KEY = SettlementId(settlement_id(BANK_A, credit_transfer().uetr))


class Desk:
    """One institution with hands on its store and on the blocks it sees."""

    def __init__(self, lei: str, folder: Path) -> None:
        chain = cast(ChainClient, StandingChain(DIRECTORY))
        self.store = Store.open(folder / f"{lei}.sqlite")
        settings = _settings(lei)
        open_books(self.store, settings, NOW)
        self.institution = Institution(
            settings=settings,
            store=self.store,
            chain=chain,
            interbank=Interbank(lei, NETWORK[lei].keys, chain.directory, httpx.Client()),
            clock=lambda: NOW,
            salt=lambda: b"\x03" * 32,
            secret=b"\x07" * 32,
        )
        submitter = Submitter(self.store, chain, NETWORK[lei].quoting, lambda: NOW)
        self._observer = Observer(self.institution, Funding(self.institution, submitter))
        self._number = 0

    def sees(self, *events: tuple[str, Mapping[str, Any]]) -> None:
        """One block with these events."""
        number, self._number = self._number, self._number + 1
        ref = BlockRef(number, _hash(number), _hash(number - 1), NOW)
        logs = tuple(
            ChainEvent(
                contract=SETTLEMENT,
                name=name,
                address=b"\xc0" * 20,
                block_number=number,
                block_hash=ref.hash,
                log_index=index,
                transaction_hash=b"\x77" * 32,
                arguments=arguments,
            )
            for index, (name, arguments) in enumerate(events)
        )
        with self.store.unit_of_work() as work:
            work.chain_log.advance(number=number, block_hash=ref.hash, parent_hash=ref.parent_hash)
            self._observer.observe(work, BlockData(ref, (), logs), ())

    def receives(
        self, transfer: CreditTransfer, *, salt: bytes = SALT, sender: str = BANK_A
    ) -> None:
        """A pacs.008 from another bank, already unsealed."""
        body = {
            "settlement_id": KEY.hex(),
            "salt": salt.hex(),
            "document": format_credit_transfer(transfer).decode(),
        }
        receive(self.institution, Received(sender, Kind.CREDIT_TRANSFER, body))

    def considers(self) -> Payment:
        """Carry out every decision that is due; the payment after them."""
        with self.store.unit_of_work() as work:
            due = work.effects.claim(now=NOW, owner="test", limit=10, lease_seconds=60)
        for effect in due:
            if effect.kind == CONSIDER:
                assert effect.payment_id is not None
                consider(self.institution, effect.payment_id)
        return self.payment()

    def payment(self, direction: Direction = Direction.INCOMING) -> Payment:
        with self.store.reading() as work:
            found = work.payments.by_settlement_id(KEY, direction)
        assert found is not None
        return found

    def effects(self) -> set[str]:
        """Kinds of what a worker is still to do."""
        with self.store.unit_of_work() as work:
            due = work.effects.claim(now=NOW + 999, owner="test", limit=99, lease_seconds=0)
        return {effect.kind for effect in due}

    def balance(self, account_id: str) -> int:
        with self.store.reading() as work:
            return work.ledger.balance(account_id).ledger.minor_units


def _settings(lei: str) -> Settings:
    if lei == BANK_B:
        document = {**settings_document(BANK_B, "bank", ["SGD"]), "bic": "STHBSGS0XXX"}
        document["customers"] = [
            {
                "customer_id": "bob",
                "name": "Bob Tan Wei Ming",
                "address": {"town": "Singapore", "country": "SG"},
                "token_sha256": "ab" * 32,
                "accounts": [{"scheme": "other", "identification": BOB, "currency": "SGD"}],
            }
        ]
        return Settings.model_validate(document)
    document = {**settings_document(PROVIDER, "fx_provider", ["EUR", "SGD"]), "bic": "ARDELUL0XXX"}
    document["openings"] = [
        {"debit": "tokens:SGD", "credit": "equity:SGD", "amount": "5000.00", "currency": "SGD"}
    ]
    return Settings.model_validate(document)


def _hash(number: int) -> bytes:
    return number.to_bytes(32, "big", signed=True) if number >= 0 else bytes(32)


def committed(
    transfer: CreditTransfer, *, amount: int = 100_000, quote_hash: bytes = bytes(32)
) -> tuple[str, dict[str, Any]]:
    """The `Instructed` event of a payment whose message is `transfer`."""
    payer = NETWORK[BANK_A].participant.settlement_reference
    payee = NETWORK[BANK_B].participant.settlement_reference
    leg = Leg("SGD", payer, payee, amount)
    commitment = commit(canonical_content(transfer), SALT)
    terms = (
        1,
        ((leg.currency.encode(), leg.from_reference, leg.to_reference, leg.amount),),
        commitment,
        bytes(32),
        quote_hash,
        NOW + 60,
        NOW + 120,
        0,
        0,
        0,
    )
    return "Instructed", {"paymentId": KEY, "participant": BANK_A.encode(), "terms": terms}


def fact(name: str) -> tuple[str, dict[str, Any]]:
    return name, {"paymentId": KEY, "participant": BANK_B.encode()}


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
        assert bank.effects() >= {"submit_accept", "deliver_status"}

    def test_credits_its_customer_only_when_the_payment_is_settled(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer())
        bank.considers()
        assert bank.balance(chart.deposit(BOB)) == 0
        bank.sees(fact("Accepted"), fact("PaymentSettled"))
        assert bank.payment().state is PaymentState.SETTLED
        assert bank.balance(chart.deposit(BOB)) == bank.balance(chart.tokens(SGD)) == 100_000

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

    def test_rejects_a_message_that_another_bank_than_the_payer_sent(self, bank: Desk) -> None:
        bank.sees(committed(credit_transfer()))
        bank.receives(credit_transfer(), sender=PROVIDER)
        payment = bank.considers()
        assert (payment.state, payment.reason) == (PaymentState.REFUSED, "FF01")

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
        assert bank.effects() >= {"submit_reject", "deliver_status"}
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
            report = parse_status_report(notices.report(bank.institution, work, payment))
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
            receive(bank.institution, Received(BANK_A, Kind.CREDIT_TRANSFER, body))

    def test_refuses_a_payment_for_another_bank(self, bank: Desk) -> None:
        elsewhere = replace(
            credit_transfer(),
            creditor_agent=Agent(parse_bic("ARDELUL0XXX"), credit_transfer().debtor_agent.lei),
        )
        with pytest.raises(EnvelopeMisdirected):
            bank.receives(elsewhere)

    def test_refuses_a_kind_of_message_it_does_not_take(self, bank: Desk) -> None:
        with pytest.raises(EnvelopeInvalid):
            receive(bank.institution, Received(BANK_A, Kind.QUOTE, {}))

    def test_refuses_a_status_report_on_a_payment_it_never_sent(self, bank: Desk) -> None:
        report = replace(status_report(), uetr=parse_uetr("11111111-1111-4111-8111-111111111111"))
        body = {"document": format_status_report(report).decode()}
        with pytest.raises(EnvelopeInvalid):
            receive(bank.institution, Received(BANK_A, Kind.STATUS_REPORT, body))


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
