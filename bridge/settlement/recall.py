"""A settled payment is asked back (camt.056) and answered (camt.029), at both banks.

    debtor bank    ASKED --camt.029 CNCL--> GRANTED    the money follows as a return
                     |-----camt.029 RJCR--> REJECTED
                     '-----two operators--> CLOSED     no answer came; one that comes later still counts
    creditor bank  ASKED --two operators, or the customer's consent--> GRANTED, with the return (FOCR)
                     '---two operators, or the customer's refusal----> REJECTED

A payment that is not final yet is withdrawn instead. A payment is asked back once: asked again, the
first recall is the answer. The right to the money is decided at the creditor bank alone, and nothing
moves without the return, which is an ordinary one.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bridge.approval import Proposal
from bridge.errors import (
    EnvelopeInvalid,
    RecallLate,
    RecallUnavailable,
    RequestInvalid,
    SubjectUnknown,
)
from bridge.institution import Institution
from bridge.interbank import Kind
from bridge.iso20022.codes import (
    CancellationReason,
    CancellationRejection,
    InvestigationStatus,
    MessageName,
    ReturnReason,
)
from bridge.iso20022.format import format_cancellation_request, format_investigation_resolution
from bridge.iso20022.messages_returns import (
    CancellationRequest,
    InvestigationResolution,
    OriginalPayment,
)
from bridge.iso20022.parse import parse_cancellation_request, parse_investigation_resolution
from bridge.operating import Action
from bridge.payment import Direction, Payment, PaymentState
from bridge.settlement.correspondence import Letter, keep, send
from bridge.settlement.notices import message_id_of, transfer_of
from bridge.settlement.returning import ReturnOrder, give_back
from bridge.settlement.withdrawal import WITHDRAWABLE, withdraw
from bridge.store import Recall, RecallDirection, RecallState, UnitOfWork

ANSWER_RECALL: Final = "answer_recall"
"""Kind of the action that answers a recall; its subject is the payment that came."""

CLOSE_RECALL: Final = "close_recall"
"""Kind of the action that gives up an own recall without an answer; its subject is the payment sent."""

GRANT: Final = "grant"
"""The answer of a proposal that gives the money back; any other is the reason to refuse."""

REQUEST: Final = "camt.056"
RESOLUTION: Final = "camt.029"


@dataclass(frozen=True, slots=True)
class RecallOrder:
    """A wish to have a payment back; `client` is the customer who asks, None where the bank does."""

    payment_id: str
    reason: CancellationReason
    client: str | None = None


def ask_back(institution: Institution, order: RecallOrder) -> Recall | None:
    """The recall of a settled payment, asked now or before; None for one that is withdrawn instead.

    Raises `RecallUnavailable` for what this bank did not send or what ended unsettled, `RecallLate` for a
    customer who asks later than `recall_days` after the payment was sent.
    """
    at = institution.clock()
    with institution.store.unit_of_work() as work:
        payment = work.payments.get(order.payment_id)
        known = work.recalls.find(payment.payment_id, RecallDirection.OUTGOING)
        if known is not None:
            return known
        is_own = payment.direction is Direction.OUTGOING and payment.return_of is None
        if is_own and payment.state in WITHDRAWABLE:
            withdraw(institution, work, payment, at)
            return None
        if not is_own or payment.state is not PaymentState.SETTLED:
            raise RecallUnavailable(payment.payment_id, payment.state.value)
        last = payment.created_at + institution.settings.recall_days * DAY_SECONDS
        if order.client is not None and at > last:
            raise RecallLate(payment.payment_id, institution.settings.recall_days)
        return _ask(institution, work, payment, order.reason, at)


DAY_SECONDS: Final = 86_400


def take_request(
    institution: Institution, work: UnitOfWork, payment: Payment, document: bytes
) -> None:
    """Keep another bank's recall of a payment that came from it; the same one again changes nothing.

    Raises the parse errors, `SubjectUnknown` until the payment's own message is here, and `EnvelopeInvalid`
    for what does not name this payment.
    """
    request = parse_cancellation_request(document)
    if payment.return_of is None and work.messages.find(message_id_of(payment)) is None:
        raise SubjectUnknown("the payment's message")
    if request.original.uetr != payment.uetr or payment.return_of is not None:
        raise EnvelopeInvalid("it asks back another payment")
    at = institution.clock()
    letter = Letter(Kind.CANCELLATION_REQUEST, MessageName.CANCELLATION_REQUEST, REQUEST, document)
    if not keep(work, payment, letter, at):
        return
    recall = Recall(
        payment_id=payment.payment_id,
        direction=RecallDirection.INCOMING,
        peer_lei=payment.counterparty_lei,
        case_id=request.case_id,
        reason=request.reason.value,
        asked_at=at,
        answer_by=at + institution.settings.recall_answer_seconds,
    )
    work.recalls.add(recall)
    if payment.state is not PaymentState.SETTLED:
        _reject(institution, work, (payment, recall), CancellationRejection.NOOR, at)


def take_resolution(
    institution: Institution, work: UnitOfWork, payment: Payment, document: bytes
) -> None:
    """Keep the other bank's answer to an own recall; errors as in `take_request`, of a recall."""
    resolution = parse_investigation_resolution(document)
    recall = work.recalls.find(payment.payment_id, RecallDirection.OUTGOING)
    if recall is None:
        raise SubjectUnknown("the recall")
    if resolution.case_id != recall.case_id:
        raise EnvelopeInvalid("it answers no recall of its receiver's")
    at = institution.clock()
    label = f"{RESOLUTION}:{resolution.status.value}"
    name = MessageName.INVESTIGATION_RESOLUTION
    letter = Letter(Kind.INVESTIGATION_RESOLUTION, name, label, document)
    is_final = resolution.status is not InvestigationStatus.PDCR
    if not keep(work, payment, letter, at) or not is_final:
        return
    is_granted = resolution.status is InvestigationStatus.CNCL
    rejection = None if resolution.reason is None else resolution.reason.value
    state = RecallState.GRANTED if is_granted else RecallState.REJECTED
    work.recalls.answer(replace(recall, state=state, rejection=rejection, answered_at=at))


