"""Does what the store says must still be done outside, until it is done.

The worker claims due effects under a lease, runs the handler of each outside any database
transaction, and records the outcome. It may die at any point: the lease runs out, or `release_all`
at the next start frees the effect, and it is done again; handlers are written for that.

    Done      it has happened
    Retry     not yet: again after so many seconds, for as long as it takes
    Abandon   it never will: kept as dead, for people to look at

An `Unavailable` from a handler is retried with growing pauses for as long as it takes; a `Rejected`
is abandoned. Anything nobody foresaw is logged as an error and retried `FAULTS_MAX` times, then
abandoned: one effect that cannot be done must not stop an institution. An `InvariantBroken` does: it
leaves `run`, and the process must stop.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from bridge.errors import HandlerMissing, InvariantBroken, Rejected, Unavailable
from bridge.store import EffectRow, Store
from bridge.store.effects import EVERYTHING, Lane
from bridge.telemetry import get_logger

BACKOFF_SECONDS_MAX: Final = 60
"""Longest pause between two attempts."""

FAULTS_MAX: Final = 5
"""Unforeseen faults of one effect after which a worker abandons it."""

LEASE_SECONDS: Final = 60
"""How long a claimed effect is left to the worker that claimed it; longer than any handler takes."""

IDLE_SECONDS_MAX: Final = 1
"""Longest sleep of whoever is idle: another process may record something to do without waking it."""

LISTEN_SECONDS: Final = 0.1
"""How often it is looked whether another process has added effects."""

ERROR_CHARACTERS_MAX: Final = 500
"""How much of an error's text is kept with what failed."""


@dataclass(frozen=True, slots=True)
class Done:
    """The effect has happened."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The effect has to wait; `error` says for what."""

    after_seconds: int
    error: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """The effect will never happen; `error` says why."""

    error: str


Outcome: TypeAlias = Done | Retry | Abandon

Handler: TypeAlias = Callable[[EffectRow], Outcome]


class Worker:
    """One thread's worth of work; several may share a store if each has an `owner` of its own.

    `clock` gives UTC seconds; `lane` says what is left to other workers. An effect of a kind without
    a handler is a fault of ours.
    """

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        clock: Callable[[], int],
        owner: str,
        lane: Lane = EVERYTHING,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._clock = clock
        self._owner = owner
        self._lane = lane
        self._faults: Counter[int] = Counter()
        self._woken = threading.Event()
        store.subscribe(self.wake)

    def wake(self) -> None:
        """Have an idle worker look for effects now."""
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set (and `wake` called, to be quick); raises what no retry can mend."""
        keep_working(self._step_if_due, self._woken, stop=stop)

    def step(self) -> bool:
        """Do the one effect that is due first; False when none is due."""
        with self._store.unit_of_work() as work:
            claimed = work.effects.claim(
                now=self._clock(),
                owner=self._owner,
                limit=1,
                lease_seconds=LEASE_SECONDS,
                lane=self._lane,
            )
        for effect in claimed:
            self._record(effect, self._do(effect))
        return bool(claimed)

    def _step_if_due(self) -> bool:
        """A step, once a snapshot says that an effect is due, so that idling writes nothing."""
        with self._store.reading() as work:
            next_due = work.effects.next_due(self._lane)
        return next_due is not None and next_due <= self._clock() and self.step()

    def _do(self, effect: EffectRow) -> Outcome:
        handler = self._handlers.get(effect.kind)
        if handler is None:
            raise HandlerMissing(effect.kind)
        try:
            return handler(effect)
        except Unavailable as error:
            return Retry(backoff_seconds(effect.attempts), str(error))
        except Rejected as error:
            return Abandon(str(error))
        except InvariantBroken:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other effects go on
            return self._after_fault(effect, error)

    def _after_fault(self, effect: EffectRow, error: Exception) -> Outcome:
        get_logger().error("effect_failed", key=effect.key, kind=effect.kind, exc_info=error)
        self._faults[effect.effect_id] += 1
        text = f"{type(error).__name__}: {error}"
        if self._faults[effect.effect_id] >= FAULTS_MAX:
            del self._faults[effect.effect_id]
            return Abandon(text)
        return Retry(backoff_seconds(effect.attempts), text)

    def _record(self, effect: EffectRow, outcome: Outcome) -> None:
        with self._store.unit_of_work() as work:
            match outcome:
                case Done():
                    work.effects.done(effect)
                case Retry(after_seconds, error):
                    due_at = self._clock() + after_seconds
                    work.effects.retry(effect, due_at, error[:ERROR_CHARACTERS_MAX])
                case Abandon(error):
                    get_logger().error(
                        "effect_abandoned",
                        key=effect.key,
                        kind=effect.kind,
                        payment_id=effect.payment_id,
                        error=error[:ERROR_CHARACTERS_MAX],
                    )
                    work.effects.abandon(effect, error[:ERROR_CHARACTERS_MAX])
                case _:
                    assert_never(outcome)


def keep_working(
    step: Callable[[], bool], woken: threading.Event, *, stop: threading.Event
) -> None:
    """Take steps until `stop` is set (and `woken`, to be quick), idle after one that did nothing.

    A database that is busy counts as nothing to do. Raises what no retry can mend.
    """
    while not stop.is_set():
        woken.clear()
        if not _is_done(step):
            woken.wait(IDLE_SECONDS_MAX)


def _is_done(step: Callable[[], bool]) -> bool:
    try:
        return step()
    except Unavailable:
        return False


def listen(store: Store, wakes: Iterable[Callable[[], None]], over: threading.Event) -> None:
    """Wake workers when any process has added effects, until `over` is set."""
    known: int | None = None
    while not over.wait(LISTEN_SECONDS):
        try:
            with store.reading() as work:
                newest = work.effects.newest()
        except Unavailable:
            continue
        if newest != known:
            known = newest
            for wake in wakes:
                wake()


def backoff_seconds(attempts: int) -> int:
    """The pause after so many attempts: 1, 2, 4 ... up to `BACKOFF_SECONDS_MAX`."""
    return doubling_seconds(attempts - 1, most=BACKOFF_SECONDS_MAX)


def doubling_seconds(doublings: int, *, most: int) -> int:
    """One second doubled so many times, or `most`; no number of doublings is too great."""
    return min(1 << min(doublings, most.bit_length()), most)
