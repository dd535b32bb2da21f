"""An engine of consensus that asks a node in this process, as the real one asks over its socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.chain import Tip
from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.face import Conversation, Face, Held
from node.consensus.cometbft.snapshots import SnapshotFace
from node.consensus.observer import BlockObserver, Unobserved
from node.snapshot import Shelf
from node.store import Misbehaviour
from support.core import Core, open_core


@dataclass(slots=True)
class Told:
    """Who is told what became durable."""

    heights: list[tuple[int, bool]] = field(default_factory=list)
    misbehaviours: list[Misbehaviour] = field(default_factory=list)

    def on_height(self, tip: Tip, *, is_block: bool) -> None:
        """A height is durable."""
        self.heights.append((tip.height, is_block))

    def first_kept(self, height: int) -> int:
        """Everything up to ten heights ago may go."""
        return max(0, height - 10)

    def on_misbehaviour(self, misbehaviour: Misbehaviour) -> None:
        """A validator went astray."""
        self.misbehaviours.append(misbehaviour)


@dataclass(slots=True)
class Engine:
    """An engine of consensus on one node: it asks in the order of the grammar, or as a test says."""

    core: Core
    held: Held
    told: Told
    face: Face
    conversation: Conversation

    def ask(self, **request: Any) -> Any:
        """What one question gives."""
        asked = abci.Request(**request)
        answer = self.conversation.answer(asked)
        assert answer.WhichOneof("value") == asked.WhichOneof("value")
        return getattr(answer, str(answer.WhichOneof("value")))

    def check(self, raw: bytes, *, again: bool = False) -> Any:
        """Asks about a transaction, or about one that it has."""
        kind = abci.CheckTxRequest.RECHECK if again else abci.CheckTxRequest.NEW
        return self.ask(check_tx=abci.CheckTxRequest(tx=raw, type=kind))

    def prepare(self, *raws: bytes, bytes_max: int = 1_000_000) -> list[bytes]:
        """The proposal over what its mempool offers."""
        request = abci.PrepareProposalRequest(
            txs=raws, max_tx_bytes=bytes_max, height=self.next_height
        )
        return list(self.ask(prepare_proposal=request).txs)

    def is_accepted(self, *entries: bytes) -> bool:
        """Whether a proposal may be decided."""
        request = abci.ProcessProposalRequest(txs=entries, height=self.next_height)
        status = self.ask(process_proposal=request).status
        return bool(status == abci.ProcessProposalResponse.ACCEPT)

    def finalize(self, *entries: bytes, **more: Any) -> Any:
        """Has a decided height executed."""
        request = abci.FinalizeBlockRequest(txs=entries, height=self.next_height, **more)
        return self.ask(finalize_block=request)

    def decide(self, *entries: bytes) -> Any:
        """Finalizes and commits a height."""
        finalized = self.finalize(*entries)
        self.ask(commit=abci.Empty())
        return finalized

    @property
    def next_height(self) -> int:
        """The height to decide next."""
        return self.core.application.info().last_height + 1


def open_engine(
    directory: Path,
    network: dict[str, Any] | None = None,
    face: type[Face] = Face,
    observer: BlockObserver | None = None,
) -> Engine:
    """An engine that has just started, on a node at genesis or where the directory stands."""
    core = open_core(directory, network)
    held, told = Held(), Told()
    shelf = Shelf(directory / "snapshots")
    snapshots = SnapshotFace(
        core.application,
        shelf,
        core.state,
        core.store,
        lambda _: None,
        core.application.validators(),
    )
    opened = face(core.application, core.intake, held, told, observer or Unobserved(), snapshots)
    return Engine(core, held, told, opened, opened.open())
