"""What a customer is told of a payment: our words, ISO's status, exact amounts as decimal text."""

from typing import Final

from bridge.iso20022.codes import StatusReason, TransactionStatus
from bridge.money import Amount
from bridge.payment import Direction, Payment, PaymentState
from bridge.store import Recall

_STATUS_BY_STATE: Final = {
    PaymentState.RESERVED: TransactionStatus.ACTC,
    PaymentState.ANNOUNCED: TransactionStatus.PDNG,
    PaymentState.INSTRUCTED: TransactionStatus.PDNG,
    PaymentState.ACCEPTED: TransactionStatus.ACCP,
    PaymentState.QUEUED: TransactionStatus.ACSP,
    PaymentState.REFUSED: TransactionStatus.RJCT,
    PaymentState.SETTLED: TransactionStatus.ACSC,
    PaymentState.REJECTED: TransactionStatus.RJCT,
    PaymentState.CANCELLED: TransactionStatus.RJCT,
    PaymentState.WITHDRAWN: TransactionStatus.CANC,
    PaymentState.EXPIRED: TransactionStatus.RJCT,
    PaymentState.FAILED: TransactionStatus.RJCT,
}


def iso_status(payment: Payment) -> TransactionStatus:
    """The status to report in pacs.002 for a payment as it stands."""
    if payment.direction is Direction.INCOMING and payment.state is PaymentState.SETTLED:
        return TransactionStatus.ACWP if payment.is_on_suspense else TransactionStatus.ACCC
    if payment.state is PaymentState.CANCELLED and payment.reason == StatusReason.CUST.value:
        return TransactionStatus.CANC
    return _STATUS_BY_STATE[payment.state]


def describe_amount(amount: Amount) -> dict[str, str]:
    """An amount as the API writes it."""
    return {"value": amount.format(), "currency": amount.currency.code}


def describe(payment: Payment) -> dict[str, object]:
    """A payment as the API shows it; identical for the first answer and every later replay."""
    charges = payment.charges
    return {
        "id": payment.payment_id,
        "direction": payment.direction.value,
        "status": payment.state.value,
        "iso_status": iso_status(payment).value,
        "reason": payment.reason,
        "uetr": payment.uetr,
        "end_to_end_id": payment.end_to_end_id,
        "amount": describe_amount(payment.settlement_amount),
        "debit": None if charges is None else describe_amount(charges.debit),
        "principal": None if charges is None else describe_amount(charges.principal),
        "fee": None if charges is None else describe_amount(charges.fee),
        "creditor_charge": None
        if payment.creditor_charge is None
        else describe_amount(payment.creditor_charge),
        "rate": None if charges is None else charges.rate,
        "settlement_id": "0x" + payment.settlement_id.hex(),
        "transaction_hash": _hex(payment.transaction_hash),
        "block": payment.block_number,
        "accept_by": payment.terms.accept_by,
        "settle_by": payment.terms.settle_by,
        "created_at": payment.created_at,
        "return_of": None if payment.return_of is None else payment.return_of.payment_id,
        "return_reason": None if payment.return_of is None else payment.return_of.reason,
    }


def describe_with_returns(payment: Payment, returns: tuple[Payment, ...]) -> dict[str, object]:
    """A payment as the API shows it by itself: with what was given back of it."""
    summaries = [
        {
            "id": each.payment_id,
            "amount": describe_amount(each.settlement_amount),
            "status": each.state.value,
            "reason": None if each.return_of is None else each.return_of.reason,
        }
        for each in returns
    ]
    return {**describe(payment), "returns": summaries}


def describe_recall(recall: Recall) -> dict[str, object]:
    """A recall as the API shows it."""
    return {
        "payment_id": recall.payment_id,
        "direction": recall.direction.value,
        "state": recall.state.value,
        "reason": recall.reason,
        "rejection": recall.rejection,
        "return_payment_id": recall.return_payment_id,
        "asked_at": recall.asked_at,
        "answer_by": recall.answer_by,
        "answered_at": recall.answered_at,
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "0x" + value.hex()
