#!/usr/bin/env python3
"""Whether a settlement certificate proves what it says: this file and Python's standard library decide.

A certificate is one file of RFC 8785 JSON, believed along one chain whose links are hashes and signatures:

    genesis validators hash  (given by whoever asks, never by the file)
      -> each change of validators: a consensus header that names the next set, signed by the set before
      -> the certifying consensus header, signed by more than two thirds of the power of the set then in force
      -> its app_hash, the hash of an Ethereum header -> receipts root -> receipt -> log of the settlement contract

It holds nothing that this chain could do without, so whatever is changed in it, it is none any more. Any bytes give a
`Verdict` or `CertificateRefused`, and soon: nothing is reckoned for validators before their set is trusted.

Sources: CometBFT v0.40; RFC 6962, 8785; Ethereum's Yellow Paper, appendices B, D, F; FIPS 202; SEC 1, section 4.1.6.
"""

import argparse
import hashlib
import json
import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

FORMAT: Final = "corridor-settlement-certificate-1"
SETTLEMENT_ADDRESS: Final = (0xC002).to_bytes(20, "big")
BYTES_MAX: Final = 4 * 1024 * 1024
VALIDATORS_MAX: Final = 100
CHANGES_MAX: Final = 10_000
PROOF_NODES_MAX: Final = 20
DEPTH_MAX: Final = 8
INTEGER_MAX: Final = 2**53 - 1  # what every reader of JSON holds exactly
PRECOMMIT: Final = 2
SIGNATURE_BY_EVENT: Final = {each.partition("(")[0]: each for each in (
    ("Instructed(bytes32,bytes20,bytes32,(uint8,(bytes3,bytes32,bytes32,uint256)[],bytes32,bytes32,bytes32,uint40,"
    "uint40,uint40,uint8,uint16))"), "ReturnInstructed(bytes32,bytes32)", "Accepted(bytes32,bytes20,uint16)",
    "PaymentQueued(bytes32,uint8)", "PaymentPrioritised(bytes32,bytes20,uint8)", "PaymentSetAside(bytes32,bool)",
    "WithdrawalAgreed(bytes32,bytes20)", "PaymentSettled(bytes32,bytes32)", "PaymentRejected(bytes32,bytes20,bytes32)",
    "PaymentCancelled(bytes32,uint8,bytes32)", "PaymentExpired(bytes32,uint8)",
)}  # fmt: skip
"""The events that may be certified: those whose first topic after their own is a payment id."""

# Shapes: a number is an integer up to it, a tuple the sizes that hex may have (none: any), a list an entry's shape
# and how many there may be, a dictionary an object with exactly these fields, in the order in which they are hashed.
_TIME = {"seconds": INTEGER_MAX, "nanos": 10**9 - 1}
_PARTS = {"total": 2**32 - 1, "hash": (0, 32)}
_CONSENSUS_HEADER = {
    "version": {"block": INTEGER_MAX, "app": INTEGER_MAX}, "chain_id": str, "height": INTEGER_MAX, "time": _TIME,
    "last_block_id": {"hash": (0, 32), "parts": _PARTS}, "last_commit_hash": (0, 32), "data_hash": (0, 32),
    "validators_hash": (32,), "next_validators_hash": (32,), "consensus_hash": (0, 32), "app_hash": (32,),
    "last_results_hash": (0, 32), "evidence_hash": (0, 32), "proposer_address": (20,),
}  # fmt: skip
_SIGNATURE = {"validator": VALIDATORS_MAX - 1, "time": _TIME, "signature": (65,)}
_SIGNED_HEADER = {
    "consensus_header": _CONSENSUS_HEADER, "validators": [{"public_key": (33,), "power": INTEGER_MAX}, VALIDATORS_MAX],
    "commit": {"round": 2**31 - 1, "parts": _PARTS, "signatures": [_SIGNATURE, VALIDATORS_MAX]},
}  # fmt: skip
_CERTIFICATE = _SIGNED_HEADER | {
    "format": str, "transaction_index": INTEGER_MAX, "receipt": (), "receipt_proof": [(), PROOF_NODES_MAX],
    "payment": {"event": str, "payment_id": (32,), "topics": [(32,), 2], "data": (), "log_index": INTEGER_MAX},
    "ethereum_header": (), "validator_changes": [_SIGNED_HEADER, CHANGES_MAX],
}  # fmt: skip
Fields = dict[str, Any]  # an object of one of these shapes, its hex read as bytes


