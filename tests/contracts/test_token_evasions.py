"""Ways round a freeze, the reserves and the two persons that must not work (TOK-5, TOK-6, TOK-13 to TOK-15, RND-1)."""

from dataclasses import replace

import pytest

from node.primitives import keccak
from support.chain_harness import Contract, refused
from support.council_network import DAY, Assembly, open_assembly
from support.rounds import as_argument, propose
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    HOUR,
    MAKER,
    Attestation,
    Institution,
    Leg,
    Street,
    Terms,
)
from support.token_desk import FIRST, SECOND, freeze, ordered, text
from support.token_desk import propose as propose_order
from support.transactions import Key

HOLDER = ALPHA.settlement.address
LAPSE = 72 * HOUR
QUEUED, SETTLED = 2, 3
WHOLE_MIN = 2**255


@pytest.fixture
def euro(street: Street) -> Contract:
    """Alpha holds 1,000 cents."""
    street.fund(EUR, {ALPHA: 1_000})
    return street.tokens[EUR]


@pytest.fixture
def governed() -> Street:
    """A street whose registry the council changes; alpha's operating account holds 100 cents."""
    street = Street(open_assembly().chain)
    street.fund(EUR, {ALPHA: 1_000})
    street.tokens[EUR].transact(ALPHA.settlement, "transfer", ALPHA.operating.address, 100)
    return street


def close_account(street: Street, account: bytes) -> None:
    Assembly(street.chain).decide(street.registry, "closeAccount", account, 0)


def redeem(street: Street, amount: int, label: str = "redeem") -> None:
    street.tokens[EUR].transact(ALPHA.operating, "redeem", keccak(label.encode()), HOLDER, amount)


def statement(street: Street, amount: int, as_of: int) -> Attestation:
    return replace(street.attestation(EUR, amount), as_of=as_of)


# Reserves (TOK-5, TOK-6).


def test_tok_6_a_statement_read_before_a_burn_does_not_back_the_burnt_again(
    street: Street, euro: Contract
) -> None:
    early = statement(street, 1_000, street.now)
    street.pass_time(1)
    redeem(street, 400)
    street.attest(EUR, early)
    assert euro.read("latestAttestation")[3] == 600
    with refused("TokenReservesExceeded", 600, 1, 600):
        street.issue(EUR, ALPHA, 1, "released reserves")


@pytest.mark.usefixtures("euro")
def test_tok_6_of_many_burns_those_after_the_statement_count(street: Street) -> None:
    begin = street.now
    for number in range(6):
        redeem(street, 10 + number, f"burn {number}")
        redeem(street, 100, f"burn {number} again")
        street.pass_time(10)
    burnt_from = [sum(110 + number for number in range(start, 6)) for start in range(7)]
    for seconds, seen in ((0, 1), (9, 1), (10, 2), (29, 3), (49, 5), (50, 6), (60, 6)):
        fork = street.fork()
        fork.attest(EUR, statement(fork, 5_000, begin + seconds))
        left: int = fork.tokens[EUR].read("latestAttestation")[3]
        assert left == 5_000 - burnt_from[seen]


@pytest.mark.usefixtures("euro")
def test_tok_6_what_a_statement_is_short_of_is_said_after_later_burns(street: Street) -> None:
    short = statement(street, 950, street.now)
    street.pass_time(1)
    redeem(street, 400)
    receipt = street.attest(EUR, short)
    assert receipt.event("ReservesAttested").arguments["amount"] == 950
    assert receipt.event("ReservesBelowSupply").arguments == {
        "sequence": 2,
        "amount": 550,
        "supply": 600,
    }


# Freezes beyond the money that is there (TOK-7, TOK-14, RND-1).


def waiting(
    street: Street, payer: Institution, payee: Institution, amount: int
) -> dict[bytes, Terms]:
    legs = (Leg(EUR, payer.reference(), payee.reference(), amount),)
    terms = replace(street.plain_terms(), legs=legs)
    payment_id = street.instruct(terms, sender=payer.operating)
    street.accept(payment_id, terms, sender=payee.operating)
    assert street.state(payment_id)[0] == QUEUED
    return {payment_id: terms}


