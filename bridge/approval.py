"""Four eyes: what one operator proposes, another approves or rejects; pure.

    OPEN --approved by another operator--> APPROVED
      |---rejected by another operator---> REJECTED
      |---withdrawn by its proposer------> WITHDRAWN
      '---past its last second, none of these is possible any more

Invariants: nobody decides on their own proposal; a proposal is decided once; what was proposed never
changes, so that the second pair of eyes saw what is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Final

from bridge.errors import OwnProposal, ProposalDecided, ProposalLapsed, ProposalNotOwn

PROPOSAL_SECONDS_MAX: Final = 7 * 86_400
"""How long a proposal can be decided on."""


@unique
class ProposalState(StrEnum):
    """Where a proposal stands; see the module docstring."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something an operator wants done.

    `kind` names the action, `subject` what it is done to, `document` what the action needs besides,
    `note` why. Times are UTC seconds; `outcome` is what the action said once it was carried out.
    """

    proposal_id: str
    kind: str
    subject: str
    document: Mapping[str, str]
    note: str
    proposed_by: str
    proposed_at: int
    state: ProposalState = ProposalState.OPEN
    decided_by: str | None = None
    decided_at: int | None = None
    outcome: str | None = None

    @property
    def lapses_after(self) -> int:
        """The last second in which it can be decided on."""
        return self.proposed_at + PROPOSAL_SECONDS_MAX


def decide(proposal: Proposal, state: ProposalState, operator_id: str, at: int) -> Proposal:
    """The proposal as decided by an operator at a UTC second.

    Raises `ProposalDecided` when it was decided before, `ProposalLapsed` when it is too late,
    `OwnProposal` for an approval or rejection by its proposer and `ProposalNotOwn` for a withdrawal
    by anybody else.
    """
    if proposal.state is not ProposalState.OPEN:
        raise ProposalDecided(proposal.proposal_id, proposal.state.value)
    if at > proposal.lapses_after:
        raise ProposalLapsed(proposal.proposal_id)
    is_own = operator_id == proposal.proposed_by
    if state is ProposalState.WITHDRAWN and not is_own:
        raise ProposalNotOwn(proposal.proposal_id)
    if state is not ProposalState.WITHDRAWN and is_own:
        raise OwnProposal(proposal.proposal_id)
    return replace(proposal, state=state, decided_by=operator_id, decided_at=at)
