"""Blocks: headers, bodies, receipts."""

from __future__ import annotations

from node.block import Block
from node.primitives import keccak
from node.rpc.codec.format import format_block, format_data, format_quantity, format_receipt
from node.rpc.codec.parse import (
    parse_block_reference,
    parse_flag,
    parse_hash,
    parse_quantity,
)
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.transactions import transaction_in_block
from node.rpc.methods.view import View
from node.transaction import decode_transaction


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
    records = view.history.receipt_records(block.header.number)
    return [format_receipt(record, decode_transaction(record.raw)) for record in records]


def eth_get_uncle_count(view: View, reference: Json) -> str | None:
    """How many ommers a block has: none, ever; null where there is no block."""
    block = view.block(parse_block_reference(reference, name="block"))
    return None if block is None else format_quantity(0)


def eth_get_uncle(_view: View, reference: Json, position: Json) -> None:
    """An ommer of a block: null, for no block has one."""
    parse_block_reference(reference, name="block")
    parse_quantity(position, name="index")


def _format_block(block: Block | None, is_full: bool) -> JsonObject | None:  # noqa: FBT001 - the wire's own parameter
    if block is None:
        return None
    if not is_full:
        return format_block(block, [format_data(keccak(raw)) for raw in block.transactions])
    positions = range(len(block.transactions))
    return format_block(block, [transaction_in_block(block, position) for position in positions])
