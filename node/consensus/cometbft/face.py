"""The application as the engine of consensus sees it: each request of ABCI 2.0, answered.

Place in the flow: `server` reads requests and writes what comes from here. The engine opens four connections (query,
snapshot, mempool, consensus) and does not say which is which; a connection shows it by what it asks. What is asked on
that of consensus is answered by one thread at a time, the only one that writes.

    check_tx           the intake, so the pool of every node holds what is on its way; never raises
    prepare_proposal   the pool's line, among what the engine's mempool offers
    process_proposal   the application's checks; a refusal is an answer
    finalize_block     the application, total over arbitrary bytes
    commit             durable, then the pool is settled; the answer goes out after that
    query              whether a peer may connect; never raises
    snapshots          see `snapshots`

Whatever raises in prepare_proposal, finalize_block or commit is a fault of this node: the engine is told and ends, and
the node with it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from node import failpoint
from node.chain import CODE_INCLUDED, Tip
from node.consensus.application import Application, FinalizedBlock, decode_time_record
from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.grammar import Grammar
from node.consensus.cometbft.home import KEY_TYPE
from node.consensus.cometbft.snapshots import SNAPSHOT_QUESTIONS, SnapshotFace
from node.consensus.intake import Intake
from node.consensus.observer import BlockObserver, name_of_result
from node.consensus.proposal import draft_proposal
from node.engine import skip_reason_of
from node.errors import (
    ConsensusOutOfOrder,
    EngineMessageInvalid,
    GenesisMismatch,
    ProposalRejected,
    Rejected,
    TransactionRejected,
    Unavailable,
)
from node.failpoint import Failpoint
from node.membership import VALIDATOR_POWER, ValidatorUpdate
from node.primitives import Address, Hash32, keccak
from node.store import Annex, Misbehaviour
from node.telemetry import get_logger

ABCI_VERSION: Final = "2.0.0"

CODE_REFUSED: Final = 1_000
"""Answer to check_tx where no reason of the static check fits: the pool has no room, or holds another of that nonce."""

TRANSACTION_OVERHEAD_BYTES: Final = 5
"""What the encoding of a block adds to each transaction: a tag and a length."""

PEER_ID_PATH: Final = "/p2p/filter/id/"
PEER_ADDRESS_PATH: Final = "/p2p/filter/addr/"


class Decided(Protocol):
    """Who is told what became durable; called in the thread of consensus, which must not wait."""

    def on_height(self, tip: Tip, *, is_block: bool) -> None:
        """A height is durable; `is_block`: with a new Ethereum block."""

    def on_misbehaviour(self, misbehaviour: Misbehaviour) -> None:
        """A block holds evidence against a validator."""

    def first_kept(self, height: int) -> int:
        """From which height on the engine keeps its history once this one is durable; 0: all of it."""


class Held:
    """Which transactions the engine's mempool holds, as far as its questions tell. Safe between threads."""

    def __init__(self) -> None:
        self._hashes: set[Hash32] = set()

    def __contains__(self, transaction_hash: object) -> bool:
        return transaction_hash in self._hashes

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, transaction_hash: Hash32) -> None:
        """The mempool takes it."""
        self._hashes.add(transaction_hash)

    def discard(self, hashes: Sequence[Hash32]) -> None:
        """The mempool let them go."""
        self._hashes.difference_update(hashes)

    def all(self) -> frozenset[Hash32]:
        """All of them just now."""
        return frozenset(self._hashes)

    def clear(self) -> None:
        """The engine has started anew, with an empty mempool."""
        self._hashes = set()


