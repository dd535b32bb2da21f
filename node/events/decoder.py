"""Logs of the chain's own contracts, read by their committed ABIs.

Which contract an address holds is fixed by genesis. A log of another contract, of an event that the ABI does not know,
or whose data do not fit the ABI is not decoded; the raw log is the truth in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from eth_abi.abi import decode as decode_abi
from eth_abi.exceptions import DecodingError

import contracts
from node.block import Log
from node.primitives import Address, Hash32, keccak

CONTRACTS: Final = (
    "PaymentSettlement",
    "CurrencyToken",
    "ParticipantRegistry",
    "NodeRegistry",
    "Council",
    "AccessManager",
)
"""The contracts whose logs are decoded."""

CURRENCY_NUMERIC_MAX: Final = 999
"""Largest number of a currency in ISO 4217."""

AbiParameter = Mapping[str, Any]  # one input of an event as the compiler's JSON has it

Value = bool | int | bytes | str | list["Value"] | Mapping[str, "Value"]
"""A decoded value: lists for arrays, mappings for structs, 20 bytes for addresses."""


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """An event of one of our contracts with its named values."""

    contract: str
    name: str
    values: Mapping[str, Value]


def decode_event(log: Log) -> DecodedEvent | None:
    """The event a log records; None where it is not one of our contracts', or not readable as one."""
    contract = contract_at(log.address)
    if contract is None or not log.topics:
        return None
    event = events_of(contract).get(log.topics[0])
    if event is None:
        return None
    indexed = [each for each in event["inputs"] if each["indexed"]]
    others = [each for each in event["inputs"] if not each["indexed"]]
    if len(indexed) != len(log.topics) - 1:
        return None
    try:
        by_name = {
            each["name"]: _decode_topic(each, topic)
            for each, topic in zip(indexed, log.topics[1:], strict=True)
        }
        decoded = decode_abi([_type_of(each) for each in others], log.data)
    except (DecodingError, OverflowError, UnicodeDecodeError):
        return None
    by_name |= {
        each["name"]: _name_parts(each, value) for each, value in zip(others, decoded, strict=True)
    }
    in_order = {each["name"]: by_name[each["name"]] for each in event["inputs"]}
    return DecodedEvent(contract, event["name"], MappingProxyType(in_order))


def contract_at(address: bytes) -> str | None:
    """The name of our contract at an address."""
    match address:
        case contracts.SETTLEMENT_ADDRESS:
            return "PaymentSettlement"
        case contracts.REGISTRY_ADDRESS:
            return "ParticipantRegistry"
        case contracts.NODE_REGISTRY_ADDRESS:
            return "NodeRegistry"
        case contracts.COUNCIL_ADDRESS:
            return "Council"
        case contracts.ACCESS_MANAGER_ADDRESS:
            return "AccessManager"
        case _:
            return "CurrencyToken" if Address(address) in _currency_addresses() else None


@cache
def events_of(contract: str) -> Mapping[Hash32, Mapping[str, Any]]:
    """The ABI entry of each event of a contract, by its first topic."""
    return MappingProxyType(
        {
            keccak(_signature(entry).encode()): entry
            for entry in contracts.load(contract).abi
            if entry["type"] == "event" and not entry["anonymous"]
        }
    )


@cache
def topics_of(name: str) -> tuple[Hash32, ...]:
    """The first topics that an event of this name has in our contracts; empty where none has it."""
    found = {
        topic
        for contract in CONTRACTS
        for topic, entry in events_of(contract).items()
        if entry["name"] == name
    }
    return tuple(sorted(found))


@cache
def _currency_addresses() -> frozenset[Address]:
    return frozenset(
        Address(contracts.currency_token_address(numeric))
        for numeric in range(1, CURRENCY_NUMERIC_MAX + 1)
    )


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(map(_type_of, entry['inputs']))})"


def _type_of(parameter: AbiParameter) -> str:
    """The canonical type: a struct as the list of its parts."""
    declared: str = parameter["type"]
    if not declared.startswith("tuple"):
        return declared
    parts = ",".join(map(_type_of, parameter["components"]))
    return f"({parts}){declared.removeprefix('tuple')}"


def _decode_topic(parameter: AbiParameter, topic: Hash32) -> Value:
    """An indexed value; of a type longer than a word only the hash was recorded."""
    declared: str = parameter["type"]
    if declared in {"string", "bytes"} or declared.startswith("tuple") or declared.endswith("]"):
        return topic
    (value,) = decode_abi([declared], topic)
    return _name_parts(parameter, value)


def _name_parts(parameter: AbiParameter, value: Any) -> Value:
    """A value of the ABI decoder with the parts of structs named and addresses as bytes."""
    declared: str = parameter["type"]
    if declared.endswith("]"):
        item = {**parameter, "type": declared[: declared.rindex("[")]}
        return [_name_parts(item, each) for each in value]
    if declared == "tuple":
        parts: Sequence[AbiParameter] = parameter["components"]
        return {
            part["name"]: _name_parts(part, each) for part, each in zip(parts, value, strict=True)
        }
    if declared == "address":
        return bytes.fromhex(value.removeprefix("0x"))
    plain: Value = value
    return plain
