"""Charges at the creditor bank: sums are held against the message, and taken visibly.

Cites docs/spec/payment.md: CHG-4 to CHG-6.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.errors import ChargeNotQuoted, EnvelopeInvalid, UnsendableMessage
from bridge.interbank import Interbank, Kind, Received
from bridge.iso20022.codes import ChargeBearer, MessageName, StatusReason
from bridge.iso20022.format import format_credit_transfer
from bridge.iso20022.messages import Charge, CreditTransfer
from bridge.money import Amount
from bridge.payment import PaymentState
from bridge.tariff import CHARGE_SECONDS, answer_charge, request_charge
from support.messages import BANK_A as AGENT_A
from support.messages import BANK_B as AGENT_B
from support.messages import credit_transfer
from support.participants import BANK_A, BANK_B
from support.settlement_desk import BOB, SGD, Desk, committed, fact


@pytest.fixture
def bank(tmp_path: Path) -> Desk:
    return Desk(BANK_B, tmp_path, published_charges={"SGD": "7.50"})


def sgd(units: int) -> Amount:
    return Amount(SGD, units)


def message(bearer: ChargeBearer, settled: int, instructed: int, *told: Charge) -> CreditTransfer:
    return replace(
        credit_transfer(),
        charge_bearer=bearer,
        interbank_settlement_amount=sgd(settled),
        instructed_amount=sgd(instructed),
        charges=told,
    )


def judged(bank: Desk, transfer: CreditTransfer) -> tuple[PaymentState, str | None]:
    bank.sees(committed(transfer, amount=transfer.interbank_settlement_amount.minor_units))
    bank.receives(transfer)
    payment = bank.considers()
    return payment.state, payment.reason


FITTING = [
    (message(ChargeBearer.SHAR, 100_000, 100_000), 99_250, ["7.50"]),
    (message(ChargeBearer.DEBT, 100_750, 100_000, Charge(sgd(750), AGENT_B)), 100_000, []),
    (message(ChargeBearer.CRED, 99_400, 100_000, Charge(sgd(600), AGENT_A)), 98_650, ["7.50"]),
    (message(ChargeBearer.SHAR, 700, 700), 700, []),
]


@pytest.mark.parametrize(("transfer", "credited", "told"), FITTING)
def test_the_creditor_is_credited_less_what_this_bank_takes_and_told_so(
    bank: Desk, transfer: CreditTransfer, credited: int, told: list[str]
) -> None:
    assert judged(bank, transfer) == (PaymentState.ACCEPTED, None)
    bank.sees(fact("Accepted"), fact("PaymentSettled"))
    settled = transfer.interbank_settlement_amount.minor_units
    assert bank.balance(chart.deposit(BOB)) == credited
    assert bank.balance(chart.fee_income(SGD)) == settled - credited
    assert bank.balance(chart.tokens(SGD)) == settled
    with bank.store.reading() as work:
        (notice,) = [
            each.document
            for each in work.messages.of_payment(bank.payment().payment_id)
            if each.name == MessageName.ACCOUNT_NOTIFICATION.value
        ]
    text = notice.decode()
    amounts = re.findall(r'<Amt Ccy="SGD">([0-9.]+)</Amt>', text)
    assert amounts[0] == sgd(credited).format()
    charges = re.findall(r'<Chrgs>.*?<Amt Ccy="SGD">([0-9.]+)</Amt>.*?</Chrgs>', text, re.DOTALL)
    assert charges == told


MISFITS = [
    message(ChargeBearer.SHAR, 99_999, 100_000),
    message(ChargeBearer.DEBT, 100_500, 100_000, Charge(sgd(500), AGENT_B)),
    message(ChargeBearer.DEBT, 100_750, 100_001, Charge(sgd(750), AGENT_B)),
]

UNSENDABLE = [
    message(ChargeBearer.DEBT, 100_000, 100_000),
    message(ChargeBearer.CRED, 99_400, 100_000),
    message(ChargeBearer.CRED, 99_400, 100_000, Charge(sgd(601), AGENT_A)),
    message(ChargeBearer.CRED, 100_000, 100_000, *credit_transfer().charges),
    replace(message(ChargeBearer.DEBT, 100_750, 1), instructed_amount=None),
]


@pytest.mark.parametrize("transfer", UNSENDABLE)
def test_a_message_that_contradicts_itself_is_none_at_either_end(transfer: CreditTransfer) -> None:
    """It is written as it is read, so no bank sends what another could not take."""
    with pytest.raises(UnsendableMessage):
        format_credit_transfer(transfer)


@pytest.mark.parametrize("transfer", MISFITS)
def test_a_message_whose_sums_do_not_fit_is_rejected_with_am09(
    bank: Desk, transfer: CreditTransfer
) -> None:
    assert judged(bank, transfer) == (PaymentState.REFUSED, StatusReason.AM09.value)


def question(**body: str) -> Received:
    return Received(BANK_A, Kind.CHARGE_REQUEST, body)


def test_a_bank_tells_its_charge_and_that_it_has_none(bank: Desk) -> None:
    settings = bank.institution.settings
    told = answer_charge(settings, question(currency="SGD"), now=100)
    assert told == {"currency": "SGD", "amount": "7.50", "valid_until": str(100 + CHARGE_SECONDS)}
    assert answer_charge(settings, question(currency="JPY"), now=100)["amount"] == "0"
    with pytest.raises(EnvelopeInvalid):
        answer_charge(settings, Received(BANK_A, Kind.QUOTE_REQUEST, {}), now=100)


class Answering:
    """An interbank channel whose peer answers whatever the test wants."""

    def __init__(self, body: dict[str, str]) -> None:
        self.body = body

    def ask(self, *_: object) -> Received:
        return Received(BANK_B, Kind.CHARGE, self.body)


GOOD = {"currency": "SGD", "amount": "7.50", "valid_until": "200"}


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "EUR"},
        {"amount": "-7.50"},
        {"amount": "7.505"},
        {"amount": ""},
        {"valid_until": "100"},
        {"valid_until": "soon"},
        {"valid_until": "99999999"},
    ],
)
def test_a_charge_that_is_none_is_not_passed_on(changes: dict[str, str]) -> None:
    channel: Any = Answering({**GOOD, **changes})
    peer: Interbank = channel
    with pytest.raises(ChargeNotQuoted):
        request_charge(peer, BANK_B, SGD, now=100)


def test_a_charge_is_taken_as_it_was_told() -> None:
    channel: Any = Answering(GOOD)
    told = request_charge(channel, BANK_B, SGD, now=100)
    assert (told.amount, told.valid_until) == (sgd(750), 200)
