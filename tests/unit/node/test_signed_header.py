"""Headers of consensus with their commits: signed, checked, stored, and read from the engine's answers."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from node.errors import MalformedRlp, SignedHeaderInvalid
from node.primitives import decode_rlp, encode_rlp
from node.signed_header import (
    NO_BLOCK,
    PUBLIC_KEY_TYPE,
    BlockId,
    SignedHeader,
    Timestamp,
    Validator,
    ValidatorSet,
    check_signed_header,
    parse_signed_header,
    sign_header,
)
from support.certificates import (
    CHAIN_ID,
    consensus_header,
    key_of,
    label_hash,
    sample,
    signed_by,
    validator,
    validator_set,
)

FOUR = validator_set(range(4))
HEADER = consensus_header(50, label_hash("application"), FOUR, FOUR)
SIGNED = signed_by(HEADER, FOUR)


def refused(signed: SignedHeader, reason: str, chain_id: str = CHAIN_ID) -> None:
    """Expect a refusal for that reason."""
    with pytest.raises(SignedHeaderInvalid, match=reason):
        check_signed_header(signed, chain_id=chain_id)


def written(time: Timestamp) -> str:
    """A time as the engine writes it."""
    text = datetime.fromtimestamp(time.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{time.nanos:09}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def block_id(of: BlockId) -> dict[str, Any]:
    """A block id as the engine writes it."""
    parts = {"total": of.parts_total, "hash": of.parts_hash.hex().upper()}
    return {"hash": of.hash.hex().upper(), "parts": parts}


def commit_answer(signed: SignedHeader) -> dict[str, Any]:
    """What the engine answers to `/commit`; whose vote is missing was absent."""
    header, commit, members = signed.header, signed.commit, signed.validators.members
    fields = header.fields().items()
    hashes = {name: value.hex().upper() for name, value in fields if isinstance(value, bytes)}
    votes = [
        {
            "block_id_flag": 2,
            "validator_address": members[each.validator].address.hex().upper(),
            "timestamp": written(each.time),
            "signature": b64encode(each.signature).decode(),
        }
        for each in commit.signatures
    ]
    absent = {
        "block_id_flag": 1,
        "validator_address": "",
        "timestamp": "0001-01-01T00:00:00Z",
        "signature": None,
    }
    header_fields = {
        "version": {"block": str(header.version_block), "app": str(header.version_app)},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": written(header.time),
        "last_block_id": block_id(header.last_block_id),
    }
    commit_fields = {
        "height": str(header.height),
        "round": commit.round,
        "block_id": block_id(commit.block_id),
        "signatures": [*votes, *[absent] * (len(members) - len(votes))],
    }
    signed_fields = {"header": header_fields | hashes, "commit": commit_fields}
    return {"signed_header": signed_fields, "canonical": True}


def validators_answer(signed: SignedHeader) -> dict[str, Any]:
    """What the engine answers to `/validators`."""
    members = [
        {
            "address": each.address.hex().upper(),
            "pub_key": {"type": PUBLIC_KEY_TYPE, "value": b64encode(each.public_key).decode()},
            "voting_power": str(each.power),
            "proposer_priority": "-10",
        }
        for each in signed.validators.members
    ]
    return {
        "block_height": str(signed.header.height),
        "validators": members,
        "count": str(len(members)),
        "total": str(len(members)),
    }


def answers(signed: SignedHeader) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both answers of the engine for one height."""
    return commit_answer(signed), validators_answer(signed)


# Signing and checking.


def test_n_168_a_header_signed_by_two_thirds_and_more_is_borne_out() -> None:
    check_signed_header(SIGNED, chain_id=CHAIN_ID)
    check_signed_header(signed_by(HEADER, FOUR, [0, 1, 3]), chain_id=CHAIN_ID)
    refused(signed_by(HEADER, FOUR, [0, 1]), "no more than two thirds")
    refused(signed_by(HEADER, FOUR, []), "no more than two thirds")


def test_n_168_the_one_key_of_a_solo_engine_signs_in_the_same_form() -> None:
    alone = validator_set([3])
    header = replace(
        consensus_header(1, label_hash("genesis"), alone, alone), last_block_id=NO_BLOCK
    )
    signed = sign_header(header, alone, key_of(3), Timestamp(1_800_000_000, 5))
    check_signed_header(signed, chain_id=CHAIN_ID)
    one = sample(1, receipts=1, index=0)
    at_block = replace(header, app_hash=one.material.header.hash, height=2)
    certified = sign_header(at_block, alone, key_of(3), Timestamp(1_800_000_001, 0))
    again = replace(one, material=replace(one.material, signed=certified), genesis=alone)
    assert again.verify().signers == (alone.members[0].address,)
    with pytest.raises(SignedHeaderInvalid, match="none of the set"):
        sign_header(header, alone, key_of(4), Timestamp(0, 0))