class CertificateRefused(Exception):
    """The file is no certificate of the chain it is held against; the reason is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a certificate proves."""

    event: str
    payment_id: bytes
    transaction_index: int
    log_index: int
    ethereum_number: int
    ethereum_hash: bytes
    ethereum_time: int
    height: int
    signers: tuple[bytes, ...]  # addresses of the validators whose signatures it took
    validators: int


def verify(text: bytes, *, chain_id: str, genesis_validators_hash: bytes) -> Verdict:
    """Return what a certificate proves on the chain of that trust anchor; raises CertificateRefused."""
    fields: Fields = _read(_parse_json(text), _CERTIFICATE, "the certificate")
    claim, header = fields["payment"], fields["consensus_header"]
    _require(fields["format"] == FORMAT, f"the format is not {FORMAT}")
    _check_payment(claim, fields["receipt"])
    block_hash = keccak(fields["ethereum_header"])
    _require(block_hash == header["app_hash"], "the app_hash names another Ethereum header")
    block = _decode_rlp(fields["ethereum_header"])
    _require([type(each) for each in block] == [bytes] * 21, "the Ethereum header is malformed")
    _check_receipt(fields, receipts_root=block[5])
    return Verdict(
        event=claim["event"], payment_id=claim["payment_id"], log_index=claim["log_index"], height=header["height"],
        transaction_index=fields["transaction_index"], validators=len(fields["validators"]), ethereum_hash=block_hash,
        ethereum_number=int.from_bytes(block[8], "big"), ethereum_time=int.from_bytes(block[11], "big"),
        signers=_follow([*fields["validator_changes"], fields], chain_id, genesis_validators_hash),
    )  # fmt: skip


def header_leaves(header: Fields) -> list[bytes]:
    """Return a consensus header's 14 fields as they are hashed; validators sign their Merkle root."""
    values = [header[name] for name in _CONSENSUS_HEADER]
    return [_message(each) if isinstance(each, dict) else _field(1, each) for each in values]


def validators_hash(validators: Sequence[Fields]) -> bytes:
    """Return the hash by which headers name a set of validators; keys stand in field 5."""
    fields = [(_field(1, _field(5, each["public_key"])), each["power"]) for each in validators]
    return merkle_root([key + _field(2, power) for key, power in fields])


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of RFC 6962's tree."""
    if len(leaves) <= 1:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = merkle_root(leaves[:split]), merkle_root(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def sign_bytes(chain_id: str, step: Sequence[int], block_id: Fields | None, time: Fields) -> bytes:
    """Return the bytes of a vote at (kind, height, round) whose Keccak-256 hash a validator signs."""
    vote = _field(1, step[0])
    for tag, value in ((0x11, step[1]), (0x19, step[2])):
        vote += bytes([tag]) + value.to_bytes(8, "little") if value else b""
    vote += _field(4, block_id) + _field(5, time) + _field(6, chain_id)
    return _varint(len(vote)) + vote


def _message(fields: Fields) -> bytes:
    """A message of Protocol Buffers whose fields are numbered in their order."""
    return b"".join(_field(number, value) for number, value in enumerate(fields.values(), 1))


def _field(number: int, value: int | str | bytes | Fields | None) -> bytes:
    """A field of one; zero, empty and None are not written, a message always is."""
    if isinstance(value, dict):
        octets = _message(value)
    elif not value:
        return b""
    elif isinstance(value, int):
        return _varint(number << 3) + _varint(value & 2**64 - 1)
    else:
        octets = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(octets)) + octets


def _varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + _varint(value >> 7) if value > 127 else bytes([value])


