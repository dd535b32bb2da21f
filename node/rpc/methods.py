"""What each JSON-RPC call means: typed functions over the committed history, the EVM and the core.

Reads come from this process's own view of the store; only submission and the pool's three questions
cross the link to the core. Committed state alone is served: `latest`, `safe` and `finalized` are
one block, and `pending` is the same state in the environment of the next block, in which estimates
run too.

Errors: every leaf of the node's error tree stands in `CODE_BY_ERROR` once. Codes follow the JSON-RPC
specification (-32700 to -32600), EIP-1474 (-32000 to -32005) and geth (3: execution reverted, with the
revert data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError

from node import errors
from node.block import Block, Header
from node.chain import Clock
from node.engine import BlockEnv, CallOutcome, CallStatus, Engine, estimate_gas
from node.engine.seam import ANCESTOR_HASHES_MAX
from node.errors import BlockUnknown, MethodUnknown, NodeError, ParameterInvalid
from node.history import History, LogFilter
from node.link import Intake
from node.primitives import Hash32, keccak
from node.rpc.budget import Budget
from node.rpc.codec import (
    BlockReference,
    BlockTag,
    Json,
    JsonObject,
    TransactionPlace,
    format_block,
    format_data,
    format_log_record,
    format_quantity,
    format_receipt,
    format_transaction,
    parse_address,
    parse_block_reference,
    parse_call,
    parse_data,
    parse_flag,
    parse_hash,
    parse_log_query,
    parse_percentiles,
    parse_quantity,
    parse_slot,
)
from node.rpc.server import WireError
from node.specification import Specification
from node.telemetry import get_logger
from node.transaction import check_transaction, decode_transaction, recover_sender

FEE_HISTORY_BLOCKS_MAX: Final = 1_024
"""Blocks of one `eth_feeHistory` answer."""

REVERTED: Final = 3
REFUSED: Final = -32000
NOT_FOUND: Final = -32001
UNAVAILABLE: Final = -32002
OVER_LIMIT: Final = -32005
METHOD_UNKNOWN: Final = -32601
INVALID_PARAMETERS: Final = -32602
INTERNAL: Final = -32603

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
    errors.BlockUnknown: NOT_FOUND,
    errors.LogQueryTooLarge: OVER_LIMIT,
    errors.PublicChainId: INTERNAL,
    errors.DeploymentFailed: INTERNAL,
    errors.GenesisMismatch: INTERNAL,
    errors.GenesisFileInvalid: INTERNAL,
    errors.NetworkFileInvalid: INTERNAL,
    errors.ProposalRejected: INTERNAL,
    errors.MethodUnknown: METHOD_UNKNOWN,
    errors.ParameterInvalid: INVALID_PARAMETERS,
    errors.ExecutionReverted: REVERTED,
    errors.ExecutionHalted: REFUSED,
    errors.DryRunTooLong: OVER_LIMIT,
    errors.LinkFrameInvalid: INTERNAL,
    errors.StoreBusy: UNAVAILABLE,
    errors.PoolFull: UNAVAILABLE,
    errors.CoreUnavailable: UNAVAILABLE,
    errors.CoreFailed: UNAVAILABLE,
    errors.DirectoryBusy: INTERNAL,
    errors.PortBusy: INTERNAL,
    errors.RulesUnknown: INTERNAL,
    errors.StoreVersionUnknown: INTERNAL,
    errors.StoreUnwritable: INTERNAL,
    errors.StoreCorrupt: INTERNAL,
    errors.StateMissing: INTERNAL,
    errors.EngineExhausted: INTERNAL,
}
"""The code on the wire of every leaf of the error tree."""

ERROR_STRING_SELECTOR: Final = keccak(b"Error(string)")[:4]


Watch = Callable[[], None]
"""Raises `DryRunTooLong` once the caller's time is over."""


