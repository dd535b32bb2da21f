"""Four validators under faults drawn from a seed: nothing is decided twice, nothing is lost, they go on by themselves.

Transactions flow to random nodes while nodes are killed, stopped, paused and started again, engines killed, links cut
and write-ahead logs cut short. Two nodes may be away at a time, so agreement itself is lost now and then. The faults of
a seed are always the same and in the same order; how far they come in their time is the machine's.
Cites docs/spec/node.md: N-30, N-132, N-149, N-151, N-176, N-181.
"""

from __future__ import annotations

import contextlib
import functools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Final

import httpx
import pytest

from support.engine_binary import engine_binary
from support.full_run import IS_FULL
from support.node_process import RpcRefused
from support.settlement_network import ALPHA, BETA, MAKER, OPERATOR
from support.validator_network import HOUSES
from support.validator_processes import (
    Sender,
    ValidatorNetwork,
    await_that,
    hash_of,
    make_network,
    running_network,
    send,
)

pytestmark = pytest.mark.slow

SEEDS: Final = (1, 2, 3, 4, 5) if IS_FULL else (1,)
FAULTS_SECONDS: Final = 70
"""With the start and the mending a seed takes a minute and a half."""
PAUSE_SECONDS: Final = 0.2, 1.5
"""The least and the longest time between two faults."""

AWAY_MAX: Final = 2
"""Nodes that are down or paused at a time: with two of four no block is made."""

SEVERED_MAX: Final = 3
"""Of the six links, how many are cut at a time."""

ENGINE_KILLS_MAX: Final = 3
"""How often the engine of one life of a node is killed; at the fifth the node would give it up, as it should."""

CLOCK_SKEW_MAX_SECONDS: Final = 4
"""So short that a block whose nodes were away in the middle of it is old when they are back."""

WAL_BYTES_LOST_MAX: Final = 20_000
MENDING_WEIGHT: Final = 3
"""How much likelier a mending is than each kind of fault."""

SENDERS: Final = (ALPHA, BETA, MAKER, *HOUSES[:3])
SEND_SECONDS: Final = 0.1, 0.8
"""The least and the longest time between two transactions of one sender."""

ANSWER_SECONDS_MAX: Final = 2
"""How long a sender waits for a node that may be paused, before it tries another."""


Act = functools.partial[None]


@dataclass(slots=True)
class Faults:
    """What is broken just now, and the next thing to break or mend."""

    network: ValidatorNetwork
    rng: random.Random
    down: set[int] = field(default_factory=set)
    paused: set[int] = field(default_factory=set)
    severed: set[tuple[int, int]] = field(default_factory=set)
    engine_kills: Counter[int] = field(default_factory=Counter)

    def act(self) -> None:
        """One fault, or one mending."""
        self._check_alive()
        kinds = [acts for acts in self._possible() if acts]
        mends = (self.start, self.resume, self.mend)
        weights = [MENDING_WEIGHT if acts[0].func in mends else 1 for acts in kinds]
        (kind,) = self.rng.choices(kinds, weights)
        act = self.rng.choice(kind)
        tell(f"{act.func.__name__} {act.args}")
        act()

    def mend_all(self) -> None:
        """Everything runs and is connected again."""
        self.resume_all()
        for link in sorted(self.severed):
            self.mend(link)
        self._check_alive()
        self.network.start([self.network.validators[place] for place in sorted(self.down)])
        self.down.clear()

    def resume_all(self) -> None:
        """Nothing stands still any more."""
        for place in sorted(self.paused):
            self.resume(place)

    def kill(self, place: int) -> None:
        """Core and engine at once."""
        self.network.validators[place].kill()
        self.down.add(place)

    def kill_core(self, place: int) -> None:
        """The core; its engine is to end by itself."""
        self.network.validators[place].running.kill()
        self.down.add(place)

    def kill_engine(self, place: int) -> None:
        """The engine; its core is to start it again."""
        self.network.validators[place].kill_engine()
        self.engine_kills[place] += 1

    def stop(self, place: int) -> None:
        """In order."""
        self.network.validators[place].stop()
        self.down.add(place)

    def shorten_log(self, place: int) -> None:
        """The engine's write-ahead log loses its end."""
        log = self.network.validators[place].data / "engine/data/cs.wal/wal"
        size = log.stat().st_size - self.rng.randrange(1, WAL_BYTES_LOST_MAX)
        with log.open("rb+") as file:
            file.truncate(max(0, size))

    def start(self, place: int) -> None:
        """Starts a node again."""
        self.network.validators[place].start()
        self.engine_kills[place] = 0
        self.down.discard(place)

    def pause(self, place: int) -> None:
        """A node stands still."""
        self.network.validators[place].pause()
        self.paused.add(place)

    def resume(self, place: int) -> None:
        """It goes on."""
        self.network.validators[place].resume()
        self.paused.discard(place)

    def cut(self, pair: tuple[int, int]) -> None:
        """Two nodes cannot reach each other."""
        for link in self.network.links[frozenset(pair)]:
            link.cut()
        self.severed.add(pair)

    def mend(self, pair: tuple[int, int]) -> None:
        """They can again."""
        for link in self.network.links[frozenset(pair)]:
            link.mend()
        self.severed.discard(pair)

    def _possible(self) -> list[list[Act]]:
        """What can be done now, kind by kind."""
        places = range(len(self.network.validators))
        up = [place for place in places if place not in self.down | self.paused]
        may_go = up if len(self.down | self.paused) < AWAY_MAX else []
        whole = [pair for pair in combinations(places, 2) if pair not in self.severed]
        return [
            *([Act(go, place) for place in may_go] for go in (self.kill, self.kill_core)),
            *([Act(go, place) for place in may_go] for go in (self.stop, self.pause)),
            [Act(self.kill_engine, at) for at in up if self.engine_kills[at] < ENGINE_KILLS_MAX],
            [Act(self.shorten_log, place) for place in sorted(self.down)],
            [Act(self.start, place) for place in sorted(self.down)],
            [Act(self.resume, place) for place in sorted(self.paused)],
            [Act(self.cut, pair) for pair in whole if len(self.severed) < SEVERED_MAX],
            [Act(self.mend, pair) for pair in sorted(self.severed)],
        ]

    def _check_alive(self) -> None:
        """No node has ended that nobody ended."""
        for place, each in enumerate(self.network.validators):
            if place not in self.down:
                assert each.running.process.poll() is None, each.log.read_text()[-2_000:]


