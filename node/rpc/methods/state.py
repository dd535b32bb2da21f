"""Accounts, code and storage at a block."""

from __future__ import annotations

from typing import Final

from node.errors import ParameterInvalid
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import (
    BlockTag,
    parse_address,
    parse_block_reference,
    parse_object,
    parse_slot,
)
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View

STORAGE_VALUES_MAX: Final = 1_024
"""Slots of one `eth_getStorageValues`."""


def eth_get_balance(view: View, address: Json, reference: Json = None) -> str:
    """The native balance of an account."""
    root = view.state_root(reference)
    account = view.engine.account(root, parse_address(address, name="address"))
    return format_quantity(account.balance)


def eth_get_code(view: View, address: Json, reference: Json = None) -> str:
    """The code of an account."""
    root = view.state_root(reference)
    return format_data(view.engine.code(root, parse_address(address, name="address")))


def eth_get_storage_at(view: View, address: Json, slot: Json, reference: Json = None) -> str:
    """One storage slot of an account, as 32 bytes."""
    root = view.state_root(reference)
    value = view.engine.storage(
        root, parse_address(address, name="address"), parse_slot(slot, name="slot")
    )
    return format_data(value.to_bytes(32, "big"))


def eth_get_storage_values(view: View, requests: Json, reference: Json = None) -> JsonObject:
    """Many storage slots at once: values by the accounts as they were written, in the order of their keys."""
    root = view.state_root(reference)
    wanted = parse_object(requests, name="requests")
    for keys in wanted.values():
        if not isinstance(keys, list):
            raise ParameterInvalid("requests", "expected a list of slots for each account")
    if sum(map(len, wanted.values())) > STORAGE_VALUES_MAX:
        raise ParameterInvalid("requests", f"too many slots (max {STORAGE_VALUES_MAX})")
    answer: JsonObject = {}
    for text, keys in wanted.items():
        address = parse_address(text, name="address")
        slots = [parse_slot(key, name="slot") for key in keys]
        values = (view.engine.storage(root, address, slot) for slot in slots)
        answer[text] = [format_data(value.to_bytes(32, "big")) for value in values]
    return answer


def eth_get_transaction_count(view: View, address: Json, reference: Json = None) -> str:
    """The nonce of an account; at `pending` the first one no executable transaction has taken."""
    sender = parse_address(address, name="address")
    if parse_block_reference(reference, name="block") is BlockTag.PENDING:
        return format_quantity(view.core.next_nonce(sender))
    return format_quantity(view.engine.account(view.state_root(reference), sender).nonce)
