"""Recalls by payment: one for each payment at each of its two banks, for ever."""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, not_, or_, select, update

from bridge.errors import RecallAnswered, RecallUnknown, RecordConflict
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


@unique
class RecallDirection(StrEnum):
    """Whether this bank asks for a payment back, or is asked."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


@unique
class RecallState(StrEnum):
    """Where a recall stands; `closed` is one without an answer that the asking bank has given up."""

    ASKED = "asked"
    GRANTED = "granted"
    REJECTED = "rejected"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Recall:
    """A settled payment that its debtor's bank asks back, as one of the two banks keeps it.

    `payment_id` names the payment at this bank, `case_id` the case at both. `reason` is the ISO
    cancellation reason, `rejection` that of a negative answer. Times are UTC seconds.
    """

    payment_id: str
    direction: RecallDirection
    peer_lei: str
    case_id: str
    reason: str
    asked_at: int
    answer_by: int
    state: RecallState = RecallState.ASKED
    rejection: str | None = None
    return_payment_id: str | None = None
    answered_at: int | None = None


class Recalls:
    """What is asked back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, recall: Recall) -> None:
        """Keep a new recall; raises `RecordConflict` when the payment has one in this direction."""
        if self.find(recall.payment_id, recall.direction) is not None:
            raise RecordConflict("recall", recall.payment_id)
        self._connection.execute(
            insert(tables.recalls).values(
                payment_id=recall.payment_id,
                direction=recall.direction.value,
                peer_lei=recall.peer_lei,
                case_id=recall.case_id,
                reason=recall.reason,
                state=recall.state.value,
                asked_at=recall.asked_at,
                answer_by=recall.answer_by,
            )
        )

    def answer(self, recall: Recall) -> None:
        """Keep how a recall ended; raises `RecallAnswered` when it has ended before."""
        kept = tables.recalls.c
        change = (
            update(tables.recalls)
            .where(
                kept.payment_id == recall.payment_id,
                kept.direction == recall.direction.value,
                kept.state.in_((RecallState.ASKED.value, RecallState.CLOSED.value)),
            )
            .values(
                state=recall.state.value,
                rejection=recall.rejection,
                return_payment_id=recall.return_payment_id,
                answered_at=recall.answered_at,
            )
        )
        if self._connection.execute(change).rowcount != 1:
            raise RecallAnswered(recall.payment_id)

    def open_recall(self, payment_id: str, direction: RecallDirection) -> Recall:
        """The recall of a payment that has no answer; raises `RecallUnknown`, `RecallAnswered`."""
        found = self.find(payment_id, direction)
        if found is None:
            raise RecallUnknown(payment_id)
        if found.state is not RecallState.ASKED:
            raise RecallAnswered(payment_id)
        return found

    def find(self, payment_id: str, direction: RecallDirection) -> Recall | None:
        """The recall of a payment, if there is one."""
        kept = tables.recalls.c
        query = select(tables.recalls).where(
            kept.payment_id == payment_id, kept.direction == direction.value
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _recall(row)

    def unanswered(self, at: int, limit: int) -> tuple[Recall, ...]:
        """Recalls whose time for an answer was over before `at`, the oldest first."""
        kept = tables.recalls.c
        query = (
            select(tables.recalls)
            .where(kept.state == RecallState.ASKED.value, kept.answer_by < at)
            .order_by(kept.answer_by)
            .limit(limit)
        )
        return tuple(_recall(row) for row in self._connection.execute(query))

    def unpaid(self, limit: int) -> tuple[Recall, ...]:
        """Recalls granted here of which neither the return nor one made since has settled or may yet."""
        kept, first, later = tables.recalls.c, tables.payments.alias(), tables.payments.alias()
        is_live = or_(later.c.is_terminal.is_(False), later.c.state == "settled")
        is_paid = exists().where(
            first.c.payment_id == kept.return_payment_id,
            later.c.return_of == kept.payment_id,
            later.c.sequence >= first.c.sequence,
            is_live,
        )
        query = (
            select(tables.recalls)
            .where(kept.state == RecallState.GRANTED.value)
            .where(kept.direction == RecallDirection.INCOMING.value, not_(is_paid))
            .order_by(kept.sequence)
            .limit(limit)
        )
        return tuple(_recall(row) for row in self._connection.execute(query))

    def page(
        self,
        direction: RecallDirection | None = None,
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Page[Recall]:
        """Recalls, newest first, of one direction or both."""
        kept = tables.recalls.c
        query = select(tables.recalls)
        if direction is not None:
            query = query.where(kept.direction == direction.value)
        return read_page(
            self._connection, query, kept.sequence, _recall, limit=limit, cursor=cursor
        )


def _recall(row: Row[Any]) -> Recall:  # a row of the whole table
    return Recall(
        payment_id=row.payment_id,
        direction=RecallDirection(row.direction),
        peer_lei=row.peer_lei,
        case_id=row.case_id,
        reason=row.reason,
        asked_at=row.asked_at,
        answer_by=row.answer_by,
        state=RecallState(row.state),
        rejection=row.rejection,
        return_payment_id=row.return_payment_id,
        answered_at=row.answered_at,
    )
