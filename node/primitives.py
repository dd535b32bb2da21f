"""Bytes everybody agrees on: addresses, hashes, keccak, RLP, secp256k1.

RLP is Ethereum's serialisation (Yellow Paper, appendix B). `decode_rlp` accepts exactly one
encoding per value (lengths without leading zeros, shortest form, no bytes after the item) and a
bounded nesting, so it is total: any bytes give an item or MalformedRlp, never a deep recursion.
"""

from collections.abc import Sequence
from typing import Final

import coincurve
import eth_typing
from sha3 import keccak_256

from node.errors import MalformedRlp, SignatureInvalid

Address = eth_typing.Address
"""20 bytes; the type the Ethereum libraries use."""

Hash32 = eth_typing.Hash32
"""32 bytes."""

RlpItem = bytes | Sequence["RlpItem"]
"""What RLP encodes: a byte string, or a list of items."""

RLP_DEPTH_MAX: Final = 8
"""Nesting of the deepest structure we read is 4 (a receipt list's log topics)."""

SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

ZERO_ADDRESS: Final = Address(bytes(20))
ZERO_HASH: Final = Hash32(bytes(32))


def keccak(data: bytes) -> Hash32:
    """Return the Keccak-256 hash."""
    return Hash32(keccak_256(data).digest())


EMPTY_CODE_HASH: Final = keccak(b"")
EMPTY_TRIE_ROOT: Final = keccak(b"\x80")
EMPTY_LIST_HASH: Final = keccak(b"\xc0")


def encode_rlp(item: RlpItem) -> bytes:
    """Return the RLP encoding."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(len(item), 0x80) + item
    payload = b"".join([encode_rlp(child) for child in item])
    return _prefix(len(payload), 0xC0) + payload


def encode_rlp_list(encoded_items: Sequence[bytes]) -> bytes:
    """Return the RLP list of items that are encoded already."""
    payload = b"".join(encoded_items)
    return _prefix(len(payload), 0xC0) + payload


def decode_rlp(data: bytes) -> RlpItem:
    """Return the one item `data` encodes; raises MalformedRlp for anything not canonical."""
    item, end = _decode_item(data, 0, len(data), 0)
    if end != len(data):
        raise MalformedRlp("bytes after the item", end)
    return item


def encode_uint(value: int) -> bytes:
    """Return the shortest big-endian bytes; zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_uint(item: RlpItem, size_max: int = 32) -> int:
    """Return the integer of a byte string without leading zeros, at most `size_max` bytes."""
    text = decode_bytes(item)
    if len(text) > size_max:
        raise MalformedRlp(f"integer of {len(text)} bytes, at most {size_max} allowed")
    if text[:1] == b"\0":
        raise MalformedRlp("integer with leading zeros")
    return int.from_bytes(text, "big")


def decode_bytes(item: RlpItem, size: int | None = None) -> bytes:
    """Return a byte string, of exactly `size` bytes where given."""
    if not isinstance(item, bytes):
        raise MalformedRlp("a list where bytes belong")
    if size is not None and len(item) != size:
        raise MalformedRlp(f"{len(item)} bytes where {size} belong")
    return item


def decode_list(item: RlpItem, length: int | None = None) -> Sequence[RlpItem]:
    """Return a list, of exactly `length` items where given."""
    if isinstance(item, bytes):
        raise MalformedRlp("bytes where a list belongs")
    if length is not None and len(item) != length:
        raise MalformedRlp(f"list of {len(item)} items where {length} belong")
    return item


def address_of_public_key(public_key: bytes) -> Address:
    """Return the address of an uncompressed public key (64 bytes, without the 0x04 prefix)."""
    return Address(keccak(public_key)[12:])


def decompress_public_key(compressed: bytes) -> bytes:
    """Return the 64 bytes x and y of a compressed secp256k1 key (33 bytes); raises ValueError if it is none."""
    if len(compressed) != 33 or compressed[0] not in (2, 3):
        raise ValueError(f"0x{compressed.hex()} is no compressed public key")
    try:
        point = coincurve.PublicKey(compressed)
    except ValueError as error:
        raise ValueError(f"0x{compressed.hex()} is not on the curve secp256k1") from error
    return point.format(compressed=False)[1:]


def recover_address(message_hash: bytes, *, r: int, s: int, y_parity: int) -> Address:
    """Return the address whose key made the signature; raises SignatureInvalid if none did."""
    if not (0 < r < SECP256K1_ORDER and 0 < s < SECP256K1_ORDER and y_parity in (0, 1)):
        raise SignatureInvalid("r, s or y_parity out of range")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([y_parity])
    try:
        public_key = coincurve.PublicKey.from_signature_and_message(
            signature, message_hash, hasher=None
        )
    except ValueError as error:
        raise SignatureInvalid("r is not the abscissa of a point") from error
    return address_of_public_key(public_key.format(compressed=False)[1:])


def created_address(sender: Address, nonce: int) -> Address:
    """Return where a creating transaction of that sender and nonce puts its contract."""
    return Address(keccak(encode_rlp([sender, encode_uint(nonce)]))[12:])


def _prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    size = encode_uint(length)
    return bytes([offset + 55 + len(size)]) + size


def _decode_item(data: bytes, start: int, end: int, depth: int) -> tuple[RlpItem, int]:
    """Return the item at `start` and where it stops; it must not pass `end`."""
    if start >= end:
        raise MalformedRlp("an item is missing", start)
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    if first < 0xC0:
        payload_start, payload_end = _payload_bounds(data, start, end, 0x80)
        if payload_end - payload_start == 1 and data[payload_start] < 0x80:
            raise MalformedRlp("a single byte in long form", start)
        return data[payload_start:payload_end], payload_end
    if depth >= RLP_DEPTH_MAX:
        raise MalformedRlp(f"lists nested deeper than {RLP_DEPTH_MAX}", start)
    position, payload_end = _payload_bounds(data, start, end, 0xC0)
    items: list[RlpItem] = []
    while position < payload_end:
        item, position = _decode_item(data, position, payload_end, depth + 1)
        items.append(item)
    return items, payload_end


def _payload_bounds(data: bytes, start: int, end: int, offset: int) -> tuple[int, int]:
    """Return where the payload of the string or list at `start` begins and ends."""
    marker = data[start] - offset
    if marker < 56:
        payload_start, length = start + 1, marker
    else:
        payload_start = start + 1 + marker - 55
        size = data[start + 1 : payload_start]
        if payload_start > end:
            raise MalformedRlp("a length is cut off", start)
        if size[0] == 0:
            raise MalformedRlp("a length with leading zeros", start)
        length = int.from_bytes(size, "big")
        if length < 56:
            raise MalformedRlp("a short payload in long form", start)
    if payload_start + length > end:
        raise MalformedRlp("the payload is cut off", start)
    return payload_start, payload_start + length
