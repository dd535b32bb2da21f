"""Holds on customers' accounts, placed and released by an operator; taking from one takes two of them."""

from http import HTTPStatus

from fastapi import APIRouter

from bridge.api.authentication import IdempotencyKey, JsonNeeded, OperatorKnown, OperatorNeeded
from bridge.api.ledger_schemas import HoldBody, HoldView
from bridge.api.services import ServicesNeeded
from bridge.holds import HoldOrder, Holds
from bridge.ledger import BookedEntry, Side
from bridge.money import Amount
from bridge.settlement.description import describe_amount

router = APIRouter(prefix="/v1/ledger/holds", tags=["operations"], dependencies=[OperatorNeeded])


@router.post("", status_code=HTTPStatus.CREATED, dependencies=[JsonNeeded], response_model=HoldView)
def place_hold(
    operator: OperatorKnown, key: IdempotencyKey, body: HoldBody, services: ServicesNeeded
) -> dict[str, object]:
    """Set money aside on a customer's account until a UTC second."""
    order = HoldOrder(body.account, body.amount.read(), body.expires_at, body.reason)
    return _describe(_holds(services).place(operator, order, key))


@router.get("/{hold_id}", response_model=HoldView)
def get_hold(hold_id: str, services: ServicesNeeded) -> dict[str, object]:
    """A hold as it stands."""
    return _describe(_holds(services).get(hold_id))


@router.post("/{hold_id}/release", response_model=HoldView)
def release_hold(hold_id: str, services: ServicesNeeded) -> dict[str, object]:
    """Give back what is held; again is the same as once."""
    return _describe(_holds(services).release(hold_id))


def _holds(services: ServicesNeeded) -> Holds:
    return Holds(services.institution.store, services.institution.clock)


def _describe(held: BookedEntry) -> dict[str, object]:
    first = held.entry.postings[0]
    left = sum(each.amount.minor_units for each in held.remaining if each.side is Side.DEBIT)
    return {
        "id": held.entry.entry_id,
        "account": first.account_id,
        "amount": describe_amount(first.amount),
        "held": describe_amount(Amount(first.amount.currency, left)),
        "reason": held.entry.description,
        "status": "held" if held.resolution is None else _STATUS[held.resolution.value],
        "placed_at": held.entry.booked_at,
        "expires_at": held.entry.expires_at,
    }


_STATUS = {"posted": "taken", "voided": "released", "expired": "expired"}
