"""A payment's documents are made unreadable for ever, once two operators want it and may.

Only the key goes: what was booked, what stands on the chain and every hash of a document stay, so that
whoever still has the document and its salt can show that it was the one. The bank has neither any more.
"""

from typing import Final

from bridge.approval import Proposal
from bridge.errors import DeliveryUnfinished, PaymentOpen, ResourceUnknown, RetentionNotOver
from bridge.institution import Institution
from bridge.operating import Action
from bridge.payment import Payment, without_salt
from bridge.store import UnitOfWork

SHRED_MESSAGES: Final = "shred_messages"
"""Kind of the action; its subject is the id of a payment, or at a central bank the settlement id."""

SECONDS_PER_DAY: Final = 86_400


def shred_messages(institution: Institution) -> Action:
    """The action at one institution.

    It is refused while the payment is open, while something of it is on its way, and before the
    settings' `retention_days` are over.
    """

    def check(work: UnitOfWork, proposal: Proposal) -> None:
        _check(institution, work, proposal.subject)

    def carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
        payment = _check(institution, work, proposal.subject)
        if payment is None:
            copied = work.supervisor_copies.scope(bytes.fromhex(proposal.subject))
            return _told(is_new=work.vault.destroy(copied, at))
        work.payments.save(without_salt(payment))
        return _told(is_new=work.vault.destroy(payment.payment_id, at))

    return Action(check, carry_out)


def _check(institution: Institution, work: UnitOfWork, subject: str) -> Payment | None:
    """The payment that may be shredded; None for a copy of somebody else's."""
    payment = work.payments.find(subject)
    if payment is None:
        _check_age(institution, subject, _announced_at(work, subject))
        return None
    if not payment.is_terminal:
        raise PaymentOpen(subject, payment.state.value)
    if work.deliveries.has_unfinished(subject):
        raise DeliveryUnfinished(subject)
    _check_age(institution, subject, payment.created_at)
    return payment


def _announced_at(work: UnitOfWork, subject: str) -> int:
    try:
        copied = work.supervisor_copies.find(bytes.fromhex(subject))
    except ValueError:
        copied = None
    if copied is None:
        raise ResourceUnknown("payment", subject)
    return copied.announced_at


def _check_age(institution: Institution, subject: str, since: int) -> None:
    until = since + institution.settings.retention_days * SECONDS_PER_DAY
    if institution.clock() < until:
        raise RetentionNotOver(subject, until)


def _told(*, is_new: bool) -> str:
    return "its key is destroyed" if is_new else "its key was destroyed before"
