"""A debtor's wish to have a payment back while it waits for liquidity, at the debtor bank.

The wish is recorded with the effect that carries it to the chain; which comes first, the withdrawal
or a settlement, is decided there. Nothing moves before the final block that says so.
"""

from bridge.errors import PaymentNotWaiting
from bridge.institution import Institution
from bridge.iso20022.codes import StatusReason
from bridge.payment import Direction, Event, Fact, Payment, PaymentState
from bridge.settlement.observation import follow


def ask_withdrawal(institution: Institution, payment_id: str) -> Payment:
    """The payment, on its way out of the queue; asking again changes nothing.

    Raises `PaymentUnknown`, and `PaymentNotWaiting` for one that this bank did not send or that is
    not waiting for liquidity.
    """
    with institution.store.unit_of_work() as work:
        payment = work.payments.get(payment_id)
        is_waiting = payment.state is PaymentState.QUEUED
        if payment.direction is not Direction.OUTGOING or not is_waiting:
            raise PaymentNotWaiting(payment_id, payment.state.value)
        event = Event(Fact.WITHDRAWAL_ASKED, reason=StatusReason.CUST.value)
        return follow(institution, work, payment, event, at=institution.clock())
