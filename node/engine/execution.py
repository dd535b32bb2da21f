"""One block's execution on py-evm, step by step: the system calls, then each transaction.

What `PyEvmEngine.execute`, its dry runs, its traces and its simulations share, so that all of them run the same
code. py-evm's own checks are skipped; ours come first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

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
from eth.vm.message import Message

import contracts
from node.block import Log, Receipt
from node.engine.dry_run import AccountOverride, Call, CallOutcome, CallStatus
from node.engine.seam import BlockEnv
from node.engine.world_state import (
    DETERMINISTIC_FAULTS,
    Executable,
    Executor,
    PrecompileRefused,
    WorldState,
    moved_class_of,
)
from node.errors import (
    BlockGasExhausted,
    CallRejected,
    ExecutionImpossible,
    FeeCapBelowBaseFee,
    GasBelowIntrinsic,
    InitCodeTooLarge,
    InsufficientFunds,
    NonceGap,
    NonceTooLow,
    PrecompileMoveClash,
    PrecompileMovedToItself,
    SenderHasCode,
)
from node.primitives import EMPTY_CODE_HASH, Address, Hash32, created_address, keccak
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
NO_ADDRESS: Final = Address(b"")
"""Where a creation goes."""

_NODE_REGISTRY: Final = Address(contracts.NODE_REGISTRY_ADDRESS)
_APPLY_DUE_CHANGE: Final = keccak(b"applyDueChange()")[:4]
_INVALID: Final = 0xFE
_OPCODE_IN_TEXT: Final = re.compile(r"opcode 0x([0-9a-f]+)")
_SYSTEM_CALL_GAS: Final = 30_000_000
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


def begin_block(state: WorldState, env: BlockEnv) -> None:
    """Run the first acts of every block after genesis: EIP-2935's record, then a due change of validators.

    No receipt tells of them and the block's gas does not count them. A call that fails changes nothing.
    """
    if env.number == 0:
        return
    history_code = state.get_code(HISTORY_ADDRESS)
    if history_code:
        _call_as_system(state, HISTORY_ADDRESS, history_code, env.ancestor_hashes[0])
    # An absent registry reads as 0 too: it is its code that tells.
    if state.get_storage(_NODE_REGISTRY, contracts.NODE_REGISTRY_SCHEDULE_SLOT) > env.timestamp:
        return
    registry_code = state.get_code(_NODE_REGISTRY)
    if registry_code:
        _call_as_system(state, _NODE_REGISTRY, registry_code, _APPLY_DUE_CHANGE)


def _call_as_system(state: WorldState, to: Address, code: bytes, data: bytes) -> None:
    state.lock_changes()
    snapshot = state.snapshot()
    message = Message(
        gas=_SYSTEM_CALL_GAS, to=to, sender=SYSTEM_ADDRESS, value=0, data=data, code=code
    )
    context = state.transaction_context_class(gas_price=0, origin=SYSTEM_ADDRESS)
    try:
        state.computation_class.apply_message(state, message, context)
    except DETERMINISTIC_FAULTS:
        state.revert(snapshot)
    state.clear_transient_storage()


def check_against_state(state: WorldState, checked: CheckedTransaction, gas_left: int) -> None:
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
    if transaction.max_fee_per_gas < state.base_fee:
        raise FeeCapBelowBaseFee(
            max_fee_per_gas=transaction.max_fee_per_gas, base_fee=state.base_fee
        )
    if transaction.gas_limit > gas_left:
        raise BlockGasExhausted(transaction.gas_limit, gas_left)


@dataclass(frozen=True, slots=True)
class Applied:
    """A transaction that ran, with its receipt and how it ended."""

    checked: CheckedTransaction
    receipt: Receipt
    outcome: CallOutcome


def apply_raw(state: WorldState, env: BlockEnv, raw: bytes, gas_used_before: int) -> Applied:
    """Run one raw transaction of a block; raises TransactionRejected, the state as before."""
    checked = check_transaction(raw, chain_id=env.chain_id, rules=env.rules)
    check_against_state(state, checked, env.block_gas_limit - gas_used_before)
    transaction = checked.transaction
    creates = transaction.to is None
    computation, gas_used, gas_refunded = run(
        state,
        Executable(
            sender=checked.sender,
            nonce=transaction.nonce,
            max_fee_per_gas=transaction.max_fee_per_gas,
            max_priority_fee_per_gas=transaction.max_priority_fee_per_gas,
            gas=transaction.gas_limit,
            to=NO_ADDRESS if transaction.to is None else transaction.to,
            value=transaction.value,
            data=transaction.data,
            access_list=access_list_of(transaction.access_list),
            intrinsic_gas=gas_before_message(
                transaction.data, creates=creates, access_list=transaction.access_list
            ),
            type_id=transaction.transaction_type,
        ),
    )
    receipt = Receipt(
        transaction_type=transaction.transaction_type,
        succeeded=computation.is_success,
        cumulative_gas_used=gas_used_before + gas_used,
        logs=logs_of(computation),
        gas_used=gas_used,
        sender=checked.sender,
        contract_address=created_address(checked.sender, transaction.nonce) if creates else None,
    )
    outcome = outcome_of(computation, gas_used=gas_used, gas_refunded=gas_refunded)
    return Applied(checked, receipt, outcome)


def run_call(state: WorldState, call: Call) -> tuple[ComputationAPI, CallOutcome]:
    """Run a dry run; raises GasBelowIntrinsic, InitCodeTooLarge, InsufficientFunds, CallRejected."""
    _check_call(state, call)
    executable = Executable(
        sender=call.sender,
        nonce=state.get_nonce(call.sender),
        max_fee_per_gas=call.gas_price,
        max_priority_fee_per_gas=call.gas_price,
        gas=call.gas_limit,
        to=NO_ADDRESS if call.to is None else call.to,
        value=call.value,
        data=call.data,
        access_list=access_list_of(call.access_list),
        intrinsic_gas=gas_before_message(
            call.data, creates=call.to is None, access_list=call.access_list
        ),
    )
    try:
        computation, gas_used, gas_refunded = run(state, executable)
    except ExecutionImpossible as error:
        raise CallRejected("the call cannot be executed") from error
    return computation, outcome_of(computation, gas_used=gas_used, gas_refunded=gas_refunded)


def run(state: WorldState, executable: Executable) -> tuple[ComputationAPI, int, int]:
    """Return the finished computation, gas used, and the refund within it.

    Raises ExecutionImpossible, the state as before, if py-evm fails in a deterministic way.
    """
    state.lock_changes()
    snapshot = state.snapshot()
    try:
        computation = state.get_transaction_executor()(cast(SignedTransactionAPI, executable))
    except DETERMINISTIC_FAULTS as error:
        state.revert(snapshot)
        state.clear_transient_storage()
        raise ExecutionImpossible from error
    remaining = computation.get_gas_remaining()
    spent = executable.gas - remaining
    refunded = Executor.calculate_gas_refund(computation, spent)
    gas_used = spent - refunded + computation.data_floor_gas
    return computation, gas_used, refunded


def gas_before_message(
    data: bytes, *, creates: bool, access_list: Sequence[AccessListEntry]
) -> int:
    """Return the gas charged before the message: py-evm charges the words of init code within it."""
    gas = intrinsic_gas(data, creates=creates, access_list=access_list)
    return gas - _INIT_CODE_WORD_GAS * ((len(data) + 31) // 32) if creates else gas


def access_list_of(
    access_list: Sequence[AccessListEntry],
) -> tuple[tuple[Address, tuple[int, ...]], ...]:
    """Return an access list as py-evm reads it."""
    return tuple(
        (entry.address, tuple(int.from_bytes(key, "big") for key in entry.storage_keys))
        for entry in access_list
    )


def logs_of(computation: ComputationAPI) -> tuple[Log, ...]:
    """Return the logs of what succeeded."""
    return tuple(
        Log(Address(address), tuple(Hash32(topic.to_bytes(32, "big")) for topic in topics), data)
        for address, topics, data in computation.get_log_entries()
    )


def outcome_of(computation: ComputationAPI, *, gas_used: int, gas_refunded: int) -> CallOutcome:
    """Return how a computation ended."""
    if computation.is_success:
        return CallOutcome(CallStatus.SUCCEEDED, bytes(computation.output), gas_used, gas_refunded)
    if isinstance(computation.error, Revert):
        return CallOutcome(CallStatus.REVERTED, bytes(computation.output), gas_used, gas_refunded)
    reason = halt_reason_of(computation.error)
    return CallOutcome(CallStatus.HALTED, b"", gas_used, gas_refunded, halt_reason=reason)


def halt_reason_of(error: VMError) -> str:
    """Return geth's words for what ended a computation."""
    reason = _HALT_REASON_BY_ERROR.get(type(error), "execution halted")
    # py-evm's error holds the instruction in its text only.
    found = _OPCODE_IN_TEXT.search(str(error)) if isinstance(error, InvalidInstruction) else None
    return reason if found is None else f"{reason}: {undefined_name_of(int(found[1], 16))}"


