"""How many ERC-20 transfers a second become final, sustained, through JSON-RPC.

Every transfer is signed before the clock starts. They are sent in batches while at most `OUTSTANDING_MAX` are on their
way, and the clock stops when the last is in a block. Meanwhile another connection asks for the newest block, which is
how long a reader waits while blocks commit, and memory is looked at now and again.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmark.prepared import BALANCE, Prepared, balance_call
from benchmark.running import Client, RunningNode, cpu_between, encode_submissions

BATCH: Final = 100
OUTSTANDING_MAX: Final = 3_000
STALLED_SECONDS_MAX: Final = 120
SAMPLE_SECONDS: Final = 0.5
READ_PAUSE_SECONDS: Final = 0.01
BALANCES_PER_BATCH: Final = 100
HASHES_ONLY: Final = (False,)
PACED_TRANSFERS: Final = 5_000
PACED_PER_SECOND: Final = 250
PACED_BATCH: Final = 10


@dataclass(slots=True)
class Load:
    """Signed transfers, in the order they are sent, and the balances that they end in."""

    raws: list[bytes]
    balance_by_address: dict[bytes, int]


def make_load(prepared: Prepared, count: int) -> Load:
    """Transfers by the senders in turn, each to the next but some; the first sender has sent before."""
    senders = prepared.senders
    balances = dict.fromkeys(range(len(senders)), BALANCE)
    nonces = dict.fromkeys(balances, 0)
    nonces[0] = prepared.history_blocks
    balances[0] -= prepared.history_blocks
    for nonce in range(prepared.history_blocks):
        balances[1 + nonce % (len(senders) - 1)] += 1
    raws = []
    for number in range(count):
        index, amount = number % len(senders), 1 + number % 7
        to = (index * 7 + number // len(senders) + 1) % len(senders)
        raws.append(senders[index].transfer(nonces[index], senders[to].address, amount))
        nonces[index] += 1
        balances[index] -= amount
        balances[to] += amount
    return Load(raws, {senders[index].address: each for index, each in balances.items()})


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of all processes at one time."""

    at: float
    resident_bytes: int
    anonymous_bytes: dict[str, int]
    """Of each process."""


@dataclass(slots=True)
class Watch:
    """What is seen beside the load: reading times and memory."""

    read_seconds: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, node: RunningNode) -> None:
        """Looks until `stopping`."""
        client, sampled_at = Client(node.url), 0.0
        while not self.stopping.wait(READ_PAUSE_SECONDS):
            started_at = time.perf_counter()
            client.call("eth_getBlockByNumber", "latest", *HASHES_ONLY)
            self.read_seconds.append(time.perf_counter() - started_at)
            if started_at - sampled_at >= SAMPLE_SECONDS:
                sampled_at = started_at
                usages = node.usage()
                resident = sum(each.resident_bytes for each in usages.values())
                anonymous = {name: each.anonymous_bytes for name, each in usages.items()}
                self.samples.append(Sample(started_at, resident, anonymous))
        client.close()


