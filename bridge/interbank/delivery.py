"""Messages to other institutions: recorded with their cause, sent until they are taken.

`deliver` records a message in the caller's transaction; a courier claims it under a lease, seals and
sends it outside any transaction, and records how that ended. Whatever dies in between, it is sent
again, marked as a possible duplicate, and the receiver takes it once. It is tried for days, with pauses
that grow to `PAUSE_SECONDS_MAX`; as soon as one message is taken, all that wait for its receiver are due.
What nobody took by then, and what no retry can help, is dead: kept for the operator, who may replay it.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.errors import InvariantBroken, PeerRefused, Rejected, Unavailable
from bridge.failpoint import Failpoint, visit
from bridge.interbank.channel import Interbank
from bridge.interbank.kinds import Heading, Kind
from bridge.store import Delivery, DeliveryState, NewDelivery, Store, UnitOfWork
from bridge.telemetry import get_logger
from bridge.worker import ERROR_CHARACTERS_MAX, doubling_seconds, keep_working

PAUSE_SECONDS_MAX: Final = 600
"""Longest pause between two attempts at one message."""

LEASE_SECONDS: Final = 60
"""How long a claimed delivery is left to its courier; longer than any attempt takes."""

DAYS_DEFAULT: Final = 7
"""For how many days a message is tried when the settings do not say."""

SECONDS_PER_DAY: Final = 86_400

_MESSAGE_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be delivered. `key` names it for ever at this institution.

    Messages with one `payment_id` reach one institution in the order in which they were recorded;
    without one, messages of a kind do.
    """

    key: str
    to_lei: str
    kind: Kind
    body: Mapping[str, str]
    payment_id: str | None = None


def deliver(work: UnitOfWork, message: Outgoing, *, at: int, days: int = DAYS_DEFAULT) -> str:
    """Record a message to be sent from the UTC second `at` on, for `days` days; its message id.

    The same message again changes nothing; raises `RecordConflict` for another under its key.
    """
    message_id = hashlib.sha256(message.key.encode()).hexdigest()[:_MESSAGE_ID_DIGITS]
    work.deliveries.add(
        NewDelivery(
            message_id=message_id,
            peer_lei=message.to_lei,
            stream=message.payment_id or message.kind.value,
            kind=message.kind.value,
            body=message.body,
            created_at=at,
            persists_until=at + days * SECONDS_PER_DAY,
            payment_id=message.payment_id,
        )
    )
    return message_id


def _always(_work: UnitOfWork, _delivery: Delivery) -> bool:
    return True


def _nothing(_work: UnitOfWork, _delivery: Delivery, _problem: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Course:
    """What else matters to a kind of message on its way.

    `is_wanted` says before each attempt whether it should still be sent; `refused` is done in the
    transaction that records a final refusal, with the peer's problem code.
    """

    is_wanted: Callable[[UnitOfWork, Delivery], bool] = _always
    refused: Callable[[UnitOfWork, Delivery, str], None] = _nothing


Courses: TypeAlias = Mapping[Kind, Course]

_PLAIN: Final = Course()


class Courier:
    """One thread that sends; several may share a store if each has an `owner` of its own."""

    def __init__(
        self,
        store: Store,
        interbank: Interbank,
        courses: Courses,
        clock: Callable[[], int],
        owner: str,
    ) -> None:
        self._store = store
        self._interbank = interbank
        self._courses = courses
        self._clock = clock
        self._owner = owner
        self._woken = threading.Event()
        store.subscribe(self.wake)

    def wake(self) -> None:
        """Have an idle courier look for deliveries now."""
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        """Send until `stop` is set (and `wake` called, to be quick); raises what no retry can mend."""
        keep_working(self._step_if_due, self._woken, stop=stop)

    def step(self) -> bool:
        """Attempt the one delivery that is due first; False when none is due."""
        with self._store.unit_of_work() as work:
            claimed = work.deliveries.claim(
                now=self._clock(), owner=self._owner, lease_seconds=LEASE_SECONDS
            )
        if claimed is None:
            return False
        self._attempt(claimed)
        return True

    def _step_if_due(self) -> bool:
        """A step, once a snapshot says that a delivery is due, so that idling writes nothing."""
        with self._store.reading() as work:
            has_due = work.deliveries.first_due(self._clock()) is not None
        return has_due and self.step()

    def _attempt(self, delivery: Delivery) -> None:
        course = self._courses.get(Kind(delivery.kind), _PLAIN)
        try:
            with self._store.reading() as work:
                is_wanted = course.is_wanted(work, delivery)
                body = work.deliveries.body(delivery) if is_wanted else None
            if body is None:
                self._finish(delivery, DeliveryState.NEEDLESS)
                return
            visit(Failpoint.DELIVERING)
            self._interbank.send(delivery.peer_lei, Kind(delivery.kind), body, _heading(delivery))
        except PeerRefused as refusal:
            self._refused(delivery, course, refusal)
        except Rejected as error:
            self._finish(delivery, DeliveryState.DEAD, str(error))
        except InvariantBroken:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other deliveries go on
            self._failed(delivery, error)
        else:
            visit(Failpoint.DELIVERED)
            self._finish(delivery, DeliveryState.TAKEN)

    def _finish(self, delivery: Delivery, state: DeliveryState, error: str | None = None) -> None:
        with self._store.unit_of_work() as work:
            is_ours = work.deliveries.finish(delivery, state, _cut(error))
            if is_ours and state is DeliveryState.TAKEN and delivery.failures:
                work.deliveries.hasten(delivery.peer_lei, self._clock())
        if state is DeliveryState.DEAD:
            _log(delivery, "delivery_given_up", error)

    def _refused(self, delivery: Delivery, course: Course, refusal: PeerRefused) -> None:
        with self._store.unit_of_work() as work:
            if work.deliveries.finish(delivery, DeliveryState.REFUSED, _cut(str(refusal))):
                course.refused(work, delivery, refusal.problem)
        _log(delivery, "delivery_refused", refusal.problem)

    def _failed(self, delivery: Delivery, error: Exception) -> None:
        now = self._clock()
        if not isinstance(error, Unavailable):
            get_logger().error("delivery_failed", message_id=delivery.message_id, exc_info=error)
        if now >= delivery.persists_until:
            self._finish(delivery, DeliveryState.DEAD, str(error))
            return
        due_at = now + pause_seconds(delivery.failures)
        with self._store.unit_of_work() as work:
            work.deliveries.retry(delivery, due_at, str(error)[:ERROR_CHARACTERS_MAX])


def pause_seconds(failures: int) -> int:
    """The pause after one more failure than `failures`: 1, 2, 4 ... `PAUSE_SECONDS_MAX`."""
    return doubling_seconds(failures, most=PAUSE_SECONDS_MAX)


def _heading(delivery: Delivery) -> Heading:
    return Heading(
        message_id=delivery.message_id,
        position=delivery.position,
        created_at=delivery.created_at,
        possible_duplicate=delivery.attempts > 1,
    )


def _cut(error: str | None) -> str | None:
    return None if error is None else error[:ERROR_CHARACTERS_MAX]


def _log(delivery: Delivery, event: str, error: str | None) -> None:
    get_logger().error(
        event,
        message_id=delivery.message_id,
        kind=delivery.kind,
        peer=delivery.peer_lei,
        payment_id=delivery.payment_id,
        attempts=delivery.attempts,
        error=_cut(error),
    )
