"""Statements of reserves as docs/spec/settlement.md requires them of CurrencyToken (TOK-6)."""

from dataclasses import astuple, replace

import pytest

from node.primitives import keccak
from support.chain_harness import key_of, refused
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    Attestation,
    Street,
    attestation_data,
    sign,
)
from support.transactions import Key

STRANGER = key_of("stranger")
ZERO = bytes(20)


def text(address: bytes) -> str:
    return "0x" + address.hex()


def attestation_call(street: Street, signed: Attestation, *, amount: int) -> bytes:
    """Return the calldata of a statement whose amount may differ from the one that was signed."""
    euro = street.tokens[EUR]
    signature = sign(EUROSYSTEM.account("attesting"), attestation_data(euro.address, signed))
    return euro.encode("attest", astuple(replace(signed, amount=amount)), signature)


def test_tok_6_a_statement_is_recorded_and_said(street: Street) -> None:
    attestation = street.attestation(EUR, 100)
    receipt = street.attest(EUR, attestation)
    assert receipt.names == ["ReservesAttested"]
    assert receipt.event("ReservesAttested").arguments == {
        "sequence": 1,
        "attester": text(EUROSYSTEM.account("attesting").address),
        "amount": 100,
        "validUntil": attestation.valid_until,
        "statementHash": attestation.statement_hash,
    }
    assert street.tokens[EUR].read("latestAttestation")[3] == 100


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(EUROSYSTEM.operating, id="the issuing key"),
        pytest.param(AUTHORITY.account("attesting"), id="another issuer"),
        pytest.param(MAKER.account("quoting"), id="a quoting key"),
        pytest.param(STRANGER, id="stranger"),
    ],
)
def test_tok_6_a_wrong_key_attests_nothing(street: Street, signer: Key) -> None:
    with refused("TokenAttesterUnknown", text(signer.address)):
        street.attest(EUR, street.attestation(EUR, 100), signer=signer)


def test_tok_6_a_suspended_issuers_key_attests_nothing(street: Street) -> None:
    data = attestation_call(street, street.attestation(EUR, 100), amount=100)
    street.registry.transact(OPERATOR.operating, "suspend", EUROSYSTEM.lei)
    with refused("TokenAttesterUnknown"):
        street.chain.send(BETA.operating, street.tokens[EUR].address, data, gas_limit=1_000_000)


def test_tok_6_a_statement_for_one_token_is_none_for_another(street: Street) -> None:
    attestation = street.attestation(EUR, 100)
    with refused("TokenAttesterUnknown"):
        street.attest(SGD, attestation, signer=EUROSYSTEM.account("attesting"))


def test_tok_6_a_malformed_signature_is_an_unknown_attester(street: Street) -> None:
    values = (1, street.now, street.now + 1, 100, keccak(b"statement"))
    for signature in (b"", bytes(65), b"\xff" * 65, bytes(64), b"\x01" * 66):
        with refused("TokenAttesterUnknown", text(ZERO)):
            street.tokens[EUR].transact(EUROSYSTEM.operating, "attest", values, signature)


def test_tok_6_a_changed_figure_is_not_what_was_signed(street: Street) -> None:
    attestation = street.attestation(EUR, 100)
    data = attestation_call(street, attestation, amount=101)
    with refused("TokenAttesterUnknown"):
        street.chain.send(
            EUROSYSTEM.operating, street.tokens[EUR].address, data, gas_limit=1_000_000
        )


def test_tok_6_a_replayed_or_older_statement_is_refused(street: Street) -> None:
    first = street.attestation(EUR, 100)
    street.attest(EUR, first)
    with refused("TokenAttestationSequence", 1, 1):
        street.attest(EUR, first)
    street.attest(EUR, replace(street.attestation(EUR, 50), sequence=7))
    with refused("TokenAttestationSequence", 6, 7):
        street.attest(EUR, replace(first, sequence=6))
    with refused("TokenAttestationSequence", 0, 0):
        street.attest(SGD, replace(street.attestation(SGD, 1), sequence=0))


def test_tok_6_a_statement_from_the_future_or_the_past_is_refused(street: Street) -> None:
    now = street.now
    for as_of, valid_until in ((now + 1, now + HOUR), (now, now), (now - HOUR, now - 1)):
        attestation = replace(street.attestation(EUR, 1), as_of=as_of, valid_until=valid_until)
        with refused("TokenAttestationTime", as_of, valid_until):
            street.attest(EUR, attestation)


def test_tok_6_a_statement_lasts_seven_days_at_the_most(street: Street) -> None:
    week = 7 * 24 * HOUR
    attestation = street.attestation(EUR, 1)
    longer = replace(attestation, valid_until=attestation.as_of + week + 1)
    with refused("TokenAttestationTime", longer.as_of, longer.valid_until):
        street.attest(EUR, longer)
    street.attest(EUR, replace(attestation, valid_until=attestation.as_of + week))


def test_tok_6_reserves_are_not_attested_as_of_an_earlier_time(street: Street) -> None:
    street.attest(EUR, street.attestation(EUR, 1))
    latest_as_of = street.tokens[EUR].read("latestAttestation")[1]
    earlier = replace(street.attestation(EUR, 2), as_of=latest_as_of - 1)
    with refused("TokenAttestationTime", earlier.as_of, earlier.valid_until):
        street.attest(EUR, earlier)
    street.attest(EUR, replace(earlier, as_of=latest_as_of))


def test_tok_6_any_admitted_account_may_carry_a_statement_and_no_other(street: Street) -> None:
    data = attestation_call(street, street.attestation(EUR, 100), amount=100)
    token = street.tokens[EUR].address
    with refused("TokenAccountNotAdmitted", text(STRANGER.address)):
        street.chain.send(STRANGER, token, data, gas_limit=1_000_000)
    street.chain.send(BETA.operating, token, data, gas_limit=1_000_000)


def test_tok_6_a_statement_below_supply_is_recorded_and_stops_issuance(street: Street) -> None:
    street.fund(EUR, {ALPHA: 100})
    receipt = street.attest(EUR, street.attestation(EUR, 40))
    assert receipt.names == ["ReservesAttested", "ReservesBelowSupply"]
    assert receipt.event("ReservesBelowSupply").arguments == {
        "sequence": 2,
        "amount": 40,
        "supply": 100,
    }
    with refused("TokenReservesExceeded", 100, 1, 40):
        street.issue(EUR, ALPHA, 1, "unbacked")
    assert street.tokens[EUR].read("totalSupply") == 100
    street.attest(EUR, street.attestation(EUR, 101))
    street.issue(EUR, ALPHA, 1, "backed")
