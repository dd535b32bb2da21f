"""Transactions: submitted, pooled, committed."""

from __future__ import annotations

from node.block import Block
from node.errors import NoKeysHeld
from node.rpc.codec.format import TransactionPlace, format_data, format_receipt, format_transaction
from node.rpc.codec.parse import (
    parse_address,
    parse_block_reference,
    parse_data,
    parse_hash,
    parse_object,
    parse_quantity,
)
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View
from node.transaction import check_transaction, decode_transaction, recover_sender


def eth_get_transaction_by_hash(view: View, transaction_hash: Json) -> JsonObject | None:
    """A committed transaction, or one in the pool; null where there is none."""
    parsed = parse_hash(transaction_hash, name="hash")
    record = view.history.transaction(parsed)
    if record is None:
        pooled = view.core.pooled_transaction(parsed)
        if pooled is not None:
            return format_transaction(decode_transaction(pooled.raw), pooled.sender, None)
        # It may have left the pool for a block since the first look.
        record = view.history.transaction(parsed)
    if record is not None:
        place = TransactionPlace(
            record.block_hash, record.number, record.timestamp, record.position
        )
        return format_transaction(decode_transaction(record.raw), record.sender, place)
    return None


def eth_get_transaction_by_block_and_index(
    view: View, reference: Json, position: Json
) -> JsonObject | None:
    """A transaction by its place; null where there is none."""
    block = view.block(parse_block_reference(reference, name="block"))
    parsed = parse_quantity(position, name="index")
    if block is None or parsed >= len(block.transactions):
        return None
    return transaction_in_block(block, parsed)


def eth_get_transaction_receipt(view: View, transaction_hash: Json) -> JsonObject | None:
    """The receipt of a committed transaction; null where there is none."""
    record = view.history.receipt(parse_hash(transaction_hash, name="hash"))
    return None if record is None else format_receipt(record, decode_transaction(record.raw))


def eth_send_raw_transaction(view: View, raw: Json) -> str:
    """Submits a signed transaction; its hash."""
    encoded = parse_data(raw, name="transaction")
    rules = view.specification.rules_at(view.history.head().number + 1)
    check_transaction(encoded, chain_id=view.specification.chain_id, rules=rules)
    return format_data(view.core.submit(encoded))


def eth_sign(_view: View, address: Json, message: Json) -> None:
    """Raises `NoKeysHeld`: this node signs for nobody."""
    parse_address(address, name="address")
    parse_data(message, name="message")
    raise NoKeysHeld


def eth_sign_transaction(_view: View, transaction: Json) -> None:
    """Raises `NoKeysHeld`: this node signs for nobody."""
    parse_object(transaction, name="transaction")
    raise NoKeysHeld


def transaction_in_block(block: Block, position: int) -> JsonObject:
    """The transaction object at a position that the block has."""
    header = block.header
    transaction = decode_transaction(block.transactions[position])
    place = TransactionPlace(header.hash, header.number, header.timestamp, position)
    return format_transaction(transaction, recover_sender(transaction), place)
