"""Payments that wait on a throwaway chain, and the proposals that settle them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.chain.encoding import settlement_call, settlement_id, uetr_hash
from bridge.payment import Leg, Terms
from bridge.resolving.proposal import NOTHING, Proposal
from bridge.resolving.proposal import propose as proposal_of
from bridge.resolving.snapshot import Queued, Snapshot
from node.primitives import keccak
from throwaway_chain import (
    DEADLINE_SECONDS,
    OPERATOR,
    TRANSACTION_GAS,
    CallFailed,
    Institution,
    ThrowawayChain,
)

QUEUED, SETTLED = 2, 3
BYPASSABLE: Final = 1
_NORMAL: Final = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of one leg between two banks."""

    name: str
    payer: Institution
    payee: Institution
    amount: int
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Waiting:
    """It, where it waits."""

    payment: Payment
    payment_id: bytes
    terms: Terms


def place_all(
    chain: ThrowawayChain,
    payments: Sequence[Payment],
    *,
    bypassable: bool = False,
    in_order: bool = True,
) -> list[Waiting]:
    """Instruct and accept payments of banks without money, so that they wait; in queue order.

    In the order given, if so asked, which takes a block for nearly each: a block takes turns among senders.
    """
    flags = BYPASSABLE if bypassable else 0
    deadline = chain.history.head().timestamp + DEADLINE_SECONDS
    waiting = []
    for number, payment in enumerate(payments):
        terms = Terms(
            legs=(
                Leg(
                    currency=payment.currency,
                    from_reference=payment.payer.reference(),
                    to_reference=payment.payee.reference(),
                    amount=payment.amount,
                ),
            ),
            message_commitment=keccak(f"message/{number}/{payment.name}".encode()),
            quote_hash=bytes(32),
            accept_by=deadline,
            settle_by=deadline,
            not_before=0,
            flags=flags,
        )
        uetr = f"{number}/{payment.name}"
        chain.send(payment.payer.operating, settlement_call("instruct", (uetr_hash(uetr), terms)))
        waiting.append(Waiting(payment, settlement_id(payment.payer.lei, uetr), terms))
    chain.make_blocks()
    payee = None
    for each in waiting:
        if in_order and payee != each.payment.payee:
            chain.make_blocks()
        payee = each.payment.payee
        call = settlement_call("accept", (each.payment_id, each.terms, _NORMAL, flags))
        chain.send(payee.operating, call)
    chain.make_blocks()
    check_all_wait(chain, waiting)
    return waiting if in_order else _by_queue(chain, waiting)


def _by_queue(chain: ThrowawayChain, waiting: Sequence[Waiting]) -> list[Waiting]:
    by_id = {each.payment_id: each for each in waiting}
    queues = sorted({(each.payment.payer.address(), each.payment.currency) for each in waiting})
    found: list[Waiting] = []
    for account, currency in queues:
        arguments = (account, currency.encode(), bytes(32), len(waiting))
        (ids,) = chain.ask(settlement_call("queueOf", arguments), ["bytes32[]"])
        found += [by_id[payment_id] for payment_id in ids]
    return found


def propose(waiting: Sequence[Waiting], names: Collection[str]) -> Proposal:
    """The proposal that settles the payments named; `waiting` is in queue order."""
    queues: dict[tuple[bytes, str], list[bytes]] = {}
    for each in waiting:
        place = (each.payment.payer.reference(), each.payment.currency)
        queues.setdefault(place, []).append(each.payment_id)
    snapshot = Snapshot(
        at=0,
        queued={
            each.payment_id: Queued(each.payment_id, each.terms, 0, 0, is_set_aside=False)
            for each in waiting
        },
        queues={place: tuple(queue) for place, queue in queues.items()},
        standings={},
        bilateral={},
        honours_earlier_entries=False,
    )
    chosen = {each.payment_id for each in waiting if each.payment.name in names}
    return proposal_of(snapshot, chosen)


def resolve(chain: ThrowawayChain, proposal: Proposal) -> None:
    """Have anyone settle a proposal."""
    call = settlement_call("resolve", (proposal.abi,))
    chain.send(OPERATOR.operating, call, gas=TRANSACTION_GAS)
    chain.make_blocks()


def resolve_selected(chain: ThrowawayChain, proposal: Proposal) -> None:
    """Have the liquidity role settle explicit payments, past those before them."""
    arguments = (NOTHING, proposal.abi, proposal.skipped)
    chain.send(
        OPERATOR.operating, settlement_call("resolveSelected", arguments), gas=TRANSACTION_GAS
    )
    chain.make_blocks()


def check_all_wait(chain: ThrowawayChain, waiting: Sequence[Waiting]) -> None:
    """Raise CallFailed where a payment does not wait."""
    strays = [each.payment.name for each in waiting if chain.state(each.payment_id) != QUEUED]
    if strays:
        raise CallFailed(f"payment {strays[0]} does not wait")