def answer_recall(
    institution: Institution, work: UnitOfWork, payment_id: str, answer: str, at: int
) -> Recall:
    """The recall as answered: granted with its return, or refused for a reason.

    Raises `RecallUnknown`, `RecallAnswered`, `RequestInvalid` for an answer that is none, and what
    `give_back` raises where the money is not there.
    """
    recall = work.recalls.open_recall(payment_id, RecallDirection.INCOMING)
    payment = work.payments.get(payment_id)
    if answer != GRANT:
        return _reject(institution, work, (payment, recall), read_rejection(answer), at)
    order = ReturnOrder(payment_id, ReturnReason.FOCR, key=f"recall:{recall.case_id}")
    given = give_back(institution, work, order, at)
    granted = replace(
        recall, state=RecallState.GRANTED, return_payment_id=given.payment_id, answered_at=at
    )
    work.recalls.answer(granted)
    _resolve(institution, work, (payment, granted), InvestigationStatus.CNCL, at)
    return granted


def answer_action(institution: Institution) -> Action:
    """Answer a recall by four eyes: `answer` in the document is `grant` or the code of a rejection."""

    def check(work: UnitOfWork, proposal: Proposal) -> None:
        work.recalls.open_recall(proposal.subject, RecallDirection.INCOMING)
        answer = proposal.document.get("answer", "")
        if answer != GRANT:
            read_rejection(answer)

    def carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
        answer = proposal.document.get("answer", "")
        return answer_recall(institution, work, proposal.subject, answer, at).state.value

    return Action(check, carry_out)


def close_action() -> Action:
    """Give up an own recall that was not answered, by four eyes."""

    def check(work: UnitOfWork, proposal: Proposal) -> None:
        work.recalls.open_recall(proposal.subject, RecallDirection.OUTGOING)

    def carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
        recall = work.recalls.open_recall(proposal.subject, RecallDirection.OUTGOING)
        work.recalls.answer(replace(recall, state=RecallState.CLOSED, answered_at=at))
        return "closed without an answer"

    return Action(check, carry_out)


