"""Small random queues of the liquidity solver, and what is true of them by trying every subset."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bridge.liquidity.book import Book, Item, Leg, Limits, Name, Position, line_up

ACCOUNTS = ("a1", "a2", "b1", "c1")
PARTICIPANTS: dict[Name, Name] = {"a1": "A", "a2": "A", "b1": "B", "c1": "C"}
CURRENCIES = ("EUR", "SGD")


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts from which a book is made, kept as they are so that brute force reads nothing else."""

    items: tuple[Item, ...]
    available: dict[Position, int]
    limits: Limits
    queues: dict[Position, list[Name]]

    def book(self) -> Book:
        """Return the solver's view."""
        return line_up(self.items, self.available, self.limits, self.queues)


def draw_situation(source: random.Random, *, items_max: int) -> Situation:
    """Return queues of different orders, items of up to three legs, and each kind of limit at times."""
    items = tuple(
        Item(f"T{number}", _draw_legs(source), bypassable=source.random() < 0.5)
        for number in range(source.randint(1, items_max))
    )
    queues: dict[Position, list[Name]] = {}
    for item in items:
        for position in sorted({(leg.payer, leg.currency) for leg in item.legs}, key=str):
            queues.setdefault(position, []).append(item.item_id)
    for order in queues.values():
        source.shuffle(order)
    places = [(account, currency) for account in ACCOUNTS for currency in CURRENCIES]
    available: dict[Position, int] = {
        place: source.choice((-2, 0, 0, 1, 2, 3, 5)) for place in places
    }
    limited = source.random() < 0.7
    limits = Limits(
        bilateral={
            (account, currency, participant): source.randint(-1, 4)
            for account, currency in places
            for participant in ("A", "B", "C")
            if limited and source.random() < 0.2
        },
        multilateral={
            place: source.randint(-1, 4) for place in places if limited and source.random() < 0.2
        },
        outflow={
            place: source.randint(-1, 6) for place in places if limited and source.random() < 0.2
        },
        participants=PARTICIPANTS,
    )
    return Situation(items, available, limits, queues)


def _draw_legs(source: random.Random) -> tuple[Leg, ...]:
    legs = []
    for _ in range(source.choice((1, 1, 2, 2, 3))):
        payer = source.choice(ACCOUNTS)
        payee = source.choice([one for one in ACCOUNTS if one != payer or source.random() < 0.1])
        legs.append(Leg(payer, payee, source.choice(CURRENCIES), source.randint(1, 4)))
    return tuple(legs)


def subsets(items: Collection[int]) -> Iterator[frozenset[int]]:
    """Return every subset."""
    numbers = sorted(items)
    for mask in range(1 << len(numbers)):
        yield frozenset(number for bit, number in enumerate(numbers) if mask >> bit & 1)


def keeps_bounds(situation: Situation, chosen: Collection[int]) -> bool:
    """Return whether no balance and no limit is broken once these items, and no others, have settled."""
    limits, part = situation.limits, situation.limits.participants
    legs = [leg for number in chosen for leg in situation.items[number].legs]
    for position, balance in situation.available.items():
        paid = sum(leg.amount for leg in legs if (leg.payer, leg.currency) == position)
        received = sum(leg.amount for leg in legs if (leg.payee, leg.currency) == position)
        if paid and balance - paid + received < 0:
            return False
        if paid and paid - received > limits.multilateral.get(position, paid):
            return False
        if paid > max(0, limits.outflow.get(position, paid)):
            return False
    for (account, currency, counterparty), headroom in limits.bilateral.items():
        own = [leg for leg in legs if leg.currency == currency]
        paid = sum(
            leg.amount for leg in own if leg.payer == account and part[leg.payee] == counterparty
        )
        received = sum(
            leg.amount for leg in own if leg.payee == account and part[leg.payer] == counterparty
        )
        if paid and paid - received > headroom:
            return False
    return True


def keeps_order(situation: Situation, chosen: Collection[int], *, may_bypass: bool = False) -> bool:
    """Return whether each queue gives a prefix, or skips only what is bypassable where it may."""
    number_by_id = {item.item_id: number for number, item in enumerate(situation.items)}
    for order in situation.queues.values():
        blocked = False
        for number in (number_by_id[name] for name in order):
            if number not in chosen:
                blocked = blocked or not (may_bypass and situation.items[number].bypassable)
            elif blocked:
                return False
    return True


def feasible_sets(situation: Situation) -> list[frozenset[int]]:
    """Return every set that keeps the order of all queues and all bounds, by trying each subset."""
    return [
        chosen
        for chosen in subsets(range(len(situation.items)))
        if keeps_order(situation, chosen) and keeps_bounds(situation, chosen)
    ]
