"""Blocks: headers, receipts, logs, blooms, and the roots that bind them.

The block is a real Ethereum block of Prague: 21 header fields, `hash == keccak(rlp(header))`.
Nine of them never vary on this chain and are constants here; a header that carries anything else
does not decode. Tries are the modified Merkle Patricia trie (Yellow Paper, appendix D); lists are
keyed by the RLP of their position.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from node.errors import MalformedRlp
from node.primitives import (
    EMPTY_LIST_HASH,
    EMPTY_TRIE_ROOT,
    ZERO_ADDRESS,
    ZERO_HASH,
    Address,
    Hash32,
    RlpItem,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_rlp_list,
    encode_uint,
    keccak,
)
from node.transaction import TYPE_LEGACY

COINBASE: Final = ZERO_ADDRESS
DIFFICULTY: Final = 0
MIX_HASH: Final = ZERO_HASH
NONCE: Final = bytes(8)
OMMERS_HASH: Final = EMPTY_LIST_HASH
WITHDRAWALS_ROOT: Final = EMPTY_TRIE_ROOT
BLOB_GAS_USED: Final = 0
EXCESS_BLOB_GAS: Final = 0
PARENT_BEACON_BLOCK_ROOT: Final = ZERO_HASH
REQUESTS_HASH: Final = Hash32(sha256(b"").digest())

BLOOM_BYTES: Final = 256
EMPTY_BLOOM: Final = bytes(BLOOM_BYTES)
EXTRA_DATA_BYTES_MAX: Final = 32

_HEADER_FIELDS: Final = 21
_BLOOM_BIT_MASK: Final = 0x7FF
_BLOOM_ENTRIES_REMEMBERED_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Header:
    """What varies in a block's header, and its hash."""

    parent_hash: Hash32
    state_root: Hash32
    transactions_root: Hash32
    receipts_root: Hash32
    logs_bloom: bytes
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    extra_data: bytes = b""
    base_fee_per_gas: int = 0
    coinbase: Address = COINBASE
    """Another than the chain's own only in a simulated block, which is never stored."""
    mix_hash: Hash32 = MIX_HASH
    """As the coinbase."""
    hash: Hash32 = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", keccak(self.encode()))

    def encode(self) -> bytes:
        """Return the RLP of all 21 fields."""
        return encode_rlp(
            [
                self.parent_hash,
                OMMERS_HASH,
                self.coinbase,
                self.state_root,
                self.transactions_root,
                self.receipts_root,
                self.logs_bloom,
                encode_uint(DIFFICULTY),
                encode_uint(self.number),
                encode_uint(self.gas_limit),
                encode_uint(self.gas_used),
                encode_uint(self.timestamp),
                self.extra_data,
                self.mix_hash,
                NONCE,
                encode_uint(self.base_fee_per_gas),
                WITHDRAWALS_ROOT,
                encode_uint(BLOB_GAS_USED),
                encode_uint(EXCESS_BLOB_GAS),
                PARENT_BEACON_BLOCK_ROOT,
                REQUESTS_HASH,
            ]
        )


def decode_header(data: bytes) -> Header:
    """Return the header; raises MalformedRlp for bytes that are no header of this chain."""
    items = decode_list(decode_rlp(data), _HEADER_FIELDS)
    header = Header(
        parent_hash=Hash32(decode_bytes(items[0], 32)),
        state_root=Hash32(decode_bytes(items[3], 32)),
        transactions_root=Hash32(decode_bytes(items[4], 32)),
        receipts_root=Hash32(decode_bytes(items[5], 32)),
        logs_bloom=decode_bytes(items[6], BLOOM_BYTES),
        number=decode_uint(items[8], 8),
        gas_limit=decode_uint(items[9], 8),
        gas_used=decode_uint(items[10], 8),
        timestamp=decode_uint(items[11], 8),
        extra_data=decode_bytes(items[12]),
        base_fee_per_gas=decode_uint(items[15]),
    )
    if len(header.extra_data) > EXTRA_DATA_BYTES_MAX or header.encode() != data:
        raise MalformedRlp("a constant header field has another value")
    return header


@dataclass(frozen=True, slots=True)
class Log:
    """One event of a contract."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes

    def items(self) -> list[RlpItem]:
        """Return the log as RLP items."""
        return [self.address, list(self.topics), self.data]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an included transaction did. The first four fields are what the block commits to."""

    transaction_type: int
    succeeded: bool
    """False: reverted or halted; its gas is used and its nonce is taken all the same."""
    cumulative_gas_used: int
    logs: tuple[Log, ...]
    gas_used: int
    sender: Address
    contract_address: Address | None = None
    """Where a creating transaction put its contract, whether or not it succeeded."""

    @property
    def logs_bloom(self) -> bytes:
        """The bloom filter over the logs."""
        return bloom_of(self.logs)

    def encode(self) -> bytes:
        """Return the consensus encoding (EIP-2718)."""
        payload = encode_rlp(
            [
                encode_uint(int(self.succeeded)),
                encode_uint(self.cumulative_gas_used),
                self.logs_bloom,
                [log.items() for log in self.logs],
            ]
        )
        if self.transaction_type == TYPE_LEGACY:
            return payload
        return bytes([self.transaction_type]) + payload


