"""What a consumer keeps to go on from: a place in the order of logs, of one chain, proof against a slip of the pen.

    version(1) || first bytes of the genesis hash(8) || block number(8) || log index(4) || check(4)

Numbers are big-endian; the check is the beginning of the Keccak-256 of what stands before it. A cursor says that all
up to and including its place has been seen; one that ends a page without a log has the largest log index of its block.
"""

from __future__ import annotations

from typing import Final

from node.errors import CursorMalformed, CursorOfAnotherChain
from node.history import LogPlace
from node.primitives import Hash32, keccak

CURSOR_BYTES: Final = 25
"""Bytes of a cursor."""

VERSION: Final = b"\x01"
GENESIS_BYTES: Final = 8
CHECK_BYTES: Final = 4


def encode_cursor(genesis_hash: Hash32, place: LogPlace) -> bytes:
    """The cursor of a place, the same on every node of the chain."""
    content = VERSION + genesis_hash[:GENESIS_BYTES] + place.key
    return content + keccak(content)[:CHECK_BYTES]


def decode_cursor(data: bytes, genesis_hash: Hash32) -> LogPlace:
    """The place that a cursor names on this chain.

    Raises `CursorMalformed`, or `CursorOfAnotherChain` for one that was made elsewhere.
    """
    if len(data) != CURSOR_BYTES:
        raise CursorMalformed(f"{len(data)} bytes where {CURSOR_BYTES} belong")
    content, check = data[:-CHECK_BYTES], data[-CHECK_BYTES:]
    if keccak(content)[:CHECK_BYTES] != check:
        raise CursorMalformed("it was changed or cut")
    if not content.startswith(VERSION):
        raise CursorMalformed(f"version {content[0]} is not known here")
    found, expected = content[1 : 1 + GENESIS_BYTES], genesis_hash[:GENESIS_BYTES]
    if found != expected:
        raise CursorOfAnotherChain(expected=expected, found=found)
    return LogPlace.of_key(content[1 + GENESIS_BYTES :])
