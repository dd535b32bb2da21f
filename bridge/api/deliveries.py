"""The operator's view of messages to other institutions, and their replay."""

from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import OperatorNeeded
from bridge.api.operations_schemas import DeliveryPage, DeliveryQuery, DeliveryView
from bridge.api.services import ServicesNeeded
from bridge.errors import ResourceUnknown
from bridge.interbank.delivery import SECONDS_PER_DAY
from bridge.store import Delivery
from bridge.telemetry import get_logger

router = APIRouter(
    prefix="/v1/operations/deliveries", tags=["operations"], dependencies=[OperatorNeeded]
)


@router.get("", response_model=DeliveryPage)
def list_deliveries(
    query: Annotated[DeliveryQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Messages to other institutions, newest first: `dead` are those that somebody must look at."""
    with services.institution.store.reading() as work:
        page = work.deliveries.page(query.state, limit=query.limit, cursor=query.cursor)
    return {"items": [_describe(each) for each in page.items], "next": page.next_cursor}


@router.post("/{message_id}/replay", response_model=DeliveryView)
def replay_delivery(message_id: str, services: ServicesNeeded) -> dict[str, object]:
    """Send a message again, wherever it stands; its receiver takes it once however often it comes."""
    institution = services.institution
    now = institution.clock()
    until = now + institution.settings.delivery_days * SECONDS_PER_DAY
    with institution.store.unit_of_work() as work:
        found = work.deliveries.find(message_id)
        if found is None:
            raise ResourceUnknown("delivery", message_id)
        work.deliveries.replay([found.sequence], now=now, persists_until=until)
        replayed = work.deliveries.find(message_id) or found
    get_logger().info("delivery_replayed", message_id=message_id, payment_id=found.payment_id)
    return _describe(replayed)


def _describe(delivery: Delivery) -> dict[str, object]:
    return {
        "id": delivery.message_id,
        "peer": delivery.peer_lei,
        "kind": delivery.kind,
        "payment_id": delivery.payment_id,
        "position": delivery.position,
        "state": delivery.state.value,
        "created_at": delivery.created_at,
        "due_at": delivery.due_at,
        "persists_until": delivery.persists_until,
        "attempts": delivery.attempts,
        "error": delivery.error,
    }
