"""What a client sent, as typed values; anything else raises `ParameterInvalid` and names what was wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from node.engine import CALL_GAS_LIMIT_DEFAULT, Call
from node.errors import ParameterInvalid
from node.primitives import ZERO_ADDRESS, Address, Hash32
from node.rpc.json_value import Json, JsonObject
from node.transaction import AccessListEntry

TOPICS_MAX = 4
"""Positions of topics in a log."""

FILTER_ALTERNATIVES_MAX = 64
"""Addresses and topics of one filter, all positions together."""

PERCENTILES_MAX = 100
"""Reward percentiles of one `eth_feeHistory`."""

STORAGE_KEYS_MAX = 256
"""Storage keys of one entry of a call's access list."""

ACCESS_LIST_ENTRIES_MAX = 256
"""Entries of a call's access list."""

BLOCK_NUMBER_MAX = 2**63 - 1
HASH_TEXT_LENGTH = 66
QUANTITY_BITS_MAX = 256
DATA_BYTES_MAX = 256 * 1024
COUNT_MAX = 2**64 - 1

DECIMAL = re.compile(r"[0-9]{1,20}", re.ASCII)
SLOT = re.compile(r"0x[0-9a-fA-F]{0,64}")


class BlockTag(Enum):
    """Names of blocks. Final means final: latest, safe and finalized are one block."""

    EARLIEST = "earliest"
    LATEST = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"
    PENDING = "pending"


TAG_BY_NAME = {tag.value: tag for tag in BlockTag}

BlockReference = BlockTag | int | Hash32
"""A block by tag, by number or by hash."""


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What `eth_getLogs` asks for; an empty address or topic position matches everything."""

    first: BlockReference
    last: BlockReference
    addresses: tuple[Address, ...]
    topics: tuple[tuple[Hash32, ...], ...]


def parse_quantity(value: Json, *, name: str) -> int:
    """An unsigned integer of at most 256 bits from "0x..." without leading zeros."""
    if not isinstance(value, str) or not value.startswith("0x") or len(value) == 2:
        raise ParameterInvalid(name, "expected a 0x-prefixed hex quantity")
    digits = value[2:]
    if not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ParameterInvalid(name, "expected a 0x-prefixed hex quantity")
    if len(digits) > 1 and digits[0] == "0":
        raise ParameterInvalid(name, "a hex quantity has no leading zeros")
    if len(digits) > QUANTITY_BITS_MAX // 4:
        raise ParameterInvalid(name, "a hex quantity has at most 256 bits")
    return int(digits, 16)


def parse_number(value: Json, *, bits_max: int, name: str) -> int:
    """A quantity of at most so many bits."""
    number = parse_quantity(value, name=name)
    if number.bit_length() > bits_max:
        raise ParameterInvalid(name, f"expected at most {bits_max} bits")
    return number


def parse_count(value: Json, *, name: str) -> int:
    """A quantity or, as some tools send it, a number in decimal."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX:
        return value
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        return int(value)
    return parse_quantity(value, name=name)


def parse_percentiles(value: Json, *, name: str) -> list[int | float]:
    """Rising numbers from 0 to 100; none where the value is null."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > PERCENTILES_MAX:
        raise ParameterInvalid(name, f"expected a list of at most {PERCENTILES_MAX} percentiles")
    previous: int | float = -1
    for percentile in value:
        is_number = isinstance(percentile, int | float) and not isinstance(percentile, bool)
        if not is_number or not 0 <= percentile <= 100 or percentile <= previous:
            raise ParameterInvalid(
                name, "invalid reward percentile: expected rising numbers from 0 to 100"
            )
        previous = percentile
    return value


def parse_data(value: Json, *, name: str, length: int | None = None) -> bytes:
    """Whole bytes from "0x..."; exactly `length` of them where it is given."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ParameterInvalid(name, "expected 0x-prefixed hex data")
    if len(value) > 2 + 2 * DATA_BYTES_MAX:
        raise ParameterInvalid(name, f"expected at most {DATA_BYTES_MAX} bytes")
    try:
        data = bytes.fromhex(value[2:])
    except ValueError as error:
        raise ParameterInvalid(name, "expected 0x-prefixed hex data") from error
    if 2 + 2 * len(data) != len(value):  # It skips white space.
        raise ParameterInvalid(name, "expected 0x-prefixed hex data")
    if length is not None and len(data) != length:
        raise ParameterInvalid(name, f"expected {length} bytes of hex data")
    return data


