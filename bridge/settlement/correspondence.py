"""Messages between two banks about a payment that is under way or settled, beside the payment itself:
kept with their cause, then sealed and delivered until they are taken.
"""

from dataclasses import dataclass

from bridge.interbank import Kind, Outgoing, deliver
from bridge.payment import Payment
from bridge.store import MessageDirection, StoredMessage, UnitOfWork


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to the other bank of a payment; `label` is what names it among that payment's."""

    kind: Kind
    name: str
    label: str
    document: bytes


def send(work: UnitOfWork, payment: Payment, letter: Letter, at: int) -> None:
    """Keep a message and record its delivery; the same one again changes nothing."""
    if not _keep(work, payment, letter, at, MessageDirection.OUT):
        return
    body = {"settlement_id": payment.settlement_id.hex(), "document": letter.document.decode()}
    message = Outgoing(
        key=_id_of(payment, letter),
        to_lei=payment.counterparty_lei,
        kind=letter.kind,
        body=body,
        payment_id=payment.payment_id,
    )
    deliver(work, message, at=at)


def keep(work: UnitOfWork, payment: Payment, letter: Letter, at: int) -> bool:
    """Keep a message that came from the other bank; False when it is here already."""
    return _keep(work, payment, letter, at, MessageDirection.IN)


def _keep(
    work: UnitOfWork, payment: Payment, letter: Letter, at: int, direction: MessageDirection
) -> bool:
    message_id = _id_of(payment, letter)
    if work.messages.find(message_id) is not None:
        return False
    work.messages.add(
        StoredMessage(
            message_id=message_id,
            direction=direction,
            name=letter.name,
            document=letter.document,
            created_at=at,
            payment_id=payment.payment_id,
            peer=payment.counterparty_lei,
        )
    )
    return True


def _id_of(payment: Payment, letter: Letter) -> str:
    return f"{payment.payment_id}:{letter.label}"
