"""Our values as the JSON objects that standard tools expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.block import (
    BLOB_GAS_USED,
    DIFFICULTY,
    EXCESS_BLOB_GAS,
    NONCE,
    OMMERS_HASH,
    PARENT_BEACON_BLOCK_ROOT,
    REQUESTS_HASH,
    WITHDRAWALS_ROOT,
    Block,
    Header,
    Log,
)
from node.history import LogRecord, ReceiptRecord
from node.primitives import Address, Hash32
from node.rpc.json_value import Json, JsonObject
from node.transaction import (
    TYPE_DYNAMIC_FEE,
    TYPE_LEGACY,
    AccessListEntry,
    Transaction,
    UnsignedTransaction,
)


@dataclass(frozen=True, slots=True)
class TransactionPlace:
    """Where a committed transaction stands."""

    block_hash: Hash32
    number: int
    timestamp: int
    position: int


def format_quantity(value: int) -> str:
    """Hex without leading zeros."""
    return hex(value)


def format_data(value: bytes) -> str:
    """Hex of whole bytes."""
    return f"0x{value.hex()}"


def format_block(block: Block, transactions: list[Json]) -> JsonObject:
    """The block object; `transactions` are hashes or transaction objects."""
    return {
        **format_header(block.header),
        "size": format_quantity(block.size),
        "uncles": [],
        "withdrawals": [],
        "transactions": transactions,
    }


def format_header(header: Header) -> JsonObject:
    """The header object: what a block object says beyond its body."""
    return {
        "number": format_quantity(header.number),
        "hash": format_data(header.hash),
        "parentHash": format_data(header.parent_hash),
        "sha3Uncles": format_data(OMMERS_HASH),
        "miner": format_data(header.coinbase),
        "stateRoot": format_data(header.state_root),
        "transactionsRoot": format_data(header.transactions_root),
        "receiptsRoot": format_data(header.receipts_root),
        "logsBloom": format_data(header.logs_bloom),
        "difficulty": format_quantity(DIFFICULTY),
        "gasLimit": format_quantity(header.gas_limit),
        "gasUsed": format_quantity(header.gas_used),
        "timestamp": format_quantity(header.timestamp),
        "extraData": format_data(header.extra_data),
        "mixHash": format_data(header.mix_hash),
        "nonce": format_data(NONCE),
        "baseFeePerGas": format_quantity(header.base_fee_per_gas),
        "withdrawalsRoot": format_data(WITHDRAWALS_ROOT),
        "blobGasUsed": format_quantity(BLOB_GAS_USED),
        "excessBlobGas": format_quantity(EXCESS_BLOB_GAS),
        "parentBeaconBlockRoot": format_data(PARENT_BEACON_BLOCK_ROOT),
        "requestsHash": format_data(REQUESTS_HASH),
    }


def format_transaction(
    transaction: Transaction, sender: Address, place: TransactionPlace | None
) -> JsonObject:
    """The transaction object; `place` is None for a pooled transaction."""
    formatted: JsonObject = {
        "hash": format_data(transaction.hash),
        "type": format_quantity(transaction.transaction_type),
        "chainId": format_quantity(transaction.chain_id or 0),
        "nonce": format_quantity(transaction.nonce),
        "from": format_data(sender),
        "to": format_data(transaction.to) if transaction.to is not None else None,
        "value": format_quantity(transaction.value),
        "gas": format_quantity(transaction.gas_limit),
        "gasPrice": format_quantity(_shown_gas_price(transaction, is_committed=place is not None)),
        "input": format_data(transaction.data),
        "v": format_quantity(transaction.v),
        "r": format_quantity(transaction.r),
        "s": format_quantity(transaction.s),
        "blockHash": format_data(place.block_hash) if place else None,
        "blockNumber": format_quantity(place.number) if place else None,
        "blockTimestamp": format_quantity(place.timestamp) if place else None,
        "transactionIndex": format_quantity(place.position) if place else None,
    }
    if transaction.transaction_type == TYPE_LEGACY:
        return formatted
    formatted["yParity"] = format_quantity(transaction.y_parity)
    formatted["accessList"] = format_access_list(transaction.access_list)
    if transaction.transaction_type == TYPE_DYNAMIC_FEE:
        formatted["maxFeePerGas"] = format_quantity(transaction.max_fee_per_gas)
        formatted["maxPriorityFeePerGas"] = format_quantity(transaction.max_priority_fee_per_gas)
    return formatted


def format_unsigned(transaction: UnsignedTransaction) -> JsonObject:
    """The object of a transaction that is yet to be signed."""
    return {
        "type": format_quantity(TYPE_DYNAMIC_FEE),
        "chainId": format_quantity(transaction.chain_id),
        "nonce": format_quantity(transaction.nonce),
        "to": format_data(transaction.to) if transaction.to is not None else None,
        "value": format_quantity(transaction.value),
        "gas": format_quantity(transaction.gas_limit),
        "gasPrice": format_quantity(transaction.max_fee_per_gas),
        "maxFeePerGas": format_quantity(transaction.max_fee_per_gas),
        "maxPriorityFeePerGas": format_quantity(transaction.max_priority_fee_per_gas),
        "input": format_data(transaction.data),
        "accessList": format_access_list(transaction.access_list),
    }


def format_access_list(entries: Sequence[AccessListEntry]) -> list[JsonObject]:
    """The access list object (EIP-2930)."""
    return [
        {
            "address": format_data(entry.address),
            "storageKeys": [format_data(key) for key in entry.storage_keys],
        }
        for entry in entries
    ]


def format_receipt(record: ReceiptRecord, transaction: Transaction) -> JsonObject:
    """The receipt object."""
    receipt = record.receipt
    created = receipt.contract_address
    place = TransactionPlace(record.block_hash, record.number, record.timestamp, record.position)
    return {
        "transactionHash": format_data(record.transaction_hash),
        "transactionIndex": format_quantity(record.position),
        "blockHash": format_data(record.block_hash),
        "blockNumber": format_quantity(record.number),
        "from": format_data(receipt.sender),
        "to": format_data(transaction.to) if transaction.to is not None else None,
        "type": format_quantity(receipt.transaction_type),
        "status": format_quantity(int(receipt.succeeded)),
        "cumulativeGasUsed": format_quantity(receipt.cumulative_gas_used),
        "gasUsed": format_quantity(receipt.gas_used),
        "effectiveGasPrice": format_quantity(_effective_gas_price(transaction)),
        "contractAddress": format_data(created) if created is not None else None,
        "logsBloom": format_data(receipt.logs_bloom),
        "logs": [
            _format_log(log, place, record.transaction_hash, record.first_log_index + index)
            for index, log in enumerate(receipt.logs)
        ],
    }


def format_log_record(record: LogRecord) -> JsonObject:
    """The log object of `eth_getLogs`."""
    place = TransactionPlace(
        record.block_hash, record.number, record.timestamp, record.transaction_position
    )
    return _format_log(record.log, place, record.transaction_hash, record.log_index)


def _format_log(
    log: Log, place: TransactionPlace, transaction_hash: Hash32, log_index: int
) -> JsonObject:
    return {
        "address": format_data(log.address),
        "topics": [format_data(topic) for topic in log.topics],
        "data": format_data(log.data),
        "blockNumber": format_quantity(place.number),
        "blockHash": format_data(place.block_hash),
        "blockTimestamp": format_quantity(place.timestamp),
        "transactionHash": format_data(transaction_hash),
        "transactionIndex": format_quantity(place.position),
        "logIndex": format_quantity(log_index),
        "removed": False,
    }


def _effective_gas_price(transaction: Transaction) -> int:
    """What a unit of gas cost with base fee 0: the priority fee, or a legacy transaction's price."""
    return transaction.max_priority_fee_per_gas


def _shown_gas_price(transaction: Transaction, *, is_committed: bool) -> int:
    return _effective_gas_price(transaction) if is_committed else transaction.max_fee_per_gas
