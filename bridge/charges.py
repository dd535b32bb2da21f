"""Who bears the charges of a payment, as arithmetic: pure, exact, every rounding named.

The interbank settlement amount is what the creditor agent receives. What the debtor instructs
differs from it by who bears the charges:

    SHAR  settlement = instructed                        each bank charges its own customer
    DEBT  settlement = instructed + creditor's charge    the creditor is credited in full
    CRED  settlement = instructed - debtor's charge      the creditor bears both

The charge of the debtor agent is taken from the debited account, except under CRED, where it is
deducted from the instructed amount and told in ChrgsInf. The charge of the creditor agent is the one
it publishes per currency; under SHAR and CRED it takes it from what it credits, under DEBT it has
been paid with the settlement amount.

Rounding: what the debtor pays for another currency is rounded up to the minor unit; nothing else
rounds. Invariants: the debit is principal plus fee; principal is cost plus margin; what is settled is
what the creditor is credited plus the creditor agent's charge.
"""

from dataclasses import dataclass
from typing import Final

from bridge.errors import ChargesExceedAmount
from bridge.iso20022.codes import ChargeBearer
from bridge.iso20022.messages import CreditTransfer
from bridge.money import Amount, Currency, Rate, Rounding
from bridge.payment import Charges

ROUNDING_RULE: Final = (
    "The customer's rate is rounded down to six significant digits; what is paid for another "
    "currency is rounded up to its minor unit; charges are exact."
)
"""What a customer is told of rounding, with every price."""


@dataclass(frozen=True, slots=True)
class Shares:
    """An instructed amount divided between creditor agent, creditor and debtor agent.

    All in the instructed currency. `prepaid` is the creditor agent's charge inside `settlement`
    (DEBT), `deducted` the debtor agent's charge that `settlement` lacks (CRED).
    """

    instructed: Amount
    settlement: Amount
    prepaid: Amount
    deducted: Amount


def divide(
    instructed: Amount,
    bearer: ChargeBearer,
    *,
    debtor_agents: Amount,
    creditor_agents: Amount,
) -> Shares:
    """What is settled between the banks when `bearer` bears the charges of these two agents.

    Both charges are in the instructed currency; `debtor_agents` counts under CRED only and
    `creditor_agents` under DEBT only. Raises `ChargesExceedAmount` when nothing would be left, and
    `AmountOutOfRange`.
    """
    nothing = Amount.zero(instructed.currency)
    prepaid = creditor_agents if bearer is ChargeBearer.DEBT else nothing
    deducted = debtor_agents if bearer is ChargeBearer.CRED else nothing
    settlement = instructed + prepaid - deducted
    if settlement.minor_units <= 0:
        raise ChargesExceedAmount(str(instructed), str(deducted))
    return Shares(instructed, settlement, prepaid=prepaid, deducted=deducted)


def own_currency_charges(shares: Shares, fee: Amount) -> Charges:
    """What the debtor pays when the account is in the instructed currency.

    `fee` is the debtor agent's charge to its customer; under CRED it is the deducted amount itself.
    """
    paid = shares.deducted or fee
    return Charges(principal=shares.settlement, cost=shares.settlement, fee=paid, rate=None)


def exchanged_charges(shares: Shares, *, cost: Amount, rate: Rate, fee: Amount) -> Charges:
    """What the debtor pays in the currency of `cost`, at the customer's `rate`.

    The rate is units of the instructed currency per unit of the account's. Under CRED the debtor
    pays the instructed amount, of which the deducted charge is the debtor agent's income.
    """
    principal = rate.divide(shares.settlement, cost.currency, Rounding.CEIL)
    if shares.deducted:
        fee = rate.divide(shares.instructed, cost.currency, Rounding.CEIL) - principal
    return Charges(principal=principal, cost=cost, fee=fee, rate=rate.format())


def is_summed_up(transfer: CreditTransfer, published: Amount) -> bool:
    """Whether the amounts of a message fit each other and the charge this creditor agent publishes.

    Under DEBT exactly the published charge was paid in advance; under CRED and SHAR the instructed
    amount less the stated charges is what is settled. Charges told in another currency are for
    information and count nowhere, and stand only under SHAR. An amount instructed in another
    currency than the settled one cannot be held against charges to the minor unit, so then only SHAR
    is taken.
    """
    settled, instructed = transfer.interbank_settlement_amount, transfer.instructed_amount
    bearer = transfer.charge_bearer
    told = [charge.amount for charge in transfer.charges]
    counted = [amount for amount in told if amount.currency == settled.currency]
    stated = _sum(counted, settled.currency)
    if len(counted) < len(told) and bearer in {ChargeBearer.DEBT, ChargeBearer.CRED}:
        return False
    if instructed is None:
        return not stated and not (bearer is ChargeBearer.DEBT and published)
    if instructed.currency != settled.currency:
        return bearer not in {ChargeBearer.DEBT, ChargeBearer.CRED}
    if bearer is ChargeBearer.DEBT:
        return stated == published and settled == instructed + stated
    return settled + stated == instructed


def creditor_charge(transfer: CreditTransfer, published: Amount) -> Amount:
    """What the creditor agent keeps of the settled amount; the rest is the creditor's.

    A charge that would leave the creditor nothing is waived.
    """
    if published < transfer.interbank_settlement_amount:
        return published
    return Amount.zero(published.currency)


def _sum(amounts: list[Amount], currency: Currency) -> Amount:
    total = Amount.zero(currency)
    for amount in amounts:
        total += amount
    return total
