"""Sealed messages from other institutions; seal and signature say who sent them.

An answer, where there is one, is sealed to whoever asked. A refusal is a problem with a final
status; a status of 5xx asks the sender to try again.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from bridge.api.authentication import check_content_type
from bridge.api.services import ServicesNeeded
from bridge.errors import ResourceUnknown
from bridge.interbank import CONTENT_TYPE, Received
from bridge.settlement.acceptance import receive

payments = APIRouter(prefix="/v1/interbank/messages", tags=["interbank"])
"""Routes of a bank."""

quotes = APIRouter(prefix="/v1/interbank/quotes", tags=["interbank"])
"""Routes of an fx provider."""

issuances = APIRouter(prefix="/v1/interbank/issuances", tags=["interbank"])
"""Routes of a central bank."""

_SEALED: Final[dict[str, Any]] = {  # OpenAPI
    "requestBody": {
        "required": True,
        "description": "A signed message (JWS) sealed to this institution (JWE).",
        "content": {CONTENT_TYPE: {"schema": {"type": "string"}}},
    }
}


async def read_sealed(request: Request) -> bytes:
    """The body of a request that brings a sealed message; raises `ContentTypeUnsupported`."""
    check_content_type(request, CONTENT_TYPE)
    return await request.body()


def open_sealed(
    sealed: Annotated[bytes, Depends(read_sealed)], services: ServicesNeeded
) -> Received:
    """The message in the request, once seal, signature, sender and receiver are checked."""
    return services.institution.interbank.open(sealed)


ReceivedNeeded = Annotated[Received, Depends(open_sealed)]


@payments.post("", status_code=HTTPStatus.ACCEPTED, openapi_extra=_SEALED)
def take_payment_message(received: ReceivedNeeded, services: ServicesNeeded) -> dict[str, str]:
    """Take a payment message or a report on one; taking it again changes nothing."""
    receive(services.institution, received)
    return {}


@quotes.post("", response_class=Response, openapi_extra=_SEALED)
def offer_quote(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Answer a request with a firm, signed quote for its sender alone."""
    if services.desk is None:
        raise ResourceUnknown("desk", "quotes")
    return _answer(services, received, services.desk.offer(received))


@issuances.post("", response_class=Response, openapi_extra=_SEALED)
def take_issuance_request(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Set the sender's reserves aside and order the mint; asked again, answered the same."""
    if services.issuing is None:
        raise ResourceUnknown("desk", "issuances")
    return _answer(services, received, services.issuing.receive(received))


def _answer(services: ServicesNeeded, question: Received, body: dict[str, str]) -> Response:
    sealed = services.institution.interbank.answer(question, body)
    return Response(sealed, media_type=CONTENT_TYPE)
