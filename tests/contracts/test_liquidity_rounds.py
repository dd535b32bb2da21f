"""Settling together what waits, as docs/spec/settlement.md requires it (RND)."""

from dataclasses import replace

import pytest

from support.chain_harness import Receipt, refused
from support.rounds import Item, Proposal, Walk, as_argument, propose, queue_of
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    Institution,
    Leg,
    Street,
    Terms,
)

QUEUED, SETTLED = 2, 3
HIGH = 1
BYPASSABLE = 1
EMPTY = Proposal((), ())


def terms_of(street: Street, *legs: tuple[Institution, Institution, int, bytes]) -> Terms:
    return replace(
        street.plain_terms(),
        legs=tuple(
            Leg(currency, payer.reference(), payee.reference(), amount)
            for payer, payee, amount, currency in legs
        ),
    )


def wait(
    street: Street, terms: Terms, *, priorities: dict[Institution, int] | None = None
) -> bytes:
    """Instruct and accept a payment that cannot settle yet."""
    by_reference = {each.reference(): each for each in (ALPHA, BETA, MAKER)}
    payer = by_reference[terms.legs[0].payer]
    payment_id = street.instruct(terms, sender=payer.operating)
    parties = {by_reference[name] for leg in terms.legs for name in (leg.payer, leg.payee)}
    for party in sorted(parties - {payer}, key=lambda each: each.name):
        priority = (priorities or {}).get(party, 0)
        street.accept(
            payment_id, terms, sender=party.operating, priority=priority, flags=terms.flags
        )
    assert street.state(payment_id)[0] == QUEUED
    return payment_id


def euro(street: Street, payer: Institution, payee: Institution, amount: int) -> Terms:
    return terms_of(street, (payer, payee, amount, EUR))


def run(street: Street, proposal: Proposal) -> Receipt:
    return street.settlement.transact(MAKER.operating, "resolve", as_argument(proposal))


def settled(street: Street, ids: list[bytes]) -> list[bool]:
    return [street.state(payment_id)[0] == SETTLED for payment_id in ids]


@pytest.fixture
def gridlock(street: Street) -> dict[bytes, Terms]:
    """Three payments in a ring, and nobody has money."""
    ring = [(ALPHA, BETA), (BETA, MAKER), (MAKER, ALPHA)]
    waiting = [euro(street, payer, payee, 100) for payer, payee in ring]
    return {wait(street, terms): terms for terms in waiting}


def test_rnd_1_a_ring_settles_without_any_money(
    street: Street, gridlock: dict[bytes, Terms]
) -> None:
    receipt = run(street, propose(street, gridlock))
    assert receipt.names == ["PaymentSettled"] * 3 + ["RoundSettled"]
    assert receipt.event("RoundSettled").arguments == {"proposed": 3, "settled": 3}
    assert settled(street, list(gridlock)) == [True] * 3
    for holder in (ALPHA, BETA, MAKER):
        assert queue_of(street, holder.reference(), EUR) == []
        assert street.settlement.read("openPaymentsOf", holder.lei) == 0


def test_rnd_2_tokens_move_net_through_an_account_that_is_empty_again(street: Street) -> None:
    street.fund(EUR, {ALPHA: 30})
    waiting = [euro(street, ALPHA, BETA, 100), euro(street, BETA, ALPHA, 70)]
    terms_by_id = {wait(street, terms): terms for terms in waiting}
    receipt = run(street, propose(street, terms_by_id))
    moved = [event.arguments for event in receipt.events if event.name == "Transfer"]
    clearing = "0x" + street.settlement.address.hex()
    assert [(each["to"] == clearing, each["value"]) for each in moved] == [(True, 30), (False, 30)]
    assert [street.balance(ALPHA, EUR), street.balance(BETA, EUR)] == [0, 30]
    assert street.tokens[EUR].read("balanceOf", street.settlement.address) == 0


def test_rnd_1_a_tail_that_is_not_covered_is_left(street: Street) -> None:
    street.fund(EUR, {ALPHA: 10})
    waiting = [
        euro(street, ALPHA, BETA, 60),
        euro(street, ALPHA, BETA, 51),
        euro(street, ALPHA, BETA, 1),
        euro(street, BETA, ALPHA, 60),
    ]
    ids = [wait(street, terms) for terms in waiting]
    run(street, propose(street, dict(zip(ids, waiting, strict=True))))
    assert settled(street, ids) == [True, False, False, True]
    assert [street.balance(ALPHA, EUR), street.balance(BETA, EUR)] == [10, 0]


def test_rnd_1_what_leaves_one_queue_leaves_all_and_takes_along_what_stands_behind(
    street: Street,
) -> None:
    street.fund(EUR, {ALPHA: 50})
    exchange = terms_of(street, (ALPHA, MAKER, 10, EUR), (MAKER, ALPHA, 500, SGD))
    behind = euro(street, ALPHA, BETA, 5)
    dollars = terms_of(street, (MAKER, BETA, 1, SGD))
    back = terms_of(street, (BETA, MAKER, 1, SGD))
    waiting = [exchange, behind, dollars, back]
    ids = [wait(street, terms) for terms in waiting]
    with refused("SettlementNothingToSettle"):
        run(street, propose(street, dict(zip(ids, waiting, strict=True))))
    assert settled(street, ids) == [False] * 4
    street.fund(SGD, {MAKER: 500})
    run(street, propose(street, dict(zip(ids, waiting, strict=True))))
    assert settled(street, ids) == [True] * 4


