"""What this chain's rules are, and how much of it this node holds."""

from __future__ import annotations

import zlib
from typing import Final

from node.engine import HISTORY_ADDRESS
from node.errors import StoreCorrupt
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View
from node.specification import PRECOMPILES_KNOWN, Rules

TIME_UNKNOWN: Final = 2**53 - 1
"""The activation time of rules yet to come: they come by number, and no one knows when that block is made."""

PRECOMPILE_NAME_BY_NUMBER: Final = {
    0x01: "ECREC",
    0x02: "SHA256",
    0x03: "RIPEMD160",
    0x04: "ID",
    0x05: "MODEXP",
    0x06: "BN254_ADD",
    0x07: "BN254_MUL",
    0x08: "BN254_PAIRING",
    0x09: "BLAKE2F",
    0x0A: "KZG_POINT_EVALUATION",
    0x0B: "BLS12_G1ADD",
    0x0C: "BLS12_G1MSM",
    0x0D: "BLS12_G2ADD",
    0x0E: "BLS12_G2MSM",
    0x0F: "BLS12_PAIRING_CHECK",
    0x10: "BLS12_MAP_FP_TO_G1",
    0x11: "BLS12_MAP_FP2_TO_G2",
}
"""Names of EIP-7910."""

BLOB_UPDATE_FRACTION: Final = 5_007_716
"""Prague's, though this chain has no blobs."""


def eth_config(view: View) -> JsonObject:
    """The rules in force, the next ones and the last ones known (EIP-7910)."""
    head = view.history.head().number
    schedule = view.specification.schedule
    coming = [rules for rules in schedule if rules.from_number > head]
    return {
        "current": _describe(view, view.specification.rules_at(head)),
        "next": _describe(view, coming[0]) if coming else None,
        "last": _describe(view, coming[-1]) if coming else None,
    }


def eth_capabilities(view: View) -> JsonObject:
    """What this node answers for, from which block on: blocks and states from where they are kept."""
    head = view.history.head()
    whole = _from_block(view.history.first_number())
    kept = _from_block(view.history.first_state_number())
    answer: JsonObject = dict.fromkeys(("tx", "logs", "receipts", "blocks"), whole)
    answer |= {"state": kept, "stateproofs": kept}
    answer["head"] = {"number": format_quantity(head.number), "hash": format_data(head.hash)}
    return answer


def _from_block(number: int) -> JsonObject:
    return {"disabled": False, "oldestBlock": format_quantity(number)}


def _describe(view: View, rules: Rules) -> Json:
    header = view.history.header(rules.from_number)
    numbers = sorted(PRECOMPILES_KNOWN - set(rules.precompiles_refused))
    return {
        "activationTime": TIME_UNKNOWN if header is None else header.timestamp,
        "blobSchedule": {"baseFeeUpdateFraction": BLOB_UPDATE_FRACTION, "max": 0, "target": 0},
        "chainId": format_quantity(view.specification.chain_id),
        "forkId": format_data(_fork_id(view, rules)),
        "precompiles": {
            PRECOMPILE_NAME_BY_NUMBER[number]: format_data(number.to_bytes(20, "big"))
            for number in numbers
        },
        "systemContracts": {"HISTORY_STORAGE_ADDRESS": format_data(HISTORY_ADDRESS)},
    }


def _fork_id(view: View, rules: Rules) -> bytes:
    """The checksum of genesis and of the numbers at which rules changed up to these (EIP-2124)."""
    genesis_hash = view.history.genesis_hash()
    if genesis_hash is None:
        raise StoreCorrupt("no genesis")
    checksum = zlib.crc32(genesis_hash)
    for entry in view.specification.schedule:
        if 0 < entry.from_number <= rules.from_number:
            checksum = zlib.crc32(entry.from_number.to_bytes(8, "big"), checksum)
    return checksum.to_bytes(4, "big")
