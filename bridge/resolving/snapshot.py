"""What waits, at one block: queues, accounts, limits; and the book that the solver reads; pure.

Only the heads of queues are held: no round takes more than `HEAD_ITEMS_MAX` payments, so none reaches
further into one. What is eligible is decided as the settlement contract decides it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.config import ROUND_ITEMS_MAX
from bridge.liquidity.book import Book, Item, Leg, Limits, Name, line_up
from bridge.payment import Terms

HEAD_ITEMS_MAX: Final = ROUND_ITEMS_MAX
"""Payments read of each queue."""

Position = tuple[bytes, str]
"""An account's registry reference, and a currency."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A waiting payment. `bypassable` has one bit for each leg; `entered_at` is a UTC second."""

    payment_id: bytes
    terms: Terms
    entered_at: int
    bypassable: int
    is_set_aside: bool

    @property
    def first_leg(self) -> int:
        """The first leg that stands in a queue: 1 where a quote had the money of leg 0 set aside."""
        return 1 if any(self.terms.quote_hash) else 0

    @property
    def positions(self) -> tuple[Position, ...]:
        """Where the payment stands in a queue."""
        legs = self.terms.legs[self.first_leg :]
        return tuple(dict.fromkeys((leg.from_reference, leg.currency) for leg in legs))

    @property
    def is_bypassable(self) -> bool:
        """Whether every payer in whose queue it stands lets it be skipped."""
        legs = range(self.first_leg, len(self.terms.legs))
        return all(self.bypassable >> leg & 1 for leg in legs)


@dataclass(frozen=True, slots=True)
class Standing:
    """One account in one currency. Rooms are what a limit still lets out, None where there is none."""

    lei: str
    is_admitted: bool
    suspended_since: int
    is_usable: bool
    payment_max: int
    available: int
    net_room: int | None = None
    gross_room: int | None = None
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state. `queues` are heads, what stands first first; `at` is the UTC second it is judged at."""

    at: int
    queued: Mapping[bytes, Queued]
    queues: Mapping[Position, tuple[bytes, ...]]
    standings: Mapping[Position, Standing]
    bilateral: Mapping[tuple[Name, str, Name], int]
    honours_earlier_entries: bool

    def is_eligible(self, payment: Queued) -> bool:
        """Whether nothing but money, order and limits keeps a payment from settling."""
        terms = payment.terms
        if not terms.not_before <= self.at <= terms.settle_by:
            return False
        for leg in terms.legs:
            payer = self.standings[leg.from_reference, leg.currency]
            payee = self.standings[leg.to_reference, leg.currency]
            is_usable = payer.is_usable and payee.is_usable and leg.amount <= payer.payment_max
            if not (
                is_usable and self._is_active(payer, payment) and self._is_active(payee, payment)
            ):
                return False
        return True

    def without(self, settled: Collection[bytes]) -> "Snapshot":
        """The queues once these payments have left them; balances and limits are not followed."""
        queues = {
            position: tuple(each for each in queue if each not in settled)
            for position, queue in self.queues.items()
        }
        return replace(self, queues=queues)

    def misjudged(self) -> tuple[Queued, ...]:
        """Payments that count as waiting although they are not eligible, or the other way round.

        Not those of closed currencies only: the contract leaves them as they are until one opens.
        """
        return tuple(
            payment
            for payment in self.queued.values()
            if self.is_eligible(payment) is payment.is_set_aside and self._is_any_open(payment)
        )

    def _is_any_open(self, payment: Queued) -> bool:
        legs = payment.terms.legs
        return any(self.standings[leg.from_reference, leg.currency].is_open for leg in legs)

    def _is_active(self, party: Standing, payment: Queued) -> bool:
        is_earlier = 0 < payment.entered_at < party.suspended_since
        return party.is_admitted or (is_earlier and self.honours_earlier_entries)


def book_of(snapshot: Snapshot) -> Book:
    """The solver's book of everything eligible whose place in all its queues is known.

    Money that was set aside for a payment is given it as an account of its own that pays the leg.
    """
    queues = _whole_heads(snapshot)
    names = dict.fromkeys(name for queue in queues.values() for name in queue)
    payments = sorted((snapshot.queued[name] for name in names), key=lambda each: each.entered_at)
    available: dict[tuple[Name, str], int] = {
        position: standing.available for position, standing in snapshot.standings.items()
    }
    participants: dict[Name, Name] = {
        reference: standing.lei for (reference, _), standing in snapshot.standings.items()
    }
    orders: dict[tuple[Name, str], tuple[Name, ...]] = dict(queues.items())
    for payment in payments:
        for leg in payment.terms.legs[: payment.first_leg]:
            purse = _purse(payment)
            available[purse, leg.currency] = leg.amount
            orders[purse, leg.currency] = (payment.payment_id,)
            participants[purse] = snapshot.standings[leg.from_reference, leg.currency].lei
    limits = Limits(
        bilateral=snapshot.bilateral,
        multilateral={
            position: standing.net_room
            for position, standing in snapshot.standings.items()
            if standing.net_room is not None
        },
        outflow={
            position: standing.gross_room
            for position, standing in snapshot.standings.items()
            if standing.gross_room is not None
        },
        participants=participants,
    )
    return line_up([_item(payment) for payment in payments], available, limits, orders)


def _whole_heads(snapshot: Snapshot) -> dict[Position, tuple[bytes, ...]]:
    """The eligible payments of each queue, up to the first that another queue's head does not reach."""
    heads = {
        position: [name for name in queue if snapshot.is_eligible(snapshot.queued[name])]
        for position, queue in snapshot.queues.items()
    }
    is_changed = True
    while is_changed:
        is_changed = False
        held = {position: set(head) for position, head in heads.items()}
        for position, head in heads.items():
            for place, name in enumerate(head):
                others = snapshot.queued[name].positions
                if any(name not in held.get(other, ()) for other in others):
                    heads[position] = head[:place]
                    is_changed = True
                    break
    return {position: tuple(head) for position, head in heads.items()}


def _item(payment: Queued) -> Item:
    legs = tuple(
        Leg(
            payer=leg.from_reference if place >= payment.first_leg else _purse(payment),
            payee=leg.to_reference,
            currency=leg.currency,
            amount=leg.amount,
        )
        for place, leg in enumerate(payment.terms.legs)
    )
    return Item(payment.payment_id, legs, bypassable=payment.is_bypassable)


def _purse(payment: Queued) -> bytes:
    return b"set aside for " + payment.payment_id
