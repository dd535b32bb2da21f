"""CertificateVerifier judges commits of consensus on chain as the verifier of files does off it (CER-1, CER-2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from coincurve import PublicKey

import contracts
from node.primitives import created_address
from node.signed_header import CommitSignature, SignedHeader, Timestamp, Validator, ValidatorSet
from node.verify_certificate import header_leaves
from support.certificates import (
    consensus_header,
    engine_headers,
    label_hash,
    sample,
    signed_by,
    validator,
    validator_set,
)
from support.chain_harness import Contract, key_of, refused
from support.settlement_network import open_street

SENDER: Final = key_of("anybody")
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELD: Final = 2**256 - 2**32 - 977

# validators: gas of a transaction that verifies the fewest signatures that suffice
GAS: Final = {1: 86_471, 4: 123_001, 7: 159_994}

Arguments = list[Any]


@pytest.fixture(scope="module")
def verifier() -> Contract:
    """The contract, created by somebody on a chain of its own."""
    own = open_street().chain.fork()
    nonce = own.engine.account(own.root, SENDER.address).nonce
    own.send(SENDER, b"", contracts.load("CertificateVerifier").bytecode, gas_limit=5_000_000)
    return Contract(own, created_address(SENDER.address, nonce), "CertificateVerifier")


def arguments_of(signed: SignedHeader) -> Arguments:
    """What the function takes: chain id, trusted set, validators, header, commit."""
    header, commit = signed.header, signed.commit
    validators = []
    for each in signed.validators.members:
        x, y = PublicKey(each.public_key).point()
        validators.append([x, y, each.power])
    signatures = [
        [
            each.validator,
            each.time.seconds,
            each.time.nanos,
            each.signature[64],
            each.signature[:32],
            each.signature[32:64],
        ]
        for each in commit.signatures
    ]
    block_id = commit.block_id
    return [
        header.chain_id,
        signed.validators.hash,
        validators,
        header_leaves(header.fields()),
        [header.height, commit.round, block_id.parts_total, block_id.parts_hash, signatures],
    ]


def commit_of(count: int, places: range | list[int] | None = None) -> SignedHeader:
    """A header that some validators of a set signed."""
    validators = validator_set(range(count))
    following = validator_set(range(1, count + 1))
    header = consensus_header(300, label_hash("application"), validators, following)
    return signed_by(header, validators, places)


FOUR: Final = commit_of(4, range(3))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 13])
def test_cer_1_a_commit_is_accepted_and_its_hashes_returned(verifier: Contract, count: int) -> None:
    signed = commit_of(count)
    expected = (signed.header.app_hash, signed.header.next_validators_hash)
    assert verifier.read("verifyCommit", *arguments_of(signed)) == expected


def test_cer_1_what_a_certificate_carries_is_accepted_step_by_step(verifier: Contract) -> None:
    one = sample(4, 2)
    trusted = one.genesis.hash
    for signed in (*one.material.changes, one.material.signed):
        chain_id, _, *others = arguments_of(signed)
        app_hash, trusted = verifier.read("verifyCommit", chain_id, trusted, *others)
    assert app_hash == one.material.header.hash


def test_cer_1_commits_of_the_engine_are_accepted_through_a_change(verifier: Contract) -> None:
    signed_headers = engine_headers()
    trusted = signed_headers[0].validators.hash
    for signed in signed_headers:
        chain_id, _, *others = arguments_of(signed)
        app_hash, trusted = verifier.read("verifyCommit", chain_id, trusted, *others)
        assert app_hash == sample().material.header.hash


@pytest.mark.parametrize("height", [1, 127, 128, 2**40])
@pytest.mark.parametrize("round_number", [0, 1, 200])
@pytest.mark.parametrize("time", [Timestamp(0, 0), Timestamp(1, 0), Timestamp(2**33, 999_999_999)])
def test_cer_1_every_width_of_a_number_is_written_as_consensus_does(
    verifier: Contract, height: int, round_number: int, time: Timestamp
) -> None:
    validators = validator_set([3])
    header = consensus_header(height, label_hash("application"), validators, validators)
    at_time = replace(header, time=Timestamp(time.seconds, time.nanos))
    signed = signed_by(at_time, validators, round_number=round_number, time=time)
    verifier.read("verifyCommit", *arguments_of(signed))


def test_cer_1_power_decides(verifier: Contract) -> None:
    powerless = Validator(validator(3).public_key, 0)
    voting = [validator(0, 200), validator(1, 50), validator(2, 50)]
    heavy = ValidatorSet.of([*voting, powerless])
    header = consensus_header(9, label_hash("application"), heavy, heavy)
    with refused("CertificatePowerInsufficient", 200, 300):
        verifier.read("verifyCommit", *arguments_of(signed_by(header, heavy, [0])))
    verifier.read("verifyCommit", *arguments_of(signed_by(header, heavy, [0, 1])))


def test_cer_2_two_thirds_are_not_enough(verifier: Contract) -> None:
    for count in (1, 3, 4, 6, 7):
        enough = 2 * count // 3 + 1
        verifier.read("verifyCommit", *arguments_of(commit_of(count, range(enough))))
        with refused("CertificatePowerInsufficient", 10 * (enough - 1), 10 * count):
            verifier.read("verifyCommit", *arguments_of(commit_of(count, range(enough - 1))))


def other_signature(place: int, **values: Any) -> Callable[[Arguments], object]:
    """The change of one signature's values."""
    names = ("validator", "seconds", "nanos", "v", "r", "s")

    def change(arguments: Arguments) -> None:
        for name, value in values.items():
            arguments[4][4][place][names.index(name)] = value

    return change