@dataclass(frozen=True, slots=True)
class Methods:
    """The node's JSON-RPC methods. Implements `rpc.server.Dispatcher`; safe between threads."""

    specification: Specification
    history: History
    engine: Engine
    core: Intake
    clock: Clock
    client_version: str

    def dispatch(self, method: str, params: list[Json], budget: Budget) -> Json | WireError:
        """The result of a call, or the error to answer with. Never raises."""
        try:
            return self._call(method, params, budget)
        except NodeError as error:
            return describe_error(error)
        except Exception:  # noqa: BLE001 - outermost loop: a fault of ours must not end the process
            get_logger().exception("rpc_method_failed", method=method)
            return WireError(INTERNAL, "internal error")

    def is_heavy(self, method: str) -> bool:
        """Whether a call may take seconds of the machine."""
        return method in HEAVY_METHODS

    def _call(self, name: str, params: list[Json], budget: Budget) -> Json:
        method = METHODS.get(name)
        if method is None:
            raise MethodUnknown(name)
        function, required, allowed = method
        if not required <= len(params) <= allowed:
            raise ParameterInvalid("params", f"{name} takes {required} to {allowed} values")
        if name in DRY_RUN_METHODS:
            return function(self, *params, watch=_watch_of(budget))
        return function(self, *params)

    # The network and the node.

    def eth_chain_id(self) -> str:
        """The EIP-155 chain id."""
        return format_quantity(self.specification.chain_id)

    def net_version(self) -> str:
        """The chain id in decimal."""
        return str(self.specification.chain_id)

    def web3_client_version(self) -> str:
        """Name and version of this software."""
        return self.client_version

    def web3_sha3(self, data: Json) -> str:
        """The Keccak-256 of data."""
        return format_data(keccak(parse_data(data, name="data")))

    def eth_accounts(self) -> list[str]:
        """The accounts this node signs for: none, ever."""
        return []

    def eth_syncing(self) -> bool:
        """Whether the node is behind: it serves what it has committed."""
        return False

    def eth_block_number(self) -> str:
        """The newest block's number."""
        return format_quantity(self.history.head().number)

    def eth_gas_price(self) -> str:
        """What a unit of gas costs: nothing."""
        return format_quantity(0)

    def eth_fee_history(self, count: Json, newest: Json, percentiles: Json = None) -> JsonObject:
        """Base fees (all zero) and how full the blocks were; rewards only where they are asked for."""
        wanted = parse_percentiles(percentiles, name="rewardPercentiles")
        blocks = min(parse_quantity(count, name="blockCount"), FEE_HISTORY_BLOCKS_MAX)
        last = self._header(parse_block_reference(newest, name="newestBlock"))
        first = max(0, last.number + 1 - blocks)
        headers = [self._header(number) for number in range(first, last.number + 1)]
        answer: JsonObject = {
            "oldestBlock": format_quantity(first),
            "baseFeePerGas": [format_quantity(0)] * (len(headers) + 1),
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        }
        if wanted:
            answer["reward"] = [[format_quantity(0)] * len(wanted)] * len(headers)
        return answer

    # Blocks, transactions, receipts, logs.

    def eth_get_block_by_number(self, reference: Json, full: Json = False) -> JsonObject | None:  # noqa: FBT002 - the wire's own parameter
        """A block by number or tag; null where there is none."""
        parsed = parse_block_reference(reference, name="block")
        return self._format_block(self._block(parsed), parse_flag(full, name="full"))

    def eth_get_block_by_hash(self, block_hash: Json, full: Json = False) -> JsonObject | None:  # noqa: FBT002 - the wire's own parameter
        """A block by hash; null where there is none."""
        parsed = parse_hash(block_hash, name="hash")
        return self._format_block(self._block(parsed), parse_flag(full, name="full"))

    def eth_get_block_transaction_count(self, reference: Json) -> str | None:
        """How many transactions a block holds."""
        block = self._block(parse_block_reference(reference, name="block"))
        return None if block is None else format_quantity(len(block.transactions))

    def eth_get_block_receipts(self, reference: Json) -> list[JsonObject] | None:
        """The receipts of a block in order."""
        block = self._block(parse_block_reference(reference, name="block"))
        if block is None:
            return None
        hashes = [decode_transaction(raw).hash for raw in block.transactions]
        return [self.eth_get_transaction_receipt(format_data(each)) or {} for each in hashes]

    def eth_get_transaction_by_hash(self, transaction_hash: Json) -> JsonObject | None:
        """A committed transaction, or one in the pool; null where there is none."""
        parsed = parse_hash(transaction_hash, name="hash")
        record = self.history.transaction(parsed)
        if record is None:
            pooled = self.core.pooled_transaction(parsed)
            if pooled is not None:
                return format_transaction(decode_transaction(pooled.raw), pooled.sender, None)
            # It may have left the pool for a block since the first look.
            record = self.history.transaction(parsed)
        if record is not None:
            place = TransactionPlace(record.block_hash, record.number, record.position)
            return format_transaction(decode_transaction(record.raw), record.sender, place)
        return None

    def eth_get_transaction_receipt(self, transaction_hash: Json) -> JsonObject | None:
        """The receipt of a committed transaction; null where there is none."""
        record = self.history.receipt(parse_hash(transaction_hash, name="hash"))
        return None if record is None else format_receipt(record, decode_transaction(record.raw))

    def eth_get_logs(self, query: Json) -> list[JsonObject]:
        """The logs that match a filter, in order, from the log index."""
        parsed = parse_log_query(query, name="filter")
        head = self.history.head().number
        first, last = self._number(parsed.first, head), self._number(parsed.last, head)
        if last < first:
            raise ParameterInvalid("filter", "fromBlock is above toBlock")
        log_filter = LogFilter(first, min(last, head), parsed.addresses, parsed.topics)
        return [format_log_record(record) for record in self.history.logs(log_filter)]

    # State.

    def eth_get_balance(self, address: Json, reference: Json = None) -> str:
        """The native balance of an account."""
        root = self._state_root(reference)
        account = self.engine.account(root, parse_address(address, name="address"))
        return format_quantity(account.balance)

    def eth_get_code(self, address: Json, reference: Json = None) -> str:
        """The code of an account."""
        root = self._state_root(reference)
        return format_data(self.engine.code(root, parse_address(address, name="address")))

    def eth_get_storage_at(self, address: Json, slot: Json, reference: Json = None) -> str:
        """One storage slot of an account, as 32 bytes."""
        root = self._state_root(reference)
        value = self.engine.storage(
            root, parse_address(address, name="address"), parse_slot(slot, name="slot")
        )
        return format_data(value.to_bytes(32, "big"))

    def eth_get_transaction_count(self, address: Json, reference: Json = None) -> str:
        """The nonce of an account; at `pending` the first one no executable transaction has taken."""
        sender = parse_address(address, name="address")
        if parse_block_reference(reference, name="block") is BlockTag.PENDING:
            return format_quantity(self.core.next_nonce(sender))
        return format_quantity(self.engine.account(self._state_root(reference), sender).nonce)

    # Execution.

    def eth_call(self, call: Json, reference: Json = None, *, watch: Watch) -> str:
        """What a call returns; an error where it reverts or halts."""
        parsed = parse_call(call, name="call")
        env, root = self._environment(parse_block_reference(reference, name="block"))
        outcome = self.engine.call(env, root, parsed, watch=watch)
        _check_outcome(outcome)
        return format_data(outcome.data)

    def eth_estimate_gas(self, call: Json, reference: Json = None, *, watch: Watch) -> str:
        """A gas limit under which the transaction succeeds in the next block."""
        parsed = parse_call(call, name="call")
        env, root = self._environment(
            _of_next_block(parse_block_reference(reference, name="block"))
        )
        estimate = estimate_gas(self.engine, env, root, parsed, watch=watch)
        if isinstance(estimate, CallOutcome):
            _check_outcome(estimate)
            raise errors.ExecutionHalted("gas required exceeds allowance")
        return format_quantity(estimate)

    def eth_send_raw_transaction(self, raw: Json) -> str:
        """Submits a signed transaction; its hash."""
        encoded = parse_data(raw, name="transaction")
        rules = self.specification.rules_at(self.history.head().number + 1)
        check_transaction(encoded, chain_id=self.specification.chain_id, rules=rules)
        return format_data(self.core.submit(encoded))

    def txpool_status(self) -> JsonObject:
        """How many pooled transactions are executable (pending) and waiting (queued)."""
        status = self.core.pool_status()
        return {
            "pending": format_quantity(status.executable),
            "queued": format_quantity(status.waiting),
        }

    def _block(self, reference: BlockReference) -> Block | None:
        match reference:
            case bytes():
                return self.history.block_by_hash(reference)
            case int():
                return self.history.block(reference)
            case BlockTag.EARLIEST:
                return self.history.block(0)
            case _:
                return self.history.block(self.history.head().number)

    def _header(self, reference: BlockReference) -> Header:
        match reference:
            case bytes():
                header = self.history.header_by_hash(reference)
            case int():
                header = self.history.header(reference)
            case BlockTag.EARLIEST:
                header = self.history.header(0)
            case _:
                return self.history.head()
        if header is None:
            raise _unknown(reference)
        return header

    def _number(self, reference: BlockReference, head: int) -> int:
        match reference:
            case int():
                return reference
            case bytes() | BlockTag.EARLIEST:
                return self._header(reference).number
            case _:
                return head

    def _state_root(self, reference: Json) -> Hash32:
        return self._header(parse_block_reference(reference, name="block")).state_root

    def _environment(self, reference: BlockReference) -> tuple[BlockEnv, Hash32]:
        """The environment of a block with the state after it; for `pending`, the next block's."""
        header = self._header(reference)
        number, timestamp = header.number, header.timestamp
        if reference is BlockTag.PENDING:
            number, timestamp = number + 1, max(timestamp, self.clock.now())
        env = BlockEnv(
            chain_id=self.specification.chain_id,
            number=number,
            timestamp=timestamp,
            rules=self.specification.rules_at(number),
            ancestor_hashes=self.history.ancestor_hashes(number, ANCESTOR_HASHES_MAX),
        )
        return env, header.state_root

    def _format_block(self, block: Block | None, is_full: bool) -> JsonObject | None:  # noqa: FBT001 - the wire's own parameter
        if block is None:
            return None
        decoded = [decode_transaction(raw) for raw in block.transactions]
        if not is_full:
            return format_block(block, [format_data(each.hash) for each in decoded])
        number, block_hash = block.header.number, block.header.hash
        return format_block(
            block,
            [
                format_transaction(
                    each, recover_sender(each), TransactionPlace(block_hash, number, position)
                )
                for position, each in enumerate(decoded)
            ],
        )


