"""`scripts/bench consensus`: four validators on this machine, from a transaction to its finality on all of them.

Each validator is a node as `node network generate` makes it, with a consensus engine of its own. Permissioning is on;
every block is synchronised on all four. Latencies are those of one transfer at a time, sent to the first node and asked
for at all nodes until all have it. Then one validator is killed, then a second, so that nothing can be decided, and
both come back. Throughput is measured with all four, each sender at one node, first bounded, then without any bound.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmark.prepared import (
    BALANCE,
    CHAIN_ID,
    Sender,
    balance_call,
    participant_entry,
    with_token,
)
from benchmark.running import (
    Client,
    RunningNode,
    encode_submissions,
    start_node,
    stop_node,
)
from benchmark.transfers import percentiles
from local_network.ports import free_ports
from node import app, genesis

VALIDATORS: Final = 4
SENDERS: Final = 256
BATCH: Final = 100
OUTSTANDING_MAX: Final = 2_000
POLL_SECONDS: Final = 0.002
SPACING_SECONDS: Final = 0.25
STALLED_SECONDS_MAX: Final = 120
PAUSE_SECONDS: Final = 0.02
REFUSED_PAUSE_SECONDS: Final = 0.1
LOST_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class ConsensusSize:
    """How much is measured."""

    latencies: int
    transfers: int


@dataclass(slots=True)
class Validators:
    """The network under measurement."""

    homes: Path
    names: Sequence[str]
    ports: Sequence[int]
    log: Path
    nodes: dict[int, RunningNode] = field(default_factory=dict)
    nonce_by_sender: dict[int, int] = field(default_factory=dict)

    def start(self, place: int) -> None:
        """Starts one node, or starts it again."""
        config = self.homes / self.names[place] / "node.toml"
        self.nodes[place] = start_node(["--config", str(config)], self.ports[place], self.log)

    def kill(self, place: int) -> None:
        """Kills one node as a power cut would; its engine ends with it."""
        node = self.nodes.pop(place)
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait()

    def stop(self) -> None:
        """Ends all."""
        for node in self.nodes.values():
            stop_node(node)

    def clients(self) -> list[Client]:
        """A connection to each node that runs."""
        return [Client(self.nodes[place].url) for place in sorted(self.nodes)]

    def cpu_seconds(self) -> dict[str, float]:
        """What all processes of a kind have used together."""
        used = {"core": 0.0, "rpc": 0.0, "engine": 0.0}
        for node in self.nodes.values():
            for name, usage in node.usage().items():
                used[name] += usage.cpu_seconds
        return used

    def resident_megabytes(self) -> float:
        """Physical memory of all processes together."""
        usages = [each for node in self.nodes.values() for each in node.usage().values()]
        return round(sum(each.resident_bytes for each in usages) / 1e6, 1)

    def next_transfer(self, index: int) -> bytes:
        """The next signed transfer of a sender, to its neighbour."""
        nonce = self.nonce_by_sender.get(index, 0)
        self.nonce_by_sender[index] = nonce + 1
        return Sender(index).transfer(nonce, Sender((index + 1) % SENDERS).address, 1)


def measure_consensus(size: ConsensusSize, directory: Path) -> dict[str, Any]:  # a JSON object
    """Every figure of a network of four validators."""
    with running_validators(directory) as network:
        clients = network.clients()
        _final_everywhere(network, clients)  # the first block of all
        figures: dict[str, Any] = {"idle": _latencies(network, clients, size.latencies)}
        figures["transfers"] = _measure_transfers(network, clients, size.transfers, OUTSTANDING_MAX)
        figures["flooded"] = _measure_transfers(network, clients, size.transfers, size.transfers)
        figures["after_flood"] = _latencies(network, clients, max(3, size.latencies // 4))
        figures["wrong_balances"] = _wrong_balances(network, clients)
        network.kill(VALIDATORS - 1)
        clients = clients[:-1]
        figures["one_down"] = _latencies(network, clients, size.latencies)
        figures["quorum_lost"] = _lose_and_repair(network, clients)
        return figures


@contextlib.contextmanager
def running_validators(directory: Path) -> Iterator[Validators]:
    """A network of validators that all serve."""
    ports = free_ports(2 * VALIDATORS)
    names = [f"BNCHDE{number:05d}" for number in range(VALIDATORS)]
    homes = directory / "homes"
    network_file = directory / "network.json"
    network_file.write_text(json.dumps(_network(ports[VALIDATORS:])))
    app.generate_network(network_file, homes)
    made = genesis.parse((homes / "genesis.json").read_bytes())
    addresses = [Sender(index).address for index in range(SENDERS)]
    (homes / "genesis.json").write_bytes(genesis.format_genesis(with_token(made, addresses)))
    network = Validators(homes, names, ports[:VALIDATORS], directory / "validators.log")
    try:
        for place in range(VALIDATORS):
            network.start(place)
        yield network
    finally:
        network.stop()


def _latencies(network: Validators, clients: Sequence[Client], count: int) -> dict[str, float]:
    """From submission at the first node until all nodes have the receipt, one at a time on an idle chain."""
    seconds = []
    for _ in range(count):
        time.sleep(SPACING_SECONDS)
        seconds.append(_final_everywhere(network, clients))
    return percentiles(seconds)


def _final_everywhere(network: Validators, clients: Sequence[Client]) -> float:
    raw = network.next_transfer(0)
    started_at = time.perf_counter()
    transaction_hash = clients[0].call("eth_sendRawTransaction", f"0x{raw.hex()}")
    for client in clients:
        _await_receipt(client, transaction_hash)
    return time.perf_counter() - started_at


def _await_receipt(client: Client, transaction_hash: str) -> None:
    deadline = time.monotonic() + STALLED_SECONDS_MAX
    while client.call("eth_getTransactionReceipt", transaction_hash) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no receipt for {STALLED_SECONDS_MAX} s")
        time.sleep(POLL_SECONDS)


def _measure_transfers(
    network: Validators, clients: Sequence[Client], count: int, outstanding_max: int
) -> dict[str, Any]:  # a JSON object
    bodies = _bodies(network, count)
    total = sum(size for _, _, size in bodies)
    before, started_at = network.cpu_seconds(), time.perf_counter()
    refusals, blocks = _send_all(clients, bodies, outstanding_max)
    seconds = time.perf_counter() - started_at
    used = {name: each - before[name] for name, each in network.cpu_seconds().items()}
    return {
        "transfers": total,
        "seconds": round(seconds, 2),
        "transfers_per_second": round(total / seconds, 1),
        "blocks": blocks,
        "batches_sent_again": refusals,
        "cpu_seconds_per_1000": {
            **{name: round(each / total * 1e3, 2) for name, each in used.items()},
            "all": round(sum(used.values()) / total * 1e3, 2),
        },
        "resident_megabytes": network.resident_megabytes(),
    }


def _bodies(network: Validators, count: int) -> list[tuple[int, list[bytes], int]]:
    """Batches with the node that each goes to: a sender's transactions all go to one, in order."""
    bodies = []
    for number in range(count // BATCH):
        place = number % VALIDATORS
        senders = [index for index in range(1, SENDERS) if index % VALIDATORS == place]
        raws = [network.next_transfer(senders[each % len(senders)]) for each in range(BATCH)]
        bodies.append((place, raws, len(raws)))
    return bodies


def _send_all(
    clients: Sequence[Client], bodies: Sequence[tuple[int, list[bytes], int]], outstanding_max: int
) -> tuple[int, int]:
    """Sends until all is in blocks; how often a batch had to be sent again, and how many blocks it took."""
    watcher = clients[0]
    head = first = int(watcher.call("eth_blockNumber"), 16)
    waiting, again, sent, included, refusals = list(bodies), 0.0, 0, 0, 0
    total = sum(size for _, _, size in bodies)
    moved_at = time.monotonic()
    while included < total:
        if waiting and sent - included < outstanding_max and time.monotonic() >= again:
            place, raws, size = waiting[0]
            answer = json.loads(clients[place].post_bytes(encode_submissions(raws)))
            refused = [
                raws[int(each["id"])]
                for each in answer
                if "error" in each and "already known" not in each["error"]["message"]
            ]
            sent += len(raws) - len(refused)
            waiting.pop(0)
            if refused:
                waiting.insert(0, (place, refused, size))
                refusals, again = refusals + 1, time.monotonic() + REFUSED_PAUSE_SECONDS
        newest = int(watcher.call("eth_blockNumber"), 16)
        if newest > head:
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > STALLED_SECONDS_MAX:
            raise RuntimeError(f"no block for {STALLED_SECONDS_MAX} s")
        for number in range(head + 1, newest + 1):
            block = watcher.call("eth_getBlockTransactionCountByNumber", hex(number))
            included += int(block, 16)
        head = newest
        if not waiting or sent - included >= outstanding_max or time.monotonic() < again:
            time.sleep(PAUSE_SECONDS)
    return refusals, head - first


def _lose_and_repair(network: Validators, clients: Sequence[Client]) -> dict[str, float]:
    """Half of the validators are gone for a while; how long after their return a waiting transaction is final."""
    place = VALIDATORS - 2
    network.kill(place)
    raw = network.next_transfer(0)
    transaction_hash = clients[0].call("eth_sendRawTransaction", f"0x{raw.hex()}")
    time.sleep(LOST_SECONDS)
    if clients[0].call("eth_getTransactionReceipt", transaction_hash) is not None:
        raise RuntimeError("half of the validators decided a block")
    started_at = time.perf_counter()
    for each in (place, VALIDATORS - 1):
        network.start(each)
    ready_at = time.perf_counter()
    _await_receipt(clients[0], transaction_hash)
    final_at = time.perf_counter()
    return {
        "seconds_to_start_two_nodes": round(ready_at - started_at, 2),
        "seconds_from_their_readiness_to_the_next_block": round(final_at - ready_at, 2),
    }


def _wrong_balances(network: Validators, clients: Sequence[Client]) -> int:
    """How many of the senders' balances are not what their transfers make them, over all nodes."""
    sent = network.nonce_by_sender
    wrong = 0
    for client in clients:
        for index in range(SENDERS):
            received = sent.get((index - 1) % SENDERS, 0)
            expected = BALANCE - sent.get(index, 0) + received
            answer = client.call("eth_call", balance_call(Sender(index).address), "latest")
            wrong += int(answer, 16) != expected
    return wrong


def _network(peer_ports: Sequence[int]) -> dict[str, Any]:  # a JSON object
    share = SENDERS // VALIDATORS
    senders = [Sender(index) for index in range(SENDERS)]
    participants = []
    for number, port in enumerate(peer_ports):
        entry = participant_entry(number, senders[number * share : (number + 1) * share])
        entry["roles"] = [*entry["roles"], "validator"]
        entry["peer_address"] = f"127.0.0.1:{port}"
        participants.append(entry)
    return {
        "chain_id": CHAIN_ID,
        "genesis_time": int(time.time()) - 60,
        "development": False,
        "transactions_open": False,
        "administrator": "operator",
        "operator": f"0x{senders[0].address.hex()}",
        "block_gas_limit": 30_000_000,
        "transaction_gas_limit": 16_000_000,
        "currencies": [],
        "participants": participants,
    }
