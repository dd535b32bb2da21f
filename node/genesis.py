"""Genesis: made once by executing the deployments, afterwards only loaded and checked.

`generate` runs the constructors of the contracts at their fixed addresses on an empty state, the
initialisers of the proxies with the participants and currencies of the network file, and keeps the
state that comes out. `genesis.json` holds that state (`alloc`, in geth's shape), the chain
specification (`config`) and the hash of block 0, whose `extraData` is the hash of the
specification: two nodes with different rules cannot share a genesis. `load` is what every node does
at its first start: it recomputes root and hash from the file and refuses a difference. Later starts
`parse`: the hash covers the root, and the store remembers the hash. Deployments are never run again.

Besides our contracts there is one system contract, the block hash history of EIP-2935.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode as encode_abi

import contracts
from node.block import EMPTY_BLOOM, Header
from node.config import Network, NetworkCurrency, NetworkParticipant
from node.engine import (
    HISTORY_ADDRESS,
    Alloc,
    BlockEnv,
    Engine,
    GenesisAccount,
    GenesisStep,
    LoadedGenesis,
)
from node.errors import GenesisFileInvalid, GenesisMismatch
from node.primitives import (
    EMPTY_TRIE_ROOT,
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    Hash32,
    decompress_public_key,
    keccak,
)
from node.specification import Rules, Specification, parse_specification

HISTORY_CODE: Final = bytes.fromhex(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257"
    "611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
)
"""EIP-2935: the contract's published code."""

ROLE_BITS: Final[Mapping[str, int]] = {
    "bank": 1,
    "issuer": 2,
    "fx_provider": 4,
    "liquidity": 8,
    "supervisor": 16,
    "operator": 32,
    "validator": 64,
    "council": 128,
}
"""Roles as ParticipantRegistry numbers them."""

ACCOUNT_KINDS: Final[Mapping[str, int]] = {
    "settlement": 1,
    "operating": 2,
    "quoting": 3,
    "attesting": 4,
    "officer": 5,
}
"""Kinds of account as ParticipantRegistry numbers them."""

GENESIS_FIELDS: Final = ("alloc", "config", "extraData", "hash", "stateRoot", "timestamp")


@dataclass(frozen=True, slots=True)
class Genesis:
    """A chain's beginning: its rules, block 0, and the accounts of its state."""

    specification: Specification
    header: Header
    alloc: Alloc


def generate(network: Network, engine: Engine) -> Genesis:
    """The genesis of a network file. `engine` stands on any store; nothing is written to it."""
    specification = Specification(
        chain_id=network.chain_id,
        schedule=(
            Rules(
                from_number=0,
                block_gas_limit=network.block_gas_limit,
                transaction_gas_limit=network.transaction_gas_limit,
            ),
        ),
        development=network.development,
    )
    env = BlockEnv(
        chain_id=specification.chain_id,
        number=0,
        timestamp=network.genesis_time,
        rules=specification.rules_at(0),
        ancestor_hashes=(),
    )
    before = {
        HISTORY_ADDRESS: GenesisAccount(nonce=1, code=HISTORY_CODE),
        **{Address(each.address): GenesisAccount(balance=each.balance) for each in network.funds},
    }
    alloc = engine.run_genesis_steps(env, before, list(deployment_steps(network)))
    loaded = engine.load_genesis(alloc)
    engine.discard(loaded.handle)
    header = genesis_header(specification, network.genesis_time, loaded.state_root)
    return Genesis(specification, header, alloc)


def parse(text: bytes) -> Genesis:
    """The genesis of a file, whose rules and hash are checked and whose state root is taken as stated.

    Enough for who compares the hash with one that was reached by `load` before. Raises where the file
    contradicts itself.
    """
    document = _parse_document(text)
    specification = parse_specification(document["config"])
    stated_rules = _bytes(document["extraData"], 32)
    if specification.hash() != stated_rules:
        raise GenesisMismatch(
            "specification hash", expected=stated_rules, found=specification.hash()
        )
    stated_root = Hash32(_bytes(document["stateRoot"], 32))
    header = genesis_header(specification, _integer(document["timestamp"]), stated_root)
    stated_hash = _bytes(document["hash"], 32)
    if header.hash != stated_hash:
        raise GenesisMismatch("genesis hash", expected=stated_hash, found=header.hash)
    alloc = {
        Address(_bytes(f"0x{address.removeprefix('0x')}", 20)): _parse_account(account)
        for address, account in _object(document["alloc"]).items()
    }
    return Genesis(specification, header, alloc)


