"""Certificates over made-up keys: sets of validators that change, and blocks of payments.

`sample(...)` gives the material of one certificate with its trust anchor; every value follows from its arguments, so a
failure comes again. Headers of consensus are filled with hashes of labels where nothing depends on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
import rfc8785
from coincurve import PrivateKey

from node.block import Header, Log, Receipt, merge_blooms, receipts_root
from node.certificate import EVENT_BY_TOPIC, CertificateMaterial, build_certificate
from node.primitives import Address, Hash32, keccak
from node.signed_header import (
    BlockId,
    Commit,
    CommitSignature,
    ConsensusHeader,
    SignedHeader,
    Timestamp,
    Validator,
    ValidatorSet,
    parse_signed_header,
    vote_digest,
)
from node.verify_certificate import SETTLEMENT_ADDRESS, CertificateRefused, Verdict, verify
from support.transactions import ALICE, SINK

CHAIN_ID: Final = "corridor-certificates"
PAYMENT_ID: Final = Hash32(keccak(b"payment"))
ENGINE_ANSWERS: Final = Path(__file__).parents[1] / "conformance/vectors/consensus_commits.json"
"""The engine's answers to `/commit` and `/validators` at some heights."""

EVENT_HASHES: Final = {name: Hash32(topic) for topic, name in EVENT_BY_TOPIC.items()}


@dataclass(frozen=True, slots=True)
class Sample:
    """What a certificate is made of, and what it is held against."""

    material: CertificateMaterial
    genesis: ValidatorSet

    @property
    def text(self) -> bytes:
        """The certificate."""
        return build_certificate(self.material)

    def verify(self, text: bytes | None = None) -> Verdict:
        """The verdict on a certificate of this chain: its own where none is given."""
        return verify(
            self.text if text is None else text,
            chain_id=CHAIN_ID,
            genesis_validators_hash=self.genesis.hash,
        )


@cache
def key_of(number: int) -> PrivateKey:
    """The key of a validator."""
    return PrivateKey(sha256(f"validator {number}".encode()).digest())


def validator(number: int, power: int = 10) -> Validator:
    """A validator by its number."""
    return Validator(key_of(number).public_key.format(), power)


def validator_set(numbers: Iterable[int]) -> ValidatorSet:
    """Validators of equal power."""
    return ValidatorSet.of(map(validator, numbers))


def label_hash(label: str) -> bytes:
    """A hash that nothing depends on."""
    return sha256(label.encode()).digest()


def consensus_header(
    height: int, app_hash: bytes, validators: ValidatorSet, following: ValidatorSet
) -> ConsensusHeader:
    """A header as the engine makes them."""
    return ConsensusHeader(
        version_block=11,
        version_app=1,
        chain_id=CHAIN_ID,
        height=height,
        time=Timestamp(1_800_000_000 + height, 123_000_000),
        last_block_id=BlockId(label_hash("last block"), 1, label_hash("last parts")),
        last_commit_hash=label_hash("last commit"),
        data_hash=label_hash("entries"),
        validators_hash=validators.hash,
        next_validators_hash=following.hash,
        consensus_hash=label_hash("parameters"),
        app_hash=app_hash,
        last_results_hash=label_hash("results"),
        evidence_hash=label_hash(""),
        proposer_address=validators.members[0].address,
    )


def signed_by(
    header: ConsensusHeader,
    validators: ValidatorSet,
    places: Sequence[int] | None = None,
    round_number: int = 0,
    time: Timestamp | None = None,
) -> SignedHeader:
    """A header with the precommits of those at some places of the set: all, if not told."""
    secret_by_key = {key_of(n).public_key.format(): key_of(n) for n in range(20)}
    commit = Commit(round_number, BlockId(header.hash, 1, label_hash("parts")), ())
    signatures = []
    for place in range(len(validators.members)) if places is None else places:
        signed_at = time or Timestamp(header.time.seconds + 1, 1_000 * place)
        key = secret_by_key[validators.members[place].public_key]
        signature = key.sign_recoverable(vote_digest(header, commit, signed_at), hasher=None)
        signatures.append(CommitSignature(place, signed_at, signature))
    return SignedHeader(header, replace(commit, signatures=tuple(signatures)), validators)


