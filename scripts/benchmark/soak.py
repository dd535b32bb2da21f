"""Hours of mixed business against one devnet: is memory flat, and does everything come to its end?

Every second each process's own memory is read; the slope over the second half, in MB per hour, is what
would fill a machine, since what is remembered has reached its bounds by then.
"""

import threading
import time
from pathlib import Path
from typing import Any, Final

from benchmark.payments import BOB, alices
from benchmark.running import process_usage
from benchmark.street import CAROL, Street, running_street
from benchmark.traffic import post_at_pace

ON_US_PER_SECOND: Final = 5
ACROSS_PER_SECOND: Final = 1
ROUND_SECONDS: Final = 20
MEGABYTE: Final = 1_000_000
TENTHS: Final = 10
HOUR: Final = 3_600


def measure_soak(minutes: float, folder: Path) -> dict[str, Any]:  # a JSON object
    """Memory by process, what was answered, and what is open at the end."""
    with running_street(folder) as street:
        over = threading.Event()
        samples: dict[str, list[tuple[float, int]]] = {name: [] for name in street.children}
        sampler = threading.Thread(target=_sample, args=(street, samples, over))
        sampler.start()
        try:
            statuses = _do_business(street, minutes)
        finally:
            over.set()
            sampler.join()
        at_rest = street.rest()
        street.processes.check()
        return {
            "minutes": minutes,
            "answers_by_status": statuses,
            "memory": {name: _describe(taken) for name, taken in samples.items()},
            "at_rest": at_rest,
        }


def _do_business(street: Street, minutes: float) -> dict[str, dict[int, int]]:
    """Payments inside the bank and across the chain, side by side, and customers who look at them."""
    kinds = ((CAROL, ON_US_PER_SECOND), (BOB, ACROSS_PER_SECOND))
    statuses: dict[str, dict[int, int]] = {creditor: {} for creditor, _ in kinds}
    deadline = time.monotonic() + 60 * minutes

    def pay(creditor: str, pace: int) -> None:
        posting, first = alices(street, creditor, f"soak-{creditor}"), 0
        while time.monotonic() < deadline:
            count = pace * ROUND_SECONDS
            answered = post_at_pace(posting, per_second=pace, count=count, first=first)
            first += count
            for status, number in answered.count_by_status.items():
                statuses[creditor][status] = statuses[creditor].get(status, 0) + number

    payers = [threading.Thread(target=pay, args=kind) for kind in kinds]
    for payer in payers:
        payer.start()
    while any(payer.is_alive() for payer in payers):
        street.processes.check()
        for path in ("/v1/payments", "/v1/accounts"):
            street.caller.get("bank-a", path, token="alice")  # noqa: S106 - a customer's name
        time.sleep(1)
    for payer in payers:
        payer.join()
    return statuses


def _sample(
    street: Street, samples: dict[str, list[tuple[float, int]]], over: threading.Event
) -> None:
    started = time.monotonic()
    while not over.wait(1):
        for name, child in street.children.items():
            usage = process_usage(child.process.pid)
            samples[name].append((time.monotonic() - started, usage.anonymous_bytes))


def _describe(taken: list[tuple[float, int]]) -> dict[str, Any]:  # a JSON object
    last = len(taken) - 1
    tenths = (taken[last * tenth // TENTHS][1] for tenth in range(TENTHS + 1))
    later = taken[len(taken) // 2 :]
    return {
        "megabytes_at_each_tenth": [round(size / MEGABYTE, 1) for size in tenths],
        "megabytes_per_hour_of_the_second_half": round(HOUR * _slope(later) / MEGABYTE, 2),
    }


def _slope(points: list[tuple[float, int]]) -> float:
    """Least squares: bytes per second."""
    count = len(points)
    mean_time = sum(at for at, _ in points) / count
    mean_size = sum(size for _, size in points) / count
    spread = sum((at - mean_time) ** 2 for at, _ in points)
    together = sum((at - mean_time) * (size - mean_size) for at, size in points)
    return together / spread if spread else 0.0
