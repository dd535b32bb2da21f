"""The business days of an RTGS: its currency's calendar decides for which day what happens counts.

Cites docs/spec/central-bank.md: RTGS-6, RTGS-7, RTGS-8, RTGS-13, RTGS-14, STM-2, STM-5.
"""

import itertools
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.business_days import ALWAYS_OPEN, BusinessDays, Calendar, packaged_holidays
from bridge.centralbank.transferring import TransferOrder, order_transfer
from bridge.errors import TransferLimitExceeded
from bridge.interbank import Kind, Received
from bridge.iso20022.parse import (
    parse_institution_transfer,
    parse_intraday_report,
    parse_statement,
)
from bridge.money import Amount
from bridge.retail.register import Register
from bridge.rtgs import Priority, TransferState
from support.bridge_api import CENTRAL_BANK
from support.offices import (
    Office,
    bank_office,
    central_bank_office,
    moved,
)
from support.participants import BANK_A, BANK_B
from support.rtgs_days import (
    BERLIN,
    RTGS_A,
    TARGET,
    TOKENS_A,
    at,
    daily,
    enter,
    found,
    lines,
    order,
    second,
)
from support.token_books import A_ADDRESS, B_ADDRESS, EUR


@pytest.fixture
def bank(tmp_path: Path) -> Office:
    """The central bank of a currency with the calendar of TARGET, on a Monday morning."""
    return central_bank_office(tmp_path, calendars={"EUR": TARGET}, intraday_seconds=3_600)


# Which day it is


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-27T17:59:59", "2026-11-27"),
        ("2026-11-27T18:00:00", "2026-11-30"),
        ("2026-11-28T12:00:00", "2026-11-30"),
        ("2026-11-29T23:59:59", "2026-11-30"),
        ("2026-11-30T00:00:00", "2026-11-30"),
        ("2026-11-30T18:00:00", "2026-12-01"),
        # from Good Friday to Easter Monday, and the clocks go forward on the Sunday between
        ("2027-03-25T17:59:59", "2027-03-25"),
        ("2027-03-25T18:00:00", "2027-03-30"),
        ("2027-03-26T12:00:00", "2027-03-30"),
        ("2027-03-29T18:00:00", "2027-03-30"),
        ("2027-03-30T17:59:59", "2027-03-30"),
        # Christmas 2026 is a Friday, New Year's Day 2027 too
        ("2026-12-24T18:00:00", "2026-12-28"),
        ("2026-12-31T18:00:00", "2027-01-04"),
    ],
)
def test_rtgs_13_a_moment_is_of_the_first_business_day_that_has_not_closed(
    moment: str, day: str
) -> None:
    calendar = Calendar(BERLIN, frozenset({5, 6}), packaged_holidays()["target"], time(7), time(18))
    assert BusinessDays(calendar).day_of(second(moment)) == date.fromisoformat(day)


def test_rtgs_13_a_day_ends_at_its_local_hour_whatever_the_clocks_did() -> None:
    days = BusinessDays(Calendar(BERLIN, frozenset({5, 6}), cut_off=time(18)))
    ends = {
        day: datetime.fromtimestamp(days.end_of(date.fromisoformat(day)) + 1, UTC).hour
        for day in ("2026-03-27", "2026-03-30", "2026-10-23", "2026-10-26")
    }
    assert list(ends.values()) == [17, 16, 16, 17]


def test_rtgs_13_a_day_without_cut_off_ends_at_local_midnight() -> None:
    days = BusinessDays(Calendar(ZoneInfo("Asia/Singapore")))
    last = int(datetime(2026, 11, 27, 15, 59, 59, tzinfo=UTC).timestamp())
    assert (days.day_of(last), days.day_of(last + 1)) == (date(2026, 11, 27), date(2026, 11, 28))
    assert days.end_of(date(2026, 11, 27)) == last


# What waits


