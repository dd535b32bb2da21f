"""What a trace holds: each instruction (struct logs), or each call within a call (call frames).

The two tracers that geth's users know by these names. A trace is bounded by TRACE_BYTES_MAX, counted as it is
recorded; past it the whole trace is refused.
"""

from dataclasses import dataclass
from typing import Final

from node.block import Log
from node.primitives import Address, Hash32

TRACE_BYTES_MAX: Final = 8 * 1024 * 1024
"""What one answer's traces may hold together: bytes of stacks, memories, data, and STEP_BYTES for each step."""

STEP_BYTES: Final = 64
"""What a step, a frame or a log counts for besides the bytes it holds."""

FRAMES_DEEP_MAX: Final = 128
"""How deep recorded frames may stand in each other: a deeper answer no JSON reader would take."""


@dataclass(frozen=True, slots=True)
class StructLogOptions:
    """What the struct logs hold, and how many there are."""

    has_memory: bool = False
    has_stack: bool = True
    has_storage: bool = True
    has_return_data: bool = False
    steps_max: int = 0
    """Steps recorded; those after are run and not recorded. 0: all."""


@dataclass(frozen=True, slots=True)
class CallFrameOptions:
    """What the call frames hold."""

    has_only_top: bool = False
    has_logs: bool = False


TraceOptions = StructLogOptions | CallFrameOptions


@dataclass(slots=True)
class StructLog:
    """One instruction, as it stood before it ran."""

    pc: int
    op: str
    gas: int
    gas_cost: int
    """What it charged, with the gas it passes on to a call and without that of a creation."""
    depth: int
    """From 1."""
    refund: int
    stack: tuple[int, ...] | None = None
    memory: bytes | None = None
    return_data: bytes | None = None
    storage: dict[int, int] | None = None
    """Slots of the contract loaded or stored so far; only where the instruction loads or stores."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class StructTrace:
    """The instructions of one transaction."""

    transaction_hash: Hash32 | None
    """None: a call."""
    gas_used: int
    succeeded: bool
    data: bytes
    """Return data or revert data; empty after a halt."""
    steps: tuple[StructLog, ...]


@dataclass(frozen=True, slots=True)
class FrameLog:
    """A log of a frame that was not reverted."""

    log: Log
    position: int
    """How many calls the frame had made before."""
    index: int
    """Among the logs of the transaction."""


@dataclass(slots=True)
class CallFrame:
    """One call, creation or self-destruction, with those it made."""

    kind: str
    """The instruction: CALL, STATICCALL, DELEGATECALL, CALLCODE, CREATE, CREATE2, SELFDESTRUCT."""
    sender: Address
    to: Address | None
    value: int | None
    gas: int
    data: bytes
    gas_used: int = 0
    output: bytes = b""
    error: str = ""
    calls: list["CallFrame"] | None = None
    logs: list[FrameLog] | None = None


@dataclass(frozen=True, slots=True)
class FrameTrace:
    """The calls of one transaction."""

    transaction_hash: Hash32 | None
    """None: a call."""
    top: CallFrame


Trace = StructTrace | FrameTrace
