"""The operator's view of the bridge: payments, ledger, reconciliation; and its health, for anyone."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from bridge.api.authentication import MonitorNeeded, OperatorNeeded
from bridge.api.operations_schemas import OverviewView, ReconciliationView
from bridge.api.schemas import LedgerAccountList, PaymentPage
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.money import parse_currency
from bridge.reconciliation import compare
from bridge.settlement.description import describe, describe_amount
from bridge.store import DeliveryState

ABANDONED_MAX: Final = 100
"""Most abandoned effects that are shown; the newest come first."""

router = APIRouter(prefix="/v1", tags=["operations"], dependencies=[OperatorNeeded])

health = APIRouter(tags=["health"])
"""Of every listener."""

monitoring = APIRouter(tags=["health"])
"""Of the institution's own listener: other institutions have no business with it."""


@router.get("/operations/payments", response_model=PaymentPage)
def list_all_payments(
    page: Annotated[PageQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Every payment of this institution, newest first."""
    with services.institution.store.reading() as work:
        found = work.payments.page(limit=page.limit, cursor=page.cursor)
    return {"items": [describe(payment) for payment in found.items], "next": found.next_cursor}


@router.get("/operations/overview", response_model=OverviewView)
def look_over(services: ServicesNeeded) -> dict[str, object]:
    """What needs somebody's eye: payments still open, effects and deliveries that were given up."""
    with services.institution.store.reading() as work:
        open_payments = work.payments.open_count()
        dead = work.effects.dead(ABANDONED_MAX)
        dead_deliveries = work.deliveries.count(DeliveryState.DEAD)
    return {
        "open_payments": open_payments,
        "abandoned_effects": [
            {
                "key": each.effect.key,
                "kind": each.effect.kind,
                "payment_id": each.effect.payment_id,
                "attempts": each.effect.attempts,
                "error": each.error,
            }
            for each in dead
        ],
        "dead_deliveries": dead_deliveries,
    }


@router.get("/ledger/accounts", response_model=LedgerAccountList)
def list_ledger_accounts(services: ServicesNeeded) -> dict[str, object]:
    """Every account of the ledger with its balances, all read at one moment."""
    with services.institution.store.reading() as work:
        balances = work.ledger.balances()
    return {
        "items": [
            {
                "id": balance.account.account_id,
                "type": balance.account.account_type.value,
                "owner": balance.account.owner,
                "ledger": describe_amount(balance.ledger),
                "available": describe_amount(balance.available),
            }
            for balance in balances
        ]
    }


@router.get("/reconciliation", response_model=ReconciliationView)
def reconcile(services: ServicesNeeded) -> dict[str, object]:
    """Whether ledger and chain agree, per currency, at the block the ledger has followed to."""
    institution = services.institution
    comparisons = [
        compare(institution, parse_currency(code)) for code in institution.settings.currencies
    ]
    with services.institution.store.reading() as work:
        open_breaks = work.breaks.open_count()
    return {
        "reconciled": not open_breaks and not any(each.difference for each in comparisons),
        "open_breaks": open_breaks,
        "comparisons": [
            {
                "currency": comparison.currency.code,
                "block": comparison.block_number,
                "ledger": describe_amount(comparison.ledger),
                "chain": describe_amount(comparison.chain),
                "difference": describe_amount(comparison.difference),
            }
            for comparison in comparisons
        ],
    }


@health.get("/healthz")
async def tell_alive() -> dict[str, str]:
    """That the process is alive."""
    return {"status": "alive"}


@health.get("/readyz")
def tell_ready(services: ServicesNeeded) -> JSONResponse:
    """Whether payments can be taken and progress: chain followed, worker at work."""
    readiness = services.readiness()
    if readiness.is_ready:
        return JSONResponse({"status": "ready"})
    return JSONResponse(
        {"status": "waiting", "waiting_for": list(readiness.waiting_for)},
        status_code=HTTPStatus.SERVICE_UNAVAILABLE,
    )


@monitoring.get("/metrics", dependencies=[MonitorNeeded], response_class=Response)
def show_metrics(services: ServicesNeeded) -> Response:
    """Metrics in Prometheus's text format, for the holder of the monitor's token."""
    return Response(services.metrics.page(), media_type=CONTENT_TYPE_LATEST)
