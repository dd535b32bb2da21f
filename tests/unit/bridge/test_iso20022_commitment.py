"""The commitment: stable over re-serialisation, sensitive to one character."""

import hashlib
import json
from dataclasses import fields, replace
from datetime import date

import pytest

from bridge.errors import NotCommittable
from bridge.iso20022.codes import ChargeBearer, StatusReason
from bridge.iso20022.commitment import canonical_content, commit, commit_reason
from bridge.iso20022.format import format_credit_transfer
from bridge.iso20022.identifiers import shape_uetr
from bridge.iso20022.messages import CreditTransfer
from bridge.iso20022.parse import parse_credit_transfer
from bridge.money import Amount, Rate
from support.messages import ALICE, BANK_A, BANK_B, BOB_ACCOUNT, EUR, SGD, credit_transfer

SALT = b"\x5a" * 32
KNOWN_COMMITMENT = "3f7c05f91549f8da10bdf62f805a7633be8548706e4b1acba2230dfc5348ee2d"
KNOWN_REASON_COMMITMENT = "262aaf967d73bd6ec4be4f956a709e576e4ccc67cc8f2ffd41411a9ac009f000"


def committed(transfer: CreditTransfer) -> bytes:
    """Return the commitment to a transfer under one fixed salt."""
    return commit(canonical_content(transfer), SALT)


def test_the_content_is_sorted_json_of_the_business_fields() -> None:
    whole = json.loads(canonical_content(credit_transfer()))
    assert (whole["version"], whole["message"]) == ("2", "pacs.008.001.08")
    content = whole["content"]
    assert list(content) == sorted(content)
    assert content["interbank_settlement_amount"] == {"currency": "SGD", "value": "1000.00"}
    assert content["debtor_account"] == {"iban": "DE72500999990123456789"}
    assert content["charges"][0]["agent"]["bic"] == "AURODEF0XXX"
    assert "message_id" not in content
    assert "created_at" not in content
    assert "exchange_rate" not in content


def test_the_commitment_is_sha_256_over_domain_salt_and_content() -> None:
    content = canonical_content(credit_transfer())
    expected = hashlib.sha256(b"corridor-message-commitment-v1" + SALT + content).digest()
    assert commit(content, SALT) == expected


def test_the_commitment_of_a_known_message_never_changes() -> None:
    assert committed(credit_transfer()).hex() == KNOWN_COMMITMENT
    assert commit_reason(StatusReason.AC04, "closed", SALT).hex() == KNOWN_REASON_COMMITMENT


def test_another_layout_of_the_message_commits_alike() -> None:
    data = format_credit_transfer(credit_transfer())
    dense = b"".join(line.strip() for line in data.splitlines())
    assert dense != data
    assert committed(parse_credit_transfer(dense)) == committed(credit_transfer())


CHANGES: dict[str, object] = {
    "instruction_id": "INSTRUCTION-2",
    "end_to_end_id": "RENT-2026-11",
    "transaction_id": "TRANSACTION-2",
    "uetr": shape_uetr(bytes(16)),
    "interbank_settlement_amount": Amount(SGD, 100_001),
    "interbank_settlement_date": date(2026, 11, 24),
    "instructed_amount": None,
    "exchange_rate": Rate.parse("1.45"),
    "charge_bearer": ChargeBearer.DEBT,
    "charges": (),
    "instructing_agent": BANK_B,
    "instructed_agent": BANK_A,
    "debtor": replace(ALICE, name="Alice Lindnor"),
    "debtor_account": BOB_ACCOUNT,
    "debtor_agent": replace(BANK_A, lei=None),
    "creditor": ALICE,
    "creditor_account": replace(BOB_ACCOUNT, other="0720123457"),
    "creditor_agent": BANK_A,
    "remittance_information": "Rent for december",
}


def test_the_table_of_changes_names_every_business_field() -> None:
    names = {field.name for field in fields(CreditTransfer)}
    assert set(CHANGES) == names - {"message_id", "created_at"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_any_field_changes_the_commitment(name: str) -> None:
    changed = replace(credit_transfer(), **{name: CHANGES[name]})  # type: ignore[arg-type]
    assert committed(changed) != committed(credit_transfer())


def test_an_amount_in_another_currency_commits_differently() -> None:
    changed = replace(credit_transfer(), interbank_settlement_amount=Amount(EUR, 100_000))
    assert committed(changed) != committed(credit_transfer())


def test_another_salt_commits_differently() -> None:
    content = canonical_content(credit_transfer())
    assert commit(content, bytes(32)) != commit(content, SALT)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_salt_of_another_length_is_never_used(length: int) -> None:
    with pytest.raises(NotCommittable):
        commit(b"{}", bytes(length))


def test_a_reason_commits_to_its_code_and_its_words() -> None:
    commitments = {
        commit_reason(StatusReason.RR04, None, SALT),
        commit_reason(StatusReason.AC04, None, SALT),
        commit_reason(StatusReason.AC04, "closed", SALT),
        commit_reason(StatusReason.AC04, "Closed", SALT),
    }
    assert len(commitments) == 4
