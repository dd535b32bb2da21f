"""A central bank and a bank, with a chain between them made by hand and the post they send."""

from bridge.centralbank.funding import fund, redeem
from bridge.config import DatabasePlace
from bridge.interbank import Kind, Received
from bridge.money import Amount
from support.bridge_api import CENTRAL_BANK
from support.offices import Office, bank_office, burnt, central_bank_office, minted
from support.participants import BANK_A
from support.token_books import A_ADDRESS, EUR

GRACE = 61
"""Seconds after which what is missing anywhere is late."""


class Street:
    """The central bank of the euro and bank A."""

    def __init__(self, issuer: DatabasePlace, bank: DatabasePlace) -> None:
        self.issuer = central_bank_office(issuer, intraday_seconds=10)
        self.bank = bank_office(bank)
        self.funded = b""

    def post(self) -> None:
        """Do what workers do, and deliver what is written."""
        for office, lei in ((self.bank, BANK_A), (self.issuer, CENTRAL_BANK)):
            office.do_effects()
            for to, kind, body, message_id in office.posted():
                if to in {BANK_A, CENTRAL_BANK}:
                    self.office(to).takes(lei, kind, body, message_id)

    def office(self, lei: str) -> Office:
        """Who has this LEI."""
        return self.issuer if lei == CENTRAL_BANK else self.bank

    def later(self, seconds: int = GRACE) -> None:
        """Let time pass: what was booked is reported, and everybody compares."""
        self.issuer.later(seconds)
        self.post()
        self.bank.later(seconds)
        self.post()

    def move_supply(self, amount: int) -> None:
        """Tokens of bank A that the chain has more."""
        for office in (self.issuer, self.bank):
            chain = office.books.chain
            chain.supply += amount
            chain.balances[A_ADDRESS] = chain.balances.get(A_ADDRESS, 0) + amount

    def funds(self, amount: int, key: str = "fund") -> bytes:
        """Issue tokens to bank A as it should be done; the reference."""
        order = fund(self.bank.institution, Amount(EUR, amount), key)
        body = {
            "reference": order.reference.hex(),
            "amount": order.amount.format(),
            "currency": "EUR",
        }
        desks = self.issuer.office.desks()
        assert desks is not None
        desks.issuing.receive(Received(BANK_A, Kind.ISSUANCE_REQUEST, body))
        self.move_supply(amount)
        for office in (self.issuer, self.bank):
            office.sees(*minted(order.reference, amount))
        return order.reference

    def redeems(self, amount: int, key: str = "redeem") -> None:
        """Redeem tokens of bank A as it should be done."""
        order = redeem(self.bank.institution, Amount(EUR, amount), key)
        self.move_supply(-amount)
        for office in (self.issuer, self.bank):
            office.sees(*burnt(order.reference, amount))
