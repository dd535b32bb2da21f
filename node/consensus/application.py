"""The application that every engine of consensus drives: ABCI 2.0's calls over `Chain`.

The shapes follow ABCI 2.0 (bytes and integers), so that an engine in another process and the embedded
one drive the very same code. What this module adds to `Chain` is block time. Consensus time is that
of the previous commit, stale by the whole idle spell, so the proposer puts one *application record*
before the transactions: 0x00, 0x01, then its clock's UTC seconds as uint64. A validator accepts it if
it is not before the parent's time and within the specification's clock skew of its own clock;
execution clamps it to at least the parent's time and has no clock at all. That verdict changes with time: whoever
drives this module must not let it count against a block that stands by its votes (N-181).

`finalize_block` is total: whatever bytes were decided, each gets a code, 0 for included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.block import Block, Header
from node.chain import CODE_INCLUDED, Chain, Clock, Tip, TransactionResult
from node.engine import skip_reason_of
from node.errors import GenesisMismatch, ProposalRejected, TransactionRejected
from node.membership import ValidatorKey, ValidatorUpdate
from node.primitives import Address, Hash32
from node.store import NO_ANNEX, Annex
from node.transaction import CheckedTransaction

TIME_RECORD_PREFIX: Final = b"\x00\x01"
TIME_RECORD_BYTES: Final = 10

BLOCK_BYTES_MAX: Final = 1_000_000
"""Bytes of the transactions of one block, with the time record."""


@dataclass(frozen=True, slots=True)
class ApplicationInfo:
    """What the engine needs to know to go on from where this node stands."""

    last_height: int
    app_hash: Hash32
    application_version: int


@dataclass(frozen=True, slots=True)
class FinalizedBlock:
    """A decided height, executed: one result for each entry that was decided."""

    results: tuple[TransactionResult, ...]
    app_hash: Hash32
    validator_updates: tuple[ValidatorUpdate, ...] = ()
    block: Block | None = None
    """The Ethereum block that comes of it; None where nothing could be included."""


class Application:
    """The state machine under consensus."""

    def __init__(self, chain: Chain, clock: Clock) -> None:
        self._chain = chain
        self._clock = clock

    def info(self) -> ApplicationInfo:
        """Where this node stands."""
        tip = self._chain.tip
        version = self._chain.next_rules().application_version
        return ApplicationInfo(tip.height, tip.header.hash, version)

    def clock_lag_seconds(self) -> int:
        """How far this node's clock is behind the newest block's time; 0 where it is not.

        Past the specification's clock skew no proposal is accepted here until the clock has caught
        up: the machine's clock was set back, or was ahead when the block was made.
        """
        return max(0, self._chain.tip.header.timestamp - self._clock.now())

    def consensus_chain_id(self) -> str:
        """What the engine of consensus calls this chain."""
        return self._chain.consensus_chain_id

    def init_chain(self, genesis_hash: bytes) -> Hash32:
        """The application hash at the chain's beginning; raises where it is another chain's."""
        app_hash = self._chain.tip.header.hash
        if genesis_hash != app_hash:
            raise GenesisMismatch("genesis hash", expected=genesis_hash, found=app_hash)
        return app_hash

    def is_untouched(self) -> bool:
        """Whether nothing was executed since this node's store began, at genesis or at a snapshot."""
        return self._chain.is_untouched

    def adopt(self) -> Tip:
        """Goes on from what the store was made to begin with."""
        return self._chain.adopt()

    def validators(self) -> tuple[ValidatorKey, ...]:
        """Who validates by the newest state."""
        return self._chain.validators()

    def validators_after(self, header: Header) -> tuple[ValidatorKey, ...]:
        """Who validates by the state after a block."""
        return self._chain.validators_after(header)

    def may_connect(self, node_id: bytes) -> bool:
        """Whether a node may connect by the newest state and this node's clock, on an idle chain too."""
        return self._chain.may_connect(node_id, timestamp=self._clock.now())

    def now(self) -> int:
        """UTC seconds, of this node's clock."""
        return self._clock.now()

    def admit(self, raw: bytes) -> CheckedTransaction:
        """The transaction, if it may enter a block now or after a gap; else raises why not."""
        return self._chain.check(raw, timestamp=self._clock.now())

    def refusal_of(self, raw: bytes) -> TransactionRejected | None:
        """Why the transaction must not enter a block, now or after a gap; None where it may."""
        try:
            self.admit(raw)
        except TransactionRejected as refusal:
            return refusal
        return None

    def check_tx(self, raw: bytes) -> int:
        """0, or the reason why the transaction must not enter a block."""
        refusal = self.refusal_of(raw)
        return CODE_INCLUDED if refusal is None else skip_reason_of(refusal)

    def nonce_of(self, sender: Address) -> int:
        """The nonce of `sender` in the newest state."""
        return self._chain.nonce_of(sender)

    def gas_max(self) -> int:
        """Gas of the next block."""
        return self._chain.next_rules().block_gas_limit

    def prepare_proposal(self, transactions: Sequence[bytes], bytes_max: int) -> tuple[bytes, ...]:
        """The time record and those transactions the next block may hold; empty if it holds none."""
        timestamp = max(self._chain.tip.header.timestamp, self._clock.now())
        bytes_left = bytes_max - TIME_RECORD_BYTES
        fitting: list[bytes] = []
        for raw in transactions:
            bytes_left -= len(raw)
            if bytes_left < 0:
                break
            fitting.append(raw)
        proposed = self._chain.propose(fitting, timestamp=timestamp)
        return (encode_time_record(timestamp), *proposed) if proposed else ()

    def process_proposal(self, transactions: Sequence[bytes]) -> None:
        """Raises `ProposalRejected` where the proposal must not be decided."""
        if not transactions:
            return
        timestamp = decode_time_record(transactions[0])
        if timestamp is None:
            raise ProposalRejected("it does not begin with a time record")
        if len(transactions) == 1:
            raise ProposalRejected("a time record without a transaction")
        if timestamp < self._chain.tip.header.timestamp:
            raise ProposalRejected("its time is before the parent's")
        if abs(timestamp - self._clock.now()) > self._chain.clock_skew_max_seconds:
            raise ProposalRejected("its time is too far from this node's clock")
        self._chain.verify(transactions[1:], timestamp=timestamp)

    def finalize_block(self, height: int, transactions: Sequence[bytes]) -> FinalizedBlock:
        """Executes what was decided. Total over arbitrary bytes; durable only after `commit`."""
        parent = self._chain.tip.header
        recorded = decode_time_record(transactions[0]) if transactions else None
        records = transactions[: recorded is not None]
        timestamp = parent.timestamp if recorded is None else max(parent.timestamp, recorded)
        execution = self._chain.execute(
            transactions[len(records) :], height=height, timestamp=timestamp
        )
        block = execution.block
        return FinalizedBlock(
            results=(*(TransactionResult(CODE_INCLUDED) for _ in records), *execution.results),
            app_hash=block.header.hash if block else parent.hash,
            validator_updates=execution.validator_updates,
            block=block,
        )

    def commit(self, annex: Annex = NO_ANNEX) -> Tip:
        """Makes the finalized height durable, with what consensus tells besides."""
        return self._chain.commit(annex)


def encode_time_record(timestamp: int) -> bytes:
    """The application record of a block time in UTC seconds."""
    return TIME_RECORD_PREFIX + timestamp.to_bytes(8, "big")


def decode_time_record(entry: bytes) -> int | None:
    """The block time of an application record; None where the entry is something else."""
    if len(entry) != TIME_RECORD_BYTES or not entry.startswith(TIME_RECORD_PREFIX):
        return None
    return int.from_bytes(entry[len(TIME_RECORD_PREFIX) :], "big")
