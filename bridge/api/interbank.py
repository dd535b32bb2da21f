"""Sealed messages from other institutions; seal and signature say who sent them.

An answer, where there is one, is sealed to whoever asked. A refusal is a problem with a final
status; a status of 5xx asks the sender to try again.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from bridge.api.authentication import check_content_type
from bridge.api.services import ServicesNeeded
from bridge.errors import ResourceUnknown, SenderNotCertified
from bridge.interbank import CONTENT_TYPE, Received, fetching, take
from bridge.tariff import answer_charge

messages = APIRouter(prefix="/v1/interbank/messages", tags=["interbank"])
"""Where every institution takes what is delivered."""

fetches = APIRouter(prefix=fetching.PATH, tags=["interbank"])
"""Where every institution is asked for what was missed."""

quotes = APIRouter(prefix="/v1/interbank/quotes", tags=["interbank"])
"""Routes of an fx provider."""

charges = APIRouter(prefix="/v1/interbank/charges", tags=["interbank"])
"""Routes of a bank that is asked what it takes."""

issuances = APIRouter(prefix="/v1/interbank/issuances", tags=["interbank"])
"""Routes of a central bank."""

retail = APIRouter(prefix="/v1/interbank/retail", tags=["interbank"])
"""Routes of a bank and of a central bank."""

CERTIFIED_LEI: Final = "certified_lei"
"""Where a server puts, in a request's state, the LEI in its connection's client certificate."""

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
    request: Request, sealed: Annotated[bytes, Depends(read_sealed)], services: ServicesNeeded
) -> Received:
    """The message in the request, once seal, signature, sender and receiver are checked.

    Where TLS is demanded, raises `SenderNotCertified` unless the connection is its sender's too.
    """
    received = services.institution.interbank.open(sealed)
    certified = getattr(request.state, CERTIFIED_LEI, None)
    is_tls_demanded = services.institution.settings.interbank_tls is not None
    if is_tls_demanded and certified != received.sender_lei:
        raise SenderNotCertified(received.sender_lei)
    return received


ReceivedNeeded = Annotated[Received, Depends(open_sealed)]


@messages.post("", status_code=HTTPStatus.ACCEPTED, openapi_extra=_SEALED)
def take_message(received: ReceivedNeeded, services: ServicesNeeded) -> dict[str, str]:
    """Take a message that is delivered; taking it again changes nothing."""
    institution = services.institution
    take(institution.store, services.receivers, received, at=institution.clock())
    return {}


@fetches.post("", response_class=Response, openapi_extra=_SEALED)
def send_again(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Tell the sender which messages were delivered to it, or have some of them sent again."""
    institution = services.institution
    body = fetching.answer_fetch(
        institution.store,
        received,
        at=institution.clock(),
        days=institution.settings.delivery_days,
    )
    return _answer(services, received, body)


@quotes.post("", response_class=Response, openapi_extra=_SEALED)
def offer_quote(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Answer a request with a firm, signed quote for its sender alone."""
    if services.desk is None:
        raise ResourceUnknown("desk", "quotes")
    return _answer(services, received, services.desk.offer(received))


@charges.post("", response_class=Response, openapi_extra=_SEALED)
def tell_charge(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Answer another bank what this bank takes for crediting a payment in a currency."""
    institution = services.institution
    body = answer_charge(institution.settings, received, now=institution.clock())
    return _answer(services, received, body)


@issuances.post("", response_class=Response, openapi_extra=_SEALED)
def take_issuance_request(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Set the sender's reserves aside and order the mint; asked again, answered the same."""
    if services.central_bank is None:
        raise ResourceUnknown("desk", "issuances")
    return _answer(services, received, services.central_bank.issuing.receive(received))


@retail.post("", response_class=Response, openapi_extra=_SEALED)
def take_retail_message(received: ReceivedNeeded, services: ServicesNeeded) -> Response:
    """Take an order, a credit, a claim or a report of retail CBDC; asked again, answered the same."""
    taker = services.register or services.retail
    if taker is None:
        raise ResourceUnknown("desk", "retail")
    return _answer(services, received, taker.receive(received))


def _answer(services: ServicesNeeded, question: Received, body: dict[str, str]) -> Response:
    sealed = services.institution.interbank.answer(question, body)
    return Response(sealed, media_type=CONTENT_TYPE)
