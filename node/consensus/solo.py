"""The embedded engine of consensus: one validator, in process, driving the application.

It makes a block as soon as an executable transaction waits and the last commit is durable; there is
no timer, so an idle chain is silent. Every block goes through the same calls as under many
validators: prepare_proposal, process_proposal, finalize_block, commit.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from node import failpoint
from node.chain import CODE_INCLUDED, Tip
from node.consensus.application import BLOCK_BYTES_MAX, Application, FinalizedBlock
from node.consensus.intake import Intake
from node.consensus.observer import BlockObserver, Unobserved, name_of_result
from node.consensus.proposal import draft_proposal
from node.consensus.witness import Witness
from node.engine import SkipReason
from node.errors import ProposalRejected
from node.failpoint import Failpoint
from node.pool import PooledTransaction
from node.store import NO_ANNEX, Annex
from node.telemetry import get_logger

REFUSED_PROPOSAL_WAIT_SECONDS = 1
"""Pause after our own proposal was refused: the machine's clock is behind the newest block."""


class SoloEngine:
    """Makes blocks from the intake until it is stopped."""

    def __init__(
        self,
        application: Application,
        intake: Intake,
        on_block: Callable[[Tip], None],
        observer: BlockObserver | None = None,
        witness: Witness | None = None,
    ) -> None:
        """`on_block` is called with the new tip after each durable block; `witness` signs each."""
        self._witness = witness
        self._observer = observer or Unobserved()
        self._application = application
        self._intake = intake
        self._on_block = on_block
        self._stopping = threading.Event()

    def run(self) -> None:
        """Makes blocks, in the calling thread, until `stop`; raises `InvariantBroken`."""
        if lag_seconds := self._application.clock_lag_seconds():
            get_logger().warning("clock_behind_newest_block", seconds=lag_seconds)
        while not self._stopping.is_set():
            selected = self._intake.await_selection()
            if not selected:
                continue
            try:
                self.make_block(selected)
            except ProposalRejected as refusal:
                get_logger().error("own_proposal_refused", reason=refusal.reason)
                self._stopping.wait(REFUSED_PROPOSAL_WAIT_SECONDS)

    def make_block(self, selected: Sequence[PooledTransaction]) -> None:
        """One height of consensus over the selected transactions."""
        application = self._application
        by_raw = {entry.raw: entry for entry in selected}
        stage = self._observer.time_stage
        with stage("propose"):
            draft = draft_proposal(application, selected, BLOCK_BYTES_MAX)
        proposal, refused = draft.entries, list(draft.refused)
        if not proposal:
            self._intake.settle(included=(), refused=refused)
            return
        with stage("verify"):
            application.process_proposal(proposal)
        height = self._next_height()
        with stage("execute"):
            finalized = application.finalize_block(height, proposal)
        with stage("commit"):
            tip = application.commit(self._annex_of(finalized, height))
        included: list[PooledTransaction] = []
        for raw, result in zip(proposal, finalized.results, strict=True):
            if raw not in by_raw:
                continue
            if result.code == CODE_INCLUDED:
                included.append(by_raw[raw])
            else:
                refused.append((by_raw[raw], f"skipped: {SkipReason(result.code).name}"))
        self._intake.settle(included=included, refused=refused)
        failpoint.visit(Failpoint.POOL_SETTLED)
        self._on_block(tip)
        decided = finalized.results[1:]  # behind the time record
        self._observer.count_results(Counter(name_of_result(each.code) for each in decided))

    def _next_height(self) -> int:
        """Odd ones: the even one after each is that of the header which certifies its block."""
        last_height = self._application.info().last_height
        return last_height + 2 if last_height % 2 else last_height + 1

    def _annex_of(self, finalized: FinalizedBlock, height: int) -> Annex:
        if self._witness is None or finalized.block is None:
            return NO_ANNEX
        version = self._application.info().application_version
        header = finalized.block.header
        return Annex(self._witness.sign(header, height=height, application_version=version))

    def stop(self) -> None:
        """Ends `run` after the block at hand."""
        self._stopping.set()
        self._intake.close()
