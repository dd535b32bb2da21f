"""On which days and until what time a currency is settled: pure, from data.

A calendar has a time zone, a weekend, holidays, an opening time and a cut-off, in the local time of
its zone. Holidays come from named sets in `business_days.json` or from the settings: fixed days of
every year, days counted from Easter Sunday, and dates listed for single years. A year that a set of
listed dates does not know is refused rather than taken for a year without holidays.

    value date   the first business day whose cut-off has not passed, and its opening
    following    a day that is no business day moves to the next one
    preceding    ... or to the one before

A payment's day has hours. The days of an RTGS have none: each ends at its closing, where the next one
begins.

A currency without a calendar is open always, which is what a chain that never closes allows.
Sources: TARGET closing days as published by the European Central Bank; Easter by the rule of the
Gregorian calendar (Meeus, Jones and Butcher's form of it).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from bridge.errors import CalendarYearUnknown

CLOSED_DAYS_MAX: Final = 31
"""Longest run of closed days in which a business day is looked for."""

MIDNIGHT: Final = time(0)

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Holidays:
    """Days on which a currency is not settled.

    `fixed` are (month, day) of every year, `easter` days counted from Easter Sunday, `listed` single
    dates; `years` are those for which `listed` is complete, None where it is not needed.
    """

    name: str
    fixed: frozenset[tuple[int, int]] = frozenset()
    easter: frozenset[int] = frozenset()
    listed: frozenset[date] = frozenset()
    years: frozenset[int] | None = None

    def has(self, day: date) -> bool:
        """Whether a day is one of them; raises `CalendarYearUnknown` where that is not known."""
        if self.years is not None and day.year not in self.years:
            raise CalendarYearUnknown(self.name, day.year)
        from_easter = (day - easter_sunday(day.year)).days
        return (
            (day.month, day.day) in self.fixed or from_easter in self.easter or day in self.listed
        )


NO_HOLIDAYS: Final = Holidays("none")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The business days and hours of one currency; `cut_off` None is the end of the day."""

    zone: ZoneInfo
    weekend: frozenset[int] = frozenset()
    holidays: Holidays = NO_HOLIDAYS
    opens: time = MIDNIGHT
    cut_off: time | None = None

    def is_business_day(self, day: date) -> bool:
        """Whether the currency is settled on a day; `weekend` counts Monday as 0."""
        return day.weekday() not in self.weekend and not self.holidays.has(day)

    def local_day(self, at: int) -> date:
        """The date where the currency is settled, at a UTC second."""
        return datetime.fromtimestamp(at, self.zone).date()

    def opening(self, day: date) -> int:
        """The UTC second at which a day opens."""
        return _second(day, self.opens, self.zone)

    def closing(self, day: date) -> int:
        """The UTC second from which nothing more is taken for a day."""
        if self.cut_off is None:
            return _second(day + _ONE_DAY, MIDNIGHT, self.zone)
        return _second(day, self.cut_off, self.zone)


ALWAYS_OPEN: Final = Calendar(ZoneInfo("UTC"))
"""The calendar of a currency for which none is set."""


@dataclass(frozen=True, slots=True)
class Execution:
    """When an instruction is executed: the value date, and the UTC seconds of its business hours."""

    value_date: date
    opens_at: int
    closes_at: int


@dataclass(frozen=True, slots=True)
class Calendars:
    """The calendars of the currencies that one payment needs: all of them must be open."""

    each: tuple[Calendar, ...]

    def is_business_day(self, day: date) -> bool:
        """Whether every currency is settled on a day."""
        return all(calendar.is_business_day(day) for calendar in self.each)

    def today(self, at: int) -> date:
        """The earliest local date at a UTC second: what was before it is past everywhere."""
        return min(calendar.local_day(at) for calendar in self.each)

    def hours(self, day: date) -> Execution:
        """The hours of a business day in which all are open; none when closing is not after opening."""
        return Execution(
            value_date=day,
            opens_at=max(calendar.opening(day) for calendar in self.each),
            closes_at=min(calendar.closing(day) for calendar in self.each),
        )

    def following(self, day: date) -> date:
        """The day itself, or the next business day."""
        return self._find(day, _ONE_DAY)

    def preceding(self, day: date) -> date:
        """The day itself, or the business day before."""
        return self._find(day, -_ONE_DAY)

    def execution(self, at: int, not_before: date) -> Execution:
        """The first business day from `not_before` on whose common hours are not over at `at`.

        Raises `CalendarYearUnknown` where no such day can be told.
        """
        day = self.following(max(not_before, self.today(at)))
        for _ in range(CLOSED_DAYS_MAX):
            hours = self.hours(day)
            if at < hours.closes_at and hours.opens_at < hours.closes_at:
                return hours
            day = self.following(day + _ONE_DAY)
        raise CalendarYearUnknown("a common hour", day.year)

    def _find(self, day: date, step: timedelta) -> date:
        for _ in range(CLOSED_DAYS_MAX):
            if self.is_business_day(day):
                return day
            day += step
        raise CalendarYearUnknown("a business day", day.year)


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """The business days of one currency without a gap between them: every second belongs to one.

    A day ends at its closing. What comes after it, by night, on a weekend or on a holiday, is of the
    next one.
    """

    calendar: Calendar

    def date_of(self, at: int) -> date:
        """The first date that is not over at a UTC second, a business day or not; known of any year."""
        day = self.calendar.local_day(at)
        return day if at < self.calendar.closing(day) else day + _ONE_DAY

    def day_from(self, day: date) -> date:
        """A date itself, or the next business day; raises `CalendarYearUnknown`."""
        return Calendars((self.calendar,)).following(day)

    def day_of(self, at: int) -> date:
        """The business day to which a UTC second belongs; raises `CalendarYearUnknown`."""
        return self.day_from(self.date_of(at))

    def end_of(self, day: date) -> int:
        """The last UTC second of a business day; known of any year."""
        return self.calendar.closing(day) - 1


def easter_sunday(year: int) -> date:
    """Easter Sunday of a year of the Gregorian calendar."""
    century, of_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * (year % 19) + century - leap_centuries - correction + 15) % 30
    leaps, leap_rest = divmod(of_century, 4)
    weekday = (32 + 2 * century_rest + 2 * leaps - moon - leap_rest) % 7
    shift = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


@cache
def packaged_holidays() -> Mapping[str, Holidays]:
    """The named sets that come with the bridge, by name."""
    text = resources.files("bridge").joinpath("business_days.json").read_text("utf-8")
    return {name: _parse_holidays(name, found) for name, found in json.loads(text).items()}


def with_dates(holidays: Holidays, dates: Iterable[date]) -> Holidays:
    """The same days and some single dates besides, as the settings list them."""
    return Holidays(
        holidays.name,
        holidays.fixed,
        holidays.easter,
        holidays.listed | frozenset(dates),
        holidays.years,
    )


def _parse_holidays(name: str, document: Mapping[str, list[str]]) -> Holidays:
    listed = frozenset(date.fromisoformat(text) for text in document.get("listed", []))
    fixed = (date.fromisoformat(f"2000-{text}") for text in document.get("fixed", []))
    years = frozenset(int(text) for text in document["years"]) if "years" in document else None
    return Holidays(
        name=name,
        fixed=frozenset((day.month, day.day) for day in fixed),
        easter=frozenset(int(text) for text in document.get("easter", [])),
        listed=listed,
        years=years,
    )


def _second(day: date, moment: time, zone: ZoneInfo) -> int:
    """The UTC second of a local time; one that the clocks skip or repeat is the first it can be."""
    return int(datetime.combine(day, moment, zone).astimezone(UTC).timestamp())
