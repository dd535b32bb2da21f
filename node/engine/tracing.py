"""The two traces: every instruction of a run, or every call within it."""

from collections.abc import Callable
from typing import Final, TypeVar, assert_never, cast

from eth.abc import ComputationAPI, MessageAPI
from eth.exceptions import (
    FullStack,
    InsufficientStack,
    InvalidInstruction,
    OutOfGas,
    Revert,
    VMError,
)

from node.block import Log
from node.engine.dry_run import CallOutcome, CallStatus
from node.engine.execution import halt_reason_of
from node.engine.recording import CREATIONS, RecordedComputation, recorded_class_of
from node.engine.trace import (
    FRAMES_DEEP_MAX,
    STEP_BYTES,
    TRACE_BYTES_MAX,
    CallFrame,
    CallFrameOptions,
    FrameLog,
    FrameTrace,
    StructLog,
    StructLogOptions,
    StructTrace,
    Trace,
    TraceOptions,
)
from node.engine.world_state import WorldState
from node.errors import TraceTooLarge
from node.primitives import Address, Hash32, created_address
from node.transaction import decode_transaction, recover_sender

_SLOAD: Final = 0x54
_SSTORE: Final = 0x55
_SELFDESTRUCT: Final = "SELFDESTRUCT"
_CALLS: Final = frozenset({0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA, 0xFF})

_SHOWN_ON_STEP: Final = (OutOfGas, InsufficientStack, FullStack, InvalidInstruction)
"""Faults found before the instruction acts; only these stand on its own step."""


