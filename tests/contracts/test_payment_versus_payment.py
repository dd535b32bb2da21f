"""Two-leg payments by firm quote as docs/spec/settlement.md requires them (PAY-6, 7, 9, 13)."""

from collections.abc import Callable
from dataclasses import astuple, replace

import pytest

from node.primitives import keccak
from support.chain_harness import key_of, refused
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    ZERO_HASH,
    Institution,
    Quote,
    Street,
    Terms,
    quote_hash_of,
    sign_quote,
    signed,
)
from support.transactions import Key

INSTRUCTED, SETTLED, REJECTED, CANCELLED, EXPIRED = 1, 3, 4, 5, 6
BY_SETTLEMENT, NO_LIQUIDITY = 1, 4
STRANGER = key_of("stranger")


@pytest.fixture
def funded(street: Street) -> Street:
    street.fund(EUR, {ALPHA: 1_000})
    street.fund(SGD, {MAKER: 1_000})
    return street


def balances(street: Street) -> dict[str, tuple[int, int]]:
    return {
        each.name: (street.balance(each, EUR), street.balance(each, SGD))
        for each in (ALPHA, MAKER, BETA)
    }


def test_the_contract_hashes_a_quote_as_others_do(street: Street) -> None:
    quote = replace(street.quote(), priority=2, may_queue=True, salt=keccak(b"other"))
    assert street.settlement.read("quoteHashOf", astuple(quote)) == quote_hash_of(quote)


def test_pay_6_an_instruction_with_a_quote_carries_the_makers_consent(funded: Street) -> None:
    quote = funded.quote()
    payment_id = funded.instruct_with_quote(funded.quoted_terms(quote), quote)
    assert funded.settlement.read("payment", payment_id)[3] == 0b0111
    assert funded.settlement.read("quoteUse", quote_hash_of(quote)) == (150, False)
    assert funded.state(payment_id) == (INSTRUCTED, 0)
    assert balances(funded)["alpha"] == (1_000, 0)


def test_pay_13_acceptance_settles_both_legs(funded: Street) -> None:
    quote = funded.quote(maker_amount=150, taker_amount=100)
    terms = funded.quoted_terms(quote)
    payment_id = funded.instruct_with_quote(terms, quote)
    receipt = funded.accept(payment_id, terms)
    assert receipt.names == ["Accepted", "PaymentSettled", "Transfer", "Transfer"]
    assert funded.state(payment_id) == (SETTLED, BY_SETTLEMENT)
    assert balances(funded) == {"alpha": (900, 0), "maker": (100, 850), "beta": (0, 150)}


@pytest.mark.parametrize(
    ("maker_amount", "taker_amount"),
    [
        pytest.param(1_001, 100, id="maker lacks money"),
        pytest.param(150, 1_001, id="taker lacks money"),
        pytest.param(1_001, 1_001, id="both lack money"),
    ],
)
def test_pay_13_without_money_for_one_leg_neither_settles(
    funded: Street, maker_amount: int, taker_amount: int
) -> None:
    before = balances(funded)
    quote = funded.quote(maker_amount, taker_amount)
    terms = funded.quoted_terms(quote)
    payment_id = funded.instruct_with_quote(terms, quote)
    assert funded.accept(payment_id, terms).names == ["Accepted", "PaymentCancelled"]
    assert funded.state(payment_id) == (CANCELLED, NO_LIQUIDITY)
    assert balances(funded) == before
    assert funded.settlement.read("quoteUse", terms.quote_hash) == (0, False)


@pytest.mark.parametrize("suspended", [ALPHA, MAKER])
def test_pay_13_with_a_party_suspended_neither_leg_settles(
    funded: Street, suspended: Institution
) -> None:
    before = balances(funded)
    quote = funded.quote()
    terms = funded.quoted_terms(quote)
    payment_id = funded.instruct_with_quote(terms, quote)
    funded.registry.transact(OPERATOR.operating, "suspend", suspended.lei)
    funded.accept(payment_id, terms)
    assert funded.state(payment_id) == (CANCELLED, NO_LIQUIDITY)
    assert balances(funded) == before


def test_pay_9_buying_for_oneself_settles_at_instruction(funded: Street) -> None:
    quote = funded.quote()
    payment_id = funded.instruct_with_quote(funded.quoted_terms(quote, ALPHA), quote)
    assert funded.state(payment_id) == (SETTLED, BY_SETTLEMENT)
    assert balances(funded)["alpha"] == (900, 150)


