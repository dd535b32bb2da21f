"""The state store with one block's writes laid over it."""

from __future__ import annotations

from typing import Final

from node.engine.trie_node import Node, NodeMemory, decode_node
from node.errors import StateMissing
from node.store import StateValues

NODES_MADE_MAX: Final = 16_384
"""Nodes kept decoded until they are committed: a block makes some thousands, a genesis millions."""


class StateBuffer:
    """Nodes and code as one block, or dry run, sees them; nothing reaches the store from here.

    What was read from the store is remembered for later blocks; what is written here is only once it is committed.
    """

    def __init__(self, store: StateValues, memory: NodeMemory) -> None:
        self._store = store
        self._memory = memory
        self.written: dict[bytes, bytes] = {}
        """Encoded nodes and code by their hash."""
        self.made: dict[bytes, Node] = {}
        """The first of the nodes among them, decoded."""

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def get(self, key: bytes) -> bytes | None:
        """The node or code under a hash, as it is stored."""
        value = self.written.get(key)
        return self._store.get(key) if value is None else value

    def node(self, node_hash: bytes) -> Node:
        """The node under a hash; raises StateMissing."""
        node = self._memory.get(node_hash) or self.made.get(node_hash)
        if node is not None:
            return node
        written = self.written.get(node_hash)
        if written is not None:
            return decode_node(written, node_hash)
        encoded = self._store.get(node_hash)
        if encoded is None:
            raise StateMissing(node_hash)
        node = decode_node(encoded, node_hash)
        self._memory.put(node_hash, node)
        return node

    def put_node(self, node_hash: bytes, node: Node, encoded: bytes) -> None:
        """Writes a node."""
        self.written[node_hash] = encoded
        if len(self.made) < NODES_MADE_MAX:
            self.made[node_hash] = node
