"""How long a search for logs takes over the whole prepared history."""

import time
from typing import Any, Final

from benchmark.prepared import TOKEN, TRANSFER_TOPIC, Prepared
from benchmark.running import Client, RunningNode
from benchmark.transfers import percentiles

REPEATS: Final = 50
REPEATS_DENSE: Final = 3


def measure_logs(node: RunningNode, prepared: Prepared) -> dict[str, Any]:  # a JSON object
    """By address and topics over every block of the history: few matches, and all of them."""
    client = Client(node.url)
    payee = prepared.senders[1].address
    selective = [f"0x{TRANSFER_TOPIC.hex()}", None, f"0x{payee.rjust(32, bytes(1)).hex()}"]
    figures = {
        "blocks": prepared.history_blocks,
        "address_and_payee": _measure(client, prepared, selective, REPEATS),
        "address_and_event": _measure(client, prepared, selective[:1], REPEATS_DENSE),
    }
    client.close()
    return figures


def _measure(
    client: Client, prepared: Prepared, topics: list[str | None], repeats: int
) -> dict[str, Any]:  # a JSON object
    query = {
        "address": f"0x{TOKEN.hex()}",
        "topics": topics,
        "fromBlock": "0x1",
        "toBlock": hex(prepared.history_blocks),
    }
    found, seconds = 0, []
    for _ in range(repeats):
        started_at = time.perf_counter()
        found = len(client.call("eth_getLogs", query))
        seconds.append(time.perf_counter() - started_at)
    return {"found": found, "milliseconds": percentiles(seconds)}
