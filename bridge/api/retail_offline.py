"""A customer's devices for offline retail CBDC, and the vouchers they bring."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from bridge.api.authentication import (
    CustomerNeeded,
    CustomersJsonNeeded,
    IdempotencyKey,
    OperatorNeeded,
)
from bridge.api.retail import BusinessNeeded, respond
from bridge.api.retail_schemas import (
    CertificateView,
    DeviceBody,
    DeviceLoadView,
    DeviceView,
    EvidenceList,
    PresentationBody,
    RetailAmount,
    RetailPaymentView,
)
from bridge.retail.description import describe_retail
from bridge.voucher import Presentation

EVIDENCE_MAX: Final = 100
"""Most pieces of evidence that are shown; the newest come first."""

router = APIRouter(prefix="/v1/retail", tags=["retail offline"])

operations = APIRouter(
    prefix="/v1/operations/retail", tags=["retail operations"], dependencies=[OperatorNeeded]
)
"""Routes of the operator."""

DeviceKey = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.post(
    "/devices",
    status_code=HTTPStatus.CREATED,
    dependencies=CustomersJsonNeeded,
    response_model=DeviceView,
)
def register_device(
    customer: CustomerNeeded, body: DeviceBody, business: BusinessNeeded
) -> dict[str, object]:
    """Name a device of the customer's wallet by its public key; again: as it stands."""
    device = business.offline.register(customer.customer_id, body.wallet, body.device)
    return {
        "device": device.device,
        "wallet": device.wallet_id,
        "status": device.status.value,
        "loaded": device.loaded,
        "expires_at": device.expires_at,
    }


@router.post(
    "/devices/{device}/loads",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=DeviceLoadView,
)
def load_device(
    customer: CustomerNeeded,
    device: DeviceKey,
    key: IdempotencyKey,
    body: RetailAmount,
    business: BusinessNeeded,
) -> Response:
    """Move value from the wallet to the device; fetch its certificate afterwards."""
    answer = business.offline.load(customer.customer_id, device, body.amount.read(), key)
    return respond(answer)


@router.get("/devices/{device}/certificate", response_model=CertificateView)
def get_certificate(
    customer: CustomerNeeded, device: DeviceKey, business: BusinessNeeded
) -> dict[str, object]:
    """The bank's signed word for a device, as other devices check it offline (JWS)."""
    return {"certificate": business.offline.certificate(customer.customer_id, device)}


@router.post(
    "/vouchers",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=RetailPaymentView,
)
def present_voucher(
    customer: CustomerNeeded, body: PresentationBody, business: BusinessNeeded
) -> dict[str, object]:
    """Deposit a voucher; the same again is the same payment, another under its counter is refused."""
    presentation = Presentation.parse(body.model_dump_json())
    return describe_retail(business.offline.present(customer.customer_id, presentation))


@operations.get("/evidence", response_model=EvidenceList)
def list_evidence(business: BusinessNeeded) -> dict[str, object]:
    """What was spent twice: both presentations as they were signed, and who signed both."""
    with business.intermediary.institution.store.reading() as work:
        found = work.devices.evidence(EVIDENCE_MAX)
    return {
        "items": [
            {
                "culprit": each.culprit,
                "first": each.first,
                "second": each.second,
                "found_at": each.found_at,
            }
            for each in found
        ]
    }
