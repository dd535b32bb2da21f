"""The methods of Ethereum nodes that this one does not serve, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NO_MINING: Final = "blocks are made by the validators' consensus; nobody mines"
_NO_SUCH_FORK: Final = "belongs to a fork after Prague"
_CONSENSUS_DRIVES: Final = "the engine of consensus drives this node itself"
_NO_KEYS: Final = "this node holds no keys of accounts"
_OPERATORS_COMMANDS: Final = "what an operator does, the node's own commands do"

LEFT_OUT: Final[Mapping[str, str]] = {
    "admin_*": _OPERATORS_COMMANDS,
    "clique_*": _CONSENSUS_DRIVES,
    "debug_setHead": "what is committed is final",
    "engine_*": _CONSENSUS_DRIVES,
    "eth_getBlockAccessList": f"block access lists (EIP-7928): {_NO_SUCH_FORK}",
    "eth_getCompilers": "no node has compilers any more",
    "eth_getWork": _NO_MINING,
    "eth_hashrate": _NO_MINING,
    "eth_mining": _NO_MINING,
    "eth_protocolVersion": "nodes do not speak Ethereum's wire protocol to each other here",
    "eth_submitHashrate": _NO_MINING,
    "eth_submitWork": _NO_MINING,
    "miner_*": _NO_MINING,
    "personal_*": _NO_KEYS,
    "shh_*": "no node has Whisper any more",
}
"""Reason by method; a name that ends in `*` stands for every method of its namespace."""
