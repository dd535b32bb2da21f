"""Headers of consensus with the precommits for them: read from the engine, signed, checked and stored.

A `SignedHeader` is a header, the precommits for it and the set of validators they are of. The chain store keeps them by
height (`encode`, `decode`); the CometBFT engine's come from its RPC answers (`parse_signed_header`), the solo engine
signs its own (`sign_header`). What is signed and hashed, and how, is said once, in `node.verify_certificate`; here it
is filled from typed values, with fast Keccak and secp256k1.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Invalid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import coincurve

from node import verify_certificate
from node.errors import MalformedRlp, SignatureInvalid, SignedHeaderInvalid
from node.primitives import (
    SECP256K1_ORDER,
    Address,
    Hash32,
    RlpItem,
    address_of_public_key,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_uint,
    keccak,
    recover_address,
)
from node.verify_certificate import PRECOMMIT, Fields

PUBLIC_KEY_TYPE: Final = "tendermint/PubKeySecp256k1eth"
"""The only type of validators' keys; the engine's JSON names it so."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
_BLOCK_ID_FLAG_COMMIT: Final = 2
_HASH_NAMES: Final = (
    "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash", "app_hash",
    "last_results_hash", "evidence_hash", "proposer_address",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Seconds since 1970 and nanoseconds, UTC."""

    seconds: int
    nanos: int

    def fields(self) -> Fields:
        """The time as it is hashed."""
        return {"seconds": self.seconds, "nanos": self.nanos}


@dataclass(frozen=True, slots=True)
class BlockId:
    """What a vote is for: a header's hash, and the parts in which its block was passed on."""

    hash: bytes
    parts_total: int
    parts_hash: bytes

    def parts(self) -> Fields:
        """The parts as they are hashed."""
        return {"total": self.parts_total, "hash": self.parts_hash}

    def fields(self) -> Fields:
        """The block id as it is hashed."""
        return {"hash": self.hash, "parts": self.parts()}


NO_BLOCK: Final = BlockId(b"", 0, b"")
"""What the first header names as the one before it."""


@dataclass(frozen=True, slots=True)
class ConsensusHeader:
    """A header of consensus; hashes are 32 bytes, or empty where the engine leaves them so."""

    version_block: int
    version_app: int
    chain_id: str
    height: int
    time: Timestamp
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes

    def fields(self) -> Fields:
        """The header as it is hashed."""
        return {
            "version": {"block": self.version_block, "app": self.version_app},
            "chain_id": self.chain_id,
            "height": self.height,
            "time": self.time.fields(),
            "last_block_id": self.last_block_id.fields(),
            **{name: getattr(self, name) for name in _HASH_NAMES},
        }

    @property
    def hash(self) -> Hash32:
        """What validators sign."""
        leaves = verify_certificate.header_leaves(self.fields())
        return Hash32(verify_certificate.merkle_root(leaves))


@dataclass(frozen=True, slots=True)
class CommitSignature:
    """One validator's precommit: its place in the set, its own time, r || s || v with v 0 or 1."""

    validator: int
    time: Timestamp
    signature: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """Precommits of one round for one block, in the order of the validators."""

    round: int
    block_id: BlockId
    signatures: tuple[CommitSignature, ...]


@dataclass(frozen=True, slots=True)
class Validator:
    """A compressed secp256k1 key (33 bytes) and its voting power."""

    public_key: bytes
    power: int

    @property
    def address(self) -> Address:
        """The Ethereum address of the key; raises SignedHeaderInvalid if it is no point."""
        try:
            public_key = coincurve.PublicKey(self.public_key)
            return address_of_public_key(public_key.format(compressed=False)[1:])
        except ValueError as error:
            raise SignedHeaderInvalid("a validator's key is no point of secp256k1") from error

    def fields(self) -> Fields:
        """The validator as it is hashed."""
        return {"public_key": self.public_key, "power": self.power}


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """Who votes, in the engine's order: falling power, then rising address."""

    members: tuple[Validator, ...]

    @classmethod
    def of(cls, validators: Iterable[Validator]) -> Self:
        """The set of some validators."""
        return cls(tuple(sorted(validators, key=lambda each: (-each.power, each.address))))

    @property
    def hash(self) -> Hash32:
        """What headers name the set by; that of genesis is the trust anchor of certificates."""
        fields = [each.fields() for each in self.members]
        return Hash32(verify_certificate.validators_hash(fields))

    @property
    def power(self) -> int:
        """The power of all together."""
        return sum(each.power for each in self.members)


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A header, the precommits for it, and the set of validators that they are of."""

    header: ConsensusHeader
    commit: Commit
    validators: ValidatorSet

    def encode(self) -> bytes:
        """The form in which it is stored."""
        header = self.header
        return encode_rlp(
            [
                [
                    encode_uint(header.version_block),
                    encode_uint(header.version_app),
                    header.chain_id.encode(),
                    encode_uint(header.height),
                    _time_items(header.time),
                    _block_id_items(header.last_block_id),
                    *(getattr(header, name) for name in _HASH_NAMES),
                ],
                encode_uint(self.commit.round),
                _block_id_items(self.commit.block_id),
                [
                    [encode_uint(each.validator), _time_items(each.time), each.signature]
                    for each in self.commit.signatures
                ],
                [[each.public_key, encode_uint(each.power)] for each in self.validators.members],
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """What `encode` gave; raises MalformedRlp."""
        header, round_number, block_id, signatures, validators = decode_list(decode_rlp(data), 5)
        commit = Commit(
            decode_uint(round_number, 4),
            _block_id_of(block_id),
            tuple(map(_signature_of, decode_list(signatures))),
        )
        members = tuple(map(_validator_of, decode_list(validators)))
        return cls(_header_of(header), commit, ValidatorSet(members))


def vote_digest(header: ConsensusHeader, commit: Commit, time: Timestamp) -> Hash32:
    """Return what a validator signs to commit a header at its own time."""
    step = (PRECOMMIT, header.height, commit.round)
    block_id = commit.block_id.fields()
    vote = verify_certificate.sign_bytes(header.chain_id, step, block_id, time.fields())
    return keccak(vote)


def sign_header(
    header: ConsensusHeader, validators: ValidatorSet, key: coincurve.PrivateKey, time: Timestamp
) -> SignedHeader:
    """Return a header signed by the one key of a solo engine; its block has no parts, so the header names itself."""
    header_hash = header.hash
    commit = Commit(0, BlockId(header_hash, 1, header_hash), ())
    public_key = key.public_key.format()
    places = [
        place for place, each in enumerate(validators.members) if each.public_key == public_key
    ]
    if not places:
        raise SignedHeaderInvalid("the key is none of the set of validators")
    signature = key.sign_recoverable(vote_digest(header, commit, time), hasher=None)
    signatures = (CommitSignature(places[0], time, signature),)
    return SignedHeader(header, replace(commit, signatures=signatures), validators)


def check_signed_header(signed: SignedHeader, *, chain_id: str) -> None:
    """Raise SignedHeaderInvalid unless more than two thirds of the set it names signed the header."""
    header, commit, validators = signed.header, signed.commit, signed.validators
    if header.chain_id != chain_id:
        raise SignedHeaderInvalid(f"it is of chain {header.chain_id}, not of {chain_id}")
    if header.validators_hash != validators.hash:
        raise SignedHeaderInvalid("the validators are not those that the header names")
    if ValidatorSet.of(validators.members) != validators:
        raise SignedHeaderInvalid("the validators are not in their order")
    if commit.block_id.hash != header.hash:
        raise SignedHeaderInvalid("the commit is for another block")
    places = [each.validator for each in commit.signatures]
    if places != sorted(set(places)) or places[-1:] >= [len(validators.members)]:
        raise SignedHeaderInvalid("the signatures are not in the order of the validators")
    if 3 * sum(validators.members[place].power for place in places) <= 2 * validators.power:
        raise SignedHeaderInvalid("no more than two thirds of the power signed")
    for each in commit.signatures:
        digest = vote_digest(header, commit, each.time)
        if _signer(digest, each.signature) != validators.members[each.validator].address:
            raise SignedHeaderInvalid(f"validator {each.validator} did not sign it")


def parse_signed_header(commit: Mapping[str, Any], validators: Mapping[str, Any]) -> SignedHeader:
    """Return what the engine's `/commit` and `/validators` answer for one height; raises SignedHeaderInvalid.

    Both are the `result` of the answer. Only precommits for the block are taken over; `/validators` must hold the
    whole set on one page. Nothing is checked but the form: see `check_signed_header`.
    """
    try:
        signed = commit["signed_header"]
        members = [_parse_validator(each) for each in validators["validators"]]
        if len(members) != int(validators["total"]):
            raise SignedHeaderInvalid("the answer does not hold all validators")
        if validators["block_height"] != signed["header"]["height"]:
            raise SignedHeaderInvalid("the validators are of another height")
        votes = enumerate(signed["commit"]["signatures"])
        signatures = tuple(
            CommitSignature(
                place, _parse_time(each["timestamp"]), b64decode(each["signature"], validate=True)
            )
            for place, each in votes
            if each["block_id_flag"] == _BLOCK_ID_FLAG_COMMIT
        )
        block_id = _parse_block_id(signed["commit"]["block_id"])
        return SignedHeader(
            _parse_header(signed["header"]),
            Commit(int(signed["commit"]["round"]), block_id, signatures),
            ValidatorSet(tuple(members)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, Base64Invalid) as error:
        raise SignedHeaderInvalid(f"the engine's answer has another form: {error!r}") from error


def _parse_header(header: Mapping[str, Any]) -> ConsensusHeader:
    # The engine leaves a version of zero out.
    version = header["version"]
    return ConsensusHeader(
        version_block=int(version.get("block", 0)),
        version_app=int(version.get("app", 0)),
        chain_id=header["chain_id"],
        height=int(header["height"]),
        time=_parse_time(header["time"]),
        last_block_id=_parse_block_id(header["last_block_id"]),
        **{name: bytes.fromhex(header[name]) for name in _HASH_NAMES},
    )


def _parse_block_id(block_id: Mapping[str, Any]) -> BlockId:
    parts = block_id["parts"]
    return BlockId(
        bytes.fromhex(block_id["hash"]), int(parts["total"]), bytes.fromhex(parts["hash"])
    )


def _parse_validator(validator: Mapping[str, Any]) -> Validator:
    if validator["pub_key"]["type"] != PUBLIC_KEY_TYPE:
        raise SignedHeaderInvalid(f"a validator's key is not of type {PUBLIC_KEY_TYPE}")
    return Validator(
        b64decode(validator["pub_key"]["value"], validate=True), int(validator["voting_power"])
    )


def _parse_time(text: str) -> Timestamp:
    found = _TIME.fullmatch(text)
    if found is None:
        raise SignedHeaderInvalid(f"{text!r} is no time in UTC")
    moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return Timestamp((moment - _EPOCH) // timedelta(seconds=1), int((found[2] or "").ljust(9, "0")))


def _signer(digest: Hash32, signature: bytes) -> Address | None:
    """Who made a signature; None where nobody did, or not in the one form that is allowed."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    if len(signature) != 65 or 2 * s > SECP256K1_ORDER:
        return None
    try:
        return recover_address(digest, r=r, s=s, y_parity=signature[64])
    except SignatureInvalid:
        return None


def _time_items(time: Timestamp) -> RlpItem:
    return [encode_uint(time.seconds), encode_uint(time.nanos)]


def _block_id_items(block_id: BlockId) -> RlpItem:
    return [block_id.hash, encode_uint(block_id.parts_total), block_id.parts_hash]


def _header_of(item: RlpItem) -> ConsensusHeader:
    items = decode_list(item, 6 + len(_HASH_NAMES))
    hashes = dict(zip(_HASH_NAMES, map(decode_bytes, items[6:]), strict=True))
    try:
        chain_id = decode_bytes(items[2]).decode()
    except UnicodeDecodeError as error:
        raise MalformedRlp("a chain id that is no text") from error
    return ConsensusHeader(
        version_block=decode_uint(items[0], 8),
        version_app=decode_uint(items[1], 8),
        chain_id=chain_id,
        height=decode_uint(items[3], 8),
        time=_time_of(items[4]),
        last_block_id=_block_id_of(items[5]),
        **hashes,
    )


def _time_of(item: RlpItem) -> Timestamp:
    seconds, nanos = decode_list(item, 2)
    return Timestamp(decode_uint(seconds, 8), decode_uint(nanos, 4))


def _block_id_of(item: RlpItem) -> BlockId:
    block_hash, total, parts_hash = decode_list(item, 3)
    return BlockId(decode_bytes(block_hash), decode_uint(total, 4), decode_bytes(parts_hash))


def _signature_of(item: RlpItem) -> CommitSignature:
    validator, time, signature = decode_list(item, 3)
    return CommitSignature(decode_uint(validator, 4), _time_of(time), decode_bytes(signature, 65))


def _validator_of(item: RlpItem) -> Validator:
    public_key, power = decode_list(item, 2)
    return Validator(decode_bytes(public_key, 33), decode_uint(power, 8))
