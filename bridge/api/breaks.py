"""Breaks and statements as operators see them; a break is closed by four eyes, as a proposal."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import OperatorKnown, OperatorNeeded
from bridge.api.services import ServicesNeeded
from bridge.api.shapes import PageQuery
from bridge.api.wholesale_schemas import BreakPage, BreaksQuery, BreakView, StatementPageView
from bridge.breaks import Break, BreakState
from bridge.errors import BreakEnded
from bridge.money import Amount, parse_currency
from bridge.settlement.description import describe_amount
from bridge.store import StoredStatement

router = APIRouter(prefix="/v1", tags=["reconciliation"], dependencies=[OperatorNeeded])


@router.get("/breaks", response_model=BreakPage)
def list_breaks(
    query: Annotated[BreaksQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Breaks, newest first, in one state or in any."""
    institution = services.institution
    state = None if query.state is None else BreakState(query.state)
    with institution.store.reading() as work:
        page = work.breaks.page(state, limit=query.limit, cursor=query.cursor)
    now = institution.clock()
    return {"items": [_describe(each, now) for each in page.items], "next": page.next_cursor}


@router.get("/breaks/{break_id}", response_model=BreakView)
def get_break(break_id: str, services: ServicesNeeded) -> dict[str, object]:
    """A break by its id."""
    with services.institution.store.reading() as work:
        found = work.breaks.get(break_id)
    return _describe(found, services.institution.clock())


@router.post("/breaks/{break_id}/owner", response_model=BreakView)
def own_break(
    operator: OperatorKnown, break_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """Look after an open break oneself from now on."""
    institution = services.institution
    with institution.store.unit_of_work() as work:
        found = work.breaks.get(break_id)
        if found.state is not BreakState.OPEN:
            raise BreakEnded(break_id, found.state.value)
        owned = replace(found, owner=operator.operator_id)
        work.breaks.save(owned)
    return _describe(owned, institution.clock())


@router.get("/statements", response_model=StatementPageView)
def list_statements(
    page: Annotated[PageQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Statements, newest first: at a central bank those it made, elsewhere those it sent here."""
    with services.institution.store.reading() as work:
        found = work.account_statements.page(limit=page.limit, cursor=page.cursor)
    return {
        "items": [_describe_statement(each) for each in found.items],
        "next": found.next_cursor,
    }


def _describe(found: Break, now: int) -> dict[str, object]:
    return {
        "id": found.break_id,
        "type": found.break_type.value,
        "scope": found.scope,
        "subject": found.subject,
        "amount": describe_amount(found.amount),
        "opened_at": found.opened_at,
        "age_seconds": found.age_seconds(now),
        "block": found.block,
        "note": found.note,
        "state": found.state.value,
        "owner": found.owner,
        "closed_at": found.closed_at,
        "explanation": found.explanation,
        "entry_id": found.entry_id,
    }


def _describe_statement(statement: StoredStatement) -> dict[str, object]:
    currency = parse_currency(statement.account.currency)
    return {
        "id": statement.statement_id,
        "kind": statement.kind.value,
        "scope": statement.account.scope,
        "participant": statement.account.lei,
        "number": statement.number,
        "first_line": statement.first_line,
        "last_line": statement.last_line,
        "opening": describe_amount(Amount(currency, statement.opening)),
        "closing": describe_amount(Amount(currency, statement.closing)),
        "period_start": statement.period_start,
        "period_end": statement.period_end,
        "block": statement.block,
    }
