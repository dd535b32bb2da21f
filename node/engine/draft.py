"""A block of calls on py-evm: each runs on what those before it left, none is signed.

The order is that of a real block: what is pretended is written, the block begins as every block does, then each
call runs. `simulation` makes chains of such blocks.
"""

from collections.abc import Callable
from typing import Any, Final

from eth.abc import MessageAPI, StateAPI, TransactionContextAPI

from node.block import Log, Receipt
from node.engine.computation import DirectComputation
from node.engine.dry_run import SIMULATION_GAS_MAX, CallRun, DraftBlock, DraftCall
from node.engine.execution import (
    NO_ADDRESS,
    access_list_of,
    apply_overrides,
    begin_block,
    gas_before_message,
    logs_of,
    outcome_of,
    run,
)
from node.engine.seam import BlockEnv
from node.engine.world_state import Executable, WorldState, watched_class_of
from node.errors import (
    BlockGasExhausted,
    FeeCapBelowBaseFee,
    FeeCapBelowPriorityFee,
    GasBelowIntrinsic,
    InitCodeTooLarge,
    InsufficientFunds,
    NonceGap,
    NonceTooLow,
    SenderHasCode,
    SimulatedCallRefused,
    SimulationTooLarge,
    TransactionRejected,
)
from node.primitives import EMPTY_CODE_HASH, Address, created_address, keccak
from node.transaction import (
    INIT_CODE_BYTES_MAX,
    TYPE_DYNAMIC_FEE,
    UnsignedTransaction,
    gas_limit_min,
)

TRANSFER_LOG_ADDRESS: Final = Address(b"\xee" * 20)
"""Where transfers of native coin are shown as logs (ERC-7528)."""

_TRANSFER_TOPIC: Final = int.from_bytes(keccak(b"Transfer(address,address,uint256)"), "big")
_SELFDESTRUCT: Final = 0xFF


def run_draft(
    state: WorldState, env: BlockEnv, draft: DraftBlock, watch: Callable[[], None]
) -> tuple[CallRun, ...]:
    """Run a block of calls; raises SimulatedCallRefused, SimulationTooLarge, what `watch` raises."""
    watch()
    apply_overrides(state, draft.overrides)
    state.lock_changes()
    # Even the system calls are watched: their contracts' code may be pretended.
    state.computation_class = watched_class_of(state.computation_class, watch)
    begin_block(state, env)
    if draft.logs_transfers:
        state.computation_class = _transfers_class_of(state.computation_class)
    runs: list[CallRun] = []
    gas_used = 0
    for position, call in enumerate(draft.calls):
        block_left, budget_left = env.block_gas_limit - gas_used, draft.gas_max - gas_used
        if budget_left < _gas_needed(call):
            raise SimulationTooLarge("units of gas", SIMULATION_GAS_MAX)
        try:
            if call.gas_limit is not None and call.gas_limit > block_left:
                raise BlockGasExhausted(call.gas_limit, block_left)
            transaction = _transaction_of(state, env, call, min(block_left, budget_left))
            _check(state, call, transaction, is_validated=draft.is_validated)
            runs.append(_run_one(state, call.sender, transaction, gas_used))
        except TransactionRejected as refusal:
            raise SimulatedCallRefused(position, refusal) from refusal
        gas_used = runs[-1].receipt.cumulative_gas_used
    state.lock_changes()
    state.persist()
    return tuple(runs)


def _transaction_of(
    state: WorldState, env: BlockEnv, call: DraftCall, gas_left: int
) -> UnsignedTransaction:
    nonce = state.get_nonce(call.sender) if call.nonce is None else call.nonce
    return UnsignedTransaction(
        chain_id=env.chain_id,
        nonce=nonce,
        max_priority_fee_per_gas=call.max_priority_fee_per_gas,
        max_fee_per_gas=call.max_fee_per_gas,
        gas_limit=gas_left if call.gas_limit is None else min(call.gas_limit, gas_left),
        to=call.to,
        value=call.value,
        data=call.data,
        access_list=call.access_list,
    )


