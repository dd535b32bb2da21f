"""Proposals of operators: what was proposed stays as it is, the decision is added once."""

import json
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.approval import Proposal, ProposalState
from bridge.errors import ProposalUnknown, RecordConflict
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


class Approvals:
    """Proposals by id and by state."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, proposal: Proposal) -> None:
        """Keep a new proposal; raises `RecordConflict` when its id is used."""
        if self.find(proposal.proposal_id) is not None:
            raise RecordConflict("proposal", proposal.proposal_id)
        self._connection.execute(
            insert(tables.proposals).values(
                proposal_id=proposal.proposal_id,
                kind=proposal.kind,
                subject=proposal.subject,
                document=json.dumps(dict(proposal.document), sort_keys=True),
                note=proposal.note,
                proposed_by=proposal.proposed_by,
                proposed_at=proposal.proposed_at,
                state=proposal.state.value,
            )
        )

    def save_decision(self, proposal: Proposal) -> None:
        """Keep how an open proposal was decided; raises `ProposalUnknown` when it is none."""
        kept = tables.proposals.c
        change = (
            update(tables.proposals)
            .where(kept.proposal_id == proposal.proposal_id, kept.state == ProposalState.OPEN.value)
            .values(
                state=proposal.state.value,
                decided_by=proposal.decided_by,
                decided_at=proposal.decided_at,
                outcome=proposal.outcome,
            )
        )
        if self._connection.execute(change).rowcount != 1:
            raise ProposalUnknown(proposal.proposal_id)

    def get(self, proposal_id: str) -> Proposal:
        """The proposal with this id; raises `ProposalUnknown`."""
        found = self.find(proposal_id)
        if found is None:
            raise ProposalUnknown(proposal_id)
        return found

    def find(self, proposal_id: str) -> Proposal | None:
        """The proposal with this id, if there is one."""
        query = select(tables.proposals).where(tables.proposals.c.proposal_id == proposal_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _proposal(row)

    def approved(self, kind: str, subject: str) -> tuple[Proposal, ...]:
        """The approved proposals of a kind about a subject, oldest first."""
        kept = tables.proposals.c
        query = (
            select(tables.proposals)
            .where(
                kept.kind == kind,
                kept.subject == subject,
                kept.state == ProposalState.APPROVED.value,
            )
            .order_by(kept.sequence)
        )
        return tuple(_proposal(row) for row in self._connection.execute(query))

    def page(
        self,
        state: ProposalState | None = None,
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Page[Proposal]:
        """Proposals, newest first, in one state or in any."""
        kept = tables.proposals.c
        query = select(tables.proposals)
        if state is not None:
            query = query.where(kept.state == state.value)
        return read_page(
            self._connection, query, kept.sequence, _proposal, limit=limit, cursor=cursor
        )

    def count(self, state: ProposalState) -> int:
        """How many proposals are in a state."""
        query = select(func.count()).where(tables.proposals.c.state == state.value)
        return self._connection.execute(query).scalar_one()


def _proposal(row: Row[Any]) -> Proposal:  # a row of the whole table
    return Proposal(
        proposal_id=row.proposal_id,
        kind=row.kind,
        subject=row.subject,
        document=json.loads(row.document),
        note=row.note,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        state=ProposalState(row.state),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        outcome=row.outcome,
    )
