"""The network and this node."""

from __future__ import annotations

from node.block import COINBASE
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


def eth_coinbase(_view: View) -> str:
    """Who is paid for blocks: the zero address, which is every block's."""
    return format_data(COINBASE)


def net_listening(_view: View) -> bool:
    """Whether the node serves: it does, or there would be no answer."""
    return True


def net_peer_count(_view: View) -> str:
    """How many nodes exchange blocks with this process: none, for consensus has its own connections."""
    return format_quantity(0)
