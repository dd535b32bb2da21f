"""One process leads at a time, and one that was replaced writes nothing any more.

Cites docs/spec/ledger.md: STO-12, STO-13.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from queue import Empty, Queue

import pytest

from bridge.errors import LeaseLost
from bridge.leadership import LEADING, LEASE_SECONDS, Duties, Leadership, is_gone, own_name
from bridge.store import Lease, Store
from support.bridge_records import NOW, effect
from support.databases import Databases

SECONDS_MAX = 30


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    with closing(Store.open(databases.place())) as opened:
        yield opened


def take(store: Store, owner: str, now: int, instead_of: Lease | None = None) -> Lease | None:
    with store.unit_of_work() as work:
        return work.leases.take(
            LEADING, owner, now=now, seconds=LEASE_SECONDS, instead_of=instead_of
        )


def taken(store: Store, owner: str, now: int, instead_of: Lease | None = None) -> Lease:
    lease = take(store, owner, now, instead_of)
    assert lease is not None
    return lease


def write(store: Store, key: str) -> None:
    with store.unit_of_work() as work:
        work.effects.add(effect(key))


def is_written(store: Store, key: str) -> bool:
    with store.reading() as work:
        return work.effects.has(key)


def test_a_lease_is_held_by_one_until_it_runs_out(store: Store) -> None:
    """STO-12."""
    first = taken(store, "one", NOW)
    assert take(store, "two", NOW + LEASE_SECONDS - 1) is None
    with store.unit_of_work() as work:
        work.leases.renew(first, now=NOW + 4, seconds=LEASE_SECONDS)
    assert take(store, "two", NOW + LEASE_SECONDS) is None
    second = taken(store, "two", NOW + 4 + LEASE_SECONDS)
    assert (first.epoch, second.epoch) == (1, 2)
    with store.reading() as work:
        assert work.leases.holder(LEADING, now=NOW + 10) == second
        assert work.leases.holder(LEADING, now=NOW + 60) is None


def test_a_lease_that_was_given_back_is_free_at_once(store: Store) -> None:
    first = taken(store, "one", NOW)
    with store.unit_of_work() as work:
        work.leases.release(first, now=NOW)
    assert taken(store, "two", NOW).epoch == 2


def test_who_is_gone_is_not_waited_for_and_only_that_one(store: Store) -> None:
    """STO-12."""
    first = taken(store, "one", NOW)
    second = taken(store, "two", NOW, instead_of=first)
    assert take(store, "three", NOW, instead_of=first) is None
    assert second.epoch == 2


def test_a_lease_that_was_lost_renews_and_ends_nothing(store: Store) -> None:
    first = taken(store, "one", NOW)
    taken(store, "two", NOW + LEASE_SECONDS)
    with pytest.raises(LeaseLost), store.unit_of_work() as work:
        work.leases.renew(first, now=NOW, seconds=LEASE_SECONDS)
    with pytest.raises(LeaseLost), store.unit_of_work() as work:
        work.leases.release(first, now=NOW)
    assert take(store, "three", NOW + LEASE_SECONDS) is None


def test_who_was_replaced_writes_nothing_whatever_it_had_in_hand(
    store: Store, databases: Databases
) -> None:
    """STO-13."""
    first = taken(store, "one", NOW)
    with store.under(first):
        write(store, "while leading")
        with closing(Store.open(databases.place())) as elsewhere:
            taken(elsewhere, "two", NOW + LEASE_SECONDS)
        with pytest.raises(LeaseLost):
            write(store, "afterwards")
    write(store, "by nobody's lease")
    assert [is_written(store, key) for key in ("while leading", "afterwards")] == [True, False]


def test_only_the_threads_of_a_term_are_bound_to_its_lease(store: Store) -> None:
    """STO-13. Requests of customers are served by whichever process."""
    first = taken(store, "one", NOW)
    taken(store, "two", NOW + LEASE_SECONDS)
    with store.under(first):
        other = threading.Thread(target=write, args=(store, "a request"))
        other.start()
        other.join(SECONDS_MAX)
    assert is_written(store, "a request")


class Candidate:
    """A process that would lead, as a thread; it writes whatever it is told to while it leads."""

    def __init__(self, store: Store, taken_over: Callable[[], None] = lambda: None) -> None:
        self.store, self.to_write = store, Queue[str]()
        self.began, self.stop, self.faults = threading.Event(), threading.Event(), list[Exception]()
        self.leadership = Leadership(store, lambda: NOW, lambda _: taken_over(), self.guard)
        self.thread = threading.Thread(
            target=self.leadership.run, args=(lambda: Duties({"duty": self.duty}), self.stop)
        )
        self.thread.start()

    def duty(self, over: threading.Event) -> None:
        self.began.set()
        while not over.is_set():
            with suppress(Empty):
                write(self.store, self.to_write.get(timeout=0.01))

    def guard(self, _: str, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:  # noqa: BLE001 - what it was is what the test asks
            self.faults.append(error)

    def await_end_of_term(self) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while self.leadership.is_leading:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(SECONDS_MAX)
        assert not self.thread.is_alive()
        assert self.faults == []


def replaced_leader(store: Store) -> tuple[Candidate, Lease]:
    """One that leads, as far as it knows, and the lease that was taken from it."""
    first = Candidate(store)
    assert first.began.wait(SECONDS_MAX)
    with store.reading() as work:
        holder = work.leases.holder(LEADING, now=NOW)
    assert holder is not None
    return first, taken(store, own_name(), NOW, instead_of=holder)


def test_the_next_leads_when_the_leader_ends_and_takes_over_what_it_had(
    store: Store, databases: Databases
) -> None:
    """STO-12."""
    taken_over: list[str] = []
    with closing(Store.open(databases.place())) as elsewhere:
        first = Candidate(store, lambda: taken_over.append("first"))
        assert first.began.wait(SECONDS_MAX)
        second = Candidate(elsewhere, lambda: taken_over.append("second"))
        assert not second.leadership.is_leading
        first.end()
        assert second.began.wait(SECONDS_MAX)
        assert not first.leadership.is_leading
        second.end()
    assert taken_over == ["first", "second"]


def test_a_leader_that_was_replaced_ends_its_term(store: Store) -> None:
    """STO-13."""
    first, thief = replaced_leader(store)
    first.began.clear()
    first.await_end_of_term()
    with store.unit_of_work() as work:
        work.leases.check(thief)
    first.end()


def test_a_duty_that_finds_its_lease_lost_does_not_end_the_process(store: Store) -> None:
    """STO-13."""
    first, thief = replaced_leader(store)
    first.to_write.put("afterwards")
    first.await_end_of_term()
    assert not is_written(store, "afterwards")
    first.began.clear()
    with store.unit_of_work() as work:
        work.leases.release(thief, now=NOW)
    assert first.began.wait(SECONDS_MAX)
    first.end()


def test_a_process_sees_which_others_on_its_machine_are_gone() -> None:
    assert not is_gone(own_name())
    program = "from bridge.leadership import own_name; print(own_name(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not is_gone(name)
        process.kill()
        process.wait()
        assert is_gone(name)
    place, _, _ = own_name().partition("/")
    assert is_gone(f"{place}/{os.getpid()}/1"), "another process had this number"
    assert not is_gone(f"elsewhere/{os.getpid()}/1"), "nobody can tell from here"