def measure_transfers(node: RunningNode, load: Load) -> dict[str, Any]:  # a JSON object
    """Sends the load and waits until it is final: most of it flat out, its end at an even pace."""
    paced_count = min(PACED_TRANSFERS, len(load.raws) // 10)
    flat_out = _measure_flat_out(node, load.raws[:-paced_count])
    paced = _measure_paced(node, load.raws[-paced_count:])
    client = Client(node.url)
    wrong = _wrong_balances(client, load)
    client.close()
    return {**flat_out, "at_an_even_pace": paced, "wrong_balances": wrong}


def _measure_paced(node: RunningNode, raws: Sequence[bytes]) -> dict[str, Any]:  # a JSON object
    """How long a reader waits while blocks commit, at the rate that the node is meant for."""
    client, watch = Client(node.url), Watch()
    watcher = threading.Thread(target=watch.run, args=(node,))
    watcher.start()
    started_at = time.perf_counter()
    try:
        hashes = []
        for position, at in enumerate(range(0, len(raws), PACED_BATCH)):
            due_at = started_at + position * PACED_BATCH / PACED_PER_SECOND
            time.sleep(max(0.0, due_at - time.perf_counter()))
            batch = raws[at : at + PACED_BATCH]
            calls = [("eth_sendRawTransaction", (f"0x{raw.hex()}",)) for raw in batch]
            hashes += client.batch(calls)
        seconds = time.perf_counter() - started_at
        while client.call("eth_getTransactionReceipt", hashes[-1]) is None:
            time.sleep(READ_PAUSE_SECONDS)
    finally:
        watch.stopping.set()
        watcher.join()
    client.close()
    return {
        "transfers_per_second": round(len(raws) / seconds, 1),
        "get_block_by_number_milliseconds": percentiles(watch.read_seconds),
    }


def _measure_flat_out(node: RunningNode, raws: Sequence[bytes]) -> dict[str, Any]:  # a JSON object
    client, watch = Client(node.url), Watch()
    first_block = int(client.call("eth_blockNumber"), 16)
    watcher = threading.Thread(target=watch.run, args=(node,))
    before, started_at = node.usage(), time.perf_counter()
    watcher.start()
    try:
        blocks = _send_all(client, raws, first_block)
    finally:
        watch.stopping.set()
        watcher.join()
    seconds = time.perf_counter() - started_at
    cpu = cpu_between(before, node.usage())
    client.close()
    return {
        "transfers": len(raws),
        "seconds": round(seconds, 2),
        "transfers_per_second": round(len(raws) / seconds, 1),
        "blocks": len(blocks),
        "transfers_per_block": round(len(raws) / len(blocks), 1),
        "cpu_microseconds_per_transfer": {
            name: round(used / len(raws) * 1e6) for name, used in cpu.items()
        },
        "get_block_by_number_milliseconds": percentiles(watch.read_seconds),
        "memory": _memory(watch.samples, len(raws)),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds, with their number."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3, 2)
        for name, share in at.items()
    }
    return {**found, "count": len(ordered)}


def _send_all(client: Client, raws: Sequence[bytes], head: int) -> list[int]:
    """The number of transfers of each block, once all are in blocks."""
    bodies = [encode_submissions(raws[at : at + BATCH]) for at in range(0, len(raws), BATCH)]
    counts: list[int] = []
    sent, moved_at = 0, time.monotonic()
    while sum(counts) < len(raws):
        if sent < len(bodies) and sent * BATCH - sum(counts) < OUTSTANDING_MAX:
            answer = client.post_bytes(bodies[sent])
            if b'"error"' in answer:
                raise RuntimeError(f"refused: {answer[:300].decode()}")
            sent += 1
        newest = int(client.call("eth_blockNumber"), 16)
        if newest > head:
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > STALLED_SECONDS_MAX:
            raise RuntimeError(f"no block for {STALLED_SECONDS_MAX} s")
        for number in range(head + 1, newest + 1):
            count = client.call("eth_getBlockTransactionCountByNumber", hex(number))
            counts.append(int(count, 16))
        head = newest
        if sent == len(bodies):
            time.sleep(READ_PAUSE_SECONDS)
    return counts


def _wrong_balances(client: Client, load: Load) -> int:
    wrong, addresses = 0, list(load.balance_by_address)
    for at in range(0, len(addresses), BALANCES_PER_BATCH):
        some = addresses[at : at + BALANCES_PER_BATCH]
        answers = client.batch([("eth_call", (balance_call(each), "latest")) for each in some])
        wrong += sum(
            int(answer, 16) != load.balance_by_address[address]
            for address, answer in zip(some, answers, strict=True)
        )
    return wrong


def _memory(samples: Sequence[Sample], transfers: int) -> dict[str, Any]:  # a JSON object
    """Memory at the ends, and what 100,000 transfers would add to each process, by the second half of the run."""
    seconds = max(samples[-1].at - samples[0].at, 1e-9)
    second_half = samples[len(samples) // 2 :]
    return {
        "samples": len(samples),
        "resident_megabytes_first": round(samples[0].resident_bytes / 1e6, 1),
        "resident_megabytes_last": round(samples[-1].resident_bytes / 1e6, 1),
        "anonymous_megabytes": {
            name: {
                "first": round(first / 1e6, 1),
                "half_way": round(second_half[0].anonymous_bytes[name] / 1e6, 1),
                "last": round(samples[-1].anonymous_bytes[name] / 1e6, 1),
                "per_100000_transfers": round(
                    _slope(second_half, name) * seconds / transfers * 1e5 / 1e6, 1
                ),
            }
            for name, first in samples[0].anonymous_bytes.items()
        },
    }


def _slope(samples: Sequence[Sample], process: str) -> float:
    """Bytes a second, by least squares."""
    middle = sum(each.at for each in samples) / len(samples)
    mean = sum(each.anonymous_bytes[process] for each in samples) / len(samples)
    spread = sum((each.at - middle) ** 2 for each in samples)
    covered = sum((each.at - middle) * (each.anonymous_bytes[process] - mean) for each in samples)
    return covered / spread if spread else 0.0
