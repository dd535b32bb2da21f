"""The EVM behind one seam: what a list of raw transactions does to a state root.

`seam` holds the port (`Engine`) and its values, with those of `dry_run`, `proof` and `trace`; `py_evm` is the reference
engine, on `world_state`, `execution`, `tracing` and `draft`, which alone know py-evm. Header assembly, RLP and block
hashes stay outside: an engine answers with roots, receipts and an opaque handle to the state it computed, and writes
nothing until that handle is committed. `estimate`, `access_list` and `simulation` need nothing but the port.
"""

from node.engine.access_list import AccessList, create_access_list
from node.engine.account_state import AccountState
from node.engine.dry_run import (
    CALL_GAS_LIMIT_DEFAULT,
    AccountOverride,
    BlockOverrides,
    Call,
    CallAccesses,
    CallOutcome,
    CallRun,
    CallsRun,
    CallStatus,
    DraftBlock,
    DraftCall,
)
from node.engine.estimate import estimate_gas
from node.engine.execution import HISTORY_ADDRESS
from node.engine.proof import AccountProof, StorageProof
from node.engine.py_evm import PyEvmEngine
from node.engine.seam import (
    ANCESTOR_HASHES_MAX,
    Alloc,
    BlockEnv,
    Engine,
    Executed,
    GenesisAccount,
    GenesisStep,
    Handle,
    Included,
    LoadedGenesis,
    Skipped,
    SkipReason,
    TracedBlock,
    skip_reason_of,
)
from node.engine.simulation import Simulated, SimulatedBlock, Simulation
from node.engine.trace import (
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

__all__ = [
    "ANCESTOR_HASHES_MAX",
    "CALL_GAS_LIMIT_DEFAULT",
    "HISTORY_ADDRESS",
    "AccessList",
    "AccountOverride",
    "AccountProof",
    "AccountState",
    "Alloc",
    "BlockEnv",
    "BlockOverrides",
    "Call",
    "CallAccesses",
    "CallFrame",
    "CallFrameOptions",
    "CallOutcome",
    "CallRun",
    "CallStatus",
    "CallsRun",
    "DraftBlock",
    "DraftCall",
    "Engine",
    "Executed",
    "FrameLog",
    "FrameTrace",
    "GenesisAccount",
    "GenesisStep",
    "Handle",
    "Included",
    "LoadedGenesis",
    "PyEvmEngine",
    "Simulated",
    "SimulatedBlock",
    "Simulation",
    "SkipReason",
    "Skipped",
    "StorageProof",
    "StructLog",
    "StructLogOptions",
    "StructTrace",
    "Trace",
    "TraceOptions",
    "TracedBlock",
    "create_access_list",
    "estimate_gas",
    "skip_reason_of",
]