def test_pay_9_buying_for_oneself_is_never_early(funded: Street) -> None:
    quote = funded.quote()
    terms = replace(funded.quoted_terms(quote, ALPHA), not_before=funded.now + 1)
    with refused("SettlementTooEarly"):
        funded.instruct_with_quote(terms, quote)
    assert funded.settlement.read("quoteUse", terms.quote_hash) == (0, False)


def test_pay_6_each_guard_of_a_quote(funded: Street) -> None:
    quote = funded.quote()
    terms = funded.quoted_terms(quote)
    taking, making = terms.legs
    other = keccak(b"other account of maker")
    entry = (other, key_of("maker/second").address, 1)
    funded.registry.transact(OPERATOR.operating, "addAccount", MAKER.lei, entry)
    table: list[tuple[dict[str, object], dict[str, object], str, tuple[int, ...]]] = [
        ({"taker": BETA.lei}, {}, "SettlementQuoteMismatch", (1,)),
        ({"maker": BETA.lei}, {}, "SettlementQuoteMismatch", (0,)),
        ({"maker_from": other}, {}, "SettlementQuoteMismatch", (2,)),
        ({"maker_to": other}, {}, "SettlementQuoteMismatch", (3,)),
        ({"maker_currency": EUR}, {}, "SettlementQuoteMismatch", (4,)),
        ({"maker_amount": 149, "smallest_fill": 149}, {}, "SettlementQuoteMismatch", (5,)),
        ({"maker_amount": 2**128}, {}, "SettlementQuoteMismatch", (5,)),
        ({"taker_amount": 2**128}, {}, "SettlementQuoteMismatch", (7,)),
        ({"taker_currency": SGD}, {}, "SettlementQuoteMismatch", (6,)),
        ({"taker_amount": 99}, {}, "SettlementQuoteMismatch", (7,)),
        ({"maker_amount": 300, "smallest_fill": 151}, {}, "SettlementQuoteMismatch", (8,)),
        ({"priority": 3}, {}, "SettlementQuoteMismatch", (11,)),
        ({"settle_by": terms.settle_by - 1}, {}, "SettlementQuoteMismatch", (10,)),
        (
            {"maker_currency": EUR},
            {"legs": (taking, replace(making, currency=EUR))},
            "SettlementInvalidLeg",
            (1,),
        ),
        ({}, {"legs": (taking,)}, "SettlementInvalidTerms", (1,)),
        ({}, {"legs": (taking, making, making)}, "SettlementInvalidTerms", (1,)),
        ({}, {"legs": (making, taking)}, "SettlementCallerNotParty", ()),
        ({}, {"legs": (taking, replace(making, payee=other))}, "SettlementInvalidLeg", (1,)),
        (
            {},
            {"legs": (taking, replace(making, payer=BETA.reference(), payee=ALPHA.reference()))},
            "SettlementQuoteMismatch",
            (0,),
        ),
        ({}, {"legs": (taking, replace(making, amount=0))}, "SettlementInvalidLeg", (1,)),
        ({}, {"version": 2}, "SettlementInvalidTerms", (0,)),
    ]
    for of_quote, of_terms, error, arguments in table:
        bad_quote = replace(quote, **of_quote)  # type: ignore[arg-type] # a table of mixed fields
        bad_terms = replace(terms, quote_hash=quote_hash_of(bad_quote), **of_terms)  # type: ignore[arg-type] # as above
        with refused(error, *arguments):
            funded.instruct_with_quote(bad_terms, bad_quote)


def test_pay_3_the_terms_name_the_quote(funded: Street) -> None:
    quote = funded.quote()
    for quote_hash in (ZERO_HASH, quote_hash_of(replace(quote, salt=keccak(b"another")))):
        terms = replace(funded.quoted_terms(quote), quote_hash=quote_hash)
        with refused("SettlementInvalidTerms", 4):
            funded.instruct_with_quote(terms, quote)


def test_pay_6_a_quote_is_instructed_on_until_its_last_second(funded: Street) -> None:
    quote = replace(funded.quote(), valid_until=funded.now + 10)
    terms = funded.quoted_terms(quote)
    funded.pass_time(11)
    with refused("SettlementQuoteExpired", terms.quote_hash, quote.valid_until):
        funded.instruct_with_quote(terms, quote)
    funded.pass_time(-1)
    funded.instruct_with_quote(terms, quote)


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(MAKER.operating, id="the maker's operating key"),
        pytest.param(ALPHA.account("quoting"), id="a quoting key of another"),
        pytest.param(EUROSYSTEM.account("attesting"), id="an attesting key"),
        pytest.param(STRANGER, id="stranger"),
    ],
)
def test_pay_6_only_the_makers_quoting_key_quotes(funded: Street, signer: Key) -> None:
    quote = funded.quote()
    given = signed(quote, signer=signer.address, signature=sign_quote(quote, signer))
    with refused("SettlementQuoteSignerUnknown", "0x" + signer.address.hex()):
        funded.instruct_with_quotes(funded.quoted_terms(quote), given)
    claimed = signed(
        quote, signer=MAKER.account("quoting").address, signature=sign_quote(quote, signer)
    )
    with refused("SettlementQuoteSignerUnknown"):
        funded.instruct_with_quotes(funded.quoted_terms(quote), claimed)


