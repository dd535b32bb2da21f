"""What a payment's two banks send each other about it: the pacs.008 or pacs.004 and the answer to it.

Recorded with the fact that causes it, in its transaction; couriers send it (`bridge.interbank`).
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from bridge.errors import PaymentIncomplete
from bridge.institution import Institution
from bridge.interbank import Kind, Outgoing, deliver
from bridge.payment import Effect, Payment
from bridge.settlement import notices
from bridge.settlement.supervision import copy_id, dispatch_copies
from bridge.store import UnitOfWork


def dispatch_transfer(
    institution: Institution, work: UnitOfWork, payment: Payment, at: int
) -> None:
    """Record the sealed pacs.008 for the creditor bank, or a return's pacs.004, and its copies for supervision."""
    if payment.salt is None:
        raise PaymentIncomplete(payment.payment_id, "salt")
    document = work.messages.get(notices.message_id_of(payment)).document
    copy = work.messages.find(copy_id(payment))
    shown = {} if copy is None else {"copy": copy.document.decode()}
    body = {**_body(payment, document, payment.salt), **shown}
    if payment.return_of is None:
        content = (Kind.CREDIT_TRANSFER, body)
    else:
        content = (Kind.RETURN, {**body, "number": str(payment.return_of.number)})
    _dispatch(institution, work, payment, content, at)
    if copy is not None:
        dispatch_copies(institution, work, payment, copy.document, at)


def dispatch_answer(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> None:
    """Keep and record the sealed pacs.002 that tells the debtor bank how this bank decided."""
    document = notices.keep_answer(institution, work, payment, at)
    body = _body(payment, document, reason_salt(institution, payment))
    _dispatch(institution, work, payment, (Kind.STATUS_REPORT, body), at)


DISPATCH_BY_EFFECT: Final[
    Mapping[Effect, Callable[[Institution, UnitOfWork, Payment, int], None]]
] = {
    Effect.DELIVER_MESSAGE: dispatch_transfer,
    Effect.DELIVER_STATUS: dispatch_answer,
}
"""What records each effect that is a message to the other bank."""


def reason_salt(institution: Institution, payment: Payment) -> bytes:
    """The salt of the commitment to the reason of a refusal: the same after a restore."""
    secret = institution.secret
    return hmac.new(secret, b"reason:" + payment.settlement_id, hashlib.sha256).digest()


def _body(payment: Payment, document: bytes, salt: bytes) -> dict[str, str]:
    return {
        "settlement_id": payment.settlement_id.hex(),
        "salt": salt.hex(),
        "document": document.decode(),
    }


def _dispatch(
    institution: Institution,
    work: UnitOfWork,
    payment: Payment,
    content: tuple[Kind, Mapping[str, str]],
    at: int,
) -> None:
    kind, body = content
    message = Outgoing(
        key=f"{payment.payment_id}:{kind.value}",
        to_lei=payment.counterparty_lei,
        kind=kind,
        body=body,
        payment_id=payment.payment_id,
    )
    deliver(work, message, at=at, days=institution.settings.delivery_days)
