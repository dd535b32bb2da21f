"""Settlement certificates: what is built is accepted, and whatever is changed in it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import contracts
from node.certificate import CertificateMaterial, build_certificate, needed_changes, payment_event
from node.errors import NothingToCertify
from node.primitives import encode_rlp
from node.signed_header import ValidatorSet
from node.verify_certificate import (
    SETTLEMENT_ADDRESS,
    SIGNATURE_BY_EVENT,
    CertificateRefused,
    verify,
)
from support.certificates import (
    CHAIN_ID,
    EVENT_HASHES,
    PAYMENT_ID,
    altered,
    block_of,
    consensus_header,
    dropping,
    label_hash,
    payment_log,
    receipt,
    refused,
    resigned,
    sample,
    signed_by,
    updating,
    validator,
    validator_set,
    with_signed,
)
from support.transactions import SINK

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts/verify_certificate.py"

Change = Callable[[dict[str, Any]], object]


# What holds.


@pytest.mark.parametrize("changes", [0, 1, 3])
@pytest.mark.parametrize("validators", [1, 4, 7])
def test_n_161_a_certificate_is_accepted(validators: int, changes: int) -> None:
    one = sample(validators, changes)
    verdict = one.verify()
    assert (verdict.event, verdict.payment_id) == ("PaymentSettled", PAYMENT_ID)
    assert (verdict.transaction_index, verdict.log_index) == (1, 1)
    header = one.material.header
    assert (verdict.ethereum_number, verdict.ethereum_time) == (header.number, header.timestamp)
    assert (verdict.ethereum_hash, verdict.height) == (header.hash, 50)
    members = one.material.signed.validators.members
    assert verdict.validators == len(members) == validators
    assert verdict.signers == tuple(each.address for each in members[: 2 * validators // 3 + 1])


@pytest.mark.parametrize("event", SIGNATURE_BY_EVENT)
def test_n_161_every_event_of_a_payment_can_be_certified(event: str) -> None:
    assert sample(1, event=event).verify().event == event


@pytest.mark.parametrize("transaction_type", [0, 1, 2])
@pytest.mark.parametrize(
    ("receipts", "index"), [(1, 0), (2, 0), (2, 1), (16, 9), (130, 127), (130, 128), (300, 299)]
)
def test_n_161_a_receipt_of_any_type_is_proven_at_any_position(
    receipts: int, index: int, transaction_type: int
) -> None:
    one = sample(1, receipts=receipts, index=index, transaction_type=transaction_type)
    assert one.verify().transaction_index == index


def test_n_161_power_and_not_the_number_of_validators_decides() -> None:
    genesis = ValidatorSet.of([validator(0, 7), validator(1, 2), validator(2, 1)])
    one = sample(1)
    header = consensus_header(50, one.material.header.hash, genesis, genesis)
    heavy = replace(with_signed(one, signed_by(header, genesis, [0])), genesis=genesis)
    assert heavy.verify().signers == (genesis.members[0].address,)
    light = replace(with_signed(one, signed_by(header, genesis, [1, 2])), genesis=genesis)
    refused(light, light.text, "no more than two thirds")


def test_n_161_the_signature_texts_are_those_of_the_contract() -> None:
    abi = contracts.load("PaymentSettlement").abi

    def type_of(parameter: dict[str, Any]) -> str:
        if not parameter["type"].startswith("tuple"):
            return str(parameter["type"])
        inner = ",".join(map(type_of, parameter["components"]))
        return f"({inner}){parameter['type'].removeprefix('tuple')}"

    signatures = {
        entry["name"]: f"{entry['name']}({','.join(map(type_of, entry['inputs']))})"
        for entry in abi
        if entry["type"] == "event"
        and [each["name"] for each in entry["inputs"]][:1] == ["paymentId"]
    }
    assert signatures == SIGNATURE_BY_EVENT
    assert SETTLEMENT_ADDRESS == contracts.SETTLEMENT_ADDRESS


# What is not certified.


@pytest.mark.parametrize(("index", "log_index"), [(3, 0), (-1, 0), (1, 2), (1, -1), (1, 0), (0, 0)])
def test_n_162_where_no_event_of_a_payment_stands_nothing_is_certified(
    index: int, log_index: int
) -> None:
    material = replace(sample().material, transaction_index=index, log_index=log_index)
    with pytest.raises(NothingToCertify):
        build_certificate(material)


def test_n_162_only_the_settlement_contract_tells_of_payments() -> None:
    log = payment_log()
    assert payment_event(log) == "PaymentSettled"
    assert payment_event(replace(log, address=SINK)) is None
    assert payment_event(replace(log, topics=log.topics[:1])) is None
    assert payment_event(replace(log, topics=(PAYMENT_ID, PAYMENT_ID))) is None


def test_n_162_a_log_of_another_contract_is_refused() -> None:
    one = sample(1)
    log = replace(payment_log(), address=SINK)
    receipts = [receipt(0, (log,))]
    header = block_of(receipts)
    material = CertificateMaterial(header, receipts, 0, 0, resigned(one, app_hash=header.hash), ())
    honest = replace(material, receipts=[receipt(0, (payment_log(),))])
    document = json.loads(build_certificate(honest))
    forged = altered(
        build_certificate(honest),
        lambda fields: fields.update(
            receipt=receipts[0].encode().hex(),
            receipt_proof=[encode_rlp([b"\x20\x80", receipts[0].encode()]).hex()],
        ),
    )
    assert document["ethereum_header"] == header.encode().hex()
    refused(one, forged, "not the log at that position")


def test_n_162_a_failed_transaction_proves_nothing() -> None:
    one = sample(1, receipts=1, index=0)
    receipts = [replace(one.material.receipts[0], succeeded=False)]
    header = block_of(receipts)
    material = replace(
        one.material,
        header=header,
        receipts=receipts,
        signed=resigned(one, app_hash=header.hash),
    )
    refused(one, build_certificate(material), "none of a success")


def test_n_162_of_two_equal_logs_the_first_is_certified() -> None:
    one = sample(1, receipts=1, index=0)
    receipts = [receipt(0, (payment_log(), payment_log()))]
    header = block_of(receipts)
    material = replace(
        one.material,
        header=header,
        receipts=receipts,
        signed=resigned(one, app_hash=header.hash),
    )
    text = build_certificate(material)
    assert one.verify(text).log_index == 0
    later = altered(text, lambda fields: fields["payment"].update(log_index=1))
    refused(one, later, "not the log at that position")


# The trust anchor.


def test_n_163_the_anchor_comes_from_whoever_asks() -> None:
    one = sample(4, 1)
    text = one.text
    for chain_id, genesis, reason in (
        ("another", one.genesis.hash, "of another chain"),
        (CHAIN_ID, label_hash("another"), "nothing vouches"),
        (CHAIN_ID, one.material.signed.validators.hash, "nothing vouches"),
        (CHAIN_ID, one.genesis.hash[:31], "nothing vouches"),
    ):
        with pytest.raises(CertificateRefused, match=reason):
            verify(text, chain_id=chain_id, genesis_validators_hash=genesis)


def test_n_163_a_header_of_another_chain_is_refused_though_it_is_signed() -> None:
    one = sample(4)
    refused(one, with_signed(one, resigned(one, chain_id="another")).text, "of another chain")


# Signatures.


def test_n_164_two_thirds_are_not_enough_and_one_more_is() -> None:
    for validators in (1, 3, 4, 6, 7):
        one = sample(validators)
        signed = one.material.signed
        needed = 2 * validators // 3 + 1
        by_all = range(validators)
        enough = with_signed(one, signed_by(signed.header, signed.validators, by_all[-needed:]))
        assert len(enough.verify().signers) == needed
        short = with_signed(one, signed_by(signed.header, signed.validators, by_all[1 - needed :]))
        if needed > 1:
            refused(short, short.text, "no more than two thirds")


def test_n_164_a_certificate_has_no_signature_that_it_can_do_without() -> None:
    one = sample(4)
    surplus = one.material.signed.commit.signatures[3]
    entry = {
        "validator": 3,
        "time": surplus.time.fields(),
        "signature": surplus.signature.hex(),
    }
    text = altered(one.text, lambda fields: fields["commit"]["signatures"].append(entry))
    refused(one, text, "a signature is not needed")


def test_n_164_the_other_form_of_a_signature_is_refused() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    one = sample(1)
    signature = one.material.signed.commit.signatures[0].signature
    high = order - int.from_bytes(signature[32:64], "big")
    forms = [
        signature[:32] + high.to_bytes(32, "big") + bytes([1 - signature[64]]),
        signature[:64] + bytes([signature[64] + 27]),
        signature[:64] + bytes([signature[64] + 2]),
        bytes(64) + signature[64:],
        order.to_bytes(32, "big") + signature[32:],
        signature[:32] + bytes(32) + signature[64:],
    ]
    for form in forms:
        text = altered(one.text, updating("commit", "signatures", 0, signature=form.hex()))
        refused(one, text, "out of range")
    for form in (signature[:64], signature + b"\0"):
        text = altered(one.text, updating("commit", "signatures", 0, signature=form.hex()))
        refused(one, text, "too short or too long")


def test_n_164_a_vote_of_another_round_block_or_kind_does_not_count() -> None:
    one = sample(1)
    signed = one.material.signed
    for commit in (
        replace(signed.commit, round=1),
        replace(signed.commit, block_id=replace(signed.commit.block_id, parts_total=2)),
    ):
        text = with_signed(one, replace(signed, commit=commit)).text
        refused(one, text, "a signature is not valid")
    other = signed_by(replace(signed.header, height=49), signed.validators).commit
    refused(one, with_signed(one, replace(signed, commit=other)).text, "is not valid")


def test_n_164_the_proposer_is_a_validator() -> None:
    one = sample(1)
    text = with_signed(one, resigned(one, proposer_address=b"\x01" * 20)).text
    refused(one, text, "its proposer is no validator")


def test_n_164_the_validators_stand_in_the_engines_order() -> None:
    one = sample(1)
    members = validator_set(range(4)).members
    swapped = ValidatorSet((members[1], members[0], *members[2:]))
    signed = signed_by(consensus_header(50, one.material.header.hash, swapped, swapped), swapped)
    unordered = replace(with_signed(one, signed), genesis=swapped)
    refused(unordered, unordered.text, "not in their order")


# Changes of the set of validators.


def test_n_165_a_change_left_out_breaks_the_chain() -> None:
    one = sample(4, 3)
    for place in range(3):
        refused(one, altered(one.text, dropping("validator_changes", place)), "vouches")


def test_n_165_changes_out_of_their_order_are_refused() -> None:
    one = sample(4, 3)
    refused(one, altered(one.text, lambda f: f["validator_changes"].reverse()), "vouches|order")
    late = replace(one.material.changes[2].header, height=50)
    changes = [*one.material.changes[:2], signed_by(late, one.material.changes[2].validators)]
    signed = resigned(one, height=51)
    material = replace(one.material, changes=changes, signed=signed)
    text = build_certificate(material)
    assert one.verify(text).height == 51
    down = altered(text, lambda f: f["validator_changes"][2]["consensus_header"].update(height=9))
    refused(one, down, "order of their heights")
    earlier = json.loads(build_certificate(replace(material, signed=resigned(one, height=52))))
    for height in (50, 49):
        certifying = resigned(one, height=height)
        parts = json.loads(with_signed(one, certifying).text)
        fields = {name: parts[name] for name in ("consensus_header", "commit")}
        before = altered(json.dumps(earlier).encode(), updating(**fields))
        refused(one, before, "order of their heights")


def test_n_165_a_header_that_changes_nothing_is_not_needed() -> None:
    one = sample(4)
    idle = signed_by(consensus_header(9, label_hash("idle"), one.genesis, one.genesis), one.genesis)
    with_idle = replace(one, material=replace(one.material, changes=[idle]))
    assert with_idle.text == one.text
    entry = json.loads(sample(4, 1).text)["validator_changes"][0]
    assert entry["consensus_header"]["height"] == 5
    idle_entry = json.loads(with_signed(one, idle).text)
    kept = {name: idle_entry[name] for name in ("consensus_header", "commit", "validators")}
    text = altered(one.text, lambda fields: fields["validator_changes"].append(kept))
    refused(one, text, "trusted before")


def test_n_165_a_change_that_is_undone_later_is_left_out() -> None:
    one = sample(4, 2)
    first, second = one.material.changes
    back = signed_by(
        consensus_header(20, label_hash("back"), second.validators, one.genesis), second.validators
    )
    again = signed_by(
        consensus_header(30, label_hash("again"), one.genesis, second.validators), one.genesis
    )
    assert needed_changes([first, back]) == ()
    assert needed_changes([first, back, again]) == (again,)
    assert needed_changes([first, second]) == (first, second)
    assert needed_changes([first, back, again, second]) == (again, second)


def test_n_165_a_set_that_its_predecessor_did_not_name_is_not_believed() -> None:
    one = sample(4, 1)
    thieves = validator_set(range(10, 14))
    header = consensus_header(50, one.material.header.hash, thieves, thieves)
    refused(one, with_signed(one, signed_by(header, thieves)).text, "nothing vouches")
    (change,) = one.material.changes
    forged = replace(change.header, next_validators_hash=thieves.hash)
    changes = [replace(change, header=forged)]
    material = replace(one.material, signed=signed_by(header, thieves), changes=changes)
    refused(one, build_certificate(material), "a signature is not valid")


def test_n_161_the_events_are_told_by_their_topics() -> None:
    assert set(EVENT_HASHES) == set(SIGNATURE_BY_EVENT)