class Traffic:
    """Transactions of several participants to random nodes, until it is ended."""

    def __init__(self, network: ValidatorNetwork, seed: int) -> None:
        self._network = network
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._send_all,
                args=(Sender(each.operating), random.Random(f"{each.name} {seed}")),
            )
            for each in SENDERS
        ]
        self.taken: list[str] = []
        """Hashes of what a node took, and so must not lose."""

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """It flows for as long as the context lasts."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join()

    def _send_all(self, sender: Sender, rng: random.Random) -> None:
        """One after the other, each to one node after another until one takes it."""
        while not self._stopping.is_set():
            raw = sender.next_raw(data=rng.randbytes(8))
            while not self._stopping.wait(rng.uniform(*SEND_SECONDS)):
                node = rng.choice(self._network.validators).running
                with contextlib.suppress(httpx.HTTPError, RpcRefused):
                    send(replace(node, answer_seconds_max=ANSWER_SECONDS_MAX), raw)
                    self.taken.append(hash_of(raw))
                    break


def tell(text: str) -> None:
    """For who reads why the test failed."""
    print(f"{time.strftime('%X')} {text}")  # noqa: T201 - shown with a failure


@pytest.mark.parametrize("seed", SEEDS)
def test_validators_agree_and_lose_nothing_whatever_befalls_them(seed: int, tmp_path: Path) -> None:
    """N-30, N-132, N-149, N-151, N-176, N-181."""
    engine_binary()
    made = make_network(tmp_path, with_links=True, clock_skew_max_seconds=CLOCK_SKEW_MAX_SECONDS)
    with running_network(made) as network:
        faults = Faults(network, random.Random(seed))
        traffic = Traffic(network, seed)
        deadline = time.monotonic() + FAULTS_SECONDS
        try:
            with traffic.flowing():
                while time.monotonic() < deadline:
                    faults.act()
                    time.sleep(faults.rng.uniform(*PAUSE_SECONDS))
                faults.mend_all()
        finally:
            faults.resume_all()
        begun = time.monotonic()
        network.await_receipt(
            send(network.validators[0].running, Sender(OPERATOR.operating).next_raw())
        )
        tell(f"final {time.monotonic() - begun:.1f} s after the last repair")
        for each in network.validators:
            await_that(
                "all that was taken is final", functools.partial(each.has_all, traffic.taken)
            )
        network.check_agreement()
        decided = network.decided()
        assert [height for height, found in decided.items() if len(found) != 1] == []
        assert not any(each.events("validator_misbehaved") for each in network.validators)
        tell(f"{len(traffic.taken)} transactions in {len(decided)} heights")
