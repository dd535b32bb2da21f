"""The bridge's own encodings against the contracts that define them, on the node's engine."""

from dataclasses import astuple, replace

import pytest
from eth_account import Account as Wallet
from eth_hash.auto import keccak

import contracts
from bridge.chain import (
    Attestation,
    ChainEvent,
    PaymentOutcome,
    attestation_hash,
    quote_hash,
    recover_signer,
    registry_call,
    settlement_call,
    settlement_id,
    terms_hash,
    terms_of_event,
    token_call,
    uetr_hash,
)
from bridge.chain.encoding import RawLog, contract_at, decode_event, describe_revert
from bridge.keys import KeystoreSigner
from bridge.payment import Leg, Quote, SignedQuote, Terms
from support.chain_harness import Event, Reverted
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    EUROSYSTEM,
    MAKER,
    SGD,
    Street,
    open_street,
)
from support.transactions import CHAIN_ID, Key

UETR = "3f2b8a6e-1c4d-4e5f-8a9b-0c1d2e3f4a5b"
EUR_NUMERIC = 978
GAS = 3_000_000


@pytest.fixture(scope="module")
def genesis() -> Street:
    return open_street()


@pytest.fixture
def street(genesis: Street) -> Street:
    return genesis.fork()


def quote_of(street: Street) -> Quote:
    return Quote(
        maker=MAKER.lei.decode(),
        taker=ALPHA.lei.decode(),
        maker_from=MAKER.reference(),
        maker_to=MAKER.reference(),
        maker_currency="SGD",
        maker_amount=150,
        taker_currency="EUR",
        taker_amount=100,
        valid_until=street.now + 3_600,
        settle_by=street.now + 7_200,
        salt=keccak(b"salt"),
    )


def terms_of(street: Street, quote: Quote | None = None) -> Terms:
    """Terms of a plain payment, or those that fill a quote."""
    legs = [Leg("EUR", ALPHA.reference(), BETA.reference(), 100)]
    if quote is not None:
        legs = [
            Leg("EUR", ALPHA.reference(), quote.maker_to, quote.taker_amount),
            Leg("SGD", quote.maker_from, BETA.reference(), quote.maker_amount),
        ]
    return Terms(
        legs=tuple(legs),
        message_commitment=keccak(b"message"),
        quote_hash=bytes(32) if quote is None else quote_hash(quote, CHAIN_ID),
        accept_by=street.now + 600,
        settle_by=street.now + 1_200,
    )


def signature_of(key: Key, digest: bytes) -> bytes:
    return KeystoreSigner(Wallet.from_key(key.secret)).sign_digest(digest)


def chain_event(event: Event) -> ChainEvent:
    """The harness's event as the client would hand it on."""
    contract = contract_at(event.address)
    assert contract is not None
    return ChainEvent(
        contract=contract,
        name=event.name,
        address=event.address,
        block_number=1,
        block_hash=bytes(32),
        log_index=0,
        transaction_hash=bytes(32),
        arguments=event.arguments,
    )


def test_the_settlement_id_is_the_one_the_contract_derives(street: Street) -> None:
    """CHN-6."""
    derived = street.settlement.read("paymentIdOf", 0, ALPHA.lei, uetr_hash(UETR), 0)
    assert settlement_id(ALPHA.lei.decode(), UETR) == derived
    assert settlement_id(BETA.lei.decode(), UETR) != derived


def test_the_quote_hash_is_the_one_the_contract_derives(street: Street) -> None:
    """CHN-6."""
    quote = quote_of(street)
    (derived,) = (
        street.chain.call(bytes(20), call.to, call.data)
        for call in [settlement_call("quoteHashOf", (quote,))]
    )
    assert quote_hash(quote, CHAIN_ID) == derived
    assert quote_hash(quote, CHAIN_ID + 1) != derived
    assert quote_hash(replace(quote, may_queue=True), CHAIN_ID) != derived


def test_a_statement_signed_over_our_digest_is_taken_by_the_token(street: Street) -> None:
    """CHN-6."""
    attestation = Attestation(1, street.now, street.now + 3_600, 5_000, keccak(b"statement"))
    digest = attestation_hash(attestation, EUR_NUMERIC, CHAIN_ID)
    signature = signature_of(EUROSYSTEM.account("attesting"), digest)
    assert recover_signer(digest, signature) == EUROSYSTEM.account("attesting").address
    call = token_call(EUR_NUMERIC, "attest", (attestation, signature))
    street.chain.send(EUROSYSTEM.operating, call.to, call.data, gas_limit=GAS)
    assert street.tokens[EUR].read("latestAttestation") == astuple(attestation)


def test_a_plain_payment_goes_through_our_calls_alone(street: Street) -> None:
    """CHN-6."""
    street.fund(EUR, {ALPHA: 1_000})
    terms = terms_of(street)
    instruct = settlement_call("instruct", (uetr_hash(UETR), terms))
    receipt = street.chain.send(ALPHA.operating, instruct.to, instruct.data, gas_limit=GAS)
    event = chain_event(receipt.event("Instructed"))
    key = settlement_id(ALPHA.lei.decode(), UETR)
    assert event.arguments["paymentId"] == key
    assert terms_of_event(event) == terms
    assert street.settlement.read("payment", key)[0] == terms_hash(terms)
    accept = settlement_call("accept", (key, terms, 0, 0))
    receipt = street.chain.send(BETA.operating, accept.to, accept.data, gas_limit=GAS)
    assert receipt.event("PaymentSettled").arguments["termsHash"] == terms_hash(terms)
    assert street.balance(BETA, EUR) == 100


