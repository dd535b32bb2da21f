"""Who looks on while blocks are made, under any engine of consensus."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from node.chain import CODE_INCLUDED
from node.engine import SkipReason

INCLUDED: Final = "included"
"""How a transaction that is in its block is counted; one that was left out, by its reason."""


class BlockObserver(Protocol):
    """Who is told how blocks are made; never waited for. Implemented by `telemetry.CoreMetrics`."""

    def time_stage(self, stage: str) -> AbstractContextManager[None]:
        """Times a stage: propose, verify, execute or commit."""

    def count_results(self, count_by_result: Mapping[str, int]) -> None:
        """Counts what became of decided transactions."""


class Unobserved:
    """Nobody looks. Implements `BlockObserver`."""

    def time_stage(self, _stage: str) -> AbstractContextManager[None]:
        """Nothing is timed."""
        return nullcontext()

    def count_results(self, count_by_result: Mapping[str, int]) -> None:
        """Nothing is counted."""


def name_of_result(code: int) -> str:
    """What became of a decided transaction, in a word for people."""
    return INCLUDED if code == CODE_INCLUDED else SkipReason(code).name.lower()