def describe_error(error: NodeError) -> WireError:
    """What the wire says of an error: total over the tree."""
    code = CODE_BY_ERROR.get(type(error), INTERNAL)
    if isinstance(error, errors.ExecutionReverted):
        reason = _revert_reason(error.revert_data)
        message = f"{error}: {reason}" if reason else str(error)
        return WireError(code, message, format_data(error.revert_data))
    if code == INTERNAL:
        get_logger().error("rpc_internal_error", error=type(error).__name__, fault=str(error))
        return WireError(code, f"internal error: {type(error).__name__}")
    return WireError(code, str(error))


def _revert_reason(data: bytes) -> str:
    """The text of `Error(string)`; empty for any other revert data."""
    if not data.startswith(ERROR_STRING_SELECTOR):
        return ""
    try:
        (reason,) = decode_abi(["string"], data[4:])
    except (DecodingError, UnicodeDecodeError):
        return ""
    return str(reason)


def _watch_of(budget: Budget) -> Watch:
    def watch() -> None:
        if budget.is_spent():
            raise errors.DryRunTooLong

    return watch


def _check_outcome(outcome: CallOutcome) -> None:
    if outcome.status is CallStatus.REVERTED:
        raise errors.ExecutionReverted(outcome.data)
    if outcome.status is CallStatus.HALTED:
        raise errors.ExecutionHalted(outcome.halt_reason)


