"""Merkle Patricia tries once more, the slow way: an oracle that shares nothing with the node.

A trie is a nested structure of tuples into which each pair is inserted in turn; the node's own implementation sorts all
pairs and builds from the top. RLP and Keccak are those of the libraries `rlp` and `eth_hash`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import rlp
from eth_hash.auto import keccak

EMPTY_CODE: Final = keccak(b"")
BRANCHES: Final = 16

Node = Any
"""None, ("leaf", nibbles, value), ("extension", nibbles, node) or ("branch", nodes, value)."""


def root_of(value_by_key: Mapping[bytes, bytes]) -> bytes:
    """The root of a trie."""
    node: Node = None
    for key, value in value_by_key.items():
        node = _put(node, _nibbles(key), value)
    return keccak(rlp.encode(_structure(node)))


def state_root_of(accounts: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The root of a state whose accounts are written as in state tests: hex texts."""
    return root_of(
        {keccak(_data(address)): _account(fields) for address, fields in accounts.items()}
    )


def _account(fields: Mapping[str, Any]) -> bytes:
    storage = {
        keccak(_number(slot).to_bytes(32, "big")): rlp.encode(_number(value))
        for slot, value in fields["storage"].items()
    }
    code = _data(fields["code"])
    encoded: bytes = rlp.encode(
        [
            _number(fields["nonce"]),
            _number(fields["balance"]),
            root_of(storage),
            keccak(code) if code else EMPTY_CODE,
        ]
    )
    return encoded


def _put(node: Node, path: tuple[int, ...], value: bytes) -> Node:
    if node is None:
        return ("leaf", path, value)
    kind, content, rest = node
    if kind == "branch":
        if not path:
            return ("branch", content, value)
        children = list(content)
        children[path[0]] = _put(children[path[0]], path[1:], value)
        return ("branch", tuple(children), rest)
    shared = 0
    while shared < min(len(content), len(path)) and content[shared] == path[shared]:
        shared += 1
    if kind == "leaf" and shared == len(content) == len(path):
        return ("leaf", path, value)
    if kind == "extension" and shared == len(content):
        return ("extension", content, _put(rest, path[shared:], value))
    branch = _branch_of(kind, content[shared:], rest)
    branch = _put(branch, path[shared:], value)
    return ("extension", path[:shared], branch) if shared else branch


def _branch_of(kind: str, path: tuple[int, ...], rest: Any) -> Node:
    """A branch that holds one leaf or what hangs under one extension."""
    children: list[Node] = [None] * BRANCHES
    if kind == "leaf":
        return _put(("branch", tuple(children), b""), path, rest)
    children[path[0]] = ("extension", path[1:], rest) if path[1:] else rest
    return ("branch", tuple(children), b"")


def _structure(node: Node) -> Any:
    if node is None:
        return b""
    kind, content, rest = node
    if kind == "branch":
        return [*(_reference(child) for child in content), rest]
    packed = _packed(content, is_leaf=kind == "leaf")
    return [packed, rest if kind == "leaf" else _reference(rest)]


def _reference(node: Node) -> Any:
    structure = _structure(node)
    encoded = rlp.encode(structure)
    return structure if len(encoded) < 32 else keccak(encoded)


def _packed(nibbles: tuple[int, ...], *, is_leaf: bool) -> bytes:
    is_odd = len(nibbles) % 2 == 1
    first = f"{2 * is_leaf + is_odd:x}" if is_odd else f"{2 * is_leaf:x}0"
    return bytes.fromhex(first + "".join(f"{nibble:x}" for nibble in nibbles))


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(int(digit, 16) for digit in key.hex())


def _number(text: str) -> int:
    return int(text, 16)


def _data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
