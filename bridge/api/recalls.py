"""Asking a settled payment back, and answering who asks: for customers and for operators."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import (
    CustomerNeeded,
    CustomersJsonNeeded,
    JsonNeeded,
    OperatorNeeded,
)
from bridge.api.payments import own_payment
from bridge.api.returns_schemas import (
    RecallAnswerBody,
    RecallBody,
    RecalledView,
    RecallPage,
    RecallsQuery,
    RecallView,
)
from bridge.api.services import ServicesNeeded
from bridge.errors import ResourceUnknown
from bridge.institution import Institution
from bridge.iso20022.codes import CancellationRejection
from bridge.settlement.description import describe, describe_recall
from bridge.settlement.recall import (
    GRANT,
    RecallOrder,
    answer_recall,
    ask_back,
    read_cancellation_reason,
)
from bridge.store import RecallDirection

customers = APIRouter(prefix="/v1/payments", tags=["payments"])
"""Routes of a customer."""

operators = APIRouter(prefix="/v1/operations", tags=["operations"], dependencies=[OperatorNeeded])
"""Routes of an operator."""


@customers.post(
    "/{payment_id}/recall",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=RecalledView,
)
def recall_payment(
    customer: CustomerNeeded, payment_id: str, body: RecallBody, services: ServicesNeeded
) -> dict[str, object]:
    """Ask back a payment this customer instructed; it needs no key, since asking again changes nothing."""
    with services.institution.store.reading() as work:
        if own_payment(work, customer, payment_id).client != customer.customer_id:
            raise ResourceUnknown("payment", payment_id)
    reason = read_cancellation_reason(body.reason)
    order = RecallOrder(payment_id, reason, client=customer.customer_id)
    return _recall(services.institution, order)


@customers.post(
    "/{payment_id}/recall-answer",
    dependencies=CustomersJsonNeeded,
    response_model=RecallView,
)
def consent_to_recall(
    customer: CustomerNeeded, payment_id: str, body: RecallAnswerBody, services: ServicesNeeded
) -> dict[str, object]:
    """Say whether a payment that came to this customer's account, and is asked back, goes back."""
    institution = services.institution
    with institution.store.unit_of_work() as work:
        own_payment(work, customer, payment_id)
        answer = GRANT if body.is_granted else CancellationRejection.CUST.value
        recall = answer_recall(institution, work, payment_id, answer, institution.clock())
    return describe_recall(recall)


@operators.post(
    "/payments/{payment_id}/recall",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[JsonNeeded],
    response_model=RecalledView,
)
def recall_for_the_bank(
    payment_id: str, body: RecallBody, services: ServicesNeeded
) -> dict[str, object]:
    """Ask a payment back for the bank, at any time."""
    order = RecallOrder(payment_id, read_cancellation_reason(body.reason))
    return _recall(services.institution, order)


@operators.get("/recalls", response_model=RecallPage)
def list_recalls(
    page: Annotated[RecallsQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """What is asked of others and what others ask, newest first; `answer_recall` answers the latter."""
    direction = None if page.direction is None else RecallDirection(page.direction)
    with services.institution.store.reading() as work:
        found = work.recalls.page(direction, limit=page.limit, cursor=page.cursor)
    return {"items": [describe_recall(each) for each in found.items], "next": found.next_cursor}


def _recall(institution: Institution, order: RecallOrder) -> dict[str, object]:
    recall = ask_back(institution, order)
    with institution.store.reading() as work:
        payment = work.payments.get(order.payment_id)
    return {
        "payment": describe(payment),
        "recall": None if recall is None else describe_recall(recall),
    }
