"""The network and this node."""

from __future__ import annotations

from node.primitives import keccak
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import parse_data
from node.rpc.json_value import Json
from node.rpc.methods.view import View


def eth_chain_id(view: View) -> str:
    """The EIP-155 chain id."""
    return format_quantity(view.specification.chain_id)


def net_version(view: View) -> str:
    """The chain id in decimal."""
    return str(view.specification.chain_id)


def web3_client_version(view: View) -> str:
    """Name and version of this software."""
    return view.client_version


def web3_sha3(_view: View, data: Json) -> str:
    """The Keccak-256 of data."""
    return format_data(keccak(parse_data(data, name="data")))


def eth_accounts(_view: View) -> list[str]:
    """The accounts this node signs for: none, ever."""
    return []


def eth_syncing(_view: View) -> bool:
    """Whether the node is behind: it serves what it has committed."""
    return False