def undefined_name_of(opcode: int) -> str:
    """Return geth's name of an instruction that does nothing but fail."""
    return "INVALID" if opcode == _INVALID else f"opcode {opcode:#x} not defined"


def apply_overrides(state: WorldState, overrides: Mapping[Address, AccountOverride]) -> None:
    """Write what a dry run pretends; raises PrecompileMovedToItself, PrecompileMoveClash, CallRejected."""
    _move_precompiles(state, overrides)
    for address, override in overrides.items():
        if override.balance is not None:
            state.set_balance(address, override.balance)
        if override.nonce is not None:
            state.set_nonce(address, override.nonce)
        if override.code is not None:
            state.set_code(address, override.code)
        if override.whole_storage is not None:
            state.delete_storage(address)
        for slot, value in (override.whole_storage or override.storage or {}).items():
            state.set_storage(address, slot, value)


def _move_precompiles(state: WorldState, overrides: Mapping[Address, AccountOverride]) -> None:
    moves: dict[Address, Address] = {}
    for address, override in overrides.items():
        target = override.precompile_moved_to
        if target is None:
            continue
        if target == address:
            raise PrecompileMovedToItself(address)
        if target in moves.values():
            raise PrecompileMoveClash(target)
        if address not in state.computation_class.get_precompiles():
            raise CallRejected(f"account 0x{address.hex()} is not a precompile")
        moves[address] = target
    if moves:
        state.computation_class = moved_class_of(state.computation_class, moves)


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
