"""What the wire says of every fault: one total table over the node's error tree.

Codes follow the JSON-RPC specification (-32700 to -32600), EIP-1474 (-32000 to -32005) and geth (3: execution reverted,
with the revert data; 4444: history pruned, with the first block kept), and EIP-7966 (4: a transaction sent and awaited
in vain, with its hash).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError

from node import errors
from node.errors import NodeError
from node.primitives import keccak
from node.rpc.codec.format import format_data, format_quantity
from node.telemetry import get_logger

REVERTED: Final = 3
NOT_INCLUDED_YET: Final = 4
REFUSED: Final = -32000
UNAVAILABLE: Final = -32002
OVER_LIMIT: Final = -32005
UNAUTHENTICATED: Final = -32011
FORBIDDEN: Final = -32012
PRUNED: Final = 4444
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_UNKNOWN: Final = -32601
INVALID_PARAMETERS: Final = -32602
INTERNAL: Final = -32603

# Of `eth_simulateV1`, as the Ethereum execution API specification numbers them.
BLOCK_OUT_OF_ORDER: Final = -38020
TIME_OUT_OF_ORDER: Final = -38021
PRECOMPILE_MOVED_TO_ITSELF: Final = -38022
PRECOMPILE_MOVE_CLASH: Final = -38023
SIMULATION_TOO_LARGE: Final = -38026

SIMULATED_CODE_BY_REFUSAL: Final[Mapping[type[NodeError], int]] = {
    errors.NonceTooLow: -38010,
    errors.NonceGap: -38011,
    errors.FeeCapBelowBaseFee: -38012,
    errors.GasBelowIntrinsic: -38013,
    errors.InsufficientFunds: -38014,
    errors.BlockGasExhausted: -38015,
    errors.SenderHasCode: -38024,
    errors.InitCodeTooLarge: -38025,
    errors.FeeCapBelowPriorityFee: INVALID_PARAMETERS,
}
"""The code of a simulated call that its block cannot hold, by the reason."""

CODE_BY_ERROR: Final[Mapping[type[NodeError], int]] = {
    errors.MalformedRlp: REFUSED,
    errors.TransactionTooLarge: REFUSED,
    errors.MalformedTransaction: REFUSED,
    errors.TransactionTypeUnsupported: REFUSED,
    errors.NotReplayProtected: REFUSED,
    errors.WrongChainId: REFUSED,
    errors.SignatureInvalid: REFUSED,
    errors.HighS: REFUSED,
    errors.GasLimitTooHigh: REFUSED,
    errors.InitCodeTooLarge: REFUSED,
    errors.GasBelowIntrinsic: REFUSED,
    errors.FeeCapBelowPriorityFee: REFUSED,
    errors.FeeCapBelowBaseFee: REFUSED,
    errors.NonceTooHigh: REFUSED,
    errors.NonceTooLow: REFUSED,
    errors.NonceGap: REFUSED,
    errors.InsufficientFunds: REFUSED,
    errors.SenderHasCode: REFUSED,
    errors.SenderNotPermitted: REFUSED,
    errors.BlockGasExhausted: REFUSED,
    errors.ExecutionImpossible: REFUSED,
    errors.TransactionAlreadyKnown: REFUSED,
    errors.ReplacementRefused: REFUSED,
    errors.CallRejected: REFUSED,
    errors.NoKeysHeld: REFUSED,
    errors.BlockUnknown: REFUSED,
    errors.FeeHistoryBeyondHead: REFUSED,
    errors.StatePruned: REFUSED,
    errors.PoolContentTooLarge: OVER_LIMIT,
    errors.LogQueryTooLarge: OVER_LIMIT,
    errors.LogRangeTooLarge: OVER_LIMIT,
    errors.CursorMalformed: INVALID_PARAMETERS,
    errors.CursorOfAnotherChain: INVALID_PARAMETERS,
    errors.HistoryPruned: PRUNED,
    errors.FilterUnknown: REFUSED,
    errors.FilterOutrun: OVER_LIMIT,
    errors.SubscriptionKindUnknown: METHOD_UNKNOWN,
    errors.SubscriptionUnknown: REFUSED,
    errors.SubscriptionLimitReached: OVER_LIMIT,
    errors.NotificationsUnsupported: METHOD_UNKNOWN,
    errors.PublicChainId: INTERNAL,
    errors.DeploymentFailed: INTERNAL,
    errors.GenesisMismatch: INTERNAL,
    errors.GenesisFileInvalid: INTERNAL,
    errors.NetworkFileInvalid: INTERNAL,
    errors.ProposalRejected: INTERNAL,
    errors.SettingsInvalid: INTERNAL,
    errors.KeyUnusable: INTERNAL,
    errors.CredentialsRefused: UNAUTHENTICATED,
    errors.MethodForbidden: FORBIDDEN,
    errors.RateExceeded: OVER_LIMIT,
    errors.MethodUnknown: METHOD_UNKNOWN,
    errors.ParameterInvalid: INVALID_PARAMETERS,
    errors.ParameterMissing: INVALID_PARAMETERS,
    errors.ParametersTooMany: INVALID_PARAMETERS,
    errors.ExecutionReverted: REVERTED,
    errors.ExecutionHalted: REFUSED,
    errors.DryRunTooLong: OVER_LIMIT,
    errors.TraceTooLarge: OVER_LIMIT,
    errors.NothingToTrace: REFUSED,
    errors.PaymentUnknown: REFUSED,
    errors.NothingToCertify: REFUSED,
    errors.SignedHeaderInvalid: INTERNAL,
    errors.SimulatedBlockOutOfOrder: BLOCK_OUT_OF_ORDER,
    errors.SimulationTooLarge: SIMULATION_TOO_LARGE,
    errors.SimulatedCallRefused: REFUSED,
    errors.PrecompileMovedToItself: PRECOMPILE_MOVED_TO_ITSELF,
    errors.PrecompileMoveClash: PRECOMPILE_MOVE_CLASH,
    errors.ChainFileInvalid: INTERNAL,
    errors.ChainFileAhead: INTERNAL,
    errors.SnapshotInvalid: INTERNAL,
    errors.BlockDiffers: INTERNAL,
    errors.FailpointRefused: INTERNAL,
    errors.EngineBinaryMissing: INTERNAL,
    errors.EngineVersionUnsupported: INTERNAL,
    errors.EngineQuestionRefused: INTERNAL,
    errors.EngineAnswerInvalid: INTERNAL,
    errors.LinkFrameInvalid: INTERNAL,
    errors.EngineMessageInvalid: INTERNAL,
    errors.StoreBusy: UNAVAILABLE,
    errors.PoolFull: UNAVAILABLE,
    errors.NotIncludedYet: NOT_INCLUDED_YET,
    errors.CursorAhead: UNAVAILABLE,
    errors.FilterTableFull: OVER_LIMIT,
    errors.CertificateNotReady: UNAVAILABLE,
    errors.CoreUnavailable: UNAVAILABLE,
    errors.CoreFailed: UNAVAILABLE,
    errors.EngineUnavailable: UNAVAILABLE,
    errors.DirectoryBusy: INTERNAL,
    errors.PortBusy: INTERNAL,
    errors.RulesUnknown: INTERNAL,
    errors.StoreVersionUnknown: INTERNAL,
    errors.StoreUnwritable: INTERNAL,
    errors.StoreCorrupt: INTERNAL,
    errors.StoreDiffers: INTERNAL,
    errors.StateMissing: INTERNAL,
    errors.EngineExhausted: INTERNAL,
    errors.ConsensusOutOfOrder: INTERNAL,
}
"""The code on the wire of every leaf of the error tree."""

ERROR_STRING_SELECTOR: Final = keccak(b"Error(string)")[:4]
PANIC_SELECTOR: Final = keccak(b"Panic(uint256)")[:4]
PANIC_BYTES: Final = 36
PANIC_WORDS: Final[Mapping[int, str]] = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
"""What tools know Solidity's panic codes as."""


