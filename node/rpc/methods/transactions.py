"""Transactions: submitted, pooled, committed."""

from __future__ import annotations

from node.primitives import Hash32
from node.rpc.codec.format import TransactionPlace, format_data, format_receipt, format_transaction
from node.rpc.codec.parse import parse_data, parse_hash
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View
from node.transaction import check_transaction, decode_transaction


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
        place = TransactionPlace(record.block_hash, record.number, record.position)
        return format_transaction(decode_transaction(record.raw), record.sender, place)
    return None


def eth_get_transaction_receipt(view: View, transaction_hash: Json) -> JsonObject | None:
    """The receipt of a committed transaction; null where there is none."""
    record = view.history.receipt(parse_hash(transaction_hash, name="hash"))
    return None if record is None else format_receipt(record, decode_transaction(record.raw))


def format_pending(view: View, transaction_hash: Hash32) -> JsonObject | None:
    """A transaction as it stood in the pool, though it may be in a block by now; None where it is nowhere."""
    pooled = view.core.pooled_transaction(transaction_hash) or view.history.transaction(
        transaction_hash
    )
    if pooled is None:
        return None
    return format_transaction(decode_transaction(pooled.raw), pooled.sender, None)


def eth_send_raw_transaction(view: View, raw: Json) -> str:
    """Submits a signed transaction; its hash."""
    encoded = parse_data(raw, name="transaction")
    rules = view.specification.rules_at(view.history.head().number + 1)
    check_transaction(encoded, chain_id=view.specification.chain_id, rules=rules)
    return format_data(view.core.submit(encoded))
