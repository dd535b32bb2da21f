"""Payments that wait, made in a few words: what the suites of queues, limits and returns share."""

from dataclasses import replace

from support.rounds import as_argument, propose
from support.settlement_network import (
    EUR,
    OPERATOR,
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

NO_LIMIT = 2**127 - 1
"""What stands for no limit."""


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
