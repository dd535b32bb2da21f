"""A state as its values: every trie node and every code that a root reaches.

The account trie and the storage tries under it are modified Merkle Patricia tries (Yellow Paper,
appendix D) whose nodes stand under their hash. Copying a state copies exactly what it needs, so what
no kept state needs is left behind; and it holds every value to its hash on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from node.errors import MalformedRlp, StateMissing, StoreCorrupt
from node.primitives import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    Hash32,
    RlpItem,
    decode_bytes,
    decode_list,
    decode_rlp,
    keccak,
)
from node.store.state import StateValues

BATCH_VALUES: Final = 10_000
"""Values written in one transaction."""

CODES_REMEMBERED_MAX: Final = 65_536
"""Codes that a walk remembers to have passed; accounts share a few."""

_ACCOUNT_FIELDS: Final = 4
_LEAF_FLAG: Final = 0x20
"""In the first byte of a node's path (hex prefix)."""


class _Kind(Enum):
    ACCOUNTS = 1
    STORAGE = 2
    CODE = 3


_Reference = tuple[Hash32, _Kind]


class StateWalk:
    """The values of one state in the order of its paths: an account's node, its storage, its code, then the next.

    Whoever walks gives each value that is asked for. The order depends on the root alone, every value is held to its
    hash, and memory is bounded by the depth of the tries, not by the state. A code comes once, as far as it is
    remembered; a storage trie comes with every account that has it.
    """

    def __init__(self, root: Hash32) -> None:
        self._pending: list[_Reference] = []
        self._codes: set[bytes] = set()
        if root != EMPTY_TRIE_ROOT:
            self._pending.append((root, _Kind.ACCOUNTS))

    @property
    def next_key(self) -> Hash32 | None:
        """The hash of the value that comes next; None where all have come."""
        return self._pending[-1][0] if self._pending else None

    def take(self, value: bytes) -> None:
        """Passes the value that comes next; raises StoreCorrupt where it is another one."""
        key, kind = self._pending.pop()
        _check_value(key, value)
        if kind is not _Kind.CODE:
            self._pending.extend(reversed(_references(key, value, kind)))
        elif len(self._codes) < CODES_REMEMBERED_MAX:
            self._codes.add(key)
        while self._pending and self._pending[-1][1] is _Kind.CODE and self._is_known():
            self._pending.pop()

    def _is_known(self) -> bool:
        return self._pending[-1][0] in self._codes


class StateCopy:
    """What was copied so far of some states, from one store into another that began empty."""

    def __init__(self, *, source: StateValues, target: StateValues) -> None:
        self._source = source
        self._target = target
        self._batch: dict[bytes, bytes] = {}
        self._codes: set[bytes] = set()
        """Codes that were copied as codes. One may have the very bytes of a trie node, by somebody's
        design: its being there does not say that the node's children are."""

    def add(self, root: Hash32) -> None:
        """Copies the state at a root; raises StateMissing, or StoreCorrupt for what is not itself."""
        pending: list[_Reference] = [(root, _Kind.ACCOUNTS)] if root != EMPTY_TRIE_ROOT else []
        while pending:
            key, kind = pending.pop()
            if self._is_done(key, kind):
                continue
            value = self._take(key)
            if kind is _Kind.CODE:
                self._codes.add(key)
                continue
            self._codes.discard(key)
            pending.extend(_references(key, value, kind))

    def finish(self) -> None:
        """Writes what is left to write."""
        self._target.write(self._batch)
        self._batch = {}

    def _is_done(self, key: Hash32, kind: _Kind) -> bool:
        is_there = key in self._batch or self._target.get(key) is not None
        return is_there and (kind is _Kind.CODE or key not in self._codes)

    def _take(self, key: Hash32) -> bytes:
        value = self._source.get(key)
        if value is None:
            raise StateMissing(key)
        _check_value(key, value)
        self._batch[key] = value
        if len(self._batch) >= BATCH_VALUES:
            self.finish()
        return value


def _check_value(key: Hash32, value: bytes) -> None:
    if keccak(value) != key:
        raise StoreCorrupt("a state value is not what its hash says", key)


def _references(key: Hash32, encoded: bytes, kind: _Kind) -> list[_Reference]:
    """Return what a trie node names by hash; raises StoreCorrupt, which names the node, where it is none."""
    try:
        return list(_children(decode_rlp(encoded), kind))
    except MalformedRlp as error:
        raise StoreCorrupt(f"state node: {error}", key) from error


def _children(node: RlpItem, kind: _Kind) -> Iterator[_Reference]:
    """Yield the children that stand under a hash; one that stands within its parent is too short to name any."""
    items = decode_list(node)
    if len(items) == 17:
        children: Sequence[RlpItem] = items[:16]
    else:
        path, content = decode_list(items, 2)
        if int.from_bytes(decode_bytes(path)[:1], "big") & _LEAF_FLAG:
            if kind is _Kind.ACCOUNTS:
                yield from _account_references(decode_bytes(content))
            return
        children = [content]
    for child in children:
        if child and isinstance(child, bytes):
            yield Hash32(decode_bytes(child, 32)), kind


def _account_references(encoded: bytes) -> Iterator[_Reference]:
    _, _, storage_root, code_hash = decode_list(decode_rlp(encoded), _ACCOUNT_FIELDS)
    if storage_root != EMPTY_TRIE_ROOT:
        yield Hash32(decode_bytes(storage_root, 32)), _Kind.STORAGE
    if code_hash != EMPTY_CODE_HASH:
        yield Hash32(decode_bytes(code_hash, 32)), _Kind.CODE
