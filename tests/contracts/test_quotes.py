"""Quotes in parts, in a row and by contracts, as docs/spec/settlement.md requires them (PAY-6, QUO)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from node.primitives import keccak
from support.chain_harness import refused
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    GENESIS_TIME,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    Institution,
    Leg,
    Quote,
    Street,
    Terms,
    quote_hash_of,
    sign_quote,
    signed,
)
from support.waiting import (
    CANCELLED,
    HIGH,
    INSTRUCTED,
    NO_LIQUIDITY,
    SETTLED,
    URGENT,
)

DAY = 24 * HOUR


def test_quo_1_a_quote_is_filled_in_parts_rounded_for_the_maker(hundreds: Street) -> None:
    quote = replace(hundreds.quote(maker_amount=100, taker_amount=33), smallest_fill=40)

    def fill(taken: int, made: int) -> bytes:
        whole = hundreds.quoted_terms(quote)
        legs = (replace(whole.legs[0], amount=taken), replace(whole.legs[1], amount=made))
        terms = replace(whole, legs=legs)
        payment_id = hundreds.instruct_with_quote(terms, quote)
        hundreds.accept(payment_id, terms)
        return payment_id

    with refused("SettlementQuoteMismatch", 8):
        fill(13, 39)
    with refused("SettlementQuoteMismatch", 7):
        fill(13, 40)
    assert hundreds.state(fill(14, 40))[0] == SETTLED  # 40 * 33 / 100 = 13.2
    with refused("SettlementQuoteUsed", quote_hash_of(quote), 60):
        fill(21, 61)
    assert hundreds.state(fill(14, 40))[0] == SETTLED
    assert hundreds.state(fill(7, 20))[0] == SETTLED  # the rest, though less than the smallest fill
    assert hundreds.settlement.read("quoteUse", quote_hash_of(quote)) == (100, False)


def test_quo_2_a_cancelled_quote_stands_for_what_was_instructed_on_it(hundreds: Street) -> None:
    quote = replace(hundreds.quote(maker_amount=100, taker_amount=100), smallest_fill=1)
    whole = hundreds.quoted_terms(quote)
    terms = replace(whole, legs=tuple(replace(leg, amount=40) for leg in whole.legs))
    payment_id = hundreds.instruct_with_quote(terms, quote)
    with refused("SettlementQuoteSignerUnknown"):
        hundreds.settlement.transact(ALPHA.operating, "cancelQuote", astuple(quote))
    receipt = hundreds.settlement.transact(MAKER.account("quoting"), "cancelQuote", astuple(quote))
    assert receipt.names == ["QuoteCancelled"]
    with refused("SettlementQuoteIsCancelled", quote_hash_of(quote)):
        hundreds.instruct_with_quote(terms, quote)
    hundreds.accept(payment_id, terms)
    assert hundreds.state(payment_id)[0] == SETTLED


def quote_of(maker: Institution, given: tuple[int, bytes], got: tuple[int, bytes]) -> Quote:
    """Return a quote for ALPHA by any maker, to be filled in parts, of what it gives for what it gets."""
    return Quote(
        maker=maker.lei,
        taker=ALPHA.lei,
        maker_from=maker.reference(),
        maker_to=maker.reference(),
        maker_currency=given[1],
        maker_amount=given[0],
        taker_currency=got[1],
        taker_amount=got[0],
        smallest_fill=1,
        valid_until=GENESIS_TIME + DAY,
        settle_by=GENESIS_TIME + DAY,
    )


def by(maker: Institution, quote: Quote) -> tuple[Any, ...]:
    key = maker.account("quoting")
    return signed(quote, signer=key.address, signature=sign_quote(quote, key))


def row_of(street: Street, quotes: list[Quote], amount: int, *payees: Institution) -> Terms:
    """Return terms that go through quotes at par, from ALPHA to each of `payees`."""
    payers = (ALPHA, *payees)
    currencies = (quotes[0].taker_currency, *(quote.maker_currency for quote in quotes))
    legs = tuple(
        Leg(currency, payer.reference(), payee.reference(), amount)
        for currency, payer, payee in zip(currencies, payers, payees, strict=False)
    )
    hashes = b"".join(quote_hash_of(quote) for quote in quotes)
    return replace(street.plain_terms(), legs=legs, quote_hash=keccak(hashes))


def test_quo_3_one_quote_cannot_stand_twice_in_a_payment(hundreds: Street) -> None:
    there = quote_of(MAKER, (50, SGD), (50, EUR))
    back = quote_of(BETA, (50, EUR), (50, SGD))
    row = [there, back, there]
    terms = row_of(hundreds, row, 10, MAKER, BETA, MAKER, BETA)
    given = [by(MAKER, there), by(BETA, back), by(MAKER, there)]
    with refused("SettlementQuoteUsed", quote_hash_of(there), 0):
        hundreds.instruct_with_quotes(terms, *given)
    twin = replace(there, salt=keccak(b"twin"))
    terms = row_of(hundreds, [there, back, twin], 10, MAKER, BETA, MAKER, BETA)
    payment_id = hundreds.instruct_with_quotes(terms, *given[:2], by(MAKER, twin))
    assert hundreds.state(payment_id)[0] == INSTRUCTED


def test_pay_6_nobody_is_the_maker_of_its_own_payment(hundreds: Street) -> None:
    """It would set the priority of one leg twice, and hold up another maker's queue for money that it has not."""
    there = quote_of(MAKER, (50, SGD), (50, EUR))
    own = replace(quote_of(ALPHA, (50, EUR), (50, SGD)), priority=URGENT)
    terms = replace(row_of(hundreds, [there, own], 10, MAKER, ALPHA, BETA), priority=HIGH)
    with refused("SettlementQuoteMismatch", 0):
        hundreds.instruct_with_quotes(terms, by(MAKER, there), by(ALPHA, own))


