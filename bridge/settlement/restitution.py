"""A return comes back: the original debtor bank takes the pacs.004 and decides on it.

The chain has checked that this bank paid in the original and that no more comes back than it paid, so a
return is refused only where message and commitment do not fit. Whether its account can still be
credited is asked when it settles; where not, it is on suspense.
"""

from dataclasses import dataclass, replace

from bridge.chain import return_id
from bridge.errors import EnvelopeInvalid
from bridge.iso20022.codes import MessageName, StatusReason
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.messages_returns import PaymentReturn
from bridge.iso20022.parse import parse_payment_return
from bridge.payment import Payment, ReturnOf, SettlementId
from bridge.settlement.notices import message_id_of
from bridge.store import InboxMessage, MessageDirection, StoredMessage, UnitOfWork


@dataclass(frozen=True, slots=True)
class ReturnKey:
    """How a message names its return on the chain: who sends it, its key and its number."""

    sender_lei: str
    settlement_id: SettlementId
    number: str


def read_return(key: ReturnKey, document: bytes) -> PaymentReturn:
    """The pacs.004 in a sealed message; raises the parse errors, and `EnvelopeInvalid` for another's key."""
    message = parse_payment_return(document)
    if not (key.number.isascii() and key.number.isdigit() and len(key.number) <= NUMBER_DIGITS_MAX):
        raise EnvelopeInvalid("its number is none")
    if return_id(key.sender_lei, message.original.uetr, int(key.number)) != key.settlement_id:
        raise EnvelopeInvalid("its settlement id is not that of its sender, UETR and number")
    return message


NUMBER_DIGITS_MAX = 77
"""Digits of the greatest number of a return that the contract surely takes."""


def judge_return(
    work: UnitOfWork, payment: Payment, envelope: InboxMessage
) -> tuple[Payment, StatusReason | None]:
    """The announced return with what its message says of it, and the reason to refuse it, if any."""
    message = parse_payment_return(envelope.document)
    known = replace(payment, salt=envelope.salt, return_of=_named(payment, message))
    work.messages.add(
        StoredMessage(
            message_id=message_id_of(payment),
            direction=MessageDirection.IN,
            name=MessageName.PAYMENT_RETURN.value,
            document=envelope.document,
            payment_id=payment.payment_id,
            peer=envelope.sender_lei,
            created_at=envelope.received_at,
            salt=envelope.salt,
        )
    )
    is_known = known.return_of is not None and known.return_of.payment_id is not None
    if envelope.sender_lei != payment.counterparty_lei:
        return known, StatusReason.FF01
    if not is_committed_return(payment, message, envelope.salt):
        return known, StatusReason.FF01
    if is_known and message.original.uetr != payment.uetr:
        return known, StatusReason.FF01
    if message.returned_interbank_settlement_amount != payment.settlement_amount:
        return known, StatusReason.AM09
    return replace(known, uetr=message.original.uetr), None


def is_committed_return(payment: Payment, message: PaymentReturn, salt: bytes) -> bool:
    """Whether a pacs.004 is the one that the return's terms commit to."""
    return commit(canonical_content(message), salt) == payment.terms.message_commitment


def _named(payment: Payment, message: PaymentReturn) -> ReturnOf:
    known = payment.return_of or ReturnOf(None)
    return replace(known, reason=message.reason.value)
