"""What a proposer makes of the transactions that its pool selected: a proposal, and what no block will take.

Solo and under many validators a proposal is drafted here, so the pool forgets the same transactions for the same
reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.consensus.application import Application
from node.pool import PooledTransaction


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal, empty where no transaction can be in it."""

    entries: tuple[bytes, ...]
    """The time record and the transactions."""
    refused: tuple[tuple[PooledTransaction, str], ...]
    """What no block will take, with the reason for people."""


def draft_proposal(
    application: Application, selected: Sequence[PooledTransaction], bytes_max: int
) -> Draft:
    """The proposal over the selected transactions, in their order."""
    by_raw = {entry.raw: entry for entry in selected}
    entries = application.prepare_proposal(list(by_raw), bytes_max)
    proposed = frozenset(entries)
    left_out = [entry for raw, entry in by_raw.items() if raw not in proposed]
    refused = [
        (entry, str(refusal))
        for entry in left_out
        if (refusal := application.refusal_of(entry.raw)) is not None
    ]
    if not entries:
        # What nobody can name a fault of goes too: it would be selected for ever.
        faulty = frozenset(entry for entry, _ in refused)
        refused += [(each, "no block can hold it") for each in left_out if each not in faulty]
    return Draft(entries, tuple(refused))