def load(text: bytes, engine: Engine) -> tuple[Genesis, LoadedGenesis]:
    """The genesis of a file, with its state ready to commit; raises where the file is not itself."""
    parsed = parse(text)
    return parsed, load_state(parsed, engine)


def load_state(parsed: Genesis, engine: Engine) -> LoadedGenesis:
    """The state of a genesis that was parsed, ready to commit; raises where its root is not the one stated."""
    loaded = engine.load_genesis(parsed.alloc)
    stated_root = parsed.header.state_root
    if loaded.state_root != stated_root:
        raise GenesisMismatch("state root", expected=stated_root, found=loaded.state_root)
    return loaded


def format_genesis(genesis: Genesis) -> bytes:
    """The content of genesis.json: sorted, indented JSON, the same bytes for the same genesis."""
    header = genesis.header
    document = {
        "config": genesis.specification.document(),
        "timestamp": hex(header.timestamp),
        "extraData": _hex(header.extra_data),
        "stateRoot": _hex(header.state_root),
        "hash": _hex(header.hash),
        "alloc": {
            _hex(address): _format_account(account) for address, account in genesis.alloc.items()
        },
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def genesis_header(specification: Specification, timestamp: int, state_root: Hash32) -> Header:
    """Block 0 of a specification and a state."""
    return Header(
        parent_hash=ZERO_HASH,
        state_root=state_root,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=EMPTY_BLOOM,
        number=0,
        gas_limit=specification.rules_at(0).block_gas_limit,
        gas_used=0,
        timestamp=timestamp,
        extra_data=specification.hash(),
    )


def deployment_steps(network: Network) -> Iterable[GenesisStep]:
    """The constructors to run, each at its fixed address, in order."""
    operator = Address(network.operator)
    for address, name, arguments in _deployments(network):
        artefact = contracts.load(name)
        types = _types(_entry(artefact, "constructor")) if arguments else []
        data = artefact.bytecode + encode_abi(types, list(arguments))
        yield GenesisStep(sender=operator, to=Address(address), data=data)


def _deployments(network: Network) -> Iterable[tuple[bytes, str, tuple[object, ...]]]:
    authority = contracts.ACCESS_MANAGER_ADDRESS
    registry = contracts.REGISTRY_ADDRESS
    settlement = contracts.SETTLEMENT_ADDRESS
    yield authority, "AccessManager", (contracts.COUNCIL_ADDRESS,)
    for library, address in contracts.LIBRARY_ADDRESS_BY_NAME.items():
        yield address, library, ()
    yield contracts.REGISTRY_IMPLEMENTATION_ADDRESS, "ParticipantRegistry", ()
    yield contracts.NODE_REGISTRY_IMPLEMENTATION_ADDRESS, "NodeRegistry", ()
    yield contracts.COUNCIL_IMPLEMENTATION_ADDRESS, "Council", ()
    yield contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS, "PaymentSettlement", ()
    yield contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS, "CurrencyToken", ()
    participants = [_participant_input(participant) for participant in network.participants]
    yield _proxy(
        registry,
        contracts.REGISTRY_IMPLEMENTATION_ADDRESS,
        _initialiser("ParticipantRegistry", authority, network.transactions_open, participants),
    )
    yield _proxy(
        contracts.NODE_REGISTRY_ADDRESS,
        contracts.NODE_REGISTRY_IMPLEMENTATION_ADDRESS,
        _initialiser("NodeRegistry", *_node_registry_arguments(network)),
    )
    yield _proxy(
        contracts.COUNCIL_ADDRESS,
        contracts.COUNCIL_IMPLEMENTATION_ADDRESS,
        _initialiser("Council", *_council_arguments(network)),
    )
    for currency in network.currencies:
        yield _proxy(
            contracts.currency_token_address(currency.numeric),
            contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS,
            _initialiser("CurrencyToken", *_token_arguments(currency)),
        )
    codes = [currency.code.encode() for currency in network.currencies]
    assets = [contracts.currency_token_address(currency.numeric) for currency in network.currencies]
    yield _proxy(
        settlement,
        contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS,
        _initialiser("PaymentSettlement", authority, registry, codes, assets),
    )


def _proxy(
    address: bytes, implementation: bytes, initialiser: bytes
) -> tuple[bytes, str, tuple[object, ...]]:
    return address, "ERC1967Proxy", (implementation, initialiser)


def _node_registry_arguments(network: Network) -> tuple[object, ...]:
    return (
        contracts.ACCESS_MANAGER_ADDRESS,
        contracts.REGISTRY_ADDRESS,
        network.development,
        [
            (participant.lei.encode(), *_coordinates_of(key))
            for participant in network.participants
            for key in participant.validators
        ],
        [
            (participant.lei.encode(), node_id)
            for participant in network.participants
            for node_id in participant.nodes
        ],
    )


def _council_arguments(network: Network) -> tuple[object, ...]:
    """Its administrator is one besides the Council, which always is one."""
    return (
        contracts.ACCESS_MANAGER_ADDRESS,
        contracts.REGISTRY_ADDRESS,
        contracts.NODE_REGISTRY_ADDRESS,
        network.operator if network.is_governed_by_operator else ZERO_ADDRESS,
        network.council_time_lock_seconds,
    )


def _coordinates_of(compressed_key: bytes) -> tuple[bytes, bytes]:
    point = decompress_public_key(compressed_key)
    return point[:32], point[32:]


def _token_arguments(currency: NetworkCurrency) -> tuple[object, ...]:
    return (
        contracts.ACCESS_MANAGER_ADDRESS,
        currency.name,
        currency.code.encode(),
        currency.exponent,
        currency.issuer_lei.encode(),
        contracts.REGISTRY_ADDRESS,
        contracts.SETTLEMENT_ADDRESS,
    )


def _participant_input(participant: NetworkParticipant) -> tuple[object, ...]:
    return (
        participant.lei.encode(),
        participant.bic.encode().ljust(11, b"\0"),
        participant.country.encode(),
        sum({ROLE_BITS[role] for role in participant.roles}),
        participant.sealing_key,
        participant.signing_key,
        participant.endpoint,
        [
            (account.reference, account.address, ACCOUNT_KINDS[account.kind])
            for account in participant.accounts
        ],
        (participant.central_bank or "").encode().ljust(20, b"\0"),
    )


AbiEntry = dict[str, Any]  # JSON as the compiler gives it


def _initialiser(name: str, *arguments: object) -> bytes:
    entry = _entry(contracts.load(name), "function", "initialize")
    types = _types(entry)
    selector = keccak(f"initialize({','.join(types)})".encode())[:4]
    return selector + encode_abi(types, list(arguments))


def _entry(artefact: contracts.Artefact, kind: str, name: str | None = None) -> AbiEntry:
    return next(
        entry for entry in artefact.abi if entry["type"] == kind and entry.get("name") == name
    )


def _types(entry: AbiEntry) -> list[str]:
    return [_type(parameter) for parameter in entry["inputs"]]


def _type(parameter: AbiEntry) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_type, parameter['components']))}){kind.removeprefix('tuple')}"


