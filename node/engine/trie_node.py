"""Nodes of the state's tries, decoded: what they hold, and the memory that keeps them from block to block.

A branch is the tuple of its 17 items as they stand in the encoding. A child is empty, the hash of a node, or a node so
small that it is embedded: its *reference*. While a branch changes it is a list, and a changed child stands in it as a
node instead of a reference.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from node.errors import StoreCorrupt
from node.primitives import Hash32, encode_rlp, encode_rlp_list

NODES_REMEMBERED_MAX: Final = 65_536
"""Decoded nodes kept in memory at most."""

EMPTY_REFERENCE: Final = b"\x80"
HASH_REFERENCE_BYTES: Final = 33
BRANCH_ITEMS: Final = 17
DIGITS: Final = "0123456789abcdef"
NUMBER_BY_DIGIT: Final = {digit: number for number, digit in enumerate(DIGITS)}

_HASH_MARKER: Final = b"\xa0"
_SHORT_ITEMS: Final = 2


class Leaf(NamedTuple):
    """The end of a key's path."""

    path: str
    """The rest of the key, as hexadecimal digits."""
    value: bytes


class Extension(NamedTuple):
    """Digits that all keys below share."""

    path: str
    child: bytes | ChangedBranch
    """A reference; while it changes, the branch itself."""


Branch: TypeAlias = tuple[bytes, ...]
ChangedBranch: TypeAlias = "list[bytes | Leaf | Extension | ChangedBranch]"
Node: TypeAlias = Leaf | Extension | Branch
"""As it is remembered."""
ChangedNode: TypeAlias = "Leaf | Extension | ChangedBranch"


class NodeMemory:
    """Decoded nodes by hash, of states that are committed. Safe between threads.

    A hash's content never changes, so the memory cannot answer wrongly. There are two generations, each of half the
    nodes: what is used moves into the younger, and when that is full the older is forgotten.
    """

    def __init__(self, nodes_max: int = NODES_REMEMBERED_MAX) -> None:
        self._half = nodes_max // 2
        self._young: dict[bytes, Node] = {}
        self._old: dict[bytes, Node] = {}

    def get(self, node_hash: bytes) -> Node | None:
        """A remembered node."""
        node = self._young.get(node_hash)
        if node is None:
            node = self._old.get(node_hash)
            if node is not None:
                self.put(node_hash, node)
        return node

    def put(self, node_hash: bytes, node: Node) -> None:
        """Remembers a node."""
        young = self._young
        if len(young) >= self._half:
            self._old = young
            self._young = young = {}
        young[node_hash] = node


def decode_node(encoded: bytes, key: bytes) -> Node:
    """The node of an encoding; raises StoreCorrupt, which names the key, where it is none."""
    try:
        items = _items_of(encoded)
        if len(items) == BRANCH_ITEMS:
            return tuple(items)
        if len(items) == _SHORT_ITEMS:
            digits = _text_of(items[0]).hex()
            flag = NUMBER_BY_DIGIT[digits[0]]
            path = digits[1:] if flag % 2 else digits[2:]
            return Leaf(path, _text_of(items[1])) if flag > 1 else Extension(path, items[1])
    except IndexError as error:
        raise StoreCorrupt("a trie node is cut off", key) from error
    raise StoreCorrupt("a trie node has another shape", key)


def encode_node(node: Leaf | Extension | Branch) -> bytes:
    """A node's encoding; nothing in it is still changing."""
    if isinstance(node, Leaf):
        return encode_rlp([_packed(node.path, is_leaf=True), node.value])
    if isinstance(node, Extension):
        assert isinstance(node.child, bytes)  # noqa: S101 - said above
        return encode_rlp_list([encode_rlp(_packed(node.path, is_leaf=False)), node.child])
    return encode_rlp_list(node)


def refer_by_hash(node_hash: Hash32) -> bytes:
    """The reference to a node of 32 bytes or more; a smaller one is its own."""
    return _HASH_MARKER + node_hash


def _packed(path: str, *, is_leaf: bool) -> bytes:
    """A path with its hex prefix (Yellow Paper, appendix C)."""
    if len(path) % 2:
        return bytes.fromhex(("3" if is_leaf else "1") + path)
    return bytes.fromhex(("20" if is_leaf else "00") + path)


def _items_of(encoded: bytes) -> list[bytes]:
    """The items of an RLP list, each as it is encoded."""
    at, end = _span(encoded, 0, 0xC0)
    items = []
    while at < end:
        first = encoded[at]
        if first < 0x80:
            stop = at + 1
        elif first <= 0xB7:
            stop = at + first - 0x7F
        else:
            stop = _span(encoded, at, 0x80 if first < 0xC0 else 0xC0)[1]
        items.append(encoded[at:stop])
        at = stop
    return items


def _text_of(item: bytes) -> bytes:
    """The byte string that an RLP item encodes."""
    if item[0] < 0x80:
        return item
    start, end = _span(item, 0, 0x80)
    return item[start:end]


def _span(encoded: bytes, at: int, offset: int) -> tuple[int, int]:
    """Where the payload of a string or list begins and ends."""
    size = encoded[at] - offset
    if size < 56:
        return at + 1, at + 1 + size
    start = at + 1 + size - 55
    return start, start + int.from_bytes(encoded[at + 1 : start], "big")
