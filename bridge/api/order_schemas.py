"""The shapes of quotations and of standing orders; see `schemas` for what they have in common."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from bridge.api.schemas import AmountView, TransferBody
from bridge.api.shapes import AnswerShape, RequestShape
from bridge.errors import ScheduleInvalid
from bridge.iso20022.codes import ChargeBearer
from bridge.standing_order import OCCURRENCES_MAX, Convention, Frequency, Schedule


class ScheduleBody(RequestShape):
    """When a standing order falls due; it ends by `count`, by `last_date`, or when it is cancelled.

    `day` is the day of the month of a monthly order, 31 being its last.
    """

    frequency: Literal[Frequency.WEEKLY, Frequency.MONTHLY]
    first_date: date
    convention: Convention = Convention.FOLLOWING
    day: Annotated[int, Field(ge=1, le=31)] | None = None
    count: Annotated[int, Field(ge=1, le=OCCURRENCES_MAX)] | None = None
    last_date: date | None = None

    def read(self) -> Schedule:
        """The schedule; raises `ScheduleInvalid` where its parts contradict each other."""
        schedule = Schedule(
            frequency=self.frequency,
            first_date=self.first_date,
            convention=self.convention,
            day=self.day,
            count=self.count,
            last_date=self.last_date,
        )
        if self.day is not None and self.frequency is not Frequency.MONTHLY:
            raise ScheduleInvalid("only a monthly order has a day").at("schedule.day")
        if self.last_date is not None and self.last_date < self.first_date:
            raise ScheduleInvalid("it ends before it begins").at("schedule.last_date")
        if schedule.due_date(1) != self.first_date:
            raise ScheduleInvalid("it does not begin on its day").at("schedule.first_date")
        return schedule


class StandingOrderBody(TransferBody):
    """A payment that repeats. The amount is fixed; what another currency costs is the day's price."""

    schedule: ScheduleBody


class QuotationView(AnswerShape):
    """What a payment will cost, all of it, until `valid_until` (UTC second).

    `debit` is principal plus fee; `creditor_charge` is what the creditor's bank takes: already in
    the settlement amount under DEBT (`prepaid_charge`), else from what it credits.
    """

    id: str
    valid_until: int
    execution_date: date
    expected_by: int
    charge_bearer: ChargeBearer
    amount: AmountView
    settlement_amount: AmountView
    debit: AmountView
    principal: AmountView
    fee: AmountView
    margin: AmountView
    rate: str | None
    prepaid_charge: AmountView
    deducted_charge: AmountView
    creditor_charge: AmountView
    creditor_receives: AmountView
    rounding: str
    created_at: int


class OccurrenceView(AnswerShape):
    """One due date, and what became of it."""

    number: int
    due_date: date
    execution_date: date
    status: Literal["due", "executed", "missed", "cancelled"]
    payment_id: str | None
    code: str | None
    reason: str | None


class StandingOrderView(AnswerShape):
    """A standing order with its newest due dates, the last first."""

    id: str
    status: Literal["active", "completed", "cancelled"]
    end_to_end_id: str
    debtor_account: str
    creditor_account: str
    creditor_name: str
    amount: AmountView
    frequency: Frequency
    first_date: date
    convention: Convention
    day: int | None
    count: int | None
    last_date: date | None
    occurrences: tuple[OccurrenceView, ...]
    created_at: int


class StandingOrderPage(AnswerShape):
    """Standing orders, newest first; `next` is the cursor of the page that follows."""

    items: tuple[StandingOrderView, ...]
    next: str | None