def test_pay_6_a_signature_over_another_quote_is_worth_nothing(funded: Street) -> None:
    quote = funded.quote()
    for signature in (sign_quote(replace(quote, taker_amount=1)), b"", bytes(65), bytes(64)):
        with refused("SettlementQuoteSignerUnknown"):
            funded.instruct_with_quote(funded.quoted_terms(quote), quote, signature=signature)


def test_pay_6_a_suspended_makers_quote_is_worth_nothing(funded: Street) -> None:
    quote = funded.quote()
    funded.registry.transact(OPERATOR.operating, "suspend", MAKER.lei)
    with refused("SettlementQuoteSignerUnknown"):
        funded.instruct_with_quote(funded.quoted_terms(quote), quote)


def test_pay_6_only_the_taker_instructs(funded: Street) -> None:
    quote = funded.quote()
    with refused("SettlementCallerNotParty"):
        funded.instruct_with_quote(funded.quoted_terms(quote), quote, sender=BETA.operating)
    with refused("SettlementCallerNotOperating"):
        funded.instruct_with_quote(funded.quoted_terms(quote), quote, sender=ALPHA.settlement)


def test_pay_8_taker_and_maker_have_consented_already(funded: Street) -> None:
    quote = funded.quote()
    terms = funded.quoted_terms(quote)
    payment_id = funded.instruct_with_quote(terms, quote)
    for institution in (ALPHA, MAKER):
        for function in ("accept", "reject"):
            more = (0, 0) if function == "accept" else (ZERO_HASH,)
            with refused("SettlementCallerNotParty", payment_id, institution.lei):
                funded.settlement.transact(
                    institution.operating, function, payment_id, astuple(terms), *more
                )


Ending = Callable[[Street, bytes, Terms], None]


def settle(street: Street, payment_id: bytes, terms: Terms) -> None:
    street.accept(payment_id, terms)


def reject(street: Street, payment_id: bytes, terms: Terms) -> None:
    street.settlement.transact(BETA.operating, "reject", payment_id, astuple(terms), ZERO_HASH)


def expire(street: Street, payment_id: bytes, terms: Terms) -> None:
    street.pass_time(HOUR + 1)
    street.settlement.transact(MAKER.operating, "expire", payment_id, astuple(terms))


def starve(street: Street, payment_id: bytes, terms: Terms) -> None:
    street.tokens[SGD].transact(
        MAKER.operating, "redeem", keccak(b"all"), MAKER.settlement.address, 1_000
    )
    street.accept(payment_id, terms)


@pytest.mark.parametrize("end", [reject, expire, starve])
def test_pay_7_a_quote_is_free_again_after_a_payment_that_did_not_settle(
    funded: Street, end: Ending
) -> None:
    quote: Quote = replace(funded.quote(), valid_until=funded.now + 2 * HOUR)
    terms = funded.quoted_terms(quote)
    first = funded.instruct_with_quote(terms, quote)
    with refused("SettlementQuoteUsed", terms.quote_hash, 0):
        funded.instruct_with_quote(terms, quote)
    end(funded, first, terms)
    assert funded.settlement.read("quoteUse", terms.quote_hash) == (0, False)
    again = replace(terms, accept_by=funded.now + HOUR, settle_by=quote.settle_by)
    second = funded.instruct_with_quote(again, quote)
    assert funded.state(second) == (INSTRUCTED, 0)
    assert funded.settlement.read("quoteUse", terms.quote_hash) == (150, False)


def test_pay_7_a_settled_quote_is_used_for_ever(funded: Street) -> None:
    quote = funded.quote()
    terms = funded.quoted_terms(quote)
    payment_id = funded.instruct_with_quote(terms, quote)
    funded.accept(payment_id, terms)
    with refused("SettlementQuoteUsed", terms.quote_hash, 0):
        funded.instruct_with_quote(terms, quote)
