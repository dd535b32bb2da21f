"""Payments that wait, made in a few words: what the suites of queues, limits and returns share."""

from dataclasses import replace

from node.primitives import keccak
from support.rounds import as_argument, propose
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    OPERATOR,
    SGD,
    Institution,
    Leg,
    Street,
    Terms,
)

INSTRUCTED, QUEUED, SETTLED, CANCELLED, EXPIRED = 1, 2, 3, 5, 6
"""States of a payment."""

WITHDRAWN, NO_LIQUIDITY, UNACCEPTED, UNSETTLED = 3, 4, 5, 6
"""Outcomes of a payment that ended without settling."""

FOR_MONEY, FOR_ORDER, FOR_LIMIT, NOT_ELIGIBLE = 1, 2, 3, 4
"""Why a payment waits."""

NORMAL, HIGH, URGENT = 0, 1, 2
"""Priority classes."""

AMOUNT_MAX = 2**127 - 1
"""Largest amount of a leg."""

NO_LIMIT = AMOUNT_MAX
"""What stands for no limit."""

HOLDERS = (ALPHA, BETA, MAKER)
"""Who has a settlement account."""


def terms_of(
    street: Street,
    payer: Institution,
    payee: Institution,
    amount: int,
    *,
    currency: bytes = EUR,
    priority: int = NORMAL,
) -> Terms:
    """Return terms of a payment of one leg."""
    leg = Leg(currency, payer.reference(), payee.reference(), amount)
    return replace(street.plain_terms(), legs=(leg,), priority=priority)


def pay(street: Street, payer: Institution, payee: Institution, terms: Terms) -> bytes:
    """Instruct and accept; the payment settles or waits."""
    payment_id = street.instruct(terms, sender=payer.operating)
    street.accept(payment_id, terms, sender=payee.operating)
    return payment_id


def resolve(street: Street, terms_by_id: dict[bytes, Terms]) -> list[str]:
    """Settle what can be of these payments; return the names of the events."""
    proposal = as_argument(propose(street, terms_by_id))
    return street.settlement.transact(OPERATOR.operating, "resolve", proposal).names


def waiting(street: Street, holder: Institution, currency: bytes = EUR) -> tuple[int, int]:
    """Return how many payments count in a queue, and what they ask of it."""
    found: tuple[int, int] = street.settlement.read(
        "waitingOf", holder.settlement.address, currency
    )
    return found


def balances(street: Street) -> list[int]:
    """Return what every holder has in every currency."""
    return [street.balance(holder, currency) for holder in HOLDERS for currency in (EUR, SGD)]


def add_account(street: Street, owner: Institution, label: str, address: bytes, kind: int) -> bytes:
    """Register one more account of a participant; return its reference."""
    reference = keccak(label.encode())
    street.registry.transact(
        OPERATOR.operating, "addAccount", owner.lei, (reference, address, kind)
    )
    return reference
