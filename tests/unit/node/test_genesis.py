"""Genesis: made once from a network file, then only loaded and checked; the network file's faults.

Cites docs/spec/node.md: N-20 to N-22.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
from eth.vm.forks.prague.constants import HISTORY_STORAGE_CONTRACT_CODE

import contracts
from node import genesis
from node.config import parse_network
from node.engine import HISTORY_ADDRESS, GenesisAccount, PyEvmEngine
from node.errors import GenesisFileInvalid, GenesisMismatch, NetworkFileInvalid, PublicChainId
from node.primitives import Address
from node.store import MemoryState
from support.settlement_network import lei_of, network_file
from support.validator_network import (
    HOUSES,
    compressed,
    node_id_of,
    validator_key,
    validator_network_file,
)


@lru_cache(maxsize=1)
def genesis_text() -> bytes:
    return genesis.format_genesis(generate(network_file()))


def generate(network: dict[str, Any]) -> genesis.Genesis:
    parsed = parse_network(json.dumps(network).encode())
    return genesis.generate(parsed, PyEvmEngine(MemoryState()))


def test_the_same_network_gives_the_same_bytes() -> None:
    assert genesis.format_genesis(generate(network_file())) == genesis_text()


def test_a_genesis_file_loads_as_what_was_made() -> None:
    loaded, _ = genesis.load(genesis_text(), PyEvmEngine(MemoryState()))
    assert loaded == generate(network_file())
    assert loaded.header.extra_data == loaded.specification.hash()
    assert loaded.header.number == 0


def test_every_contract_stands_at_its_address() -> None:
    alloc = generate(network_file()).alloc
    for address, name in (
        (contracts.ACCESS_MANAGER_ADDRESS, "AccessManager"),
        (contracts.REGISTRY_ADDRESS, "ERC1967Proxy"),
        (contracts.SETTLEMENT_ADDRESS, "ERC1967Proxy"),
        (contracts.currency_token_address(978), "ERC1967Proxy"),
        (contracts.currency_token_address(702), "ERC1967Proxy"),
        (contracts.NODE_REGISTRY_ADDRESS, "ERC1967Proxy"),
        (contracts.COUNCIL_ADDRESS, "ERC1967Proxy"),
        (contracts.COUNCIL_IMPLEMENTATION_ADDRESS, "Council"),
        (contracts.NODE_REGISTRY_IMPLEMENTATION_ADDRESS, "NodeRegistry"),
        (contracts.REGISTRY_IMPLEMENTATION_ADDRESS, "ParticipantRegistry"),
        (contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS, "PaymentSettlement"),
        (contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS, "CurrencyToken"),
    ):
        assert len(alloc[Address(address)].code) == len(contracts.load(name).runtime), name
    history = GenesisAccount(nonce=1, code=HISTORY_STORAGE_CONTRACT_CODE)
    assert alloc[HISTORY_ADDRESS] == history


def edited(edit: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(genesis_text())
    edit(document)
    return json.dumps(document).encode()


def registry_of(document: dict[str, Any]) -> dict[str, Any]:
    account: dict[str, Any] = document["alloc"]["0x" + contracts.REGISTRY_ADDRESS.hex()]
    return account


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document.update(hash="0x" + "00" * 32),
        lambda document: document.update(stateRoot="0x" + "00" * 32),
        lambda document: document.update(timestamp="0x1"),
        lambda document: document["config"].update(chainId=2_002_201),
        lambda document: registry_of(document)["storage"].popitem(),
        lambda document: registry_of(document).update(balance="0x1"),
    ],
)
def test_a_file_that_was_changed_is_refused(edit: Callable[[dict[str, Any]], object]) -> None:
    """N-21."""
    with pytest.raises(GenesisMismatch):
        genesis.load(edited(edit), PyEvmEngine(MemoryState()))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        edited(lambda document: document.update(more=1)),
        edited(lambda document: document.pop("hash")),
        edited(lambda document: document.update(hash="0x00")),
        edited(lambda document: document.update(timestamp=1)),
        edited(lambda document: document["alloc"].update({"0x01": {}})),
        edited(lambda document: registry_of(document).update(codes="0x")),
        edited(lambda document: registry_of(document).update(code="60")),
    ],
)
def test_a_file_of_another_shape_is_refused(text: bytes) -> None:
    with pytest.raises(GenesisFileInvalid):
        genesis.load(text, PyEvmEngine(MemoryState()))


def test_a_public_networks_chain_id_is_refused() -> None:
    """N-22."""
    with pytest.raises(PublicChainId):
        generate({**network_file(), "chain_id": 1})


def at(path: str, value: object) -> dict[str, Any]:
    """The network file with one value replaced; `None` takes the field away."""
    network: dict[str, Any] = copy.deepcopy(network_file())
    *parents, last = path.split(".")
    place: Any = network
    for step in parents:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return network


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("chain_id", 0),
        ("chain_id", "2002200"),
        ("operator", None),
        ("operator", "0x00"),
        ("surprise", 1),
        ("transaction_gas_limit", 30_000_001),
        ("currencies.0.code", "EU"),
        ("currencies.0.issuer_lei", "00000000000000000000"),
        ("currencies.1.numeric", 978),
        ("participants.0.lei", "SHORT"),
        ("participants.0.bic", "NOBIC"),
        ("participants.1.lei", network_file()["participants"][0]["lei"]),
        ("participants.0.roles", ["banker"]),
        ("participants.0.roles", []),
        ("participants.0.sealing_key", "0xzz"),
        ("participants.0.accounts.0.kind", "spare"),
        ("participants.0.accounts.0.address", "0x" + "zz" * 20),
        (
            "participants.0.accounts.0.address",
            network_file()["participants"][1]["accounts"][0]["address"],
        ),
    ],
)
def test_a_network_file_with_a_fault_is_refused(path: str, value: object) -> None:
    with pytest.raises(NetworkFileInvalid):
        parse_network(json.dumps(at(path, value)).encode())


FIRST_HOUSE = len(network_file()["participants"])
KEY, OTHER_KEY = ("0x" + compressed(validator_key(house.name)).hex() for house in HOUSES[:2])
OFF_THE_CURVE = "0x02" + "00" * 31 + "05"


@pytest.mark.parametrize(
    ("participant", "field", "value"),
    [
        (FIRST_HOUSE, "validators", ["0x00"]),
        (FIRST_HOUSE, "validators", ["0x04" + KEY[4:]]),
        (FIRST_HOUSE, "validators", [OFF_THE_CURVE]),
        (FIRST_HOUSE, "validators", [KEY, KEY]),
        (FIRST_HOUSE, "validators", [OTHER_KEY]),
        (FIRST_HOUSE, "validators", KEY),
        (FIRST_HOUSE, "roles", ["bank"]),
        (FIRST_HOUSE, "nodes", ["0x00"]),
        (FIRST_HOUSE, "nodes", ["0x" + "00" * 20]),
        (FIRST_HOUSE, "nodes", ["0x" + "11" * 20] * 2),
        (FIRST_HOUSE, "nodes", ["0x" + node_id_of("second").hex()]),
    ],
)
def test_faults_of_nodes_and_validators_are_refused(
    participant: int, field: str, value: object
) -> None:
    """N-135."""
    network = validator_network_file()
    parse_network(json.dumps(network).encode())
    network["participants"][participant][field] = value
    with pytest.raises(NetworkFileInvalid):
        parse_network(json.dumps(network).encode())


def governed(**more: object) -> dict[str, Any]:
    return validator_network_file() | {"administrator": "council"} | more


def test_a_council_that_can_speak_may_govern_alone() -> None:
    """N-177."""
    for network, is_operator in (
        (governed(), False),
        (governed(development=True, council_time_lock_seconds=0), False),
        (network_file(), True),
        (validator_network_file(development=True) | {"administrator": None}, True),
        (validator_network_file() | {"administrator": None}, False),
    ):
        parsed = parse_network(json.dumps(network).encode())
        assert parsed.is_governed_by_operator is is_operator


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ({"administrator": "nobody"}, "administrator"),
        ({"council_time_lock_seconds": 86_399}, "at least 86400"),
        ({"council_time_lock_seconds": 2_592_001}, "council_time_lock_seconds"),
        ({"participants": []}, "two members"),
    ],
)
def test_faults_of_governance_are_refused(fault: dict[str, object], match: str) -> None:
    """N-177."""
    with pytest.raises(NetworkFileInvalid, match=match):
        parse_network(json.dumps(governed(**fault)).encode())


def test_a_council_that_cannot_speak_governs_nothing() -> None:
    """N-177. Three of five members need an officer."""
    network = governed()
    members = [each for each in network["participants"] if "council" in each["roles"]]
    for member in members[:3]:
        parse_network(json.dumps(network).encode())
        member["accounts"] = [one for one in member["accounts"] if one["kind"] != "officer"]
    with pytest.raises(NetworkFileInvalid, match="more than half"):
        parse_network(json.dumps(network).encode())


def test_a_council_has_as_many_members_as_the_registry_takes() -> None:
    """N-177."""
    network = network_file()
    bank = network["participants"][2]
    network["participants"] += [
        bank
        | {
            "lei": lei_of(f"MEMBER{number:012d}").decode(),
            "bic": f"MEMB{chr(65 + number // 26)}{chr(65 + number % 26)}00",
            "roles": ["council"],
            "accounts": [],
        }
        for number in range(63)
    ]
    with pytest.raises(NetworkFileInvalid, match="at most 64"):
        parse_network(json.dumps(network).encode())


@pytest.mark.parametrize("place", [2, 3])
def test_a_central_bank_is_another_participant_with_the_role_issuer(place: int) -> None:
    """N-177."""
    network = network_file()
    network["participants"][0]["central_bank"] = network["participants"][1]["lei"]
    parse_network(json.dumps(network).encode())
    network["participants"][2]["central_bank"] = network["participants"][place]["lei"]
    with pytest.raises(NetworkFileInvalid, match="role issuer"):
        parse_network(json.dumps(network).encode())


def test_more_validators_than_the_registry_takes_are_refused() -> None:
    """N-135."""
    network = validator_network_file(0)
    keys = ["0x" + compressed(validator_key(f"key {number}")).hex() for number in range(101)]
    network["participants"][FIRST_HOUSE]["validators"] = keys[:50]
    network["participants"][FIRST_HOUSE + 1]["validators"] = keys[50:100]
    generate(network)
    network["participants"][FIRST_HOUSE + 1]["validators"] = keys[50:]
    with pytest.raises(NetworkFileInvalid, match="at most 100"):
        generate(network)


def test_a_fault_is_named_by_its_place() -> None:
    with pytest.raises(NetworkFileInvalid, match=r"participants\.0\.bic"):
        parse_network(json.dumps(at("participants.0.bic", "NOBIC")).encode())


def test_a_network_may_have_more_accounts_than_a_transaction_could_carry() -> None:
    """N-20."""
    network = copy.deepcopy(network_file())
    bank = network["participants"][-1]
    accounts = [
        {"reference": f"0x{number:064x}", "address": f"0x{number:040x}", "kind": "operating"}
        for number in range(10**6, 10**6 + 60)
    ]
    network["participants"] += [
        {
            **bank,
            "lei": lei_of(f"MANY{number:014d}").decode(),
            "bic": f"MANYDE00{number:03d}",
            "accounts": [
                {
                    **account,
                    "reference": f"0x{number + 1:02x}{account['reference'][4:]}",
                    "address": f"0x{number + 1:02x}{account['address'][4:]}",
                }
                for account in accounts
            ],
        }
        for number in range(9)
    ]
    before, after = generate(network_file()).alloc, generate(network).alloc
    registry = Address(contracts.REGISTRY_ADDRESS)
    assert len(after[registry].storage) > len(before[registry].storage) + 9 * 60
