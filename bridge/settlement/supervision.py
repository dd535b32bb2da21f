"""Copies of payment messages, and of returns, for central banks and supervisors.

debtor bank    seals a copy for the issuers of the payment's currencies and the registered
               supervisors, puts its hash into the terms, sends it once the payment is on the chain
creditor bank  is shown the copy with the pacs.008: its hash stands in the terms, the issuers are
               among its recipients, and they are issuers or supervisors all. What it says it cannot see
recipient      takes a copy only for a payment that it saw on the chain, with the hash from there; opens
               it and holds it against the message commitment. What is wrong with it is kept as a
               finding; a copy that never comes is seen to be missing
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge.chain import ChainEvent, return_id, settlement_id
from bridge.errors import (
    CopyMismatch,
    CopyNotAnnounced,
    CopyUnreadable,
    EnvelopeInvalid,
    ParticipantUnknown,
    PaymentIncomplete,
    Rejected,
)
from bridge.institution import Institution
from bridge.interbank import Kind, Outgoing, Received, Receivers, Taking, deliver
from bridge.interbank.copies import CopyContent, OpenedCopy, copy_hash, recipients_of
from bridge.iso20022.commitment import canonical_content, commit
from bridge.iso20022.messages import CreditTransfer
from bridge.iso20022.messages_returns import PaymentReturn
from bridge.iso20022.parse import parse_message
from bridge.payment import Payment, Terms
from bridge.store import MessageDirection, StoredMessage, SupervisorCopy, UnitOfWork

NO_COPY: Final = bytes(32)
"""Hash in the terms of a payment without a copy."""

COPY_NAME: Final = "supervisor-copy"
"""Name under which the debtor bank keeps a copy; it is no message of the customer's."""

SUPERVISORY_ROLES: Final = frozenset({"issuer", "supervisor"})
"""Roles in the registry whose holders may be recipients."""


def seal_copy(institution: Institution, payment: Payment, document: bytes) -> tuple[Payment, bytes]:
    """The payment with its copy in its terms, and the copy of its pacs.008, or a return's pacs.004, for
    everybody who must have one.

    Raises `CurrencyNotIssued`, and `PeerMisconfigured` for a recipient without a usable key.
    """
    if payment.salt is None:
        raise PaymentIncomplete(payment.payment_id, "salt")
    directory = institution.directory()
    required = issuers_of(institution, payment.terms) | {
        each.lei
        for each in directory.participants
        if each.is_admitted and "supervisor" in each.roles
    }
    number = None if payment.return_of is None else payment.return_of.number
    content = CopyContent(payment.settlement_id, document, payment.salt, number)
    recipients = [directory.by_lei(lei) for lei in required]
    copy = institution.interbank.copyist.seal(content, recipients)
    terms = replace(payment.terms, supervisor_copy_hash=copy_hash(copy))
    return replace(payment, terms=terms), copy


def issuers_of(institution: Institution, terms: Terms) -> frozenset[str]:
    """The central banks of the currencies of a payment."""
    return frozenset(institution.chain.issuer_of(leg.currency) for leg in terms.legs)


def keep_copy(work: UnitOfWork, payment: Payment, copy: bytes) -> None:
    """Keep the copy at the debtor bank until the payment is on the chain, and after."""
    work.messages.add(
        StoredMessage(
            message_id=copy_id(payment),
            direction=MessageDirection.OUT,
            name=COPY_NAME,
            document=copy,
            payment_id=payment.payment_id,
            created_at=payment.created_at,
        )
    )


def copy_id(payment: Payment) -> str:
    """The message id under which `keep_copy` keeps a copy."""
    return f"{payment.payment_id}:{COPY_NAME}"


def dispatch_copies(
    institution: Institution, work: UnitOfWork, payment: Payment, copy: bytes, at: int
) -> None:
    """Record a payment's sealed copy for each of its recipients."""
    for lei in sorted(recipients_of(copy)):
        message = Outgoing(
            key=f"{copy_id(payment)}:{lei}",
            to_lei=lei,
            kind=Kind.SUPERVISOR_COPY,
            body={
                "settlement_id": payment.settlement_id.hex(),
                "copy": copy.decode(),
            },
            payment_id=payment.payment_id,
        )
        deliver(work, message, at=at, days=institution.settings.delivery_days)


