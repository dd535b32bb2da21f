"""The file of a certificate: no other writing, value or bit passes, and one script reads it alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.certificate import build_certificate
from node.primitives import RlpItem, decode_list, decode_rlp, encode_rlp, keccak
from node.verify_certificate import BYTES_MAX, CertificateRefused, main
from support.certificates import (
    CHAIN_ID,
    PAYMENT_ID,
    Change,
    Sample,
    altered,
    at,
    dropping,
    label_hash,
    refused,
    resigned,
    sample,
    updating,
    with_signed,
)
from support.full_run import IS_FULL

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts/verify_certificate.py"


def test_n_166_another_payment_is_refused() -> None:
    one = sample(4)
    changes: list[tuple[Change, str]] = [
        (lambda f: f["payment"].update(payment_id=label_hash("x").hex()), "not the log"),
        (lambda f: f["payment"].update(event="PaymentExpired"), "not the log"),
        (lambda f: f["payment"].update(event="CurrencyAdded"), "none of a payment"),
        (lambda f: f["payment"].update(data=""), "not the log"),
        (lambda f: f["payment"].update(topics=[label_hash("x").hex()]), "not the log"),
        (lambda f: f["payment"].update(log_index=0), "not the log"),
        (lambda f: f.update(transaction_index=0), "another position|not proven|path"),
        (lambda f: f.update(transaction_index=2**53 - 1), "position|not proven|path|breaks"),
        (lambda f: f.update(format="corridor-settlement-certificate-2"), "the format"),
    ]
    for change, reason in changes:
        refused(one, altered(one.text, change), reason)


def test_n_166_a_proof_has_just_the_nodes_of_its_path() -> None:
    one = sample(4, receipts=40, index=20)
    nodes = json.loads(one.text)["receipt_proof"]
    assert len(nodes) > 2
    for proof in (nodes[1:], nodes[:-1], [*nodes, nodes[-1]], [nodes[0], *nodes], nodes[::-1], []):
        text = altered(one.text, updating(receipt_proof=proof))
        refused(one, text, "path|not proven")


def with_ethereum(one: Sample, header: list[RlpItem], **fields: object) -> bytes:
    """A certificate whose validators signed the hash of just any Ethereum header."""
    encoded = encode_rlp(header)
    signed = with_signed(one, resigned(one, app_hash=keccak(encoded)))
    return altered(signed.text, updating(ethereum_header=encoded.hex(), **fields))


def test_n_166_what_validators_signed_has_its_form_all_the_same() -> None:
    one = sample(1)
    header = list(decode_list(decode_rlp(one.material.header.encode())))
    assert one.verify(with_ethereum(one, header)).height == 50
    for malformed in (header[:20], [*header, b""], [*header[:5], [], *header[6:]], []):
        refused(one, with_ethereum(one, malformed), "Ethereum header is malformed")


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ([b""] * 3, "breaks off"),
        ([[b""], b""], "breaks off"),
        ([], "breaks off"),
        ([b"\x20\x02", b"RECEIPT"], "another position"),
        ([b"\x32", b"RECEIPT"], "another position"),
        ([b"\x30", b"RECEIPT"], "not proven"),
        ([b"\x20", b"RECEIPT"], "not proven"),
        ([b"", b"RECEIPT"], "not proven"),
        ([b"\x00\x01", b"RECEIPT"], "not proven"),
        ([b"\x20\x01", [b"RECEIPT"]], "not proven"),
        ([b""] * 17, "not proven"),
    ],
)
def test_n_166_a_proof_of_any_form_leads_to_the_receipt_or_nowhere(
    node: list[RlpItem], reason: str
) -> None:
    one = sample(1)
    receipt_bytes = one.material.receipts[1].encode()
    encoded = encode_rlp([receipt_bytes if item == b"RECEIPT" else item for item in node])
    header = list(decode_list(decode_rlp(one.material.header.encode())))
    header[5] = keccak(encoded)
    refused(one, with_ethereum(one, header, receipt_proof=[encoded.hex()]), reason)
    header[5] = keccak(encode_rlp([b"\x20\x01", receipt_bytes]))
    proof = [encode_rlp([b"\x20\x01", receipt_bytes]).hex()]
    assert one.verify(with_ethereum(one, header, receipt_proof=proof)).transaction_index == 1


@pytest.mark.parametrize(
    ("receipt", "reason"),
    [
        ("", "malformed"),
        ("02", "malformed"),
        ("c0", "none of a success"),
        ("c101", "none of a success"),
        ("c0c0", "malformed"),
        ("0180", "malformed"),
        ("f8", "cut off"),
        ("fbffff", "cut off"),
        ("c2c101", "none of a success"),
        ("c483010203", "none of a success"),
        ("c4018080c0", "not the log"),
        ("c401808001", "not the log"),
        ("c8c7c6c5c4c3c2c1c0", "too deep"),
    ],
)
def test_n_166_a_receipt_of_any_form_is_read_or_refused(receipt: str, reason: str) -> None:
    one = sample(1)
    refused(one, altered(one.text, updating(receipt=receipt)), reason)


def test_n_166_a_file_too_long_is_not_read() -> None:
    one = sample(1)
    refused(one, b"[" * (BYTES_MAX + 1), "longer than")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"NaN",
        b"1e999",
        b"1" * 5_000,
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'"\\ud800"',
        b"\xc3\xa9",
        b" " * (BYTES_MAX + 1),
    ],
    ids=range(15),
)
def test_n_166_what_is_no_certificate_is_refused(text: bytes) -> None:
    refused(sample(1), text, ".")


def test_n_166_another_writing_of_the_same_document_is_refused() -> None:
    one = sample(4)
    text, document = one.text, json.loads(one.text)
    first = b'{"commit":'
    assert text.startswith(first)
    writings = [
        json.dumps(document).encode(),
        json.dumps(document, separators=(",", ":")).encode() + b"\n",
        b" " + text,
        text.replace(b'"height":50', b'"height":50.0'),
        text.replace(b'"height":50', b'"height":5e1'),
        text.replace(b'"height":50', b'"height":050'),
        text.replace(b'"round":0', b'"round":-0'),
        text.replace(b'"round":0', b'"round":false'),
        text.replace(b'"format"', b'"\\u0066ormat"'),
        text.replace(b'"data":"', b'"data":"0x'),
        first + b"0," + text[1:],
        text.replace(b'"round":0', b'"round":0,"round":0'),
    ]
    for writing in writings:
        assert writing != text
        refused(one, writing, ".")


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # JSON has any shape
    """Every place of a document."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(found for key, each in inner for found in paths(each, (*path, key)))]