class Budget:
    """The bytes that the traces of one answer have left."""

    def __init__(self, bytes_max: int = TRACE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._left = bytes_max

    def take(self, size: int) -> None:
        """Count what is recorded; raises TraceTooLarge."""
        self._left -= STEP_BYTES + size
        if self._left < 0:
            raise TraceTooLarge(self._bytes_max)


_Ran = TypeVar("_Ran")


class Recording:
    """One recorder of one run, and the trace it makes."""

    def __init__(self, options: TraceOptions, budget: Budget, top: CallFrame) -> None:
        self._top = top
        self._recorder: StructLogRecorder | CallFrameRecorder
        match options:
            case StructLogOptions():
                self._recorder = StructLogRecorder(options, budget)
            case CallFrameOptions():
                self._recorder = CallFrameRecorder(options, budget, top)
            case _:
                assert_never(options)

    def of(self, state: WorldState, run: Callable[[], _Ran]) -> _Ran:
        """Return what the run gives, recorded."""
        kind = state.computation_class
        state.computation_class = recorded_class_of(kind, self._recorder)
        try:
            return run()
        finally:
            state.computation_class = kind

    def trace(self, outcome: CallOutcome, transaction_hash: Hash32 | None) -> Trace:
        """Return what was recorded."""
        if isinstance(self._recorder, CallFrameRecorder):
            _close_frame(self._top, outcome)
            _number_logs(self._top)
            return FrameTrace(transaction_hash, self._top)
        return StructTrace(
            transaction_hash=transaction_hash,
            gas_used=outcome.gas_used,
            succeeded=outcome.status is CallStatus.SUCCEEDED,
            data=outcome.data,
            steps=tuple(self._recorder.steps),
        )


def top_frame_of(raw: bytes) -> CallFrame:
    """Return the frame of a transaction, to be filled."""
    transaction = decode_transaction(raw)
    sender, to = recover_sender(transaction), transaction.to
    return CallFrame(
        kind="CREATE" if to is None else "CALL",
        sender=sender,
        to=created_address(sender, transaction.nonce) if to is None else to,
        value=transaction.value,
        gas=transaction.gas_limit,
        data=transaction.data,
    )


class StructLogRecorder:
    """Records each instruction."""

    def __init__(self, options: StructLogOptions, budget: Budget) -> None:
        self._options = options
        self._budget = budget
        self._storage_by_address: dict[Address, dict[int, int]] = {}
        self._outer_refunds = [0]
        self.steps: list[StructLog] = []

    def wants(self, _opcode: int) -> bool:
        """Every instruction."""
        return True

    def before(self, computation: RecordedComputation, opcode: int, name: str) -> StructLog | None:
        """Record the machine as the instruction finds it; None past the steps asked for.

        Nor is there a step where there is no code: what stops there is no instruction.
        """
        if not computation.msg.code or 0 < self._options.steps_max <= len(self.steps):
            return None
        options = self._options
        computation.meter.begin_instruction()
        needs_stack = options.has_stack or opcode in (_SLOAD, _SSTORE)
        stack = computation.shown_stack() if needs_stack else ()
        step = StructLog(
            pc=computation.shown_pc(opcode),
            op=name,
            gas=computation.meter.gas_remaining,
            gas_cost=0,
            depth=computation.msg.depth + 1,
            refund=self._refund_at(computation),
            stack=stack if options.has_stack else None,
            memory=computation.shown_memory() if options.has_memory else None,
            return_data=computation.shown_return_data() if options.has_return_data else None,
            storage=self._storage_after(computation, opcode, stack),
        )
        self._budget.take(
            32 * len(step.stack or ())
            + len(step.memory or b"")
            + len(step.return_data or b"")
            + 64 * len(step.storage or ())
        )
        self.steps.append(step)
        return step

    def after(
        self, computation: RecordedComputation, step: StructLog | None, fault: VMError | None
    ) -> None:
        """Record what the instruction cost, and why it failed."""
        if step is None:
            return
        step.gas_cost = computation.meter.charged - computation.meter.passed_to_creation
        if step.op == "SSTORE":
            step.refund = self._refund_at(computation)
        if isinstance(fault, _SHOWN_ON_STEP):
            step.error = halt_reason_of(fault)

    def begin(self, computation: RecordedComputation, _message: MessageAPI) -> None:
        """Set the caller's refunds aside."""
        self._outer_refunds.append(self._refund_at(computation))

    def end(self, computation: RecordedComputation, child: ComputationAPI | None) -> None:
        """Add the refunds of a call that did not fail."""
        self._outer_refunds.pop()
        if child is not None and child.is_success:
            recorded = cast(RecordedComputation, child)
            computation.children_refund += recorded.meter.gas_refunded + recorded.children_refund

    def log(self, log: Log) -> None:
        """Nothing: a log is an instruction like others."""

    def _refund_at(self, computation: RecordedComputation) -> int:
        own = computation.meter.gas_refunded + computation.children_refund
        return self._outer_refunds[-1] + own

    def _storage_after(
        self, computation: RecordedComputation, opcode: int, stack: tuple[int, ...]
    ) -> dict[int, int] | None:
        if not self._options.has_storage or opcode not in (_SLOAD, _SSTORE):
            return None
        if len(stack) < (2 if opcode == _SSTORE else 1):
            return None
        slot = stack[-1]
        value = stack[-2] if opcode == _SSTORE else computation.slot(slot)
        seen = self._storage_by_address.setdefault(computation.msg.storage_address, {})
        seen[slot] = value
        return dict(seen)


class CallFrameRecorder:
    """Records each call within a call."""

    def __init__(self, options: CallFrameOptions, budget: Budget, top: CallFrame) -> None:
        """`top` is the frame of the transaction itself; its calls and logs are recorded into it."""
        self._options = options
        self._budget = budget
        self._frames = [top]
        self._kind = ""
        self._stack: tuple[int, ...] | None = None
        budget.take(len(top.data))

    def wants(self, opcode: int) -> bool:
        """Calls, creations and self-destructions."""
        return opcode in _CALLS

    def before(self, computation: RecordedComputation, _opcode: int, name: str) -> None:
        """Remember which instruction calls, and with what; record a self-destruction."""
        computation.meter.begin_instruction()
        self._kind = name
        self._stack = computation.shown_stack()
        if name == _SELFDESTRUCT and self._stack:
            own = computation.msg.storage_address
            heir = _address_of(self._stack[-1])
            self._add(CallFrame(name, own, heir, computation.balance(), 0, b""))

    def after(
        self, computation: RecordedComputation, _step: StructLog | None, fault: VMError | None
    ) -> None:
        """Record a call that could not begin; take back a self-destruction that failed."""
        stack, self._stack = self._stack, None
        if stack is None or self._options.has_only_top:
            return
        if self._kind != _SELFDESTRUCT:
            if fault is None:
                self._add(_unbegun_frame(computation, self._kind, stack[::-1]))
        elif fault is not None and stack:
            self._take_back()

    def begin(self, computation: RecordedComputation, message: MessageAPI) -> None:
        """Open a frame."""
        self._stack = None
        creates = message.is_create
        frame = CallFrame(
            kind=self._kind,
            sender=computation.msg.storage_address,
            to=message.storage_address if creates else message.code_address,
            value=None if self._kind == "STATICCALL" else message.value,
            gas=message.gas,
            data=bytes(message.code if creates else message.data),
        )
        self._add(frame)
        self._frames.append(frame)
        if len(self._frames) > FRAMES_DEEP_MAX and not self._options.has_only_top:
            raise TraceTooLarge(TRACE_BYTES_MAX)

    def end(self, _computation: RecordedComputation, child: ComputationAPI | None) -> None:
        """Close it."""
        frame = self._frames.pop()
        if child is None:
            self._take_back()
            return
        frame.gas_used = child.get_gas_used()
        status = CallStatus.SUCCEEDED
        reason = ""
        if child.is_error:
            is_revert = isinstance(child.error, Revert)
            status = CallStatus.REVERTED if is_revert else CallStatus.HALTED
            reason = "" if is_revert else halt_reason_of(child.error)
        output = b"" if status is CallStatus.HALTED else bytes(child.output)
        _close_frame(frame, CallOutcome(status, output, frame.gas_used, halt_reason=reason))

    def log(self, log: Log) -> None:
        """Record a log in its frame."""
        if not self._options.has_logs or (self._options.has_only_top and len(self._frames) > 1):
            return
        self._budget.take(len(log.data) + 32 * len(log.topics))
        frame = self._frames[-1]
        if frame.logs is None:
            frame.logs = []
        frame.logs.append(FrameLog(log, len(frame.calls or ()), 0))

    def _add(self, frame: CallFrame) -> None:
        if self._options.has_only_top:
            return
        self._budget.take(len(frame.data))
        parent = self._frames[-1]
        if parent.calls is None:
            parent.calls = []
        parent.calls.append(frame)

    def _take_back(self) -> None:
        """Forget the frame added last: what it stood for never happened."""
        if not self._options.has_only_top and self._frames[-1].calls:
            self._frames[-1].calls.pop()


def _unbegun_frame(
    computation: RecordedComputation, kind: str, stack: tuple[int, ...]
) -> CallFrame:
    """Return the frame of a call that its caller could not begin; the stack is the top's first.

    The EVM's own limit of depth is no cause here: frames end far above it.
    """
    creates = kind in CREATIONS
    names_value = kind in ("CALL", "CALLCODE")
    value = stack[0] if creates else stack[2] if names_value else 0
    start, size = stack[1:3] if creates else stack[3:5] if names_value else stack[2:4]
    meter = computation.meter
    gas = meter.returned
    if creates:
        gas = meter.passed_to_creation or meter.gas_remaining - meter.gas_remaining // 64
    frame = CallFrame(
        kind=kind,
        sender=computation.msg.storage_address,
        to=None if creates else _address_of(stack[1]),
        value={"STATICCALL": None, "DELEGATECALL": computation.msg.value}.get(kind, value),
        gas=gas,
        data=computation.shown_memory()[start : start + size],
    )
    if value > computation.balance():
        frame.error = "insufficient balance for transfer"
    else:
        frame.gas_used, frame.error = gas, "contract address collision"
    return frame


def _address_of(word: int) -> Address:
    return Address(word.to_bytes(32, "big")[12:])


def _close_frame(frame: CallFrame, outcome: CallOutcome) -> None:
    """Write into a frame how it ended; what failed has no logs, nor has anything within it."""
    frame.gas_used, frame.output = outcome.gas_used, outcome.data
    if outcome.status is CallStatus.SUCCEEDED:
        return
    frame.error = (
        "execution reverted" if outcome.status is CallStatus.REVERTED else outcome.halt_reason
    )
    if frame.kind in CREATIONS:
        frame.to = None
    _drop_logs(frame)


def _number_logs(frame: CallFrame, index: int = 0) -> int:
    """Give the logs of a finished frame their index in order; return the next index."""
    calls = frame.calls or []
    begun = 0
    numbered = []
    for log in frame.logs or []:
        while begun < log.position:
            index = _number_logs(calls[begun], index)
            begun += 1
        numbered.append(FrameLog(log.log, log.position, index))
        index += 1
    for call in calls[begun:]:
        index = _number_logs(call, index)
    frame.logs = numbered or None
    return index


def _drop_logs(frame: CallFrame) -> None:
    frame.logs = None
    for call in frame.calls or []:
        _drop_logs(call)
