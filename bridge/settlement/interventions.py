"""What two operators of a bank may do about its payments, by kind of action."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.approval import Proposal
from bridge.errors import MessageNotWaiting, PaymentNotOverdue
from bridge.institution import Institution, record
from bridge.operating import Action
from bridge.payment import Payment
from bridge.settlement.observation import EXPIRE
from bridge.settlement.recall import ANSWER_RECALL, CLOSE_RECALL, answer_action, close_action
from bridge.settlement.returning import (
    RETURN_PAYMENT,
    return_action,
    return_suspense_action,
)
from bridge.settlement.suspense import RELEASE_SUSPENSE, RETURN_SUSPENSE, release_action
from bridge.store import InboxMessage, UnitOfWork

EXPIRE_NOW: Final = "expire_now"
"""Kind of the action that has the chain end a payment past its deadline; its subject is the payment."""

WRITE_OFF_MESSAGE: Final = "write_off_message"
"""Kind of the action that forgets a message without its payment; its subject is the payment's key on
the chain, 0x and hex."""


def settlement_actions(institution: Institution) -> Mapping[str, Action]:
    """Every action of a bank about its payments."""
    return {
        RETURN_PAYMENT: return_action(institution),
        RETURN_SUSPENSE: return_suspense_action(institution),
        RELEASE_SUSPENSE: release_action(institution),
        ANSWER_RECALL: answer_action(institution),
        CLOSE_RECALL: close_action(),
        EXPIRE_NOW: _Expiry(institution).action(),
        WRITE_OFF_MESSAGE: Action(_check_message, _write_off),
    }


@dataclass(frozen=True, slots=True)
class _Expiry:
    """Have the chain end a payment: at the creditor bank too, should the debtor bank not ask for it."""

    institution: Institution

    def action(self) -> Action:
        return Action(self._check, self._carry_out)

    def _check(self, work: UnitOfWork, proposal: Proposal) -> None:
        self._overdue(work, proposal, self.institution.clock())

    def _carry_out(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        payment = self._overdue(work, proposal, at)
        if not work.effects.hurry(f"{payment.payment_id}:{EXPIRE}", at):
            record(work, payment, EXPIRE, at)
        return "the chain is asked to end it"

    def _overdue(self, work: UnitOfWork, proposal: Proposal, at: int) -> Payment:
        payment = work.payments.get(proposal.subject)
        if payment.ends_by is None or at <= payment.ends_by:
            raise PaymentNotOverdue(payment.payment_id, payment.state.value)
        return payment


def _check_message(work: UnitOfWork, proposal: Proposal) -> None:
    _waiting(work, proposal.subject)


def _write_off(work: UnitOfWork, proposal: Proposal, _: int) -> str:
    work.inbox.discard(_waiting(work, proposal.subject).settlement_id)
    return "forgotten; it may come anew"


def _waiting(work: UnitOfWork, subject: str) -> InboxMessage:
    try:
        key = bytes.fromhex(subject.removeprefix("0x"))
    except ValueError as error:
        raise MessageNotWaiting(subject) from error
    found = work.inbox.get(key)
    is_announced = work.payments.by_settlement_id(key) is not None
    if found is None or is_announced or not work.inbox.is_waiting(key):
        raise MessageNotWaiting(subject)
    return found
