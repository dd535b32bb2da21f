"""Proofs that an account, and slots of its storage, stand in a state: or that they do not.

A proof is the list of trie nodes from the root to where the key's path ends, each as its RLP, those shorter than a
hash (which stand inside their parents) left out. It is read straight from the hash-keyed store.

Source: Yellow Paper, appendix D; EIP-1186.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from node.engine.account_state import EMPTY_ACCOUNT, decode_account
from node.errors import StateMissing
from node.primitives import (
    EMPTY_TRIE_ROOT,
    Address,
    Hash32,
    RlpItem,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    keccak,
)


class TrieNodes(Protocol):
    """Where trie nodes are found by their hash."""

    def get(self, key: bytes) -> bytes | None:
        """Return the node's RLP."""
        ...


@dataclass(frozen=True, slots=True)
class StorageProof:
    """One slot, its value (0: absent) and the nodes that prove it."""

    slot: int
    value: int
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AccountProof:
    """An account, the nodes that prove it or its absence, and proofs of its slots."""

    address: Address
    nonce: int
    balance: int
    code_hash: Hash32
    storage_root: Hash32
    nodes: tuple[bytes, ...]
    storage: tuple[StorageProof, ...]


def prove_account(
    store: TrieNodes, root: Hash32, address: Address, slots: Sequence[int]
) -> AccountProof:
    """Return the proof of an account and its slots; raises StateMissing."""
    nodes, leaf = _walk(store, root, keccak(address))
    account = EMPTY_ACCOUNT if leaf is None else decode_account(leaf)
    storage = tuple(_prove_slot(store, account.storage_root, slot) for slot in slots)
    return AccountProof(
        address=address,
        nonce=account.nonce,
        balance=account.balance,
        code_hash=account.code_hash,
        storage_root=account.storage_root,
        nodes=nodes,
        storage=storage,
    )


def _prove_slot(store: TrieNodes, storage_root: Hash32, slot: int) -> StorageProof:
    nodes, leaf = _walk(store, storage_root, keccak(slot.to_bytes(32, "big")))
    value = 0 if leaf is None else decode_uint(decode_rlp(leaf))
    return StorageProof(slot, value, nodes)


def _walk(store: TrieNodes, root: Hash32, key: bytes) -> tuple[tuple[bytes, ...], bytes | None]:
    """Return the nodes on a key's path, and its value, None where the path ends without it."""
    nodes: list[bytes] = []
    path = _nibbles(key)
    reference: RlpItem = root if root != EMPTY_TRIE_ROOT else b""
    while reference != b"":
        node = _resolve(store, reference, nodes)
        if len(node) == 17:
            reference, path = node[path[0]], path[1:]
            continue
        prefix, is_leaf = _decode_prefix(decode_bytes(node[0]))
        if path[: len(prefix)] != prefix:
            break
        path = path[len(prefix) :]
        if is_leaf:
            return tuple(nodes), decode_bytes(node[1])
        reference = node[1]
    return tuple(nodes), None


def _resolve(store: TrieNodes, reference: RlpItem, nodes: list[bytes]) -> Sequence[RlpItem]:
    """Return the node of a reference: one that stands inside its parent, or one by its hash."""
    if not isinstance(reference, bytes):
        return decode_list(reference)
    encoded = store.get(reference)
    if encoded is None:
        raise StateMissing(reference)
    nodes.append(encoded)
    return decode_list(decode_rlp(encoded))


def _decode_prefix(encoded: bytes) -> tuple[tuple[int, ...], bool]:
    nibbles = _nibbles(encoded)
    is_leaf, is_odd = bool(nibbles[0] & 2), bool(nibbles[0] & 1)
    return nibbles[1 if is_odd else 2 :], is_leaf


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in key for nibble in (byte >> 4, byte & 0xF))