def test_n_168_what_its_validators_did_not_sign_is_refused() -> None:
    signatures = SIGNED.commit.signatures
    swapped = ValidatorSet((FOUR.members[1], FOUR.members[0], *FOUR.members[2:]))
    of_swapped = consensus_header(50, label_hash("application"), swapped, swapped)
    bent = replace(signatures[0], signature=signatures[0].signature[:-1] + b"\x02")
    short = replace(signatures[0], signature=signatures[0].signature[:-1])
    other = replace(signatures[0], time=Timestamp(1, 1))
    cases = [
        (replace(SIGNED, header=replace(HEADER, chain_id="another")), "of chain another"),
        (replace(SIGNED, validators=validator_set(range(5))), "not those that the header names"),
        (signed_by(of_swapped, swapped), "not in their order"),
        (replace(SIGNED, header=replace(HEADER, height=51)), "for another block"),
    ]
    for changed, reason in (
        (signatures[::-1], "order of the validators"),
        ((*signatures, signatures[3]), "order of the validators"),
        ((*signatures, replace(signatures[3], validator=4)), "order of the validators"),
        ((bent, *signatures[1:]), "validator 0 did not"),
        ((short, *signatures[1:]), "validator 0 did not"),
        ((other, *signatures[1:]), "validator 0 did not"),
    ):
        commit = replace(SIGNED.commit, signatures=changed)
        cases.append((replace(SIGNED, commit=commit), reason))
    for signed, reason in cases:
        refused(signed, reason)


def test_n_168_a_key_that_is_no_point_is_refused() -> None:
    with pytest.raises(SignedHeaderInvalid, match="no point"):
        ValidatorSet.of([Validator(b"\x02" + b"\xff" * 32, 1), validator(1)])


# Stored.


def test_n_168_what_is_stored_comes_back() -> None:
    first = replace(HEADER, last_block_id=NO_BLOCK, last_commit_hash=b"", version_app=0)
    for signed in (SIGNED, signed_by(first, FOUR), *sample(7, 3).material.changes):
        assert SignedHeader.decode(signed.encode()) == signed


def test_n_168_what_was_not_stored_so_is_refused() -> None:
    stored = SIGNED.encode()
    items: Any = decode_rlp(stored)
    header = list(items[0])
    header[2] = b"\xff"
    for data in (
        b"",
        stored[:-1],
        stored + b"\0",
        encode_rlp(items[:4]),
        encode_rlp([items[0][:-1], *items[1:]]),
        encode_rlp([header, *items[1:]]),
        encode_rlp([*items[:4], [[b"\x02" * 32, b"\x01"]]]),
    ):
        with pytest.raises(MalformedRlp):
            SignedHeader.decode(data)


# From the engine.


@pytest.mark.parametrize("places", [range(4), range(3)])
def test_n_169_the_engines_answers_give_what_was_signed(places: range) -> None:
    signed = signed_by(HEADER, FOUR, places)
    parsed = parse_signed_header(*answers(signed))
    assert parsed == signed
    check_signed_header(parsed, chain_id=CHAIN_ID)


def test_n_169_votes_for_nothing_are_not_taken_over() -> None:
    commit, validators = answers(SIGNED)
    commit["signed_header"]["commit"]["signatures"][1]["block_id_flag"] = 3
    parsed = parse_signed_header(commit, validators)
    assert [each.validator for each in parsed.commit.signatures] == [0, 2, 3]


def test_n_169_a_version_of_zero_is_left_out_by_the_engine() -> None:
    commit, validators = answers(signed_by(replace(HEADER, version_app=0), FOUR))
    del commit["signed_header"]["header"]["version"]["app"]
    assert parse_signed_header(commit, validators).header.version_app == 0


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("12:00:00Z", 0), ("12:00:00.5Z", 500_000_000), ("12:00:00.000000001Z", 1)],
)
def test_n_169_times_are_read_to_the_nanosecond(text: str, nanos: int) -> None:
    commit, validators = answers(SIGNED)
    commit["signed_header"]["header"]["time"] = f"1970-01-02T{text}"
    assert parse_signed_header(commit, validators).header.time == Timestamp(129_600, nanos)


Change = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _, v: v.update(total="5"), "all validators"),
        (lambda _, v: v.update(block_height="49"), "another height"),
        (
            lambda _, v: v["validators"][0]["pub_key"].update(type="tendermint/PubKeyEd25519"),
            "type",
        ),
        (lambda _, v: v["validators"][0]["pub_key"].update(value="no base 64"), "another form"),
        (lambda _, v: v["validators"][0].update(voting_power="x"), "another form"),
        (lambda c, _: c["signed_header"]["header"].update(time="2027-01-15 08:00:00"), "no time"),
        (lambda c, _: c["signed_header"]["header"].update(time="2027-13-15T08:00:00Z"), "form"),
        (lambda c, _: c["signed_header"]["header"].update(app_hash="xy"), "another form"),
        (lambda c, _: c["signed_header"]["header"].pop("app_hash"), "another form"),
        (lambda c, _: c["signed_header"].update(commit=None), "another form"),
        (lambda c, _: c.update(signed_header=[]), "another form"),
    ],
)
def test_n_169_an_answer_of_another_form_is_refused(change: Change, reason: str) -> None:
    commit, validators = json.loads(json.dumps(answers(SIGNED)))
    change(commit, validators)
    with pytest.raises(SignedHeaderInvalid, match=reason):
        parse_signed_header(commit, validators)
