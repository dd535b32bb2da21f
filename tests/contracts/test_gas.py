"""What each call costs, below the gas limit the bridge names for it (ALL-4).

Figures are of the most expensive ordinary case: fresh storage, every account cold. The table is
also the record: a change of more than five percent has to be written down here.
"""

from collections.abc import Callable
from dataclasses import astuple
from typing import Final

import pytest

from node.primitives import keccak
from support.chain_harness import Receipt, refused
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    SGD,
    ZERO_HASH,
    Street,
    attestation_data,
    sign,
    sign_quote,
)

REFERENCE: Final = keccak(b"reference")

# function: (limit the bridge sets, figure)
GAS: Final = {
    "instruct": (600_000, 121_916),
    "instructWithQuote": (800_000, 190_529),
    "accept, one leg": (800_000, 143_726),
    "accept, two legs": (800_000, 219_515),
    "reject": (300_000, 91_528),
    "withdraw": (300_000, 54_106),
    "expire": (300_000, 33_503),
    "issue": (300_000, 115_117),
    "redeem": (300_000, 96_154),
    "attest": (300_000, 83_798),
}


def instruct(street: Street) -> Receipt:
    terms = astuple(street.plain_terms())
    return street.settlement.transact(ALPHA.operating, "instruct", street.uetr_hash(), terms)


def instruct_with_quote(street: Street) -> Receipt:
    quote = street.quote()
    return street.settlement.transact(
        ALPHA.operating,
        "instructWithQuote",
        street.uetr_hash(),
        astuple(street.quoted_terms(quote)),
        astuple(quote),
        sign_quote(quote),
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
    uetr_hash = street.uetr_hash()
    payment_id = street.instruct(street.plain_terms(), uetr_hash=uetr_hash)
    return street.settlement.transact(ALPHA.operating, "withdraw", payment_id, uetr_hash, REFERENCE)


def expire(street: Street) -> Receipt:
    payment_id = street.instruct(street.plain_terms())
    street.pass_time(HOUR + 1)
    return street.settlement.transact(BETA.operating, "expire", payment_id)


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
    "instructWithQuote": instruct_with_quote,
    "accept, one leg": accept_one_leg,
    "accept, two legs": accept_two_legs,
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
