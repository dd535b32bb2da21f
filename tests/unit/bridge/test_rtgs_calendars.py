"""The business days of an RTGS whose calendar is new to the books, or does not know the year.

Cites docs/spec/central-bank.md: RTGS-13, RTGS-14, STM-2.
"""

import threading
from pathlib import Path

import pytest

from bridge.errors import CalendarYearUnknown
from bridge.interbank import Kind
from bridge.rtgs import TransferState
from support.offices import (
    Office,
    burnt,
    central_bank_office,
)
from support.participants import BANK_A, BANK_B
from support.rtgs_days import (
    LISTED,
    RTGS_A,
    TARGET,
    at,
    daily,
    enter,
    found,
    lines,
    order,
    second,
    settled_otherwise,
)

# A calendar for books that had none


def test_rtgs_13_a_day_that_was_open_is_closed_by_its_new_calendar(tmp_path: Path) -> None:
    before = central_bank_office(tmp_path)
    at(before, "2026-11-27T12:00:00")
    waiting = enter(before, order(before, 1, 150_000))
    bank = settled_otherwise(before, TARGET)
    at(bank, "2026-11-27T17:59:59")
    assert found(bank, waiting).state is TransferState.QUEUED
    at(bank, "2026-11-27T18:00:00")
    assert found(bank, waiting).ended_at == second("2026-11-27T17:59:59")
    assert daily(bank)[-1].period_end == second("2026-11-27T17:59:59")


def test_rtgs_13_a_saturday_that_was_open_becomes_mondays_day(tmp_path: Path) -> None:
    before = central_bank_office(tmp_path)
    at(before, "2026-11-28T12:00:00")
    count = len(daily(before))
    bank = settled_otherwise(before, TARGET)
    for moment in ("2026-11-28T18:00:00", "2026-11-29T18:00:00", "2026-11-30T17:59:59"):
        at(bank, moment)
        assert len(daily(bank)) == count
    at(bank, "2026-11-30T18:00:00")
    assert len(daily(bank)) == count + 1


def test_stm_2_a_day_that_got_an_earlier_end_states_all_that_moved_in_it(tmp_path: Path) -> None:
    before = central_bank_office(tmp_path)
    at(before, "2026-11-27T20:00:00")
    enter(before, order(before, 1, 10_000))
    bank = settled_otherwise(before, TARGET)
    at(bank, "2026-11-27T20:00:01")
    friday = daily(bank)[-1]
    assert (friday.closing, friday.period_end) == (90_000, second("2026-11-27T20:00:00"))
    at(bank, "2026-11-30T18:00:00")
    assert daily(bank)[-1].period_start == friday.period_end + 1


# A year that the calendar does not know


@pytest.fixture
def new_year(tmp_path: Path) -> Office:
    """The last second of the last business day that the calendar knows, a transfer waiting."""
    bank = central_bank_office(tmp_path, calendars={"EUR": LISTED}, intraday_seconds=3_600)
    at(bank, "2027-12-31T17:59:59")
    bank.done("set_rtgs_terms", BANK_A, {"credit_line": "200.00"})
    enter(bank, order(bank, 1, 110_000))
    enter(bank, order(bank, 2, 50_000))
    return bank


def test_rtgs_14_what_the_chain_decided_is_booked_in_an_unknown_year(new_year: Office) -> None:
    bank, count = new_year, len(daily(new_year))
    bank.now += 1
    bank.sees(*burnt(b"\x01" * 32, 700))
    assert bank.ledger(RTGS_A) == 700
    (closed,) = daily(bank)[count:]
    assert (closed.closing, closed.period_end) == (0, second("2027-12-31T17:59:59"))
    with bank.store.reading() as work:
        assert work.rtgs.queued() == ()
    bank.now = second("2028-01-05T12:00:00")
    bank.sees(*burnt(b"\x02" * 32, 300))
    assert bank.ledger(RTGS_A) == 1_000
    assert len(daily(bank)) == count + 1


def test_rtgs_14_orders_are_refused_in_an_unknown_year(new_year: Office) -> None:
    bank = new_year
    bank.now += 1
    document = {"creditor": BANK_B, "amount": "1.00", "end_to_end_id": "ORDER-1"}
    with pytest.raises(CalendarYearUnknown):
        bank.done("transfer_rtgs", BANK_A, document)
    assert bank.done("grant_credit", BANK_B, {"amount": "1.00"}).outcome == "granted"


def test_rtgs_14_the_background_does_all_else_and_says_so(new_year: Office) -> None:
    bank, count = new_year, len(daily(new_year))
    bank.now += 1
    for _ in range(2):
        with pytest.raises(CalendarYearUnknown):
            bank.office.step()
        bank.now += 3_600
        bank.sees(*burnt(bytes([bank.block % 256]) * 32, 100))
    assert len(daily(bank)) == count + 1
    assert lines(bank)[-1].amount == 100
    stop = threading.Event()
    thread = threading.Thread(target=bank.office.run, args=(stop,))
    thread.start()
    thread.join(1.5)
    assert thread.is_alive()
    stop.set()
    thread.join()


def test_rtgs_14_a_statement_waits_for_a_calendar_that_knows_its_days(new_year: Office) -> None:
    bank = new_year
    bank.now += 1
    bank.sees(*burnt(b"\x01" * 32, 700))
    bank.now += 3_600
    with pytest.raises(CalendarYearUnknown):
        bank.office.step()
    with bank.store.unit_of_work() as work:
        due = work.effects.claim(now=bank.now, owner="test", limit=999, lease_seconds=9)
    handle = bank.office.handlers()["send_statement"]
    outcomes = {str(each.payload["statement"]): type(handle(each)).__name__ for each in due}
    waiting = {name for name, outcome in outcomes.items() if outcome == "Retry"}
    assert waiting
    assert all(name.startswith("I") for name in waiting)
    sent = {body["statement"] for _, kind, body, _ in bank.posted() if kind is Kind.STATEMENT}
    assert daily(bank)[-1].statement_id in sent


def test_rtgs_14_the_day_is_not_lost_once_the_year_is_known(new_year: Office) -> None:
    bank, count = new_year, len(daily(new_year))
    bank.now += 1
    bank.sees(*burnt(b"\x01" * 32, 700))
    bank.now = second("2028-01-05T12:00:00")
    bank.sees(*burnt(b"\x02" * 32, 300))
    mended = settled_otherwise(bank, TARGET)
    at(mended, "2028-01-05T12:00:01")
    at(mended, "2028-01-05T18:00:00")
    last_known, third, fourth, fifth = daily(mended)[count:]
    assert [each.closing for each in (last_known, third, fourth, fifth)] == [0, *[1_000] * 3]
    assert third.period_end == second("2028-01-05T12:00:00")
    assert fifth.period_end == second("2028-01-05T17:59:59")