@dataclass(frozen=True, slots=True)
class Block:
    """A header with its raw transactions."""

    header: Header
    transactions: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Length of the block's own RLP."""
        return len(self.encode())

    def encode(self) -> bytes:
        """Return the block's RLP: header, transactions, no ommers, no withdrawals."""
        bodies = [
            raw if raw[0] > _TYPED_MARKER_MAX else encode_rlp(raw) for raw in self.transactions
        ]
        return encode_rlp_list(
            [self.header.encode(), encode_rlp_list(bodies), encode_rlp([]), encode_rlp([])]
        )


def encode_body(transactions: Sequence[bytes]) -> bytes:
    """Return the stored form of a block's transactions."""
    return encode_rlp(list(transactions))


def decode_body(data: bytes) -> tuple[bytes, ...]:
    """Return a block's raw transactions."""
    return tuple(decode_bytes(item) for item in decode_list(decode_rlp(data)))


def decode_log(item: RlpItem) -> Log:
    """Return the log of RLP items as `Log.items` makes them."""
    address, topics, data = decode_list(item, 3)
    return Log(
        Address(decode_bytes(address, 20)),
        tuple(Hash32(decode_bytes(topic, 32)) for topic in decode_list(topics)),
        decode_bytes(data),
    )


def bloom_of(logs: Iterable[Log]) -> bytes:
    """Return the 2048-bit bloom filter of the logs' addresses and topics."""
    bloom = 0
    for log in logs:
        for entry in (log.address, *log.topics):
            bloom |= _bloom_bits(entry)
    return bloom.to_bytes(BLOOM_BYTES, "big")


@lru_cache(maxsize=_BLOOM_ENTRIES_REMEMBERED_MAX)
def _bloom_bits(entry: bytes) -> int:
    """The three bits of an address or topic; contracts and events come again and again."""
    digest = keccak(entry)
    bits = 0
    for position in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[position : position + 2], "big") & _BLOOM_BIT_MASK)
    return bits


def merge_blooms(blooms: Iterable[bytes]) -> bytes:
    """Return the filter that answers for all of them."""
    merged = 0
    for bloom in blooms:
        merged |= int.from_bytes(bloom, "big")
    return merged.to_bytes(BLOOM_BYTES, "big")


def transactions_root(transactions: Sequence[bytes]) -> Hash32:
    """Return the root of a block's raw transactions."""
    return list_root(transactions)


def receipts_root(receipts: Sequence[Receipt]) -> Hash32:
    """Return the root of a block's receipts."""
    return list_root([receipt.encode() for receipt in receipts])


def list_root(values: Sequence[bytes]) -> Hash32:
    """Return the root of the trie that maps the RLP of each position to its value."""
    return trie_root(
        [(encode_rlp(encode_uint(index)), value) for index, value in enumerate(values)]
    )


def list_proof(values: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the trie's nodes from the root to the value at a position; values are at least 32 bytes long."""
    leaves = sorted(
        (_nibbles(encode_rlp(encode_uint(position))), value)
        for position, value in enumerate(values)
    )
    path, depth = _nibbles(encode_rlp(encode_uint(index))), 0
    nodes: list[bytes] = []
    while True:
        node = _trie_node(leaves, depth)
        nodes.append(encode_rlp(node))
        if len(leaves) == 1:
            return tuple(nodes)
        if len(node) == 2:
            while leaves[0][0][depth] == leaves[-1][0][depth]:
                depth += 1
            continue
        leaves = [leaf for leaf in leaves if leaf[0][depth] == path[depth]]
        depth += 1


def trie_root(pairs: Iterable[tuple[bytes, bytes]]) -> Hash32:
    """Return the root of a Merkle Patricia trie; keys are distinct, values not empty."""
    leaves = sorted((_nibbles(key), value) for key, value in pairs)
    if not leaves:
        return EMPTY_TRIE_ROOT
    return keccak(encode_rlp(_trie_node(leaves, 0)))


_TYPED_MARKER_MAX: Final = 0x7F


def _nibbles(key: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in key for nibble in (byte >> 4, byte & 0xF))


def _trie_node(leaves: Sequence[tuple[tuple[int, ...], bytes]], depth: int) -> RlpItem:
    """Return the node under which sorted `leaves` hang, all equal in their first `depth` nibbles."""
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return [_hex_prefix(first[depth:], is_leaf=True), leaves[0][1]]
    shared = depth
    while shared < len(first) and first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        child = _reference(_trie_node(leaves, shared))
        return [_hex_prefix(first[depth:shared], is_leaf=False), child]
    branch: list[RlpItem] = [b""] * 17
    if len(first) == depth:
        branch[16] = leaves[0][1]
        leaves = leaves[1:]
    start = 0
    while start < len(leaves):
        nibble = leaves[start][0][depth]
        end = start
        while end < len(leaves) and leaves[end][0][depth] == nibble:
            end += 1
        branch[nibble] = _reference(_trie_node(leaves[start:end], depth + 1))
        start = end
    return branch


def _reference(node: RlpItem) -> RlpItem:
    """Return how a parent names a node: by hash, or itself if shorter than one."""
    encoded = encode_rlp(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _hex_prefix(nibbles: tuple[int, ...], *, is_leaf: bool) -> bytes:
    flag = 2 * is_leaf + len(nibbles) % 2
    padded = (flag, *nibbles) if len(nibbles) % 2 else (flag, 0, *nibbles)
    return bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True))
