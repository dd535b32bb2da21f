"""Money on suspense and returns, for operators; what takes two of them is proposed (`proposals`)."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from bridge.api.authentication import IdempotencyKey, JsonNeeded, OperatorKnown, OperatorNeeded
from bridge.api.payments import answer_order
from bridge.api.returns_schemas import (
    ReturnAnswerView,
    ReturnBody,
    SuspensePage,
    SuspenseQuery,
)
from bridge.api.services import ServicesNeeded
from bridge.settlement.description import describe_amount
from bridge.settlement.returning import OPERATOR_PREFIX, ReturnOrder, read_reason, request_return
from bridge.store import SuspenseItem, SuspenseState

router = APIRouter(prefix="/v1/operations", tags=["operations"], dependencies=[OperatorNeeded])


@router.get("/suspense", response_model=SuspensePage)
def list_suspense(
    page: Annotated[SuspenseQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Money that came for an account that could not be credited, newest first."""
    state = None if page.state is None else SuspenseState(page.state)
    with services.institution.store.reading() as work:
        found = work.suspense.page(state, limit=page.limit, cursor=page.cursor)
    return {"items": [_describe(item) for item in found.items], "next": found.next_cursor}


@router.post(
    "/payments/{payment_id}/returns",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[JsonNeeded],
    response_model=ReturnAnswerView,
)
def return_payment(
    operator: OperatorKnown,
    key: IdempotencyKey,
    payment_id: str,
    body: ReturnBody,
    services: ServicesNeeded,
) -> Response:
    """Give a payment back for the bank; above the figure for one person this proposes it."""
    order = ReturnOrder(
        payment_id=payment_id,
        reason=read_reason(body.reason),
        key=key,
        amount=None if body.amount is None else body.amount.read(),
    )
    asker = f"{OPERATOR_PREFIX}{operator.operator_id}"
    return answer_order(request_return(services.institution, asker, order))


def _describe(item: SuspenseItem) -> dict[str, object]:
    return {
        "payment_id": item.payment_id,
        "amount": describe_amount(item.amount),
        "cause": item.cause.value,
        "state": item.state.value,
        "intended_account": item.intended_account_id,
        "opened_at": item.opened_at,
        "resolved_at": item.resolved_at,
        "resolved_by": item.resolved_by,
    }
