"""What a payment will cost, shown to its customer before consent."""

from http import HTTPStatus

from fastapi import APIRouter

from bridge.api.authentication import CustomerNeeded, CustomersJsonNeeded
from bridge.api.order_schemas import QuotationView
from bridge.api.schemas import QuotationOrder
from bridge.api.services import ServicesNeeded
from bridge.settlement.quoting import describe_quotation, quote

router = APIRouter(prefix="/v1/payment-quotations", tags=["payments"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=CustomersJsonNeeded,
    response_model=QuotationView,
)
def create_quotation(
    customer: CustomerNeeded, order: QuotationOrder, services: ServicesNeeded
) -> dict[str, object]:
    """Ask what a payment costs; instructed with the quotation's id in time, it costs exactly that."""
    institution = services.institution
    now = institution.clock()
    instruction = order.instruction(customer, institution.agent, key="quotation", now=now)
    return describe_quotation(institution, quote(institution, customer, instruction), instruction)
