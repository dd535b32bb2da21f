"""Payments that wait, as docs/spec/settlement.md requires them (QUE)."""

from dataclasses import astuple, replace

import pytest

from node.primitives import keccak
from support.chain_harness import refused
from support.rounds import queue_of
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
    ZERO_HASH,
    Leg,
    Street,
    Terms,
)
from support.waiting import (
    CANCELLED,
    EXPIRED,
    FOR_MONEY,
    FOR_ORDER,
    HIGH,
    NO_LIQUIDITY,
    NORMAL,
    NOT_ELIGIBLE,
    QUEUED,
    SETTLED,
    UNACCEPTED,
    UNSETTLED,
    URGENT,
    WITHDRAWN,
    pay,
    resolve,
    terms_of,
    waiting,
)

SETTLE = 3
"""What a token's officers pause."""


def test_que_1_what_is_funded_waits_behind_what_is_not(hundreds: Street) -> None:
    large, small = (terms_of(hundreds, ALPHA, BETA, amount) for amount in (101, 1))
    first = pay(hundreds, ALPHA, BETA, large)
    payment_id = hundreds.instruct(small)
    receipt = hundreds.accept(payment_id, small)
    assert receipt.event("PaymentQueued").arguments["reason"] == FOR_ORDER
    assert queue_of(hundreds, ALPHA.reference(), EUR) == [first, payment_id]
    assert waiting(hundreds, ALPHA) == (2, 102)


def test_que_1_what_has_a_higher_priority_does_not_wait_behind_it(hundreds: Street) -> None:
    pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 101))
    urgent = terms_of(hundreds, ALPHA, BETA, 1, priority=HIGH)
    assert hundreds.state(pay(hundreds, ALPHA, BETA, urgent))[0] == SETTLED


def test_que_2_a_queue_stands_by_priority_then_by_arrival(hundreds: Street) -> None:
    pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 500, priority=URGENT))
    order = [NORMAL, HIGH, NORMAL, URGENT, HIGH]
    ids = [
        pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 10 + place, priority=priority))
        for place, priority in enumerate(order)
    ]
    by_rank = [ids[place] for place in (3, 1, 4, 0, 2)]
    assert queue_of(hundreds, ALPHA.reference(), EUR)[1:] == by_rank


def test_que_2_a_queue_is_read_in_pages(hundreds: Street) -> None:
    ids = [pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 101 + n)) for n in range(5)]
    address = ALPHA.settlement.address
    assert hundreds.settlement.read("queueOf", address, EUR, ZERO_HASH, 2) == tuple(ids[:2])
    assert hundreds.settlement.read("queueOf", address, EUR, ids[1], 9) == tuple(ids[2:])
    assert hundreds.settlement.read("queueOf", address, EUR, ids[4], 9) == ()


def test_que_3_a_payer_moves_its_payment_to_the_end_of_another_class(hundreds: Street) -> None:
    terms = [terms_of(hundreds, ALPHA, BETA, 101 + n) for n in range(3)]
    ids = [pay(hundreds, ALPHA, BETA, each) for each in terms]
    with refused("SettlementCallerNotParty", ids[2], BETA.lei):
        hundreds.settlement.transact(BETA.operating, "prioritise", ids[2], astuple(terms[2]), HIGH)
    with refused("SettlementInvalidPriority", 3):
        hundreds.settlement.transact(ALPHA.operating, "prioritise", ids[2], astuple(terms[2]), 3)
    receipt = hundreds.settlement.transact(
        ALPHA.operating, "prioritise", ids[2], astuple(terms[2]), HIGH
    )
    assert receipt.names == ["PaymentPrioritised"]
    assert queue_of(hundreds, ALPHA.reference(), EUR) == [ids[2], ids[0], ids[1]]
    hundreds.settlement.transact(ALPHA.operating, "prioritise", ids[0], astuple(terms[0]), NORMAL)
    assert queue_of(hundreds, ALPHA.reference(), EUR) == [ids[2], ids[1], ids[0]]
    assert waiting(hundreds, ALPHA) == (3, 101 + 102 + 103)
    assert hundreds.settlement.read("payment", ids[2])[8] == HIGH


