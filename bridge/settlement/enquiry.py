"""Where does my payment stand? The debtor bank asks (pacs.028) when no pacs.002 has come, and is answered
with the one of now.

Nothing depends on the answer but what the customer is told: money moves on facts of the chain.
"""

from datetime import UTC, datetime
from typing import Final

from bridge.errors import EnvelopeInvalid
from bridge.institution import Institution
from bridge.interbank import Kind, Outgoing, deliver
from bridge.iso20022.codes import MessageName, TransactionStatus
from bridge.iso20022.format import format_status_report, format_status_request
from bridge.iso20022.messages import StatusReport
from bridge.iso20022.messages_returns import OriginalPayment, StatusRequest
from bridge.iso20022.parse import parse_status_request
from bridge.payment import Payment
from bridge.settlement import notices
from bridge.settlement.correspondence import Letter, keep, send
from bridge.store import EffectRow, UnitOfWork
from bridge.worker import Done, Outcome, Retry

FROM_AGENT: Final = "from-agent"
"""What stands in the id of a pacs.002 that the other bank sent."""


def enquire(institution: Institution, effect: EffectRow) -> Outcome:
    """Ask the creditor bank, again and again, until it has reported or the payment has ended."""
    at = institution.clock()
    with institution.store.unit_of_work() as work:
        payment = work.payments.get(effect.payment_id or "")
        if payment.is_terminal or _is_reported(work, payment):
            return Done()
        document = _request(institution, work, payment)
        question = Outgoing(
            key=f"{payment.payment_id}:pacs.028:{effect.attempts}",
            to_lei=payment.counterparty_lei,
            kind=Kind.STATUS_REQUEST,
            body={"settlement_id": payment.settlement_id.hex(), "document": document.decode()},
            payment_id=payment.payment_id,
        )
        deliver(work, question, at=at)
    return Retry(institution.settings.enquiry_seconds, "waiting for the creditor bank's report")


def take_enquiry(
    institution: Institution, work: UnitOfWork, payment: Payment, document: bytes
) -> None:
    """Answer with the pacs.002 of now, once for each state that the payment is asked about in.

    Raises the parse errors, and `EnvelopeInvalid` for what does not name this payment.
    """
    request = parse_status_request(document)
    is_known = work.messages.find(notices.message_id_of(payment)) is not None
    if is_known and request.original.uetr != payment.uetr:
        raise EnvelopeInvalid("it asks after another payment")
    at = institution.clock()
    name = MessageName.STATUS_REQUEST
    keep(work, payment, Letter(Kind.STATUS_REQUEST, name, "pacs.028", document), at)
    if is_known:
        report = notices.report(institution, work, payment, at, letter="E")
    else:
        report = _pending(institution, payment, request, at)
    label = f"pacs.002:enquiry:{payment.state.value if is_known else 'unknown'}"
    letter = Letter(Kind.STATUS_REPORT, MessageName.STATUS_REPORT, label, report)
    send(work, payment, letter, at)


def _is_reported(work: UnitOfWork, payment: Payment) -> bool:
    prefix = f"{payment.payment_id}:{FROM_AGENT}:"
    kept = work.messages.headings(payment.payment_id)
    return any(each.message_id.startswith(prefix) for each in kept)


def _request(institution: Institution, work: UnitOfWork, payment: Payment) -> bytes:
    subject = notices.subject_of(work, payment)
    return format_status_request(
        StatusRequest(
            message_id=f"Q{payment.settlement_id.hex()[:34]}",
            created_at=datetime.fromtimestamp(payment.created_at, UTC),
            request_id=f"Q{payment.settlement_id.hex()[:34]}",
            original=OriginalPayment(
                message_id=subject.message_id,
                message_name=subject.message_name,
                end_to_end_id=subject.end_to_end_id,
                uetr=subject.uetr,
                instruction_id=subject.instruction_id,
                transaction_id=subject.transaction_id,
            ),
            instructing_agent=institution.agent,
            instructed_agent=institution.agent_of(payment.counterparty_lei),
        )
    )


def _pending(institution: Institution, payment: Payment, request: StatusRequest, at: int) -> bytes:
    """The report on a payment that is announced and whose message has not come."""
    original = request.original
    return format_status_report(
        StatusReport(
            message_id=f"P{payment.settlement_id.hex()[:34]}",
            created_at=datetime.fromtimestamp(at, UTC),
            original_message_id=original.message_id,
            original_message_name=original.message_name,
            original_end_to_end_id=original.end_to_end_id,
            uetr=original.uetr,
            status=TransactionStatus.PDNG,
            original_instruction_id=original.instruction_id,
            original_transaction_id=original.transaction_id,
            instructing_agent=institution.agent,
            instructed_agent=institution.agent_of(payment.counterparty_lei),
        )
    )