def test_rtgs_6_what_waits_expires_at_the_cut_off(bank: Office) -> None:
    at(bank, "2026-11-27T17:59:59")
    waiting = enter(bank, order(bank, 1, 150_000))
    assert (waiting.state, waiting.business_day) == (TransferState.QUEUED, date(2026, 11, 27))
    at(bank, "2026-11-27T18:00:00")
    expired = found(bank, waiting)
    assert (expired.state, expired.ended_at) == (
        TransferState.EXPIRED,
        second("2026-11-27T17:59:59"),
    )


def test_rtgs_13_what_comes_after_the_cut_off_waits_over_the_weekend(bank: Office) -> None:
    at(bank, "2026-11-27T18:00:00")
    waiting = enter(bank, order(bank, 1, 150_000))
    assert waiting.business_day == date(2026, 11, 30)
    for moment in ("2026-11-28T09:00:00", "2026-11-29T23:59:59", "2026-11-30T17:59:59"):
        at(bank, moment)
        assert found(bank, waiting).state is TransferState.QUEUED
    at(bank, "2026-11-30T18:00:00")
    assert found(bank, waiting).state is TransferState.EXPIRED


def test_rtgs_13_a_transfer_whose_day_closed_while_it_waited_is_of_the_next(bank: Office) -> None:
    at(bank, "2026-11-27T17:59:59")
    late = order(bank, 1, 10_000)
    at(bank, "2026-11-27T18:00:00")
    entered = enter(bank, late)
    assert entered.business_day == date(2026, 11, 30)
    at(bank, "2026-11-30T18:00:00")
    assert [each.closing for each in daily(bank)] == [100_000, 90_000]


def test_rtgs_13_settlement_goes_on_when_the_currency_is_closed(bank: Office) -> None:
    at(bank, "2026-11-28T12:00:00")
    waiting = enter(bank, order(bank, 1, 150_000))
    at(bank, "2026-11-29T12:00:00")
    assert enter(bank, order(bank, 2, 60_000, BANK_B)).state is TransferState.SETTLED
    assert found(bank, waiting).state is TransferState.SETTLED


def test_rtgs_8_the_limit_of_a_day_counts_by_business_days(bank: Office) -> None:
    bank.done("set_rtgs_terms", BANK_A, {"day_max": "500.00"})
    at(bank, "2026-11-27T17:59:59")
    enter(bank, order(bank, 1, 50_000))
    with pytest.raises(TransferLimitExceeded):
        enter(bank, order(bank, 2, 1))
    at(bank, "2026-11-27T18:00:00")
    enter(bank, order(bank, 2, 20_000))
    for number, moment in enumerate(("2026-11-29T12:00:00", "2026-11-30T17:59:59"), start=3):
        at(bank, moment)
        with pytest.raises(TransferLimitExceeded):
            enter(bank, order(bank, number, 30_001))
    assert enter(bank, order(bank, 5, 30_000)).state is TransferState.SETTLED


def test_rtgs_7_credit_is_overnight_from_the_end_of_the_business_day(bank: Office) -> None:
    bank.done("set_rtgs_terms", BANK_A, {"credit_line": "200.00"})
    at(bank, "2026-11-27T12:00:00")
    enter(bank, order(bank, 1, 110_000))
    at(bank, "2026-11-27T18:00:07")
    assert bank.ledger(RTGS_A) == 0
    night = lines(bank)[-1]
    assert (night.kind, night.amount, night.at) == (
        "overnight-credit",
        10_000,
        second("2026-11-27T17:59:59"),
    )
    enter(bank, order(bank, 2, 10_000))
    at(bank, "2026-11-29T12:00:00")
    assert bank.ledger(RTGS_A) == -10_000
    at(bank, "2026-11-30T18:00:00")
    assert bank.ledger(RTGS_A) == 0


# Statements


def weekend(bank: Office) -> None:
    """Friday, a weekend on which money moves, and Monday."""
    at(bank, "2026-11-27T12:00:00")
    enter(bank, order(bank, 1, 10_000))
    at(bank, "2026-11-27T18:00:00")
    enter(bank, order(bank, 2, 1_000))
    at(bank, "2026-11-28T12:00:00")
    enter(bank, order(bank, 3, 200))
    at(bank, "2026-11-29T12:00:00")
    at(bank, "2026-11-30T12:00:00")
    at(bank, "2026-11-30T18:00:00")


