"""The ISO 20022 messages that tell people how a payment went: pacs.002 and camt.054.

A status report is made when a payment has to wait for liquidity and when it ends, an account
notification when a customer's account was booked. Both are stored with the fact they report, in its
transaction; sending is another effect.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bridge.errors import PaymentIncomplete
from bridge.institution import Institution
from bridge.iso20022.codes import (
    ChargeBearer,
    CreditDebit,
    MessageName,
    StatusReason,
    TransactionStatus,
)
from bridge.iso20022.format import format_account_notification, format_status_report
from bridge.iso20022.identifiers import Uetr
from bridge.iso20022.messages import (
    AccountNotification,
    Charge,
    CreditTransfer,
    CurrencyExchange,
    StatusReport,
)
from bridge.iso20022.messages_returns import PaymentReturn
from bridge.iso20022.parse import parse_credit_transfer, parse_payment_return
from bridge.money import Rate
from bridge.payment import Direction, Payment, PaymentState
from bridge.settlement.description import iso_status
from bridge.store import MessageDirection, StoredMessage, UnitOfWork

ANSWER: Final = "answer"
"""Occasion of the status report that goes to the other bank rather than to a customer."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The references of the message that a report is on: a payment's, or a return's."""

    message_id: str
    message_name: MessageName
    end_to_end_id: str
    uetr: Uetr
    instruction_id: str | None
    transaction_id: str


def message_id_of(payment: Payment) -> str:
    """Under which id the payment's own message is kept: its pacs.008, or its pacs.004."""
    return f"{payment.payment_id}:{'pacs.008' if payment.return_of is None else 'pacs.004'}"


