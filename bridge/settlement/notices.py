"""The ISO 20022 messages that tell people how a payment went: pacs.002 and camt.054.

A status report is made when a payment ends, an account notification when a customer's account was
booked. Both are stored with the fact they report, in its transaction; sending is another effect.
"""

from datetime import UTC, datetime

from bridge.errors import PaymentIncomplete
from bridge.institution import Institution
from bridge.iso20022.codes import CreditDebit, MessageName, StatusReason, TransactionStatus
from bridge.iso20022.format import format_account_notification, format_status_report
from bridge.iso20022.messages import (
    AccountNotification,
    Charge,
    CreditTransfer,
    CurrencyExchange,
    StatusReport,
)
from bridge.iso20022.parse import parse_credit_transfer
from bridge.money import Rate
from bridge.payment import Direction, Payment, PaymentState
from bridge.settlement.description import iso_status
from bridge.store import MessageDirection, StoredMessage, UnitOfWork


def notify(institution: Institution, work: UnitOfWork, payment: Payment) -> None:
    """Store the status report of a payment that ended and, if it settled, the notification."""
    _store(
        institution, work, payment, MessageName.STATUS_REPORT, report(institution, work, payment)
    )
    if payment.state is PaymentState.SETTLED:
        document = _notification(institution, payment, transfer_of(work, payment))
        _store(institution, work, payment, MessageName.ACCOUNT_NOTIFICATION, document)


def report(institution: Institution, work: UnitOfWork, payment: Payment) -> bytes:
    """A pacs.002 on the payment as it stands, from this institution."""
    transfer = transfer_of(work, payment)
    status = iso_status(payment)
    reason = None
    if status is TransactionStatus.RJCT:
        reason = StatusReason(payment.reason or StatusReason.MS03.value)
    now = datetime.fromtimestamp(institution.clock(), UTC)
    settled = payment.state is PaymentState.SETTLED
    return format_status_report(
        StatusReport(
            message_id=_message_id(payment, "S"),
            created_at=now,
            original_message_id=transfer.message_id,
            original_message_name=MessageName.CREDIT_TRANSFER,
            original_end_to_end_id=transfer.end_to_end_id,
            uetr=transfer.uetr,
            status=status,
            reason=reason,
            original_instruction_id=transfer.instruction_id,
            original_transaction_id=transfer.transaction_id,
            effective_settlement_date=now.date() if settled else None,
            instructing_agent=institution.agent,
            instructed_agent=institution.agent_of(payment.counterparty_lei),
        )
    )


def transfer_of(work: UnitOfWork, payment: Payment) -> CreditTransfer:
    """The pacs.008 of a payment, as it was sent or received."""
    return parse_credit_transfer(work.messages.get(f"{payment.payment_id}:pacs.008").document)


def _notification(institution: Institution, payment: Payment, transfer: CreditTransfer) -> bytes:
    outgoing = payment.direction is Direction.OUTGOING
    now = datetime.fromtimestamp(institution.clock(), UTC)
    charges = payment.charges
    if outgoing and charges is None:
        raise PaymentIncomplete(payment.payment_id, "charges")
    amount = payment.settlement_amount if charges is None else charges.debit
    fees = (Charge(charges.fee, institution.agent),) if charges and charges.fee else ()
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
            instructed_amount=payment.settlement_amount if exchange else None,
            exchange=exchange,
            charges=fees,
            remittance_information=transfer.remittance_information,
        )
    )


def _message_id(payment: Payment, kind: str) -> str:
    """Unique per payment, kind and state, at most 35 characters (ISO 20022 Max35Text)."""
    return f"{kind}{payment.state.value[:2].upper()}{payment.settlement_id.hex()[:30]}"


def _store(
    institution: Institution,
    work: UnitOfWork,
    payment: Payment,
    name: MessageName,
    document: bytes,
) -> None:
    work.messages.add(
        StoredMessage(
            message_id=f"{payment.payment_id}:{name.value}:{payment.state.value}",
            direction=MessageDirection.OUT,
            name=name.value,
            document=document,
            payment_id=payment.payment_id,
            peer=None,
            created_at=institution.clock(),
            salt=None,
        )
    )
