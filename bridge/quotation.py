"""What a payment will cost, promised to one customer for one instruction until a UTC second: pure.

    open --a payment is reserved on it--> used
       '--valid_until has passed--> (expired, without anything being written)

A quotation holds everything that decides the amounts of its payment, a firm FX quote included, so
that the payment made on it is booked to the minor unit as it was shown. It is used once.
"""

from dataclasses import dataclass
from datetime import date

from bridge.money import Amount
from bridge.payment import Charges, SignedQuote


@dataclass(frozen=True, slots=True)
class Price:
    """What decides every amount of an outgoing payment.

    `settlement_amount` is what the creditor agent receives, `prepaid` its charge inside that amount
    (DEBT), `deducted` the debtor agent's charge that it lacks (CRED): all in the instructed currency.
    `charges` are what the debtor pays. `valid_until` is the UTC second until which all of it holds.
    """

    settlement_amount: Amount
    prepaid: Amount
    deducted: Amount
    charges: Charges
    signed_quote: SignedQuote | None
    valid_until: int

    @property
    def promised(self) -> Amount:
        """What the creditor agent receives for the creditor, before any charge of its own."""
        return self.settlement_amount - self.prepaid


@dataclass(frozen=True, slots=True)
class Quotation:
    """One price as it was shown.

    `fingerprint` is the digest of the instruction it was given for; `creditor_charge` is what the
    creditor agent publishes: inside the settlement amount under DEBT, else taken from the credit.
    """

    quotation_id: str
    client: str
    fingerprint: bytes
    price: Price
    creditor_charge: Amount
    value_date: date
    created_at: int

    @property
    def creditor_receives(self) -> Amount:
        """What the creditor is credited with."""
        promised = self.price.promised
        if self.price.prepaid or self.creditor_charge >= promised:
            return promised
        return promised - self.creditor_charge