def test_rnd_1_orders_that_differ_between_queues_are_kept_in_each(street: Street) -> None:
    first = terms_of(street, (ALPHA, MAKER, 10, EUR), (MAKER, ALPHA, 10, SGD))
    second = terms_of(street, (ALPHA, MAKER, 20, EUR), (MAKER, ALPHA, 20, SGD))
    ids = [wait(street, first), wait(street, second, priorities={MAKER: HIGH})]
    assert queue_of(street, ALPHA.reference(), EUR) == ids
    assert queue_of(street, MAKER.reference(), SGD) == ids[::-1]
    street.fund(EUR, {ALPHA: 30})
    street.fund(SGD, {MAKER: 20})
    terms_by_id = dict(zip(ids, (first, second), strict=True))
    with refused("SettlementNothingToSettle"):
        run(street, propose(street, terms_by_id))
    street.pass_time(1)
    street.fund(SGD, {MAKER: 10})
    run(street, propose(street, terms_by_id))
    assert settled(street, ids) == [True, True]


def test_que_6_what_is_not_eligible_is_passed_over_and_counts_again(street: Street) -> None:
    early = replace(euro(street, ALPHA, BETA, 90), not_before=street.now + 100)
    plain = euro(street, ALPHA, BETA, 50)
    ids = [wait(street, early), wait(street, plain)]
    street.fund(EUR, {ALPHA: 60})
    terms_by_id = dict(zip(ids, (early, plain), strict=True))
    later = street.fork()
    later.pass_time(100)
    with refused("SettlementNothingToSettle"):
        run(later, propose(later, terms_by_id))
    run(street, propose(street, terms_by_id))
    assert settled(street, ids) == [False, True]
    assert queue_of(street, ALPHA.reference(), EUR) == [ids[0]]


def test_que_6_after_settle_by_nothing_settles(
    street: Street, gridlock: dict[bytes, Terms]
) -> None:
    street.pass_time(2 * HOUR)
    run(street.fork(), propose(street, gridlock))
    street.pass_time(1)
    with refused("SettlementNothingToSettle"):
        run(street, propose(street, gridlock))


# Proposals that are wrong (RND-4).


def test_rnd_4_a_walk_that_leaves_out_the_head_is_refused(street: Street) -> None:
    waiting = [euro(street, ALPHA, BETA, amount) for amount in (100, 10)]
    ids = [wait(street, terms) for terms in waiting]
    street.fund(EUR, {ALPHA: 10})
    whole = propose(street, dict(zip(ids, waiting, strict=True)))
    walk = whole.walk_of(ALPHA.reference(), EUR)
    for items in ((1,), (1, 0), (0, 0), (0, 1, 1)):
        walks = list(whole.walks)
        walks[walk] = replace(walks[walk], items=items)
        with refused("SettlementOrderBroken"):
            run(street, replace(whole, walks=tuple(walks)))


def test_rnd_4_an_item_left_out_of_one_of_its_queues_does_not_settle(street: Street) -> None:
    exchange = terms_of(street, (ALPHA, MAKER, 10, EUR), (MAKER, ALPHA, 10, SGD))
    behind = euro(street, ALPHA, BETA, 1)
    ids = [wait(street, exchange), wait(street, behind)]
    street.fund(EUR, {ALPHA: 100})
    street.fund(SGD, {MAKER: 100})
    whole = propose(street, dict(zip(ids, (exchange, behind), strict=True)))
    lying = whole.cut(whole.walk_of(MAKER.reference(), SGD), 0)
    with refused("SettlementNothingToSettle"):
        run(street, lying)
    run(street, whole)
    assert settled(street, ids) == [True, True]


def test_rnd_4_each_guard_of_a_proposal(street: Street, gridlock: dict[bytes, Terms]) -> None:
    whole = propose(street, gridlock)
    item, walks = whole.items[0], whole.walks
    unknown = replace(item, payment_id=bytes(32))
    changed = replace(item, terms=replace(item.terms, priority=1))
    elsewhere = replace(item, accounts=item.accounts[::-1])
    short = replace(item, accounts=item.accounts[:1])
    far = replace(item, accounts=(item.accounts[0], 99))
    stranger = Walk(OPERATOR.reference("operating"), EUR, ())
    dollar = Walk(ALPHA.reference(), b"USD", ())
    beyond = replace(walks[0], items=(3,))
    table: list[tuple[Proposal, str]] = [
        (replace(whole, items=(unknown, *whole.items[1:])), "SettlementUnexpectedState"),
        (replace(whole, items=(changed, *whole.items[1:])), "SettlementTermsMismatch"),
        (replace(whole, items=(elsewhere, *whole.items[1:])), "SettlementInvalidItem"),
        (replace(whole, items=(short, *whole.items[1:])), "SettlementInvalidItem"),
        (replace(whole, items=(far, *whole.items[1:])), "SettlementInvalidItem"),
        (replace(whole, walks=walks[::-1]), "SettlementInvalidWalk"),
        (replace(whole, walks=(walks[0], *walks)), "SettlementInvalidWalk"),
        (replace(whole, walks=(*walks, dollar)), "SettlementInvalidWalk"),
        (replace(EMPTY, walks=(stranger,)), "SettlementInvalidWalk"),
        (replace(whole, walks=(beyond, *walks[1:])), "SettlementInvalidWalk"),
        (replace(whole, items=whole.items * 43), "SettlementRoundTooLarge"),
        (EMPTY, "SettlementNothingToSettle"),
    ]
    for proposal, error in table:
        with refused(error):
            run(street, proposal)
    run(street, whole)