def notify(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> None:
    """Store the status report of a payment that ended or waits and, if it settled, the notification.

    Nothing can be told of a payment whose message restored books do not have.
    """
    if work.messages.find(message_id_of(payment)) is None:
        return
    state = payment.state.value
    document = report(institution, work, payment, at)
    work.messages.add(_message(payment, (MessageName.STATUS_REPORT, state), document, at))
    is_booked = payment.state is PaymentState.SETTLED and not payment.is_on_suspense
    if is_booked and _is_told(work, payment):
        document = _notification(institution, payment, transfer_of(work, payment), at)
        work.messages.add(
            _message(payment, (MessageName.ACCOUNT_NOTIFICATION, state), document, at)
        )


def notices_of(
    institution: Institution, payment: Payment, transfer: CreditTransfer, at: int
) -> tuple[StoredMessage, ...]:
    """What is told of a payment inside this bank, whose pacs.008 is `transfer`."""
    state = payment.state.value
    document = _report(institution, payment, subject_in(transfer), at)
    made = [_message(payment, (MessageName.STATUS_REPORT, state), document, at)]
    if payment.state is PaymentState.SETTLED:
        document = _notification(institution, payment, transfer, at)
        made.append(_message(payment, (MessageName.ACCOUNT_NOTIFICATION, state), document, at))
    return tuple(made)


def notify_release(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> None:
    """Store the notification of a credit that came late, from suspense."""
    if _is_told(work, payment):
        document = _notification(institution, payment, transfer_of(work, payment), at)
        work.messages.add(
            _message(payment, (MessageName.ACCOUNT_NOTIFICATION, RELEASE), document, at)
        )


RELEASE: Final = "release"
"""Occasion of the notification of a credit from suspense."""


def keep_answer(institution: Institution, work: UnitOfWork, payment: Payment, at: int) -> bytes:
    """Store the creditor bank's answer to the debtor bank, so that every sending has its bytes."""
    document = report(institution, work, payment, at)
    work.messages.add(_message(payment, (MessageName.STATUS_REPORT, ANSWER), document, at))
    return document


def answer_id(payment: Payment) -> str:
    """The message id under which `keep_answer` stored the answer."""
    return f"{payment.payment_id}:{MessageName.STATUS_REPORT.value}:{ANSWER}"


def report(
    institution: Institution, work: UnitOfWork, payment: Payment, at: int, *, letter: str = "S"
) -> bytes:
    """A pacs.002 on the payment as it stands at the UTC second `at`, from this institution.

    Its message id begins with `letter`, which tells reports of one state on different occasions apart.
    """
    return _report(institution, payment, subject_of(work, payment), at, letter)


def _report(
    institution: Institution, payment: Payment, subject: Subject, at: int, letter: str = "S"
) -> bytes:
    status = iso_status(payment)
    reason = None
    if status in {TransactionStatus.RJCT, TransactionStatus.CANC}:
        reason = StatusReason(payment.reason or StatusReason.MS03.value)
    now = datetime.fromtimestamp(at, UTC)
    settled = payment.state is PaymentState.SETTLED
    return format_status_report(
        StatusReport(
            message_id=_message_id(payment, letter),
            created_at=now,
            original_message_id=subject.message_id,
            original_message_name=subject.message_name,
            original_end_to_end_id=subject.end_to_end_id,
            uetr=subject.uetr,
            status=status,
            reason=reason,
            original_instruction_id=subject.instruction_id,
            original_transaction_id=subject.transaction_id,
            effective_settlement_date=now.date() if settled else None,
            instructing_agent=institution.agent,
            instructed_agent=institution.agent_of(payment.counterparty_lei),
        )
    )


def transfer_of(work: UnitOfWork, payment: Payment) -> CreditTransfer:
    """The pacs.008 of a payment, as it was sent or received; of a return its original's, turned round."""
    if payment.return_of is None:
        return parse_credit_transfer(work.messages.get(message_id_of(payment)).document)
    document = work.messages.get(_original_message_id(payment)).document
    transfer = parse_credit_transfer(document)
    return replace(
        transfer,
        transaction_id=return_message_of(work, payment).return_id,
        charges=(),
        debtor=transfer.creditor,
        debtor_account=transfer.creditor_account,
        debtor_agent=transfer.creditor_agent,
        creditor=transfer.debtor,
        creditor_account=transfer.debtor_account,
        creditor_agent=transfer.debtor_agent,
    )


def return_message_of(work: UnitOfWork, payment: Payment) -> PaymentReturn:
    """The pacs.004 of a return, as it was sent or received."""
    return parse_payment_return(work.messages.get(message_id_of(payment)).document)


def _original_message_id(payment: Payment) -> str:
    original = payment.return_of
    return "" if original is None else f"{original.payment_id}:pacs.008"


def _is_told(work: UnitOfWork, payment: Payment) -> bool:
    """Whether there is a pacs.008 to tell of; restored books may lack a return's original."""
    if payment.return_of is None:
        return work.messages.find(message_id_of(payment)) is not None
    return work.messages.find(_original_message_id(payment)) is not None


def subject_of(work: UnitOfWork, payment: Payment) -> Subject:
    """The references of the payment's own message."""
    if payment.return_of is not None:
        message = return_message_of(work, payment)
        return Subject(
            message.message_id,
            MessageName.PAYMENT_RETURN,
            message.original.end_to_end_id,
            message.original.uetr,
            None,
            message.return_id,
        )
    return subject_in(transfer_of(work, payment))


def subject_in(transfer: CreditTransfer) -> Subject:
    """The references of a pacs.008."""
    return Subject(
        transfer.message_id,
        MessageName.CREDIT_TRANSFER,
        transfer.end_to_end_id,
        transfer.uetr,
        transfer.instruction_id,
        transfer.transaction_id,
    )


def _notification(
    institution: Institution, payment: Payment, transfer: CreditTransfer, at: int
) -> bytes:
    outgoing = payment.direction is Direction.OUTGOING
    now = datetime.fromtimestamp(at, UTC)
    charges = payment.charges
    if outgoing and charges is None:
        raise PaymentIncomplete(payment.payment_id, "charges")
    amount = payment.credited if charges is None else charges.debit
    exchange = None
    if charges is not None and charges.rate is not None:
        exchange = CurrencyExchange(
            source=charges.principal.currency,
            target=payment.settlement_amount.currency,
            rate=Rate.parse(charges.rate),
        )
    return format_account_notification(
        AccountNotification(
            message_id=_message_id(payment, "N"),
            created_at=now,
            notification_id=_message_id(payment, "N"),
            account=transfer.debtor_account if outgoing else transfer.creditor_account,
            owner=transfer.debtor if outgoing else transfer.creditor,
            servicer=institution.agent,
            direction=CreditDebit.DBIT if outgoing else CreditDebit.CRDT,
            amount=amount,
            booking_date=now.date(),
            value_date=now.date(),
            account_servicer_reference=transfer.transaction_id,
            end_to_end_id=transfer.end_to_end_id,
            uetr=transfer.uetr,
            debtor=transfer.debtor,
            debtor_account=transfer.debtor_account,
            debtor_agent=transfer.debtor_agent,
            creditor=transfer.creditor,
            creditor_account=transfer.creditor_account,
            creditor_agent=transfer.creditor_agent,
            instruction_id=transfer.instruction_id,
            transaction_id=transfer.transaction_id,
            instructed_amount=transfer.instructed_amount if exchange else None,
            exchange=exchange,
            charges=_charges(institution, payment, transfer),
            remittance_information=transfer.remittance_information,
        )
    )


def _charges(
    institution: Institution, payment: Payment, transfer: CreditTransfer
) -> tuple[Charge, ...]:
    """The charges inside the booked amount: this bank's own, and one paid for the creditor agent."""
    paid_ahead = transfer.charge_bearer is ChargeBearer.DEBT
    if payment.charges is None:
        own, ahead = None if paid_ahead else payment.creditor_charge, None
    else:
        own, ahead = payment.charges.fee, payment.creditor_charge if paid_ahead else None
    charges = ((own, institution.agent), (ahead, transfer.creditor_agent))
    return tuple(Charge(amount, agent) for amount, agent in charges if amount)


def _message_id(payment: Payment, kind: str) -> str:
    """Unique per side of a payment, kind and state, at most 35 characters (ISO 20022 Max35Text)."""
    side = "I" if payment.direction is Direction.INCOMING else ""
    return f"{kind}{payment.state.value[:2].upper()}{payment.settlement_id.hex()[:30]}{side}"


def _message(
    payment: Payment, label: tuple[MessageName, str], document: bytes, at: int
) -> StoredMessage:
    name, occasion = label
    return StoredMessage(
        message_id=f"{payment.payment_id}:{name.value}:{occasion}",
        direction=MessageDirection.OUT,
        name=name.value,
        document=document,
        payment_id=payment.payment_id,
        peer=payment.counterparty_lei if occasion == ANSWER else None,
        created_at=at,
        salt=None,
    )
