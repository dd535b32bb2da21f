"""The audit log for operators: its newest records, without the rows they seal."""

from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import OperatorNeeded
from bridge.api.operations_schemas import AuditPage
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.audit import plain

router = APIRouter(prefix="/v1/audit", tags=["operations"], dependencies=[OperatorNeeded])


@router.get("/records", response_model=AuditPage)
def list_audit_records(
    page: Annotated[PageQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Records of the audit log, newest first; each names the hash of the one before it."""
    with services.institution.store.reading() as work:
        found = work.audit.page(limit=page.limit, cursor=page.cursor)
    return {"items": [plain(record) for record in found.items], "next": found.next_cursor}
