"""Transfers between RTGS accounts: ordered by a participant's operator, seen by every operator.

A central bank's own operators order and cancel transfers by four eyes, as proposals.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import IdempotencyKey, JsonNeeded, OperatorNeeded
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.api.wholesale_schemas import TransferBody, TransferPage, TransferView
from bridge.centralbank.transferring import TransferOrder, cancel_transfer, order_transfer
from bridge.errors import TransferUnknown
from bridge.iso20022.identifiers import parse_lei, parse_reference
from bridge.rtgs import Priority, Transfer
from bridge.settlement.description import describe_amount

ordering = APIRouter(prefix="/v1/transfers", tags=["transfers"], dependencies=[OperatorNeeded])
"""Routes of institutions that hold an RTGS account."""

reading = APIRouter(prefix="/v1/transfers", tags=["transfers"], dependencies=[OperatorNeeded])
"""Routes of every institution."""


@ordering.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[JsonNeeded],
    response_model=TransferView,
)
def create_transfer(
    key: IdempotencyKey, body: TransferBody, services: ServicesNeeded
) -> dict[str, object]:
    """Order a transfer out of the own RTGS account; the money is set aside at once."""
    order = TransferOrder(
        creditor_lei=parse_lei(body.creditor),
        amount=body.amount.read(),
        priority=Priority(body.priority),
        end_to_end_id=parse_reference(body.end_to_end_id),
    )
    return _describe(order_transfer(services.institution, order, key))


@ordering.post(
    "/{transfer_id}/cancellation",
    status_code=HTTPStatus.ACCEPTED,
    response_model=TransferView,
)
def create_cancellation(transfer_id: str, services: ServicesNeeded) -> dict[str, object]:
    """Ask the central bank to take an own transfer out of its queue; it may settle first."""
    return _describe(cancel_transfer(services.institution, transfer_id))


@reading.get("", response_model=TransferPage)
def list_transfers(
    page: Annotated[PageQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Transfers, newest first: at a central bank everybody's, elsewhere those ordered here."""
    with services.institution.store.reading() as work:
        found = work.rtgs.page(limit=page.limit, cursor=page.cursor)
    return {"items": [_describe(each) for each in found.items], "next": found.next_cursor}


@reading.get("/{transfer_id}", response_model=TransferView)
def get_transfer(transfer_id: str, services: ServicesNeeded) -> dict[str, object]:
    """A transfer that this institution ordered, by its id."""
    with services.institution.store.reading() as work:
        found = work.rtgs.find(services.institution.lei, transfer_id)
    if found is None:
        raise TransferUnknown(transfer_id)
    return _describe(found)


def _describe(transfer: Transfer) -> dict[str, object]:
    return {
        "id": transfer.transfer_id,
        "ordered_by": transfer.ordered_by,
        "debtor": transfer.debtor_lei,
        "creditor": transfer.creditor_lei,
        "amount": describe_amount(transfer.amount),
        "priority": transfer.priority.value,
        "end_to_end_id": transfer.end_to_end_id,
        "state": transfer.state.value,
        "reason": transfer.reason,
        "entered_at": transfer.entered_at,
        "ended_at": transfer.ended_at,
    }