def test_n_166_a_field_or_entry_too_many_or_too_few_is_refused_everywhere() -> None:
    one = sample(4, 1)
    text = one.text
    for path in paths(json.loads(text)):
        value = at(json.loads(text), path)
        changes = [dropping(*path)] if path else []
        if isinstance(value, dict):
            changes.append(updating(*path, extra=0))
        if isinstance(value, list) and path:
            lists = [[*value, value[-1] if value else 0], value[::-1]]
            others = [entries for entries in lists if entries != value]
            changes += [updating(*path[:-1], **{path[-1]: entries}) for entries in others]
        for change in changes:
            refused(one, altered(text, change), ".")


@pytest.mark.parametrize(
    "junk", [None, True, -1, 1.5, 2**53, 2**64, "", "0x00", "0G", "AB", [], {}]
)
def test_n_166_a_value_of_another_kind_is_refused_everywhere(junk: Any) -> None:
    one = sample(4, 1)
    text = one.text
    for path in paths(json.loads(text)):
        if path and at(json.loads(text), path) != junk:
            document = json.loads(text)
            at(document, path[:-1])[path[-1]] = junk
            written = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
            refused(one, written, ".")


def flips_accepted(one: Sample, bits: list[int]) -> list[int]:
    """Positions of the certificate at which a flipped bit was not noticed."""
    text, unnoticed = one.text, []
    for position in range(len(text)):
        for bit in bits:
            flipped = bytearray(text)
            flipped[position] ^= 1 << (bit + position) % 8
            try:
                one.verify(bytes(flipped))
            except CertificateRefused:
                continue
            unnoticed.append(position)
    return unnoticed


def test_n_166_one_bit_flipped_in_any_byte_is_noticed() -> None:
    assert flips_accepted(sample(1), [0]) == []


@pytest.mark.slow
def test_n_166_one_bit_flipped_in_any_byte_of_a_chain_of_changes_is_noticed() -> None:
    bits = list(range(8)) if IS_FULL else [0]
    assert flips_accepted(sample(4, 1), bits) == []


@pytest.mark.slow
def test_n_166_any_bit_flipped_is_noticed() -> None:
    assert flips_accepted(sample(1), list(range(8))) == []


# The file that verifies.


def test_n_167_the_verifier_stands_in_two_places_and_is_one() -> None:
    source = ROOT / "node/verify_certificate.py"
    assert SCRIPT.read_bytes() == source.read_bytes()
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 400


def test_n_167_the_verifier_needs_nothing_but_the_standard_library() -> None:
    for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=module, level=level):
                modules = [module or "." * level]
            case _:
                continue
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in modules)


def run_alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The script, with no package but Python's own to be found."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_n_167_the_script_says_what_is_proven_or_why_nothing_is(tmp_path: Path) -> None:
    one = sample(4, 1)
    file = tmp_path / "certificate.json"
    file.write_bytes(one.text)
    anchor = ["--chain-id", CHAIN_ID, "--genesis-validators", one.genesis.hash.hex()]
    accepted = run_alone(str(file), *anchor)
    assert (accepted.returncode, accepted.stderr) == (0, "")
    for shown in (
        f"{PAYMENT_ID.hex()} settled",
        "1 of its block, log 1",
        f"7 0x{one.material.header.hash.hex()}",
        "2027-01-15T08:00:00+00:00, certified by consensus at height 50",
        "3 of 4 validators: 0x",
    ):
        assert shown in accepted.stdout
    file.write_bytes(one.text + b"\n")
    refusal = run_alone(str(file), *anchor)
    assert (refusal.returncode, refusal.stdout) == (1, "")
    assert refusal.stderr == "refused: the file is not written as RFC 8785 has it\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["FILE"],
        ["FILE", "--chain-id", "x"],
        ["FILE", "--chain-id", "x", "--genesis-validators", "zz"],
        ["FILE.none", "--chain-id", "x", "--genesis-validators", "00" * 32],
        ["--chain-id", "x", "--genesis-validators", "00" * 32],
    ],
)
def test_n_167_the_anchor_and_a_readable_file_are_required(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "FILE").write_bytes(b"{}")
    named = [str(tmp_path / each) if each.startswith("FILE") else each for each in arguments]
    with pytest.raises(SystemExit) as ended:
        main(named)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_n_167_a_time_beyond_calendars_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = sample(1, receipts=1, index=0)
    header = replace(one.material.header, timestamp=2**63)
    material = replace(one.material, header=header, signed=resigned(one, app_hash=header.hash))
    file = tmp_path / "certificate.json"
    file.write_bytes(build_certificate(material))
    anchor = ["--chain-id", CHAIN_ID, "--genesis-validators", one.genesis.hash.hex()]
    assert main([str(file), *anchor]) == 0
    assert f"{2**63} s, certified" in capsys.readouterr().out