def parse_address(value: Json, *, name: str) -> Address:
    """Twenty bytes; letter case is not checked."""
    return Address(parse_data(value, name=name, length=20))


def parse_hash(value: Json, *, name: str) -> Hash32:
    """Thirty-two bytes."""
    return Hash32(parse_data(value, name=name, length=32))


def parse_slot(value: Json, *, name: str) -> int:
    """A storage slot, or a slot's value: at most 64 hex digits, with leading zeros or without."""
    if not isinstance(value, str) or not SLOT.fullmatch(value):
        raise ParameterInvalid(name, "expected at most 32 bytes in 0x-prefixed hex")
    return int(value[2:] or "0", 16)


def parse_flag(value: Json, *, name: str) -> bool:
    """A JSON boolean."""
    if not isinstance(value, bool):
        raise ParameterInvalid(name, "expected true or false")
    return value


def parse_block_reference(value: Json, *, name: str) -> BlockReference:
    """A tag, a number, or (EIP-1898) an object with `blockNumber` or `blockHash`."""
    match value:
        case None:
            return BlockTag.LATEST
        case dict():
            return _parse_block_object(value, name=name)
        case str() if value in TAG_BY_NAME:
            return TAG_BY_NAME[value]
        case str() if len(value) == HASH_TEXT_LENGTH:
            return parse_hash(value, name=name)
        case _:
            return _parse_block_number(value, name=name)


def parse_log_query(value: Json, *, name: str) -> LogQuery:
    """The filter object of `eth_getLogs`; `blockHash` excludes a range."""
    fields = parse_object(value, name=name)
    refuse_unknown(fields, ("fromBlock", "toBlock", "address", "topics", "blockHash"), name=name)
    if fields.get("blockHash") is not None:
        if fields.get("fromBlock") is not None or fields.get("toBlock") is not None:
            raise ParameterInvalid(name, "blockHash excludes fromBlock and toBlock")
        first: BlockReference = parse_hash(fields["blockHash"], name=f"{name}.blockHash")
        last = first
    else:
        first = parse_block_reference(fields.get("fromBlock"), name=f"{name}.fromBlock")
        last = parse_block_reference(fields.get("toBlock"), name=f"{name}.toBlock")
    addresses = _items(fields.get("address"), FILTER_ALTERNATIVES_MAX, name=f"{name}.address")
    positions = fields.get("topics") or []
    if not isinstance(positions, list) or len(positions) > TOPICS_MAX:
        raise ParameterInvalid(
            f"{name}.topics", f"exceed max topics: at most {TOPICS_MAX} positions"
        )
    topics = [
        _items(position, FILTER_ALTERNATIVES_MAX, name=f"{name}.topics") for position in positions
    ]
    if len(addresses) + sum(map(len, topics)) > FILTER_ALTERNATIVES_MAX:
        raise ParameterInvalid(
            name,
            f"exceed max addresses or topics: at most {FILTER_ALTERNATIVES_MAX} of them in all",
        )
    return LogQuery(
        first=first,
        last=last,
        addresses=tuple(parse_address(item, name=f"{name}.address") for item in addresses),
        topics=tuple(
            tuple(parse_hash(item, name=f"{name}.topics") for item in position)
            for position in topics
        ),
    )


def parse_object(value: Json, *, name: str) -> JsonObject:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ParameterInvalid(name, "expected an object")
    return value