def read_rejection(text: str) -> CancellationRejection:
    """The reason to refuse a recall with this code; raises `RequestInvalid`."""
    try:
        return CancellationRejection(text)
    except ValueError as error:
        raise RequestInvalid(f"{text} is no answer to a recall").at("answer") from error


def read_cancellation_reason(text: str) -> CancellationReason:
    """The reason to ask a payment back with this code; raises `RequestInvalid`."""
    try:
        return CancellationReason(text)
    except ValueError as error:
        raise RequestInvalid(f"{text} is no reason to ask back").at("reason") from error


def _ask(
    institution: Institution,
    work: UnitOfWork,
    payment: Payment,
    reason: CancellationReason,
    at: int,
) -> Recall:
    transfer = transfer_of(work, payment)
    recall = Recall(
        payment_id=payment.payment_id,
        direction=RecallDirection.OUTGOING,
        peer_lei=payment.counterparty_lei,
        case_id=payment.payment_id.removeprefix("pay_"),
        reason=reason.value,
        asked_at=at,
        answer_by=at + institution.settings.recall_answer_seconds,
    )
    work.recalls.add(recall)
    request = CancellationRequest(
        message_id=f"C{payment.settlement_id.hex()[:34]}",
        created_at=datetime.fromtimestamp(at, UTC),
        assigner=institution.agent,
        assignee=institution.agent_of(payment.counterparty_lei),
        cancellation_id=recall.case_id,
        case_id=recall.case_id,
        case_creator=institution.agent,
        original=original_of(work, payment),
        original_interbank_settlement_amount=payment.settlement_amount,
        original_interbank_settlement_date=transfer.interbank_settlement_date,
        reason=reason,
    )
    document = format_cancellation_request(request)
    letter = Letter(Kind.CANCELLATION_REQUEST, MessageName.CANCELLATION_REQUEST, REQUEST, document)
    send(work, payment, letter, at)
    return recall


def original_of(work: UnitOfWork, payment: Payment) -> OriginalPayment:
    """How later messages name a payment."""
    transfer = transfer_of(work, payment)
    return OriginalPayment(
        message_id=transfer.message_id,
        message_name=MessageName.CREDIT_TRANSFER,
        end_to_end_id=transfer.end_to_end_id,
        uetr=transfer.uetr,
        instruction_id=transfer.instruction_id,
        transaction_id=transfer.transaction_id,
    )


def _reject(
    institution: Institution,
    work: UnitOfWork,
    subject: tuple[Payment, Recall],
    reason: CancellationRejection,
    at: int,
) -> Recall:
    payment, recall = subject
    rejected = replace(recall, state=RecallState.REJECTED, rejection=reason.value, answered_at=at)
    work.recalls.answer(rejected)
    _resolve(institution, work, (payment, rejected), InvestigationStatus.RJCR, at)
    return rejected


def _resolve(
    institution: Institution,
    work: UnitOfWork,
    subject: tuple[Payment, Recall],
    status: InvestigationStatus,
    at: int,
) -> None:
    """Keep and send the camt.029."""
    payment, recall = subject
    request = parse_cancellation_request(
        work.messages.get(f"{payment.payment_id}:{REQUEST}").document
    )
    rejection = None if recall.rejection is None else CancellationRejection(recall.rejection)
    resolution = InvestigationResolution(
        message_id=f"R{payment.settlement_id.hex()[:34]}",
        created_at=datetime.fromtimestamp(at, UTC),
        assigner=institution.agent,
        assignee=institution.agent_of(payment.counterparty_lei),
        cancellation_status_id=f"R{payment.settlement_id.hex()[:34]}",
        case_id=recall.case_id,
        case_creator=request.case_creator,
        status=status,
        original=request.original,
        reason=rejection,
    )
    document = format_investigation_resolution(resolution)
    name, label = MessageName.INVESTIGATION_RESOLUTION, f"{RESOLUTION}:{status.value}"
    send(work, payment, Letter(Kind.INVESTIGATION_RESOLUTION, name, label, document), at)
