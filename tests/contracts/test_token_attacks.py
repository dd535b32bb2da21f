"""What an attacker tries on CurrencyToken, and what it gets (TOK-3, TOK-6, TOK-7, TOK-9, TOK-10, TOK-13)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

import contracts
from node.primitives import keccak
from support.chain_harness import Contract, refused
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    SGD,
    Attestation,
    Street,
    attestation_data,
    sign,
)
from support.token_desk import (
    CLEARING,
    DAY,
    FIRST,
    SECOND,
    WHOLE,
    Signing,
    authorization,
    freeze,
    fund_desk,
    open_desk,
    ordered,
    permit,
    propose,
    text,
)
from support.waiting import pay, terms_of

OWNER, THIEF = ALPHA.operating, MAKER.operating
HOLDER = ALPHA.settlement
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
MAX = 2**256 - 1
REFERENCE = keccak(b"reference")


@pytest.fixture
def euro(street: Street) -> Contract:
    """Alpha holds 1,000 cents in its settlement and 500 in its operating account."""
    street.fund(EUR, {ALPHA: 1_500, BETA: 50})
    token = street.tokens[EUR]
    token.transact(HOLDER, "transfer", OWNER.address, 500)
    return token


def mirrored(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the same signature with the other s of the curve."""
    *fields, v, r, s = arguments
    other = CURVE_ORDER - int.from_bytes(s, "big")
    return *fields, 55 - v, r, other.to_bytes(32, "big")


# Signed transfers.


def test_tok_9_the_other_half_of_the_curve_signs_no_permit(euro: Contract) -> None:
    signed = mirrored(permit(euro, OWNER, THIEF.address, 1))
    with refused("ECDSAInvalidSignatureS"):
        euro.transact(THIEF, "permit", *signed)


def test_tok_10_the_other_half_of_the_curve_signs_no_authorisation(euro: Contract) -> None:
    signed = mirrored(authorization(euro, "TransferWithAuthorization", OWNER, (THIEF.address, 1)))
    with refused("ECDSAInvalidSignatureS"):
        euro.transact(THIEF, "transferWithAuthorization", *signed)


def test_tok_9_a_permit_of_one_token_is_worth_nothing_at_another(
    street: Street, euro: Contract
) -> None:
    signed = permit(euro, OWNER, THIEF.address, 1)
    with refused("ERC2612InvalidSigner"):
        street.tokens[SGD].transact(THIEF, "permit", *signed)


def test_tok_10_an_authorisation_of_one_token_is_worth_nothing_at_another(
    street: Street, euro: Contract
) -> None:
    signed = authorization(euro, "TransferWithAuthorization", OWNER, (THIEF.address, 1))
    with refused("ERC3009InvalidSignature"):
        street.tokens[SGD].transact(THIEF, "transferWithAuthorization", *signed)


def test_tok_9_signatures_of_another_chain_are_worth_nothing(euro: Contract) -> None:
    foreign = Signing(chain_id=1)
    with refused("ERC2612InvalidSigner"):
        euro.transact(THIEF, "permit", *permit(euro, OWNER, THIEF.address, 1, foreign))
    moved = authorization(euro, "TransferWithAuthorization", OWNER, (THIEF.address, 1), foreign)
    with refused("ERC3009InvalidSignature"):
        euro.transact(THIEF, "transferWithAuthorization", *moved)


@pytest.mark.parametrize("place", range(6))
def test_tok_10_no_field_of_an_authorisation_can_be_changed(euro: Contract, place: int) -> None:
    signed = list(authorization(euro, "TransferWithAuthorization", OWNER, (THIEF.address, 1)))
    changes = [BETA.operating.address, BETA.operating.address, 2, 1, 2**40, keccak(b"other")]
    signed[place] = changes[place]
    with refused("ERC3009InvalidSignature"):
        euro.transact(THIEF, "transferWithAuthorization", *signed)


def test_tok_9_a_front_run_permit_changes_nothing_for_its_owner(euro: Contract) -> None:
    signed = permit(euro, OWNER, BETA.operating.address, 70)
    euro.transact(THIEF, "permit", *signed)
    assert euro.read("allowance", OWNER.address, BETA.operating.address) == 70
    assert euro.read("allowance", OWNER.address, THIEF.address) == 0


# Ways out of one's own queue.


