"""A central bank's own pages: what backs its tokens, for anyone; its participants, for its operators."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import OperatorNeeded
from bridge.api.services import ServicesNeeded
from bridge.api.wholesale_schemas import BackingView, ParticipantReports, PeriodQuery
from bridge.centralbank.reporting import Backing, ParticipantFigures, read_participants
from bridge.errors import ResourceUnknown
from bridge.settlement.description import describe_amount

public = APIRouter(prefix="/v1/backing", tags=["central bank"])
"""What needs no token."""

router = APIRouter(prefix="/v1", tags=["central bank"], dependencies=[OperatorNeeded])


@public.get("", response_model=BackingView)
def show_backing(services: ServicesNeeded) -> dict[str, object]:
    """What backs the tokens of this central bank's currency, at the block its books have followed to."""
    if services.central_bank is None:
        raise ResourceUnknown("desk", "backing")
    return _describe_backing(services.central_bank.backing.read())


@router.post("/statements/{statement_id}/resending", status_code=HTTPStatus.ACCEPTED)
def resend_statement(statement_id: str, services: ServicesNeeded) -> dict[str, str]:
    """Send a statement to its owner once more; it is the same as ever."""
    institution, desks = services.institution, services.central_bank
    if desks is None:
        raise ResourceUnknown("statement", statement_id)
    with institution.store.unit_of_work() as work:
        desks.statements.resend(work, statement_id, institution.clock())
    return {"id": statement_id}


@router.get("/reports/participants", response_model=ParticipantReports)
def report_participants(
    period: Annotated[PeriodQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Every participant with an RTGS account here: balances, tokens, turnover, queue, breaks."""
    found = read_participants(services.institution, period.since, period.until)
    return {"items": [_describe_participant(each) for each in found]}


def _describe_backing(backing: Backing) -> dict[str, object]:
    return {
        "currency": backing.supply.currency.code,
        "block": backing.block,
        "supply": describe_amount(backing.supply),
        "reserves": describe_amount(backing.reserves),
        "attested": describe_amount(backing.attested),
        "attested_at": backing.attested_at,
        "attested_until": backing.attested_until,
        "ratio": backing.ratio,
    }


def _describe_participant(found: ParticipantFigures) -> dict[str, object]:
    return {
        "participant": found.lei,
        "rtgs_balance": describe_amount(found.rtgs_balance),
        "credit_line": describe_amount(found.credit_line),
        "reserve_requirement": describe_amount(found.reserve_requirement),
        "meets_requirement": found.reserve_requirement <= found.rtgs_balance,
        "tokens_held": describe_amount(found.tokens_held),
        "issued": describe_amount(found.issued),
        "redeemed": describe_amount(found.redeemed),
        "queue": {
            "count": found.queue_count,
            "amount": describe_amount(found.queue_amount),
        },
        "breaks": [
            {
                "id": each.break_id,
                "type": each.break_type,
                "scope": each.scope,
                "amount": describe_amount(each.amount),
                "opened_at": each.opened_at,
            }
            for each in found.breaks
        ],
    }