def _follow(headers: Sequence[Fields], chain_id: str, trusted: bytes) -> tuple[bytes, ...]:
    """Return who signed the last header; each one before it must name the set that signed the next."""
    seen, height, signers = set[bytes](), 0, tuple[bytes, ...]()
    for signed in headers:
        header = signed["consensus_header"]
        _require(height < header["height"], "the changes are not in the order of their heights")
        _require(trusted not in seen, "a change leads back to validators that were trusted before")
        signers = _check_signed(signed, chain_id, trusted)
        seen.add(trusted)
        height, trusted = header["height"], header["next_validators_hash"]
    return signers


def _check_signed(signed: Fields, chain_id: str, trusted: bytes) -> tuple[bytes, ...]:
    """Return who signed a header; refuse one that the trusted set did not sign, or that signed too often."""
    header, commit, validators = signed["consensus_header"], signed["commit"], signed["validators"]
    where = f"consensus header {header['height']}: "
    _require(header["chain_id"] == chain_id, where + "it is of another chain")
    _require(header["validators_hash"] == trusted, where + "nothing vouches for its validators")
    _require(validators_hash(validators) == trusted, where + "it names other validators")
    powers = [each["power"] for each in validators]
    addresses = [public_key_address(each["public_key"]) for each in validators]
    order = [(-power, address) for power, address in zip(powers, addresses, strict=True)]
    _require(order == sorted(set(order)), where + "the validators are not in their order")
    _require(header["proposer_address"] in addresses, where + "its proposer is no validator")
    signers = [each["validator"] for each in commit["signatures"]]
    in_order = signers == sorted(set(signers)) and max(signers, default=0) < len(validators)
    _require(in_order, where + "the signatures are not in the order of its validators")
    signed_power, least = 3 * sum(powers[signer] for signer in signers), 2 * sum(powers)
    _require(signed_power > least, where + "no more than two thirds of the power signed it")
    # Power falls along the set: if the last signature is needed, each one is.
    _require(signed_power - 3 * powers[signers[-1]] <= least, where + "a signature is not needed")
    block_id = {"hash": merkle_root(header_leaves(header)), "parts": commit["parts"]}
    step = (PRECOMMIT, header["height"], commit["round"])
    for each in commit["signatures"]:
        digest = keccak(sign_bytes(chain_id, step, block_id, each["time"]))
        key = decompress(validators[each["validator"]]["public_key"])
        _require(recover(digest, each["signature"]) == key, where + "a signature is not valid")
    return tuple(addresses[signer] for signer in signers)


def _check_payment(payment: Fields, receipt: bytes) -> None:
    """Refuse an event that is not the settlement contract's log at its position of the receipt."""
    _require(payment["event"] in SIGNATURE_BY_EVENT, "the event is none of a payment")
    content = _decode_rlp(receipt[1:] if receipt[:1] < b"\x80" else receipt)
    _require(len(content) == 4 and content[0] == b"\1", "the receipt is none of a success")
    topic = keccak(SIGNATURE_BY_EVENT[payment["event"]].encode())
    topics = [topic, payment["payment_id"], *payment["topics"]]
    log = [SETTLEMENT_ADDRESS, topics, payment["data"]]
    found = [position for position, each in enumerate(content[3]) if each == log]
    _require(found[:1] == [payment["log_index"]], "the event is not the log at that position")