def test_pay_6_several_makers_in_a_row_settle_together_or_not_at_all(hundreds: Street) -> None:
    hundreds.pass_time(1)
    hundreds.fund(EUR, {BETA: 90})
    there = replace(hundreds.quote(maker_amount=50, taker_amount=60), salt=keccak(b"there"))
    onwards = Quote(
        maker=BETA.lei,
        taker=ALPHA.lei,
        maker_from=BETA.reference(),
        maker_to=BETA.reference(),
        maker_currency=EUR,
        maker_amount=40,
        taker_currency=SGD,
        taker_amount=50,
        smallest_fill=40,
        valid_until=there.valid_until,
        settle_by=there.settle_by,
    )
    legs = (
        Leg(EUR, ALPHA.reference(), MAKER.reference(), 60),
        Leg(SGD, MAKER.reference(), BETA.reference(), 50),
        Leg(EUR, BETA.reference(), MAKER.reference(), 40),
    )
    hashes = quote_hash_of(there) + quote_hash_of(onwards)
    terms = replace(hundreds.plain_terms(), legs=legs, quote_hash=keccak(hashes))
    given = [
        signed(there, signer=MAKER.account("quoting").address),
        signed(
            onwards,
            signer=BETA.account("quoting").address,
            signature=sign_quote(onwards, BETA.account("quoting")),
        ),
    ]
    with refused("SettlementInvalidTerms", 4):
        hundreds.instruct_with_quotes(terms, *given[::-1])
    with refused("SettlementInvalidTerms", 1):
        hundreds.instruct_with_quotes(terms, given[0])
    poor = hundreds.fork()
    poor.tokens[SGD].transact(
        MAKER.operating, "redeem", keccak(b"some"), MAKER.settlement.address, 51
    )
    ended = poor.instruct_with_quotes(terms, *given)
    poor.accept(ended, terms, sender=MAKER.operating)
    assert poor.state(ended) == (CANCELLED, NO_LIQUIDITY)
    for quote in (there, onwards):
        assert poor.settlement.read("quoteUse", quote_hash_of(quote)) == (0, False)
    payment_id = hundreds.instruct_with_quotes(terms, *given)
    assert hundreds.state(payment_id)[0] == INSTRUCTED  # no quote says that Maker is paid at last
    hundreds.accept(payment_id, terms, sender=MAKER.operating)
    assert hundreds.state(payment_id)[0] == SETTLED
    assert [hundreds.balance(each, EUR) for each in (ALPHA, MAKER, BETA)] == [40, 100, 50]
    assert [hundreds.balance(each, SGD) for each in (MAKER, BETA)] == [50, 50]
    for quote in (there, onwards):
        used = hundreds.settlement.read("quoteUse", quote_hash_of(quote))
        assert used == (quote.maker_amount, False)


@pytest.mark.parametrize(("answer", "is_good"), [(0x1626BA7E, True), (0x1626BA7F, False)])
def test_pay_6_a_contract_signs_by_erc_1271(
    hundreds: Street, answer: int, *, is_good: bool
) -> None:
    word = (answer << 224).to_bytes(32, "big")
    runtime = b"\x7f" + word + bytes.fromhex("5f5260205ff3")  # return the word, whatever is asked
    created = (
        b"\x60"
        + bytes([len(runtime)])
        + bytes.fromhex("600c60003960")
        + bytes([len(runtime)])
        + bytes.fromhex("6000f3")
    )
    wallet = hundreds.chain.deploy(OPERATOR.operating, created + runtime)
    entry = (keccak(b"wallet"), wallet, 3)
    hundreds.registry.transact(OPERATOR.operating, "addAccount", MAKER.lei, entry)
    quote = hundreds.quote(maker_amount=50, taker_amount=60)
    terms = hundreds.quoted_terms(quote)
    given = signed(quote, signer=wallet, signature=b"anything")
    if is_good:
        payment_id = hundreds.instruct_with_quotes(terms, given)
        hundreds.accept(payment_id, terms)
        assert hundreds.state(payment_id)[0] == SETTLED
    else:
        with refused("SettlementQuoteSignerUnknown"):
            hundreds.instruct_with_quotes(terms, given)
