"""Whoever bears the charges, whatever the amounts and rates: sums hold to the minor unit.

Cites docs/spec/payment.md: CHG-1 to CHG-6.
"""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.charges import (
    creditor_charge,
    divide,
    exchanged_charges,
    is_summed_up,
    own_currency_charges,
)
from bridge.errors import ChargesExceedAmount
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.messages import Charge
from bridge.ledger import Side
from bridge.money import Amount, Currency, Rate, Rounding
from bridge.payment import Charges, Direction, PaymentId
from bridge.settlement import booking
from support import bridge_records
from support.messages import BANK_A, BANK_B, EUR, JPY, KWD, SGD, credit_transfer

UNITS_MAX = 10**10
BEARERS = st.sampled_from([ChargeBearer.SHAR, ChargeBearer.DEBT, ChargeBearer.CRED])
CURRENCIES = st.sampled_from([SGD, JPY, KWD, EUR])
RATES = st.builds(
    lambda digits, power: Rate(digits * 10**power), st.integers(100_000, 999_999), st.integers(2, 7)
)
"""Rates of six significant digits, from a thousandth to a thousand."""


@st.composite
def cases(draw: st.DrawFn) -> tuple[ChargeBearer, Amount, Amount, Amount]:
    """A bearer, an instructed amount, and the charges of both agents in its currency."""
    currency: Currency = draw(CURRENCIES)
    instructed = Amount(currency, draw(st.integers(1, UNITS_MAX)))
    fees = st.integers(0, 10_000).map(lambda units: Amount(currency, units))
    return draw(BEARERS), instructed, draw(fees), draw(fees)


def is_balanced(entry: object) -> bool:
    totals: dict[str, int] = {}
    for posting in entry.postings:  # type: ignore[attr-defined]
        sign = 1 if posting.side is Side.DEBIT else -1
        code = posting.amount.currency.code
        totals[code] = totals.get(code, 0) + sign * posting.amount.minor_units
    return not any(totals.values())


@given(cases())
def test_what_is_settled_is_what_creditor_and_creditor_agent_receive(
    case: tuple[ChargeBearer, Amount, Amount, Amount],
) -> None:
    bearer, instructed, debtors, creditors = case
    try:
        shares = divide(instructed, bearer, debtor_agents=debtors, creditor_agents=creditors)
    except ChargesExceedAmount:
        assert bearer is ChargeBearer.CRED
        assert debtors >= instructed
        return
    told = {
        ChargeBearer.SHAR: (),
        ChargeBearer.DEBT: (Charge(shares.prepaid, BANK_B),),
        ChargeBearer.CRED: (Charge(shares.deducted, BANK_A),),
    }[bearer]
    transfer = replace(
        credit_transfer(),
        interbank_settlement_amount=shares.settlement,
        instructed_amount=instructed,
        charge_bearer=bearer,
        charges=told,
    )
    assert is_summed_up(transfer, creditors)
    taken = creditor_charge(transfer, creditors)
    payment = replace(
        bridge_records.payment(1, Direction.INCOMING),
        settlement_amount=shares.settlement,
        creditor_charge=taken,
    )
    assert payment.credited.minor_units > 0
    assert payment.credited + taken == shares.settlement
    if bearer is ChargeBearer.DEBT:
        assert payment.credited == instructed
    assert is_balanced(booking.credit(payment, "deposit:bob", 0))


@given(cases(), st.sampled_from([-1, 1]))
def test_a_message_whose_sums_are_one_minor_unit_off_does_not_fit(
    case: tuple[ChargeBearer, Amount, Amount, Amount], off: int
) -> None:
    bearer, instructed, debtors, creditors = case
    assume(debtors < instructed)
    shares = divide(instructed, bearer, debtor_agents=debtors, creditor_agents=creditors)
    stated = shares.prepaid + shares.deducted
    settled = Amount(instructed.currency, shares.settlement.minor_units + off)
    transfer = replace(
        credit_transfer(),
        interbank_settlement_amount=settled,
        instructed_amount=instructed,
        charge_bearer=bearer,
        charges=(Charge(stated, BANK_A),),
    )
    assert not is_summed_up(transfer, creditors)


def is_booked_whole(charges: Charges) -> None:
    taken, set_aside = booking.reservation(
        payment_id=PaymentId("pay_1"), account_id="deposit:alice", charges=charges, booked_at=0
    )
    assert is_balanced(taken)
    assert is_balanced(set_aside)
    assert charges.debit == charges.cost + charges.fee + charges.margin


@given(cases())
def test_in_one_currency_the_debtor_pays_what_is_settled_and_the_fee(
    case: tuple[ChargeBearer, Amount, Amount, Amount],
) -> None:
    bearer, instructed, debtors, creditors = case
    assume(debtors < instructed)
    shares = divide(instructed, bearer, debtor_agents=debtors, creditor_agents=creditors)
    fee = Amount.zero(debtors.currency) if bearer is ChargeBearer.CRED else debtors
    charges = own_currency_charges(shares, fee)
    is_booked_whole(charges)
    if bearer is ChargeBearer.CRED:
        assert charges.debit == instructed
    else:
        assert charges.debit == instructed + shares.prepaid + debtors


@given(cases(), RATES, st.integers(0, 1_000), st.integers(0, 10_000))
def test_in_two_currencies_the_margin_and_the_fee_are_never_below_zero(
    case: tuple[ChargeBearer, Amount, Amount, Amount], rate: Rate, margin: int, fee_units: int
) -> None:
    bearer, instructed, debtors, creditors = case
    source = SGD if instructed.currency == EUR else EUR
    assume(debtors < instructed)
    shares = divide(instructed, bearer, debtor_agents=debtors, creditor_agents=creditors)
    customers = rate.with_margin(margin, Rounding.FLOOR)
    cost = rate.divide(shares.settlement, source, Rounding.CEIL)
    fee = Amount.zero(source) if bearer is ChargeBearer.CRED else Amount(source, fee_units)
    charges = exchanged_charges(shares, cost=cost, rate=customers, fee=fee)
    assert charges.margin.minor_units >= 0
    assert charges.fee.minor_units >= 0
    is_booked_whole(charges)
    if bearer is ChargeBearer.CRED:
        assert charges.debit == customers.divide(instructed, source, Rounding.CEIL)
