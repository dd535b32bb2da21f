"""The worker: every outcome, every branch of the error tree, and a death in between."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.errors import (
    EntryNotPending,
    HandlerMissing,
    NodeUnavailable,
    PaymentDuplicate,
)
from bridge.store import EffectRow, EffectState, Store
from bridge.store.effects import Lane
from bridge.worker import (
    BACKOFF_SECONDS_MAX,
    FAULTS_MAX,
    LEASE_SECONDS,
    Abandon,
    Done,
    Outcome,
    Retry,
    Worker,
    backoff_seconds,
    listen,
)
from support.bridge_records import NOW, effect, open_store
from support.clock import Clock


@dataclass
class Handler:
    """Answers with what it was given, in turn, the last one for ever; raises exceptions."""

    answers: list[Outcome | BaseException]
    seen: list[EffectRow] = field(default_factory=list)

    def __call__(self, row: EffectRow) -> Outcome:
        self.seen.append(row)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Bench:
    """A store, a clock and a worker with one handler."""

    store: Store
    clock: Clock
    handler: Handler
    worker: Worker

    def add(self, key: str) -> None:
        with self.store.unit_of_work() as work:
            work.effects.add(effect(key))

    def count(self, state: EffectState) -> int:
        with self.store.reading() as work:
            return work.effects.count(state)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store, clock, handler = open_store(tmp_path), Clock(NOW), Handler([Done()])
    yield Bench(store, clock, handler, Worker(store, {"send": handler}, clock, "worker"))
    store.close()


def test_a_due_effect_is_done_once(bench: Bench) -> None:
    bench.add("a")
    assert bench.worker.step()
    assert not bench.worker.step()
    assert [each.key for each in bench.handler.seen] == ["a"]
    assert bench.count(EffectState.DONE) == 1


def test_the_handler_runs_outside_any_unit_of_work(bench: Bench) -> None:
    """OUT-4."""

    def write(_: EffectRow) -> Outcome:
        with bench.store.unit_of_work() as work:
            work.effects.add(effect("b"))
        return Done()

    bench.add("a")
    assert Worker(bench.store, {"send": write}, bench.clock, "other").step()
    assert bench.count(EffectState.WAITING) == 1


def test_an_effect_that_has_to_wait_comes_again(bench: Bench) -> None:
    bench.handler.answers = [Retry(5, "not yet"), Done()]
    bench.add("a")
    assert bench.worker.step()
    bench.clock.now += 4
    assert not bench.worker.step()
    bench.clock.now += 1
    assert bench.worker.step()
    assert bench.count(EffectState.DONE) == 1


def test_an_abandoned_effect_is_kept_with_its_reason(bench: Bench) -> None:
    bench.handler.answers = [Abandon("never")]
    bench.add("a")
    bench.worker.step()
    with bench.store.reading() as work:
        assert [each.error for each in work.effects.dead(10)] == ["never"]


def test_what_is_unavailable_is_tried_again_with_growing_pauses(bench: Bench) -> None:
    """OUT-5."""
    bench.handler.answers = [NodeUnavailable("eth_call", "connection refused"), Done()]
    bench.handler.answers[:1] *= 3
    bench.add("a")
    for pause in (1, 2, 4):
        assert bench.worker.step()
        bench.clock.now += pause - 1
        assert not bench.worker.step()
        bench.clock.now += 1
    assert bench.worker.step()
    assert bench.count(EffectState.DONE) == 1


@pytest.mark.parametrize(
    ("attempts", "pause"), [(1, 1), (2, 2), (6, 32), (7, 60), (8, 60), (10_000, 60)]
)
def test_pauses_double_up_to_their_limit(attempts: int, pause: int) -> None:
    assert backoff_seconds(attempts) == pause
    assert pause <= BACKOFF_SECONDS_MAX


def test_what_is_unavailable_is_never_given_up(bench: Bench) -> None:
    fault = NodeUnavailable("eth_call", "connection refused")
    bench.handler.answers = [fault]
    row = EffectRow(1, "send", "a", {}, None, attempts=1_000_000)
    assert bench.worker._do(row) == Retry(BACKOFF_SECONDS_MAX, str(fault))


def test_what_is_rejected_is_abandoned(bench: Bench) -> None:
    """OUT-5."""
    bench.handler.answers = [PaymentDuplicate("uetr")]
    bench.add("a")
    bench.worker.step()
    assert bench.count(EffectState.DEAD) == 1


def test_a_broken_invariant_stops_the_worker_and_keeps_the_effect(bench: Bench) -> None:
    """OUT-5."""
    bench.handler.answers = [EntryNotPending("entry")]
    bench.add("a")
    with pytest.raises(EntryNotPending):
        bench.worker.run(threading.Event())
    assert bench.count(EffectState.CLAIMED) == 1


def test_an_effect_that_keeps_failing_unforeseen_is_abandoned_and_the_others_are_done(
    bench: Bench,
) -> None:
    """OUT-5."""

    def handle(row: EffectRow) -> Outcome:
        if row.key == "poisoned":
            raise ValueError("a bug")
        return Done()

    worker = Worker(bench.store, {"send": handle}, bench.clock, "worker")
    bench.add("poisoned")
    bench.add("a")
    for _ in range(FAULTS_MAX):
        while worker.step():
            pass
        bench.clock.now += BACKOFF_SECONDS_MAX
    assert bench.count(EffectState.DONE) == 1
    with bench.store.reading() as work:
        assert [each.error for each in work.effects.dead(10)] == ["ValueError: a bug"]


def test_a_worker_leaves_alone_what_is_not_in_its_lane(bench: Bench) -> None:
    """OUT-7."""
    lane = Lane(leaves=frozenset({"send"}))
    worker = Worker(bench.store, {"send": bench.handler, "sign": bench.handler}, bench.clock, "x")
    settling = Worker(bench.store, {"sign": bench.handler}, bench.clock, "settling", lane)
    bench.add("a")
    assert not settling.step()
    with bench.store.unit_of_work() as work:
        work.effects.add(effect("b", kind="sign"))
    assert settling.step()
    assert [each.key for each in bench.handler.seen] == ["b"]
    assert worker.step()


def test_an_effect_nobody_can_do_stops_the_worker(bench: Bench) -> None:
    with bench.store.unit_of_work() as work:
        work.effects.add(effect("a", kind="unheard of"))
    with pytest.raises(HandlerMissing):
        bench.worker.step()


def test_an_effect_whose_worker_died_is_done_by_another(bench: Bench) -> None:
    """OUT-4."""
    bench.handler.answers = [KeyboardInterrupt(), Done()]
    bench.add("a")
    with pytest.raises(KeyboardInterrupt):
        bench.worker.step()
    other = Worker(bench.store, {"send": bench.handler}, bench.clock, "other")
    assert not other.step()
    bench.clock.now += LEASE_SECONDS
    assert other.step()
    assert [each.attempts for each in bench.handler.seen] == [1, 2]
    assert bench.count(EffectState.DONE) == 1


def test_a_running_worker_does_new_effects_at_once_and_stops_when_told(bench: Bench) -> None:
    stop, seen = threading.Event(), threading.Event()

    def handle(_: EffectRow) -> Outcome:
        seen.set()
        return Done()

    worker = Worker(bench.store, {"send": handle}, bench.clock, "running")
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    bench.add("a")
    assert seen.wait(5)
    stop.set()
    worker.wake()
    thread.join(5)
    assert not thread.is_alive()


def test_effects_of_another_process_wake_the_workers_of_this_one(tmp_path: Path) -> None:
    here, there = open_store(tmp_path), Store.open(tmp_path / "bridge.sqlite")
    woken, over = threading.Event(), threading.Event()
    listener = threading.Thread(target=listen, args=(here, (woken.set,), over))
    listener.start()
    with there.unit_of_work() as work:
        work.effects.add(effect("a"))
    assert woken.wait(30)
    over.set()
    listener.join(30)
    assert not listener.is_alive()
    here.close()
    there.close()