def _of_next_block(reference: BlockReference) -> BlockReference:
    is_tag = isinstance(reference, BlockTag) and reference is not BlockTag.EARLIEST
    return BlockTag.PENDING if is_tag else reference


def _unknown(reference: BlockReference) -> BlockUnknown:
    if isinstance(reference, bytes):
        return BlockUnknown(block_hash=reference)
    return BlockUnknown(number=reference if isinstance(reference, int) else None)


DRY_RUN_METHODS: Final = frozenset({"eth_call", "eth_estimateGas"})
"""Methods that run the EVM."""

HEAVY_METHODS: Final = DRY_RUN_METHODS | {"eth_getLogs", "eth_feeHistory", "eth_getBlockReceipts"}
"""Methods of which one call may take seconds of the machine."""

Function = Callable[..., Any]  # each method has its own parameters; their number stands beside it

METHODS: Final[Mapping[str, tuple[Function, int, int]]] = {
    "eth_accounts": (Methods.eth_accounts, 0, 0),
    "eth_blockNumber": (Methods.eth_block_number, 0, 0),
    "eth_call": (Methods.eth_call, 1, 2),
    "eth_chainId": (Methods.eth_chain_id, 0, 0),
    "eth_estimateGas": (Methods.eth_estimate_gas, 1, 2),
    "eth_feeHistory": (Methods.eth_fee_history, 2, 3),
    "eth_gasPrice": (Methods.eth_gas_price, 0, 0),
    "eth_getBalance": (Methods.eth_get_balance, 1, 2),
    "eth_getBlockByHash": (Methods.eth_get_block_by_hash, 1, 2),
    "eth_getBlockByNumber": (Methods.eth_get_block_by_number, 1, 2),
    "eth_getBlockReceipts": (Methods.eth_get_block_receipts, 1, 1),
    "eth_getBlockTransactionCountByHash": (Methods.eth_get_block_transaction_count, 1, 1),
    "eth_getBlockTransactionCountByNumber": (Methods.eth_get_block_transaction_count, 1, 1),
    "eth_getCode": (Methods.eth_get_code, 1, 2),
    "eth_getLogs": (Methods.eth_get_logs, 1, 1),
    "eth_getStorageAt": (Methods.eth_get_storage_at, 2, 3),
    "eth_getTransactionByHash": (Methods.eth_get_transaction_by_hash, 1, 1),
    "eth_getTransactionCount": (Methods.eth_get_transaction_count, 1, 2),
    "eth_getTransactionReceipt": (Methods.eth_get_transaction_receipt, 1, 1),
    "eth_maxPriorityFeePerGas": (Methods.eth_gas_price, 0, 0),
    "eth_sendRawTransaction": (Methods.eth_send_raw_transaction, 1, 1),
    "eth_syncing": (Methods.eth_syncing, 0, 0),
    "net_version": (Methods.net_version, 0, 0),
    "txpool_status": (Methods.txpool_status, 0, 0),
    "web3_clientVersion": (Methods.web3_client_version, 0, 0),
    "web3_sha3": (Methods.web3_sha3, 1, 1),
}
"""Each method with the smallest and largest number of its parameters."""
