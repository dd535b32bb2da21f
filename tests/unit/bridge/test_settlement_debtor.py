"""A payment at the debtor bank: set aside, followed to its end, and never lost on the way."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.centralbank.funding import redeem
from bridge.chain import FinalTransaction, PaymentOutcome
from bridge.errors import InsufficientFunds
from bridge.iso20022.codes import MessageName
from bridge.iso20022.identifiers import parse_country
from bridge.iso20022.messages import Party, PostalAddress
from bridge.iso20022.parse import parse_initiation, parse_status_report
from bridge.money import Amount, parse_currency
from bridge.payment import Payment, PaymentState
from bridge.settlement.initiation import initiate
from bridge.settlement.observation import EXPIRE, INSTRUCT
from bridge.settlement.order import Order, Result
from bridge.store import Customer
from support.bridge_api import NOW
from support.messages import credit_transfer
from support.participants import BANK_A
from support.settlement_desk import Desk, fact

EXAMPLE = Path(__file__).parents[3] / "examples" / "pain.001.xml"
EUR = parse_currency("EUR")
ALICE = chart.deposit("DE72500999990123456789")
TOKENS = chart.tokens(EUR)


def euro_order(key: str = "one", **changes: Any) -> Order:
    """Alice's order of 100.00 EUR to a customer of bank B: one leg, no quote."""
    instruction = parse_initiation(EXAMPLE.read_bytes()).instructions[0]
    address = PostalAddress(town="Frankfurt am Main", country=parse_country("DE"))
    client = Customer("alice", "Alice Lindner", address, b"")
    order = replace(
        instruction,
        debtor=Party(name=client.name, address=address),
        instructed_amount=Amount(EUR, 10_000),
        requested_execution_date=datetime.fromtimestamp(NOW, UTC).date(),
        **changes,
    )
    return Order(client=client, key=key, instruction=order)


