"""How many raw transactions a second a node takes in, for each second of processor time.

The transactions wait behind a gap: they pass every check and enter the pool, and no block takes them, so that nothing
but intake is measured. A connection sends one request after the answer to the one before. Each sender sends one
transaction, measured before any but the first has sent another. `first_contact` is the first that a node sees of a
sender since its start: the registry is asked in the EVM. Later ones find its verdict remembered.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from benchmark.prepared import Prepared
from benchmark.running import Client, RunningNode, cpu_between, encode_submissions

BATCH: Final = 100

CONNECTIONS: Final = 32
"""Connections that send one by one at the same time."""


def measure_intake(
    node: RunningNode, prepared: Prepared, count: int
) -> dict[str, Any]:  # a JSON object
    """Figures of first contact, in batches, and one by one over one connection and over many.

    Each is over one transaction of `count` senders.
    """
    senders = range(1, 1 + count)
    return {
        "first_contact_in_batches": _measure(node, prepared, senders, gap=2, batch=BATCH),
        "in_batches": _measure(node, prepared, senders, gap=3, batch=BATCH),
        "one_by_one": _measure(node, prepared, senders, gap=4, batch=1),
        "one_by_one_over_connections": {
            "connections": CONNECTIONS,
            **_measure(node, prepared, senders, gap=5, batch=1, connections=CONNECTIONS),
        },
    }


def _measure(
    node: RunningNode,
    prepared: Prepared,
    senders: range,
    *,
    gap: int,
    batch: int,
    connections: int = 1,
) -> dict[str, Any]:  # a JSON object
    """`gap` is how far above its sender's next nonce a transaction stands."""
    to = prepared.senders[0].address
    raws = [prepared.senders[index].transfer(gap, to, 1) for index in senders]
    bodies = [encode_submissions(raws[at : at + batch]) for at in range(0, len(raws), batch)]
    before, started_at = node.usage(), time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        shares = [bodies[first::connections] for first in range(connections)]
        answers = [each for sent in pool.map(partial(_send, node.url), shares) for each in sent]
    seconds = time.perf_counter() - started_at
    cpu = cpu_between(before, node.usage())
    refused = next((answer for answer in answers if b'"error"' in answer), None)
    if refused is not None:
        raise RuntimeError(f"refused: {refused[:300].decode()}")
    total = sum(cpu.values())
    return {
        "transactions": len(raws),
        "per_second": round(len(raws) / seconds),
        "per_processor_second": round(len(raws) / total) if total else None,
        "cpu_microseconds_each": {
            name: round(used / len(raws) * 1e6) for name, used in cpu.items()
        },
    }


def _send(url: str, bodies: Sequence[bytes]) -> list[bytes]:
    """The answers to bodies that one connection sends, each after the answer to the one before."""
    client = Client(url)
    answers = [client.post_bytes(body) for body in bodies]
    client.close()
    return answers
