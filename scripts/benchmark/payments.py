"""What a bank's payments take through real processes: inside the bank, across the chain, after a death, from nothing.

Everything is asked of the processes over HTTP, at a pace that does not wait for answers.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.machine import on_one_processor
from benchmark.running import process_usage
from benchmark.street import BANK, CAROL, CAROL_IBAN, Street, await_that, running_street
from benchmark.traffic import Posting, post_at_pace
from bridge.chain import ChainClient, Follower
from bridge.ledger import JournalEntry
from bridge.ledger import credit as credit_posting
from bridge.ledger import debit as debit_posting
from bridge.money import Amount, parse_currency
from bridge.store import Store

BOB: Final = "bob"
GROUP: Final = 500
CATCH_UPS: Final = 5
"""How many times a chain is followed from its genesis block; an odd number."""


@dataclass(frozen=True, slots=True)
class PaymentsSize:
    """How much is measured."""

    paces: tuple[int, ...]
    """Payments per second inside the bank, one pace after the other."""
    seconds: int
    """How long each pace is kept."""
    crossings: int
    """Payments from bank to bank, all sent at once as it were."""
    entries_before_death: int


def measure_payments(size: PaymentsSize, folder: Path) -> dict[str, Any]:  # a JSON object
    """Every figure of payments through real processes."""
    with running_street(folder) as street:
        on_any_processor = _measure_paces(street, size, "any")
        with on_one_processor(street.children[BANK].process.pid):
            on_us = _measure_paces(street, size, "one")
        return {
            "on_us": on_us,
            "on_us_on_any_processor": on_any_processor,
            "across": _measure_crossings(street, size.crossings),
            "at_rest": street.rest(),
            "catch_up": _measure_catch_up(street, folder / "anew"),
            "recovery": _measure_recovery(street, size.entries_before_death),
        }


def alices(street: Street, creditor: str, label: str) -> Posting:
    """Alice's orders, each with a key of its own."""
    order = street.order(creditor)
    return Posting(
        url=street.layout.url(BANK) + "/v1/payments",
        token=street.layout.token("alice"),
        body=lambda number: {**order, "end_to_end_id": f"{label}-{number}"},
        key=lambda number: f"{label}-{number}",
    )


def _measure_paces(street: Street, size: PaymentsSize, label: str) -> dict[str, Any]:
    return {
        str(pace): _measure_on_us(street, f"{label}-{pace}", pace, size.seconds)
        for pace in size.paces
    }


def _measure_on_us(street: Street, label: str, pace: int, seconds: int) -> dict[str, Any]:
    posting, count = alices(street, CAROL, label), pace * seconds
    bank = street.children[BANK].process.pid
    before = process_usage(bank).cpu_seconds
    answered = post_at_pace(posting, per_second=pace, count=count)
    used = process_usage(bank).cpu_seconds - before
    return {
        **answered.describe(),
        "cpu_milliseconds_per_payment": round(1_000 * used / count, 2),
    }


def _measure_crossings(street: Street, count: int) -> dict[str, Any]:
    pids = {name: child.process.pid for name, child in street.children.items()}
    before = {name: process_usage(pid).cpu_seconds for name, pid in pids.items()}
    started = time.perf_counter()
    answered = post_at_pace(alices(street, BOB, "across"), per_second=1_000, count=count)
    has_settled = await_that(lambda: not _open_payments(street))
    seconds = time.perf_counter() - started
    return {
        "payments": count,
        "all_ended": has_settled,
        "ended_per_second": round(count / seconds, 2),
        "taken_in_per_second": answered.describe()["answered_per_second"],
        "cpu_milliseconds_per_payment": {
            name: round(1_000 * (process_usage(pid).cpu_seconds - before[name]) / count, 1)
            for name, pid in pids.items()
        },
    }


def _open_payments(street: Street) -> int:
    answer = street.caller.get(BANK, "/v1/operations/overview", token=BANK)
    return int(answer.json()["open_payments"])


def _measure_catch_up(street: Street, folder: Path) -> dict[str, Any]:  # a JSON object
    """Events per second into a database of its own, from the genesis block on: as read and kept,
    before anything is booked of them. The median of some runs, for each takes a moment only.
    """
    runs = [_catch_up(street, folder / f"{number}.sqlite") for number in range(CATCH_UPS)]
    runs.sort(key=lambda run: run["events_per_second"])
    return {"runs": CATCH_UPS, **runs[CATCH_UPS // 2]}


def _catch_up(street: Street, database: Path) -> dict[str, int]:
    chain = ChainClient(street.layout.node_url, street.chain.chain_id)
    events = 0

    def count(_work: object, block: Any, _final: object) -> None:
        nonlocal events
        events += len(block.events)

    with closing(Store.open(database)) as store:
        follower = Follower(store, chain, count)
        cpu, started = time.process_time(), time.perf_counter()
        blocks = follower.catch_up()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "blocks": blocks,
        "events": events,
        "events_per_second": round(events / seconds),
        "events_per_cpu_second_of_the_bridge": round(events / cpu),
    }


def _measure_recovery(street: Street, entries: int) -> dict[str, Any]:
    """Seconds from the start after a kill until a bank serves, with a long journal behind it."""
    street.kill(BANK)
    database = street.layout.settings(BANK).parent / "bridge.db"
    store = Store.open(database)
    cent = Amount(parse_currency("EUR"), 1)
    for first in range(0, entries, GROUP):
        with store.unit_of_work() as work:
            work.ledger.book_many(
                [
                    JournalEntry(
                        entry_id=f"long:{number}",
                        kind="opening",
                        description="a long past",
                        postings=(
                            debit_posting("reserves:EUR", cent),
                            credit_posting(f"deposit:{CAROL_IBAN}", cent),
                        ),
                        booked_at=int(time.time()),
                    )
                    for number in range(first, first + GROUP)
                ]
            )
    store.close()
    street.start(BANK)
    street.kill(BANK)
    return {
        "journal_entries": entries,
        "seconds_until_it_serves": round(street.start(BANK), 2),
        "database_bytes": database.stat().st_size,
    }
