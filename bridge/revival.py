"""An effect that was given up is tried anew or written off, once two operators want it."""

from typing import Final

from bridge.approval import Proposal
from bridge.errors import EffectNotDead, EffectNotStuck
from bridge.operating import Action
from bridge.store import UnitOfWork

REVIVE_EFFECT: Final = "revive_effect"
"""Kind of the action; its subject is the key of the effect."""


WRITE_OFF_EFFECT: Final = "write_off_effect"
"""Kind of the action that ends an effect undone; its subject is the key of the effect."""


def _check(work: UnitOfWork, proposal: Proposal) -> None:
    if not work.effects.is_dead(proposal.subject):
        raise EffectNotDead(proposal.subject)


def _check_stuck(work: UnitOfWork, proposal: Proposal) -> None:
    if not work.effects.is_stuck(proposal.subject):
        raise EffectNotStuck(proposal.subject)


def _write_off(work: UnitOfWork, proposal: Proposal, _: int) -> str:
    work.effects.write_off(proposal.subject, f"written off: {proposal.proposal_id}")
    return "written off"


def _carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
    work.effects.revive(proposal.subject, at)
    return "due again"


revive_effect: Final = Action(_check, _carry_out)
"""The action itself: the effect is due again, its handler decides as ever whether it can be done."""

write_off_effect: Final = Action(_check_stuck, _write_off)
"""Ends an effect that was given up or is tried in vain; what it was for ends by its own deadline."""
