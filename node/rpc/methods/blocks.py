"""Blocks: headers, bodies, receipts."""

from __future__ import annotations

from node.block import Block
from node.rpc.codec.format import (
    TransactionPlace,
    format_block,
    format_data,
    format_quantity,
    format_transaction,
)
from node.rpc.codec.parse import parse_block_reference, parse_flag, parse_hash
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.transactions import eth_get_transaction_receipt
from node.rpc.methods.view import View
from node.transaction import decode_transaction, recover_sender


def eth_block_number(view: View) -> str:
    """The newest block's number."""
    return format_quantity(view.history.head().number)


def eth_get_block_by_number(view: View, reference: Json, full: Json = False) -> JsonObject | None:  # noqa: FBT002 - the wire's own parameter
    """A block by number or tag; null where there is none."""
    parsed = parse_block_reference(reference, name="block")
    return _format_block(view.block(parsed), parse_flag(full, name="full"))


def eth_get_block_by_hash(view: View, block_hash: Json, full: Json = False) -> JsonObject | None:  # noqa: FBT002 - the wire's own parameter
    """A block by hash; null where there is none."""
    parsed = parse_hash(block_hash, name="hash")
    return _format_block(view.block(parsed), parse_flag(full, name="full"))


def eth_get_block_transaction_count(view: View, reference: Json) -> str | None:
    """How many transactions a block holds."""
    block = view.block(parse_block_reference(reference, name="block"))
    return None if block is None else format_quantity(len(block.transactions))


def eth_get_block_receipts(view: View, reference: Json) -> list[JsonObject] | None:
    """The receipts of a block in order."""
    block = view.block(parse_block_reference(reference, name="block"))
    if block is None:
        return None
    hashes = [decode_transaction(raw).hash for raw in block.transactions]
    return [eth_get_transaction_receipt(view, format_data(each)) or {} for each in hashes]


def _format_block(block: Block | None, is_full: bool) -> JsonObject | None:  # noqa: FBT001 - the wire's own parameter
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
