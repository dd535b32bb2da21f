"""PaymentSettlement's plain payments as docs/spec/settlement.md requires them (PAY)."""

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import pytest
from eth_abi.abi import encode

import contracts
from node.primitives import keccak
from support.chain_harness import Receipt, key_of, refused
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    ZERO_HASH,
    Street,
    Terms,
)
from support.transactions import Key

INSTRUCTED, SETTLED, REJECTED, CANCELLED, EXPIRED = 1, 3, 4, 5, 6
BY_SETTLEMENT, BY_REJECTION, BY_WITHDRAWAL, NO_LIQUIDITY, BY_EXPIRY = 1, 2, 3, 4, 5
QUEUED = 2
FOR_MONEY, NOT_ELIGIBLE = 1, 4
STRANGER = key_of("stranger")
REASON = keccak(b"sealed reason")
UETR_HASH = keccak(b"a uetr")
TERMS_TYPE = (
    "(uint8,(bytes3,bytes32,bytes32,uint256)[],bytes32,bytes32,bytes32,"
    "uint40,uint40,uint40,uint8,uint16)"
)

Act = Callable[[Street, bytes, Terms, Key], Receipt]


def accept(street: Street, payment_id: bytes, terms: Terms, sender: Key) -> Receipt:
    return street.accept(payment_id, terms, sender=sender)


def reject(street: Street, payment_id: bytes, terms: Terms, sender: Key) -> Receipt:
    return street.settlement.transact(sender, "reject", payment_id, astuple(terms), REASON)


def withdraw(street: Street, payment_id: bytes, terms: Terms, sender: Key) -> Receipt:
    return street.settlement.transact(sender, "withdraw", payment_id, astuple(terms), REASON)


def expire(street: Street, payment_id: bytes, terms: Terms, sender: Key) -> Receipt:
    return street.settlement.transact(sender, "expire", payment_id, astuple(terms))


def text(address: bytes) -> str:
    return "0x" + address.hex()


@pytest.fixture
def funded(street: Street) -> Street:
    street.fund(EUR, {ALPHA: 1_000})
    return street


def test_genesis_names_the_asset_of_each_currency(street: Street) -> None:
    for currency, token in street.tokens.items():
        assert street.settlement.read("assetOf", currency) == text(token.address)
    assert street.settlement.read("assetOf", b"USD") == text(bytes(20))


def test_pay_2_the_id_is_derived_from_the_instructing_participant(funded: Street) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms, uetr_hash=UETR_HASH)
    preimage = encode(["uint8", "bytes20", "bytes32", "uint256"], [0, ALPHA.lei, UETR_HASH, 0])
    assert payment_id == keccak(preimage)
    assert payment_id == funded.settlement.read("paymentIdOf", 0, ALPHA.lei, UETR_HASH, 0)
    assert payment_id != funded.settlement.read("paymentIdOf", 0, BETA.lei, UETR_HASH, 0)


def test_pay_5_an_instruction_is_recorded_and_said_in_full(funded: Street) -> None:
    terms = funded.plain_terms()
    receipt = funded.settlement.transact(ALPHA.operating, "instruct", UETR_HASH, astuple(terms))
    assert receipt.names == ["Instructed"]
    said = receipt.event("Instructed").arguments
    assert said["participant"] == ALPHA.lei
    assert said["uetrHash"] == UETR_HASH
    assert said["terms"] == astuple(terms)
    terms_hash = keccak(encode([TERMS_TYPE], [astuple(terms)]))
    assert funded.settlement.read("payment", said["paymentId"]) == (
        terms_hash,
        INSTRUCTED,
        0,
        0b01,
        terms.accept_by,
        terms.settle_by,
        terms.not_before,
        0,
        0,
        0,
        0,
        False,
    )
    assert funded.settlement.read("openPaymentsOf", ALPHA.lei) == 1
    assert funded.balance(ALPHA, EUR) == 1_000


def test_pay_9_the_last_acceptance_settles(funded: Street) -> None:
    terms = funded.plain_terms(400)
    payment_id = funded.instruct(terms)
    receipt = funded.accept(payment_id, terms)
    assert receipt.names == ["Accepted", "PaymentSettled", "Transfer"]
    assert receipt.event("Accepted").arguments["accepted"] == 0b11
    assert receipt.event("Accepted").arguments["participant"] == BETA.lei
    assert receipt.event("Transfer").arguments["value"] == 400
    assert funded.state(payment_id) == (SETTLED, BY_SETTLEMENT)
    assert [funded.balance(ALPHA, EUR), funded.balance(BETA, EUR)] == [600, 400]


