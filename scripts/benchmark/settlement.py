"""What settlement costs: the solver's time, gas by how a payment settles, a gridlock on a chain, PvP per second.

The chain is the throwaway one: real blocks by the solo engine, durable stores, no JSON-RPC in between. Payments per
second are of blocks' execution alone and of everything that makes a block.
"""

import contextlib
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bridge.chain.encoding import quote_hash, settlement_call, settlement_id, uetr_hash
from bridge.config import ROUND_ITEMS_MAX
from bridge.liquidity.book import Item, Leg, Position, line_up
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import solve
from bridge.payment import Leg as PaymentLeg
from bridge.payment import Quote, SignedQuote, Terms
from node.primitives import keccak
from throwaway_chain import CHAIN_ID, DEADLINE_SECONDS, Institution, ThrowawayChain, banks, opened
from throwaway_chain.rounds import (
    QUEUED,
    Payment,
    Waiting,
    place_all,
    propose,
    resolve,
)

REPEATS: Final = 5
MONEY: Final = 10**9
HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class SettlementSize:
    """How much is measured."""

    solver_payments: int
    solver_banks: int
    gridlock_payments: int
    gridlock_banks: int
    exchanges: int


@dataclass(slots=True)
class StageTimes:
    """Seconds of each stage of making blocks. Implements `BlockObserver`."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextlib.contextmanager
    def time_stage(self, stage: str) -> Iterator[None]:
        """Adds what a stage takes."""
        started = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - started

    def count_results(self, _count_by_result: Mapping[str, int]) -> None:
        """Nothing is counted."""


def measure_settlement(size: SettlementSize, folder: Path) -> dict[str, Any]:  # a JSON object
    """Every figure of settlement."""
    return {
        "solver": _measure_solver(size),
        "gas_per_payment": _measure_gas(folder / "gas"),
        "gridlock": _measure_gridlock(size, folder / "gridlock"),
        "exchanges": _measure_exchanges(size.exchanges, folder / "exchanges"),
    }


def _measure_solver(size: SettlementSize) -> dict[str, Any]:
    source = random.Random(1)  # noqa: S311 - a workload, no secret
    names = [f"bank {number}" for number in range(size.solver_banks)]
    items = []
    for number in range(size.solver_payments):
        payer, payee = source.sample(names, 2)
        items.append(Item(f"T{number}", (Leg(payer, payee, "EUR", source.randint(1, 1_000)),)))
    available: dict[Position, int] = {(name, "EUR"): source.randint(0, 20_000) for name in names}
    lining, solving = [], []
    for _ in range(REPEATS):
        started = time.perf_counter()
        book = line_up(items, available)
        lined = time.perf_counter()
        solution = solve(book)
        solving.append(time.perf_counter() - lined)
        lining.append(lined - started)
    return {
        "payments": len(items),
        "banks": len(names),
        "settled": len(solution.settled),
        "seconds_best": round(min(solving), 4),
        "seconds_median": round(statistics.median(solving), 4),
        "seconds_to_line_up_median": round(statistics.median(lining), 4),
    }


def _measure_gas(folder: Path) -> dict[str, Any]:
    payer, maker, payee = holders = banks(("payer", "maker", "payee"))
    figures: dict[str, Any] = {}
    with opened(folder, holders) as chain:
        chain.fund("EUR", [(payer, MONEY)])
        chain.fund("SGD", [(maker, MONEY)])
        _pay_both_ways(chain, holders, "warm")
        chain.mark()
        _pay(chain, payer, payee, "plain")
        figures["plain"] = chain.gas
        chain.mark()
        _exchange(chain, holders, ["fx"])
        chain.make_blocks()
        figures["fx"] = chain.gas
    for count in (HUNDRED, ROUND_ITEMS_MAX):
        with opened(folder / str(count), holders) as chain:
            waiting = place_all(chain, _in_turns(payer, payee, count), in_order=False)
            chain.mark()
            proposal = propose(waiting, {each.payment.name for each in waiting})
            resolve(chain, proposal)
            figures[f"round_of_{count}"] = round(chain.gas / count)
            figures[f"round_of_{count}_bytes"] = len(
                settlement_call("resolve", (proposal.abi,)).data
            )
    return figures


def _in_turns(first: Institution, second: Institution, count: int) -> list[Payment]:
    sides = ((first, second), (second, first))
    return [Payment(f"T{number}", *sides[number % 2], MONEY) for number in range(count)]


def _pay_both_ways(chain: ThrowawayChain, holders: tuple[Institution, ...], label: str) -> None:
    """Make every account and slot that an ordinary day finds in use."""
    payer, maker, payee = holders
    _pay(chain, payer, payee, f"{label}/there")
    _pay(chain, payee, payer, f"{label}/back")
    _exchange(chain, (payer, maker, payee), [f"{label}/fx"])
    chain.make_blocks()


def _terms(chain: ThrowawayChain, legs: tuple[PaymentLeg, ...], digest: bytes, label: str) -> Terms:
    deadline = chain.history.head().timestamp + DEADLINE_SECONDS
    return Terms(
        legs=legs,
        message_commitment=keccak(label.encode()),
        quote_hash=digest,
        accept_by=deadline,
        settle_by=deadline,
        not_before=0,
    )


def _pay(chain: ThrowawayChain, payer: Institution, payee: Institution, label: str) -> None:
    leg = PaymentLeg("EUR", payer.reference(), payee.reference(), 1)
    terms = _terms(chain, (leg,), bytes(32), label)
    chain.send(payer.operating, settlement_call("instruct", (uetr_hash(label), terms)))
    chain.make_blocks()
    accept = (settlement_id(payer.lei, label), terms, 0, 0)
    chain.send(payee.operating, settlement_call("accept", accept))
    chain.make_blocks()


def _exchange(chain: ThrowawayChain, holders: tuple[Institution, ...], labels: list[str]) -> None:
    """Queue payments of euro against Singapore dollars on quotes, all instructed before they are accepted."""
    payer, maker, payee = holders
    until = chain.history.head().timestamp + 2 * DEADLINE_SECONDS
    accepts = []
    for label in labels:
        quote = Quote(
            maker=maker.lei,
            taker=payer.lei,
            maker_from=maker.reference(),
            maker_to=maker.reference(),
            maker_currency="SGD",
            maker_amount=3,
            taker_currency="EUR",
            taker_amount=2,
            valid_until=until,
            settle_by=until,
            salt=keccak(label.encode()),
        )
        digest = quote_hash(quote, CHAIN_ID)
        signature = maker.sign("quoting", digest)
        legs = (
            PaymentLeg("EUR", payer.reference(), maker.reference(), 2),
            PaymentLeg("SGD", maker.reference(), payee.reference(), 3),
        )
        terms = _terms(chain, legs, digest, label)
        signed = SignedQuote(quote, digest, signature)
        arguments = (uetr_hash(label), terms, [signed])
        chain.send(payer.operating, settlement_call("instructWithQuotes", arguments))
        accepts.append((settlement_id(payer.lei, label), terms, 0, 0))
    chain.make_blocks()
    for accept in accepts:
        chain.send(payee.operating, settlement_call("accept", accept))


def _measure_gridlock(size: SettlementSize, folder: Path) -> dict[str, Any]:
    source = random.Random(2)  # noqa: S311 - a workload, no secret
    holders = banks([f"bank {number}" for number in range(size.gridlock_banks)])
    payments = []
    for number in range(size.gridlock_payments):
        payer, payee = source.sample(holders, 2)
        payments.append(Payment(f"T{number}", payer, payee, source.randint(1_000, 100_000)))
    with opened(folder, holders) as chain:
        started = time.perf_counter()
        waiting = place_all(chain, payments, in_order=False)
        placed_seconds = time.perf_counter() - started
        opening = [(holder, 1_000_000) for holder in holders]
        chain.fund("EUR", opening)
        chain.mark()
        started = time.perf_counter()
        rounds = _settle_in_rounds(chain, waiting, dict.fromkeys(holders, 1000000))
        seconds = time.perf_counter() - started
        left = sum(chain.state(each.payment_id) == QUEUED for each in waiting)
        return {
            "payments": len(payments),
            "banks": len(holders),
            "settled": len(payments) - left,
            "rounds": rounds,
            "blocks": chain.blocks,
            "seconds": round(seconds, 2),
            "gas_per_payment": round(chain.gas / max(1, len(payments) - left)),
            "seconds_to_queue_them": round(placed_seconds, 2),
        }


def _settle_in_rounds(
    chain: ThrowawayChain, waiting: list[Waiting], opening: Mapping[Institution, int]
) -> int:
    items = [
        Item(
            each.payment.name,
            (Leg(each.payment.payer.label, each.payment.payee.label, "EUR", each.payment.amount),),
        )
        for each in waiting
    ]
    available: dict[Position, int] = {
        (holder.label, "EUR"): amount for holder, amount in opening.items()
    }
    rounds = solve_in_rounds(line_up(items, available), ROUND_ITEMS_MAX).rounds
    for each_round in rounds:
        chosen = {str(name) for name in each_round.settled}
        resolve(chain, propose(waiting, chosen))
        waiting = [each for each in waiting if each.payment.name not in chosen]
    return len(rounds)


def _measure_exchanges(count: int, folder: Path) -> dict[str, Any]:
    payer, maker, _ = holders = banks(("payer", "maker", "payee"))
    times = StageTimes()
    with opened(folder, holders, times) as chain:
        chain.fund("EUR", [(payer, MONEY)])
        chain.fund("SGD", [(maker, MONEY)])
        _pay_both_ways(chain, holders, "warm")
        times.seconds.clear()
        chain.mark()
        _exchange(chain, holders, [f"exchange {number}" for number in range(count)])
        chain.make_blocks()
        whole = sum(times.seconds.values())
        return {
            "payments": count,
            "blocks": chain.blocks,
            "per_second_executing": round(count / times.seconds["execute"], 1),
            "per_second_with_all_stages": round(count / whole, 1),
            "milliseconds_by_stage": {
                stage: round(1_000 * seconds / count, 2)
                for stage, seconds in sorted(times.seconds.items())
            },
        }