def test_stm_2_a_weekend_has_no_statement_and_is_in_that_of_monday(bank: Office) -> None:
    at(bank, "2026-11-26T12:00:00")
    weekend(bank)
    thursday, friday, monday = daily(bank)
    assert (friday.opening, friday.closing) == (thursday.closing, 90_000)
    assert (monday.opening, monday.closing) == (90_000, 88_800)
    for earlier, later in itertools.pairwise((thursday, friday, monday)):
        assert later.number == earlier.number + 1
        assert later.period_start == earlier.period_end + 1
        assert later.first_line == earlier.last_line + 1
    assert friday.period_end == second("2026-11-27T17:59:59")
    assert monday.period_end == second("2026-11-30T17:59:59")


def test_stm_5_a_line_is_booked_for_its_business_day_in_every_statement(bank: Office) -> None:
    at(bank, "2026-11-26T12:00:00")
    at(bank, "2026-11-26T18:00:00")
    bank.do_effects()
    bank.posted()
    weekend(bank)
    bank.do_effects()
    days_by_line: dict[Kind, dict[str, date]] = {Kind.STATEMENT: {}, Kind.INTRADAY_REPORT: {}}
    balances = []
    for to, kind, body, _ in bank.posted():
        if to != BANK_A or kind not in days_by_line or f"rtgs:{BANK_A}" not in body["document"]:
            continue
        document = body["document"].encode()
        if kind is Kind.STATEMENT:
            page = parse_statement(document)
            balances.append([each.balance_date for each in page.balances])
            entries = page.entries
        else:
            entries = parse_intraday_report(document).entries
        for entry in entries:
            assert entry.booking_date == entry.value_date
            days_by_line[kind][entry.account_servicer_reference] = entry.booking_date
    friday, monday = date(2026, 11, 27), date(2026, 11, 30)
    assert list(days_by_line[Kind.STATEMENT].values()) == [friday, monday, monday]
    reported = days_by_line[Kind.INTRADAY_REPORT]
    assert reported.items() <= days_by_line[Kind.STATEMENT].items()
    assert len(reported) == 2
    assert balances == [[friday, friday], [monday, monday]]


def test_stm_5_tokens_that_move_after_the_cut_off_are_of_the_next_day(bank: Office) -> None:
    at(bank, "2026-11-27T17:59:59")
    bank.sees(moved(A_ADDRESS, B_ADDRESS, 100, 1))
    block = bank.block
    bank.now += 1
    bank.sees(moved(B_ADDRESS, A_ADDRESS, 30, 2))
    (friday,) = daily(bank, TOKENS_A)
    assert (friday.closing, friday.last_line, friday.block) == (-100, 1, block)
    at(bank, "2026-11-30T18:00:00")
    assert [each.closing for each in daily(bank, TOKENS_A)] == [-100, -70]
    assert daily(bank, TOKENS_A)[-1].block == block + 1


def test_rtgs_6_retail_cbdc_issued_after_the_cut_off_closes_the_day_too(bank: Office) -> None:
    at(bank, "2026-11-27T17:59:59")
    waiting = enter(bank, order(bank, 1, 150_000))
    bank.now += 1
    register = Register(bank.institution, bank.office.rtgs)
    body = {"reference": "31" * 32, "direction": "issue", "amount": "5.00", "currency": "EUR"}
    register.receive(Received(BANK_A, Kind.RETAIL_ORDER, body))
    assert found(bank, waiting).state is TransferState.EXPIRED
    (friday,) = daily(bank)
    assert (friday.closing, bank.ledger(RTGS_A)) == (100_000, 99_500)


