"""A customer's payments, as ISO 20022 messages: pain.001 in, one answer per instruction out."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from bridge.api.authentication import CustomerNeeded, check_content_type
from bridge.api.payments import REPLAYED_HEADER
from bridge.api.problems import RepeatableResponse, answer_refusal
from bridge.api.schemas import InitiationView
from bridge.api.services import ServicesNeeded
from bridge.errors import IdempotencyKeyReused
from bridge.institution import Institution
from bridge.iso20022.messages import PaymentInstruction
from bridge.iso20022.parse import parse_initiation
from bridge.settlement.initiation import Answer, Order, Result, initiate
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
) -> JSONResponse:
    """Instruct the payments of a message.

    A message that cannot be read is refused whole. Otherwise each instruction is accepted or
    refused by itself, and remembered under its message, group and end-to-end references.
    """
    initiation = parse_initiation(document)
    answers = [
        (instruction, _initiate(services.institution, customer, instruction))
        for instruction in initiation.instructions
    ]
    results = [_describe(instruction, answer) for instruction, answer in answers]
    response = _respond(initiation.message_id, results)
    if all(answer.replayed for _, answer in answers):
        response.headers[REPLAYED_HEADER] = "true"
    return response


def _initiate(
    institution: Institution, customer: Customer, instruction: PaymentInstruction
) -> Answer:
    group = f"{instruction.message_id}|{instruction.payment_information_id}"
    key = f"pain.001|{group}|{instruction.end_to_end_id}"
    try:
        return initiate(institution, Order(customer, key, instruction))
    except IdempotencyKeyReused as error:
        body = {"code": error.code, "reason": error.reason, "detail": str(error)}
        return Answer(Result.REFUSED, body)


def _describe(instruction: PaymentInstruction, answer: Answer) -> dict[str, object]:
    result = answer.result.name.lower()
    return {**answer.body, "end_to_end_id": instruction.end_to_end_id, "result": result}


def _respond(message_id: str, results: list[dict[str, object]]) -> JSONResponse:
    if any(result["result"] == "accepted" for result in results):
        body = {"message_id": message_id, "payments": results}
        return RepeatableResponse(body, status_code=HTTPStatus.ACCEPTED)
    first = {name: results[0][name] for name in ("code", "reason", "detail")}
    return answer_refusal({**first, "payments": results})