def _format_account(account: GenesisAccount) -> dict[str, object]:
    formatted: dict[str, object] = {"balance": hex(account.balance)}
    if account.nonce:
        formatted["nonce"] = hex(account.nonce)
    if account.code:
        formatted["code"] = _hex(account.code)
    if account.storage:
        formatted["storage"] = {
            _hex(slot.to_bytes(32, "big")): _hex(value.to_bytes(32, "big"))
            for slot, value in account.storage.items()
        }
    return formatted


def _parse_account(value: object) -> GenesisAccount:
    fields = _object(value)
    unknown = sorted(set(fields) - {"balance", "nonce", "code", "storage"})
    if unknown:
        raise GenesisFileInvalid(f"unknown account field {unknown[0]}")
    storage = _object(fields.get("storage", {}))
    return GenesisAccount(
        balance=_integer(fields.get("balance", "0x0")),
        nonce=_integer(fields.get("nonce", "0x0")),
        code=_bytes(fields.get("code", "0x")),
        storage={_integer(slot): _integer(content) for slot, content in storage.items()},
    )


def _parse_document(text: bytes) -> dict[str, object]:
    try:
        document = _object(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise GenesisFileInvalid("not JSON") from error
    _check_fields(sorted(document))
    return document


def _check_fields(found: Sequence[str]) -> None:
    if tuple(found) != GENESIS_FIELDS:
        raise GenesisFileInvalid(f"expected the fields {', '.join(GENESIS_FIELDS)}")


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise GenesisFileInvalid("expected an object")
    return value


def _bytes(value: object, length: int | None = None) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise GenesisFileInvalid("expected 0x-prefixed hex")
    try:
        parsed = bytes.fromhex(value[2:])
    except ValueError as error:
        raise GenesisFileInvalid("expected 0x-prefixed hex") from error
    if length is not None and len(parsed) != length:
        raise GenesisFileInvalid(f"expected {length} bytes, got {len(parsed)}")
    return parsed


def _integer(value: object) -> int:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise GenesisFileInvalid("expected a 0x-prefixed quantity")
    try:
        return int(value, 16)
    except ValueError as error:
        raise GenesisFileInvalid("expected a 0x-prefixed quantity") from error


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
