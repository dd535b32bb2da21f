"""What operators may do by four eyes: one proposes, another approves, and only then it happens.

An action is registered under its kind by the part of the bridge that it belongs to. `check` looks at
a proposal when it is made, so that nonsense is refused before anybody reads it; `carry_out` runs in
the database transaction that records the approval: both are there or neither.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.approval import Proposal, ProposalState, decide
from bridge.audit import Note
from bridge.errors import ActionUnknown, IdempotencyKeyReused
from bridge.store import Store, UnitOfWork

PROPOSAL_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who runs the institution's bridge, by the name the settings give them."""

    operator_id: str

    @property
    def actor(self) -> str:
        """Who this is in the audit log."""
        return f"operator:{self.operator_id}"

    def digest_of(self, key: str) -> str:
        """Hex digest of one of this person's idempotency keys: nobody else's has it."""
        return hashlib.sha256(json.dumps([self.operator_id, key]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that takes two persons.

    `check` raises a `Rejected` for a proposal that cannot be carried out. `carry_out` does it at a
    UTC second and says what became of it, without personal data: it is kept and shown.
    """

    check: Callable[[UnitOfWork, Proposal], None]
    carry_out: Callable[[UnitOfWork, Proposal, int], str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator asks for: the parts of a proposal that are theirs to say."""

    kind: str
    subject: str
    document: Mapping[str, str]
    note: str


@dataclass(frozen=True, slots=True)
class FourEyes:
    """The actions of one institution, and the proposals about them; `clock` gives UTC seconds."""

    store: Store
    actions: Mapping[str, Action]
    clock: Callable[[], int]

    def propose(self, operator: Operator, wish: Wish, key: str) -> Proposal:
        """A new proposal, or the one that this operator made under this key before.

        Raises `ActionUnknown`, what the action's `check` raises, and `IdempotencyKeyReused` when the
        key stands for another wish.
        """
        action = self._action(wish.kind)
        digest = operator.digest_of(key)
        proposal = Proposal(
            proposal_id=f"prp_{digest[:PROPOSAL_ID_DIGITS]}",
            kind=wish.kind,
            subject=wish.subject,
            document=dict(wish.document),
            note=wish.note,
            proposed_by=operator.operator_id,
            proposed_at=self.clock(),
        )
        with self.store.unit_of_work() as work:
            known = work.approvals.find(proposal.proposal_id)
            if known is not None:
                if _wish_of(known) != _wish_of(proposal):
                    raise IdempotencyKeyReused(key)
                return known
            action.check(work, proposal)
            work.approvals.add(proposal)
            _record(work, proposal, operator, "proposed", proposal.proposed_at)
        return proposal

    def approve(self, operator: Operator, proposal_id: str) -> Proposal:
        """Carry a proposal out; approving again what one approved before changes nothing.

        Raises `ProposalUnknown`, what `decide` raises, and whatever the action refuses by now: then
        the proposal stays open.
        """
        return self._decide(operator, proposal_id, ProposalState.APPROVED)

    def reject(self, operator: Operator, proposal_id: str) -> Proposal:
        """Turn a proposal down; errors as in `approve`."""
        return self._decide(operator, proposal_id, ProposalState.REJECTED)

    def withdraw(self, operator: Operator, proposal_id: str) -> Proposal:
        """Take one's own proposal back; errors as in `approve`."""
        return self._decide(operator, proposal_id, ProposalState.WITHDRAWN)

    def _decide(self, operator: Operator, proposal_id: str, state: ProposalState) -> Proposal:
        at = self.clock()
        with self.store.unit_of_work() as work:
            proposal = work.approvals.get(proposal_id)
            if (proposal.state, proposal.decided_by) == (state, operator.operator_id):
                return proposal
            decided = decide(proposal, state, operator.operator_id, at)
            if state is ProposalState.APPROVED:
                outcome = self._action(proposal.kind).carry_out(work, proposal, at)
                decided = replace(decided, outcome=outcome)
            work.approvals.save_decision(decided)
            _record(work, decided, operator, state.value, at)
        return decided

    def _action(self, kind: str) -> Action:
        action = self.actions.get(kind)
        if action is None:
            raise ActionUnknown(kind)
        return action


def _record(work: UnitOfWork, proposal: Proposal, operator: Operator, what: str, at: int) -> None:
    """Keep in the audit log who did what about a proposal, and the digest of all it says."""
    wish = [proposal.kind, proposal.subject, dict(proposal.document), proposal.note]
    content = hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()
    details = {"kind": proposal.kind, "content": content}
    if proposal.outcome is not None:
        details["outcome"] = proposal.outcome
    note = Note(operator.actor, f"proposal_{what}", proposal.proposal_id, details)
    work.audit.record(note, at)


def _wish_of(proposal: Proposal) -> Wish:
    return Wish(proposal.kind, proposal.subject, dict(proposal.document), proposal.note)
