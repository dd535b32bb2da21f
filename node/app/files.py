"""Commands that work on files alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node import genesis
from node.app.consensus import ENGINE_DIRECTORY
from node.config import (
    Network,
    NetworkParticipant,
    is_loopback,
    load_settings,
    parse_network,
)
from node.consensus.cometbft.home import PublicKeys, make_keys, read_keys
from node.engine import PyEvmEngine
from node.errors import GenesisFileInvalid
from node.membership import first_validators, validator_set
from node.specification import consensus_chain_id
from node.store import MemoryState

NODE_SETTINGS: Final = "node.toml"
"""The settings file of a generated node, in its directory."""

NODE_DATA: Final = "data"
"""The data directory of a generated node, in its directory."""


def generate_genesis(network_file: Path) -> tuple[bytes, bytes]:
    """The content of genesis.json for a network file, and the genesis hash."""
    return _generate(parse_network(network_file.read_bytes()))


def generate_network(network_file: Path, directory: Path) -> bytes:
    """Makes all that the nodes of a network file start with; gives the genesis hash.

    Each participant with a `peer_address` gets `directory/BIC/`, with `node.toml` and a data directory. Who states its
    public keys keeps the private ones; for who does not they are made, in `data/engine`. `genesis.json` is the same for
    all, and `network.json` says by which keys it was made.
    """
    network = parse_network(network_file.read_bytes())
    completed = network.model_copy(
        update={
            "participants": [
                _with_keys(each, directory / each.bic) for each in network.participants
            ]
        }
    )
    text, genesis_hash = _generate(completed)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "genesis.json").write_bytes(text)
    (directory / "network.json").write_text(_format_network(completed), "utf-8")
    reached = [each for each in completed.participants if each.peer_address and each.nodes]
    for participant in reached:
        own = directory / participant.bic
        own.mkdir(exist_ok=True)
        others = [each for each in reached if each is not participant]
        (own / NODE_SETTINGS).write_text(_node_settings(participant, others), "utf-8")
    return genesis_hash


def make_node_keys(data_directory: Path) -> PublicKeys:
    """The public keys of a data directory's engine, made where there are none."""
    return make_keys(data_directory / ENGINE_DIRECTORY)


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a new node starts with, as a member of the network gives it."""

    genesis_file: Path
    data_directory: Path
    peers: tuple[str, ...]
    """Each `node id@host:port`."""
    listen: str | None = None
    """`host:port` at which its engine awaits peers; the settings' default where it is not said."""
    sync_rpc: tuple[str, ...] = ()
    """URLs of engines to verify a snapshot by; none: the node executes all blocks from genesis."""
    trust_height: int = 0
    trust_hash: str = ""


def join_network(request: JoinRequest) -> PublicKeys:
    """Makes a data directory with genesis, keys and settings for a new node; gives the keys to be admitted.

    Nothing that is there is overwritten; keys that are there are used. Raises SettingsInvalid, GenesisFileInvalid and
    `FileExistsError` where a node was prepared already.
    """
    verify_genesis(request.genesis_file)
    directory = request.data_directory
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = directory / NODE_SETTINGS
    if settings.exists():
        raise FileExistsError(f"{settings} is there already")
    shutil.copyfile(request.genesis_file, directory / "genesis.json")
    fresh = settings.with_suffix(".new")
    fresh.write_text(_joining_settings(request), "utf-8")
    load_settings(flags={"port": "1"}, environment={}, config_file=fresh)
    keys = make_node_keys(directory)
    fresh.replace(settings)
    return keys


def verify_genesis(genesis_file: Path) -> bytes:
    """The hash of a genesis file, recomputed; raises `GenesisMismatch` where the file states another."""
    loaded, _ = genesis.load(genesis_file.read_bytes(), PyEvmEngine(MemoryState()))
    return loaded.header.hash


def trust_anchor(genesis_file: Path, data_directory: Path | None) -> tuple[str, bytes]:
    """What certificates of a chain are held against: its id in consensus, and the hash of its first validators.

    They stand in genesis; a solo node signs by its own key, which its data directory holds.
    """
    made = genesis.parse(genesis_file.read_bytes())
    keys = [each.public_key for each in first_validators(made)]
    if data_directory is not None:
        own = read_keys(data_directory / ENGINE_DIRECTORY).validator
        keys = [own] if own is not None else keys
    if not keys:
        raise GenesisFileInvalid("it names no validators: a solo node's data directory is needed")
    chain_id = consensus_chain_id(made.specification.chain_id, made.header.hash)
    return chain_id, validator_set(keys).hash


def _generate(network: Network) -> tuple[bytes, bytes]:
    made = genesis.generate(network, PyEvmEngine(MemoryState()))
    return genesis.format_genesis(made), made.header.hash


def _with_keys(participant: NetworkParticipant, directory: Path) -> NetworkParticipant:
    """The participant with the keys that were made for its node, where it needs some."""
    if participant.peer_address is None or participant.nodes or participant.validators:
        return participant
    keys = make_node_keys(directory / NODE_DATA)
    validates = "validator" in participant.roles and keys.validator is not None
    return participant.model_copy(
        update={
            "nodes": [keys.node_id],
            "validators": [keys.validator] if validates else [],
        }
    )


def _format_network(network: Network) -> str:
    document = network.model_dump()
    return json.dumps(document, indent=1, default=lambda value: f"0x{value.hex()}") + "\n"


def _node_settings(participant: NetworkParticipant, others: list[NetworkParticipant]) -> str:
    assert participant.peer_address is not None  # noqa: S101 - who has none gets no settings
    host, _, port = participant.peer_address.rpartition(":")
    peers = [f"{each.nodes[0].hex()}@{each.peer_address}" for each in others]
    lines = [
        f"# {participant.bic}: run with `node run --config {NODE_SETTINGS} --port PORT`.",
        'genesis_file = "../genesis.json"',
        f'data_directory = "{NODE_DATA}"',
        "",
        "[consensus]",
        'engine = "cometbft"',
        f'listen = "{participant.peer_address if is_loopback(host) else f"0.0.0.0:{port}"}"',
        f'external_address = "{participant.peer_address}"',
        f"peers = {json.dumps(peers, indent=4)}",
    ]
    return "\n".join(lines) + "\n"


def _joining_settings(request: JoinRequest) -> str:
    lines = [
        f"# A node that joins: run with `node run --config {NODE_SETTINGS} --port PORT`.",
        'genesis_file = "genesis.json"',
        'data_directory = "."',
        "",
        "[consensus]",
        'engine = "cometbft"',
        f"peers = {json.dumps(request.peers, indent=4)}",
    ]
    if request.listen is not None:
        lines.append(f"listen = {json.dumps(request.listen)}")
    if request.sync_rpc:
        lines += [
            f"sync_rpc = {json.dumps(request.sync_rpc, indent=4)}",
            f"sync_trust_height = {request.trust_height}",
            f"sync_trust_hash = {json.dumps(request.trust_hash.lower())}",
        ]
    return "\n".join(lines) + "\n"