def _check(
    state: WorldState, call: DraftCall, transaction: UnsignedTransaction, *, is_validated: bool
) -> None:
    """Refuse what the EVM cannot start; with validation also what a block could not hold."""
    if is_validated:
        nonce = state.get_nonce(call.sender)
        if transaction.nonce < nonce:
            raise NonceTooLow(expected=nonce, given=transaction.nonce)
        if transaction.nonce > nonce:
            raise NonceGap(expected=nonce, given=transaction.nonce)
        if state.get_code_hash(call.sender) != EMPTY_CODE_HASH:
            raise SenderHasCode(call.sender)
    max_fee, priority_fee = transaction.max_fee_per_gas, transaction.max_priority_fee_per_gas
    if max_fee < priority_fee:
        raise FeeCapBelowPriorityFee(max_fee, priority_fee)
    if max_fee < state.base_fee and (is_validated or max_fee):
        raise FeeCapBelowBaseFee(max_fee_per_gas=max_fee, base_fee=state.base_fee)
    cost = transaction.gas_limit * max_fee + transaction.value
    balance = state.get_balance(call.sender)
    if cost > balance:
        raise InsufficientFunds(cost=cost, balance=balance)
    gas_needed = _gas_needed(call)
    if transaction.gas_limit < gas_needed:
        raise GasBelowIntrinsic(transaction.gas_limit, gas_needed)
    if transaction.to is None and len(transaction.data) > INIT_CODE_BYTES_MAX:
        raise InitCodeTooLarge(len(transaction.data), INIT_CODE_BYTES_MAX)


def _gas_needed(call: DraftCall) -> int:
    return gas_limit_min(call.data, creates=call.to is None, access_list=call.access_list)


def _run_one(
    state: WorldState, sender: Address, transaction: UnsignedTransaction, gas_used_before: int
) -> CallRun:
    creates = transaction.to is None
    created = created_address(sender, state.get_nonce(sender)) if creates else None
    computation, gas_used, gas_refunded = run(
        state,
        Executable(
            sender=sender,
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
            type_id=TYPE_DYNAMIC_FEE,
        ),
    )
    logs = logs_of(computation)
    receipt = Receipt(
        transaction_type=TYPE_DYNAMIC_FEE,
        succeeded=computation.is_success,
        cumulative_gas_used=gas_used_before + gas_used,
        logs=tuple(log for log in logs if not _is_transfer(log)),
        gas_used=gas_used,
        sender=sender,
        contract_address=created,
    )
    outcome = outcome_of(computation, gas_used=gas_used, gas_refunded=gas_refunded)
    return CallRun(transaction.encode(), sender, outcome, receipt, logs)


def _is_transfer(log: Log) -> bool:
    """Whether a log was made here: by identity, since code may be put even at that address."""
    return log.address is TRANSFER_LOG_ADDRESS


def _transfers_class_of(kind: type[DirectComputation]) -> type[DirectComputation]:
    """Return a computation that logs transfers of native coin."""

    class TransferComputation(kind):  # type: ignore[valid-type,misc]  # a class made for one block
        opcodes = kind.opcodes | {_SELFDESTRUCT: _logged_selfdestruct(kind)}

        def __init__(
            self, state: StateAPI, message: MessageAPI, context: TransactionContextAPI
        ) -> None:
            super().__init__(state, message, context)
            if message.should_transfer_value:
                self.log_transfer(message.sender, message.storage_address, message.value)

        def log_transfer(self, sender: Address, receiver: Address, value: int) -> None:
            if value:
                words = tuple(int.from_bytes(each, "big") for each in (sender, receiver))
                number = self.transaction_context.get_next_log_counter()
                topics = (_TRANSFER_TOPIC, *words)
                entry = (number, TRANSFER_LOG_ADDRESS, topics, value.to_bytes(32, "big"))
                self._log_entries.append(entry)

        def log_inheritance(self) -> None:
            if self._stack.values:
                heir = self._stack.values[-1]
                word = heir.to_bytes(32, "big") if isinstance(heir, int) else heir.rjust(32, b"\0")
                own = self.msg.storage_address
                self.log_transfer(own, Address(word[-20:]), self.state.get_balance(own))

    return TransferComputation


def _logged_selfdestruct(kind: type[DirectComputation]) -> Callable[..., Any]:
    original = kind.opcodes[_SELFDESTRUCT]

    def run_selfdestruct(computation: Any) -> None:  # py-evm's, as the class above makes it
        computation.log_inheritance()
        original(computation=computation)

    return run_selfdestruct
