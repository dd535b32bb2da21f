"""Proposals for PaymentSettlement's rounds, made from what the contract says waits.

`propose` walks the queues as they stand; a test that wants a wrong proposal changes the one it gets, or has `bend`
do so at random.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from random import Random
from typing import Any

from support.settlement_network import INSTITUTIONS, Leg, Street, Terms

ACCOUNT_BY_REFERENCE = {each.reference(): each.settlement.address for each in INSTITUTIONS}
NOTHING = ((), ())


@dataclass(frozen=True, slots=True)
class Walk:
    """One account of a proposal, and which items stand at the head of its queue."""

    account: bytes
    currency: bytes
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One waiting payment, with the walks of its legs' payers and payees."""

    payment_id: bytes
    terms: Terms
    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What `resolve` takes."""

    items: tuple[Item, ...]
    walks: tuple[Walk, ...]

    def cut(self, walk: int, length: int) -> "Proposal":
        """Return it with one walk shortened."""
        walks = list(self.walks)
        walks[walk] = replace(walks[walk], items=walks[walk].items[:length])
        return replace(self, walks=tuple(walks))

    def walk_of(self, account: bytes, currency: bytes) -> int:
        """Return the index of an account's walk."""
        return [(each.account, each.currency) for each in self.walks].index((account, currency))


def queue_of(street: Street, account: bytes, currency: bytes) -> list[bytes]:
    """Return the payments that wait in a queue, in its order, by the account's reference."""
    address = ACCOUNT_BY_REFERENCE[account]
    found: tuple[bytes, ...] = street.settlement.read(
        "queueOf", address, currency, bytes(32), 1_000
    )
    return list(found)


def propose(street: Street, terms_by_id: Mapping[bytes, Terms]) -> Proposal:
    """Return a proposal of these payments, every queue walked from its head as far as they reach."""
    ids = list(terms_by_id)
    places = sorted(
        {place for terms in terms_by_id.values() for leg in terms.legs for place in _places(leg)}
    )
    items = tuple(
        Item(
            payment_id,
            terms,
            tuple(places.index(place) for leg in terms.legs for place in _places(leg)),
        )
        for payment_id, terms in terms_by_id.items()
    )
    walks = []
    for currency, account in places:
        walk: list[int] = []
        for payment_id in queue_of(street, account, currency):
            if payment_id not in terms_by_id:
                break
            walk.append(ids.index(payment_id))
        walks.append(Walk(account, currency, tuple(walk)))
    return Proposal(items, tuple(walks))


def as_argument(proposal: Proposal) -> tuple[Any, ...]:
    """Return a proposal in the ABI's shape."""
    return (
        tuple((item.payment_id, astuple(item.terms), item.accounts) for item in proposal.items),
        tuple((walk.account, walk.currency, walk.items) for walk in proposal.walks),
    )


def bend(source: Random, proposal: Proposal, stale: list[Proposal]) -> Proposal:
    """Return a proposal that is not what it should be."""
    kind = source.choice(["cut", "shuffled", "stale", "lie", "lie"])
    if kind == "stale":
        return source.choice(stale) if stale else proposal
    if kind == "cut":
        for number, walk in enumerate(proposal.walks):
            proposal = proposal.cut(number, source.randint(0, len(walk.items)))
        return proposal
    if kind == "shuffled":
        order = source.sample(range(len(proposal.items)), len(proposal.items))
        walks = tuple(
            Walk(walk.account, walk.currency, tuple(order.index(item) for item in walk.items))
            for walk in proposal.walks
        )
        return Proposal(tuple(proposal.items[item] for item in order), walks)
    return lie(source, proposal)


def lie(source: Random, proposal: Proposal) -> Proposal:
    """Return a proposal in which walks leave out, repeat or swap items, or items name other accounts or come twice."""
    walks = list(proposal.walks)
    items = list(proposal.items)
    for _ in range(source.randint(1, 2)):
        if not items:
            break
        place = source.randrange(len(walks))
        taken = list(walks[place].items)
        match source.choice(["leave", "repeat", "swap", "twice", "elsewhere"]):
            case "leave" if taken:
                taken.pop(source.randrange(len(taken)))
            case "repeat":
                taken.append(source.randrange(len(items)))
            case "swap":
                source.shuffle(taken)
            case "twice":
                items.append(source.choice(items))
                taken = [len(items) - 1 if each == 0 else each for each in taken]
            case _:
                chosen = source.randrange(len(items))
                accounts = list(items[chosen].accounts)
                source.shuffle(accounts)
                items[chosen] = replace(items[chosen], accounts=tuple(accounts))
        walks[place] = replace(walks[place], items=tuple(taken))
    return Proposal(tuple(items), tuple(walks))


def _places(leg: Leg) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    return (leg.currency, leg.payer), (leg.currency, leg.payee)
