"""A customer's payments, as ISO 20022 messages: pain.001 in, one answer per instruction out.

The answer is JSON, or a pain.002 for a caller who accepts XML.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse

from bridge.api.authentication import CustomerNeeded, check_content_type
from bridge.api.payments import REPLAYED_HEADER
from bridge.api.problems import RepeatableResponse, answer_refusal
from bridge.api.schemas import InitiationView
from bridge.api.services import ServicesNeeded
from bridge.errors import IdempotencyKeyReused
from bridge.institution import Institution
from bridge.iso20022.format import format_customer_status_report
from bridge.iso20022.messages import CustomerCreditTransferInitiation, PaymentInstruction
from bridge.iso20022.parse import parse_initiation
from bridge.settlement.customer_report import report_to_customer
from bridge.settlement.initiation import initiate
from bridge.settlement.order import Answer, Order, Result, refused
from bridge.store import Customer

XML_CONTENT_TYPE = "application/xml"

router = APIRouter(prefix="/v1/messages", tags=["messages"])


async def read_message(request: Request) -> bytes:
    """The body of a request that brings XML; raises `ContentTypeUnsupported`."""
    check_content_type(request, XML_CONTENT_TYPE)
    return await request.body()


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=InitiationView,
    responses={
        HTTPStatus.ACCEPTED: {
            "description": "What became of each payment, as JSON or as a pain.002.001.10.",
            "content": {XML_CONTENT_TYPE: {"schema": {"type": "string"}}},
        }
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A pain.001.001.09 document.",
            "content": {XML_CONTENT_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
def take_message(
    customer: CustomerNeeded,
    document: Annotated[bytes, Depends(read_message)],
    services: ServicesNeeded,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Instruct the payments of a message.

    A message that cannot be read is refused whole. Otherwise each instruction is accepted or
    refused by itself, and remembered under its message, group and end-to-end references. A caller
    whose `Accept` names XML and not JSON is answered with a pain.002.
    """
    initiation = parse_initiation(document)
    answers = [
        _initiate(services.institution, customer, instruction)
        for instruction in initiation.instructions
    ]
    if _wants_xml(accept):
        report = report_to_customer(
            initiation,
            answers,
            client_id=customer.customer_id,
            answered_at=services.institution.clock(),
        )
        response: Response = Response(
            format_customer_status_report(report),
            status_code=_status_of(answers),
            media_type=XML_CONTENT_TYPE,
        )
    else:
        response = _respond(initiation, answers)
    if all(answer.replayed for answer in answers):
        response.headers[REPLAYED_HEADER] = "true"
    return response


def _wants_xml(accept: str) -> bool:
    named = [each.partition(";")[0].strip().lower() for each in accept.split(",")]
    return XML_CONTENT_TYPE in named and "application/json" not in named


def _status_of(answers: list[Answer]) -> HTTPStatus:
    if any(answer.result is Result.ACCEPTED for answer in answers):
        return HTTPStatus.ACCEPTED
    return HTTPStatus.UNPROCESSABLE_ENTITY


def _initiate(
    institution: Institution, customer: Customer, instruction: PaymentInstruction
) -> Answer:
    group = f"{instruction.message_id}|{instruction.payment_information_id}"
    key = f"pain.001|{group}|{instruction.end_to_end_id}"
    try:
        return initiate(institution, Order(customer, key, instruction))
    except IdempotencyKeyReused as error:
        return refused(error)


def _describe(instruction: PaymentInstruction, answer: Answer) -> dict[str, object]:
    result = answer.result.name.lower()
    return {**answer.body, "end_to_end_id": instruction.end_to_end_id, "result": result}


def _respond(initiation: CustomerCreditTransferInitiation, answers: list[Answer]) -> JSONResponse:
    pairs = zip(initiation.instructions, answers, strict=True)
    results = [_describe(instruction, answer) for instruction, answer in pairs]
    status = _status_of(answers)
    if status is HTTPStatus.ACCEPTED:
        body = {"message_id": initiation.message_id, "payments": results}
        return RepeatableResponse(body, status_code=status)
    first = {name: results[0][name] for name in ("code", "reason", "detail")}
    return answer_refusal({**first, "payments": results})