def test_pay_9_without_money_a_payment_waits_and_accept_does_not_revert(funded: Street) -> None:
    terms = funded.plain_terms(1_001)
    payment_id = funded.instruct(terms)
    receipt = funded.accept(payment_id, terms)
    assert receipt.names == ["Accepted", "PaymentQueued"]
    assert receipt.event("PaymentQueued").arguments["reason"] == FOR_MONEY
    assert funded.state(payment_id) == (QUEUED, 0)
    assert funded.settlement.read("waitingOf", ALPHA.settlement.address, EUR) == (1, 1_001)
    assert [funded.balance(ALPHA, EUR), funded.balance(BETA, EUR)] == [1_000, 0]


def test_pay_9_with_the_payer_suspended_a_payment_waits_and_accept_does_not_revert(
    funded: Street,
) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms)
    funded.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    receipt = funded.accept(payment_id, terms)
    assert receipt.event("PaymentQueued").arguments["reason"] == NOT_ELIGIBLE
    assert funded.state(payment_id) == (QUEUED, 0)


# Callers (PAY-1).


@pytest.mark.parametrize("act", [accept, reject, withdraw])
@pytest.mark.parametrize(
    "sender",
    [
        pytest.param(BETA.settlement, id="settlement"),
        pytest.param(MAKER.account("quoting"), id="quoting"),
        pytest.param(EUROSYSTEM.account("attesting"), id="attesting"),
        pytest.param(STRANGER, id="stranger"),
    ],
)
def test_pay_1_only_operating_accounts_act(funded: Street, act: Act, sender: Key) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms, uetr_hash=UETR_HASH)
    with refused("SettlementCallerNotOperating", text(sender.address)):
        act(funded, payment_id, terms, sender)
    with refused("SettlementCallerNotOperating", text(sender.address)):
        funded.instruct(terms, sender=sender)


@pytest.mark.parametrize("act", [accept, reject, withdraw])
def test_pay_1_a_suspended_participant_does_not_act(funded: Street, act: Act) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms, uetr_hash=UETR_HASH)
    for institution in (ALPHA, BETA):
        funded.registry.transact(OPERATOR.operating, "suspend", institution.lei)
        with refused("SettlementCallerNotOperating", text(institution.operating.address)):
            act(funded, payment_id, terms, institution.operating)
    with refused("SettlementCallerNotOperating", text(ALPHA.operating.address)):
        funded.instruct(terms)


# Instructing (PAY-2, PAY-3, PAY-4).


def test_pay_3_each_guard_of_the_terms(funded: Street) -> None:
    good = funded.plain_terms()
    leg = good.legs[0]
    table: list[tuple[Terms, str, tuple[int, ...]]] = [
        (replace(good, version=0), "SettlementInvalidTerms", (0,)),
        (replace(good, version=2), "SettlementInvalidTerms", (0,)),
        (replace(good, message_commitment=ZERO_HASH), "SettlementInvalidTerms", (2,)),
        (replace(good, flags=2), "SettlementInvalidFlags", (2,)),
        (replace(good, priority=3), "SettlementInvalidPriority", (3,)),
        (replace(good, settle_by=good.accept_by - 1), "SettlementInvalidTerms", (6,)),
        (replace(good, not_before=good.settle_by + 1), "SettlementInvalidTerms", (7,)),
        (replace(good, legs=()), "SettlementInvalidTerms", (1,)),
        (replace(good, legs=(leg,) * 9), "SettlementInvalidTerms", (1,)),
        (replace(good, quote_hash=keccak(b"quote")), "SettlementInvalidTerms", (4,)),
    ]
    for terms, error, arguments in table:
        with refused(error, *arguments):
            funded.instruct(terms)


def test_pay_3_deadlines_count_to_the_second(funded: Street) -> None:
    terms = replace(funded.plain_terms(), accept_by=funded.now, settle_by=funded.now)
    assert funded.state(funded.instruct(terms)) == (INSTRUCTED, 0)
    funded.pass_time(1)
    payment_id = funded.settlement.read("paymentIdOf", 0, ALPHA.lei, UETR_HASH, 0)
    with refused("SettlementTooLate", payment_id, terms.accept_by):
        funded.instruct(terms, uetr_hash=UETR_HASH)


def test_pay_4_each_guard_of_a_leg(funded: Street) -> None:
    good = funded.plain_terms()
    leg = good.legs[0]
    table = [
        (replace(leg, currency=b"USD"), "SettlementCurrencyUnknown"),
        (replace(leg, amount=0), "SettlementInvalidLeg"),
        (replace(leg, payer=keccak(b"unknown")), "SettlementInvalidLeg"),
        (replace(leg, payee=keccak(b"unknown")), "SettlementInvalidLeg"),
        (replace(leg, payer=ALPHA.reference("operating")), "SettlementInvalidLeg"),
        (replace(leg, payee=BETA.reference("operating")), "SettlementInvalidLeg"),
        (replace(leg, payee=leg.payer), "SettlementInvalidLeg"),
        (replace(leg, payer=leg.payee, payee=leg.payer), "SettlementCallerNotParty"),
        (replace(leg, payer=MAKER.reference()), "SettlementCallerNotParty"),
    ]
    for bad, error in table:
        with refused(error):
            funded.instruct(replace(good, legs=(bad,)))


