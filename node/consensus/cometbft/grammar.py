"""The order in which the engine of consensus may ask, held to as it asks.

ABCI 2.0's grammar for the connection of consensus, one such connection after
each start or restart of the engine:

    start   = [init_chain] height*          init_chain only before the first height
    height  = (prepare | process)* finalize commit

A call out of its turn means that engine and application disagree about where they are: whatever were answered, nodes
could part.
"""

from __future__ import annotations

from enum import Enum, auto, unique

from node.errors import ConsensusOutOfOrder


@unique
class _Stage(Enum):
    STARTED = auto()
    PROPOSING = auto()
    FINALIZED = auto()


class Grammar:
    """Where one connection of consensus is. `last_height` is what the application has committed."""

    def __init__(self, last_height: int) -> None:
        self._last_height = last_height
        self._stage = _Stage.STARTED

    def check_init_chain(self) -> None:
        """Raises ConsensusOutOfOrder where a chain must not begin now."""
        if self._stage is not _Stage.STARTED or self._last_height != 0:
            raise ConsensusOutOfOrder("init_chain", f"height {self._last_height + 1}")

    def check_proposal(self, height: int) -> None:
        """Raises ConsensusOutOfOrder where a proposal of that height must not be made or looked at now."""
        if self._stage is _Stage.FINALIZED:
            raise ConsensusOutOfOrder(f"a proposal of height {height}", "commit")
        self._check_height("a proposal", height)
        self._stage = _Stage.PROPOSING

    def check_finalize(self, height: int) -> None:
        """Raises ConsensusOutOfOrder where that height must not be decided now."""
        if self._stage is _Stage.FINALIZED:
            raise ConsensusOutOfOrder(f"finalize_block of height {height}", "commit")
        self._check_height("finalize_block", height)
        self._stage = _Stage.FINALIZED

    def check_commit(self) -> None:
        """Raises ConsensusOutOfOrder where nothing is finalized."""
        if self._stage is not _Stage.FINALIZED:
            raise ConsensusOutOfOrder("commit", "finalize_block before it")
        self._last_height += 1
        self._stage = _Stage.PROPOSING

    def _check_height(self, asked: str, height: int) -> None:
        if height != self._last_height + 1:
            raise ConsensusOutOfOrder(
                f"{asked} of height {height}", f"height {self._last_height + 1}"
            )
