"""A payment that repeats, or waits for its day: when it falls due, as a pure rule.

Due dates are counted from the first: the n-th of a monthly order lies n months after it, on the day
of the month that was asked for, or on the last day of a shorter month. Counted from the first and not
from the one before, so that an order for the 31st comes back to the 31st after February.

A due date that is no business day moves to the following or the preceding one; the due date itself,
which names the occurrence, stays.

    active --last occurrence over--> completed
       '--cancelled by its customer--> cancelled

    due --> executed    a payment was made on it
     |----> missed      it could not be, in its time
     '----> cancelled   its order was, first
"""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum, unique
from typing import Final, assert_never

from bridge.business_days import Calendars

OCCURRENCES_MAX: Final = 1_200
"""Most times that one order may fall due; a hundred years of months."""

MONTHS_OF_A_YEAR: Final = 12


@unique
class Frequency(StrEnum):
    """How often an order falls due."""

    ONCE = "once"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@unique
class Convention(StrEnum):
    """Where a due date moves that is no business day."""

    FOLLOWING = "following"
    PRECEDING = "preceding"


@unique
class OrderState(StrEnum):
    """Where an order stands."""

    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@unique
class OccurrenceState(StrEnum):
    """What became of one due date."""

    DUE = "due"
    EXECUTED = "executed"
    MISSED = "missed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an order falls due.

    `day` is the day of the month of a monthly order, 31 being its last. It ends after `count`
    occurrences, or with the last due date not after `last_date`, whichever comes first.
    """

    frequency: Frequency
    first_date: date
    convention: Convention = Convention.FOLLOWING
    day: int | None = None
    count: int | None = None
    last_date: date | None = None

    def due_date(self, number: int) -> date | None:
        """The due date of the `number`-th occurrence, counted from 1; None after the end."""
        limit = min(self.count or OCCURRENCES_MAX, OCCURRENCES_MAX)
        if number > limit:
            return None
        due = self._nth(number - 1)
        if due is None or (self.last_date is not None and due > self.last_date):
            return None
        return due

    def execution_date(self, due: date, calendars: Calendars) -> date:
        """The business day on which a due date is executed; raises `CalendarYearUnknown`."""
        if self.convention is Convention.PRECEDING:
            return calendars.preceding(due)
        return calendars.following(due)

    def _nth(self, steps: int) -> date | None:
        match self.frequency:
            case Frequency.ONCE:
                return self.first_date if steps == 0 else None
            case Frequency.WEEKLY:
                return self.first_date + timedelta(weeks=steps)
            case Frequency.MONTHLY:
                return self._month(steps)
            case _:
                assert_never(self.frequency)

    def _month(self, steps: int) -> date:
        months = self.first_date.year * MONTHS_OF_A_YEAR + self.first_date.month - 1 + steps
        year, month = divmod(months, MONTHS_OF_A_YEAR)
        last = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(self.day or self.first_date.day, last))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due date of an order; `number` counts from 1.

    `execution_date` is the business day it is executed on. `code` and `reason` (ISO 20022) say why
    it was missed, and `report` is the pacs.002 that tells its customer.
    """

    order_id: str
    number: int
    due_date: date
    execution_date: date
    state: OccurrenceState = OccurrenceState.DUE
    payment_id: str | None = None
    code: str | None = None
    reason: str | None = None
    report: bytes | None = None


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """A customer's order for later days: `instruction` is it as a pain.001, executed each time."""

    order_id: str
    client: str
    state: OrderState
    schedule: Schedule
    instruction: bytes
    created_at: int
