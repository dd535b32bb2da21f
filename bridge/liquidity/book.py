"""Waiting items, their queues and what bounds them, compiled to indexes for the solver.

A `Book` is one state: items in the order of their arrival, one queue per payer account and currency,
what each account has available, and the headroom of each limit. An item stands once in the queue of
each account that pays one of its legs; different queues may order the same items differently, since
the priority of a leg is set by its own payer.

An available balance below zero is a freeze above the money that is there: what comes in falls under it,
and nothing is paid out before it is covered.

Invariants: ids are unique, amounts positive; every bound belongs to exactly one queue (the package's
docstring says why).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.errors import QueuesInvalid

Name = str | bytes
Position = tuple[Name, str]
"""An account and a currency: where a balance is, and by which a queue is named."""

LEGS_MAX: Final = 8
"""Legs of one item, as in the terms of a payment."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of an item, in minor units; a payer's higher priority stands first in its queue."""

    payer: Name
    payee: Name
    currency: str
    amount: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A waiting payment: all legs or none; bypassable only if the payers of all legs say so."""

    item_id: Name
    legs: tuple[Leg, ...]
    bypassable: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Headroom in minor units: the limit less what was used since the issuer's business day began.

    What is used counts outflow less inflow in `bilateral`, keyed by payer account, currency and the
    payees' participant, and in `multilateral`, keyed by payer account and currency; only outflow in
    `outflow`. Headroom may be negative. An account missing in `participants` is a participant itself.
    """

    bilateral: Mapping[tuple[Name, str, Name], int] = field(default_factory=dict)
    multilateral: Mapping[Position, int] = field(default_factory=dict)
    outflow: Mapping[Position, int] = field(default_factory=dict)
    participants: Mapping[Name, Name] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Book:
    """A state that the solver reads, by numbers: items by arrival; bounds, of which positions come first.

    `effects[item]` are pairs (bound, amount) by which a bound's room grows when the item is dropped;
    `feeds[item]` the bounds that count the item as outflow; `places[item]` its pairs (queue, rank),
    empty where it stands in one queue only; `first_rank[bound]` the rank of the first item of its
    queue that feeds it. A queue has the number of its position.
    """

    items: tuple[Item, ...]
    limits: Limits
    positions: tuple[Position, ...]
    available: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...]
    bilateral: Mapping[tuple[Name, str, Name], int]
    outflow: Mapping[Position, int]
    headroom: tuple[int, ...]
    bound_queue: tuple[int, ...]
    first_rank: tuple[int, ...]
    effects: tuple[tuple[tuple[int, int], ...], ...]
    feeds: tuple[tuple[int, ...], ...]
    places: tuple[tuple[tuple[int, int], ...], ...]


def line_up(
    items: Sequence[Item],
    available: Mapping[Position, int],
    limits: Limits | None = None,
    queues: Mapping[Position, Sequence[Name]] | None = None,
) -> Book:
    """Return the book of eligible items in their order of arrival; raises QueuesInvalid.

    Each queue is ordered by priority, then by arrival. Where accounts move their items about, `queues`
    gives the order instead, of every queue, head first. An account not in `available` has nothing.
    """
    _check(items)
    limits = limits or Limits()
    number_by_position = _positions(items, available)
    orders = _orders(items, number_by_position, queues)
    headroom = [available.get(position, 0) for position in number_by_position]
    balances = tuple(headroom)
    for position, room in limits.multilateral.items():
        if position in number_by_position:
            number = number_by_position[position]
            headroom[number] = min(headroom[number], room)
    bound_queue = list(range(len(headroom)))
    bilateral: dict[tuple[Name, str, Name], int] = {}
    outflow: dict[Position, int] = {}
    for payer, currency, participant in limits.bilateral:
        if (payer, currency) in number_by_position:
            bilateral[payer, currency, participant] = len(headroom)
            bound_queue.append(number_by_position[payer, currency])
            headroom.append(limits.bilateral[payer, currency, participant])
    for position, room in limits.outflow.items():
        if position in number_by_position:
            outflow[position] = len(headroom)
            bound_queue.append(number_by_position[position])
            headroom.append(room)
    flows = _Flows(number_by_position, bilateral, outflow, limits.participants)
    counted = [flows.of(item) for item in items]
    feeds = tuple(each[1] for each in counted)
    return Book(
        items=tuple(items), limits=limits, positions=tuple(number_by_position), available=balances,
        orders=orders, bilateral=bilateral, outflow=outflow, headroom=tuple(headroom),
        bound_queue=tuple(bound_queue), first_rank=_first_ranks(bound_queue, orders, feeds),
        effects=tuple(each[0] for each in counted), feeds=feeds, places=_places(len(items), orders),
    )  # fmt: skip


def narrowed(book: Book, chosen: Collection[int]) -> Book:
    """Return a book of these items only, in the same state and the same orders."""
    return _part(
        book, sorted(chosen), dict(zip(book.positions, book.available, strict=True)), book.limits
    )


