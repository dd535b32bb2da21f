"""A run that is told of: py-evm's computation with a recorder at each instruction and each call.

py-evm has no tracer, so a class is made for one run whose table of instructions tells a `Recorder` before and after
each, and whose child computations tell it when they begin and end. The instructions themselves are py-evm's own: what
is recorded is what runs.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from eth.abc import ComputationAPI, MessageAPI, OpcodeAPI
from eth.exceptions import (
    Halt,
    VMError,
)
from eth.vm.gas_meter import GasMeter, allow_negative_refund_strategy
from eth.vm.logic.invalid import InvalidOpcode

from node.block import Log
from node.engine.computation import DirectComputation
from node.engine.execution import undefined_name_of
from node.engine.instructions import plain_instructions
from node.engine.trace import (
    StructLog,
)
from node.primitives import Address, Hash32

_SHA3: Final = 0x20
_PREVRANDAO: Final = 0x44
_SELFDESTRUCT: Final = 0xFF

_NAME_BY_OPCODE: Final = {
    _SHA3: "KECCAK256",
    _PREVRANDAO: "DIFFICULTY",
    _SELFDESTRUCT: "SELFDESTRUCT",
}
"""Where geth's name of an instruction is not py-evm's."""

CREATIONS: Final = frozenset({"CREATE", "CREATE2"})


class ChargeMeter(GasMeter):
    """A gas meter that knows what the instruction at hand has charged, whether or not it was paid."""

    charged = 0
    passed_to_creation = 0
    returned = 0
    """What a call gave back that could not begin, or did not use."""

    def begin_instruction(self) -> None:
        """Count from zero."""
        self.charged = self.passed_to_creation = self.returned = 0
        self._has_creation_begun = False

    def consume_gas(self, amount: int, reason: str) -> None:
        """Charge gas; the second charge of a creation is what its init code gets."""
        self.charged += amount
        if reason in CREATIONS:
            if self._has_creation_begun:
                self.passed_to_creation = amount
            self._has_creation_begun = True
        super().consume_gas(amount, reason)

    def return_gas(self, amount: int) -> None:
        """Give gas back."""
        self.returned += amount
        super().return_gas(amount)

    _has_creation_begun = False


class RecordedComputation(Protocol):
    """What a recorder may ask of a running computation."""

    msg: MessageAPI
    meter: ChargeMeter
    children_refund: int

    def shown_pc(self, opcode: int) -> int:
        """Return where the instruction at hand stands."""
        ...

    def shown_stack(self) -> tuple[int, ...]:
        """Return the stack, bottom first."""
        ...

    def shown_memory(self) -> bytes:
        """Return the memory."""
        ...

    def shown_return_data(self) -> bytes:
        """Return what the last call gave."""
        ...

    def slot(self, slot: int) -> int:
        """Return a storage slot of the running contract."""
        ...

    def balance(self) -> int:
        """Return the balance of the running contract."""
        ...


class Recorder(Protocol):
    """Who is told what runs."""

    def wants(self, opcode: int) -> bool:
        """Whether it is told of this instruction."""
        ...

    def before(self, computation: RecordedComputation, opcode: int, name: str) -> StructLog | None:
        """Be told of an instruction about to run; what it gives comes back in `after`."""
        ...

    def after(
        self, computation: RecordedComputation, step: StructLog | None, fault: VMError | None
    ) -> None:
        """Be told that the instruction is over."""
        ...

    def begin(self, computation: RecordedComputation, message: MessageAPI) -> None:
        """Be told that the computation calls or creates."""
        ...

    def end(self, computation: RecordedComputation, child: ComputationAPI | None) -> None:
        """Be told how that ended; None: it never began."""
        ...

    def log(self, log: Log) -> None:
        """Be told of a log."""
        ...


def recorded_class_of(kind: type[DirectComputation], recorder: Recorder) -> type[DirectComputation]:
    """Return a computation that tells a recorder what it does."""

    class Recorded(_readable_class_of(kind)):  # type: ignore[misc]  # a class made for one run
        opcodes = _Instructions(plain_instructions(kind.opcodes), recorder)

        def apply_child_computation(self, child_msg: MessageAPI) -> ComputationAPI:
            recorder.begin(self, child_msg)
            child: ComputationAPI | None = None
            try:
                child = super().apply_child_computation(child_msg)
            finally:
                recorder.end(self, child)
            return child

        def add_log_entry(self, account: Address, topics: tuple[int, ...], data: bytes) -> None:
            super().add_log_entry(account, topics, data)
            words = tuple(Hash32(topic.to_bytes(32, "big")) for topic in topics)
            recorder.log(Log(account, words, bytes(data)))

    return Recorded


def _readable_class_of(kind: type[DirectComputation]) -> type[DirectComputation]:
    """Return a computation that is a `RecordedComputation` too."""

    class Readable(kind):  # type: ignore[valid-type,misc]  # a class made for one run
        children_refund = 0

        def _configure_gas_meter(self) -> ChargeMeter:
            return ChargeMeter(self.msg.gas, allow_negative_refund_strategy)

        @property
        def meter(self) -> ChargeMeter:
            return cast(ChargeMeter, self._gas_meter)

        def shown_pc(self, opcode: int) -> int:
            after: int = self.code.program_counter
            # Past its end code stops by itself, without an instruction that was read.
            was_read = 0 < after <= len(self.code) and self.code[after - 1] == opcode
            return after - 1 if was_read and self.code.is_valid_opcode(after - 1) else after

        def shown_stack(self) -> tuple[int, ...]:
            return tuple(
                value if isinstance(value, int) else int.from_bytes(value, "big")
                for value in self._stack.values
            )

        def shown_memory(self) -> bytes:
            return bytes(self._memory.read_bytes(0, len(self._memory)))

        def shown_return_data(self) -> bytes:
            return bytes(self.return_data)

        def slot(self, slot: int) -> int:
            return int(self.state.get_storage(self.msg.storage_address, slot))

        def balance(self) -> int:
            return int(self.state.get_balance(self.msg.storage_address))

    return Readable


class _Instructions(dict[int, Callable[..., Any]]):
    """A table of instructions that tells a recorder of each it wants, undefined ones too."""

    def __init__(self, opcodes: dict[int, OpcodeAPI], recorder: Recorder) -> None:
        super().__init__(
            {
                opcode: _recorded(function, opcode, recorder)
                if recorder.wants(opcode)
                else function
                for opcode, function in opcodes.items()
            }
        )
        self._recorder = recorder

    def __missing__(self, opcode: int) -> Callable[..., Any]:
        function = InvalidOpcode(opcode)
        wants = self._recorder.wants(opcode)
        return _recorded(function, opcode, self._recorder) if wants else function


def _recorded(function: Callable[..., Any], opcode: int, recorder: Recorder) -> Callable[..., None]:
    name = _name_of(function, opcode)

    def run(computation: Any) -> None:  # py-evm's computation, as the class above makes it
        step = recorder.before(computation, opcode, name)
        try:
            function(computation=computation)
        except VMError as fault:
            recorder.after(computation, step, fault)
            raise
        except Halt:
            recorder.after(computation, step, None)
            raise
        recorder.after(computation, step, None)

    return run


def _name_of(function: Callable[..., Any], opcode: int) -> str:
    if opcode in _NAME_BY_OPCODE:
        return _NAME_BY_OPCODE[opcode]
    if isinstance(function, InvalidOpcode):
        return undefined_name_of(opcode)
    return str(getattr(function, "mnemonic", ""))
