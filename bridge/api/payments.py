"""A customer's payments, as JSON: instruct, list, look, and read the messages behind one."""

from http import HTTPStatus
from typing import Annotated, assert_never

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from bridge.api.authentication import CustomerNeeded, CustomersJsonNeeded, IdempotencyKey
from bridge.api.problems import RepeatableResponse, answer_refusal
from bridge.api.returns_schemas import (
    PaymentDetailView,
    ReturnAnswerView,
    ReturnBody,
)
from bridge.api.schemas import (
    MessageList,
    PaymentOrder,
    PaymentPage,
    PaymentView,
    ScheduledPaymentView,
)
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.errors import ResourceUnknown
from bridge.payment import Payment
from bridge.settlement.description import describe, describe_recall, describe_with_returns
from bridge.settlement.initiation import initiate
from bridge.settlement.order import Answer, Order, Result
from bridge.settlement.returning import ReturnOrder, read_reason, request_return
from bridge.settlement.supervision import COPY_NAME
from bridge.settlement.withdrawal import ask_withdrawal
from bridge.store import Customer, MessageHeading, RecallDirection, UnitOfWork

REPLAYED_HEADER = "Idempotency-Replayed"

router = APIRouter(prefix="/v1/payments", tags=["payments"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=PaymentView | ScheduledPaymentView,
)
def create_payment(
    customer: CustomerNeeded, key: IdempotencyKey, order: PaymentOrder, services: ServicesNeeded
) -> Response:
    """Instruct a payment. Accepted: it is on its way, settled where both accounts are kept here, or
    scheduled for a later day. Refused: nothing was booked.
    """
    institution = services.institution
    instruction = order.instruction(customer, institution.agent, key=key, now=institution.clock())
    ordered = Order(customer, f"payments|{key}", instruction, quotation_id=order.quotation_id)
    return answer_order(initiate(institution, ordered))


@router.get("", response_model=PaymentPage)
def list_payments(
    customer: CustomerNeeded, page: Annotated[PageQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """The payments this customer instructed, newest first."""
    with services.institution.store.reading() as work:
        found = work.payments.page(customer.customer_id, limit=page.limit, cursor=page.cursor)
    return {"items": [describe(payment) for payment in found.items], "next": found.next_cursor}


@router.get("/{payment_id}", response_model=PaymentDetailView)
def get_payment(
    customer: CustomerNeeded, payment_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """One payment, instructed by this customer or to one of their accounts, and its returns."""
    with services.institution.store.reading() as work:
        payment = own_payment(work, customer, payment_id)
        recall = work.recalls.find(payment_id, RecallDirection(payment.direction.value))
        returns = work.payments.returns_of(payment_id)
    described = describe_with_returns(payment, returns)
    return {**described, "recall": None if recall is None else describe_recall(recall)}


@router.post(
    "/{payment_id}/returns",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=ReturnAnswerView,
)
def return_payment(
    customer: CustomerNeeded,
    key: IdempotencyKey,
    payment_id: str,
    body: ReturnBody,
    services: ServicesNeeded,
) -> Response:
    """Give back a payment that came to one of this customer's accounts, whole or in part."""
    with services.institution.store.reading() as work:
        own_payment(work, customer, payment_id)
    order = ReturnOrder(
        payment_id=payment_id,
        reason=read_reason(body.reason),
        key=key,
        amount=None if body.amount is None else body.amount.read(),
        client=customer.customer_id,
    )
    return answer_order(request_return(services.institution, customer.customer_id, order))


@router.post(
    "/{payment_id}/withdrawal", status_code=HTTPStatus.ACCEPTED, response_model=PaymentView
)
def withdraw_payment(
    customer: CustomerNeeded, payment_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """Ask for a payment back before it is final; it ends unsettled, unless it settles first."""
    with services.institution.store.reading() as work:
        if own_payment(work, customer, payment_id).client != customer.customer_id:
            raise ResourceUnknown("payment", payment_id)
    return describe(ask_withdrawal(services.institution, payment_id))


@router.get("/{payment_id}/messages", response_model=MessageList)
def list_payment_messages(
    customer: CustomerNeeded, payment_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """The ISO 20022 messages of a payment, in the order they were kept."""
    with services.institution.store.reading() as work:
        payment = own_payment(work, customer, payment_id)
        headings = work.messages.headings(payment.payment_id)
    shown = [heading for heading in headings if heading.name != COPY_NAME]
    return {"items": [_describe_message(heading) for heading in shown]}


@router.get("/{payment_id}/messages/{message_id:path}", response_class=Response)
def get_payment_message(
    customer: CustomerNeeded, payment_id: str, message_id: str, services: ServicesNeeded
) -> Response:
    """One message as it was sent or received, in XML; gone once its key was destroyed."""
    with services.institution.store.reading() as work:
        payment = own_payment(work, customer, payment_id)
        headings = work.messages.headings(payment.payment_id)
        known = {heading.message_id for heading in headings if heading.name != COPY_NAME}
        if message_id not in known:
            raise ResourceUnknown("message", message_id)
        document = work.messages.get(message_id).document
    return Response(document, media_type="application/xml")


def answer_order(answer: Answer) -> JSONResponse:
    """The response to an order, marked where it repeats an earlier one."""
    match answer.result:
        case Result.ACCEPTED:
            body = dict(answer.body)
            response: JSONResponse = RepeatableResponse(body, status_code=HTTPStatus.ACCEPTED)
        case Result.REFUSED:
            response = answer_refusal(answer.body)
        case _:
            assert_never(answer.result)
    if answer.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return response


def own_payment(work: UnitOfWork, customer: Customer, payment_id: str) -> Payment:
    """The customer's own payment; somebody else's is as unknown as none at all."""
    payment = work.payments.find(payment_id)
    if payment is None:
        raise ResourceUnknown("payment", payment_id)
    accounts = {account.account_id for account in work.customers.accounts_of(customer.customer_id)}
    if payment.client != customer.customer_id and payment.account_id not in accounts:
        raise ResourceUnknown("payment", payment_id)
    return payment


def _describe_message(message: MessageHeading) -> dict[str, object]:
    """What is told of a message; its salt never leaves."""
    return {
        "id": message.message_id,
        "name": message.name,
        "direction": message.direction.value,
        "created_at": message.created_at,
    }