def ways_out(token: Contract, to: bytes) -> list[tuple[Any, ...]]:
    """Return every call by which Alpha might move money off its settlement account."""
    signed = authorization(token, "TransferWithAuthorization", HOLDER, (to, 1))
    received = authorization(token, "ReceiveWithAuthorization", HOLDER, (to, 1))
    payee = next(each for each in (OWNER, BETA.operating, BETA.settlement) if each.address == to)
    token.transact(OWNER, "permit", *permit(token, HOLDER, OWNER.address, 1))
    return [
        (HOLDER, "transfer", to, 1),
        (OWNER, "transferFrom", HOLDER.address, to, 1),
        (OWNER, "transferWithAuthorization", *signed),
        (payee, "receiveWithAuthorization", *received),
    ]


@pytest.mark.parametrize("payee", [BETA.operating, BETA.settlement])
def test_tok_3_no_public_way_leads_from_a_settlement_account_to_another_bank(
    euro: Contract, payee: Any
) -> None:
    for sender, function, *arguments in ways_out(euro, payee.address):
        with refused("TokenSettlementAccountLocked", text(HOLDER.address)):
            euro.transact(sender, function, *arguments)


def test_tok_3_no_public_way_leads_out_of_a_queue(street: Street, euro: Contract) -> None:
    pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, 1_001))
    for sender, function, *arguments in ways_out(euro, OWNER.address):
        with refused("TokenQueueNotEmpty", text(HOLDER.address), 1):
            euro.transact(sender, function, *arguments)


def test_tok_16_a_hold_and_a_redemption_leave_what_the_queue_asks(
    street: Street, euro: Contract
) -> None:
    pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, 1_001))
    terms = (REFERENCE, HOLDER.address, BETA.settlement.address, THIEF.address, 1)
    with refused("TokenMoneyAwaited", text(HOLDER.address), 1, 0):
        euro.transact(OWNER, "createHold", *terms, street.now)
    with refused("TokenMoneyAwaited", text(HOLDER.address), 1, 0):
        euro.transact(OWNER, "redeem", REFERENCE, HOLDER.address, 1)


def test_tok_5_a_redemption_takes_what_the_queue_leaves(street: Street, euro: Contract) -> None:
    euro.transact(FIRST, "pause", 3)
    pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, 900))
    with refused("TokenMoneyAwaited", text(HOLDER.address), 101, 100):
        euro.transact(OWNER, "redeem", REFERENCE, HOLDER.address, 101)
    euro.transact(OWNER, "redeem", REFERENCE, HOLDER.address, 100)


def test_tok_3_nobody_spends_what_is_not_its_own(euro: Contract) -> None:
    with refused("ERC20InsufficientAllowance", text(THIEF.address), 0, 1):
        euro.transact(THIEF, "transferFrom", OWNER.address, THIEF.address, 1)


# Statements of reserves.


def test_tok_6_a_statement_is_worth_nothing_twice_nor_elsewhere(
    street: Street, euro: Contract
) -> None:
    statement = street.attestation(EUR, 5_000)
    street.attest(EUR, statement)
    with refused("TokenAttestationSequence"):
        street.attest(EUR, statement)
    signature = sign(
        EUROSYSTEM.account("attesting"),
        attestation_data(euro.address, replace(statement, sequence=9)),
    )
    dollar = street.tokens[SGD]
    with refused("TokenAttesterUnknown"):
        dollar.transact(
            AUTHORITY.operating, "attest", astuple(replace(statement, sequence=9)), signature
        )


@pytest.mark.parametrize("place", range(5))
def test_tok_6_no_field_of_a_statement_can_be_changed(
    street: Street, euro: Contract, place: int
) -> None:
    statement = street.attestation(EUR, 5_000)
    signature = sign(EUROSYSTEM.account("attesting"), attestation_data(euro.address, statement))
    fields: list[Any] = list(astuple(statement))
    fields[place] = [99, street.now - 1, street.now + 2 * HOUR, MAX, keccak(b"other")][place]
    with refused("TokenAttesterUnknown"):
        euro.transact(EUROSYSTEM.operating, "attest", tuple(fields), signature)


@pytest.mark.usefixtures("euro")
def test_tok_6_an_old_statement_does_not_come_back(street: Street) -> None:
    old = Attestation(50, street.now - HOUR, street.now + HOUR, 9_999)
    with refused("TokenAttestationTime"):
        street.attest(EUR, old)


# The edges of 256 bits.