def test_que_4_the_only_payer_withdraws_what_waits(hundreds: Street) -> None:
    terms = terms_of(hundreds, ALPHA, BETA, 101)
    payment_id = pay(hundreds, ALPHA, BETA, terms)
    with refused("SettlementCallerNotParty", payment_id, BETA.lei):
        hundreds.settlement.transact(
            BETA.operating, "withdraw", payment_id, astuple(terms), ZERO_HASH
        )
    receipt = hundreds.settlement.transact(
        ALPHA.operating, "withdraw", payment_id, astuple(terms), ZERO_HASH
    )
    assert receipt.event("PaymentCancelled").arguments["outcome"] == WITHDRAWN
    assert hundreds.state(payment_id) == (CANCELLED, WITHDRAWN)
    assert queue_of(hundreds, ALPHA.reference(), EUR) == []
    assert waiting(hundreds, ALPHA) == (0, 0)
    assert hundreds.settlement.read("openPaymentsOf", ALPHA.lei) == 0


def exchange(street: Street, euro: int, dollars: int) -> Terms:
    """Alpha's euro for Maker's dollars, each accepting for itself."""
    legs = (
        Leg(EUR, ALPHA.reference(), MAKER.reference(), euro),
        Leg(SGD, MAKER.reference(), ALPHA.reference(), dollars),
    )
    return replace(street.plain_terms(), legs=legs)


def test_que_4_several_payers_withdraw_only_together(hundreds: Street) -> None:
    terms = exchange(hundreds, 101, 50)
    payment_id = pay(hundreds, ALPHA, MAKER, terms)
    assert hundreds.state(payment_id)[0] == QUEUED
    withdraw = ("withdraw", payment_id, astuple(terms), ZERO_HASH)
    assert hundreds.settlement.transact(ALPHA.operating, *withdraw).names == ["WithdrawalAgreed"]
    assert hundreds.settlement.transact(ALPHA.operating, *withdraw).names == ["WithdrawalAgreed"]
    assert hundreds.state(payment_id)[0] == QUEUED
    assert hundreds.settlement.transact(MAKER.operating, *withdraw).names == ["PaymentCancelled"]
    assert [waiting(hundreds, ALPHA), waiting(hundreds, MAKER, SGD)] == [(0, 0), (0, 0)]


def test_que_5_what_waits_ends_after_settle_by_and_not_before(hundreds: Street) -> None:
    terms = terms_of(hundreds, ALPHA, BETA, 101)
    payment_id = pay(hundreds, ALPHA, BETA, terms)
    expire = ("expire", payment_id, astuple(terms))
    hundreds.pass_time(2 * HOUR)
    with refused("SettlementNotExpired", payment_id, terms.settle_by):
        hundreds.settlement.transact(MAKER.operating, *expire)
    hundreds.pass_time(1)
    receipt = hundreds.settlement.transact(MAKER.operating, *expire)
    assert receipt.event("PaymentExpired").arguments["outcome"] == UNSETTLED
    assert hundreds.state(payment_id) == (EXPIRED, UNSETTLED)
    assert waiting(hundreds, ALPHA) == (0, 0)


def test_que_5_what_nobody_accepted_says_so(hundreds: Street) -> None:
    terms = terms_of(hundreds, ALPHA, BETA, 1)
    payment_id = hundreds.instruct(terms)
    hundreds.pass_time(HOUR + 1)
    receipt = hundreds.settlement.transact(MAKER.operating, "expire", payment_id, astuple(terms))
    assert receipt.event("PaymentExpired").arguments["outcome"] == UNACCEPTED


def test_que_6_what_is_not_eligible_holds_up_nobody_once_it_is_set_aside(hundreds: Street) -> None:
    early = replace(terms_of(hundreds, ALPHA, BETA, 50), not_before=hundreds.now + 100)
    first = pay(hundreds, ALPHA, BETA, early)
    behind = terms_of(hundreds, ALPHA, BETA, 10)
    assert hundreds.state(pay(hundreds, ALPHA, BETA, behind))[0] == QUEUED
    receipt = hundreds.settlement.transact(MAKER.operating, "reassess", first, astuple(early))
    assert receipt.event("PaymentSetAside").arguments["isSetAside"] is True
    assert waiting(hundreds, ALPHA) == (1, 10)
    again = hundreds.settlement.transact(MAKER.operating, "reassess", first, astuple(early))
    assert again.names == []
    hundreds.pass_time(100)
    receipt = hundreds.settlement.transact(MAKER.operating, "reassess", first, astuple(early))
    assert receipt.event("PaymentSetAside").arguments["isSetAside"] is False
    assert waiting(hundreds, ALPHA) == (2, 60)
    assert queue_of(hundreds, ALPHA.reference(), EUR)[0] == first


