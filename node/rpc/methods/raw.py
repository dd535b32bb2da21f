"""What is committed, in the bytes that hashes are taken over."""

from __future__ import annotations

from node.block import Block
from node.rpc.codec.format import format_data
from node.rpc.codec.parse import parse_block_reference, parse_hash
from node.rpc.json_value import Json
from node.rpc.methods.view import View, unknown_block

ABSENT = "0x"
"""The bytes of a transaction that is neither committed nor pooled."""


def debug_get_raw_header(view: View, reference: Json) -> str:
    """The RLP of a header."""
    return format_data(view.header(parse_block_reference(reference, name="block")).encode())


def debug_get_raw_block(view: View, reference: Json) -> str:
    """The RLP of a block."""
    return format_data(_block(view, reference).encode())


def debug_get_raw_receipts(view: View, reference: Json) -> list[str]:
    """The consensus encoding of each receipt of a block."""
    number = view.header(parse_block_reference(reference, name="block")).number
    records = view.history.receipt_records(number)
    return [format_data(record.receipt.encode()) for record in records]


def debug_get_raw_transaction(view: View, transaction_hash: Json) -> str:
    """The canonical encoding of a committed or pooled transaction; no bytes where there is none."""
    parsed = parse_hash(transaction_hash, name="hash")
    record = view.history.transaction(parsed)
    if record is None:
        pooled = view.core.pooled_transaction(parsed)
        if pooled is not None:
            return format_data(pooled.raw)
        # It may have left the pool for a block since the first look.
        record = view.history.transaction(parsed)
    return ABSENT if record is None else format_data(record.raw)


def debug_get_bad_blocks(_view: View) -> list[Json]:
    """Blocks that were refused: none reach this node, where only what is decided becomes a block."""
    return []


def _block(view: View, reference: Json) -> Block:
    parsed = parse_block_reference(reference, name="block")
    block = view.block(parsed)
    if block is None:
        raise unknown_block(parsed)
    return block