def payment_log(event: str = "PaymentSettled", further: int = 0, data: bytes = b"\x07" * 32) -> Log:
    """An event of the settlement contract."""
    topics = (EVENT_HASHES[event], PAYMENT_ID, *(Hash32(bytes([9]) * 32) for _ in range(further)))
    return Log(Address(SETTLEMENT_ADDRESS), topics, data)


def receipt(position: int, logs: tuple[Log, ...], transaction_type: int = 2) -> Receipt:
    """A receipt of a success."""
    return Receipt(
        transaction_type=transaction_type,
        succeeded=True,
        cumulative_gas_used=50_000 * (position + 1),
        logs=logs,
        gas_used=50_000,
        sender=ALICE.address,
    )


def block_of(receipts: Sequence[Receipt]) -> Header:
    """The Ethereum header over some receipts."""
    return Header(
        parent_hash=Hash32(label_hash("parent")),
        state_root=Hash32(label_hash("state")),
        transactions_root=Hash32(label_hash("transactions")),
        receipts_root=receipts_root(receipts),
        logs_bloom=merge_blooms(each.logs_bloom for each in receipts),
        number=7,
        gas_limit=30_000_000,
        gas_used=receipts[-1].cumulative_gas_used,
        timestamp=1_800_000_000,
    )


def sample(
    validators: int = 4,
    changes: int = 0,
    receipts: int = 3,
    index: int = 1,
    transaction_type: int = 2,
    event: str = "PaymentSettled",
) -> Sample:
    """A certificate's material: `changes` times, the validator who was first to come leaves and a new one comes."""
    other = Log(SINK, (Hash32(b"\x01" * 32),), b"other")
    further = 1 if event in {"Instructed", "Accepted", "PaymentRejected"} else 0
    logs = (other, payment_log(event, further))
    block_receipts = [
        receipt(position, logs if position == index else (other,), transaction_type)
        for position in range(receipts)
    ]
    header = block_of(block_receipts)
    numbers, steps = list(range(validators)), []
    genesis = current = validator_set(numbers)
    for step in range(changes):
        numbers = [*numbers[1:], validators + step]
        following = validator_set(numbers)
        change = consensus_header(5 + 10 * step, label_hash(f"{step}"), current, following)
        steps.append(signed_by(change, current))
        current = following
    signed = signed_by(consensus_header(50, header.hash, current, current), current)
    material = CertificateMaterial(header, block_receipts, index, 1, signed, steps)
    return Sample(material, genesis)


def engine_headers() -> list[SignedHeader]:
    """Three headers of a chain that four CometBFT v0.40.0 nodes made with the keys of this page.

    Their application gave the hash of `sample()`'s Ethereum header at every height and took the key of validator 0
    out at height 2, so that the header of height 3 names another set, which signed that of height 5.
    """
    answers = json.loads(ENGINE_ANSWERS.read_text(encoding="utf-8"))
    return [parse_signed_header(**answers[height]) for height in ("1", "3", "5")]


Change = Callable[[dict[str, Any]], object]
"""Something done to a document."""


def at(document: Any, path: Sequence[Any]) -> Any:
    """The value at a place of a document."""
    for key in path:
        document = document[key]
    return document


def updating(*path: Any, **values: Any) -> Change:
    """The change that sets fields of an object."""
    return lambda document: at(document, path).update(values)


def dropping(*path: Any) -> Change:
    """The change that leaves a field or an entry out."""
    return lambda document: at(document, path[:-1]).pop(path[-1])


def altered(text: bytes, change: Change) -> bytes:
    """The certificate with its document changed, and written as the format wants it."""
    document = json.loads(text)
    change(document)
    return rfc8785.dumps(document)


def refused(one: Sample, text: bytes, reason: str) -> None:
    """Expect a refusal for that reason."""
    with pytest.raises(CertificateRefused, match=reason):
        one.verify(text)


def resigned(one: Sample, **fields: Any) -> SignedHeader:  # fields of a header, by name
    """The certifying header with other fields, signed again by all."""
    signed = one.material.signed
    return signed_by(replace(signed.header, **fields), signed.validators)


def with_signed(one: Sample, signed: SignedHeader) -> Sample:
    """A certificate by another certifying header."""
    return replace(one, material=replace(one.material, signed=signed))
