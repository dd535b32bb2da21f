"""What a customer's message is answered with in ISO 20022: a pain.002 over all its payments.

It says of each payment what was remembered under its key, so that the same message sent again is
answered with the same report.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from bridge.iso20022.codes import GroupStatus, MessageName, StatusReason, TransactionStatus
from bridge.iso20022.identifiers import REASON_CHARACTERS_MAX, REFERENCE_CHARACTERS_MAX, parse_uetr
from bridge.iso20022.messages import (
    CustomerCreditTransferInitiation,
    CustomerStatusReport,
    InstructedPaymentStatus,
    PaymentGroupStatus,
    PaymentInstruction,
)
from bridge.settlement.order import Answer, Result

_REASONS: Final = frozenset(StatusReason)


def report_to_customer(
    initiation: CustomerCreditTransferInitiation,
    answers: Sequence[Answer],
    *,
    client_id: str,
    answered_at: int,
) -> CustomerStatusReport:
    """Return the pain.002 on a pain.001; `answers` has one per instruction, in order.

    The report bears the UTC second at which the first accepted payment was made, or
    `answered_at` where none was: a replay bears the same.
    """
    pairs = list(zip(initiation.instructions, answers, strict=True))
    accepted = [answer for answer in answers if answer.result is Result.ACCEPTED]
    made_at = min((_second(answer) for answer in accepted), default=answered_at)
    return CustomerStatusReport(
        message_id=_message_id(client_id, initiation.message_id),
        created_at=datetime.fromtimestamp(made_at, UTC),
        original_message_id=initiation.message_id,
        original_message_name=MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION,
        groups=tuple(
            PaymentGroupStatus(group_id, tuple(_status(*pair) for pair in run))
            for group_id, run in groupby(pairs, lambda pair: pair[0].payment_information_id)
        ),
        status=_group_status(accepted=len(accepted), of=len(pairs)),
        debtor_agent=initiation.instructions[0].debtor_agent,
    )


def _status(instruction: PaymentInstruction, answer: Answer) -> InstructedPaymentStatus:
    if answer.result is Result.ACCEPTED:
        return InstructedPaymentStatus(
            end_to_end_id=instruction.end_to_end_id,
            status=TransactionStatus(str(answer.body["iso_status"])),
            instruction_id=instruction.instruction_id,
            uetr=parse_uetr(str(answer.body["uetr"])),
        )
    reason = answer.body["reason"]
    return InstructedPaymentStatus(
        end_to_end_id=instruction.end_to_end_id,
        status=TransactionStatus.RJCT,
        reason=StatusReason(str(reason)) if reason in _REASONS else StatusReason.NARR,
        reason_text=str(answer.body["code"])[:REASON_CHARACTERS_MAX],
        instruction_id=instruction.instruction_id,
        uetr=instruction.uetr,
    )


def _second(answer: Answer) -> int:
    return int(str(answer.body["created_at"]))


def _group_status(*, accepted: int, of: int) -> GroupStatus:
    if accepted == of:
        return GroupStatus.ACTC
    return GroupStatus.PART if accepted else GroupStatus.RJCT


def _message_id(client_id: str, original: str) -> str:
    """Return a message id that is this bank's own and the same for the same message."""
    return hashlib.sha256(f"{client_id}|{original}".encode()).hexdigest()[:REFERENCE_CHARACTERS_MAX]