def test_pay_4_a_leg_never_stays_within_one_participant(funded: Street) -> None:
    entry = (keccak(b"second"), key_of("alpha/second").address, 1)
    funded.registry.transact(OPERATOR.operating, "addAccount", ALPHA.lei, entry)
    terms = funded.plain_terms()
    own = replace(terms.legs[0], payee=keccak(b"second"))
    with refused("SettlementInvalidLeg", 0):
        funded.instruct(replace(terms, legs=(own,)))


def test_pay_2_a_payment_is_instructed_once_whatever_became_of_it(funded: Street) -> None:
    endings: list[Act] = [
        lambda street, key, terms, _: accept(street, key, terms, BETA.operating),
        lambda street, key, terms, _: reject(street, key, terms, BETA.operating),
        lambda street, key, terms, _: withdraw(street, key, terms, ALPHA.operating),
    ]
    for end in endings:
        street = funded.fork()
        terms = street.plain_terms()
        payment_id = street.instruct(terms, uetr_hash=UETR_HASH)
        with refused("SettlementPaymentExists", payment_id):
            street.instruct(terms, uetr_hash=UETR_HASH)
        end(street, payment_id, terms, ALPHA.operating)
        with refused("SettlementPaymentExists", payment_id):
            street.instruct(replace(terms, priority=1), uetr_hash=UETR_HASH)


# Accepting (PAY-8).


def test_pay_8_only_a_party_that_has_not_consented_accepts(funded: Street) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms)
    for institution in (ALPHA, MAKER, OPERATOR):
        with refused("SettlementCallerNotParty", payment_id, institution.lei):
            funded.accept(payment_id, terms, sender=institution.operating)


def test_pay_8_acceptance_repeats_the_terms(funded: Street) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms)
    leg = terms.legs[0]
    for other in (
        replace(terms, legs=(replace(leg, amount=leg.amount + 1),)),
        replace(terms, legs=(leg, leg)),
        replace(terms, message_commitment=keccak(b"another message")),
        replace(terms, accept_by=terms.accept_by + 1),
        replace(terms, priority=1),
    ):
        terms_hash = keccak(encode([TERMS_TYPE], [astuple(other)]))
        with refused("SettlementTermsMismatch", payment_id, terms_hash):
            funded.accept(payment_id, other)
        with refused("SettlementTermsMismatch", payment_id, terms_hash):
            reject(funded, payment_id, other, BETA.operating)


def test_pay_8_acceptance_may_be_early_and_is_never_late(funded: Street) -> None:
    start = funded.now
    terms = replace(funded.plain_terms(), not_before=start + 10, accept_by=start + 20)
    payment_id = funded.instruct(terms)
    for moment, state in ((start + 9, QUEUED), (start + 10, SETTLED), (start + 20, SETTLED)):
        street = funded.fork()
        street.chain.now = moment
        street.accept(payment_id, terms)
        assert street.state(payment_id)[0] == state
    funded.chain.now = start + 21
    with refused("SettlementTooLate", payment_id, terms.accept_by):
        funded.accept(payment_id, terms)


# Ending without settling (PAY-10, PAY-11, PAY-12).


def test_pay_10_a_party_that_has_not_consented_rejects(funded: Street) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms)
    for institution in (ALPHA, MAKER):
        with refused("SettlementCallerNotParty", payment_id, institution.lei):
            reject(funded, payment_id, terms, institution.operating)
    receipt = reject(funded, payment_id, terms, BETA.operating)
    said = receipt.event("PaymentRejected").arguments
    assert [said["participant"], said["reasonCommitment"]] == [BETA.lei, REASON]
    assert funded.state(payment_id) == (REJECTED, BY_REJECTION)
    assert funded.balance(ALPHA, EUR) == 1_000


def test_pay_11_only_the_instructing_participant_withdraws(funded: Street) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms, uetr_hash=UETR_HASH)
    with refused("SettlementCallerNotParty", payment_id, BETA.lei):
        withdraw(funded, payment_id, terms, BETA.operating)
    receipt = withdraw(funded, payment_id, terms, ALPHA.operating)
    said = receipt.event("PaymentCancelled").arguments
    assert [said["outcome"], said["reasonCommitment"]] == [BY_WITHDRAWAL, REASON]
    assert funded.state(payment_id) == (CANCELLED, BY_WITHDRAWAL)


