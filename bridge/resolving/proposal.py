"""What the solver chose, as the settlement contract wants it proposed; pure.

A walk names what stands in an account's queue from its head on, with nothing left out: what is not
eligible is named and passed over by the contract, what is skipped is named and marked so. Every
account that a named payment pays from or to has a walk, in rising order of currency and reference.
"""

from collections.abc import Collection
from dataclasses import dataclass

from bridge.payment import Terms
from bridge.resolving.snapshot import Position, Snapshot


@dataclass(frozen=True, slots=True)
class ProposedItem:
    """One payment. For leg i, `accounts` has the walks of its payer (2i) and its payee (2i + 1)."""

    payment_id: bytes
    terms: Terms
    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """One account, and which items stand at the head of its queue."""

    account: bytes
    currency: str
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Field for field the contract's `Proposal`, and which items are left where they are."""

    items: tuple[ProposedItem, ...]
    walks: tuple[Walk, ...]
    skipped: tuple[bool, ...]

    @property
    def abi(self) -> tuple[object, ...]:
        """The tuple of the contract's struct."""
        items = [(each.payment_id, each.terms, list(each.accounts)) for each in self.items]
        walks = [(each.account, each.currency.encode(), list(each.items)) for each in self.walks]
        return items, walks

    @property
    def leg_count(self) -> int:
        """Legs of all items."""
        return sum(len(each.terms.legs) for each in self.items)


NOTHING: tuple[object, ...] = ([], [])
"""The proposal of nothing, as the contract's struct."""


def propose(snapshot: Snapshot, chosen: Collection[bytes]) -> Proposal:
    """The proposal that settles the chosen payments from this state of the queues."""
    named = {
        position: queue[: 1 + max(place for place, name in enumerate(queue) if name in chosen)]
        for position, queue in snapshot.queues.items()
        if not set(chosen).isdisjoint(queue)
    }
    names = list(dict.fromkeys(name for queue in named.values() for name in queue))
    item_by_name = {name: number for number, name in enumerate(names)}
    positions = sorted(
        {
            (reference, leg.currency)
            for name in names
            for leg in snapshot.queued[name].terms.legs
            for reference in (leg.from_reference, leg.to_reference)
        },
        key=lambda position: (position[1].encode(), position[0]),
    )
    walk_by_position: dict[Position, int] = {each: place for place, each in enumerate(positions)}
    items = tuple(
        ProposedItem(
            payment_id=name,
            terms=snapshot.queued[name].terms,
            accounts=tuple(
                walk_by_position[reference, leg.currency]
                for leg in snapshot.queued[name].terms.legs
                for reference in (leg.from_reference, leg.to_reference)
            ),
        )
        for name in names
    )
    walks = tuple(
        Walk(
            account=reference,
            currency=currency,
            items=tuple(item_by_name[name] for name in named.get((reference, currency), ())),
        )
        for reference, currency in positions
    )
    skipped = tuple(name not in chosen for name in names)
    return Proposal(items, walks, skipped)
