"""Standing orders and what became of each of their due dates.

Executing and cancelling race; both first write to the order's row, so the database lets one of them
go first, and the other finds the order, or the due date, no longer as it needs it.
"""

import json
from dataclasses import asdict
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.standing_order import (
    Convention,
    Frequency,
    Occurrence,
    OccurrenceState,
    OrderState,
    Schedule,
    StandingOrder,
)
from bridge.store.page import Page, read_page
from bridge.store.tables.orders import occurrences, standing_orders


class StandingOrders:
    """Standing orders by id; occurrences by order and due date."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, order: StandingOrder) -> None:
        """Keep a new order."""
        self._connection.execute(
            insert(standing_orders).values(
                order_id=order.order_id,
                client=order.client,
                state=order.state.value,
                created_at=order.created_at,
                schedule=_encode_schedule(order.schedule),
                instruction=order.instruction,
            )
        )

    def find(self, order_id: str) -> StandingOrder | None:
        """The order with this id, whatever became of it."""
        query = select(standing_orders).where(standing_orders.c.order_id == order_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _order(row)

    def page(self, client: str, *, limit: int, cursor: str | None) -> Page[StandingOrder]:
        """A client's orders, newest first."""
        query = select(standing_orders).where(standing_orders.c.client == client)
        return read_page(
            self._connection, query, standing_orders.c.sequence, _order, limit=limit, cursor=cursor
        )

    def active_count(self, client: str) -> int:
        """How many orders of a client are active."""
        kept = standing_orders.c
        query = select(func.count()).where(
            kept.client == client, kept.state == OrderState.ACTIVE.value
        )
        return self._connection.execute(query).scalar_one()

    def plan(self, occurrence: Occurrence) -> None:
        """Keep a new due date of an order."""
        self._connection.execute(
            insert(occurrences).values(
                order_id=occurrence.order_id,
                due_date=occurrence.due_date,
                number=occurrence.number,
                execution_date=occurrence.execution_date,
                state=occurrence.state.value,
            )
        )

    def occurrence(self, order_id: str, due_date: date) -> Occurrence | None:
        """What became of one due date."""
        kept = occurrences.c
        query = select(occurrences).where(kept.order_id == order_id, kept.due_date == due_date)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _occurrence(row)

    def occurrences_of(self, order_id: str, limit: int) -> tuple[Occurrence, ...]:
        """The newest due dates of an order, the last first."""
        kept = occurrences.c
        query = select(occurrences).where(kept.order_id == order_id)
        rows = self._connection.execute(query.order_by(kept.due_date.desc()).limit(limit))
        return tuple(_occurrence(row) for row in rows)

    def execute(self, occurrence: Occurrence, payment_id: str) -> bool:
        """Record the payment made on a due date; False when it is not due any more."""
        values = {"state": OccurrenceState.EXECUTED.value, "payment_id": payment_id}
        return self._resolve(occurrence, values)

    def miss(self, occurrence: Occurrence, *, code: str, reason: str | None, report: bytes) -> bool:
        """Record that no payment was made on a due date; False when it is not due any more."""
        values = {"state": OccurrenceState.MISSED.value, "code": code, "reason": reason}
        return self._resolve(occurrence, {**values, "report": report})

    def complete(self, order_id: str) -> bool:
        """End an order whose last due date is over; False when it is not active any more."""
        return self._move(order_id, OrderState.COMPLETED)

    def cancel(self, order_id: str) -> bool:
        """End an order and what is still due of it; False when it is not active any more."""
        if not self._move(order_id, OrderState.CANCELLED):
            return False
        kept = occurrences.c
        change = update(occurrences).where(
            kept.order_id == order_id, kept.state == OccurrenceState.DUE.value
        )
        self._connection.execute(change.values(state=OccurrenceState.CANCELLED.value))
        return True

    def _resolve(self, occurrence: Occurrence, values: dict[str, Any]) -> bool:
        """Move a due date on, holding its order first, in the order in which `cancel` writes."""
        if not self._move(occurrence.order_id, OrderState.ACTIVE):
            return False
        kept = occurrences.c
        change = update(occurrences).where(
            kept.order_id == occurrence.order_id,
            kept.due_date == occurrence.due_date,
            kept.state == OccurrenceState.DUE.value,
        )
        return self._connection.execute(change.values(**values)).rowcount == 1

    def _move(self, order_id: str, state: OrderState) -> bool:
        kept = standing_orders.c
        change = update(standing_orders).where(
            kept.order_id == order_id, kept.state == OrderState.ACTIVE.value
        )
        return self._connection.execute(change.values(state=state.value)).rowcount == 1


def _encode_schedule(schedule: Schedule) -> str:
    fields = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in asdict(schedule).items()
    }
    return json.dumps(fields, sort_keys=True)


def _decode_schedule(text: str) -> Schedule:
    fields = json.loads(text)
    last_date = fields["last_date"]
    return Schedule(
        frequency=Frequency(fields["frequency"]),
        first_date=date.fromisoformat(fields["first_date"]),
        convention=Convention(fields["convention"]),
        day=fields["day"],
        count=fields["count"],
        last_date=None if last_date is None else date.fromisoformat(last_date),
    )


def _order(row: Row[Any]) -> StandingOrder:  # a row of the whole table
    return StandingOrder(
        order_id=row.order_id,
        client=row.client,
        state=OrderState(row.state),
        schedule=_decode_schedule(row.schedule),
        instruction=row.instruction,
        created_at=row.created_at,
    )


def _occurrence(row: Row[Any]) -> Occurrence:  # a row of the whole table
    return Occurrence(
        order_id=row.order_id,
        number=row.number,
        due_date=row.due_date,
        execution_date=row.execution_date,
        state=OccurrenceState(row.state),
        payment_id=row.payment_id,
        code=row.code,
        reason=row.reason,
        report=row.report,
    )
