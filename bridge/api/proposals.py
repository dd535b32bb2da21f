"""Four eyes as JSON: an operator proposes, another approves or rejects, the proposer may withdraw."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from bridge.api.authentication import IdempotencyKey, JsonNeeded, OperatorKnown, OperatorNeeded
from bridge.api.operations_schemas import ProposalBody, ProposalPage, ProposalsQuery, ProposalView
from bridge.api.services import ServicesNeeded
from bridge.approval import Proposal, ProposalState
from bridge.operating import Wish

router = APIRouter(
    prefix="/v1/operations/proposals", tags=["operations"], dependencies=[OperatorNeeded]
)


@router.post(
    "", status_code=HTTPStatus.CREATED, dependencies=[JsonNeeded], response_model=ProposalView
)
def create_proposal(
    operator: OperatorKnown, key: IdempotencyKey, body: ProposalBody, services: ServicesNeeded
) -> dict[str, object]:
    """Propose an action; nothing happens before another operator approves it."""
    wish = Wish(kind=body.kind, subject=body.subject, document=body.document, note=body.note)
    return _describe(services.four_eyes.propose(operator, wish, key))


@router.get("", response_model=ProposalPage)
def list_proposals(
    page: Annotated[ProposalsQuery, Query()], services: ServicesNeeded
) -> dict[str, object]:
    """Proposals, newest first, in one state or in any."""
    state = None if page.state is None else ProposalState(page.state)
    with services.institution.store.reading() as work:
        found = work.approvals.page(state, limit=page.limit, cursor=page.cursor)
    return {"items": [_describe(proposal) for proposal in found.items], "next": found.next_cursor}


@router.get("/{proposal_id}", response_model=ProposalView)
def get_proposal(proposal_id: str, services: ServicesNeeded) -> dict[str, object]:
    """One proposal as it stands."""
    with services.institution.store.reading() as work:
        return _describe(work.approvals.get(proposal_id))


@router.post("/{proposal_id}/approval", response_model=ProposalView)
def approve_proposal(
    operator: OperatorKnown, proposal_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """Approve what another operator proposed: it is done in the same step, or not at all."""
    return _describe(services.four_eyes.approve(operator, proposal_id))


@router.post("/{proposal_id}/rejection", response_model=ProposalView)
def reject_proposal(
    operator: OperatorKnown, proposal_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """Turn down what another operator proposed."""
    return _describe(services.four_eyes.reject(operator, proposal_id))


@router.post("/{proposal_id}/withdrawal", response_model=ProposalView)
def withdraw_proposal(
    operator: OperatorKnown, proposal_id: str, services: ServicesNeeded
) -> dict[str, object]:
    """Take one's own proposal back."""
    return _describe(services.four_eyes.withdraw(operator, proposal_id))


def _describe(proposal: Proposal) -> dict[str, object]:
    return {
        "id": proposal.proposal_id,
        "kind": proposal.kind,
        "subject": proposal.subject,
        "document": dict(proposal.document),
        "note": proposal.note,
        "state": proposal.state.value,
        "proposed_by": proposal.proposed_by,
        "proposed_at": proposal.proposed_at,
        "lapses_after": proposal.lapses_after,
        "decided_by": proposal.decided_by,
        "decided_at": proposal.decided_at,
        "outcome": proposal.outcome,
    }