def test_que_6_what_is_set_aside_keeps_its_place_and_leaves_cleanly(hundreds: Street) -> None:
    early = replace(terms_of(hundreds, ALPHA, BETA, 50), not_before=hundreds.now + 100)
    first = pay(hundreds, ALPHA, BETA, early)
    hundreds.settlement.transact(MAKER.operating, "reassess", first, astuple(early))
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 10)))[0]
        == SETTLED
    )
    hundreds.settlement.transact(ALPHA.operating, "prioritise", first, astuple(early), HIGH)
    assert waiting(hundreds, ALPHA) == (0, 0)
    hundreds.settlement.transact(ALPHA.operating, "withdraw", first, astuple(early), ZERO_HASH)
    assert [waiting(hundreds, ALPHA), queue_of(hundreds, ALPHA.reference(), EUR)] == [(0, 0), []]


def test_que_6_nobody_slips_out_of_its_queue_while_the_currency_is_closed(hundreds: Street) -> None:
    officer = EUROSYSTEM.account("officer")
    open_street = hundreds.fork()
    hundreds.tokens[EUR].transact(officer, "pause", SETTLE)
    terms = terms_of(hundreds, ALPHA, BETA, 60)
    payment_id = pay(hundreds, ALPHA, BETA, terms)
    receipt = hundreds.settlement.transact(ALPHA.operating, "reassess", payment_id, astuple(terms))
    assert receipt.names == []
    assert waiting(hundreds, ALPHA) == (1, 60)
    redemption = (keccak(b"out"), ALPHA.settlement.address, 41)
    with refused("TokenMoneyAwaited", "0x" + ALPHA.settlement.address.hex(), 41, 40):
        hundreds.tokens[EUR].transact(ALPHA.operating, "redeem", *redemption)
    open_street.tokens[EUR].transact(ALPHA.operating, "redeem", *redemption)


def test_que_6_what_one_closed_currency_holds_up_lets_the_other_go_on(hundreds: Street) -> None:
    hundreds.tokens[SGD].transact(AUTHORITY.account("officer"), "pause", SETTLE)
    terms = exchange(hundreds, 60, 60)
    both = pay(hundreds, ALPHA, MAKER, terms)
    hundreds.settlement.transact(BETA.operating, "reassess", both, astuple(terms))
    assert waiting(hundreds, ALPHA) == (0, 0)
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 10)))[0]
        == SETTLED
    )


# Quotes that may wait (QUE-7).


def test_que_7_the_takers_money_is_set_aside_while_the_maker_is_waited_for(
    hundreds: Street,
) -> None:
    quote = replace(
        hundreds.quote(maker_amount=150, taker_amount=60), may_queue=True, priority=HIGH
    )
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    receipt = hundreds.accept(payment_id, terms)
    assert receipt.event("PaymentQueued").arguments["reason"] == FOR_MONEY
    assert [waiting(hundreds, ALPHA), waiting(hundreds, MAKER, SGD)] == [(0, 0), (1, 150)]
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 41)))[0] == QUEUED
    )
    hundreds.pass_time(1)
    hundreds.fund(SGD, {MAKER: 50})
    assert "RoundSettled" in resolve(hundreds, {payment_id: terms})
    assert hundreds.state(payment_id)[0] == SETTLED
    assert [hundreds.balance(ALPHA, EUR), hundreds.balance(MAKER, EUR)] == [40, 60]
    assert [hundreds.balance(MAKER, SGD), hundreds.balance(BETA, SGD)] == [0, 150]


@pytest.mark.parametrize("end", ["expire", "withdraw"])
def test_que_7_what_was_set_aside_comes_back_when_it_ends(hundreds: Street, end: str) -> None:
    quote = replace(hundreds.quote(maker_amount=150, taker_amount=60), may_queue=True)
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    hundreds.accept(payment_id, terms)
    if end == "expire":
        hundreds.pass_time(2 * HOUR + 1)
        hundreds.settlement.transact(BETA.operating, "expire", payment_id, astuple(terms))
    else:
        for party in (MAKER, ALPHA):
            hundreds.settlement.transact(
                party.operating, "withdraw", payment_id, astuple(terms), ZERO_HASH
            )
    assert hundreds.settlement.read("quoteUse", terms.quote_hash) == (0, False)
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 100)))[0]
        == SETTLED
    )


