"""What is stuck, for operators: each alert with the kinds of proposal that can end it."""

from typing import Annotated

from fastapi import APIRouter, Query

from bridge.alert import ACTIONS_BY_KIND, Alert
from bridge.api.authentication import OperatorNeeded
from bridge.api.returns_schemas import (
    AlertPage,
    AlertsQuery,
)
from bridge.api.services import ServicesNeeded

router = APIRouter(
    prefix="/v1/operations/alerts", tags=["operations"], dependencies=[OperatorNeeded]
)


@router.get("", response_model=AlertPage)
def list_alerts(
    page: Annotated[AlertsQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Alerts, newest first, and how many of each kind are raised now."""
    is_raised = None if page.state is None else page.state == "raised"
    with services.institution.store.reading() as work:
        found = work.alerts.page(is_raised, limit=page.limit, cursor=page.cursor)
        counts = work.alerts.counts()
    return {
        "raised": {kind.value: count for kind, count in counts.items()},
        "items": [_describe(alert) for alert in found.items],
        "next": found.next_cursor,
    }


def _describe(alert: Alert) -> dict[str, object]:
    finding = alert.finding
    return {
        "kind": finding.kind.value,
        "subject": finding.subject,
        "payment_id": finding.payment_id,
        "state": "raised" if alert.cleared_at is None else "cleared",
        "since": finding.since,
        "raised_at": alert.raised_at,
        "seen_at": alert.seen_at,
        "cleared_at": alert.cleared_at,
        "actions": list(ACTIONS_BY_KIND[finding.kind]),
    }
