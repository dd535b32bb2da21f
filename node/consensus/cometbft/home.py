"""The engine's home: its keys, its configuration and its genesis file.

    config/node_key.json             made once (`make_keys`): Ed25519, names the node among its peers
    config/priv_validator_key.json   made once: secp256k1, signs votes; its address is an Ethereum address
    data/priv_validator_state.json   made with the key and never again: it is what keeps a validator from signing twice
    config/config.toml               written at each start from the node's settings
    config/genesis.json              written at each start from the chain's genesis: the same bytes on every node

Keys are their owner's alone and never overwritten. Who validates with a remote signer, or gives its public keys only,
has no `priv_validator_key.json` here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import coincurve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.config import ConsensusSettings
from node.consensus.application import BLOCK_BYTES_MAX
from node.errors import KeyUnusable
from node.membership import VALIDATOR_POWER, ValidatorKey
from node.primitives import Hash32, address_of_public_key, decompress_public_key
from node.signer import read_secret, write_secret

KEY_TYPE: Final = "secp256k1eth"
EVIDENCE_BYTES_MAX: Final = 250_000
EVIDENCE_BLOCKS_MAX: Final = 100_000
EVIDENCE_NANOSECONDS_MAX: Final = 48 * 3_600 * 10**9
MEMPOOL_TRANSACTIONS_MAX: Final = 5_000

PROPOSALS_MODULE: Final = "proposals"
"""The part of the engine that tells at any level why a block with a time of long ago was decided."""

_LEVELS: Final = {"warning": "warn"}
"""Levels that the engine calls otherwise than we do."""

_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What others may know of a home's keys, and must to let the node in."""

    node_id: bytes
    validator: bytes | None
    """Compressed secp256k1; None where the home holds no such key."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the engine listens and whom it asks."""

    application: Path
    """The socket of the application."""
    rpc: Path
    """The socket of the engine's own RPC."""


def make_keys(home: Path) -> PublicKeys:
    """Makes the keys of a home that has none, and tells them; those that are there stay."""
    config, record = home / "config", home / "data" / "priv_validator_state.json"
    for directory in (home, config, record.parent):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    node_key, validator_key = config / "node_key.json", config / "priv_validator_key.json"
    if not node_key.exists():
        seed = Ed25519PrivateKey.generate()
        text = seed.private_bytes_raw() + seed.public_key().public_bytes_raw()
        _write_new(node_key, {"priv_key": _typed("PrivKeyEd25519", text)})
    if not validator_key.exists():
        secret = coincurve.PrivateKey()
        public_key = secret.public_key.format()
        document = {
            "address": address_of_public_key(decompress_public_key(public_key)).hex().upper(),
            "pub_key": _typed("PubKeySecp256k1eth", public_key),
            "priv_key": _typed("PrivKeySecp256k1eth", secret.secret),
        }
        # Its record comes first: without a record the engine refuses to sign, with a fresh one it might sign again.
        if not record.exists():
            _write_new(record, {"height": "0", "round": 0, "step": 0})
        _write_new(validator_key, document)
    return read_keys(home)


def read_keys(home: Path) -> PublicKeys:
    """The public keys of a home; raises KeyUnusable."""
    node_key, validator_key = (
        home / "config" / name for name in ("node_key.json", "priv_validator_key.json")
    )
    node_id = hashlib.sha256(_read_key(node_key, "priv_key")[32:]).digest()[:20]
    validator = _read_key(validator_key, "pub_key") if validator_key.exists() else None
    return PublicKeys(node_id, validator)


def read_validator_key(home: Path) -> coincurve.PrivateKey:
    """The private key of a home's validator; raises KeyUnusable."""
    path = home / "config" / "priv_validator_key.json"
    secret = _read_key(path, "priv_key")
    try:
        return coincurve.PrivateKey(secret)
    except ValueError as error:
        raise KeyUnusable(str(path), "it is no key of secp256k1") from error


def write_configuration(
    home: Path, settings: ConsensusSettings, places: Places, moniker: str
) -> None:
    """Writes config.toml: what the settings say, and what this node needs of the engine whatever they say."""
    config = home / "config"
    config.mkdir(parents=True, exist_ok=True, mode=0o700)
    sections = _configuration(settings, places, moniker)
    lines = ["# Written by `node run` at each start; the node's settings are the place to change."]
    for section, values in sections.items():
        if section:
            lines += ["", f"[{section}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    _write(config / "config.toml", "\n".join(lines) + "\n")


def consensus_genesis(
    *, chain_id: str, genesis_time: int, genesis_hash: Hash32, validators: Sequence[ValidatorKey]
) -> bytes:
    """The engine's genesis file of a chain: the same bytes on every node."""
    document = {
        "genesis_time": datetime.fromtimestamp(genesis_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "chain_id": chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_BYTES_MAX), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": str(EVIDENCE_BLOCKS_MAX),
                "max_age_duration": str(EVIDENCE_NANOSECONDS_MAX),
                "max_bytes": str(EVIDENCE_BYTES_MAX),
            },
            "validator": {"pub_key_types": [KEY_TYPE]},
        },
        "validators": [
            {
                "address": each.address.hex().upper(),
                "pub_key": _typed("PubKeySecp256k1eth", each.public_key),
                "power": str(VALIDATOR_POWER),
                "name": "",
            }
            for each in validators
        ],
        "app_hash": "",
        "app_state": {"genesis_hash": genesis_hash.hex()},
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def write_genesis(home: Path, text: bytes) -> None:
    """Writes the engine's genesis file."""
    _write(home / "config" / "genesis.json", text.decode())