def test_que_7_an_unfunded_taker_never_stands_in_a_makers_queue(hundreds: Street) -> None:
    quote = replace(hundreds.quote(maker_amount=50, taker_amount=101), may_queue=True)
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    hundreds.accept(payment_id, terms)
    assert hundreds.state(payment_id) == (CANCELLED, NO_LIQUIDITY)
    assert waiting(hundreds, MAKER, SGD) == (0, 0)


def test_que_7_a_quote_of_which_one_may_not_wait_ends(hundreds: Street) -> None:
    quote = replace(hundreds.quote(maker_amount=101, taker_amount=10), may_queue=False)
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    hundreds.accept(payment_id, terms)
    assert hundreds.state(payment_id) == (CANCELLED, NO_LIQUIDITY)


def test_lim_3_money_that_is_set_aside_counts_as_outflow(hundreds: Street) -> None:
    hundreds.settlement.transact(
        ALPHA.operating, "setLimits", ALPHA.reference(), EUR, 2**127 - 1, 70
    )
    quote = replace(hundreds.quote(maker_amount=150, taker_amount=60), may_queue=True)
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    hundreds.accept(payment_id, terms)
    assert hundreds.settlement.read("limitsOf", ALPHA.settlement.address, EUR)[3] == 60
    again = replace(quote, salt=keccak(b"again"))
    refused_terms = hundreds.quoted_terms(again)
    second = hundreds.instruct_with_quote(refused_terms, again)
    hundreds.accept(second, refused_terms)
    assert hundreds.state(second) == (CANCELLED, NO_LIQUIDITY)
    hundreds.pass_time(1)
    hundreds.fund(SGD, {MAKER: 50})
    resolve(hundreds, {payment_id: terms})
    assert hundreds.settlement.read("limitsOf", ALPHA.settlement.address, EUR)[3] == 60


@pytest.mark.parametrize("cause", ["pause", "suspension", "not yet"])
def test_pay_15_an_event_does_not_tell_why_a_payment_may_not_settle(
    hundreds: Street, cause: str
) -> None:
    terms = replace(
        terms_of(hundreds, ALPHA, BETA, 10),
        not_before=hundreds.now + 10 if cause == "not yet" else 0,
    )
    payment_id = hundreds.instruct(terms)
    if cause == "pause":
        hundreds.settlement.transact(OPERATOR.operating, "pause")
    if cause == "suspension":
        hundreds.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    receipt = hundreds.accept(payment_id, terms)
    assert receipt.names == ["Accepted", "PaymentQueued"]
    assert receipt.event("PaymentQueued").arguments == {
        "paymentId": payment_id,
        "reason": NOT_ELIGIBLE,
    }


# Pause (PAU).


def test_pau_1_a_pause_stops_settlement_and_reverts_no_acceptance(hundreds: Street) -> None:
    terms = terms_of(hundreds, ALPHA, BETA, 10)
    payment_id = hundreds.instruct(terms)
    with refused("AccessManagedUnauthorized"):
        hundreds.settlement.transact(ALPHA.operating, "pause")
    assert hundreds.settlement.transact(OPERATOR.operating, "pause").names == ["SettlementPaused"]
    with refused("SettlementIsPaused"):
        hundreds.instruct(terms)
    receipt = hundreds.accept(payment_id, terms)
    assert receipt.event("PaymentQueued").arguments["reason"] == NOT_ELIGIBLE
    with refused("SettlementIsPaused"):
        resolve(hundreds, {payment_id: terms})
    with refused("SettlementIsPaused"):
        hundreds.settlement.transact(OPERATOR.operating, "pause")
    hundreds.settlement.transact(OPERATOR.operating, "unpause")
    with refused("SettlementNotPaused"):
        hundreds.settlement.transact(OPERATOR.operating, "unpause")
    assert "PaymentSettled" in resolve(hundreds, {payment_id: terms})
