"""A customer's order and the answer to it, remembered under the order's key for ever.

A refusal is remembered as a success is: a key that was once refused never succeeds later, and the
same key with another instruction is itself refused.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum, unique
from typing import Final

from bridge.errors import IdempotencyKeyReused, Rejected
from bridge.institution import Institution
from bridge.iso20022.identifiers import Uetr, shape_uetr
from bridge.iso20022.messages import PaymentInstruction
from bridge.standing_order import Schedule
from bridge.store import Customer, Remembered, UnitOfWork

UETR_DOMAIN: Final = b"corridor-uetr-v1"
ORDER_DOMAIN: Final = b"corridor-standing-order-v1"


@unique
class Result(Enum):
    """Whether an answer is a payment or a refusal."""

    ACCEPTED = 202
    REFUSED = 422


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told, the first time and every time it asks again with the same key."""

    result: Result
    body: Mapping[str, object]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An instruction with the client it comes from and the key under which it may be repeated.

    `quotation_id` names the price that the client has consented to, where one was asked for;
    `schedule` makes it a standing order.
    """

    client: Customer
    key: str
    instruction: PaymentInstruction
    quotation_id: str | None = None
    schedule: Schedule | None = None

    @property
    def fingerprint(self) -> bytes:
        """Digest of what is ordered; the message id and time of one sending do not count."""
        parts = _parts(self.instruction)
        if self.quotation_id is not None:
            parts = (*parts, self.quotation_id)
        if self.schedule is not None:
            parts = (*parts, repr(self.schedule))
        return hashlib.sha256(json.dumps(parts).encode()).digest()


def instruction_fingerprint(instruction: PaymentInstruction) -> bytes:
    """Digest of what is instructed, whoever orders it under whatever key."""
    return hashlib.sha256(json.dumps(_parts(instruction)).encode()).digest()


def _parts(instruction: PaymentInstruction) -> tuple[str, ...]:
    return (
        instruction.end_to_end_id,
        str(instruction.uetr),
        instruction.requested_execution_date.isoformat(),
        repr(instruction.debtor),
        repr(instruction.debtor_account),
        repr(instruction.debtor_agent),
        repr(instruction.creditor),
        repr(instruction.creditor_account),
        repr(instruction.creditor_agent),
        str(instruction.instructed_amount),
        instruction.charge_bearer.value,
        repr(instruction.remittance_information),
    )


def recall(work: UnitOfWork, order: Order) -> Answer | None:
    """What was answered under the order's key, if anything.

    Raises `IdempotencyKeyReused` when it was used for another order.
    """
    remembered = work.idempotency.find(order.client.customer_id, order.key)
    if remembered is None:
        return None
    if remembered.fingerprint != order.fingerprint:
        raise IdempotencyKeyReused(order.key)
    body = json.loads(remembered.body)
    return Answer(result=Result(remembered.status), body=body, replayed=True)


def remember(work: UnitOfWork, order: Order, answer: Answer) -> Answer:
    """The answer, now kept under the order's key."""
    work.idempotency.remember(
        order.client.customer_id,
        order.key,
        Remembered(
            fingerprint=order.fingerprint,
            status=answer.result.value,
            body=json.dumps(answer.body, sort_keys=True),
        ),
    )
    return answer


def remember_refusal(institution: Institution, order: Order, refusal: Rejected) -> Answer:
    """The refusal as an answer, kept unless another answer came first, which is then given."""
    with institution.store.unit_of_work() as work:
        return recall(work, order) or remember(work, order, refused(refusal))


def refused(refusal: Rejected) -> Answer:
    """A refusal as an answer."""
    body = {"code": refusal.code, "reason": refusal.reason, "detail": str(refusal)}
    return Answer(Result.REFUSED, body)


def derive_order_id(secret: bytes, order: Order) -> str:
    """An id for a standing order that a retry after a restore meets again, as `derive_uetr` does.

    Its occurrences are named by it, so what was paid on one of them is not paid again.
    """
    scope = json.dumps([order.client.customer_id, order.key]).encode()
    return f"sto_{hmac.new(secret, ORDER_DOMAIN + scope, hashlib.sha256).hexdigest()[:32]}"


def order_of_due_date(
    client: Customer, order_id: str, due_date: date, instruction: PaymentInstruction
) -> Order:
    """One due date of a standing order as an order of its own: its key is made of both."""
    key = f"standing-order|{order_id}|{due_date.isoformat()}"
    return Order(client, key, replace(instruction, requested_execution_date=due_date))


def derive_uetr(secret: bytes, order: Order) -> Uetr:
    """A UETR that a retry after a restore meets again: an HMAC of client and key."""
    scope = json.dumps([order.client.customer_id, order.key]).encode()
    return shape_uetr(hmac.new(secret, UETR_DOMAIN + scope, hashlib.sha256).digest())


def sortable(now: int, salt: bytes) -> str:
    """32 hex digits that sort by time: seconds first, then randomness."""
    return f"{now:010x}{salt.hex()[:22]}"
