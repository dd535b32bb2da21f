"""A bank that keeps wallets: its terms, its accounts, and what its books say of a wallet.

The bank's operator opens a wallet, having seen what the tier asks for. A customer has one wallet a
currency, so that limits are a person's. A linked account is one of the customer's own deposits.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

from bridge import chart
from bridge.config import RetailSettings
from bridge.errors import (
    CurrencyUnsupported,
    CustomerAccountUnknown,
    IdentificationLacking,
    ResourceUnknown,
    TierUnknown,
    WalletHeld,
    WalletUnknown,
)
from bridge.institution import Institution
from bridge.money import Amount, Currency, parse_currency
from bridge.retail.booking import SPENDING_KINDS
from bridge.retail.tiers import load_tiers
from bridge.store import CustomerAccountStatus, UnitOfWork
from bridge.wallet import Spending, Tier, Wallet

REFERENCE_DOMAIN: Final = "corridor-retail-v1"

WALLET_HEX_DIGITS: Final = 24
"""Digits of a wallet's id: enough that none meets another, and it names nobody."""


@dataclass(frozen=True, slots=True)
class WalletOrder:
    """A wallet that the operator opens."""

    customer_id: str
    tier: str
    identification: frozenset[str]
    linked_identification: str | None = None


class Intermediary:
    """A bank's running retail business."""

    def __init__(
        self, institution: Institution, terms: RetailSettings, tiers: Mapping[str, Tier]
    ) -> None:
        self.institution = institution
        self.terms = terms
        self.tiers = tiers
        self._issuer: str | None = None

    @classmethod
    def of(cls, institution: Institution) -> Self | None:
        """The retail business that the settings ask for, if they do; raises `SettingsInvalid`."""
        terms = institution.settings.retail
        return None if terms is None else cls(institution, terms, load_tiers(terms))

    @property
    def currency(self) -> Currency:
        """The currency of every wallet here."""
        return parse_currency(self.terms.currency)

    @property
    def issuer(self) -> str:
        """The LEI of the central bank that issues it; the chain is asked once, at the opening."""
        if self._issuer is None:
            self._issuer = self.institution.chain.issuer_of(self.terms.currency)
        return self._issuer

    def open_books(self) -> None:
        """Open the accounts of custody; done once, left alone when they are there."""
        issuer = self.issuer
        with self.institution.store.unit_of_work() as work:
            for account in chart.custody_accounts(self.currency, issuer):
                work.ledger.open_account(account)

    def reference(self, purpose: str) -> bytes:
        """The 32-byte reference of an order at the central bank: the same after a restore.

        It takes the institution's secret: nobody can name an order before it is made.
        """
        content = f"{REFERENCE_DOMAIN}|{self.institution.lei}|{purpose}".encode()
        return hmac.new(self.institution.secret, content, hashlib.sha256).digest()

    def check_currency(self, amount: Amount) -> None:
        """Refuse an amount in another currency; raises `CurrencyUnsupported`."""
        self.check_code(amount.currency.code)

    def check_code(self, code: str) -> None:
        """Refuse another currency by its code; raises `CurrencyUnsupported`."""
        if code != self.terms.currency:
            raise CurrencyUnsupported(code)

    def open_wallet(self, work: UnitOfWork, order: WalletOrder, at: int) -> Wallet:
        """A new wallet of a customer, or the one that is there and just so.

        Raises `TierUnknown`, `IdentificationLacking`, `ResourceUnknown` for the customer,
        `CustomerAccountUnknown` for a linked account that is not the customer's in this currency,
        and `WalletHeld`.
        """
        tier = self.tiers.get(order.tier)
        if tier is None:
            raise TierUnknown(order.tier)
        lacking = tier.identification - order.identification
        if lacking:
            raise IdentificationLacking(tier.name, ", ".join(sorted(lacking)))
        if work.customers.get(order.customer_id) is None:
            raise ResourceUnknown("customer", order.customer_id)
        name = self.reference(f"wallet|{order.customer_id}|{self.currency.code}").hex()
        wallet = Wallet(
            wallet_id=f"wal_{name[:WALLET_HEX_DIGITS]}",
            customer_id=order.customer_id,
            currency=self.currency,
            tier=tier.name,
            identification=order.identification,
            linked_account=self._linked(work, order),
            opened_at=at,
        )
        held = work.wallets.of_customer(order.customer_id, self.currency.code)
        if held is not None:
            if replace(held, opened_at=at) != wallet:
                raise WalletHeld(order.customer_id, self.currency.code)
            return held
        for account in chart.wallet_accounts(
            wallet.wallet_id, self.currency, wallet.customer_id, self.issuer
        ):
            work.ledger.open_account(account)
        work.wallets.add(wallet)
        return wallet

    def _linked(self, work: UnitOfWork, order: WalletOrder) -> str | None:
        if order.linked_identification is None:
            return None
        account = work.customers.by_identification(order.linked_identification)
        if (
            account is None
            or account.customer_id != order.customer_id
            or account.currency != self.currency.code
        ):
            raise CustomerAccountUnknown(order.linked_identification)
        return account.account_id

    def wallet(self, work: UnitOfWork, wallet_id: str) -> Wallet:
        """A wallet as it can be used now: a linked account that is not open does not count.

        Raises `WalletUnknown`.
        """
        found = work.wallets.find(wallet_id)
        if found is None or found.currency != self.currency:
            raise WalletUnknown(wallet_id)
        if found.linked_account is None:
            return found
        linked = work.customers.account(found.linked_account)
        if linked is None or linked.status is not CustomerAccountStatus.OPEN:
            return replace(found, linked_account=None)
        return found

    def tier_of(self, wallet: Wallet) -> Tier:
        """The limits of a wallet; raises `TierUnknown` when the settings have lost them."""
        tier = self.tiers.get(wallet.tier)
        if tier is None:
            raise TierUnknown(wallet.tier)
        return tier

    def available(self, work: UnitOfWork, account_id: str) -> Amount:
        """What may leave an account."""
        return work.ledger.balance(account_id).available

    def holding(self, work: UnitOfWork, wallet: Wallet) -> Amount:
        """What counts against the balance limit: all in the wallet, set aside or not, or on devices."""
        inside = work.ledger.balance(chart.wallet(wallet.wallet_id)).ledger
        return inside + self.offline(work, wallet)

    def offline(self, work: UnitOfWork, wallet: Wallet) -> Amount:
        """What the wallet's devices carry, as far as the bank knows."""
        carried = Amount.zero(self.currency)
        for device in work.devices.of_wallet(wallet.wallet_id):
            carried += work.ledger.balance(chart.offline(device.device)).ledger
        return carried

    def spending(self, work: UnitOfWork, wallet: Wallet, at: int) -> Spending:
        """What was spent in the UTC day and year of `at`, from the postings alone."""
        moment = datetime.fromtimestamp(at, UTC)
        midnight = moment.replace(hour=0, minute=0, second=0)
        accounts = (chart.wallet(wallet.wallet_id), chart.passage(wallet.wallet_id))

        def spent(since: datetime) -> Amount:
            units = work.wallets.spent_since(accounts, SPENDING_KINDS, int(since.timestamp()))
            return Amount(self.currency, units)

        return Spending(spent(midnight), spent(midnight.replace(month=1, day=1)))
