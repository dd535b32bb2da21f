"""The Merkle Patricia trie of accounts and of each contract's storage, read fast and changed at once.

Yellow Paper, appendix D, for keys of one length (the hash of an address or slot). `get` walks decoded nodes, which are
remembered from block to block; `persist` applies all changes of a block together, so that every node on their paths is
encoded and hashed once, however many changes lie below it. `proof` and the store walk tries in code of their own; the
tests hold this one to the library's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from node.engine.state_buffer import StateBuffer
from node.engine.trie_node import (
    BRANCH_ITEMS,
    DIGITS,
    EMPTY_REFERENCE,
    HASH_REFERENCE_BYTES,
    NUMBER_BY_DIGIT,
    ChangedBranch,
    ChangedNode,
    Extension,
    Leaf,
    Node,
    decode_node,
    encode_node,
    refer_by_hash,
)
from node.primitives import EMPTY_TRIE_ROOT, Hash32, keccak

Change: TypeAlias = tuple[str, bytes]
"""A key as hexadecimal digits, and its new value; empty deletes it."""


class StateTrie:
    """One trie, at a root that moves when changes are written."""

    def __init__(self, buffer: StateBuffer, root: Hash32) -> None:
        self._buffer = buffer
        self.root = root
        """The root now."""

    def get(self, key: bytes) -> bytes:
        """The value of a key, empty where there is none; raises StateMissing."""
        if self.root == EMPTY_TRIE_ROOT:
            return b""
        digits = key.hex()
        depth = 0
        node: Node | ChangedNode = self._buffer.node(self.root)
        while True:
            if isinstance(node, Leaf):
                return node.value if digits[depth:] == node.path else b""
            if isinstance(node, Extension):
                if not digits.startswith(node.path, depth):
                    return b""
                depth += len(node.path)
                node = self._resolved(node.child)
                continue
            reference = node[NUMBER_BY_DIGIT[digits[depth]]]
            if reference == EMPTY_REFERENCE:
                return b""
            depth += 1
            node = self._resolved(reference)

    def persist(self, changes: Mapping[Hash32, bytes]) -> Hash32:
        """Writes changes into the buffer and gives the new root. An empty value deletes its key."""
        if changes:
            ordered = sorted((key.hex(), value) for key, value in changes.items())
            top = None if self.root == EMPTY_TRIE_ROOT else self._buffer.node(self.root)
            node = self._changed(top, ordered, 0)
            self.root = EMPTY_TRIE_ROOT if node is None else self._put(node)
        return self.root

    def _changed(
        self, node: Node | ChangedNode | None, changes: Sequence[Change], depth: int
    ) -> ChangedNode | None:
        """The node after changes that all lie below it; None where nothing is left."""
        if node is None:
            return _built(changes, depth)
        if isinstance(node, Leaf):
            key = changes[0][0][:depth] + node.path
            if all(change[0] != key for change in changes):
                changes = sorted([*changes, (key, node.value)])
            return _built(changes, depth)
        if not isinstance(node, Extension):
            return self._changed_branch([*node], changes, depth, may_shrink=False)
        path, child = node
        first, last = changes[0][0], changes[-1][0]
        if first.startswith(path, depth) and last.startswith(path, depth):
            changed = self._changed(self._resolved(child), changes, depth + len(path))
            return None if changed is None else _prefixed(path, changed)
        # Some changes leave the extension: it becomes a branch that holds the rest of it.
        branch: ChangedBranch = [EMPTY_REFERENCE] * BRANCH_ITEMS
        branch[NUMBER_BY_DIGIT[path[0]]] = child if len(path) == 1 else Extension(path[1:], child)
        return self._changed_branch(branch, changes, depth, may_shrink=True)

    def _changed_branch(
        self, branch: ChangedBranch, changes: Sequence[Change], depth: int, *, may_shrink: bool
    ) -> ChangedNode | None:
        """`may_shrink`: fewer than two children may be left even if no change empties one."""
        start, end = 0, 0
        while start < len(changes):
            digit = changes[start][0][depth]
            while end < len(changes) and changes[end][0][depth] == digit:
                end += 1
            number = NUMBER_BY_DIGIT[digit]
            reference = branch[number]
            child = None if reference == EMPTY_REFERENCE else self._resolved(reference)
            changed = self._changed(child, changes[start:end], depth + 1)
            branch[number] = EMPTY_REFERENCE if changed is None else changed
            may_shrink = may_shrink or changed is None
            start = end
        if not may_shrink:
            return branch
        left = [number for number, child in enumerate(branch) if child != EMPTY_REFERENCE]
        if len(left) > 1:
            return branch
        if not left:
            return None
        return _prefixed(DIGITS[left[0]], self._resolved(branch[left[0]]))

    def _resolved(self, reference: bytes | ChangedNode) -> Node | ChangedNode:
        if not isinstance(reference, bytes):
            return reference
        if len(reference) == HASH_REFERENCE_BYTES:
            return self._buffer.node(reference[1:])
        return decode_node(reference, reference)

    def _put(self, node: ChangedNode) -> Hash32:
        """Writes a changed node and those below it; gives its hash."""
        settled = self._settled(node)
        encoded = encode_node(settled)
        node_hash = keccak(encoded)
        self._buffer.put_node(node_hash, settled, encoded)
        return node_hash

    def _settled(self, node: ChangedNode) -> Node:
        """A node with nothing but references in it; those below that were none are written."""
        if isinstance(node, Leaf):
            return node
        if isinstance(node, Extension):
            return Extension(node.path, self._reference_of(node.child))
        return tuple([self._reference_of(child) for child in node])

    def _reference_of(self, child: bytes | ChangedNode) -> bytes:
        if isinstance(child, bytes):
            return child
        settled = self._settled(child)
        encoded = encode_node(settled)
        if len(encoded) < 32:
            return encoded
        node_hash = keccak(encoded)
        self._buffer.put_node(node_hash, settled, encoded)
        return refer_by_hash(node_hash)


def _built(changes: Sequence[Change], depth: int) -> ChangedNode | None:
    """The node over the values of sorted changes that agree in their first `depth` digits."""
    leaves = [change for change in changes if change[1]]
    if not leaves:
        return None
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return Leaf(first[depth:], leaves[0][1])
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    branch: ChangedBranch = [EMPTY_REFERENCE] * BRANCH_ITEMS
    start, end = 0, 0
    while start < len(leaves):
        digit = leaves[start][0][shared]
        while end < len(leaves) and leaves[end][0][shared] == digit:
            end += 1
        child = _built(leaves[start:end], shared + 1)
        if child is not None:
            branch[NUMBER_BY_DIGIT[digit]] = child
        start = end
    return branch if shared == depth else Extension(first[depth:shared], branch)


def _prefixed(path: str, child: Node | ChangedNode) -> ChangedNode:
    """What leads to a child by a path: the path goes into a leaf or an extension."""
    if isinstance(child, Leaf):
        return Leaf(path + child.path, child.value)
    if isinstance(child, Extension):
        return Extension(path + child.path, child.child)
    return Extension(path, [*child])
