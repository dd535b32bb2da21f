"""One process at a time follows the chain and works off effects; others stand by.

    standing by --the lease is free--> leading --the lease is lost, or the process ends--> standing by

The leader renews its lease every second. When it stops doing so, another leads within
`LEASE_SECONDS`; at once where it can see that the leader's process is gone. Every unit of work of a
leading thread checks the lease it leads under in the same transaction: a process that stood still and
was replaced writes nothing any more, whatever it had in hand. What it sent was kept before, and is sent
again unchanged.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bridge.errors import LeaseLost, Unavailable
from bridge.store import Lease, Store, UnitOfWork
from bridge.telemetry import get_logger

LEASE_SECONDS: Final = 5
"""How long after its last sign of life a leader is replaced."""

RENEW_SECONDS: Final = 1
"""How often a leader shows that it lives."""

STAND_BY_SECONDS: Final = 0.2
"""How often somebody who stands by looks whether the lease is free."""

LEADING: Final = "leading"
"""Name of the lease."""

END_SECONDS_MAX: Final = 10
"""How long the threads of a term are waited for; one that hangs longer is fenced off all the same."""


@dataclass(frozen=True, slots=True)
class Duties:
    """What a leader does for one term, by the names of the threads: each loop runs until its event is set.

    `wakes` have loops that sleep look at it.
    """

    loops: Mapping[str, Callable[[threading.Event], None]]
    wakes: tuple[Callable[[], None], ...] = ()


class Leadership:
    """A process's candidacy, and its terms.

    `taken_over` is called in the unit of work that takes the lease. `guard` runs a loop of a thread and sees to
    what it raises.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        taken_over: Callable[[UnitOfWork], None],
        guard: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._taken_over = taken_over
        self._guard = guard
        self._is_leading = threading.Event()

    @property
    def is_leading(self) -> bool:
        """Whether this process leads, as far as it knows."""
        return self._is_leading.is_set()

    def run(self, duties: Callable[[], Duties], stop: threading.Event) -> None:
        """Stand by and lead, in turns, until `stop` is set."""
        while not stop.is_set():
            lease = self._campaign()
            if lease is None:
                stop.wait(STAND_BY_SECONDS)
            else:
                self._lead(lease, duties(), stop)

    def _campaign(self) -> Lease | None:
        """The lease, if it is free; looking whether it is writes nothing."""
        now = self._clock()
        try:
            with self._store.reading() as work:
                holder = work.leases.holder(LEADING, now=now)
            if holder is not None and not is_gone(holder.owner):
                return None
            with self._store.unit_of_work() as work:
                lease = work.leases.take(
                    LEADING, own_name(), now=now, seconds=LEASE_SECONDS, instead_of=holder
                )
                if lease is not None:
                    self._taken_over(work)
        except Unavailable:
            return None
        return lease

    def _lead(self, lease: Lease, duties: Duties, stop: threading.Event) -> None:
        get_logger().info("leading", epoch=lease.epoch)
        over = threading.Event()
        threads = [
            threading.Thread(target=self._do, args=(lease, name, loop, over), name=name)
            for name, loop in duties.loops.items()
        ]
        self._is_leading.set()
        for thread in threads:
            thread.start()
        try:
            self._hold(lease, stop)
        finally:
            self._is_leading.clear()
            over.set()
            for wake in duties.wakes:
                wake()
            for thread in threads:
                thread.join(END_SECONDS_MAX)
            self._give_back(lease)
            get_logger().info("not_leading", epoch=lease.epoch)

    def _do(
        self,
        lease: Lease,
        name: str,
        loop: Callable[[threading.Event], None],
        over: threading.Event,
    ) -> None:
        def work() -> None:
            try:
                loop(over)
            except LeaseLost:  # the next renewal finds it too, and ends the term
                get_logger().warning("term_lost", thread=name, epoch=lease.epoch)

        with self._store.under(lease):
            self._guard(name, work)

    def _hold(self, lease: Lease, stop: threading.Event) -> None:
        """Renew the lease until the process ends, or another has it, or nobody can tell."""
        renewed_at = time.monotonic_ns()
        while not stop.wait(RENEW_SECONDS):
            try:
                with self._store.unit_of_work() as work:
                    work.leases.renew(lease, now=self._clock(), seconds=LEASE_SECONDS)
                renewed_at = time.monotonic_ns()
            except LeaseLost:
                return
            except Unavailable:
                if time.monotonic_ns() - renewed_at > LEASE_SECONDS * 10**9:
                    return

    def _give_back(self, lease: Lease) -> None:
        try:
            with self._store.unit_of_work() as work:
                work.leases.release(lease, now=self._clock())
        except Unavailable:
            return  # it is another's by now, or runs out by itself


def run_once_set(
    event: threading.Event, loop: Callable[[threading.Event], None], over: threading.Event
) -> None:
    """Run a loop of a term once `event` is set."""
    while not event.wait(STAND_BY_SECONDS):
        if over.is_set():
            return
    loop(over)


@cache
def own_name() -> str:
    """What tells this process from every other one: machine, process namespace, number, start."""
    pid = os.getpid()
    return f"{_place()}/{pid}/{_started(pid)}"


def is_gone(owner: str) -> bool:
    """Whether this machine can see that the process of this name has ended."""
    place, _, process = owner.partition("/")
    number, _, started = process.partition("/")
    if place != _place() or not number.isdecimal():
        return False
    return _started(int(number)) != started


@cache
def _place() -> str:
    """Where process numbers mean the same; unknown where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"unknown:{os.urandom(8).hex()}"


def _started(pid: int) -> str:
    """When a process started, in the system's ticks; nothing for one that is not there, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