class Face:
    """Answers the engine's requests."""

    def __init__(
        self,
        application: Application,
        intake: Intake,
        held: Held,
        decided: Decided,
        observer: BlockObserver,
        snapshots: SnapshotFace,
    ) -> None:
        self._application = application
        self._intake = intake
        self._held = held
        self._decided = decided
        self._observer = observer
        self.snapshots = snapshots
        self._lock = threading.Lock()
        """One of consensus at a time, also while an engine is replaced by the next."""
        self._finalized: tuple[FinalizedBlock, tuple[bytes, ...], tuple[Misbehaviour, ...]] | None
        self._finalized = None

    def open(self) -> Conversation:
        """What the next connection talks to."""
        return Conversation(self)

    def info(self, request: abci.InfoRequest) -> abci.InfoResponse:
        """Where this node stands; the engine replays from there."""
        if request.abci_version != ABCI_VERSION:
            raise EngineMessageInvalid(f"ABCI {request.abci_version!r}, not {ABCI_VERSION}")
        info = self._application.info()
        # Before the first height the chain's own beginning is told by init_chain.
        app_hash = info.app_hash if info.last_height else b""
        return abci.InfoResponse(
            data="corridor",
            app_version=info.application_version,
            last_block_height=info.last_height,
            last_block_app_hash=app_hash,
        )

    def meet(self) -> None:
        """Another engine asks than the one before, and nothing is done for that one any more; its mempool is empty.

        It replays from where it is told that this node stands: a commit that the one before asked for must have ended.
        """
        with self._lock:
            self._held.clear()

    def last_height(self) -> int:
        """The newest committed height."""
        return self._application.info().last_height

    def init_chain(self, request: abci.InitChainRequest) -> abci.InitChainResponse:
        """The chain's beginning; raises where the engine's genesis is that of another network."""
        with self._lock:
            if request.chain_id != self._application.consensus_chain_id():
                raise GenesisMismatch(
                    "consensus chain id",
                    expected=self._application.consensus_chain_id().encode(),
                    found=request.chain_id.encode(),
                )
            app_hash = self._application.init_chain(_genesis_hash_of(request.app_state_bytes))
            if list(request.consensus_params.validator.pub_key_types) != [KEY_TYPE]:
                raise EngineMessageInvalid(f"genesis allows other validator keys than {KEY_TYPE}")
            stated = sorted(each.pub_key.secp256k1eth for each in request.validators)
            powers = {each.power for each in request.validators}
            ours = sorted(each.public_key for each in self._application.validators())
            if stated != ours or powers != {VALIDATOR_POWER}:
                raise GenesisMismatch("validators", expected=b"".join(ours), found=b"".join(stated))
            return abci.InitChainResponse(app_hash=app_hash)

    def check_tx(self, raw: bytes) -> abci.CheckTxResponse:
        """Whether the engine's mempool may take a transaction. Never raises."""
        try:
            transaction_hash = self._intake.take_gossip(raw)
        except TransactionRejected as refusal:
            return abci.CheckTxResponse(code=skip_reason_of(refusal), log=str(refusal))
        except (Rejected, Unavailable) as refusal:
            return abci.CheckTxResponse(code=CODE_REFUSED, log=str(refusal))
        self._held.add(transaction_hash)
        return abci.CheckTxResponse(code=CODE_INCLUDED)

    def recheck_tx(self, raw: bytes) -> abci.CheckTxResponse:
        """Whether it may stay; what is not executable goes, for one left out makes blocks without end. Never raises."""
        transaction_hash = keccak(raw)
        if self._intake.is_executable(transaction_hash):
            return abci.CheckTxResponse(code=CODE_INCLUDED)
        self._held.discard([transaction_hash])
        return abci.CheckTxResponse(code=CODE_REFUSED, log="not executable now")

    def prepare_proposal(
        self, request: abci.PrepareProposalRequest
    ) -> abci.PrepareProposalResponse:
        """The pool's line among what the mempool offers; what no block will take is forgotten."""
        with self._lock, self._observer.time_stage("propose"):
            overhead = TRANSACTION_OVERHEAD_BYTES * (len(request.txs) + 1)
            bytes_max = request.max_tx_bytes - overhead
            offered = frozenset(keccak(raw) for raw in request.txs)
            selected = self._intake.selection_among(offered, bytes_max)
            draft = draft_proposal(self._application, selected, bytes_max)
            if draft.refused:
                self._intake.settle(included=(), refused=draft.refused)
            return abci.PrepareProposalResponse(txs=draft.entries)

    def process_proposal(
        self, request: abci.ProcessProposalRequest
    ) -> abci.ProcessProposalResponse:
        """Whether a proposal may be decided."""
        with self._lock, self._observer.time_stage("verify"):
            status = abci.ProcessProposalResponse.ACCEPT
            try:
                self._application.process_proposal(request.txs)
            except ProposalRejected as refusal:
                status = abci.ProcessProposalResponse.REJECT
                get_logger().warning(
                    "proposal_rejected",
                    height=request.height,
                    proposer=request.proposer_address,
                    reason=refusal.reason,
                )
            return abci.ProcessProposalResponse(status=status)

    def finalize_block(self, request: abci.FinalizeBlockRequest) -> abci.FinalizeBlockResponse:
        """Executes what was decided; nothing is durable yet."""
        with self._lock, self._observer.time_stage("execute"):
            entries = tuple(request.txs)
            finalized = self._application.finalize_block(request.height, entries)
            reported = tuple(_misbehaviour_of(each, request.height) for each in request.misbehavior)
            self._finalized = (finalized, entries, reported)
            failpoint.visit(Failpoint.FINALIZED)
            return abci.FinalizeBlockResponse(
                tx_results=[
                    abci.ExecTxResult(code=each.code, gas_used=each.gas_used)
                    for each in finalized.results
                ],
                validator_updates=[_update_of(each) for each in finalized.validator_updates],
                app_hash=finalized.app_hash,
            )

    def commit(self) -> abci.CommitResponse:
        """Makes the finalized height durable and settles the pool."""
        with self._lock:
            if self._finalized is None:
                raise ConsensusOutOfOrder("commit", "finalize_block before it")
            finalized, entries, reported = self._finalized
            with self._observer.time_stage("commit"):
                tip = self._application.commit(Annex(misbehaviours=reported))
            self._finalized = None
            self._settle(finalized, entries)
            for each in reported:
                self._decided.on_misbehaviour(each)
            self._decided.on_height(tip, is_block=finalized.block is not None)
            failpoint.visit(Failpoint.COMMITTED)
            return abci.CommitResponse(retain_height=self._decided.first_kept(tip.height))

    def query(self, path: str) -> abci.QueryResponse:
        """Code 0 where a peer may connect, by its node id. Never raises."""
        if path.startswith(PEER_ADDRESS_PATH):
            return abci.QueryResponse(code=0)
        if not path.startswith(PEER_ID_PATH):
            return abci.QueryResponse(code=CODE_REFUSED, log="no such path")
        try:
            node_id = bytes.fromhex(path.removeprefix(PEER_ID_PATH))
        except ValueError:
            return abci.QueryResponse(code=CODE_REFUSED, log="no node id")
        if self._application.may_connect(node_id):
            return abci.QueryResponse(code=0)
        return abci.QueryResponse(code=CODE_REFUSED, log="the registry does not let it connect")

    def _settle(self, finalized: FinalizedBlock, entries: Sequence[bytes]) -> None:
        """Forgets what is in the block, here and of the mempool, which drops all that was decided.

        A full mempool drops what it had asked about, and does not say so. Once the pool has no such transaction any
        more, it counts as held no longer, else the count would rise for as long as the engine runs.
        """
        hashes = [keccak(raw) for raw in entries]
        self._held.discard(hashes)
        self._held.discard(self._intake.unknown_among(self._held.all()))
        if not entries:
            return
        records = decode_time_record(entries[0]) is not None
        outcomes = list(zip(hashes, entries, finalized.results, strict=True))[records:]
        included = [
            self._intake.entry_of(transaction_hash, raw)
            for transaction_hash, raw, result in outcomes
            if result.code == CODE_INCLUDED
        ]
        self._intake.settle(included=included, refused=())
        self._observer.count_results(Counter(name_of_result(each.code) for *_, each in outcomes))