def test_rnd_4_an_item_proposed_twice_settles_once(
    street: Street, gridlock: dict[bytes, Terms]
) -> None:
    whole = propose(street, gridlock)
    twice: tuple[Item, ...] = (*whole.items, whole.items[0])
    receipt = run(street, replace(whole, items=twice))
    assert receipt.event("RoundSettled").arguments["settled"] == 3


def test_rnd_4_what_settled_is_not_settled_again(
    street: Street, gridlock: dict[bytes, Terms]
) -> None:
    proposal = propose(street, gridlock)
    run(street, proposal)
    with refused("SettlementUnexpectedState"):
        run(street, proposal)


# The second pass (RND-8).


def select(
    street: Street,
    second: Proposal,
    skipped: list[bool],
    *,
    first: Proposal = EMPTY,
    sender: Institution = OPERATOR,
) -> Receipt:
    return street.settlement.transact(
        sender.operating, "resolveSelected", as_argument(first), as_argument(second), skipped
    )


def test_rnd_8_the_liquidity_role_skips_what_is_bypassable(street: Street) -> None:
    large = replace(euro(street, ALPHA, BETA, 100), flags=BYPASSABLE)
    small = euro(street, ALPHA, BETA, 10)
    ids = [wait(street, large), wait(street, small)]
    street.fund(EUR, {ALPHA: 10})
    whole = propose(street, dict(zip(ids, (large, small), strict=True)))
    with refused("SettlementCallerNotLiquidity", MAKER.lei):
        select(street, whole, [True, False], sender=MAKER)
    with refused("SettlementInvalidItem"):
        select(street, whole, [True])
    receipt = select(street, whole, [True, False])
    assert receipt.event("RoundSettled").arguments == {"proposed": 2, "settled": 1}
    assert settled(street, ids) == [False, True]
    assert queue_of(street, ALPHA.reference(), EUR) == [ids[0]]


def test_rnd_8_what_is_not_bypassable_is_not_skipped(street: Street) -> None:
    exchange = replace(
        terms_of(street, (ALPHA, MAKER, 100, EUR), (MAKER, ALPHA, 100, SGD)), flags=BYPASSABLE
    )
    payment_id = street.instruct(exchange)
    street.accept(payment_id, exchange, sender=MAKER.operating, flags=0)
    behind = [euro(street, ALPHA, BETA, 1), terms_of(street, (MAKER, BETA, 1, SGD))]
    ids = [payment_id, *(wait(street, terms) for terms in behind)]
    street.fund(EUR, {ALPHA: 1})
    street.fund(SGD, {MAKER: 1})
    whole = propose(street, dict(zip(ids, (exchange, *behind), strict=True)))
    with refused("SettlementOrderBroken", whole.walk_of(MAKER.reference(), SGD), 0):
        select(street, whole, [True, False, False])
    only_alpha = propose(street, {ids[0]: exchange, ids[1]: behind[0]})
    select(street, only_alpha.cut(only_alpha.walk_of(MAKER.reference(), SGD), 0), [True, False])
    assert settled(street, ids) == [False, True, False]


def test_rnd_8_the_first_pass_runs_in_the_same_call(
    street: Street, gridlock: dict[bytes, Terms]
) -> None:
    first = propose(street, gridlock)
    large = replace(euro(street, ALPHA, BETA, 100), flags=BYPASSABLE)
    small = euro(street, ALPHA, BETA, 10)
    ids = [wait(street, large), wait(street, small)]
    street.fund(EUR, {ALPHA: 10})
    after = street.fork()
    run(after, first)
    second = propose(after, dict(zip(ids, (large, small), strict=True)))
    receipt = select(street, second, [True, False], first=first)
    rounds = [event.arguments for event in receipt.events if event.name == "RoundSettled"]
    assert rounds == [{"proposed": 3, "settled": 3}, {"proposed": 2, "settled": 1}]


def test_a_payment_waits_with_its_whole_record(street: Street) -> None:
    terms = replace(euro(street, ALPHA, BETA, 5), priority=HIGH, flags=BYPASSABLE)
    payment = street.settlement.read("payment", wait(street, terms))
    assert payment[7:] == (street.now, HIGH, 1, 0, False)