def test_rtgs_12_retail_cbdc_redeemed_lets_the_queue_move(bank: Office) -> None:
    at(bank, "2026-11-26T12:00:00")
    register = Register(bank.institution, bank.office.rtgs)
    body = {"reference": "31" * 32, "direction": "issue", "amount": "5.00", "currency": "EUR"}
    register.receive(Received(BANK_A, Kind.RETAIL_ORDER, body))
    waiting = enter(bank, order(bank, 1, 99_900))
    assert found(bank, waiting).state is TransferState.QUEUED
    body |= {"reference": "32" * 32, "direction": "redeem", "amount": "4.00"}
    register.receive(Received(BANK_A, Kind.RETAIL_ORDER, body))
    assert found(bank, waiting).state is TransferState.SETTLED


def test_stm_2_days_without_the_process_have_their_statements_afterwards(bank: Office) -> None:
    """Thursday to the Wednesday after: five business days are over when somebody looks again."""
    at(bank, "2026-11-26T12:00:00")
    enter(bank, order(bank, 1, 10_000))
    at(bank, "2026-12-03T09:00:00")
    first, *slept = daily(bank)
    assert (first.closing, len(slept)) == (90_000, 4)
    assert {(each.opening, each.closing, each.last_line) for each in slept} == {
        (90_000, 90_000, first.last_line)
    }
    assert [each.period_end for each in (first, *slept)] == [
        second(f"{day}T17:59:59")
        for day in ("2026-11-26", "2026-11-27", "2026-11-30", "2026-12-01", "2026-12-02")
    ]


def test_stm_2_after_a_long_time_away_days_are_closed_step_by_step(bank: Office) -> None:
    at(bank, "2026-11-26T12:00:00")
    count = len(daily(bank))
    at(bank, "2026-12-21T12:00:00")
    steps = [len(daily(bank)) - count]
    for _ in range(3):
        bank.office.step()
        steps.append(len(daily(bank)) - count)
    assert steps == [10, 17, 17, 17]
    assert daily(bank)[-1].period_end == second("2026-12-18T17:59:59")


def test_stm_5_the_owner_keeps_a_line_as_of_the_page_that_stated_it_first(
    bank: Office, tmp_path: Path
) -> None:
    at(bank, "2026-11-26T18:00:00")
    owner = bank_office(tmp_path / "owner")
    weekend(bank)
    bank.do_effects()
    pages = [
        (kind, body, message_id)
        for to, kind, body, message_id in bank.posted()
        if to == BANK_A and kind in {Kind.STATEMENT, Kind.INTRADAY_REPORT}
    ]
    # a daily statement may overtake the intraday reports of its day
    for kind, body, message_id in sorted(pages, key=lambda page: page[0] is not Kind.STATEMENT):
        assert owner.takes(CENTRAL_BANK, kind, body, message_id)
    kept = lines(owner)
    assert [each.balance for each in kept] == [each.balance for each in lines(bank)]
    assert [each.at for each in kept[-2:]] == [second("2026-11-30T17:59:59")] * 2


# What the participant writes


def test_rtgs_14_the_date_of_an_order_is_the_business_day_of_its_sender(tmp_path: Path) -> None:
    sender = bank_office(tmp_path, calendars={"EUR": TARGET})
    sender.now = second("2026-11-27T18:00:00")
    wanted = TransferOrder(BANK_B, Amount(EUR, 100), Priority.NORMAL, "RENT-1")
    ordered = order_transfer(sender.institution, wanted, "k")
    assert ordered.business_day == date(2026, 11, 30)
    ((_, _, body, _),) = sender.posted()
    written = parse_institution_transfer(body["document"].encode())
    assert written.interbank_settlement_date == date(2026, 11, 30)


def test_rtgs_13_without_a_calendar_days_are_those_of_utc(tmp_path: Path) -> None:
    bank = central_bank_office(tmp_path)
    assert bank.office.rtgs.days == BusinessDays(ALWAYS_OPEN)
    bank.now = int(datetime(2026, 11, 28, 23, 59, 59, tzinfo=UTC).timestamp())
    waiting = enter(bank, order(bank, 1, 150_000))
    assert waiting.business_day == date(2026, 11, 28)
    bank.later(1)
    assert found(bank, waiting).ended_at == bank.now - 1
