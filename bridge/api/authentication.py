"""Who is asking: a customer or an operator, by bearer token (RFC 6750).

Tokens are not kept: a customer's is found by its SHA-256, an operator's is compared with the
SHA-256 in the settings of each. Both comparisons take the same time whatever the token is. Other
institutions have no token here, their sealed messages prove who they are.
"""

import hashlib
import hmac
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bridge.api.problems import IDEMPOTENCY_KEY_CHARACTERS_MAX, IDEMPOTENCY_KEY_HEADER
from bridge.api.services import ServicesNeeded
from bridge.errors import ContentTypeUnsupported, TokenInvalid
from bridge.operating import Operator
from bridge.store import Customer

TOKEN_CHARACTERS_MAX: Final = 512
"""Longest bearer token that is looked at."""

JSON_CONTENT_TYPE: Final = "application/json"

_customer_scheme = HTTPBearer(
    scheme_name="customer", description="The token of a customer.", auto_error=False
)
_operator_scheme = HTTPBearer(
    scheme_name="operator",
    description="The token of an operator of the institution.",
    auto_error=False,
)


_monitor_scheme = HTTPBearer(
    scheme_name="monitor", description="The token of whatever reads metrics.", auto_error=False
)


def _digest(credentials: HTTPAuthorizationCredentials | None) -> bytes:
    if credentials is None or len(credentials.credentials) > TOKEN_CHARACTERS_MAX:
        raise TokenInvalid
    return hashlib.sha256(credentials.credentials.encode()).digest()


def authenticate_customer(
    services: ServicesNeeded,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_customer_scheme)],
) -> Customer:
    """The customer who holds the request's token; raises `TokenInvalid`."""
    digest = _digest(credentials)
    with services.institution.store.reading() as work:
        customer = work.customers.by_token_hash(digest)
    if customer is None or not hmac.compare_digest(customer.token_hash, digest):
        raise TokenInvalid
    return customer


def authenticate_operator(
    services: ServicesNeeded,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_operator_scheme)],
) -> Operator:
    """The operator who holds the request's token; raises `TokenInvalid`."""
    digest = _digest(credentials)
    found = [
        Operator(each.operator_id)
        for each in services.institution.settings.operators
        if hmac.compare_digest(bytes.fromhex(each.token_sha256), digest)
    ]
    if not found:
        raise TokenInvalid
    return found[0]


def authenticate_monitor(
    services: ServicesNeeded,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_monitor_scheme)],
) -> None:
    """Let the holder of the monitor's token pass; raises `TokenInvalid`, always where there is none."""
    expected = services.institution.settings.monitor_token_sha256
    digest = _digest(credentials)
    if expected is None or not hmac.compare_digest(bytes.fromhex(expected), digest):
        raise TokenInvalid


def check_content_type(request: Request, expected: str) -> None:
    """Refuse a body that is not of the one type read here; raises `ContentTypeUnsupported`."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != expected:
        raise ContentTypeUnsupported(expected)


async def _check_json(request: Request) -> None:
    check_content_type(request, JSON_CONTENT_TYPE)


CustomerNeeded = Annotated[Customer, Depends(authenticate_customer)]
"""Parameter of a route for customers."""

OperatorNeeded = Depends(authenticate_operator)
"""Dependency of a router for operators."""

MonitorNeeded = Depends(authenticate_monitor)
"""Dependency of a route for whatever reads metrics."""

OperatorKnown = Annotated[Operator, Depends(authenticate_operator)]
"""Parameter of an operator's route that keeps who it was."""

JsonNeeded = Depends(_check_json)
"""Dependency of a route with a JSON body: other types are refused as such."""

CustomersJsonNeeded = (Depends(authenticate_customer), JsonNeeded)
"""Dependencies of a customer's route with a JSON body: who asks is settled first."""

IdempotencyKey = Annotated[
    str,
    Header(
        alias=IDEMPOTENCY_KEY_HEADER,
        max_length=IDEMPOTENCY_KEY_CHARACTERS_MAX,
        pattern=r"^[!-~]+$",
        description="Names this request for ever: sent again, it gets the same answer.",
    ),
]
"""Parameter of a route that moves money."""