class Conversation:
    """One connection of the engine's, its questions in order."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._grammar: Grammar | None = None
        self._is_known = False

    def answer(self, request: abci.Request) -> abci.Response:
        """The answer to a request; raises what the engine must not go on from."""
        face = self._face
        match request.WhichOneof("value"):
            case "echo":
                return abci.Response(echo=request.echo)
            case "flush":
                return abci.Response(flush=abci.Empty())
            case "info":
                # The engine's first question; later ones come from whoever asks its RPC.
                if not self._is_known:
                    face.meet()
                self._is_known = True
                return abci.Response(info=face.info(request.info))
            case "query":
                return abci.Response(query=face.query(request.query.path))
            case "check_tx" if request.check_tx.type == abci.CheckTxRequest.RECHECK:
                return abci.Response(check_tx=face.recheck_tx(request.check_tx.tx))
            case "check_tx":
                return abci.Response(check_tx=face.check_tx(request.check_tx.tx))
            case asked if asked in SNAPSHOT_QUESTIONS:
                return face.snapshots.answer(request)
            case _:
                return self._answer_consensus(request)

    def _answer_consensus(self, request: abci.Request) -> abci.Response:
        face = self._face
        if self._grammar is None:
            self._grammar = Grammar(face.last_height())
        grammar = self._grammar
        match request.WhichOneof("value"):
            case "init_chain":
                grammar.check_init_chain()
                return abci.Response(init_chain=face.init_chain(request.init_chain))
            case "prepare_proposal":
                grammar.check_proposal(request.prepare_proposal.height)
                prepared = face.prepare_proposal(request.prepare_proposal)
                return abci.Response(prepare_proposal=prepared)
            case "process_proposal":
                grammar.check_proposal(request.process_proposal.height)
                processed = face.process_proposal(request.process_proposal)
                return abci.Response(process_proposal=processed)
            case "finalize_block":
                grammar.check_finalize(request.finalize_block.height)
                finalized = face.finalize_block(request.finalize_block)
                return abci.Response(finalize_block=finalized)
            case "commit":
                grammar.check_commit()
                return abci.Response(commit=face.commit())
            case asked:
                raise EngineMessageInvalid(f"a request that is not understood: {asked}")


def _genesis_hash_of(app_state: bytes) -> bytes:
    """The genesis hash that the engine's genesis file names."""
    try:
        stated = json.loads(app_state)["genesis_hash"]
        return bytes.fromhex(str(stated).removeprefix("0x"))
    except (ValueError, KeyError, TypeError) as error:
        raise EngineMessageInvalid("its app_state names no genesis_hash") from error


def _update_of(update: ValidatorUpdate) -> abci.ValidatorUpdate:
    return abci.ValidatorUpdate(
        pub_key=abci.PublicKey(secp256k1eth=update.public_key), power=update.power
    )


def _misbehaviour_of(reported: abci.Misbehavior, reported_height: int) -> Misbehaviour:
    return Misbehaviour(
        kind=abci.Misbehavior.Type.Name(reported.type).lower(),
        validator=Address(reported.validator.address),
        height=reported.height,
        timestamp=reported.time.seconds,
        reported_height=reported_height,
    )
