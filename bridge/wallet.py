"""Retail CBDC in a wallet: tiers and their limits, waterfalls, and the states of a payment; pure.

A wallet holds a claim on the central bank that a bank only keeps. Its *tier* says how much it may
hold and spend. What comes in above the limit flows on into the linked deposit (*waterfall*), what a
payment lacks is drawn from it (*reverse waterfall*).

    pay --covered, same bank--------------> SETTLED --the other bank returns it--> RETURNED
        |-covered, another bank--> RESERVED --moved at the central bank--> SETTLED
        |                              '-----refused there-------------> REFUSED
        |-the bank lacks CBDC----> WAITING  --it came--> SETTLED or RESERVED
        |                              '-----never in time------------> EXPIRED
        '-under a condition------> HELD     --released--> SETTLED, RESERVED or WAITING
                                       |-----given up-----------------> VOIDED
                                       '-----never in time------------> EXPIRED
    a voucher of another bank --> CLAIMED --its bank pays--> SETTLED   (--refused--> REFUSED)

A condition is a hold and nothing else: the money itself is never programmed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique

from bridge.errors import (
    HoldingLimitExceeded,
    InsufficientFunds,
    RetailPaymentUnexpected,
    SpendingLimitExceeded,
)
from bridge.money import Amount, Currency


@unique
class Holder(StrEnum):
    """Who may hold a wallet of a tier."""

    INDIVIDUAL = "individual"
    MERCHANT = "merchant"


@dataclass(frozen=True, slots=True)
class Tier:
    """The limits of one kind of wallet; None where there is none."""

    name: str
    holder: Holder
    balance_max: Amount | None
    payment_max: Amount | None
    daily_max: Amount | None
    annual_max: Amount | None
    offline_max: Amount
    identification: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wallet:
    """One wallet. `linked_account` is the ledger account of the holder's deposit, if any."""

    wallet_id: str
    customer_id: str
    currency: Currency
    tier: str
    identification: frozenset[str]
    linked_account: str | None
    opened_at: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What a wallet's postings say was spent today and this year."""

    today: Amount
    this_year: Amount


def check_spending(tier: Tier, amount: Amount, spent: Spending) -> None:
    """Refuse more than the tier lets be spent; raises `SpendingLimitExceeded` naming the limit."""
    none = Amount.zero(amount.currency)
    limits = (
        ("payment_max", tier.payment_max, none),
        ("daily_max", tier.daily_max, spent.today),
        ("annual_max", tier.annual_max, spent.this_year),
    )
    for name, limit, used in limits:
        if limit is not None and used + amount > limit:
            left = max(limit - used, none)
            raise SpendingLimitExceeded(limit=name, amount=str(amount), left=str(left))


def drawn_from_deposit(wallet: Wallet, amount: Amount, available: Amount) -> Amount:
    """What a payment lacks and draws from the linked deposit; nothing where the wallet suffices.

    Raises `InsufficientFunds` for a wallet without a linked account.
    """
    lacking = max(amount - available, Amount.zero(amount.currency))
    if lacking and wallet.linked_account is None:
        raise InsufficientFunds(
            account_id=wallet.wallet_id, available=str(available), needed=str(amount)
        )
    return lacking


def excess_over_limit(wallet: Wallet, tier: Tier, holding: Amount, amount: Amount) -> Amount:
    """What of an incoming amount is above the limit and flows on into the linked deposit.

    Raises `HoldingLimitExceeded` for a wallet without a linked account.
    """
    none = Amount.zero(amount.currency)
    if tier.balance_max is None:
        return none
    excess = min(amount, max(holding + amount - tier.balance_max, none))
    if excess and wallet.linked_account is None:
        raise HoldingLimitExceeded(wallet_id=wallet.wallet_id, excess=str(excess))
    return excess


@unique
class RetailKind(StrEnum):
    """What a retail payment is for."""

    PAYMENT = "payment"
    LOAD = "load"
    UNLOAD = "unload"
    VOUCHER = "voucher"


@unique
class RetailState(StrEnum):
    """Where a retail payment stands; see the module docstring."""

    SETTLED = "settled"
    WAITING = "waiting"
    HELD = "held"
    RESERVED = "reserved"
    CLAIMED = "claimed"
    REFUSED = "refused"
    EXPIRED = "expired"
    VOIDED = "voided"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class RetailPayment:
    """One movement that a customer asked for.

    `wallet_id` is the payer's wallet, or the one that is loaded, unloaded or paid by a voucher.
    `entry_id` is the entry that sets its money aside; `reference` names it at the central bank.
    `deadline` is when a waiting or held payment is over; `releaser` the customer who may release it.
    `device` is where the money of a voucher comes from, instead of the wallet. `reason` is an ISO
    20022 status reason code.
    """

    payment_id: str
    kind: RetailKind
    state: RetailState
    client: str
    wallet_id: str
    amount: Amount
    payee_lei: str
    payee_wallet: str
    created_at: int
    deadline: int | None = None
    releaser: str | None = None
    device: str | None = None
    entry_id: str | None = None
    reference: bytes | None = None
    reason: str | None = None
    tries: int = 0

    @property
    def currency(self) -> Currency:
        """The currency of the money."""
        return self.amount.currency


_NEXT: Mapping[RetailState, frozenset[RetailState]] = {
    RetailState.WAITING: frozenset(
        {
            RetailState.WAITING,
            RetailState.SETTLED,
            RetailState.RESERVED,
            RetailState.REFUSED,
            RetailState.EXPIRED,
        }
    ),
    RetailState.HELD: frozenset(
        {
            RetailState.SETTLED,
            RetailState.RESERVED,
            RetailState.WAITING,
            RetailState.VOIDED,
            RetailState.EXPIRED,
        }
    ),
    RetailState.RESERVED: frozenset({RetailState.SETTLED, RetailState.REFUSED}),
    RetailState.CLAIMED: frozenset({RetailState.SETTLED, RetailState.REFUSED}),
    RetailState.SETTLED: frozenset({RetailState.RETURNED}),
    RetailState.REFUSED: frozenset(),
    RetailState.EXPIRED: frozenset(),
    RetailState.VOIDED: frozenset(),
    RetailState.RETURNED: frozenset(),
}


def step(payment: RetailPayment, state: RetailState) -> RetailPayment:
    """The payment in its next state; raises `RetailPaymentUnexpected` for a step that cannot follow."""
    if state not in _NEXT[payment.state]:
        raise RetailPaymentUnexpected(payment.payment_id, payment.state.value, state.value)
    return replace(payment, state=state)