def _configuration(
    settings: ConsensusSettings, places: Places, moniker: str
) -> Mapping[str, Mapping[str, object]]:
    return {
        "": {
            "proxy_app": f"unix://{places.application}",
            "abci": "socket",
            "moniker": moniker,
            "filter_peers": True,
            "log_format": "json",
            "log_level": f"{PROPOSALS_MODULE}:info,*:{_LEVELS.get(settings.log_level, settings.log_level)}",
            "priv_validator_laddr": settings.signer_address,
        },
        "rpc": {
            "laddr": ",".join(_rpc_addresses(settings, places)),
            "max_request_batch_size": 1_000,
            "max_body_bytes": 16 * 1024 * 1024,
        },
        "p2p": {
            "laddr": f"tcp://{settings.listen}",
            "external_address": settings.external_address,
            "persistent_peers": ",".join(settings.peers),
            "unconditional_peer_ids": ",".join(each.partition("@")[0] for each in settings.peers),
            "persistent_peers_max_dial_period": "5s",
            "addr_book_strict": False,
            "allow_duplicate_ip": True,
            "pex": False,
            "flush_throttle_timeout": "10ms",
            "send_rate": 50_000_000,
            "recv_rate": 50_000_000,
        },
        "mempool": {
            "type": "flood",
            "recheck": True,
            "size": MEMPOOL_TRANSACTIONS_MAX,
            "cache_size": 4 * MEMPOOL_TRANSACTIONS_MAX,
            "keep-invalid-txs-in-cache": False,
        },
        "consensus": {
            "timeout_propose": f"{settings.propose_milliseconds}ms",
            "timeout_propose_delta": f"{settings.propose_milliseconds // 2}ms",
            "timeout_prevote": f"{settings.vote_milliseconds}ms",
            "timeout_prevote_delta": f"{settings.vote_milliseconds // 2}ms",
            "timeout_precommit": f"{settings.vote_milliseconds}ms",
            "timeout_precommit_delta": f"{settings.vote_milliseconds // 2}ms",
            "timeout_commit": f"{settings.commit_milliseconds}ms",
            "skip_timeout_commit": True,
            "create_empty_blocks": False,
            "create_empty_blocks_interval": "0s",
            "peer_gossip_sleep_duration": "10ms",
            "peer_query_maj23_sleep_duration": "500ms",
        },
        "statesync": _state_sync(settings),
        "tx_index": {"indexer": "null"},
        "storage": {"discard_abci_responses": False},
        "instrumentation": {"prometheus": False},
    }


def _rpc_addresses(settings: ConsensusSettings, places: Places) -> list[str]:
    light = [f"tcp://{settings.light_rpc_listen}"] if settings.light_rpc_listen else []
    return [f"unix://{places.rpc}", *light]


def _state_sync(settings: ConsensusSettings) -> Mapping[str, object]:
    """How an engine that stands at no height yet gets a snapshot; one that stands at some passes over it."""
    if not settings.sync_rpc:
        return {"enable": False}
    return {
        "enable": True,
        "rpc_servers": ",".join(settings.sync_rpc),
        "trust_height": settings.sync_trust_height,
        "trust_hash": settings.sync_trust_hash,
        "trust_period": f"{settings.sync_trust_hours}h",
        "discovery_time": "5s",
    }


def _typed(kind: str, value: bytes) -> dict[str, str]:
    return {"type": f"tendermint/{kind}", "value": base64.b64encode(value).decode()}


def _read_key(path: Path, member: str) -> bytes:
    if not path.exists():
        raise KeyUnusable(str(path), "it is missing: `node network keys` makes it")
    text = read_secret(path)
    try:
        return base64.b64decode(json.loads(text)[member]["value"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise KeyUnusable(str(path), "it is no key file of the consensus engine") from error


def _write_new(path: Path, document: Mapping[str, object]) -> None:
    """Writes a file that must not exist yet; raises KeyUnusable."""
    write_secret(path, json.dumps(document, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    """Writes a file as a whole, or leaves the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(_OWNER_ONLY)
    fresh.replace(path)
