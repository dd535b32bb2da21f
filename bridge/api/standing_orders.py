"""A customer's standing orders: payments that repeat, and those that wait for their day."""

from datetime import date
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from bridge.api.authentication import CustomerNeeded, CustomersJsonNeeded, IdempotencyKey
from bridge.api.order_schemas import StandingOrderBody, StandingOrderPage, StandingOrderView
from bridge.api.payments import answer_order
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.errors import ResourceUnknown
from bridge.settlement.order import Order
from bridge.settlement.scheduling import cancel, create, describe_order, find_own

router = APIRouter(prefix="/v1/standing-orders", tags=["standing orders"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=CustomersJsonNeeded,
    response_model=StandingOrderView,
)
def create_standing_order(
    customer: CustomerNeeded,
    key: IdempotencyKey,
    body: StandingOrderBody,
    services: ServicesNeeded,
) -> Response:
    """Order a payment that repeats. It is made on each due date, once, whatever happens."""
    institution = services.institution
    schedule = body.schedule.read()
    instruction = body.read(
        customer, institution.agent, key=key, now=institution.clock(), day=schedule.first_date
    )
    ordered = Order(customer, f"standing-orders|{key}", instruction, schedule=schedule)
    return answer_order(create(institution, ordered))


@router.get("", response_model=StandingOrderPage)
def list_standing_orders(
    customer: CustomerNeeded, page: Annotated[PageQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """The customer's standing orders and scheduled payments, newest first."""
    with services.institution.store.reading() as work:
        found = work.standing_orders.page(
            customer.customer_id, limit=page.limit, cursor=page.cursor
        )
        items = [describe_order(work, order) for order in found.items]
    return {"items": items, "next": found.next_cursor}


@router.get("/{order_id}", response_model=StandingOrderView)
def get_standing_order(
    customer: CustomerNeeded, order_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """One order with its newest due dates and what became of them."""
    with services.institution.store.reading() as work:
        return describe_order(work, find_own(work, customer.customer_id, order_id))


@router.post("/{order_id}/cancellation", response_model=StandingOrderView)
def cancel_standing_order(
    customer: CustomerNeeded, order_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """End an order; what was executed before stays. Asking again changes nothing."""
    institution = services.institution
    order = cancel(institution, customer.customer_id, order_id)
    with institution.store.reading() as work:
        return describe_order(work, order)


@router.get("/{order_id}/occurrences/{due_date}/report", response_class=Response)
def get_occurrence_report(
    customer: CustomerNeeded, order_id: str, due_date: date, services: ServicesNeeded
) -> Response:
    """The pacs.002 on a due date that was missed, in XML."""
    with services.institution.store.reading() as work:
        find_own(work, customer.customer_id, order_id)
        occurrence = work.standing_orders.occurrence(order_id, due_date)
    if occurrence is None or occurrence.report is None:
        raise ResourceUnknown("report", due_date.isoformat())
    return Response(occurrence.report, media_type="application/xml")
