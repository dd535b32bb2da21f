"""py-evm's state with our accounts below it and our executor on top of it.

A `WorldState` keeps its accounts in `Accounts`, which read through a `StateBuffer`; nothing reaches
the store from here. Its computation class is that of
the block's rules, without the precompiled contracts they refuse. `translated_faults` is where what
means "stop" becomes an error of ours.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar, cast

from eth.abc import AtomicDatabaseAPI, ComputationAPI, MessageAPI, SignedTransactionAPI
from eth.exceptions import (
    VMError,
)
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.computation import PRAGUE_PRECOMPILES
from eth.vm.forks.prague.state import PragueTransactionExecutor
from eth.vm.message import Message
from eth_typing import BlockNumber
from eth_utils.exceptions import ValidationError
from eth_utils.logging import ExtendedDebugLogger, get_extended_debug_logger

from node.block import (
    COINBASE,
    DIFFICULTY,
    EXCESS_BLOB_GAS,
    MIX_HASH,
)
from node.engine.accounts import Accounts
from node.engine.computation import DirectComputation
from node.engine.corrections import MODEXP_ADDRESS, CorrectedState, modexp
from node.engine.seam import BLOB_BASE_FEE, Alloc, BlockEnv, GenesisAccount
from node.engine.state_buffer import StateBuffer
from node.engine.transient_storage import TransientStorage
from node.errors import (
    EngineExhausted,
    StateMissing,
)
from node.primitives import (
    EMPTY_TRIE_ROOT,
    Address,
    Hash32,
    created_address,
)

DETERMINISTIC_FAULTS: Final[tuple[type[Exception], ...]] = (
    ValidationError,
    VMError,
    ValueError,
    ArithmeticError,
    AssertionError,
    LookupError,
    TypeError,
    AttributeError,
)
"""What py-evm may raise by mistake, from the same bytes on every machine."""


_LOGGER: Final = get_extended_debug_logger("eth.vm.state.WorldState")


class PrecompileRefused(VMError):
    """The block's rules refuse this precompiled contract: the call halts and burns its gas."""


@dataclass(frozen=True, slots=True, repr=False)
class Executable:
    """What py-evm's executor reads from a transaction; without `repr`, which it would print."""

    sender: Address
    nonce: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    gas: int
    to: Address
    value: int
    data: bytes
    access_list: tuple[tuple[Address, tuple[int, ...]], ...]
    intrinsic_gas: int
    """Without the init code's word cost, which py-evm charges inside the message."""
    type_id: int = 0


class Executor(PragueTransactionExecutor):
    """py-evm's executor without its checks: ours came before."""

    def validate_transaction(self, transaction: SignedTransactionAPI) -> None:
        """Accept."""

    def build_evm_message(self, transaction: SignedTransactionAPI) -> MessageAPI:
        """Buy the gas, take the nonce, and return what is to run; without the text that py-evm's would make of it."""
        state, sender = self.vm_state, transaction.sender
        state.delta_balance(sender, -transaction.gas * state.get_gas_price(transaction))
        nonce = state.get_nonce(sender)
        state.increment_nonce(sender)
        gas = transaction.gas - transaction.intrinsic_gas
        if not transaction.to:
            return Message(
                gas=gas,
                to=transaction.to,
                sender=sender,
                value=transaction.value,
                data=b"",
                code=transaction.data,
                create_address=created_address(sender, nonce),
            )
        code, delegate = self.get_code_at_address(transaction.to)
        return Message(
            gas=gas,
            to=transaction.to,
            sender=sender,
            value=transaction.value,
            data=transaction.data,
            code=code,
            is_delegation=delegate is not None,
        )


def refuse_precompile(_computation: ComputationAPI) -> ComputationAPI:
    """Halt: this chain does not run it."""
    raise PrecompileRefused


@cache
def computation_class_of(refused: tuple[int, ...]) -> type[DirectComputation]:
    """Return Prague's computation, in which a call of a refused precompiled contract halts.

    A refused one keeps its place among the addresses that are always warm.
    """

    class RuledComputation(DirectComputation):
        _precompiles = (
            PRAGUE_PRECOMPILES
            | {MODEXP_ADDRESS: modexp}
            | {number.to_bytes(20, "big"): refuse_precompile for number in refused}
        )

    return RuledComputation


def watched_class_of(
    kind: type[DirectComputation], watch: Callable[[], None]
) -> type[DirectComputation]:
    """Return a computation that calls `watch` now and again."""

    class WatchedComputation(kind):  # type: ignore[valid-type,misc]  # a class made for one call
        def begin_round(self) -> None:
            watch()

    return WatchedComputation


def genesis_class_of(kind: type[DirectComputation]) -> type[DirectComputation]:
    """Return a computation without EIP-3860's limit on init code.

    A deployment at genesis is no transaction, and its constructor's arguments (every participant of a network) may be
    longer than one could carry.
    """

    class GenesisComputation(kind):  # type: ignore[valid-type,misc]  # a class made for one genesis
        @classmethod
        def validate_create_message(cls, message: MessageAPI) -> None:
            """Accept."""

    return GenesisComputation


def moved_class_of(
    kind: type[DirectComputation], moves: Mapping[Address, Address]
) -> type[DirectComputation]:
    """Return a computation in which precompiled contracts answer at other addresses."""
    precompiles = dict(kind.get_precompiles())
    moved = {moves[address]: precompiles.pop(address) for address in moves}

    class MovedComputation(kind):  # type: ignore[valid-type,misc]  # a class made for one dry run
        _precompiles = precompiles | moved

    return MovedComputation


