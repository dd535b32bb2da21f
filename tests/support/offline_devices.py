"""Devices of the retail network's customers, with the keys of their banks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.retail import device
from bridge.retail.device import Handover, Purse
from bridge.voucher import Presentation
from bridge.wallet import RetailPayment
from support.retail_network import RetailNetwork, euros


@dataclass(slots=True)
class Devices:
    """One device a customer, held by name."""

    network: RetailNetwork
    purses: dict[str, Purse] = field(default_factory=dict)
    serials: int = 0

    def give(self, customer_id: str) -> Purse:
        """Register a device of a customer."""
        house = self.network.bank_of(customer_id)
        key = Ed25519PrivateKey.from_private_bytes(sha256(customer_id.encode()).digest())
        purse = Purse(key, house.lei, "EUR")
        wallet_id = self.network.wallets[customer_id].wallet_id
        house.business.offline.register(customer_id, wallet_id, purse.device)
        self.purses[customer_id] = purse
        return purse

    def load(self, customer_id: str, cents: int, key: str) -> Mapping[str, Any]:
        """Move value from a customer's wallet to the device."""
        house, purse = self.network.bank_of(customer_id), self.purses[customer_id]
        desk = house.business.offline
        answer = desk.load(customer_id, purse.device, euros(cents), key)
        if not answer.is_refusal:
            certificate = desk.certificate(customer_id, purse.device)
            self.purses[customer_id] = device.load(purse, certificate, self.bank_key(customer_id))
        return answer.body

    def bank_key(self, customer_id: str) -> bytes:
        """The public signing key of a customer's bank, as the registry has it."""
        house = self.network.bank_of(customer_id)
        return house.institution.directory().by_lei(house.lei).signing_key

    def hand(self, payer: str, payee: str, cents: int) -> Handover:
        """One device pays another, offline."""
        self.serials += 1
        now = self.network.clock()
        self.purses[payer], handover = device.spend(
            self.purses[payer],
            cents,
            self.purses[payee].device,
            serial=self.serials.to_bytes(16, "big"),
            now=now,
        )
        self.purses[payee] = device.accept(
            self.purses[payee], handover, self.bank_key(payer), now=now
        )
        return handover

    def pass_on(self, holder: str, to: str, handover: Handover, *, issuer: str) -> Handover:
        """A payee hands a voucher on."""
        self.purses[holder], passed = device.endorse(
            self.purses[holder], handover, self.purses[to].device
        )
        self.purses[to] = device.accept(
            self.purses[to], passed, self.bank_key(issuer), now=self.network.clock()
        )
        return passed

    def presentation(self, customer_id: str, handover: Handover) -> Presentation:
        """A voucher as its holder presents it."""
        wallet_id = self.network.wallets[customer_id].wallet_id
        return device.present(self.purses[customer_id], handover, wallet_id)

    def deposit(self, customer_id: str, handover: Handover) -> RetailPayment:
        """A holder deposits a voucher at the own bank."""
        presentation = self.presentation(customer_id, handover)
        return self.network.bank_of(customer_id).business.offline.present(customer_id, presentation)