def test_tok_14_nothing_that_comes_in_pays_out_of_a_freeze_above_the_balance(
    street: Street, euro: Contract
) -> None:
    freeze(euro, HOLDER, 5_000)
    out = waiting(street, ALPHA, BETA, 60)
    back = waiting(street, BETA, ALPHA, 60)
    assert euro.read("standingOf", HOLDER, HOLDER, b"")[4] == -4_000
    proposal = as_argument(propose(street, out | back))
    with refused("SettlementNothingToSettle"):
        street.settlement.transact(MAKER.operating, "resolve", proposal)
    ordered(euro, "setFrozenTokens", HOLDER, 1_000, expected=5_000)
    street.settlement.transact(MAKER.operating, "resolve", proposal)
    assert [street.state(each)[0] for each in out | back] == [SETTLED] * 2


def test_tok_14_what_comes_in_alone_falls_under_a_freeze_above_the_balance(
    street: Street, euro: Contract
) -> None:
    freeze(euro, HOLDER, 5_000)
    back = waiting(street, BETA, ALPHA, 60)
    street.fund(EUR, {BETA: 60})
    street.settlement.transact(MAKER.operating, "resolve", as_argument(propose(street, back)))
    assert (euro.read("balanceOf", HOLDER), euro.read("availableOf", HOLDER)) == (1_060, 0)


def test_tok_8_a_standing_is_bounded_both_ways(euro: Contract) -> None:
    freeze(euro, HOLDER, 2**256 - 1)
    assert euro.read("standingOf", HOLDER, HOLDER, b"")[4] == -(2**255 - 1)


# Freezes by one officer, and whole ones (TOK-14, TOK-15).


def test_tok_14_a_freeze_does_not_end_sooner_because_another_stood_before(euro: Contract) -> None:
    freeze(euro, HOLDER, 1)
    euro.chain.now += LAPSE - 60
    receipt = freeze(euro, HOLDER, 900, by=SECOND, reference="serious")
    assert receipt.event("FreezeMade").arguments["lapsesAt"] == euro.chain.now + LAPSE
    euro.chain.now += LAPSE - 1
    assert euro.read("getFrozenTokens", HOLDER) == 900
    euro.chain.now += 1
    assert euro.read("getFrozenTokens", HOLDER) == 0


@pytest.mark.parametrize("amount", [WHOLE_MIN, WHOLE_MIN + 5, 2**256 - 1])
def test_tok_15_an_account_frozen_whole_stays_so_when_a_part_is_seized(
    euro: Contract, amount: int
) -> None:
    ordered(euro, "setFrozenTokens", HOLDER, amount)
    ordered(euro, "forcedTransfer", HOLDER, MAKER.settlement.address, 10, reference="seize")
    assert euro.read("getFrozenTokens", HOLDER) == max(amount - 10, WHOLE_MIN)
    assert not euro.read("canReceive", HOLDER)


# Whom an order reaches, and who stands behind it (TOK-13, TOK-15).


def test_tok_15_an_order_reaches_the_money_of_a_closed_account(governed: Street) -> None:
    euro = governed.tokens[EUR]
    close_account(governed, ALPHA.operating.address)
    assert governed.registry.read("participantOf", ALPHA.operating.address) == bytes(20)
    ordered(euro, "forcedTransfer", ALPHA.operating.address, HOLDER, 100)
    assert euro.read("balanceOf", ALPHA.operating.address) == 0
    assert euro.read("balanceOf", HOLDER) == 1_000


@pytest.mark.parametrize("gone", [FIRST, SECOND])
def test_tok_13_an_order_needs_both_persons_to_the_end(governed: Street, gone: Key) -> None:
    euro = governed.tokens[EUR]
    order_id = propose_order(euro, "setFrozenTokens", HOLDER, 10, valid_for=20 * DAY)
    euro.transact(SECOND, "confirm", order_id)
    close_account(governed, gone.address)
    with refused("TokenCallerNotOfficer", text(gone.address)):
        euro.transact(SECOND if gone is FIRST else FIRST, "setFrozenTokens", HOLDER, 10)


def test_tok_13_what_a_dismissed_officer_proposed_is_not_confirmed(governed: Street) -> None:
    euro = governed.tokens[EUR]
    order_id = propose_order(euro, "setFrozenTokens", HOLDER, 10, valid_for=20 * DAY)
    close_account(governed, FIRST.address)
    with refused("TokenCallerNotOfficer", text(FIRST.address)):
        euro.transact(SECOND, "confirm", order_id)
