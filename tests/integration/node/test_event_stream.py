"""Node and consumer are killed at random while transactions with logs flow: no event lost, none twice, one order.

`EVENT_STREAM_SECONDS` says how long the killing goes on at least (15 by default), `EVENT_STREAM_SEED` which kills they
are.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from node import genesis
from node.chain import Chain
from node.consensus.application import Application, encode_time_record
from node.engine import PyEvmEngine
from node.events import EventSelection
from node.history import History, LogPlace
from node.permissions import Permissions
from node.primitives import Hash32
from node.rpc.codec.events import format_event
from node.store import ChainStore, MemoryState
from support.core import MovableClock
from support.event_consumer import Entry, entries, entry_of
from support.log_source import LOGS_PER_CALL, SENDER, deployment, emission, make_development_genesis
from support.node_process import ROOT, NodeProcess, RpcRefused, free_port, start_node

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECONDS: Final = float(os.environ.get("EVENT_STREAM_SECONDS", "15"))
SEED: Final = int(os.environ.get("EVENT_STREAM_SEED", "20261125"))

BATCH: Final = 8
BLOCKS_PER_QUERY: Final = 500
CATCH_UP_SECONDS_MAX: Final = 60
RPC_KILLS_MAX: Final = 3
"""Of one core: it ends when five RPC processes fail in a row."""
KILLED: Final = frozenset({"core", "consumer"})
INCLUDED_MIN: Final = 11
"""Transactions, of which the first makes the contract that logs. However slow a machine is, the killing goes on until
there are so many and each of `KILLED` was killed."""


class Sender:
    """Sends transactions with logs, whatever becomes of the node."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.included = 0
        """How many of its transactions were in blocks when it last looked."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Returns once nothing more is sent."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=5) as client:
            while not self._stopping.is_set():
                try:
                    self._send(client)
                except (httpx.HTTPError, KeyError, ValueError):
                    self._stopping.wait(0.05)

    def _send(self, client: httpx.Client) -> None:
        """A few transactions from where the chain stands; those that it knows already are refused, and that is well."""
        sender = "0x" + SENDER.address.hex()
        first = int(self._call(client, "eth_getTransactionCount", sender, "latest")["result"], 16)
        self.included = first
        for nonce in range(first, first + BATCH):
            raw = emission(nonce) if nonce else deployment()
            self._call(client, "eth_sendRawTransaction", "0x" + raw.hex())

    def _call(self, client: httpx.Client, method: str, *params: str) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer: dict[str, Any] = client.post(self.url, json=request).json()
        return answer


class Street:
    """A node and a consumer that can be killed and come back."""

    def __init__(self, directory: Path) -> None:
        self.genesis = make_development_genesis(directory)
        self.data = directory / "data"
        self.books = directory / "books.sqlite"
        self.port = free_port()
        self.node: NodeProcess = start_node(self.genesis, self.data, self.port)
        self.consumer = self._start_consumer()
        self.rpc_kills = 0
        self.kills: list[str] = []

    def kill_one(self, chance: random.Random) -> None:
        """Kills the core, an RPC process or the consumer, and starts again what does not do so by itself."""
        victim = chance.choice(["core", "rpc", "consumer"])
        if victim == "rpc" and self.rpc_kills < RPC_KILLS_MAX:
            self.rpc_kills += 1
            for child in children_of(self.node.process.pid):
                os.kill(child, signal.SIGKILL)
        elif victim == "core":
            self.node.kill()
            self.node = start_node(self.genesis, self.data, self.port)
            self.rpc_kills = 0
        else:
            victim = "consumer"
            self.kill_consumer()
            self.consumer = self._start_consumer()
        self.kills.append(victim)

    def has_seen_enough(self, sender: Sender) -> bool:
        """Whether what the test is about has happened: both were killed while transactions came in."""
        return set(self.kills) >= KILLED and sender.included >= INCLUDED_MIN

    def kill_consumer(self) -> None:
        """Ends the consumer with SIGKILL."""
        self.consumer.kill()
        self.consumer.wait(30)

    def _start_consumer(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "support.event_consumer", self.node.url, str(self.books)]
        paths = f"{ROOT / 'tests'}{os.pathsep}{ROOT}"
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    threads = Path(f"/proc/{pid}/task").iterdir() if children.exists() else []
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    opened = Street(tmp_path_factory.mktemp("street"))
    yield opened
    opened.kill_consumer()
    opened.node.stop()


def logs_of(node: NodeProcess) -> list[Entry]:
    """Every log of the chain, as `eth_getLogs` gives them from genesis on."""
    found: list[Entry] = []
    head = node.head()[0]
    for first in range(0, head + 1, BLOCKS_PER_QUERY):
        bounds = {"fromBlock": hex(first), "toBlock": hex(min(first + BLOCKS_PER_QUERY - 1, head))}
        found += [entry_of(log) for log in node.rpc("eth_getLogs", bounds)]
    return found


def await_rest(node: NodeProcess) -> None:
    """Waits until every transaction that was taken is in a block."""
    sender = "0x" + SENDER.address.hex()
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while True:
        try:
            counts = [
                node.rpc("eth_getTransactionCount", sender, each) for each in ("latest", "pending")
            ]
        except (httpx.HTTPError, RpcRefused):
            counts = [0, 1]
        if counts[0] == counts[1]:
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def await_books(file: Path, count: int) -> list[Entry]:
    """What the consumer booked, once it is so much."""
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while len(booked := entries(file)) < count:
        assert time.monotonic() < deadline, f"{len(booked)} of {count} events came"
        time.sleep(0.1)
    return booked


def test_no_event_is_lost_and_none_comes_twice_whoever_is_killed(street: Street) -> None:
    """N-81, N-89."""
    chance = random.Random(SEED)
    sender = Sender(street.node.url)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or not street.has_seen_enough(sender):
        time.sleep(chance.uniform(0.1, 1.2))
        street.kill_one(chance)
    sender.stop()
    await_rest(street.node)
    expected = logs_of(street.node)
    assert len(expected) >= (INCLUDED_MIN - 1) * LOGS_PER_CALL, (SEED, street.kills)
    booked = await_books(street.books, len(expected))
    assert booked == expected, (SEED, street.kills)
    assert len(set(booked)) == len(booked)


def test_a_node_that_replays_the_chain_gives_the_same_events_with_the_same_cursors(
    street: Street, tmp_path: Path
) -> None:
    """N-80, N-81."""
    expected = []
    cursor: str | None = None
    while True:
        page = street.node.rpc("corridor_getEvents", cursor, 1_000)
        if not page["events"]:
            break
        expected += page["events"]
        cursor = page["next"]
    assert street.node.stop() == 0
    store = ChainStore(street.data / "chain", readonly=True)
    again = ChainStore(tmp_path / "chain")
    try:
        genesis_hash = replay(street.genesis, History(store), again)
        found: list[dict[str, Any]] = []
        after = LogPlace.end_of(0)
        history = History(again)
        while len(found) < len(expected):
            page = history.log_page(EventSelection().query(after, 1_000))
            assert page.examined_to > after
            found += [format_event(record, genesis_hash) for record in page.records]
            after = page.examined_to
    finally:
        store.close()
        again.close()
    assert found == expected


def replay(genesis_file: Path, history: History, store: ChainStore) -> Hash32:
    """Executes the blocks of a chain once more; gives the genesis hash."""
    engine = PyEvmEngine(MemoryState())
    loaded, state = genesis.load(genesis_file.read_bytes(), engine)
    engine.commit(state.handle)
    store.initialise(loaded.header)
    chain = Chain(
        store=store,
        engine=engine,
        specification=loaded.specification,
        permissions=Permissions(engine),
    )
    application = Application(chain, MovableClock())
    for number in range(1, history.head().number + 1):
        block = history.block(number)
        assert block is not None
        entries_of_block = [encode_time_record(block.header.timestamp), *block.transactions]
        application.finalize_block(number, entries_of_block)
        application.commit()
        assert chain.tip.header.hash == block.header.hash
    return loaded.header.hash