class TestTheDebtorBank:
    @pytest.fixture
    def bank(self, tmp_path: Path) -> Desk:
        return Desk(BANK_A, tmp_path)

    def reserved(self, bank: Desk) -> Payment:
        answer = initiate(bank.institution, euro_order())
        assert answer.result is Result.ACCEPTED, answer.body
        with bank.store.reading() as work:
            return work.payments.get(str(answer.body["id"]))

    def instructed(self, payment: Payment) -> tuple[str, dict[str, Any]]:
        (leg,) = payment.terms.legs
        terms = (
            1,
            ((leg.currency.encode(), leg.from_reference, leg.to_reference, leg.amount),),
            payment.terms.message_commitment,
            bytes(32),
            payment.terms.quote_hash,
            payment.terms.accept_by,
            payment.terms.settle_by,
            0,
            0,
            0,
        )
        arguments = {"participant": BANK_A.encode(), "terms": terms}
        return "Instructed", {**arguments, "paymentId": payment.settlement_id}

    def told(self, payment: Payment, name: str) -> tuple[str, dict[str, Any]]:
        return fact(name, payment.settlement_id)

    def reverted(self, payment: Payment) -> FinalTransaction:
        return FinalTransaction(
            transaction_hash=b"\x66" * 32,
            purpose=f"{payment.payment_id}:{INSTRUCT}",
            payment_id=payment.payment_id,
            succeeded=False,
            block_number=0,
        )

    def kept(self, bank: Desk, payment: Payment) -> Payment:
        with bank.store.reading() as work:
            return work.payments.get(payment.payment_id)

    def available(self, bank: Desk, account_id: str) -> int:
        with bank.store.reading() as work:
            return work.ledger.balance(account_id).available.minor_units

    def test_sets_the_debtors_money_and_its_own_tokens_aside(self, bank: Desk) -> None:
        self.reserved(bank)
        assert self.available(bank, ALICE) == 200_000 - 10_500
        assert self.available(bank, TOKENS) == 500_000 - 10_000
        assert bank.balance(ALICE) == 200_000

    def test_discharges_its_tokens_when_the_payment_settles(self, bank: Desk) -> None:
        payment = self.reserved(bank)
        bank.sees(self.instructed(payment))
        bank.sees(self.told(payment, "Accepted"), self.told(payment, "PaymentSettled"))
        assert self.kept(bank, payment).state is PaymentState.SETTLED
        assert (bank.balance(ALICE), bank.balance(TOKENS)) == (189_500, 490_000)
        assert bank.balance(chart.in_transit(EUR)) == 0
        assert bank.balance(chart.fee_income(EUR)) == 500

    @pytest.mark.parametrize("end", ["PaymentRejected", "PaymentCancelled", "PaymentExpired"])
    def test_makes_the_debtor_whole_when_it_does_not(self, bank: Desk, end: str) -> None:
        payment = self.reserved(bank)
        bank.sees(self.instructed(payment))
        bank.sees(self.told(payment, end))
        assert self.available(bank, ALICE) == 200_000
        assert self.available(bank, TOKENS) == 500_000

    def queued(self, bank: Desk) -> Payment:
        payment = self.reserved(bank)
        bank.sees(self.instructed(payment))
        bank.sees(self.told(payment, "Accepted"), self.told(payment, "PaymentQueued"))
        return self.kept(bank, payment)

    def reports(self, bank: Desk, payment: Payment) -> list[tuple[str, str | None]]:
        """Status and reason of every pacs.002 to the customer, in their order."""
        with bank.store.reading() as work:
            kept = work.messages.of_payment(payment.payment_id)
        found = [
            parse_status_report(each.document)
            for each in kept
            if each.name == MessageName.STATUS_REPORT.value
        ]
        return [(each.status.value, each.reason and each.reason.value) for each in found]

    def test_keeps_what_waits_for_liquidity_reserved_and_tells_its_customer(
        self, bank: Desk
    ) -> None:
        payment = self.queued(bank)
        assert payment.state is PaymentState.QUEUED
        assert self.available(bank, ALICE) == 200_000 - 10_500
        assert self.reports(bank, payment) == [("ACSP", None)]
        bank.sees(self.told(payment, "PaymentSettled"))
        assert self.kept(bank, payment).state is PaymentState.SETTLED
        assert self.reports(bank, payment) == [("ACSP", None), ("ACSC", None)]
        assert bank.balance(ALICE) == 189_500

    @pytest.mark.parametrize(
        ("event", "outcome", "state", "report"),
        [
            (
                "PaymentExpired",
                PaymentOutcome.EXPIRED_UNSETTLED,
                PaymentState.EXPIRED,
                ("RJCT", "AB03"),
            ),
            (
                "PaymentCancelled",
                PaymentOutcome.WITHDRAWN,
                PaymentState.WITHDRAWN,
                ("CANC", "CUST"),
            ),
        ],
    )
    def test_makes_the_debtor_whole_when_what_waited_ends_unsettled(
        self,
        bank: Desk,
        event: str,
        outcome: PaymentOutcome,
        state: PaymentState,
        report: tuple[str, str],
    ) -> None:
        payment = self.queued(bank)
        bank.sees(fact(event, payment.settlement_id, outcome))
        ended = self.kept(bank, payment)
        assert (ended.state, ended.reason) == (state, report[1])
        assert self.reports(bank, payment)[-1] == report
        assert self.available(bank, ALICE) == 200_000
        assert self.available(bank, TOKENS) == 500_000

    @pytest.mark.parametrize(
        ("event", "outcome", "reason"),
        [
            ("PaymentCancelled", PaymentOutcome.NO_LIQUIDITY, "ED05"),
            ("PaymentExpired", PaymentOutcome.EXPIRED_UNACCEPTED, "AB05"),
            ("PaymentRejected", None, "MS03"),
        ],
    )
    def test_names_the_coarse_reason_of_an_end_without_a_sealed_one(
        self, bank: Desk, event: str, outcome: PaymentOutcome | None, reason: str
    ) -> None:
        payment = self.reserved(bank)
        bank.sees(self.instructed(payment))
        bank.sees(fact(event, payment.settlement_id, outcome))
        assert self.reports(bank, payment) == [("RJCT", reason)]

    @pytest.mark.parametrize(
        "event",
        [
            ("PaymentSetAside", {"isSetAside": True}),
            ("PaymentPrioritised", {"participant": BANK_A.encode(), "priority": 2}),
            ("WithdrawalAgreed", {"participant": BANK_A.encode()}),
        ],
    )
    def test_what_happens_to_a_payment_while_it_waits_changes_nothing_here(
        self, bank: Desk, event: tuple[str, dict[str, Any]]
    ) -> None:
        payment = self.queued(bank)
        name, more = event
        bank.sees((name, {"paymentId": payment.settlement_id, **more}))
        bank.sees(("RoundSettled", {"proposed": 2, "settled": 1}))
        assert self.kept(bank, payment) == payment

    def test_adopts_the_queue_too_when_restored_books_meet_their_payment_on_the_chain(
        self, bank: Desk, tmp_path: Path
    ) -> None:
        twin = Desk(BANK_A, tmp_path / "twin")
        payment = self.reserved(twin)
        bank.sees(self.instructed(payment))
        bank.sees(self.told(payment, "Accepted"), self.told(payment, "PaymentQueued"))
        bank.sees(fact("PaymentExpired", payment.settlement_id, PaymentOutcome.EXPIRED_UNSETTLED))
        again = self.reserved(bank)
        bank.sees(own=(self.reverted(again),))
        ended = self.kept(bank, again)
        assert (ended.state, ended.reason) == (PaymentState.EXPIRED, "AB03")

    def test_instructs_beyond_its_tokens_only_when_it_is_set_to_wait(self, tmp_path: Path) -> None:
        waiting = Desk(BANK_A, tmp_path, queues_beyond_tokens=True)
        redeem(waiting.institution, Amount(EUR, 495_000), "nearly all")
        payment = self.reserved(waiting)
        assert self.available(waiting, TOKENS) == 5_000 - 10_000
        with pytest.raises(InsufficientFunds):
            redeem(waiting.institution, Amount(EUR, 1), "more")
        waiting.sees(self.instructed(payment))
        waiting.sees(self.told(payment, "Accepted"), self.told(payment, "PaymentQueued"))
        waiting.sees(
            fact("PaymentExpired", payment.settlement_id, PaymentOutcome.EXPIRED_UNSETTLED)
        )
        assert self.available(waiting, TOKENS) == 5_000

    def test_cannot_redeem_tokens_that_a_payment_is_to_settle_with(self, bank: Desk) -> None:
        self.reserved(bank)
        with pytest.raises(InsufficientFunds):
            redeem(bank.institution, Amount(EUR, 495_000), "all of it")

    def test_refuses_a_payment_it_has_no_tokens_for_without_saying_how_many(
        self, bank: Desk
    ) -> None:
        redeem(bank.institution, Amount(EUR, 495_000), "nearly all")
        answer = initiate(bank.institution, euro_order())
        assert (answer.result, answer.body["code"]) == (Result.REFUSED, "liquidity_short")
        assert "5000" not in str(answer.body)
        assert self.available(bank, ALICE) == 200_000

    def test_ends_a_payment_that_never_came_to_the_chain_once_a_block_is_past_its_deadline(
        self, bank: Desk
    ) -> None:
        payment = self.reserved(bank)
        bank.sees(at=payment.terms.accept_by)
        assert self.kept(bank, payment).state is PaymentState.RESERVED
        bank.sees(at=payment.terms.accept_by + 1)
        assert self.kept(bank, payment).state is PaymentState.FAILED
        assert self.available(bank, ALICE) == 200_000
        bank.sees(at=payment.terms.accept_by + 2, own=(self.reverted(payment),))
        assert self.available(bank, ALICE) == 200_000

    def test_ends_a_payment_whose_instruction_reverted(self, bank: Desk) -> None:
        payment = self.reserved(bank)
        bank.sees(own=(self.reverted(payment),))
        assert self.kept(bank, payment).state is PaymentState.FAILED
        assert self.available(bank, ALICE) == 200_000

    def test_adopts_what_the_chain_has_when_its_instruction_reverted_because_it_is_there(
        self, bank: Desk, tmp_path: Path
    ) -> None:
        """As after a restore: the chain settled the payment before the restored books knew it."""
        twin = Desk(BANK_A, tmp_path / "twin")
        payment = self.reserved(twin)
        bank.sees(self.instructed(payment))
        bank.sees(self.told(payment, "Accepted"), self.told(payment, "PaymentSettled"))
        again = self.reserved(bank)
        assert again.settlement_id == payment.settlement_id
        bank.sees(own=(self.reverted(again),))
        assert self.kept(bank, again).state is PaymentState.SETTLED
        assert bank.balance(ALICE) == 189_500

    @pytest.mark.parametrize(
        "change",
        [
            {"debtor": Party(name="Mallory", address=credit_transfer().debtor.address)},
            {"debtor": Party(name="Alice Lindner", address=credit_transfer().creditor.address)},
        ],
    )
    def test_does_not_vouch_for_a_debtor_it_does_not_know(
        self, bank: Desk, change: dict[str, Any]
    ) -> None:
        order = euro_order()
        forged = replace(order, instruction=replace(order.instruction, **change))
        answer = initiate(bank.institution, forged)
        assert (answer.result, answer.body["code"]) == (Result.REFUSED, "debtor_mismatch")

    def test_expiry_is_asked_for_even_if_the_payment_never_reaches_the_chain(
        self, bank: Desk
    ) -> None:
        self.reserved(bank)
        assert EXPIRE in bank.effects()
