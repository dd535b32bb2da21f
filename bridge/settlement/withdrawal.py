"""A debtor's wish to have a payment back before it is final, at the debtor bank.

The wish is recorded with the effect that carries it to the chain; which comes first, the withdrawal
or a settlement, is decided there. Nothing moves before the final block that says so.
"""

from typing import Final

from bridge.errors import PaymentNotWaiting
from bridge.institution import Institution
from bridge.iso20022.codes import StatusReason
from bridge.payment import Direction, Event, Fact, Payment, PaymentState
from bridge.settlement.observation import follow
from bridge.store import UnitOfWork


def ask_withdrawal(institution: Institution, payment_id: str) -> Payment:
    """The payment, asked back; asking again changes nothing.

    Raises `PaymentUnknown`, and `PaymentNotWaiting` for one that this bank did not send or that is
    at its end.
    """
    with institution.store.unit_of_work() as work:
        return withdraw(institution, work, work.payments.get(payment_id), institution.clock())


def withdraw(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> Payment:
    """The same within a transaction.

    Only of a payment that waits is the reason known at once: another may still be refused instead.
    """
    if payment.direction is not Direction.OUTGOING or payment.state not in WITHDRAWABLE:
        raise PaymentNotWaiting(payment.payment_id, payment.state.value)
    is_waiting = payment.state is PaymentState.QUEUED
    reason = StatusReason.CUST.value if is_waiting else None
    return follow(institution, work, payment, Event(Fact.WITHDRAWAL_ASKED, reason=reason), at=at)


WITHDRAWABLE: Final = frozenset(
    {PaymentState.RESERVED, PaymentState.INSTRUCTED, PaymentState.QUEUED}
)
"""States in which the debtor bank can ask the chain for a payment."""