@dataclass(frozen=True, slots=True)
class WireError:
    """The error object of a JSON-RPC answer."""

    code: int
    message: str
    data: str | None = None


def describe_error(error: NodeError) -> WireError:
    """What the wire says of an error: total over the tree."""
    code = CODE_BY_ERROR.get(type(error), INTERNAL)
    if isinstance(error, errors.ExecutionReverted):
        reason = revert_reason(error.revert_data)
        message = f"{error}: {reason}" if reason else str(error)
        return WireError(code, message, format_data(error.revert_data))
    if isinstance(error, errors.SimulatedCallRefused):
        code = SIMULATED_CODE_BY_REFUSAL.get(type(error.refusal), code)
    if isinstance(error, errors.SimulatedBlockOutOfOrder) and error.what == "timestamp":
        code = TIME_OUT_OF_ORDER
    if isinstance(error, errors.NotIncludedYet):
        return WireError(code, str(error), format_data(error.transaction_hash))
    if isinstance(error, errors.HistoryPruned):
        return WireError(code, str(error), format_quantity(error.first_number))
    if code == INTERNAL:
        get_logger().error("rpc_internal_error", error=type(error).__name__, fault=str(error))
        return WireError(code, f"internal error: {type(error).__name__}")
    return WireError(code, str(error))


def revert_reason(data: bytes) -> str:
    """The text of `Error(string)`, the words for `Panic(uint256)`; empty for any other revert data."""
    if data.startswith(PANIC_SELECTOR) and len(data) >= PANIC_BYTES:
        code = int.from_bytes(data[4:PANIC_BYTES], "big")
        return PANIC_WORDS.get(code, f"unknown panic code: {code:#x}")
    if not data.startswith(ERROR_STRING_SELECTOR):
        return ""
    try:
        (reason,) = decode_abi(["string"], data[4:])
    except (DecodingError, UnicodeDecodeError):
        return ""
    return str(reason)
