"""State sync as the engine of consensus asks for it: what this node offers to new ones, and what it takes in as one.

    list_snapshots         those on the shelf with two heights after them: others can verify no younger one
    load_snapshot_chunk    a chunk, empty where it is not there any more
    offer_snapshot         one that a peer has; taken while nothing was executed since the store began
    apply_snapshot_chunk   in order; a bad one is fetched again from somebody else; after the last the node stands there

The `app_hash` of an offer comes from headers that the engine verified. The engine drops a snapshot that is refused and
goes on to the next. These questions come on a connection of their own, and none of consensus comes while a snapshot is
taken in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from node.chain import Tip
from node.consensus.application import Application
from node.consensus.cometbft import abci_pb2 as abci
from node.errors import SignedHeaderInvalid, SnapshotInvalid
from node.history import History
from node.membership import ValidatorKey, validator_set
from node.signed_header import check_signed_header
from node.snapshot import SNAPSHOT_FORMAT, Manifest, Preamble, Restoration, Shelf
from node.store import ChainStore, StateValues
from node.telemetry import get_logger

SNAPSHOT_QUESTIONS: Final = frozenset(
    {"list_snapshots", "load_snapshot_chunk", "offer_snapshot", "apply_snapshot_chunk"}
)

_Offer = abci.OfferSnapshotResponse
_Apply = abci.ApplySnapshotChunkResponse


class SnapshotFace:
    """Answers the questions of state sync; one thread at a time."""

    def __init__(
        self,
        application: Application,
        shelf: Shelf,
        state: StateValues,
        store: ChainStore,
        on_restored: Callable[[Tip], None],
        first_validators: Sequence[ValidatorKey],
    ) -> None:
        """`on_restored` is told where the node stands after a snapshot; the first validators are those of genesis."""
        self._application = application
        self._shelf = shelf
        self._state = state
        self._store = store
        self._on_restored = on_restored
        self._first_validators = first_validators
        self._restoration: Restoration | None = None

    def answer(self, request: abci.Request) -> abci.Response:
        """The answer to one of these questions."""
        match request.WhichOneof("value"):
            case "list_snapshots":
                return abci.Response(list_snapshots=self.list_snapshots())
            case "load_snapshot_chunk":
                loaded = self.load_chunk(request.load_snapshot_chunk)
                return abci.Response(load_snapshot_chunk=loaded)
            case "offer_snapshot":
                return abci.Response(offer_snapshot=self.offer(request.offer_snapshot))
            case _:
                applied = self.apply(request.apply_snapshot_chunk)
                return abci.Response(apply_snapshot_chunk=applied)

    def list_snapshots(self) -> abci.ListSnapshotsResponse:
        """What this node has for others."""
        newest_height = self._application.info().last_height
        return abci.ListSnapshotsResponse(
            snapshots=[describe_manifest(each) for each in self._shelf.offered(newest_height)]
        )

    def load_chunk(self, request: abci.LoadSnapshotChunkRequest) -> abci.LoadSnapshotChunkResponse:
        """A chunk of it; none of a format that is not ours."""
        chunk = None
        if request.format == SNAPSHOT_FORMAT:
            chunk = self._shelf.chunk(request.height, request.chunk)
        return abci.LoadSnapshotChunkResponse(chunk=chunk or b"")

    def offer(self, request: abci.OfferSnapshotRequest) -> abci.OfferSnapshotResponse:
        """Whether to take in a snapshot."""
        self._restoration = None
        offered = request.snapshot
        if not self._application.is_untouched():
            get_logger().error("snapshot_refused", reason="this node has executed blocks already")
            return _Offer(result=_Offer.ABORT)
        if offered.format != SNAPSHOT_FORMAT:
            return _Offer(result=_Offer.REJECT_FORMAT)
        try:
            manifest = Manifest.decode(offered.metadata)
            restoration = Restoration(
                manifest,
                app_hash=request.app_hash,
                genesis_hash=self._genesis_hash(),
                state=self._state,
                store=self._store,
            )
        except SnapshotInvalid as refusal:
            get_logger().warning("snapshot_refused", height=offered.height, reason=str(refusal))
            return _Offer(result=_Offer.REJECT)
        if describe_manifest(manifest) != offered:
            get_logger().warning("snapshot_refused", reason="it is not what its manifest says")
            return _Offer(result=_Offer.REJECT)
        self._restoration = restoration
        get_logger().info("snapshot_accepted", height=manifest.height, number=manifest.number)
        return _Offer(result=_Offer.ACCEPT)

    def apply(self, request: abci.ApplySnapshotChunkRequest) -> abci.ApplySnapshotChunkResponse:
        """Takes in a chunk; with the last one the node stands at the snapshot."""
        restoration = self._restoration
        if restoration is None:
            return _Apply(result=_Apply.ABORT)
        if not restoration.is_next(request.index, request.chunk):
            get_logger().warning(
                "snapshot_chunk_refused", index=request.index, sender=request.sender
            )
            return _Apply(
                result=_Apply.RETRY,
                refetch_chunks=[request.index],
                reject_senders=[request.sender],
            )
        try:
            restoration.add(request.chunk)
            if restoration.is_whole:
                restoration.finish(self._check_changes)
        except SnapshotInvalid as refusal:
            self._restoration = None
            get_logger().warning("snapshot_refused", reason=str(refusal))
            return _Apply(result=_Apply.REJECT_SNAPSHOT)
        if restoration.is_whole:
            self._restoration = None
            tip = self._application.adopt()
            get_logger().info("snapshot_restored", height=tip.height, number=tip.header.number)
            self._on_restored(tip)
        return _Apply(result=_Apply.ACCEPT)

    def _check_changes(self, preamble: Preamble) -> None:
        """Raises SnapshotInvalid unless the changes lead from the validators of genesis to those of the state."""
        validators_hash, height = _set_hash(self._first_validators), 0
        for each in preamble.validator_changes:
            header = each.header
            try:
                check_signed_header(each, chain_id=self._application.consensus_chain_id())
            except SignedHeaderInvalid as error:
                raise SnapshotInvalid(f"a change of validators: {error}") from error
            if header.validators_hash != validators_hash or header.height <= height:
                raise SnapshotInvalid("a change of validators does not follow the one before")
            validators_hash, height = header.next_validators_hash, header.height
        if _set_hash(self._application.validators_after(preamble.block.header)) != validators_hash:
            raise SnapshotInvalid("the changes of validators do not lead to those of the state")

    def _genesis_hash(self) -> bytes:
        return History(self._store).genesis_hash() or b""


def _set_hash(keys: Sequence[ValidatorKey]) -> bytes:
    return validator_set(each.public_key for each in keys).hash


def describe_manifest(manifest: Manifest) -> abci.Snapshot:
    """A snapshot as engines tell one another of it."""
    return abci.Snapshot(
        height=manifest.height,
        format=SNAPSHOT_FORMAT,
        chunks=len(manifest.chunk_hashes),
        hash=manifest.hash,
        metadata=manifest.encode(),
    )