def other_commit(place: int, value: Any) -> Callable[[Arguments], object]:
    """The change of a field of the commit."""
    return lambda arguments: arguments[4].__setitem__(place, value)


def other_leaf(place: int, value: bytes) -> Callable[[Arguments], object]:
    """The change of a field of the header."""
    return lambda arguments: arguments[3].__setitem__(place, value)


HIGH_S: Final = (
    ORDER - int.from_bytes(FOUR.commit.signatures[0].signature[32:64], "big")
).to_bytes(32, "big")
OTHER_V: Final = 1 - FOUR.commit.signatures[0].signature[64]
LEAVES: Final = header_leaves(FOUR.header.fields())

REFUSALS: Final[dict[str, tuple[Callable[[Arguments], object], str, tuple[Any, ...]]]] = {
    "chain id": (lambda a: a.__setitem__(0, "another"), "CertificateOtherChain", ()),
    "trusted set": (
        lambda a: a.__setitem__(1, label_hash("another")),
        "CertificateValidatorsUntrusted",
        (FOUR.validators.hash,),
    ),
    "power": (lambda a: a[2][0].__setitem__(2, 11), "CertificateValidatorsMismatch", ()),
    "a validator less": (lambda a: a[2].pop(), "CertificateValidatorsMismatch", ()),
    "no validators": (lambda a: a[2].clear(), "CertificateValidatorsMismatch", ()),
    "order of validators": (lambda a: a[2].reverse(), "CertificateValidatorsMismatch", ()),
    "ordinate": (lambda a: a[2][1].__setitem__(1, a[2][1][1] ^ 2), "CertificateKeyInvalid", (1,)),
    "other ordinate": (
        lambda a: a[2][1].__setitem__(1, FIELD - a[2][1][1]),
        "CertificateValidatorsMismatch",
        (),
    ),
    "ordinate too large": (
        lambda a: a[2].__setitem__(2, [1, 2**256 - 1, 10]),
        "CertificateKeyInvalid",
        (2,),
    ),
    "a field less": (lambda a: a[3].pop(), "CertificateHeaderMalformed", (13,)),
    "version": (other_leaf(0, b"\x08\x0c"), "CertificateSignatureInvalid", (0,)),
    "chain id in header": (other_leaf(1, b"\x0a\x01x"), "CertificateOtherChain", ()),
    "height in header": (other_leaf(2, b"\x08\x01"), "CertificateOtherHeight", (300,)),
    "set in header": (other_leaf(7, LEAVES[8]), "CertificateValidatorsUntrusted", ()),
    "no set in header": (other_leaf(7, b""), "CertificateHeaderMalformed", (7,)),
    "next set": (other_leaf(8, LEAVES[7]), "CertificateSignatureInvalid", (0,)),
    "application hash": (
        other_leaf(10, b"\x0a\x20" + bytes(32)),
        "CertificateSignatureInvalid",
        (0,),
    ),
    "height": (other_commit(0, 301), "CertificateOtherHeight", (301,)),
    "round": (other_commit(1, 1), "CertificateSignatureInvalid", (0,)),
    "parts": (other_commit(2, 2), "CertificateSignatureInvalid", (0,)),
    "hash of parts": (other_commit(3, bytes(32)), "CertificateSignatureInvalid", (0,)),
    "no signatures": (other_commit(4, []), "CertificatePowerInsufficient", (0, 40)),
    "order of signatures": (lambda a: a[4][4].reverse(), "CertificateSignatureOrder", (1,)),
    "signature twice": (
        lambda a: a[4][4].insert(1, list(a[4][4][0])),
        "CertificateSignatureOrder",
        (1,),
    ),
    "unknown validator": (other_signature(2, validator=4), "CertificateSignatureOrder", (2,)),
    "another validator": (other_signature(2, validator=3), "CertificateSignatureInvalid", (2,)),
    "seconds": (other_signature(1, seconds=1), "CertificateSignatureInvalid", (1,)),
    "nanos": (other_signature(1, nanos=7), "CertificateSignatureInvalid", (1,)),
    "v": (other_signature(0, v=OTHER_V), "CertificateSignatureInvalid", (0,)),
    "v of Ethereum": (other_signature(0, v=27), "CertificateSignatureInvalid", (0,)),
    "v out of range": (other_signature(0, v=255), "CertificateSignatureInvalid", (0,)),
    "r": (other_signature(0, r=bytes(32)), "CertificateSignatureInvalid", (0,)),
    "s": (other_signature(0, s=bytes(32)), "CertificateSignatureInvalid", (0,)),
    "high s": (other_signature(0, s=HIGH_S, v=OTHER_V), "CertificateSignatureInvalid", (0,)),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_cer_2_what_differs_from_what_was_signed_is_refused(verifier: Contract, name: str) -> None:
    change, error, values = REFUSALS[name]
    arguments = arguments_of(FOUR)
    change(arguments)
    with refused(error, *values):
        verifier.read("verifyCommit", *arguments)


def test_cer_2_a_signature_for_nobody_counts_for_nobody(verifier: Contract) -> None:
    nobody = CommitSignature(0, Timestamp(0, 0), bytes(65))
    commit = replace(FOUR.commit, signatures=(nobody, *FOUR.commit.signatures[1:]))
    with refused("CertificateSignatureInvalid", 0):
        verifier.read("verifyCommit", *arguments_of(replace(FOUR, commit=commit)))


@pytest.mark.parametrize("count", GAS)
def test_cer_1_gas_is_what_the_documents_say(verifier: Contract, count: int) -> None:
    arguments = arguments_of(commit_of(count, range(2 * count // 3 + 1)))
    forked = verifier.on(verifier.chain.fork())
    gas_used = forked.transact(SENDER, "verifyCommit", *arguments).gas_used
    assert abs(gas_used - GAS[count]) * 20 <= GAS[count], f"{count} validators use {gas_used} gas"


def test_cer_1_the_documents_have_the_figures() -> None:
    root = Path(__file__).resolve().parents[2]
    for page in ("docs/spec/settlement.md", "docs/concepts/finality.md"):
        text = (root / page).read_text(encoding="utf-8")
        assert [f"{gas:,}" for gas in GAS.values() if f"{gas:,}" not in text] == []
