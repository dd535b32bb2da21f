"""The names of the methods on the wire."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.rpc.json_value import Json
from node.rpc.methods import (
    admission,
    blocks,
    certificates,
    configuration,
    events,
    execution,
    fees,
    filters,
    logs,
    network,
    notifications,
    pool,
    proofs,
    raw,
    simulation,
    state,
    traces,
    transactions,
)
from node.rpc.methods.view import View

Function = Callable[..., Any]  # each method has its own parameters, after the view


@dataclass(frozen=True, slots=True)
class Method:
    """One method: what it does and what it may cost."""

    function: Function
    is_heavy: bool
    """One call of it may take seconds of the machine."""
    params_min: int
    params_max: int
    is_watched: bool
    """It runs the EVM and takes the caller's watch."""


def _method(function: Function, *, is_heavy: bool) -> Method:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    positional = [each for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    required = [each for each in positional if each.default is inspect.Parameter.empty]
    return Method(
        function,
        is_heavy,
        len(required),
        len(positional),
        any(each.name == "watch" for each in parameters),
    )


def _light(function: Function) -> Method:
    return _method(function, is_heavy=False)


def _heavy(function: Function) -> Method:
    return _method(function, is_heavy=True)


def rpc_modules(_view: View) -> dict[str, str]:
    """The namespaces that are served, each with the version of its interface."""
    return {name.partition("_")[0]: INTERFACE_VERSION for name in sorted(METHODS)}


INTERFACE_VERSION: Final = "1.0"

METHODS: Final[Mapping[str, Method]] = {
    "corridor_explainTransaction": _light(admission.corridor_explain_transaction),
    "corridor_getEvents": _heavy(events.corridor_get_events),
    "corridor_getMisbehaviours": _light(certificates.corridor_get_misbehaviours),
    "corridor_getSettlementCertificate": _heavy(certificates.corridor_get_settlement_certificate),
    "corridor_isTransactionAllowed": _light(admission.corridor_is_transaction_allowed),
    "corridor_subscribe": _heavy(notifications.subscribe),
    "corridor_unsubscribe": _light(notifications.unsubscribe),
    "debug_getBadBlocks": _light(raw.debug_get_bad_blocks),
    "debug_getRawBlock": _light(raw.debug_get_raw_block),
    "debug_getRawHeader": _light(raw.debug_get_raw_header),
    "debug_getRawReceipts": _heavy(raw.debug_get_raw_receipts),
    "debug_getRawTransaction": _light(raw.debug_get_raw_transaction),
    "debug_traceBlockByHash": _heavy(traces.debug_trace_block),
    "debug_traceBlockByNumber": _heavy(traces.debug_trace_block),
    "debug_traceCall": _heavy(traces.debug_trace_call),
    "debug_traceTransaction": _heavy(traces.debug_trace_transaction),
    "eth_accounts": _light(network.eth_accounts),
    "eth_baseFee": _light(fees.eth_base_fee),
    "eth_blobBaseFee": _light(fees.eth_blob_base_fee),
    "eth_blockNumber": _light(blocks.eth_block_number),
    "eth_call": _heavy(execution.eth_call),
    "eth_capabilities": _light(configuration.eth_capabilities),
    "eth_chainId": _light(network.eth_chain_id),
    "eth_coinbase": _light(network.eth_coinbase),
    "eth_config": _light(configuration.eth_config),
    "eth_createAccessList": _heavy(execution.eth_create_access_list),
    "eth_estimateGas": _heavy(execution.eth_estimate_gas),
    "eth_feeHistory": _heavy(fees.eth_fee_history),
    "eth_fillTransaction": _heavy(execution.eth_fill_transaction),
    "eth_gasPrice": _light(fees.eth_gas_price),
    "eth_getBalance": _light(state.eth_get_balance),
    "eth_getBlockByHash": _light(blocks.eth_get_block_by_hash),
    "eth_getBlockByNumber": _light(blocks.eth_get_block_by_number),
    "eth_getBlockReceipts": _heavy(blocks.eth_get_block_receipts),
    "eth_getBlockTransactionCountByHash": _light(blocks.eth_get_block_transaction_count),
    "eth_getBlockTransactionCountByNumber": _light(blocks.eth_get_block_transaction_count),
    "eth_getCode": _light(state.eth_get_code),
    "eth_getFilterChanges": _heavy(filters.eth_get_filter_changes),
    "eth_getFilterLogs": _heavy(filters.eth_get_filter_logs),
    "eth_getLogs": _heavy(logs.eth_get_logs),
    "eth_getProof": _heavy(proofs.eth_get_proof),
    "eth_getRawTransactionByHash": _light(raw.debug_get_raw_transaction),
    "eth_getStorageAt": _light(state.eth_get_storage_at),
    "eth_getStorageValues": _heavy(state.eth_get_storage_values),
    "eth_getTransactionByBlockHashAndIndex": _light(
        transactions.eth_get_transaction_by_block_and_index
    ),
    "eth_getTransactionByBlockNumberAndIndex": _light(
        transactions.eth_get_transaction_by_block_and_index
    ),
    "eth_getTransactionByHash": _light(transactions.eth_get_transaction_by_hash),
    "eth_getTransactionCount": _light(state.eth_get_transaction_count),
    "eth_getTransactionReceipt": _light(transactions.eth_get_transaction_receipt),
    "eth_getUncleByBlockHashAndIndex": _light(blocks.eth_get_uncle),
    "eth_getUncleByBlockNumberAndIndex": _light(blocks.eth_get_uncle),
    "eth_getUncleCountByBlockHash": _light(blocks.eth_get_uncle_count),
    "eth_getUncleCountByBlockNumber": _light(blocks.eth_get_uncle_count),
    "eth_maxPriorityFeePerGas": _light(fees.eth_gas_price),
    "eth_newBlockFilter": _light(filters.eth_new_block_filter),
    "eth_newFilter": _light(filters.eth_new_filter),
    "eth_newPendingTransactionFilter": _light(filters.eth_new_pending_transaction_filter),
    "eth_sendRawTransaction": _light(transactions.eth_send_raw_transaction),
    "eth_sendTransaction": _light(transactions.eth_sign_transaction),
    "eth_sign": _light(transactions.eth_sign),
    "eth_signTransaction": _light(transactions.eth_sign_transaction),
    "eth_sendRawTransactionSync": _heavy(transactions.eth_send_raw_transaction_sync),
    "eth_simulateV1": _heavy(simulation.eth_simulate_v1),
    "eth_subscribe": _heavy(notifications.subscribe),
    "eth_syncing": _light(network.eth_syncing),
    "eth_uninstallFilter": _light(filters.eth_uninstall_filter),
    "eth_unsubscribe": _light(notifications.unsubscribe),
    "net_listening": _light(network.net_listening),
    "net_peerCount": _light(network.net_peer_count),
    "net_version": _light(network.net_version),
    "rpc_modules": _light(rpc_modules),
    "txpool_content": _heavy(pool.txpool_content),
    "txpool_contentFrom": _heavy(pool.txpool_content_from),
    "txpool_inspect": _heavy(pool.txpool_inspect),
    "txpool_status": _light(pool.txpool_status),
    "web3_clientVersion": _light(network.web3_client_version),
    "web3_sha3": _light(network.web3_sha3),
}
"""Each method by its name; the numbers of its parameters are those of its function."""

BATCHES: Final[Mapping[str, Callable[[View, Sequence[Json]], list[Any]]]] = {
    "eth_sendRawTransaction": transactions.send_raw_transactions,
}
"""Methods of one parameter that answer many calls of a batch at once: each with its result or a `NodeError`."""
