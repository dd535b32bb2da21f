"""The reference engine: py-evm at the level of its state and transaction executor.

Nothing above that level is used (no Chain, no block headers, no transaction classes): py-evm's
own checks miss another chain's signatures, act on type 4, and raise for low gas only after the
nonce moved. So every transaction passes our static check and the account checks here first, and
py-evm sees only what it can run. What it computes stays in memory until `commit`, one durable
write.

Whatever fails inside py-evm becomes one of these, and nothing else:

    a missing trie node or code          -> StateMissing      stop: the store lost something
    recursion or memory at its limit     -> EngineExhausted   stop: another node might go on
    anything else it may raise           -> ExecutionImpossible, the state rolled back: the same
                                            bytes fail the same way on every node
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import rlp
from eth.abc import ComputationAPI, SignedTransactionAPI
from eth.exceptions import (
    ContractCreationCollision,
    FullStack,
    InsufficientStack,
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfBoundsRead,
    OutOfGas,
    ReservedBytesInCode,
    Revert,
    StackDepthLimit,
    VMError,
    WriteProtection,
)
from eth.exceptions import InsufficientFunds as CallerTooPoor
from eth.rlp.accounts import Account
from eth.vm.interrupt import EVMMissingData
from eth.vm.message import Message
from trie.exceptions import MissingTrieNode
from trie.hexary import HexaryTrie

from node.block import (
    Log,
    Receipt,
    merge_blooms,
    receipts_root,
    transactions_root,
)
from node.engine.seam import (
    AccountOverride,
    AccountState,
    Alloc,
    BlockEnv,
    Call,
    CallOutcome,
    CallStatus,
    Executed,
    GenesisAccount,
    GenesisStep,
    Handle,
    Included,
    LoadedGenesis,
    Skipped,
    skip_reason_of,
)
from node.engine.world_state import (
    DETERMINISTIC_FAULTS,
    Executable,
    Executor,
    PrecompileRefused,
    RecordingState,
    StateBuffer,
    WorldState,
    open_state,
    put_alloc,
    translated_faults,
    watched_class_of,
)
from node.errors import (
    BlockGasExhausted,
    CallRejected,
    DeploymentFailed,
    ExecutionImpossible,
    GasBelowIntrinsic,
    InitCodeTooLarge,
    InsufficientFunds,
    NonceGap,
    NonceTooLow,
    SenderHasCode,
    StateMissing,
    TransactionRejected,
)
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
from node.transaction import (
    INIT_CODE_BYTES_MAX,
    AccessListEntry,
    CheckedTransaction,
    check_transaction,
    gas_limit_min,
    intrinsic_gas,
)

HISTORY_ADDRESS: Final = Address(bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935"))
"""EIP-2935's contract; its code belongs in genesis."""
SYSTEM_ADDRESS: Final = Address(bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe"))

_SYSTEM_CALL_GAS: Final = 30_000_000
_GENESIS_STEP_GAS: Final = 1_000_000_000_000
_NO_ADDRESS: Final = Address(b"")
_INIT_CODE_WORD_GAS: Final = 2

_HALT_REASON_BY_ERROR: Final[Mapping[type[VMError], str]] = {
    OutOfGas: "out of gas",
    InsufficientStack: "stack underflow",
    FullStack: "stack limit reached",
    InvalidJumpDestination: "invalid jump destination",
    InvalidInstruction: "invalid opcode",
    CallerTooPoor: "insufficient balance for transfer",
    StackDepthLimit: "max call depth exceeded",
    ContractCreationCollision: "contract address collision",
    WriteProtection: "write protection",
    OutOfBoundsRead: "return data out of bounds",
    ReservedBytesInCode: "invalid code: must not begin with 0xef",
    PrecompileRefused: "precompiled contract refused by this chain",
}


class PyEvmEngine:
    """Engine on py-evm; see `seam.Engine` for what each method promises."""

    def __init__(self, store: StateValues) -> None:
        self._store = store

    def load_genesis(self, alloc: Alloc) -> LoadedGenesis:
        """Return the state of an allocation; `commit` its handle to keep it."""
        buffer = StateBuffer(self._store)
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
        state = open_state(RecordingState, StateBuffer(self._store), EMPTY_TRIE_ROOT, env)
        put_alloc(state, alloc)
        for position, step in enumerate(steps):
            state.lock_changes()
            with translated_faults():
                computation = _run_genesis_step(state, step)
            state.clear_transient_storage()
            if computation.is_error:
                outcome = _outcome_of(computation, gas_used=0, gas_refunded=0)
                raise DeploymentFailed(
                    step.to, position, outcome.halt_reason or "reverted", outcome.data
                )
        state.lock_changes()
        return state.recorded_alloc()

    def execute(
        self, env: BlockEnv, parent_root: Hash32, raw_transactions: Sequence[bytes]
    ) -> Executed:
        """Return what the transactions do on top of the parent's state; total over their bytes."""
        buffer = StateBuffer(self._store)
        included: list[Included] = []
        skipped: list[Skipped] = []
        gas_used = 0
        with translated_faults():
            state = open_state(WorldState, buffer, parent_root, env)
            _record_parent_hash(state, env)
            for position, raw in enumerate(raw_transactions):
                try:
                    checked = check_transaction(raw, chain_id=env.chain_id, rules=env.rules)
                    _check_against_state(state, checked, env.rules.block_gas_limit - gas_used)
                    receipt = _apply(state, checked, gas_used)
                except TransactionRejected as error:
                    skipped.append(Skipped(position, skip_reason_of(error), error))
                    continue
                gas_used = receipt.cumulative_gas_used
                included.append(Included(position, raw, checked.hash, receipt))
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
        self._store.write(_pending(handle).values)

    def discard(self, handle: Handle) -> None:
        """Forget a computed state."""
        _pending(handle).values.clear()

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
            state = open_state(WorldState, StateBuffer(self._store), root, env)
            if watch is not None:
                watch()
                state.computation_class = watched_class_of(state.computation_class, watch)
            _apply_overrides(state, overrides or {})
            _check_call(state, call)
            message = Executable(
                sender=call.sender,
                nonce=state.get_nonce(call.sender),
                max_fee_per_gas=call.gas_price,
                max_priority_fee_per_gas=call.gas_price,
                gas=call.gas_limit,
                to=_NO_ADDRESS if call.to is None else call.to,
                value=call.value,
                data=call.data,
                access_list=_access_list_of(call.access_list),
                intrinsic_gas=_gas_before_message(
                    call.data, creates=call.to is None, access_list=call.access_list
                ),
            )
            try:
                computation, gas_used, gas_refunded = _run(state, message)
            except ExecutionImpossible as error:
                raise CallRejected("the call cannot be executed") from error
        return _outcome_of(computation, gas_used=gas_used, gas_refunded=gas_refunded)

    def account(self, root: Hash32, address: Address) -> AccountState:
        """Return an account at a root."""
        account = rlp.decode(encoded, Account) if (encoded := self._leaf(root, address)) else None
        if account is None:
            return AccountState(0, 0, EMPTY_CODE_HASH, EMPTY_TRIE_ROOT)
        return AccountState(
            account.nonce,
            account.balance,
            Hash32(account.code_hash),
            Hash32(account.storage_root),
        )

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

    def _leaf(self, root: Hash32, key: bytes) -> bytes:
        """Return what a secured trie holds for a key; empty if nothing."""
        with translated_faults():
            return bytes(HexaryTrie(StateBuffer(self._store), root).get(keccak(key)))


@dataclass(frozen=True, slots=True)
class _Pending:
    """What a Handle of this engine holds."""

    values: dict[bytes, bytes]


def _handle_of(buffer: StateBuffer) -> Handle:
    return Handle(_Pending(buffer.written))


def _pending(handle: Handle) -> _Pending:
    if not isinstance(handle, _Pending):
        raise TypeError("a handle of another engine")
    return handle


def _record_parent_hash(state: WorldState, env: BlockEnv) -> None:
    """Run EIP-2935's system call, the first act of every block after genesis."""
    code = state.get_code(HISTORY_ADDRESS)
    if env.number == 0 or not code:
        return
    message = Message(
        gas=_SYSTEM_CALL_GAS,
        to=HISTORY_ADDRESS,
        sender=SYSTEM_ADDRESS,
        value=0,
        data=env.ancestor_hashes[0],
        code=code,
    )
    context = state.transaction_context_class(gas_price=0, origin=SYSTEM_ADDRESS)
    state.computation_class.apply_message(state, message, context)
    state.clear_transient_storage()


def _check_against_state(state: WorldState, checked: CheckedTransaction, gas_left: int) -> None:
    """Refuse what the sender's account or the block has no room for, in this order."""
    transaction, sender = checked.transaction, checked.sender
    nonce = state.get_nonce(sender)
    if transaction.nonce < nonce:
        raise NonceTooLow(expected=nonce, given=transaction.nonce)
    if transaction.nonce > nonce:
        raise NonceGap(expected=nonce, given=transaction.nonce)
    if state.get_code_hash(sender) != EMPTY_CODE_HASH:
        raise SenderHasCode(sender)
    balance = state.get_balance(sender)
    if transaction.cost_max > balance:
        raise InsufficientFunds(cost=transaction.cost_max, balance=balance)
    if transaction.gas_limit > gas_left:
        raise BlockGasExhausted(transaction.gas_limit, gas_left)


def _apply(state: WorldState, checked: CheckedTransaction, gas_used_before: int) -> Receipt:
    """Run one checked transaction and return its receipt."""
    transaction = checked.transaction
    creates = transaction.to is None
    computation, gas_used, _ = _run(
        state,
        Executable(
            sender=checked.sender,
            nonce=transaction.nonce,
            max_fee_per_gas=transaction.max_fee_per_gas,
            max_priority_fee_per_gas=transaction.max_priority_fee_per_gas,
            gas=transaction.gas_limit,
            to=_NO_ADDRESS if transaction.to is None else transaction.to,
            value=transaction.value,
            data=transaction.data,
            access_list=_access_list_of(transaction.access_list),
            intrinsic_gas=_gas_before_message(
                transaction.data, creates=creates, access_list=transaction.access_list
            ),
            type_id=transaction.transaction_type,
        ),
    )
    return Receipt(
        transaction_type=transaction.transaction_type,
        succeeded=computation.is_success,
        cumulative_gas_used=gas_used_before + gas_used,
        logs=_logs_of(computation),
        gas_used=gas_used,
        sender=checked.sender,
        contract_address=created_address(checked.sender, transaction.nonce) if creates else None,
    )


def _run(state: WorldState, executable: Executable) -> tuple[ComputationAPI, int, int]:
    """Return the finished computation, gas used, and the refund within it.

    Raises ExecutionImpossible, the state as before, if py-evm fails in a deterministic way.
    """
    state.lock_changes()
    snapshot = state.snapshot()
    try:
        computation = state.get_transaction_executor()(cast(SignedTransactionAPI, executable))
    except (EVMMissingData, MissingTrieNode):
        raise
    except DETERMINISTIC_FAULTS as error:
        state.revert(snapshot)
        state.clear_transient_storage()
        raise ExecutionImpossible from error
    remaining = computation.get_gas_remaining()
    spent = executable.gas - remaining
    refunded = Executor.calculate_gas_refund(computation, spent)
    gas_used = spent - refunded + computation.data_floor_gas
    return computation, gas_used, refunded


def _gas_before_message(
    data: bytes, *, creates: bool, access_list: Sequence[AccessListEntry]
) -> int:
    gas = intrinsic_gas(data, creates=creates, access_list=access_list)
    return gas - _INIT_CODE_WORD_GAS * ((len(data) + 31) // 32) if creates else gas


def _access_list_of(
    access_list: Sequence[AccessListEntry],
) -> tuple[tuple[Address, tuple[int, ...]], ...]:
    return tuple(
        (entry.address, tuple(int.from_bytes(key, "big") for key in entry.storage_keys))
        for entry in access_list
    )


def _logs_of(computation: ComputationAPI) -> tuple[Log, ...]:
    return tuple(
        Log(Address(address), tuple(Hash32(topic.to_bytes(32, "big")) for topic in topics), data)
        for address, topics, data in computation.get_log_entries()
    )


def _outcome_of(computation: ComputationAPI, *, gas_used: int, gas_refunded: int) -> CallOutcome:
    if computation.is_success:
        return CallOutcome(CallStatus.SUCCEEDED, bytes(computation.output), gas_used, gas_refunded)
    if isinstance(computation.error, Revert):
        return CallOutcome(CallStatus.REVERTED, bytes(computation.output), gas_used, gas_refunded)
    reason = _HALT_REASON_BY_ERROR.get(type(computation.error), "execution halted")
    return CallOutcome(CallStatus.HALTED, b"", gas_used, gas_refunded, halt_reason=reason)


def _apply_overrides(state: WorldState, overrides: Mapping[Address, AccountOverride]) -> None:
    for address, override in overrides.items():
        if override.balance is not None:
            state.set_balance(address, override.balance)
        if override.nonce is not None:
            state.set_nonce(address, override.nonce)
        if override.code is not None:
            state.set_code(address, override.code)
        for slot, value in (override.storage or {}).items():
            state.set_storage(address, slot, value)


def _check_call(state: WorldState, call: Call) -> None:
    creates = call.to is None
    if creates and len(call.data) > INIT_CODE_BYTES_MAX:
        raise InitCodeTooLarge(len(call.data), INIT_CODE_BYTES_MAX)
    gas_needed = gas_limit_min(call.data, creates=creates, access_list=call.access_list)
    if call.gas_limit < gas_needed:
        raise GasBelowIntrinsic(call.gas_limit, gas_needed)
    cost = call.gas_limit * call.gas_price + call.value
    balance = state.get_balance(call.sender)
    if cost > balance:
        raise InsufficientFunds(cost=cost, balance=balance)


def _run_genesis_step(state: WorldState, step: GenesisStep) -> ComputationAPI:
    context = state.transaction_context_class(gas_price=0, origin=step.sender)
    message = Message(
        gas=_GENESIS_STEP_GAS,
        to=_NO_ADDRESS if step.creates else step.to,
        sender=step.sender,
        value=0,
        data=b"" if step.creates else step.data,
        code=step.data if step.creates else state.get_code(step.to),
        create_address=cast(Address, step.to if step.creates else None),
    )
    run = state.computation_class
    apply = run.apply_create_message if step.creates else run.apply_message
    return apply(state, message, context)