def without(book: Book, settled: Collection[int]) -> Book:
    """Return the book that is left when these items have settled, whatever their order."""
    room = list(book.headroom)
    balance = list(book.available)
    for item in settled:
        for bound, amount in book.effects[item]:
            room[bound] -= amount
            if bound < len(balance):
                balance[bound] -= amount
    limits = Limits(
        bilateral={key: room[bound] for key, bound in book.bilateral.items()},
        multilateral={
            position: limit + balance[number] - book.available[number]
            for number, position in enumerate(book.positions)
            if (limit := book.limits.multilateral.get(position)) is not None
        },
        outflow={position: room[bound] for position, bound in book.outflow.items()},
        participants=book.limits.participants,
    )
    left = [number for number in range(len(book.items)) if number not in settled]
    return _part(book, left, dict(zip(book.positions, balance, strict=True)), limits)


def _part(
    book: Book, chosen: Sequence[int], available: Mapping[Position, int], limits: Limits
) -> Book:
    kept = set(chosen)
    queues = {
        position: [book.items[item].item_id for item in order if item in kept]
        for position, order in zip(book.positions, book.orders, strict=True)
    }
    return line_up([book.items[item] for item in chosen], available, limits, queues)


def _check(items: Sequence[Item]) -> None:
    if len({item.item_id for item in items}) < len(items):
        raise QueuesInvalid("two items have one id")
    for item in items:
        if not 1 <= len(item.legs) <= LEGS_MAX:
            raise QueuesInvalid(f"item {item.item_id!r} has {len(item.legs)} legs")
        for leg in item.legs:
            if leg.amount <= 0:
                raise QueuesInvalid(f"a leg of item {item.item_id!r} moves {leg.amount}")


def _positions(items: Sequence[Item], available: Mapping[Position, int]) -> dict[Position, int]:
    """Return the number of every position, those of the balances first."""
    numbers = {position: number for number, position in enumerate(available)}
    for item in items:
        for leg in item.legs:
            numbers.setdefault((leg.payer, leg.currency), len(numbers))
            numbers.setdefault((leg.payee, leg.currency), len(numbers))
    return numbers


def _orders(
    items: Sequence[Item],
    number_by_position: Mapping[Position, int],
    queues: Mapping[Position, Sequence[Name]] | None,
) -> tuple[tuple[int, ...], ...]:
    """Return the items of each queue, head first."""
    waiting: list[dict[int, int]] = [{} for _ in number_by_position]
    for number, item in enumerate(items):
        for leg in item.legs:
            queue = waiting[number_by_position[leg.payer, leg.currency]]
            queue[number] = max(leg.priority, queue.get(number, leg.priority))
    if queues is None:
        return tuple(tuple(sorted(queue, key=lambda number: -queue[number])) for queue in waiting)
    number_by_id = {item.item_id: number for number, item in enumerate(items)}
    orders = []
    for position, queue in zip(number_by_position, waiting, strict=True):
        names = queues.get(position, ())
        order = [number_by_id[name] for name in names if name in number_by_id]
        if len(order) < len(names) or len(order) != len(queue) or set(order) != set(queue):
            raise QueuesInvalid(f"the queue of {position!r} does not hold the items that it pays")
        orders.append(tuple(order))
    return tuple(orders)


def _places(count: int, orders: Sequence[Sequence[int]]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return where each item stands, nothing for those that stand in one queue."""
    places: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for queue, order in enumerate(orders):
        for rank, item in enumerate(order):
            places[item].append((queue, rank))
    return tuple(tuple(each) if len(each) > 1 else () for each in places)


def _first_ranks(
    bound_queue: Sequence[int],
    orders: Sequence[Sequence[int]],
    feeds: Sequence[Sequence[int]],
) -> tuple[int, ...]:
    ranks = []
    for bound, queue in enumerate(bound_queue):
        order = orders[queue]
        found = (rank for rank, item in enumerate(order) if bound in feeds[item])
        ranks.append(next(found, len(order)))
    return tuple(ranks)


@dataclass(frozen=True, slots=True)
class _Flows:
    """What an item means to each bound."""

    number_by_position: Mapping[Position, int]
    bilateral: Mapping[tuple[Name, str, Name], int]
    outflow: Mapping[Position, int]
    participants: Mapping[Name, Name]

    def of(self, item: Item) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
        """Return its effects and the bounds it feeds."""
        numbers = self.number_by_position
        if len(item.legs) == 1 and not self.bilateral and not self.outflow:
            (leg,) = item.legs
            payer = numbers[leg.payer, leg.currency]
            payee = numbers[leg.payee, leg.currency]
            if payer != payee:
                return ((payer, leg.amount), (payee, -leg.amount)), (payer,)
        effects: dict[int, int] = {}
        feeds: dict[int, None] = {}
        for leg in item.legs:
            for bound in self._fed_by(leg):
                effects[bound] = effects.get(bound, 0) + leg.amount
                feeds[bound] = None
            for bound in self._relieved_by(leg):
                effects[bound] = effects.get(bound, 0) - leg.amount
        return tuple(effects.items()), tuple(feeds)

    def _fed_by(self, leg: Leg) -> Iterator[int]:
        yield self.number_by_position[leg.payer, leg.currency]
        payee = self.participants.get(leg.payee, leg.payee)
        if (bound := self.bilateral.get((leg.payer, leg.currency, payee))) is not None:
            yield bound
        if (bound := self.outflow.get((leg.payer, leg.currency))) is not None:
            yield bound

    def _relieved_by(self, leg: Leg) -> Iterator[int]:
        yield self.number_by_position[leg.payee, leg.currency]
        payer = self.participants.get(leg.payer, leg.payer)
        if (bound := self.bilateral.get((leg.payee, leg.currency, payer))) is not None:
            yield bound
