"""A home directory for the consensus engine: one validator, keys that anybody may know."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Final

import coincurve

from node.primitives import keccak

NODE_ID: Final = "ba9be3aeb764e3892cc84a29eb30b12c990deb58"
NODE_KEY: Final = (
    "CidV7EVHDJUnlrVadmnazEqhPwoaPf8PGRUJsvs6bk8HDPpnRkd1Un/9a6BTlgpynpkWZAH+8kO2ysXS2+ALQw=="
)
"""An Ed25519 key, its seed the SHA-256 of a sentence; the id is the first 20 bytes of the public half's SHA-256."""

VALIDATOR_KEY: Final = coincurve.PrivateKey(keccak(b"corridor test validator"))
VALIDATOR_PUBLIC_KEY: Final = VALIDATOR_KEY.public_key.format(compressed=True)
VALIDATOR_ADDRESS: Final = keccak(VALIDATOR_KEY.public_key.format(compressed=False)[1:])[12:]

CHAIN_ID: Final = "corridor-1-test"

CONFIGURATION: Final = """proxy_app = "{proxy_app}"
log_level = "info"

[rpc]
laddr = "unix://{rpc}"

[p2p]
laddr = "tcp://127.0.0.1:{p2p_port}"
pex = false
addr_book_strict = false

[consensus]
create_empty_blocks = false
timeout_commit = "50ms"
skip_timeout_commit = true

[tx_index]
indexer = "null"
"""


def make_home(folder: Path, *, proxy_app: str, p2p_port: int) -> Path:
    """Writes all that the engine needs to start; its RPC listens on `rpc.sock` in the folder."""
    (folder / "config").mkdir(parents=True)
    (folder / "data").mkdir()
    public = {
        "type": "tendermint/PubKeySecp256k1eth",
        "value": base64.b64encode(VALIDATOR_PUBLIC_KEY).decode(),
    }
    private = {
        "type": "tendermint/PrivKeySecp256k1eth",
        "value": base64.b64encode(VALIDATOR_KEY.secret).decode(),
    }
    address = VALIDATOR_ADDRESS.hex().upper()
    genesis = {
        "genesis_time": "2026-01-01T00:00:00Z",
        "chain_id": CHAIN_ID,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": "1000000", "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": "100000",
                "max_age_duration": "172800000000000",
                "max_bytes": "100000",
            },
            "validator": {"pub_key_types": ["secp256k1eth"]},
            "version": {"app": "0"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [{"pub_key": public, "power": "10", "name": "one"}],
        "app_hash": "",
    }
    documents = {
        "config/genesis.json": genesis,
        "config/node_key.json": {
            "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": NODE_KEY}
        },
        "config/priv_validator_key.json": {
            "address": address,
            "pub_key": public,
            "priv_key": private,
        },
        "data/priv_validator_state.json": {"height": "0", "round": 0, "step": 0},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    (folder / "config/config.toml").write_text(
        CONFIGURATION.format(proxy_app=proxy_app, rpc=rpc_socket(folder), p2p_port=p2p_port),
        encoding="utf-8",
    )
    return folder


def rpc_socket(home: Path) -> Path:
    """Where the engine of a home answers."""
    return home / "rpc.sock"