class WorldState(CorrectedState):
    """Prague's state as this chain has it."""

    computation_class: type[DirectComputation] = DirectComputation
    transaction_executor_class = Executor
    account_db_class = Accounts
    _transient_storage_class = TransientStorage
    pretended_blob_base_fee = BLOB_BASE_FEE

    @property
    def logger(self) -> ExtendedDebugLogger:
        """What py-evm tells of its steps; it would look it up each time."""
        return _LOGGER

    @property
    def blob_base_fee(self) -> int:
        """What BLOBBASEFEE answers."""
        return self.pretended_blob_base_fee

    def get_tip(self, transaction: SignedTransactionAPI) -> int:
        """Return the coinbase's share of a unit of gas: nothing where a dry run names no price."""
        return max(0, super().get_tip(transaction))

    def set_system_contracts(self) -> None:
        """Do nothing: system contracts are part of genesis, not of opening a state."""


class RecordingState(WorldState):
    """A state that remembers what was written, so that it can be listed as an allocation."""

    def recorded_alloc(self) -> dict[Address, GenesisAccount]:
        """Return every account that was written and is not empty."""
        alloc = {}
        for address in sorted(self._slots):
            storage = {
                slot: value
                for slot in sorted(self._slots[address])
                if (value := self.get_storage(address, slot))
            }
            account = GenesisAccount(
                balance=self.get_balance(address),
                nonce=self.get_nonce(address),
                code=self.get_code(address),
                storage=storage,
            )
            if account != GenesisAccount():
                alloc[address] = account
        return alloc

    @property
    def _slots(self) -> dict[Address, set[int]]:
        return cast(dict[Address, set[int]], self.__dict__.setdefault("_slots_by_address", {}))

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Write a slot."""
        self._slots.setdefault(address, set()).add(slot)
        super().set_storage(address, slot, value)

    def set_balance(self, address: Address, balance: int) -> None:
        """Write a balance."""
        self._slots.setdefault(address, set())
        super().set_balance(address, balance)

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Write a nonce."""
        self._slots.setdefault(address, set())
        super().set_nonce(address, nonce)

    def increment_nonce(self, address: Address) -> None:
        """Raise a nonce by one."""
        self._slots.setdefault(address, set())
        super().increment_nonce(address)

    def set_code(self, address: Address, code: bytes) -> None:
        """Write code."""
        self._slots.setdefault(address, set())
        super().set_code(address, code)


class TouchedState(WorldState):
    """A state that remembers which accounts and slots were touched, even where that was reverted."""

    @property
    def touched(self) -> dict[Address, set[int]]:
        """The slots touched, by account."""
        return cast(dict[Address, set[int]], self.__dict__.setdefault("_touched", {}))

    def mark_address_warm(self, address: Address) -> None:
        """Note an account."""
        self.touched.setdefault(address, set())
        super().mark_address_warm(address)

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """Note a slot."""
        self.touched.setdefault(address, set()).add(slot)
        super().mark_storage_warm(address, slot)


_StateKind = TypeVar("_StateKind", bound=WorldState)

_GENESIS_CONTEXT: Final = ExecutionContext(
    coinbase=COINBASE,
    timestamp=0,
    block_number=BlockNumber(0),
    difficulty=DIFFICULTY,
    mix_hash=MIX_HASH,
    gas_limit=0,
    prev_hashes=(),
    chain_id=0,
    base_fee_per_gas=0,
    excess_blob_gas=EXCESS_BLOB_GAS,
)


def context_of(env: BlockEnv) -> ExecutionContext:
    """Return a block as py-evm's instructions see it."""
    return ExecutionContext(
        coinbase=env.coinbase,
        timestamp=env.timestamp,
        block_number=BlockNumber(env.number),
        difficulty=DIFFICULTY,
        mix_hash=env.prev_randao,
        gas_limit=env.block_gas_limit,
        prev_hashes=env.ancestor_hashes,
        chain_id=env.chain_id,
        base_fee_per_gas=env.base_fee,
        excess_blob_gas=EXCESS_BLOB_GAS,
    )


def open_state(
    kind: type[_StateKind], buffer: StateBuffer, root: Hash32, env: BlockEnv | None = None
) -> _StateKind:
    """Return the state at a root, to run in a block; raises StateMissing if it is not here.

    Without a block it is only to be written to: nothing can run in it.
    """
    if root != EMPTY_TRIE_ROOT and root not in buffer:
        raise StateMissing(root)
    state = kind(
        cast(AtomicDatabaseAPI, buffer), context_of(env) if env else _GENESIS_CONTEXT, root
    )
    if env:
        state.computation_class = computation_class_of(env.rules.precompiles_refused)
        state.pretended_blob_base_fee = env.blob_base_fee
    return state


def put_alloc(state: WorldState, alloc: Alloc) -> None:
    """Write an allocation into a state."""
    for address in sorted(alloc):
        account = alloc[address]
        state.set_balance(address, account.balance)
        state.set_nonce(address, account.nonce)
        state.set_code(address, account.code)
        for slot in sorted(account.storage):
            state.set_storage(address, slot, account.storage[slot])


@contextmanager
def translated_faults() -> Iterator[None]:
    """Turn what means "stop" into our own errors."""
    try:
        yield
    except RecursionError as error:
        raise EngineExhausted("recursion") from error
    except MemoryError as error:
        raise EngineExhausted("memory") from error
