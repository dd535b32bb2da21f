"""The operator's orders at the central bank: reserves into tokens, tokens into reserves."""

from http import HTTPStatus

from fastapi import APIRouter

from bridge.api.authentication import IdempotencyKey, JsonNeeded, OperatorNeeded
from bridge.api.schemas import IssuanceOrder, IssuanceView
from bridge.api.services import ServicesNeeded
from bridge.centralbank.funding import fund, redeem
from bridge.errors import ResourceUnknown
from bridge.issuance import Issuance
from bridge.settlement.description import describe_amount

ordering = APIRouter(prefix="/v1", tags=["issuances"], dependencies=[OperatorNeeded])
"""Routes of institutions that hold reserves at a central bank."""

reading = APIRouter(prefix="/v1/issuances", tags=["issuances"], dependencies=[OperatorNeeded])
"""Routes of every institution."""


@ordering.post(
    "/issuances",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[JsonNeeded],
    response_model=IssuanceView,
)
def create_issuance(
    key: IdempotencyKey, order: IssuanceOrder, services: ServicesNeeded
) -> dict[str, object]:
    """Order tokens against reserves; the reserves are set aside at once."""
    return _describe(fund(services.institution, order.amount.read(), f"issue|{key}"))


@ordering.post(
    "/redemptions",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[JsonNeeded],
    response_model=IssuanceView,
)
def create_redemption(
    key: IdempotencyKey, order: IssuanceOrder, services: ServicesNeeded
) -> dict[str, object]:
    """Order tokens to be burnt for reserves; the tokens are set aside at once."""
    return _describe(redeem(services.institution, order.amount.read(), f"redeem|{key}"))


@reading.get("/{reference}", response_model=IssuanceView)
def get_issuance(reference: str, services: ServicesNeeded) -> dict[str, object]:
    """An issuance or redemption by its reference."""
    with services.institution.store.reading() as work:
        issuance = work.issuances.find(_parse_reference(reference))
    if issuance is None:
        raise ResourceUnknown("issuance", reference)
    return _describe(issuance)


def _parse_reference(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise ResourceUnknown("issuance", text) from error


def _describe(issuance: Issuance) -> dict[str, object]:
    hashed = issuance.transaction_hash
    return {
        "reference": f"0x{issuance.reference.hex()}",
        "participant": issuance.participant_lei,
        "amount": describe_amount(issuance.amount),
        "status": issuance.state.value,
        "reason": issuance.reason,
        "transaction_hash": None if hashed is None else f"0x{hashed.hex()}",
        "created_at": issuance.created_at,
    }
