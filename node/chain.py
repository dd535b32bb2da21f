"""The single writer: proposes, verifies, executes and commits blocks on top of the newest one.

Place in the flow: `consensus/application.py` turns what an engine of consensus asks into these four
acts; nobody else calls them. All four, and the check at the pool's door, ask the same questions of a raw
transaction (`admission`), against the parent block.

Invariants: `execute` writes nothing and is total over arbitrary bytes; `commit` writes the state
first and then one transaction of the chain store, so a node killed between the two executes the same
height again to the same hash; a chain opens only over stores that stand at one block; a height without
an included transaction makes no block. There is no clock here: the time of the next block is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from node.admission import Admission, check_means
from node.block import Block, Header
from node.engine import BlockEnv, Engine, Executed, skip_reason_of
from node.engine.seam import ANCESTOR_HASHES_MAX
from node.errors import (
    BlockGasExhausted,
    InvariantBroken,
    NonceGap,
    NonceTooLow,
    ProposalRejected,
    StoreCorrupt,
    TransactionRejected,
)
from node.history import History
from node.membership import Membership, ValidatorKey, ValidatorUpdate
from node.permissions import ParentState, Permissions
from node.primitives import ZERO_ADDRESS, ZERO_HASH, Address, Hash32
from node.specification import Rules, Specification, consensus_chain_id
from node.store import NO_ANNEX, Annex, ChainStore, Checkpoint
from node.transaction import CheckedTransaction

CODE_INCLUDED = 0
"""Result of a transaction that is in the block, reverted or not."""

CONNECTIONS_MAX: Final = 1_000
"""Answers about nodes that are remembered; anybody who can dial may name as many as they like."""


class Clock(Protocol):
    """Where proposals and their validation take the time from; nothing else does."""

    def now(self) -> int:
        """UTC seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest committed block and the consensus height it stands at."""

    header: Header
    height: int
    ancestor_hashes: tuple[Hash32, ...]
    """Newest first, beginning with the header's own hash: what the next block sees."""


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """What became of one decided transaction."""

    code: int
    """`CODE_INCLUDED`, or the `SkipReason` it was left out for."""
    gas_used: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """A decided height, executed and not yet durable."""

    height: int
    block: Block | None
    """None where nothing could be included."""
    executed: Executed | None
    results: tuple[TransactionResult, ...]
    """One for each transaction given, in order."""
    validator_updates: tuple[ValidatorUpdate, ...] = ()