def _check_receipt(fields: Fields, receipts_root: bytes) -> None:
    """Walk the proof from the receipts root to the receipt; the path is the RLP of its position."""
    index = fields["transaction_index"]
    octets = index.to_bytes((index.bit_length() + 7) // 8, "big")
    path = (octets if 0 < index < 0x80 else bytes([0x80 + len(octets)]) + octets).hex()
    reference, is_leaf = receipts_root, False
    for encoded in fields["receipt_proof"]:
        _require(not is_leaf and keccak(encoded) == reference, "the proof leaves its path")
        node = _decode_rlp(encoded)
        if len(node) == 17 and path:
            reference, path = node[int(path[0], 16)], path[1:]
            continue
        _require(len(node) == 2 and isinstance(node[0], bytes), "the receipt's proof breaks off")
        flag, prefix = node[0].hex()[:1], node[0].hex()[1:]
        prefix = prefix if flag in {"1", "3"} else prefix[1:]
        _require(path.startswith(prefix), "the receipt's proof is one of another position")
        reference, path, is_leaf = node[1], path[len(prefix) :], flag in {"2", "3"}
    _require(is_leaf and not path and reference == fields["receipt"], "the receipt is not proven")


def _require(condition: bool, reason: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not condition:
        raise CertificateRefused(reason)


def _parse_json(text: bytes) -> object:
    """Return the document of a file that is, byte for byte, what RFC 8785 makes of it."""
    _require(len(text) <= BYTES_MAX, f"the file is longer than {BYTES_MAX} bytes")
    outside_strings = re.sub(rb'"[^"]*"', b"", text)
    depths = accumulate((each in b"[{") - (each in b"]}") for each in outside_strings)
    is_flat = b"\\" not in text and max(depths, default=0) <= DEPTH_MAX
    _require(is_flat, "the file has an escaped character, or is nested too deep")
    try:
        document: object = json.loads(text.decode("ascii"))
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        _require(canonical.encode() == text, "the file is not written as RFC 8785 has it")
    except ValueError:
        raise CertificateRefused("the file is no JSON in ASCII") from None
    return document


def _read(value: object, shape: object, name: str) -> Any:  # what the shape says
    """Return a part of the document with its hex as bytes; refuse what does not have its shape."""
    match value, shape:
        case dict(), dict() if value.keys() == shape.keys():
            return {key: _read(value[key], inner, key) for key, inner in shape.items()}
        case list(), list() if len(value) <= shape[1]:
            return [_read(each, shape[0], name) for each in value]
        case str(), tuple() if re.fullmatch("(?:[0-9a-f]{2})*", value):
            _require(not shape or len(value) // 2 in shape, f"{name} is too short or too long")
            return bytes.fromhex(value)
        case int(), int() if type(value) is int and 0 <= value <= shape:
            return value
        case str(), type():
            return value
        case _:
            raise CertificateRefused(f"{name} is not of the form that the format gives it")


def _decode_rlp(data: bytes, depth: int = 0) -> list[Any]:
    """Return the list that bytes encode, or a list's items; a hash, not this, tells writings apart."""
    items, start = list[Any](), 0
    _require(depth < DEPTH_MAX, "an RLP list is nested too deep")
    while start < len(data):
        first, marker = data[start], data[start] & 0x3F
        body = start if first < 0x80 else start + 1 + max(marker - 55, 0)
        size = marker if marker < 56 else int.from_bytes(data[start + 1 : body], "big")
        start = body + (1 if first < 0x80 else size)
        _require(start <= len(data), "an RLP list is cut off")
        items.append(data[body:start] if first < 0xC0 else _decode_rlp(data[body:start], depth + 1))
    if depth:
        return items
    _require(len(items) == 1 and isinstance(items[0], list), "an RLP list is malformed")
    return list(items[0])


_LANE = 2**64 - 1
_CONSTANTS = (
    0x1, 0x8082, 0x800000000000808A, 0x8000000080008000, 0x808B, 0x80000001, 0x8000000080008081, 0x8000000000008009,
    0x8A, 0x88, 0x80008009, 0x8000000A, 0x8000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080,
    0x80000001, 0x8000000080008008,
)  # fmt: skip
_ROTATIONS = (0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14)  # fmt: skip
_TURNS = [(i, _ROTATIONS[i]) for y in range(5) for x in range(5) for i in [(x + 3 * y) % 5 + 5 * x]]
_ROWS = [(i, i - i % 5 + (i + 1) % 5, i - i % 5 + (i + 2) % 5) for i in range(25)]


@lru_cache(maxsize=4 * VALIDATORS_MAX)
def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 hash; remembered, for keys and events come again and again."""
    padded, a = bytearray(data + b"\1" + bytes(135 - len(data) % 136)), [0] * 25
    padded[-1] |= 0x80
    for start in range(0, len(padded), 136):
        for i, lane in enumerate(struct.unpack_from("<17Q", padded, start)):
            a[i] ^= lane
        for constant in _CONSTANTS:
            c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
            d = [c[x - 1] ^ (c[x - 4] << 1 | c[x - 4] >> 63) & _LANE for x in range(5)]
            b = [((w := a[i] ^ d[i % 5]) << turn | w >> 64 - turn) & _LANE for i, turn in _TURNS]
            a = [b[i] ^ ~b[j] & b[k] for i, j, k in _ROWS]
            a[0] ^= constant
    return struct.pack("<4Q", *a[:4])


_P, _N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_G = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def public_key_address(public_key: bytes) -> bytes:
    """Return the address of a compressed key of secp256k1."""
    return keccak(b"".join(each.to_bytes(32, "big") for each in decompress(public_key)))[12:]


@lru_cache(maxsize=4 * VALIDATORS_MAX)
def decompress(public_key: bytes) -> tuple[int, int]:
    """Return the point that 33 bytes name."""
    x = int.from_bytes(public_key[1:], "big")
    y = pow(x**3 + 7, (_P + 1) // 4, _P)
    is_point = public_key[0] in {2, 3} and x < _P and (y * y - x**3 - 7) % _P == 0
    _require(is_point, "a key or a signature names no point of the curve")
    return x, y if y % 2 == public_key[0] % 2 else _P - y


def recover(digest: bytes, signature: bytes) -> tuple[int, int]:
    """Return the key that made r || s || v over 32 bytes; v is 0 or 1, s in the lower half."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    _require(0 < r < _N and 0 < s <= _N // 2 and signature[64] < 2, "a signature is out of range")
    base = (*decompress(_G), 1)
    point = (*decompress(bytes([2 + signature[64]]) + signature[:32]), 1)
    steps, total = (base, point, _add(base, point)), (0, 1, 0)
    inverse = pow(r, -1, _N)
    first, second = -int.from_bytes(digest, "big") * inverse % _N, s * inverse % _N
    for bit in range(255, -1, -1):
        total = _add(total, total)
        if step := (first >> bit & 1) + 2 * (second >> bit & 1):
            total = _add(total, steps[step - 1])
    _require(total[2] != 0, "a signature is none of any key")
    return total[0] * pow(total[2], -1, _P) % _P, total[1] * pow(total[2], -1, _P) % _P


def _add(left: tuple[int, int, int], right: tuple[int, int, int]) -> tuple[int, int, int]:
    """The sum of any two points, projective (Renes, Costello, Batina 2015, algorithm 7)."""
    (x, y, z), (u, v, w) = left, right
    a, b, c = x * u % _P, y * v % _P, 21 * z * w % _P
    d, e, f = (x * v + y * u) % _P, (y * w + z * v) % _P, 21 * (x * w + z * u) % _P
    low, high = b - c, b + c
    return (d * low - e * f) % _P, (high * low + 3 * a * f) % _P, (e * high + 3 * a * d) % _P


def describe(verdict: Verdict) -> str:
    """Return what a verdict means, for people."""
    seconds, signers = verdict.ethereum_time, [f"0x{each.hex()}" for each in verdict.signers]
    time = datetime.fromtimestamp(seconds, UTC).isoformat() if seconds < 2**37 else f"{seconds} s"
    return (
        f"payment     {verdict.payment_id.hex()} {verdict.event.removeprefix('Payment').lower()}\n"
        f"transaction {verdict.transaction_index} of its block, log {verdict.log_index}\n"
        f"block       {verdict.ethereum_number} 0x{verdict.ethereum_hash.hex()}\n"
        f"time        {time}, certified by consensus at height {verdict.height}\n"
        f"signed by   {len(signers)} of {verdict.validators} validators: {', '.join(signers)}\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file that a command line names; return 0 if it is a certificate, else 1; misuse exits with 2."""
    parser = argparse.ArgumentParser(description="Verify a settlement certificate offline.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--chain-id", required=True, help="of consensus, from a source you trust")
    parser.add_argument("--genesis-validators", required=True, type=bytes.fromhex, metavar="HASH")
    options = parser.parse_args(arguments)
    anchor = {"chain_id": options.chain_id, "genesis_validators_hash": options.genesis_validators}
    try:
        with options.file.open("rb") as file:
            verdict = verify(file.read(BYTES_MAX + 1), **anchor)
    except OSError as error:
        parser.error(f"cannot read {options.file}: {error.strerror}")
    except CertificateRefused as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    sys.stdout.write(describe(verdict))
    return 0


if __name__ == "__main__":
    sys.exit(main())
