"""The reference engine: py-evm at the level of its state and transaction executor.

Nothing above that level is used (no Chain, no block headers, no transaction classes): py-evm's
own checks miss another chain's signatures, act on type 4, and raise for low gas only after the
nonce moved. So every transaction passes our static check and the account checks here first, and
py-evm sees only what it can run. What it computes stays in memory until `commit`, one durable
write.

Accounts and tries are our own (`accounts`, `state_trie`): a node or code that the store lost is
StateMissing, which stops. Whatever fails inside py-evm becomes one of these, and nothing else:

    recursion or memory at its limit     -> EngineExhausted   stop: another node might go on
    anything else it may raise           -> ExecutionImpossible, the state rolled back: the same
                                            bytes fail the same way on every node
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from eth.abc import ComputationAPI
from eth.vm.message import Message

from node.block import merge_blooms, receipts_root, transactions_root
from node.engine.account_state import EMPTY_ACCOUNT, AccountState, decode_account
from node.engine.draft import run_draft
from node.engine.dry_run import (
    AccountOverride,
    Call,
    CallAccesses,
    CallOutcome,
    CallsRun,
    DraftBlock,
)
from node.engine.execution import (
    NO_ADDRESS,
    apply_overrides,
    apply_raw,
    begin_block,
    outcome_of,
    run_call,
)
from node.engine.proof import AccountProof, prove_account
from node.engine.seam import (
    Alloc,
    BlockEnv,
    Executed,
    GenesisAccount,
    GenesisStep,
    Handle,
    Included,
    LoadedGenesis,
    Skipped,
    TracedBlock,
    skip_reason_of,
)
from node.engine.state_buffer import StateBuffer
from node.engine.state_trie import StateTrie
from node.engine.trace import CallFrame, Trace, TraceOptions
from node.engine.tracing import Budget, Recording, top_frame_of
from node.engine.trie_node import Node, NodeMemory
from node.engine.world_state import (
    RecordingState,
    TouchedState,
    WorldState,
    genesis_class_of,
    open_state,
    put_alloc,
    translated_faults,
    watched_class_of,
)
from node.errors import DeploymentFailed, InvariantBroken, StateMissing, TransactionRejected
from node.primitives import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    Address,
    Hash32,
    created_address,
    decode_bytes,
    decode_rlp,
    keccak,
)
from node.store import StateValues
from node.transaction import AccessListEntry

_GENESIS_STEP_GAS: Final = 1_000_000_000_000


class PyEvmEngine:
    """Engine on py-evm; see `seam.Engine` for what each method promises."""

    def __init__(self, store: StateValues) -> None:
        self._store = store
        self._memory = NodeMemory()

    def load_genesis(self, alloc: Alloc) -> LoadedGenesis:
        """Return the state of an allocation; `commit` its handle to keep it."""
        buffer = self._buffer()
        state = open_state(WorldState, buffer, EMPTY_TRIE_ROOT)
        put_alloc(state, alloc)
        state.persist()
        return LoadedGenesis(Hash32(state.state_root), _handle_of(buffer))

    def run_genesis_steps(
        self, env: BlockEnv, alloc: Alloc, steps: Sequence[GenesisStep]
    ) -> dict[Address, GenesisAccount]:
        """Return the allocation after the steps, in order; raises DeploymentFailed.

        The senders' own nonces do not move: a step is a message, not a transaction.
        """
        state = open_state(RecordingState, self._buffer(), EMPTY_TRIE_ROOT, env)
        state.computation_class = genesis_class_of(state.computation_class)
        put_alloc(state, alloc)
        for position, step in enumerate(steps):
            state.lock_changes()
            with translated_faults():
                computation = _run_genesis_step(state, step)
            state.clear_transient_storage()
            if computation.is_error:
                outcome = outcome_of(computation, gas_used=0, gas_refunded=0)
                raise DeploymentFailed(
                    step.to, position, outcome.halt_reason or "reverted", outcome.data
                )
        state.lock_changes()
        return state.recorded_alloc()

    def execute(
        self, env: BlockEnv, parent_root: Hash32, raw_transactions: Sequence[bytes]
    ) -> Executed:
        """Return what the transactions do on top of the parent's state; total over their bytes."""
        buffer = self._buffer()
        included: list[Included] = []
        skipped: list[Skipped] = []
        gas_used = 0
        with translated_faults():
            state = open_state(WorldState, buffer, parent_root, env)
            begin_block(state, env)
            for position, raw in enumerate(raw_transactions):
                try:
                    applied = apply_raw(state, env, raw, gas_used)
                except TransactionRejected as error:
                    skipped.append(Skipped(position, skip_reason_of(error), error))
                    continue
                gas_used = applied.receipt.cumulative_gas_used
                included.append(Included(position, raw, applied.checked.hash, applied.receipt))
            state.lock_changes()
            state.persist()
        receipts = [item.receipt for item in included]
        return Executed(
            state_root=Hash32(state.state_root),
            transactions_root=transactions_root([item.raw for item in included]),
            receipts_root=receipts_root(receipts),
            logs_bloom=merge_blooms(receipt.logs_bloom for receipt in receipts),
            gas_used=gas_used,
            included=tuple(included),
            skipped=tuple(skipped),
            handle=_handle_of(buffer),
        )

    def commit(self, handle: Handle) -> None:
        """Write a computed state durably; again is harmless."""
        pending = _pending(handle)
        self._store.write(pending.values)
        for node_hash, node in pending.nodes.items():
            self._memory.put(node_hash, node)

    def discard(self, handle: Handle) -> None:
        """Forget a computed state."""
        pending = _pending(handle)
        pending.values.clear()
        pending.nodes.clear()

    def upon(self, handle: Handle) -> "PyEvmEngine":
        """Return an engine that reads as if the computed state were committed; it commits nothing itself."""
        return PyEvmEngine(_Uncommitted(self._store, _pending(handle).values))

    def call(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        overrides: Mapping[Address, AccountOverride] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> CallOutcome:
        """Return what a call would give.

        Raises GasBelowIntrinsic, InitCodeTooLarge, InsufficientFunds, CallRejected for a call the
        EVM cannot even start, and whatever `watch` raises.
        """
        with translated_faults():
            state = open_state(WorldState, self._buffer(), root, env)
            apply_overrides(state, overrides or {})
            if watch is not None:
                watch()
                state.computation_class = watched_class_of(state.computation_class, watch)
            return run_call(state, call)[1]

    def account(self, root: Hash32, address: Address) -> AccountState:
        """Return an account at a root."""
        encoded = self._leaf(root, address)
        return decode_account(encoded) if encoded else EMPTY_ACCOUNT

    def storage(self, root: Hash32, address: Address, slot: int) -> int:
        """Return a storage slot at a root."""
        storage_root = self.account(root, address).storage_root
        encoded = self._leaf(storage_root, slot.to_bytes(32, "big"))
        return int.from_bytes(decode_bytes(decode_rlp(encoded)), "big") if encoded else 0

    def code(self, root: Hash32, address: Address) -> bytes:
        """Return a contract's code at a root."""
        code_hash = self.account(root, address).code_hash
        if code_hash == EMPTY_CODE_HASH:
            return b""
        code = self._store.get(code_hash)
        if code is None:
            raise StateMissing(code_hash)
        return code

    def proof(self, root: Hash32, address: Address, slots: Sequence[int]) -> AccountProof:
        """Return the trie nodes that prove an account and slots of its storage, absent ones too."""
        return prove_account(self._store, root, address, slots)

    def trace(
        self,
        env: BlockEnv,
        parent_root: Hash32,
        transactions: TracedBlock,
        options: TraceOptions,
        watch: Callable[[], None],
    ) -> tuple[Trace, ...]:
        """Return how transactions of a block ran, by running the block again as `execute` does."""
        budget = Budget()
        traces: list[Trace] = []
        gas_used = 0
        with translated_faults():
            state = open_state(WorldState, self._buffer(), parent_root, env)
            watch()
            begin_block(state, env)
            state.computation_class = watched_class_of(state.computation_class, watch)
            last = max(transactions.positions, default=-1)
            for position, raw in enumerate(transactions.raws[: last + 1]):
                if position in transactions.positions:
                    recording = Recording(options, budget, top_frame_of(raw))
                    applied = recording.of(state, lambda: apply_raw(state, env, raw, gas_used))  # noqa: B023 - called at once
                    traces.append(recording.trace(applied.outcome, applied.checked.hash))
                else:
                    applied = apply_raw(state, env, raw, gas_used)
                gas_used = applied.receipt.cumulative_gas_used
        return tuple(traces)

    def trace_call(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        options: TraceOptions,
        overrides: Mapping[Address, AccountOverride],
        watch: Callable[[], None],
    ) -> Trace:
        """Return how a call would run."""
        with translated_faults():
            state = open_state(WorldState, self._buffer(), root, env)
            watch()
            apply_overrides(state, overrides)
            state.computation_class = watched_class_of(state.computation_class, watch)
            to = call.to
            if to is None:
                to = created_address(call.sender, state.get_nonce(call.sender))
            kind = "CREATE" if call.to is None else "CALL"
            top = CallFrame(kind, call.sender, to, call.value, call.gas_limit, call.data)
            recording = Recording(options, Budget(), top)
            _, outcome = recording.of(state, lambda: run_call(state, call))
        return recording.trace(outcome, None)

    def accesses(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        overrides: Mapping[Address, AccountOverride],
        watch: Callable[[], None],
    ) -> CallAccesses:
        """Return what a call gives and which accounts and slots it touches."""
        with translated_faults():
            state = open_state(TouchedState, self._buffer(), root, env)
            watch()
            apply_overrides(state, overrides)
            state.computation_class = watched_class_of(state.computation_class, watch)
            computation, outcome = run_call(state, call)
        created = set(computation.contracts_created)
        warm = {call.sender, call.to, env.coinbase, *state.computation_class.get_precompiles()}
        touched = tuple(
            AccessListEntry(
                address, tuple(Hash32(slot.to_bytes(32, "big")) for slot in sorted(slots))
            )
            for address, slots in sorted(state.touched.items())
            if address not in created and (slots or address not in warm)
        )
        return CallAccesses(outcome, touched)

    def run_calls(
        self,
        env: BlockEnv,
        root: Hash32,
        draft: DraftBlock,
        parent: Handle | None,
        watch: Callable[[], None],
    ) -> CallsRun:
        """Return what calls do one after the other in a block of their own, on top of a state."""
        buffer = self._buffer()
        if parent is not None:
            buffer.written.update(_pending(parent).values)
            buffer.made.update(_pending(parent).nodes)
        with translated_faults():
            state = open_state(WorldState, buffer, root, env)
            runs = run_draft(state, env, draft, watch)
        gas_used = runs[-1].receipt.cumulative_gas_used if runs else 0
        return CallsRun(Hash32(state.state_root), gas_used, runs, _handle_of(buffer))

    def _leaf(self, root: Hash32, key: bytes) -> bytes:
        """Return what a secured trie holds for a key; empty if nothing."""
        with translated_faults():
            return StateTrie(self._buffer(), root).get(keccak(key))

    def _buffer(self) -> StateBuffer:
        return StateBuffer(self._store, self._memory)


@dataclass(frozen=True, slots=True)
class _Pending:
    """What a Handle of this engine holds."""

    values: dict[bytes, bytes]
    nodes: dict[bytes, Node]
    """The first of the trie nodes among the values, decoded."""


class _Uncommitted:
    """A store as it will be. Implements `StateValues`."""

    def __init__(self, store: StateValues, values: Mapping[bytes, bytes]) -> None:
        self._store = store
        self._values = values

    def get(self, key: bytes) -> bytes | None:
        """Return the value that will be stored under a hash."""
        value = self._values.get(key)
        return self._store.get(key) if value is None else value

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Refuse: what is not committed has nothing on top of it."""
        raise InvariantBroken(f"{len(values)} values upon a state that is not committed")


def _handle_of(buffer: StateBuffer) -> Handle:
    return Handle(_Pending(buffer.written, buffer.made))


def _pending(handle: Handle) -> _Pending:
    if not isinstance(handle, _Pending):
        raise TypeError("a handle of another engine")
    return handle


def _run_genesis_step(state: WorldState, step: GenesisStep) -> ComputationAPI:
    context = state.transaction_context_class(gas_price=0, origin=step.sender)
    message = Message(
        gas=_GENESIS_STEP_GAS,
        to=NO_ADDRESS if step.creates else step.to,
        sender=step.sender,
        value=0,
        data=b"" if step.creates else step.data,
        code=step.data if step.creates else state.get_code(step.to),
        create_address=cast(Address, step.to if step.creates else None),
    )
    run = state.computation_class
    apply = run.apply_create_message if step.creates else run.apply_message
    return apply(state, message, context)