def test_pay_12_anyone_expires_a_payment_after_its_deadline_and_not_before(
    funded: Street,
) -> None:
    terms = funded.plain_terms()
    payment_id = funded.instruct(terms)
    funded.pass_time(HOUR)
    with refused("SettlementNotExpired", payment_id, terms.accept_by):
        expire(funded, payment_id, terms, MAKER.operating)
    funded.pass_time(1)
    receipt = expire(funded, payment_id, terms, MAKER.operating)
    assert receipt.names == ["PaymentExpired"]
    assert funded.state(payment_id) == (EXPIRED, BY_EXPIRY)


def test_pay_8_nothing_happens_to_a_payment_that_ended_or_never_was(funded: Street) -> None:
    acts: list[tuple[Act, Key]] = [
        (accept, BETA.operating),
        (reject, BETA.operating),
        (withdraw, ALPHA.operating),
        (expire, BETA.operating),
    ]
    states = [SETTLED, REJECTED, CANCELLED, EXPIRED]
    terms = funded.plain_terms()
    unknown = funded.settlement.read("paymentIdOf", 0, ALPHA.lei, UETR_HASH, 0)
    for act, sender in acts:
        with refused("SettlementUnexpectedState", unknown, 0):
            act(funded, unknown, terms, sender)
    payment_id = funded.instruct(terms, uetr_hash=UETR_HASH)
    for (end, ender), state in zip(acts, states, strict=True):
        street = funded.fork()
        if end is expire:
            street.pass_time(HOUR + 1)
        end(street, payment_id, terms, ender)
        for act, sender in acts:
            with refused("SettlementUnexpectedState", payment_id, state):
                act(street, payment_id, terms, sender)


# Currencies (PAY-14).


def test_pay_14_a_currency_gets_one_asset_by_the_authority(street: Street) -> None:
    token = street.tokens[EUR].address
    with refused("AccessManagedUnauthorized", text(ALPHA.operating.address)):
        street.settlement.transact(ALPHA.operating, "addCurrency", b"USD", token)
    with refused("SettlementCurrencyExists", EUR):
        street.settlement.transact(OPERATOR.operating, "addCurrency", EUR, token)
    for currency, asset in ((b"\0\0\0", token), (b"USD", bytes(20))):
        with refused("SettlementCurrencyUnknown", currency):
            street.settlement.transact(OPERATOR.operating, "addCurrency", currency, asset)
    receipt = street.settlement.transact(OPERATOR.operating, "addCurrency", b"USD", token)
    assert receipt.names == ["CurrencyAdded"]
    assert street.settlement.read("assetOf", b"USD") == text(token)


# What all contracts share (ALL).


@pytest.mark.parametrize("name", ["ParticipantRegistry", "CurrencyToken", "PaymentSettlement"])
def test_all_1_an_implementation_is_never_initialised_and_a_proxy_once(
    street: Street, name: str
) -> None:
    proxy = {
        "ParticipantRegistry": street.registry,
        "CurrencyToken": street.tokens[EUR],
        "PaymentSettlement": street.settlement,
    }[name]
    implementation = {
        "ParticipantRegistry": contracts.REGISTRY_IMPLEMENTATION_ADDRESS,
        "CurrencyToken": contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS,
        "PaymentSettlement": contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS,
    }[name]
    someone = OPERATOR.operating.address
    arguments: tuple[Any, ...] = {
        "ParticipantRegistry": (someone, True, []),
        "CurrencyToken": (someone, "Mine", b"XXX", 2, OPERATOR.lei, someone, someone),
        "PaymentSettlement": (someone, someone, [], []),
    }[name]
    data = proxy.encode("initialize", *arguments)
    for address in (proxy.address, implementation):
        with refused("InvalidInitialization"):
            street.chain.call(someone, address, data)


def test_all_2_only_the_authority_upgrades_and_state_stays(funded: Street) -> None:
    other = contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS
    for contract in (funded.registry, funded.tokens[EUR], funded.settlement):
        for sender in (ALPHA.operating, EUROSYSTEM.operating):
            with refused("AccessManagedUnauthorized", text(sender.address)):
                contract.transact(sender, "upgradeToAndCall", other, b"")
    with refused("ERC1967InvalidImplementation"):
        funded.settlement.transact(
            OPERATOR.operating, "upgradeToAndCall", contracts.ACCESS_MANAGER_ADDRESS, b""
        )
    token = funded.tokens[EUR]
    same = contracts.CURRENCY_TOKEN_IMPLEMENTATION_ADDRESS
    assert token.transact(OPERATOR.operating, "upgradeToAndCall", same, b"").names == ["Upgraded"]
    assert funded.balance(ALPHA, EUR) == 1_000
