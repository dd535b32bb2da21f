"""What a central bank or a supervisor was sent of payments: copies, opened with its own key."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from bridge.api.authentication import OperatorKnown, OperatorNeeded
from bridge.api.operations_schemas import CopyPage, CopyView
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.errors import ResourceUnknown
from bridge.settlement.supervision import NO_COPY
from bridge.store import SupervisorCopy
from bridge.telemetry import get_logger

router = APIRouter(
    prefix="/v1/supervision/copies", tags=["supervision"], dependencies=[OperatorNeeded]
)


@router.get("", response_model=CopyPage)
def list_copies(page: Annotated[PageQuery, Query()], services: ServicesNeeded) -> dict[str, object]:
    """Payments that the chain announced, newest first, and whether their copies have come."""
    with services.institution.store.reading() as work:
        found = work.supervisor_copies.page(limit=page.limit, cursor=page.cursor)
    return {"items": [_describe(each) for each in found.items], "next": found.next_cursor}


@router.get("/{settlement_id}", response_model=CopyView)
def get_copy(settlement_id: str, services: ServicesNeeded) -> dict[str, object]:
    """One payment's copy: what the chain names, whether it has come, what is wrong with it."""
    return _describe(_find(services, settlement_id))


@router.get("/{settlement_id}/document", response_class=Response)
def read_copy(operator: OperatorKnown, settlement_id: str, services: ServicesNeeded) -> Response:
    """The pacs.008 in a copy, opened now; who read it is logged."""
    kept, institution = _find(services, settlement_id), services.institution
    with institution.store.reading() as work:
        copy = work.supervisor_copies.content(kept.settlement_id)
    if copy is None:
        raise ResourceUnknown("copy", settlement_id)
    opened = institution.interbank.copyist.open(copy, institution.directory())
    get_logger().info(
        "supervisor_copy_read", operator=operator.operator_id, settlement_id=kept.settlement_id
    )
    return Response(opened.content.document, media_type="application/xml")


def _find(services: ServicesNeeded, text: str) -> SupervisorCopy:
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise ResourceUnknown("copy", text) from error
    with services.institution.store.reading() as work:
        found = work.supervisor_copies.find(key)
    if found is None:
        raise ResourceUnknown("copy", text)
    return found


def _describe(kept: SupervisorCopy) -> dict[str, object]:
    is_named = kept.copy_hash != NO_COPY
    awaited = "received" if kept.received_at is not None else "awaited"
    return {
        "settlement_id": f"0x{kept.settlement_id.hex()}",
        "debtor_agent": kept.sender_lei,
        "state": awaited if is_named else "none",
        "copy_hash": f"0x{kept.copy_hash.hex()}",
        "announced_at": kept.announced_at,
        "received_at": kept.received_at,
        "finding": kept.finding,
    }
