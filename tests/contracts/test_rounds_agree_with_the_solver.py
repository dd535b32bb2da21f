"""What the contract settles of a whole proposal is what the solver says (RND-1, LIQ-1), case by case.

Random payments of up to three legs wait in queues of different orders, with money and limits that
cover some of them; then one account proposes all of it. A part proposed first changes nothing of
what has settled in the end (RND-3).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pytest

from bridge.liquidity.book import Item, Limits, Name, Position, line_up
from bridge.liquidity.book import Leg as SolverLeg
from bridge.liquidity.solve import Solution, solve
from support.chain_harness import Reverted
from support.full_run import IS_FULL
from support.rounds import Proposal, as_argument, propose, queue_of
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    SGD,
    Institution,
    Leg,
    Street,
    Terms,
    open_street,
)

HOLDERS: Final = (ALPHA, BETA, MAKER)
CURRENCIES: Final = (EUR, SGD)
CASES: Final = 1_000 if IS_FULL else 12
SETTLED: Final = 3

Chooser = Callable[[random.Random, Proposal], Proposal]


@dataclass(slots=True)
class Situation:
    """Payments that wait on a chain, and the headroom of each limit, by account references."""

    street: Street
    waiting: dict[bytes, Terms]
    limits: Limits

    def solution(self) -> Solution:
        """Return what the solver would settle."""
        items = [
            Item(
                payment_id,
                tuple(
                    SolverLeg(leg.payer, leg.payee, leg.currency.decode(), leg.amount)
                    for leg in terms.legs
                ),
            )
            for payment_id, terms in self.waiting.items()
        ]
        places = [(holder, currency) for holder in HOLDERS for currency in CURRENCIES]
        available: dict[Position, int] = {
            (holder.reference(), currency.decode()): self.street.balance(holder, currency)
            for holder, currency in places
        }
        queues: dict[Position, list[Name]] = {
            (holder.reference(), currency.decode()): list(
                queue_of(self.street, holder.reference(), currency)
            )
            for holder, currency in places
        }
        return solve(line_up(items, available, self.limits, queues))

    def settled(self) -> set[bytes]:
        """Return the payments that the contract has settled."""
        return {each for each in self.waiting if self.street.state(each)[0] == SETTLED}

    def resolve(self, proposal: Proposal) -> None:
        """Propose; that nothing of it can settle is an answer too."""
        try:
            self.street.settlement.transact(MAKER.operating, "resolve", as_argument(proposal))
        except Reverted as fault:
            if fault.name != "SettlementNothingToSettle":
                raise


def draw(source: random.Random) -> Situation:
    street = open_street()
    waiting = dict(_wait(street, source) for _ in range(source.randint(1, 6)))
    limits = _limit(street, source)
    for currency in CURRENCIES:
        amounts = {holder: source.choice((0, 0, 1, 2, 3, 5)) for holder in HOLDERS}
        street.fund(currency, {holder: amount for holder, amount in amounts.items() if amount})
    return Situation(street, waiting, limits)


def _wait(street: Street, source: random.Random) -> tuple[bytes, Terms]:
    legs = []
    for _ in range(source.choice((1, 1, 2, 2, 3))):
        payer, payee = source.sample(HOLDERS, 2)
        amount = source.randint(1, 4)
        legs.append(Leg(source.choice(CURRENCIES), payer.reference(), payee.reference(), amount))
    by_reference = {each.reference(): each for each in HOLDERS}
    payer = by_reference[legs[0].payer]
    terms = replace(street.plain_terms(), legs=tuple(legs), priority=source.randint(0, 2))
    payment_id = street.instruct(terms, sender=payer.operating)
    parties = {by_reference[name] for leg in legs for name in (leg.payer, leg.payee)} - {payer}
    for party in sorted(parties, key=lambda each: each.name):
        priority = source.randint(0, 2)
        street.accept(payment_id, terms, sender=party.operating, priority=priority)
    return payment_id, terms


def _limit(street: Street, source: random.Random) -> Limits:
    no_limit = 2**127 - 1
    bilateral: dict[tuple[Name, str, Name], int] = {}
    multilateral: dict[Position, int] = {}
    outflow: dict[Position, int] = {}
    for holder in HOLDERS:
        for currency in CURRENCIES:
            place: Position = (holder.reference(), currency.decode())
            net, gross = (source.choice((no_limit, no_limit, 0, 1, 3, 6)) for _ in range(2))
            if (net, gross) != (no_limit, no_limit):
                street.settlement.transact(
                    holder.operating, "setLimits", holder.reference(), currency, net, gross
                )
            if net != no_limit:
                multilateral[place] = net
            if gross != no_limit:
                outflow[place] = gross
            other: Institution = source.choice([each for each in HOLDERS if each != holder])
            if source.random() < 0.2:
                headroom = source.randint(0, 4)
                street.settlement.transact(
                    holder.operating,
                    "setBilateralLimit",
                    holder.reference(),
                    currency,
                    other.lei,
                    headroom,
                )
                bilateral[holder.reference(), currency.decode(), other.lei] = headroom
    participants: dict[Name, Name] = {holder.reference(): holder.lei for holder in HOLDERS}
    return Limits(
        bilateral=bilateral,
        multilateral=multilateral,
        outflow=outflow,
        participants=participants,
    )


def whole(source: random.Random, proposal: Proposal) -> Proposal:
    """Propose all that waits."""
    del source
    return proposal


def part(source: random.Random, proposal: Proposal) -> Proposal:
    """Propose less: every walk cut somewhere."""
    for number, walk in enumerate(proposal.walks):
        proposal = proposal.cut(number, source.randint(0, len(walk.items)))
    return proposal


@pytest.mark.slow
@pytest.mark.parametrize("first", [whole, part])
def test_contract_and_solver_agree(first: Chooser) -> None:
    for seed in range(CASES):
        source = random.Random(seed)
        situation = draw(source)
        expected = situation.solution()
        situation.resolve(first(source, propose(situation.street, situation.waiting)))
        so_far = situation.settled()
        assert so_far <= set(expected.settled), seed
        left = {key: terms for key, terms in situation.waiting.items() if key not in so_far}
        if first is whole:
            assert so_far == set(expected.settled), seed
        elif left:
            situation.resolve(propose(situation.street, left))
        assert situation.settled() == set(expected.settled), seed
        for holder in HOLDERS:
            for currency in CURRENCIES:
                balance = situation.street.balance(holder, currency)
                place = (holder.reference(), currency.decode())
                assert balance == expected.closing.get(place, balance), seed
                token = situation.street.tokens[currency]
                assert token.read("balanceOf", situation.street.settlement.address) == 0
