"""Whatever the calendar: a payment falls on a day that is open, and no month is lost.

Cites docs/spec/payment.md: CAL-1 to CAL-4, STO-1, STO-2; docs/spec/central-bank.md: RTGS-13.
"""

from calendar import monthrange
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.business_days import (
    ALWAYS_OPEN,
    BusinessDays,
    Calendar,
    Calendars,
    Holidays,
    easter_sunday,
    packaged_holidays,
)
from bridge.standing_order import Convention, Frequency, Schedule

DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 1))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Singapore", "America/New_York"])
SECONDS = st.integers(946_684_800, 4_099_680_000)


@st.composite
def calendars(draw: st.DrawFn) -> Calendars:
    """One or two calendars whose hours overlap on every day both are open."""
    each = []
    for _ in range(draw(st.integers(1, 2))):
        listed = draw(st.frozensets(DAYS, max_size=5))
        each.append(
            Calendar(
                zone=ZoneInfo(draw(ZONES)),
                weekend=draw(st.frozensets(st.integers(5, 6))),
                holidays=Holidays("drawn", easter=frozenset({-2, 1}), listed=listed),
                opens=time(draw(st.integers(0, 7))),
                cut_off=draw(st.none() | st.integers(21, 23).map(time)),
            )
        )
    return Calendars(tuple(each))


@given(calendars(), DAYS)
def test_the_next_business_day_is_never_closed_and_none_lies_before_it(
    found: Calendars, day: date
) -> None:
    following, preceding = found.following(day), found.preceding(day)
    assert found.is_business_day(following)
    assert found.is_business_day(preceding)
    skipped = (following - day).days + (day - preceding).days
    between = [preceding + timedelta(days=n + 1) for n in range(skipped - 1)]
    assert not any(found.is_business_day(each) for each in between if skipped > 0)


@given(calendars(), SECONDS, st.integers(0, 400))
def test_an_execution_is_on_an_open_day_before_its_cut_off(
    found: Calendars, at: int, ahead: int
) -> None:
    requested = found.today(at) + timedelta(days=ahead)
    execution = found.execution(at, requested)
    assert found.is_business_day(execution.value_date)
    assert execution.value_date >= requested
    assert at < execution.closes_at
    assert execution.opens_at < execution.closes_at


@given(SECONDS)
def test_without_a_calendar_every_second_is_open_today(at: int) -> None:
    execution = Calendars((ALWAYS_OPEN,)).execution(at, date(2000, 1, 1))
    assert execution.value_date == datetime.fromtimestamp(at, UTC).date()
    assert execution.opens_at <= at < execution.closes_at


@given(st.integers(1583, 4099))
def test_easter_is_a_sunday_after_the_spring_equinox(year: int) -> None:
    found = easter_sunday(year)
    assert found.weekday() == 6
    assert date(year, 3, 22) <= found <= date(year, 4, 25)


@given(DAYS)
def test_target_is_closed_on_good_friday_easter_monday_and_four_fixed_days(day: date) -> None:
    target = packaged_holidays()["target"]
    easter = easter_sunday(day.year)
    closed = {easter - timedelta(2), easter + timedelta(1)}
    closed |= {date(day.year, *each) for each in ((1, 1), (5, 1), (12, 25), (12, 26))}
    assert target.has(day) == (day in closed)


@given(DAYS, st.integers(1, 31), st.integers(1, 200))
def test_a_monthly_order_falls_due_once_in_every_month(first: date, day: int, count: int) -> None:
    starts = first.replace(day=min(day, monthrange(first.year, first.month)[1]))
    assume(starts.year + count // 12 + 1 < 9999)
    schedule = Schedule(Frequency.MONTHLY, starts, day=day, count=count)
    dues = [schedule.due_date(number + 1) for number in range(count)]
    months = [each.year * 12 + each.month for each in dues if each is not None]
    assert months == list(range(months[0], months[0] + count))
    assert all(
        each is not None and each.day == min(day, monthrange(each.year, each.month)[1])
        for each in dues
    )
    assert schedule.due_date(count + 1) is None


@given(DAYS, st.sampled_from(Convention), calendars())
def test_a_due_date_moves_to_a_business_day_in_the_direction_asked_for(
    due: date, convention: Convention, found: Calendars
) -> None:
    schedule = Schedule(Frequency.ONCE, due, convention)
    executed = schedule.execution_date(due, found)
    assert found.is_business_day(executed)
    assert (executed >= due) if convention is Convention.FOLLOWING else (executed <= due)


@given(DAYS, st.integers(1, 60))
def test_a_weekly_order_keeps_its_weekday_and_ends_with_its_last_date(
    first: date, weeks: int
) -> None:
    last = first + timedelta(weeks=weeks, days=3)
    schedule = Schedule(Frequency.WEEKLY, first, last_date=last)
    dues = [schedule.due_date(number + 1) for number in range(weeks + 1)]
    assert all(each is not None and each.weekday() == first.weekday() for each in dues)
    assert schedule.due_date(weeks + 2) is None


@st.composite
def days_and_seconds(draw: st.DrawFn) -> tuple[BusinessDays, int]:
    """Business days that may end at any hour, and a second, often one at which a day ends."""
    (calendar, *_) = draw(calendars()).each
    cut_off = draw(st.none() | st.integers(1, 23).map(time))
    days = BusinessDays(replace(calendar, opens=time(0), cut_off=cut_off))
    near_an_end = st.builds(lambda day, off: days.end_of(day) + off, DAYS, st.integers(-2, 2))
    return days, draw(SECONDS | near_an_end)


@given(days_and_seconds())
def test_every_second_is_of_a_business_day_that_is_not_over(
    drawn: tuple[BusinessDays, int],
) -> None:
    days, at = drawn
    day = days.day_of(at)
    assert days.calendar.is_business_day(day)
    assert at <= days.end_of(day)
    assert days.day_of(days.end_of(day)) == day


@given(days_and_seconds())
def test_business_days_adjoin(drawn: tuple[BusinessDays, int]) -> None:
    days, at = drawn
    day = days.day_of(at)
    assert days.day_of(days.end_of(day) + 1) == days.day_from(day + timedelta(days=1))


@given(days_and_seconds(), st.integers(0, 500_000))
def test_a_later_second_is_never_of_an_earlier_business_day(
    drawn: tuple[BusinessDays, int], seconds: int
) -> None:
    days, at = drawn
    assert days.date_of(at) <= days.date_of(at + seconds)
    assert days.day_of(at) <= days.day_of(at + seconds)


@given(SECONDS)
def test_without_a_calendar_business_days_are_the_dates_of_utc(at: int) -> None:
    days = BusinessDays(ALWAYS_OPEN)
    day = datetime.fromtimestamp(at, UTC).date()
    assert days.date_of(at) == days.day_of(at) == day
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    assert days.end_of(day) == int(midnight.timestamp()) - 1