def test_a_payment_that_waits_is_withdrawn_through_our_calls_alone(street: Street) -> None:
    """PAY-19, PAY-20."""
    terms = terms_of(street)
    key = settlement_id(ALPHA.lei.decode(), UETR)
    instruct = settlement_call("instruct", (uetr_hash(UETR), terms))
    street.chain.send(ALPHA.operating, instruct.to, instruct.data, gas_limit=GAS)
    accept = settlement_call("accept", (key, terms, 0, 0))
    receipt = street.chain.send(BETA.operating, accept.to, accept.data, gas_limit=GAS)
    assert receipt.event("PaymentQueued").arguments["paymentId"] == key
    withdraw = settlement_call("withdraw", (key, terms, bytes(32)))
    receipt = street.chain.send(ALPHA.operating, withdraw.to, withdraw.data, gas_limit=GAS)
    outcome = receipt.event("PaymentCancelled").arguments["outcome"]
    assert PaymentOutcome(outcome) is PaymentOutcome.WITHDRAWN


def test_an_exchange_goes_through_our_calls_alone(street: Street) -> None:
    street.fund(EUR, {ALPHA: 1_000})
    street.fund(SGD, {MAKER: 1_000})
    quote = quote_of(street)
    terms = terms_of(street, quote)
    signature = signature_of(MAKER.account("quoting"), terms.quote_hash)
    signed = SignedQuote(quote, terms.quote_hash, signature)
    assert recover_signer(terms.quote_hash, signature) == MAKER.account("quoting").address
    instruct = settlement_call("instructWithQuotes", (uetr_hash(UETR), terms, [signed]))
    receipt = street.chain.send(ALPHA.operating, instruct.to, instruct.data, gas_limit=GAS)
    assert terms_of_event(chain_event(receipt.event("Instructed"))) == terms
    key = settlement_id(ALPHA.lei.decode(), UETR)
    assert street.settlement.read("quoteUse", terms.quote_hash) == (150, False)
    accept = settlement_call("accept", (key, terms, 0, 0))
    street.chain.send(BETA.operating, accept.to, accept.data, gas_limit=GAS)
    assert (street.balance(MAKER, EUR), street.balance(BETA, SGD)) == (100, 150)


def test_an_error_of_a_contract_is_named_with_its_values(street: Street) -> None:
    call = settlement_call("expire", (b"\x01" * 32, terms_of(street)))
    with pytest.raises(Reverted) as refused:
        street.chain.call(ALPHA.operating.address, call.to, call.data)
    assert refused.value.name == "SettlementUnexpectedState"
    selector = keccak(b"SettlementUnexpectedState(bytes32,uint8)")[:4]
    data = selector + b"\x01" * 32 + bytes(32)
    assert describe_revert(data) == ("SettlementUnexpectedState", f"(0x{'01' * 32}, 0)")
    assert describe_revert(b"\xde\xad\xbe\xef") == ("an unknown error", "0xdeadbeef")


def test_logs_of_other_contracts_and_unknown_events_are_left_out() -> None:
    log = RawLog(
        address=b"\x99" * 20,
        topics=(keccak(b"PaymentExpired(bytes32,uint8)"), b"\x01" * 32),
        data=(6).to_bytes(32, "big"),
        block_number=1,
        block_hash=bytes(32),
        log_index=0,
        transaction_hash=bytes(32),
    )
    assert decode_event(log) is None
    ours = replace(log, address=contracts.SETTLEMENT_ADDRESS)
    decoded = decode_event(ours)
    assert decoded is not None
    assert decoded.name == "PaymentExpired"
    assert decoded.arguments == {"paymentId": b"\x01" * 32, "outcome": 6}
    assert PaymentOutcome(decoded.arguments["outcome"]) is PaymentOutcome.EXPIRED_UNSETTLED
    assert decode_event(replace(ours, topics=(keccak(b"Unknown()"),))) is None
    assert decode_event(replace(ours, topics=())) is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (contracts.REGISTRY_ADDRESS, "ParticipantRegistry"),
        (contracts.SETTLEMENT_ADDRESS, "PaymentSettlement"),
        (contracts.currency_token_address(EUR_NUMERIC), "CurrencyToken"),
        (contracts.ACCESS_MANAGER_ADDRESS, None),
        (b"\x01" + contracts.currency_token_address(EUR_NUMERIC)[1:], None),
        (bytes(20), None),
    ],
)
def test_a_contract_is_known_by_its_address(address: bytes, name: str | None) -> None:
    assert contract_at(address) == name


def test_registry_questions_are_encoded_by_its_abi(street: Street) -> None:
    call = registry_call("participantOf", (ALPHA.operating.address,))
    answer = street.chain.call(bytes(20), call.to, call.data)
    assert answer == ALPHA.lei + bytes(12)