def is_rightly_copied(
    institution: Institution, terms: Terms, copy: bytes | None, issuers: frozenset[str]
) -> bool:
    """Whether the copy that came with a pacs.008 is the one in the terms, for whom it must be.

    Without a copy in the terms it is as the bank's `requires_supervisor_copy` says.
    """
    if terms.supervisor_copy_hash == NO_COPY:
        return not institution.settings.requires_supervisor_copy
    if copy is None or copy_hash(copy) != terms.supervisor_copy_hash:
        return False
    directory = institution.directory()
    try:
        named = recipients_of(copy)
        roles = [directory.by_lei(lei).roles for lei in named]
    except (CopyUnreadable, ParticipantUnknown):
        return False
    return issuers <= named and all(each & SUPERVISORY_ROLES for each in roles)


def expect_copy(
    institution: Institution, work: UnitOfWork, event: ChainEvent, terms: Terms, at: int
) -> None:
    """Note, at an issuer of one of its currencies or at a supervisor, that a payment was announced."""
    own = institution.directory().by_lei(institution.lei)
    issued = institution.settings.currencies if "issuer" in own.roles else ()
    concerns = any(leg.currency in issued for leg in terms.legs)
    if not concerns and "supervisor" not in own.roles:
        return
    work.supervisor_copies.expect(
        SupervisorCopy(
            settlement_id=event.arguments["paymentId"],
            sender_lei=event.arguments["participant"].decode(),
            copy_hash=terms.supervisor_copy_hash,
            message_commitment=terms.message_commitment,
            announced_at=at,
        )
    )


def receivers(institution: Institution) -> Receivers:
    """How a central bank or a supervisor takes copies."""

    def receive(received: Received) -> Taking:
        return _receive_copy(institution, received)

    return {Kind.SUPERVISOR_COPY: receive}


def _receive_copy(institution: Institution, received: Received) -> Taking:
    """Keep a copy. Raises `EnvelopeInvalid`, in its taking `CopyNotAnnounced` until the payment is
    seen on the chain, and `CopyMismatch` when the chain names another copy or debtor bank.
    """
    key, copy = _read(received.body)
    opened, fault = _open(institution, copy)

    def taking(work: UnitOfWork) -> None:
        known = work.supervisor_copies.find(key)
        if known is None:
            raise CopyNotAnnounced(key.hex())
        if (known.sender_lei, known.copy_hash) != (received.sender_lei, copy_hash(copy)):
            raise CopyMismatch(key.hex())
        finding = fault or _examine(known, opened)
        work.supervisor_copies.keep(key, copy, finding=finding, received_at=institution.clock())

    return taking


def _open(institution: Institution, copy: bytes) -> tuple[OpenedCopy | None, str | None]:
    try:
        return institution.interbank.copyist.open(copy, institution.directory()), None
    except (CopyUnreadable, ParticipantUnknown) as error:
        return None, str(error)


def _examine(known: SupervisorCopy, opened: OpenedCopy | None) -> str | None:
    """What is wrong with an opened copy of an announced payment; None where nothing is."""
    if opened is None or opened.sender_lei != known.sender_lei:
        return "it is signed by another than the debtor bank"
    content = opened.content
    try:
        message = parse_message(content.document)
    except Rejected as error:
        return f"its document is refused: {error.code}"
    if not isinstance(message, CreditTransfer | PaymentReturn):
        return "its document is no payment"
    if _key_of(known.sender_lei, message, content.return_number) != known.settlement_id:
        return "it is of another payment"
    if commit(canonical_content(message), content.salt) != known.message_commitment:
        return "it is not the message that the payment commits to"
    return None


def _key_of(sender_lei: str, message: CreditTransfer | PaymentReturn, number: int | None) -> bytes:
    """Under which key the chain has a payment, or a return with its number."""
    if isinstance(message, CreditTransfer):
        return settlement_id(sender_lei, message.uetr)
    return return_id(sender_lei, message.original.uetr, number or 0)


def _read(body: Mapping[str, str]) -> tuple[bytes, bytes]:
    try:
        return bytes.fromhex(body["settlement_id"]), body["copy"].encode()
    except (KeyError, ValueError) as error:
        raise EnvelopeInvalid("it names no payment, or has no copy") from error
