"""Executes the due dates of standing orders; run by the worker.

The key of an occurrence, its order and its due date, is the idempotency key of its payment: whatever
dies, whenever, one due date leads to one payment with one UETR, or is recorded as missed.

    not open yet                  waits until it is
    too little money              tried again every `standing_order_retry_seconds` while the day is
                                  open, then missed
    any other refusal             missed at once
    overdue                       made up for, in the order of their due dates; missed once
                                  `standing_order_catch_up_days` have passed
    somebody does not answer      tried again for as long as it takes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from bridge.business_days import Calendars, Execution
from bridge.errors import (
    InsufficientFunds,
    LiquidityShort,
    Rejected,
    StandingOrderEnded,
    StandingOrderOverdue,
)
from bridge.institution import Institution
from bridge.iso20022.codes import MessageName, StatusReason, TransactionStatus
from bridge.iso20022.format import format_status_report
from bridge.iso20022.messages import StatusReport
from bridge.payment import Payment
from bridge.settlement.admission import calendars_of, debtor_of, find_route
from bridge.settlement.initiation import execute
from bridge.settlement.order import (
    Order,
    derive_uetr,
    order_of_due_date,
    recall,
    refused,
    remember,
)
from bridge.settlement.scheduling import EXECUTE, advance, read_instruction
from bridge.standing_order import Occurrence, OccurrenceState, StandingOrder
from bridge.store import EffectRow, UnitOfWork
from bridge.worker import Done, Outcome, Retry


@dataclass(frozen=True, slots=True)
class Due:
    """One due date of one order, as an order of its own, with the calendars of its currencies."""

    standing: StandingOrder
    occurrence: Occurrence
    order: Order
    calendars: Calendars


@dataclass(frozen=True, slots=True)
class DueDates:
    """The handler of the effect that each due date is."""

    institution: Institution

    def handlers(self) -> Mapping[str, Callable[[EffectRow], Outcome]]:
        """Handler by kind of effect."""
        return {EXECUTE: self.execute}

    def execute(self, effect: EffectRow) -> Outcome:
        """Make the payment of a due date, once; or say when to come back for it."""
        due = self._find(effect)
        if due is None:
            return Done()
        try:
            return self._execute(due, self._hours(due))
        except StandingOrderEnded:
            return Done()
        except Rejected as refusal:
            self._miss(due, refusal)
            return Done()

    def _execute(self, due: Due, hours: Execution) -> Outcome:
        now = self.institution.clock()
        if now < hours.opens_at:
            return Retry(hours.opens_at - now, f"open on {hours.value_date} only")

        def claim(work: UnitOfWork, payment: Payment) -> None:
            if not work.standing_orders.execute(due.occurrence, payment.payment_id):
                raise StandingOrderEnded(due.standing.order_id, "resolved")
            advance(work, due.standing, due.calendars, after=due.occurrence)

        try:
            route = find_route(self.institution, due.order.client, due.order.instruction)
            execute(self.institution, due.order, route, hours.value_date, claim)
        except (InsufficientFunds, LiquidityShort) as error:
            pause = self.institution.settings.standing_order_retry_seconds
            if now + pause < hours.closes_at:
                return Retry(pause, str(error))
            raise
        return Done()

    def _find(self, effect: EffectRow) -> Due | None:
        order_id = str(effect.payload["order_id"])
        due_date = date.fromisoformat(str(effect.payload["due_date"]))
        with self.institution.store.reading() as work:
            standing = work.standing_orders.find(order_id)
            occurrence = work.standing_orders.occurrence(order_id, due_date)
            client = None if standing is None else work.customers.get(standing.client)
            if standing is None or occurrence is None or client is None:
                return None
            instruction = read_instruction(standing)
            account = work.customers.by_identification(instruction.debtor_account.text)
        if occurrence.state is not OccurrenceState.DUE:
            return None
        instructed = instruction.instructed_amount.currency.code
        debited = instructed if account is None else account.currency
        return Due(
            standing=standing,
            occurrence=occurrence,
            order=order_of_due_date(
                client, order_id, due_date, replace(instruction, debtor=debtor_of(client))
            ),
            calendars=calendars_of(self.institution.settings, debited, instructed),
        )

    def _hours(self, due: Due) -> Execution:
        """The hours in which a due date is executed; raises `StandingOrderOverdue`."""
        now = self.institution.clock()
        execution_date = due.standing.schedule.execution_date(
            due.occurrence.due_date, due.calendars
        )
        days = self.institution.settings.standing_order_catch_up_days
        if (due.calendars.today(now) - execution_date).days > days:
            raise StandingOrderOverdue(due.occurrence.due_date.isoformat(), days)
        return due.calendars.execution(now, execution_date)

    def _miss(self, due: Due, refusal: Rejected) -> None:
        """Record a due date as missed, with the report to its customer and the next due date."""
        report = self._report(due, refusal)
        with self.institution.store.unit_of_work() as work:
            is_missed = recall(work, due.order) is None and work.standing_orders.miss(
                due.occurrence, code=refusal.code, reason=refusal.reason, report=report
            )
            if is_missed:
                remember(work, due.order, refused(refusal))
                advance(work, due.standing, due.calendars, after=due.occurrence)

    def _report(self, due: Due, refusal: Rejected) -> bytes:
        """A pacs.002 that tells the customer of a payment that was not made."""
        instruction = due.order.instruction
        digest = due.standing.order_id.removeprefix("sto_")[:24]
        return format_status_report(
            StatusReport(
                message_id=f"M{digest}{due.occurrence.due_date:%Y%m%d}",
                created_at=datetime.fromtimestamp(self.institution.clock(), UTC),
                original_message_id=instruction.message_id,
                original_message_name=MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION,
                original_end_to_end_id=instruction.end_to_end_id,
                uetr=instruction.uetr or derive_uetr(self.institution.secret, due.order),
                status=TransactionStatus.RJCT,
                reason=StatusReason(refusal.reason or StatusReason.MS03.value),
                instructing_agent=self.institution.agent,
            )
        )
