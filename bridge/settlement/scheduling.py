"""Payments for later days: ordered, cancelled, and planned one due date at a time.

Each due date is a row and an effect of the outbox, made in the transaction that resolves the due date
before it; `occurrences` executes them. A single payment for a later day is an order that falls due
once.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from bridge.business_days import Calendars, Execution
from bridge.errors import (
    CalendarYearUnknown,
    ChargeBearerUnsupported,
    ExecutionDateUnsupported,
    IdempotencyKeyReused,
    Rejected,
    ResourceUnknown,
    ScheduleInvalid,
    StandingOrderEnded,
    StandingOrdersExhausted,
)
from bridge.institution import Institution
from bridge.iso20022.codes import ChargeBearer, TransactionStatus
from bridge.iso20022.format import format_initiation
from bridge.iso20022.messages import CustomerCreditTransferInitiation, PaymentInstruction
from bridge.iso20022.parse import parse_initiation
from bridge.money import Amount
from bridge.settlement.admission import EXECUTION_DAYS_MAX, Route, calendars_of, find_route
from bridge.settlement.description import describe_amount
from bridge.settlement.order import (
    Answer,
    Order,
    Result,
    derive_order_id,
    derive_uetr,
    order_of_due_date,
    recall,
    remember,
    remember_refusal,
)
from bridge.standing_order import (
    Frequency,
    Occurrence,
    OrderState,
    Schedule,
    StandingOrder,
)
from bridge.store import NewEffect, UnitOfWork

EXECUTE: Final = "execute_standing_order"
"""Kind of the effect that executes one due date of a standing order."""

STANDING_ORDERS_MAX: Final = 200
"""Most active orders one customer may have."""

OCCURRENCES_SHOWN_MAX: Final = 50
"""Most due dates that are told with an order."""


def schedule_once(institution: Institution, order: Order, execution: Execution) -> Answer:
    """Take a payment for a later day; it is priced and reserved when that day opens.

    Raises `ChargeBearerUnsupported` for DEBT: its charge would not have been consented to.
    """
    _check_bearer(order)
    schedule = Schedule(Frequency.ONCE, execution.value_date)
    kept = _standing_order(institution, order, schedule)
    with institution.store.unit_of_work() as work:
        earlier = recall(work, order)
        if earlier is not None:
            return earlier
        _add(work, kept, execution.value_date, execution.opens_at)
        body = _describe_once(institution, order, kept)
        return remember(work, order, Answer(Result.ACCEPTED, body))


def create(institution: Institution, order: Order) -> Answer:
    """Take a standing order; answers and refuses a repeated one as `initiate` does."""
    with institution.store.reading() as work:
        earlier = recall(work, order)
    if earlier is not None:
        return earlier
    try:
        return _create(institution, order)
    except IdempotencyKeyReused:
        raise
    except Rejected as refusal:
        return remember_refusal(institution, order, refusal)


def cancel(institution: Institution, client: str, order_id: str) -> StandingOrder:
    """The order, cancelled; cancelling it again changes nothing.

    A due date that is being executed is executed or cancelled, which the database decides; what was
    executed stays so. Raises `ResourceUnknown`, and `StandingOrderEnded` for a completed one.
    """
    with institution.store.unit_of_work() as work:
        order = find_own(work, client, order_id)
        work.standing_orders.cancel(order_id)
        order = find_own(work, client, order_id)
    if order.state is not OrderState.CANCELLED:
        raise StandingOrderEnded(order_id, order.state.value)
    return order


def find_own(work: UnitOfWork, client: str, order_id: str) -> StandingOrder:
    """A client's own order; another's is as unknown as none: `ResourceUnknown`."""
    order = work.standing_orders.find(order_id)
    if order is None or order.client != client:
        raise ResourceUnknown("standing order", order_id)
    return order


def read_instruction(order: StandingOrder) -> PaymentInstruction:
    """The instruction that an order repeats."""
    return parse_initiation(order.instruction).instructions[0]


def advance(
    work: UnitOfWork, order: StandingOrder, calendars: Calendars, *, after: Occurrence
) -> None:
    """Plan the due date after one that was resolved, or complete the order.

    A year that the calendar does not know yet is decided when the day has come.
    """
    number = after.number + 1
    due = order.schedule.due_date(number)
    if due is None:
        work.standing_orders.complete(order.order_id)
        return
    execution_date, opens_at = _opening(order.schedule, due, calendars)
    _plan(work, Occurrence(order.order_id, number, due, execution_date), opens_at)


def describe_order(work: UnitOfWork, order: StandingOrder) -> dict[str, object]:
    """An order as the API shows it, with its newest due dates."""
    instruction, schedule = read_instruction(order), order.schedule
    shown = work.standing_orders.occurrences_of(order.order_id, OCCURRENCES_SHOWN_MAX)
    return {
        "id": order.order_id,
        "status": order.state.value,
        "end_to_end_id": instruction.end_to_end_id,
        "debtor_account": instruction.debtor_account.text,
        "creditor_account": instruction.creditor_account.text,
        "creditor_name": instruction.creditor.name,
        "amount": describe_amount(instruction.instructed_amount),
        "frequency": schedule.frequency.value,
        "first_date": schedule.first_date.isoformat(),
        "convention": schedule.convention.value,
        "day": schedule.day,
        "count": schedule.count,
        "last_date": None if schedule.last_date is None else schedule.last_date.isoformat(),
        "occurrences": [_describe_occurrence(each) for each in shown],
        "created_at": order.created_at,
    }


def _create(institution: Institution, order: Order) -> Answer:
    schedule = order.schedule
    if schedule is None:
        raise ScheduleInvalid("there is none")
    route = find_route(institution, order.client, order.instruction)
    _check_bearer(order)
    due = schedule.due_date(1)
    if due is None:
        raise ScheduleInvalid("it ends before it begins")
    calendars = calendars_of_route(institution, route, order.instruction.instructed_amount)
    today = calendars.today(institution.clock())
    if due > today + timedelta(days=EXECUTION_DAYS_MAX):
        rule = f"at most {EXECUTION_DAYS_MAX} days ahead"
        raise ExecutionDateUnsupported(due.isoformat(), rule)
    execution_date = schedule.execution_date(due, calendars)
    if execution_date < today:
        raise ExecutionDateUnsupported(execution_date.isoformat(), "it is past")
    kept = _standing_order(institution, order, schedule)
    with institution.store.unit_of_work() as work:
        earlier = recall(work, order)
        if earlier is not None:
            return earlier
        if work.standing_orders.active_count(kept.client) >= STANDING_ORDERS_MAX:
            raise StandingOrdersExhausted(STANDING_ORDERS_MAX)
        _add(work, kept, execution_date, calendars.hours(execution_date).opens_at)
        return remember(work, order, Answer(Result.ACCEPTED, describe_order(work, kept)))


def calendars_of_route(institution: Institution, route: Route, instructed: Amount) -> Calendars:
    """The calendars of the debited and of the instructed currency."""
    return calendars_of(institution.settings, route.account.currency, instructed.currency.code)


def _check_bearer(order: Order) -> None:
    if order.instruction.charge_bearer is ChargeBearer.DEBT:
        raise ChargeBearerUnsupported(order.instruction.charge_bearer.value)


def _standing_order(institution: Institution, order: Order, schedule: Schedule) -> StandingOrder:
    instruction = order.instruction
    message = CustomerCreditTransferInitiation(
        message_id=instruction.message_id,
        created_at=instruction.created_at,
        initiating_party=instruction.debtor,
        instructions=(instruction,),
    )
    return StandingOrder(
        order_id=derive_order_id(institution.secret, order),
        client=order.client.customer_id,
        state=OrderState.ACTIVE,
        schedule=schedule,
        instruction=format_initiation(message),
        created_at=institution.clock(),
    )


def _add(work: UnitOfWork, order: StandingOrder, execution_date: date, opens_at: int) -> None:
    work.standing_orders.add(order)
    first = Occurrence(order.order_id, 1, order.schedule.first_date, execution_date)
    _plan(work, first, opens_at)


def _plan(work: UnitOfWork, occurrence: Occurrence, opens_at: int) -> None:
    due_date = occurrence.due_date.isoformat()
    work.standing_orders.plan(occurrence)
    work.effects.add(
        NewEffect(
            kind=EXECUTE,
            key=f"{occurrence.order_id}:{due_date}",
            payload={"order_id": occurrence.order_id, "due_date": due_date},
            due_at=opens_at,
        )
    )


def _opening(schedule: Schedule, due: date, calendars: Calendars) -> tuple[date, int]:
    try:
        execution_date = schedule.execution_date(due, calendars)
        return execution_date, calendars.hours(execution_date).opens_at
    except CalendarYearUnknown:
        return due, int(datetime.combine(due, time(0), UTC).timestamp())


def _describe_once(
    institution: Institution, order: Order, kept: StandingOrder
) -> dict[str, object]:
    """A payment for a later day, with the UETR that it will have."""
    day, instruction = kept.schedule.first_date, order.instruction
    later = order_of_due_date(order.client, kept.order_id, day, instruction)
    return {
        "id": kept.order_id,
        "status": "scheduled",
        "iso_status": TransactionStatus.ACTC.value,
        "uetr": instruction.uetr or derive_uetr(institution.secret, later),
        "end_to_end_id": instruction.end_to_end_id,
        "amount": describe_amount(instruction.instructed_amount),
        "execution_date": day.isoformat(),
        "created_at": kept.created_at,
    }


def _describe_occurrence(occurrence: Occurrence) -> dict[str, object]:
    return {
        "number": occurrence.number,
        "due_date": occurrence.due_date.isoformat(),
        "execution_date": occurrence.execution_date.isoformat(),
        "status": occurrence.state.value,
        "payment_id": occurrence.payment_id,
        "code": occurrence.code,
        "reason": occurrence.reason,
    }
