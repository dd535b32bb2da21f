"""Proofs of accounts and of their storage."""

from __future__ import annotations

from typing import Final

from node.errors import ParameterInvalid
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import HASH_TEXT_LENGTH, parse_address, parse_slot
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View

PROVEN_SLOTS_MAX: Final = 1_024
"""Slots of one proof."""


def eth_get_proof(view: View, address: Json, slots: Json, reference: Json = None) -> JsonObject:
    """The trie nodes that prove an account and slots of its storage."""
    if not isinstance(slots, list) or len(slots) > PROVEN_SLOTS_MAX:
        raise ParameterInvalid("slots", f"too many slots (max {PROVEN_SLOTS_MAX})")
    keys = [parse_slot(slot, name="slots") for slot in slots]
    root = view.state_root(reference)
    proof = view.engine.proof(root, parse_address(address, name="address"), keys)
    return {
        "address": format_data(proof.address),
        "accountProof": [format_data(node) for node in proof.nodes],
        "balance": format_quantity(proof.balance),
        "codeHash": format_data(proof.code_hash),
        "nonce": format_quantity(proof.nonce),
        "storageHash": format_data(proof.storage_root),
        "storageProof": [
            {
                "key": _format_key(given, each.slot),
                "value": format_quantity(each.value),
                "proof": [format_data(node) for node in each.nodes],
            }
            for given, each in zip(slots, proof.storage, strict=True)
        ],
    }


def _format_key(given: str, slot: int) -> str:
    """The key as it was given where it was whole, else the shortest."""
    return given.lower() if len(given) == HASH_TEXT_LENGTH else format_quantity(slot)
