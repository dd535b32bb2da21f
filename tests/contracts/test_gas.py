"""What each call costs, below the gas limit the bridge names for it (ALL-4).

Figures are of the most expensive ordinary case: fresh storage, every account cold. The table is
also the record: a change of more than five percent has to be written down here.
"""

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Final

import pytest

from node.primitives import keccak
from support.chain_harness import Receipt, refused
from support.rounds import as_argument, propose
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    SGD,
    ZERO_HASH,
    Leg,
    Street,
    Terms,
    attestation_data,
    sign,
    signed,
)

REFERENCE: Final = keccak(b"reference")

# function: (limit the bridge sets, figure)
GAS: Final = {
    "instruct": (600_000, 162_106),
    "instructWithQuotes": (800_000, 261_107),
    "instructReturn": (600_000, 230_969),
    "accept, one leg": (800_000, 195_804),
    "accept, two legs": (800_000, 312_068),
    "accept, waits": (800_000, 235_160),
    "accept, waits on a quote": (800_000, 362_907),
    "prioritise": (300_000, 124_855),
    "resolve, 2 items": (16_000_000, 227_200),
    "resolve, 100 items": (16_000_000, 4_478_884),
    "reject": (300_000, 117_697),
    "withdraw": (300_000, 93_979),
    "expire": (300_000, 83_982),
    "issue": (300_000, 129_049),
    "redeem": (300_000, 199_112),
    "attest": (300_000, 89_725),
}


def instruct(street: Street) -> Receipt:
    terms = astuple(street.plain_terms())
    return street.settlement.transact(ALPHA.operating, "instruct", street.uetr_hash(), terms)


def instruct_with_quote(street: Street) -> Receipt:
    quote = street.quote()
    return street.settlement.transact(
        ALPHA.operating,
        "instructWithQuotes",
        street.uetr_hash(),
        astuple(street.quoted_terms(quote)),
        [signed(quote, signer=MAKER.account("quoting").address)],
    )


def accept_one_leg(street: Street) -> Receipt:
    terms = street.plain_terms()
    return street.accept(street.instruct(terms), terms)


def accept_two_legs(street: Street) -> Receipt:
    quote = street.quote()
    terms = street.quoted_terms(quote)
    return street.accept(street.instruct_with_quote(terms, quote), terms)


def reject(street: Street) -> Receipt:
    quote = street.quote()
    terms = street.quoted_terms(quote)
    payment_id = street.instruct_with_quote(terms, quote)
    return street.settlement.transact(
        BETA.operating, "reject", payment_id, astuple(terms), REFERENCE
    )


def withdraw(street: Street) -> Receipt:
    terms = street.plain_terms()
    payment_id = street.instruct(terms)
    return street.settlement.transact(
        ALPHA.operating, "withdraw", payment_id, astuple(terms), REFERENCE
    )


def expire(street: Street) -> Receipt:
    terms = street.plain_terms()
    payment_id = street.instruct(terms)
    street.pass_time(HOUR + 1)
    return street.settlement.transact(BETA.operating, "expire", payment_id, astuple(terms))


def accept_and_wait(street: Street) -> Receipt:
    terms = street.plain_terms(1_001)
    return street.accept(street.instruct(terms), terms)


def accept_and_wait_with_quote(street: Street) -> Receipt:
    quote = replace(street.quote(maker_amount=1_001), may_queue=True)
    terms = street.quoted_terms(quote)
    return street.accept(street.instruct_with_quote(terms, quote), terms)


def prioritise(street: Street) -> Receipt:
    terms = street.plain_terms(1_001)
    payment_id = street.instruct(terms)
    street.accept(payment_id, terms)
    return street.settlement.transact(ALPHA.operating, "prioritise", payment_id, astuple(terms), 1)


def instruct_return(street: Street) -> Receipt:
    terms, uetr_hash = street.plain_terms(), street.uetr_hash()
    street.accept(street.instruct(terms, uetr_hash=uetr_hash), terms)
    (leg,) = terms.legs
    back = replace(terms, legs=(replace(leg, payer=leg.payee, payee=leg.payer),))
    return street.settlement.transact(
        BETA.operating, "instructReturn", uetr_hash, 1, astuple(terms), astuple(back)
    )


def resolve(street: Street, count: int) -> Receipt:
    """Settle `count` payments that waited, Alpha's to Beta and Beta's to Alpha in turn."""
    waiting: dict[bytes, Terms] = {}
    for place in range(count):
        payer, payee = (ALPHA, BETA) if place % 2 == 0 else (BETA, ALPHA)
        leg = Leg(EUR, payer.reference(), payee.reference(), 5_000)
        terms = replace(street.plain_terms(), legs=(leg,))
        payment_id = street.instruct(terms, sender=payer.operating)
        street.accept(payment_id, terms, sender=payee.operating)
        waiting[payment_id] = terms
    proposal = as_argument(propose(street, waiting))
    return street.settlement.transact(MAKER.operating, "resolve", proposal, gas_limit=16_000_000)


def issue(street: Street) -> Receipt:
    return street.tokens[EUR].transact(
        EUROSYSTEM.operating, "issue", REFERENCE, BETA.settlement.address, 1
    )


def redeem(street: Street) -> Receipt:
    return street.tokens[EUR].transact(
        ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 1
    )


def attest(street: Street) -> Receipt:
    token = street.tokens[EUR]
    attestation = street.attestation(EUR, 1)
    signature = sign(EUROSYSTEM.account("attesting"), attestation_data(token.address, attestation))
    return token.transact(EUROSYSTEM.operating, "attest", astuple(attestation), signature)


ACTS: Final[dict[str, Callable[[Street], Receipt]]] = {
    "instruct": instruct,
    "instructWithQuotes": instruct_with_quote,
    "instructReturn": instruct_return,
    "accept, one leg": accept_one_leg,
    "accept, two legs": accept_two_legs,
    "accept, waits": accept_and_wait,
    "accept, waits on a quote": accept_and_wait_with_quote,
    "prioritise": prioritise,
    "resolve, 2 items": lambda street: resolve(street, 2),
    "resolve, 100 items": lambda street: resolve(street, 100),
    "reject": reject,
    "withdraw": withdraw,
    "expire": expire,
    "issue": issue,
    "redeem": redeem,
    "attest": attest,
}


@pytest.mark.parametrize("name", GAS)
def test_all_4_gas_stays_below_the_bridges_limit(street: Street, name: str) -> None:
    limit, figure = GAS[name]
    street.fund(EUR, {ALPHA: 1_000})
    street.fund(SGD, {MAKER: 1_000})
    street.attest(EUR, street.attestation(EUR, 2_000))
    gas_used = ACTS[name](street).gas_used
    assert gas_used < limit
    assert abs(gas_used - figure) * 20 <= figure, f"{name} uses {gas_used} gas"


def test_all_4_an_instruction_cut_off_by_its_limit_changes_nothing(street: Street) -> None:
    street.fund(EUR, {ALPHA: 1_000})
    before = street.chain.root
    terms = astuple(street.plain_terms())
    with refused("OutOfGas", 100_000):
        street.settlement.transact(ALPHA.operating, "instruct", ZERO_HASH, terms, gas_limit=100_000)
    assert street.chain.root == before
