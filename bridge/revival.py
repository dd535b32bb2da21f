"""An effect that was given up is tried anew, once two operators want it."""

from typing import Final

from bridge.approval import Proposal
from bridge.errors import EffectNotDead
from bridge.operating import Action
from bridge.store import UnitOfWork

REVIVE_EFFECT: Final = "revive_effect"
"""Kind of the action; its subject is the key of the effect."""


def _check(work: UnitOfWork, proposal: Proposal) -> None:
    if not work.effects.is_dead(proposal.subject):
        raise EffectNotDead(proposal.subject)


def _carry_out(work: UnitOfWork, proposal: Proposal, at: int) -> str:
    work.effects.revive(proposal.subject, at)
    return "due again"


revive_effect: Final = Action(_check, _carry_out)
"""The action itself: the effect is due again, its handler decides as ever whether it can be done."""
