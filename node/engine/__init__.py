"""The EVM behind one seam: what a list of raw transactions does to a state root.

`seam` holds the port (`Engine`) and its values; `py_evm` is the reference engine. Header
assembly, RLP and block hashes stay outside: an engine answers with roots, receipts and an opaque
handle to the state it computed, and writes nothing until that handle is committed. `estimate`
finds the smallest gas limit with nothing but `Engine.call`.
"""

from node.engine.estimate import estimate_gas
from node.engine.py_evm import HISTORY_ADDRESS, PyEvmEngine
from node.engine.seam import (
    ANCESTOR_HASHES_MAX,
    CALL_GAS_LIMIT_DEFAULT,
    AccountOverride,
    AccountState,
    Alloc,
    BlockEnv,
    Call,
    CallOutcome,
    CallStatus,
    Engine,
    Executed,
    GenesisAccount,
    GenesisStep,
    Handle,
    Included,
    LoadedGenesis,
    Skipped,
    SkipReason,
    skip_reason_of,
)

__all__ = [
    "ANCESTOR_HASHES_MAX",
    "CALL_GAS_LIMIT_DEFAULT",
    "HISTORY_ADDRESS",
    "AccountOverride",
    "AccountState",
    "Alloc",
    "BlockEnv",
    "Call",
    "CallOutcome",
    "CallStatus",
    "Engine",
    "Executed",
    "GenesisAccount",
    "GenesisStep",
    "Handle",
    "Included",
    "LoadedGenesis",
    "PyEvmEngine",
    "SkipReason",
    "Skipped",
    "estimate_gas",
    "skip_reason_of",
]
