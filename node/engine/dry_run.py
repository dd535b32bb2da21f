"""What a dry run is asked and what it gives: calls, overrides, outcomes, blocks of calls.

Nothing here is signed and nothing is kept. A call runs in a block's environment on a block's state; overrides
change either for that one run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from node.block import Log, Receipt
from node.primitives import Address, Hash32
from node.transaction import AccessListEntry

CALL_GAS_LIMIT_DEFAULT: Final = 16_000_000

SIMULATION_GAS_MAX: Final = 50_000_000
"""Gas that all calls of one simulation may use."""


@dataclass(frozen=True, slots=True)
class Call:
    """A dry run: nothing is signed, nothing is kept."""

    sender: Address
    to: Address | None
    """None: a creation."""
    data: bytes = b""
    value: int = 0
    gas_limit: int = CALL_GAS_LIMIT_DEFAULT
    gas_price: int = 0
    access_list: tuple[AccessListEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """What a dry run pretends about one account; None leaves it as it is."""

    balance: int | None = None
    nonce: int | None = None
    code: bytes | None = None
    storage: Mapping[int, int] | None = None
    """Slots to replace; others keep their values."""
    whole_storage: Mapping[int, int] | None = None
    """All the storage there is; excludes `storage`."""
    precompile_moved_to: Address | None = None
    """Where the precompiled contract of this address answers instead."""


@dataclass(frozen=True, slots=True)
class BlockOverrides:
    """What a dry run pretends about its block; None leaves it as it is."""

    number: int | None = None
    timestamp: int | None = None
    """UTC seconds."""
    gas_limit: int | None = None
    coinbase: Address | None = None
    prev_randao: Hash32 | None = None
    base_fee_per_gas: int | None = None
    blob_base_fee: int | None = None


class CallStatus(StrEnum):
    """How a dry run ended."""

    SUCCEEDED = "succeeded"
    REVERTED = "reverted"
    """By the contract's own REVERT; `data` is its reason."""
    HALTED = "halted"
    """By the EVM: out of gas, bad instruction ...; all gas is used."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a dry run gave."""

    status: CallStatus
    data: bytes
    """Return data, revert data, or empty after a halt."""
    gas_used: int
    gas_refunded: int = 0
    """Already subtracted from `gas_used`."""
    halt_reason: str = ""
    """The EVM's name for a halt, for people: "out of gas"."""


@dataclass(frozen=True, slots=True)
class CallAccesses:
    """What a call gave, and what it touched on its way, reverted parts too."""

    outcome: CallOutcome
    access_list: tuple[AccessListEntry, ...]
    """By address, then by key. Without what is warm from the start: the sender, the target, the coinbase and the
    precompiled contracts (an account among them stands here only with slots of its own), and without contracts
    that the call created."""


@dataclass(frozen=True, slots=True)
class DraftCall:
    """A call as it stands in a block of calls."""

    sender: Address
    to: Address | None
    """None: a creation."""
    data: bytes = b""
    value: int = 0
    gas_limit: int | None = None
    """None: what the block and the simulation have left."""
    nonce: int | None = None
    """None: the next one of the sender."""
    max_fee_per_gas: int = 0
    max_priority_fee_per_gas: int = 0
    access_list: tuple[AccessListEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftBlock:
    """Calls to run in one block, and what to pretend before."""

    calls: tuple[DraftCall, ...] = ()
    overrides: Mapping[Address, AccountOverride] = field(default_factory=dict)
    is_validated: bool = False
    """Nonces, fees and senders are checked as in a real block."""
    logs_transfers: bool = False
    """Each transfer of native coin is shown as a log of TRANSFER_LOG_ADDRESS."""
    gas_max: int = SIMULATION_GAS_MAX
    """Gas that the simulation has left for all the calls."""


@dataclass(frozen=True, slots=True)
class CallRun:
    """One call of a block of calls."""

    raw: bytes
    """As an unsigned transaction of type 2."""
    sender: Address
    outcome: CallOutcome
    receipt: Receipt
    logs: tuple[Log, ...]
    """Those of the receipt, and the transfers where they are asked for."""


@dataclass(frozen=True, slots=True)
class CallsRun:
    """What a block of calls did; its state is in memory only."""

    state_root: Hash32
    gas_used: int
    runs: tuple[CallRun, ...]
    handle: object
    """A `seam.Handle`, for the block on top of it."""
