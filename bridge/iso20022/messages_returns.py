"""Messages on a payment that was sent before: return, cancellation request, resolution, question.

Each names the original in full (`OriginalPayment`), so that whoever receives it needs no other
message to find the payment. `message_id` and `created_at` belong to one sending, as everywhere.
"""

from dataclasses import dataclass
from datetime import date, datetime

from bridge.iso20022.codes import (
    CancellationReason,
    CancellationRejection,
    ChargeBearer,
    InvestigationStatus,
    MessageName,
    ReturnReason,
)
from bridge.iso20022.identifiers import Uetr
from bridge.iso20022.messages import Agent, Charge, Party
from bridge.money import Amount


@dataclass(frozen=True, slots=True)
class OriginalPayment:
    """The references of the payment that a later message is about."""

    message_id: str
    message_name: MessageName
    end_to_end_id: str
    uetr: Uetr
    created_at: datetime | None = None
    instruction_id: str | None = None
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnChain:
    """Who returns to whom: the parties and agents of the return itself, not of the original."""

    debtor: Party
    creditor: Party
    debtor_agent: Agent | None = None
    creditor_agent: Agent | None = None


@dataclass(frozen=True, slots=True)
class PaymentReturn:
    """A pacs.004: settled money that goes back, whole or less charges, never more than came."""

    message_id: str
    created_at: datetime
    return_id: str
    original: OriginalPayment
    original_interbank_settlement_amount: Amount
    original_interbank_settlement_date: date
    returned_interbank_settlement_amount: Amount
    interbank_settlement_date: date
    instructing_agent: Agent
    instructed_agent: Agent
    reason: ReturnReason
    reason_text: str | None = None
    charge_bearer: ChargeBearer | None = None
    charges: tuple[Charge, ...] = ()
    chain: ReturnChain | None = None


@dataclass(frozen=True, slots=True)
class CancellationRequest:
    """A camt.056: the wish to have one payment cancelled or returned.

    `message_id` is the assignment's identification; the case stays the same through every answer.
    """

    message_id: str
    created_at: datetime
    assigner: Agent
    assignee: Agent
    cancellation_id: str
    case_id: str
    case_creator: Agent
    original: OriginalPayment
    original_interbank_settlement_amount: Amount
    original_interbank_settlement_date: date
    reason: CancellationReason
    reason_text: str | None = None


@dataclass(frozen=True, slots=True)
class InvestigationResolution:
    """A camt.029: the answer to a cancellation request; all but a cancellation has its reason."""

    message_id: str
    created_at: datetime
    assigner: Agent
    assignee: Agent
    cancellation_status_id: str
    case_id: str
    case_creator: Agent
    status: InvestigationStatus
    original: OriginalPayment
    reason: CancellationRejection | None = None
    reason_text: str | None = None


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """A pacs.028: the question where a payment, return or cancellation request stands."""

    message_id: str
    created_at: datetime
    request_id: str
    original: OriginalPayment
    instructing_agent: Agent
    instructed_agent: Agent