def test_tok_7_the_greatest_amount_is_issued_frozen_held_and_paid(street: Street) -> None:
    token = open_desk(street)
    fund_desk(token, {ALPHA: MAX})
    assert token.read("totalSupply") == MAX
    account, payee = HOLDER.address, BETA.settlement.address
    with refused("TokenReservesExceeded", MAX, 1, MAX):
        token.transact(EUROSYSTEM.operating, "issue", REFERENCE, payee, 1)
    token.transact(CLEARING, "reserve", REFERENCE, account, MAX, b"")
    freeze(token, account, MAX)
    assert token.read("standingOf", account, payee, b"")[4] == -(2**255 - 1)
    token.transact(CLEARING, "release", REFERENCE, account)
    ordered(token, "setFrozenTokens", account, 0, expected=MAX)
    token.transact(CLEARING, "settle", REFERENCE, account, payee, MAX, b"")
    assert token.read("balanceOf", payee) == MAX


def test_tok_15_a_seizure_of_the_greatest_amount_overflows_nothing(street: Street) -> None:
    token = open_desk(street)
    fund_desk(token, {ALPHA: MAX})
    freeze(token, HOLDER.address, MAX)
    seizure, _ = ordered(token, "forcedTransfer", HOLDER.address, THIEF.address, MAX)
    assert token.read("getFrozenTokens", HOLDER.address) == 2**255
    ordered(token, "setFrozenTokens", HOLDER.address, MAX, reference="again", expected=2**255)
    ordered(token, "reverseTransfer", seizure, MAX, reference="counter")
    assert token.read("balanceOf", HOLDER.address) == MAX
    assert token.read("getFrozenTokens", HOLDER.address) == MAX


@pytest.mark.parametrize("amount", [2**255, MAX])
def test_tok_7_no_amount_wraps_around(street: Street, euro: Contract, amount: int) -> None:
    with refused("TokenReservesExceeded"):
        street.issue(EUR, ALPHA, amount, "huge")
    for sender, function, *arguments in (
        (OWNER, "transfer", THIEF.address, amount),
        (OWNER, "redeem", REFERENCE, HOLDER.address, amount),
    ):
        with refused("ERC20InsufficientBalance"):
            euro.transact(sender, function, *arguments)


# Orders.


def test_tok_13_one_officer_with_two_tries_is_still_one(euro: Contract) -> None:
    order_id = propose(euro, "forcedTransfer", HOLDER.address, THIEF.address, 1_000)
    again = propose(euro, "forcedTransfer", HOLDER.address, THIEF.address, 1_000, reference="two")
    for each in (order_id, again):
        with refused("TokenOrderSamePerson"):
            euro.transact(FIRST, "confirm", each)


def test_tok_13_an_order_of_one_currency_is_none_of_another(street: Street, euro: Contract) -> None:
    street.fund(SGD, {ALPHA: 100})
    dollar = street.tokens[SGD]
    call = dollar.encode("forcedTransfer", HOLDER.address, THIEF.address, 1)
    for officer in (FIRST, SECOND):
        with refused("TokenCallerNotOfficer"):
            dollar.transact(officer, "propose", call, 0, REFERENCE, street.now)
    order_id = propose(euro, "forcedTransfer", HOLDER.address, THIEF.address, 1)
    euro.transact(SECOND, "confirm", order_id)
    with refused("TokenOrderMissing"):
        dollar.transact(
            AUTHORITY.account("officer"), "forcedTransfer", HOLDER.address, THIEF.address, 1
        )


def test_tok_13_the_authority_of_the_contracts_orders_nothing(euro: Contract) -> None:
    for caller in (contracts.ACCESS_MANAGER_ADDRESS, contracts.SETTLEMENT_ADDRESS, euro.address):
        data = euro.encode("forcedTransfer", HOLDER.address, THIEF.address, 1)
        with refused("TokenCallerNotOfficer", text(caller)):
            euro.chain.call(caller, euro.address, data)


def test_tok_14_a_freeze_cannot_be_lowered_by_one(euro: Contract) -> None:
    freeze(euro, HOLDER.address, WHOLE)
    with refused("TokenInvalidAmount", 0):
        euro.transact(SECOND, "freeze", HOLDER.address, WHOLE, 0, REFERENCE)
    assert euro.read("getFrozenTokens", HOLDER.address) == WHOLE


def test_tok_16_a_hold_of_another_bank_cannot_be_squatted(euro: Contract) -> None:
    squat = (REFERENCE, BETA.settlement.address, HOLDER.address, THIEF.address, 1)
    euro.transact(BETA.operating, "createHold", *squat, euro.chain.now + DAY)
    mine = (REFERENCE, HOLDER.address, BETA.settlement.address, THIEF.address, 1)
    euro.transact(OWNER, "createHold", *mine, euro.chain.now + DAY)