class Chain:
    """The chain of this node, as its only writer sees it."""

    def __init__(
        self,
        *,
        store: ChainStore,
        engine: Engine,
        specification: Specification,
        permissions: Permissions,
    ) -> None:
        """Raises StoreCorrupt or StateMissing where the stores do not stand at one block."""
        self._store = store
        self._engine = engine
        self._specification = specification
        self._admission = Admission(engine, permissions)
        self._membership = Membership(engine)
        history = History(store)
        genesis_hash = history.genesis_hash()
        if genesis_hash is None:
            raise StoreCorrupt("the store has no genesis")
        self._consensus_chain_id = consensus_chain_id(specification.chain_id, genesis_hash)
        self._tip = self._stored_tip()
        self._execution: Execution | None = None
        self._connections: tuple[tuple[Hash32, int], dict[bytes, bool]] = ((ZERO_HASH, 0), {})
        """By which state and at which second, and who may connect then."""

    @property
    def tip(self) -> Tip:
        """The newest committed block."""
        return self._tip

    @property
    def clock_skew_max_seconds(self) -> int:
        """How far a proposal's time may be from this node's clock."""
        return self._specification.clock_skew_max_seconds

    @property
    def consensus_chain_id(self) -> str:
        """What consensus calls this chain: its votes fit no other."""
        return self._consensus_chain_id

    @property
    def is_untouched(self) -> bool:
        """Whether the store stands where it began, at genesis or at a snapshot: nothing was executed since."""
        history = History(self._store)
        return history.first_number() == history.head().number

    def adopt(self) -> Tip:
        """Goes on from what the store was made to begin with; raises StoreCorrupt or StateMissing."""
        self._discard()
        self._tip = self._stored_tip()
        return self._tip

    def next_rules(self) -> Rules:
        """The rules of the next block."""
        return self._specification.rules_at(self._tip.header.number + 1)

    def nonce_of(self, sender: Address) -> int:
        """The nonce of `sender` in the newest state."""
        return self._admission.account(self._tip.header.state_root, sender).nonce

    def validators(self) -> tuple[ValidatorKey, ...]:
        """The validators of the newest state."""
        return self.validators_after(self._tip.header)

    def validators_after(self, header: Header) -> tuple[ValidatorKey, ...]:
        """The validators of the state after a block, which may be one that this chain does not stand at yet."""
        env = self._env_after(header, header.timestamp, (header.hash,))
        return self._membership.validators(env, header.state_root)

    def may_connect(self, node_id: bytes, *, timestamp: int) -> bool:
        """Whether the newest state lets a node connect at a time, which needs no block.

        Remembered for that state and second: who is refused insists.
        """
        parent = self._parent_state(timestamp)
        question, (asked, answers) = (parent.root, parent.env.timestamp), self._connections
        if asked != question or len(answers) >= CONNECTIONS_MAX:
            answers = {}
            self._connections = (question, answers)
        answer = answers.get(node_id)
        if answer is None:
            answer = self._membership.may_connect(node_id, parent.env, parent.root)
            answers[node_id] = answer
        return answer

    def check(self, raw: bytes, *, timestamp: int) -> CheckedTransaction:
        """The transaction, if it may enter a block from the newest state on, now or after a gap; see `Admission`."""
        return self._admission.check(raw, self._parent_state(timestamp))

    def propose(self, transactions: Sequence[bytes], *, timestamp: int) -> tuple[bytes, ...]:
        """Those of the transactions, in order, that the next block may hold together."""
        parent = self._parent_state(timestamp)
        return tuple(
            raw for raw, refusal in self._check_together(transactions, parent) if refusal is None
        )

    def verify(self, transactions: Sequence[bytes], *, timestamp: int) -> None:
        """Raises `ProposalRejected` unless the next block may hold all the transactions together."""
        parent = self._parent_state(timestamp)
        for position, (_, refusal) in enumerate(self._check_together(transactions, parent)):
            if refusal is not None:
                raise ProposalRejected(f"transaction {position}: {refusal}") from refusal

    def execute(self, transactions: Sequence[bytes], *, height: int, timestamp: int) -> Execution:
        """What a decided height comes to. Total over arbitrary bytes; nothing is written."""
        if height <= self._tip.height:
            raise InvariantBroken(f"height {height} is decided, the newest is {self._tip.height}")
        self._discard()
        parent = self._parent_state(timestamp)
        results = [TransactionResult(CODE_INCLUDED)] * len(transactions)
        permitted: list[int] = []
        for position, raw in enumerate(transactions):
            try:
                self._admission.check_without_account(raw, parent)
                permitted.append(position)
            except TransactionRejected as refusal:
                results[position] = TransactionResult(skip_reason_of(refusal))
        executed = None
        if permitted:
            executed = self._engine.execute(
                parent.env, parent.root, [transactions[position] for position in permitted]
            )
            for included in executed.included:
                gas_used = included.receipt.gas_used
                results[permitted[included.position]] = TransactionResult(CODE_INCLUDED, gas_used)
            for skipped in executed.skipped:
                results[permitted[skipped.position]] = TransactionResult(skipped.reason)
        block = _assemble(executed, parent.env, self._tip.header) if executed else None
        updates: tuple[ValidatorUpdate, ...] = ()
        if executed and block:
            updates = self._membership.validator_updates(
                parent.env,
                parent_root=parent.root,
                root=executed.state_root,
                handle=executed.handle,
            )
        self._execution = Execution(height, block, executed, tuple(results), updates)
        return self._execution

    def commit(self, annex: Annex = NO_ANNEX) -> Tip:
        """Makes the executed height durable, with what consensus tells besides, and gives the new tip."""
        execution = self._execution
        if execution is None:
            raise InvariantBroken("commit without an executed height")
        header = execution.block.header if execution.block else self._tip.header
        checkpoint = Checkpoint(execution.height, header.hash)
        if execution.block is not None and execution.executed is not None:
            included = execution.executed.included
            self._engine.commit(execution.executed.handle)
            self._store.commit(
                checkpoint,
                execution.block,
                [each.receipt for each in included],
                [each.hash for each in included],
                annex,
            )
            ancestors = (header.hash, *self._tip.ancestor_hashes)[:ANCESTOR_HASHES_MAX]
        else:
            self._discard()
            self._store.commit(checkpoint, annex=annex)
            ancestors = self._tip.ancestor_hashes
        self._execution = None
        self._tip = Tip(header, execution.height, ancestors)
        return self._tip

    def _stored_tip(self) -> Tip:
        history = History(self._store)
        header, checkpoint = history.head(), history.checkpoint()
        if checkpoint.app_hash != header.hash:
            raise StoreCorrupt("the checkpoint names another block than the newest", header.hash)
        # Raises StateMissing without its root.
        self._engine.account(header.state_root, ZERO_ADDRESS)
        return Tip(
            header=header,
            height=checkpoint.height,
            ancestor_hashes=history.ancestor_hashes(header.number + 1, ANCESTOR_HASHES_MAX),
        )

    def _parent_state(self, timestamp: int) -> ParentState:
        tip = self._tip
        timestamp = max(tip.header.timestamp, timestamp)
        env = self._env_after(tip.header, timestamp, tip.ancestor_hashes)
        return ParentState(env, tip.header.state_root)

    def _env_after(
        self, parent: Header, timestamp: int, ancestor_hashes: tuple[Hash32, ...]
    ) -> BlockEnv:
        """The environment of the block that follows another."""
        number = parent.number + 1
        return BlockEnv(
            chain_id=self._specification.chain_id,
            number=number,
            timestamp=timestamp,
            rules=self._specification.rules_at(number),
            ancestor_hashes=ancestor_hashes,
        )

    def _check_together(
        self, transactions: Sequence[bytes], parent: ParentState
    ) -> Iterator[tuple[bytes, TransactionRejected | None]]:
        """Each transaction with the reason why it cannot follow those before it that can."""
        nonce_by_sender: dict[Address, int] = {}
        gas_left = parent.env.rules.block_gas_limit
        for raw in transactions:
            try:
                checked = self._admission.check_without_account(raw, parent)
                sender, gas_limit = checked.sender, checked.transaction.gas_limit
                account = self._admission.account(parent.root, sender)
                _check_turn(checked, nonce_by_sender.get(sender, account.nonce))
                check_means(account, sender=sender, cost_max=checked.transaction.cost_max)
                if gas_limit > gas_left:
                    raise BlockGasExhausted(gas_limit, gas_left)
            except TransactionRejected as refusal:
                yield raw, refusal
                continue
            nonce_by_sender[sender] = checked.nonce + 1
            gas_left -= gas_limit
            yield raw, None

    def _discard(self) -> None:
        if self._execution is not None and self._execution.executed is not None:
            self._engine.discard(self._execution.executed.handle)
        self._execution = None


def _check_turn(checked: CheckedTransaction, expected: int) -> None:
    if checked.nonce < expected:
        raise NonceTooLow(expected=expected, given=checked.nonce)
    if checked.nonce > expected:
        raise NonceGap(expected=expected, given=checked.nonce)


def _assemble(executed: Executed, env: BlockEnv, parent: Header) -> Block | None:
    if not executed.included:
        return None
    header = Header(
        parent_hash=parent.hash,
        state_root=executed.state_root,
        transactions_root=executed.transactions_root,
        receipts_root=executed.receipts_root,
        logs_bloom=executed.logs_bloom,
        number=env.number,
        gas_limit=env.rules.block_gas_limit,
        gas_used=executed.gas_used,
        timestamp=env.timestamp,
        base_fee_per_gas=env.rules.base_fee_per_gas,
    )
    return Block(header, tuple(included.raw for included in executed.included))