def refuse_unknown(fields: Mapping[str, Json], known: Sequence[str], *, name: str) -> None:
    """Raises where an object holds a field that would be silently ignored."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ParameterInvalid(name, f"unknown field {unknown[0]}")


CALL_FIELDS = (
    "from",
    "to",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "value",
    "data",
    "input",
    "nonce",
    "chainId",
    "type",
    "accessList",
)


def parse_call(value: Json, *, name: str) -> Call:
    """A transaction object of `eth_call` and `eth_estimateGas`; the nonce and type do not matter."""
    fields = parse_object(value, name=name)
    refuse_unknown(fields, CALL_FIELDS, name=name)
    gas_price = fields.get("gasPrice") or fields.get("maxFeePerGas")
    to = fields.get("to")
    return Call(
        sender=parse_optional_address(fields.get("from"), name=f"{name}.from") or ZERO_ADDRESS,
        to=parse_optional_address(to, name=f"{name}.to"),
        data=parse_call_data(fields, name=name),
        value=parse_quantity(fields.get("value") or "0x0", name=f"{name}.value"),
        gas_limit=_parse_call_gas(fields.get("gas"), name=f"{name}.gas"),
        gas_price=parse_quantity(gas_price or "0x0", name=f"{name}.gasPrice"),
        access_list=parse_access_list(fields.get("accessList"), name=f"{name}.accessList"),
    )


def parse_call_data(fields: JsonObject, *, name: str) -> bytes:
    """The calldata of a transaction object: `input`, or `data` as it was once called."""
    data, given_input = fields.get("data"), fields.get("input")
    if data is not None and given_input is not None and data != given_input:
        raise ParameterInvalid(name, "data and input differ")
    return parse_data(given_input or data or "0x", name=f"{name}.data")


def _parse_block_object(fields: JsonObject, *, name: str) -> BlockReference:
    """EIP-1898; every block here is canonical, so `requireCanonical` asks for nothing more."""
    refuse_unknown(fields, ("blockHash", "blockNumber", "requireCanonical"), name=name)
    if fields.get("requireCanonical") is not None:
        parse_flag(fields["requireCanonical"], name=f"{name}.requireCanonical")
    block_hash, number = fields.get("blockHash"), fields.get("blockNumber")
    if (block_hash is None) == (number is None):
        raise ParameterInvalid(name, "expected one of blockHash and blockNumber")
    if number is None:
        return parse_hash(block_hash, name=f"{name}.blockHash")
    if isinstance(number, str) and number in TAG_BY_NAME:
        return TAG_BY_NAME[number]
    return _parse_block_number(number, name=f"{name}.blockNumber")


def _parse_block_number(value: Json, *, name: str) -> int:
    number = parse_quantity(value, name=name)
    if number > BLOCK_NUMBER_MAX:
        raise ParameterInvalid(name, f"a block number is at most {BLOCK_NUMBER_MAX}")
    return number


def parse_optional_address(value: Json, *, name: str) -> Address | None:
    """Twenty bytes, or None for null."""
    return None if value is None else parse_address(value, name=name)


def _parse_call_gas(value: Json, *, name: str) -> int:
    if value is None:
        return CALL_GAS_LIMIT_DEFAULT
    return min(parse_quantity(value, name=name), CALL_GAS_LIMIT_DEFAULT)


def parse_access_list(value: Json, *, name: str) -> tuple[AccessListEntry, ...]:
    """An access list; none where the value is null."""
    entries = [] if value is None else value
    if not isinstance(entries, list) or len(entries) > ACCESS_LIST_ENTRIES_MAX:
        raise ParameterInvalid(name, f"expected at most {ACCESS_LIST_ENTRIES_MAX} entries")
    parsed = []
    for entry in entries:
        fields = parse_object(entry, name=name)
        keys = _items(fields.get("storageKeys"), STORAGE_KEYS_MAX, name=f"{name}.storageKeys")
        parsed.append(
            AccessListEntry(
                parse_address(fields.get("address"), name=f"{name}.address"),
                tuple(parse_hash(key, name=f"{name}.storageKeys") for key in keys),
            )
        )
    return tuple(parsed)


def _items(value: Json, items_max: int, *, name: str) -> list[Json]:
    """One value or a list of them, as a list."""
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if len(items) > items_max:
        raise ParameterInvalid(name, f"expected at most {items_max} values")
    return items
