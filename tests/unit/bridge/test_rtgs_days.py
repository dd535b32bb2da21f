"""The business days of an RTGS: its currency's calendar decides for which day what happens counts.

Cites docs/spec/central-bank.md: RTGS-6, RTGS-7, RTGS-8, RTGS-13, RTGS-14, STM-2, STM-5.
"""

import itertools
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge import chart
from bridge.business_days import ALWAYS_OPEN, BusinessDays, Calendar, packaged_holidays
from bridge.centralbank.transferring import TransferOrder, order_transfer
from bridge.config import CalendarSettings
from bridge.errors import CalendarYearUnknown, TransferLimitExceeded
from bridge.interbank import Kind, Received
from bridge.iso20022.parse import (
    parse_institution_transfer,
    parse_intraday_report,
    parse_statement,
)
from bridge.money import Amount
from bridge.retail.register import Register
from bridge.rtgs import Priority, Transfer, TransferState
from bridge.store import StatedAccount, StatementKind, StatementLine, StoredStatement
from support.bridge_api import CENTRAL_BANK
from support.offices import (
    Office,
    bank_office,
    burnt,
    central_bank_office,
    moved,
    transfer,
)
from support.participants import BANK_A, BANK_B
from support.token_books import A_ADDRESS, B_ADDRESS, EUR

BERLIN = ZoneInfo("Europe/Berlin")
TARGET = {"zone": "Europe/Berlin", "holidays": "target", "opens": "07:00", "cut_off": "18:00"}
LISTED = {"zone": "Europe/Berlin", "holidays": "singapore-example", "cut_off": "18:00"}
RESERVES_A = StatedAccount("reserves", BANK_A, "EUR")
TOKENS_A = StatedAccount("tokens", BANK_A, "EUR")
RTGS_A = chart.rtgs(BANK_A)


def second(text: str) -> int:
    """The UTC second of a local time in Berlin."""
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


@pytest.fixture
def bank(tmp_path: Path) -> Office:
    """The central bank of a currency with the calendar of TARGET, on a Monday morning."""
    return central_bank_office(tmp_path, calendars={"EUR": TARGET}, intraday_seconds=3_600)


def at(bank: Office, text: str) -> None:
    """Let it become a local time, and what is due be done."""
    bank.later(second(text) - bank.now)


def order(bank: Office, number: int, cents: int, debtor: str = BANK_A) -> Transfer:
    """A transfer that is entered now."""
    creditor = BANK_B if debtor == BANK_A else BANK_A
    entered = transfer(number, cents, debtor=debtor, creditor=creditor, at=bank.now)
    return replace(entered, business_day=bank.office.rtgs.days.day_of(bank.now))


def enter(bank: Office, entered: Transfer) -> Transfer:
    with bank.store.unit_of_work() as work:
        return bank.office.rtgs.enter(work, entered)


def found(bank: Office, entered: Transfer) -> Transfer:
    with bank.store.reading() as work:
        return work.rtgs.get(entered.ordered_by, entered.transfer_id)


def lines(bank: Office, account: StatedAccount = RESERVES_A) -> list[StatementLine]:
    with bank.store.reading() as work:
        return list(work.account_statements.lines(account, 1, 999))


def daily(bank: Office, account: StatedAccount = RESERVES_A) -> list[StoredStatement]:
    with bank.store.reading() as work:
        page = work.account_statements.page(account.lei, limit=200)
    return [
        each
        for each in reversed(page.items)
        if (each.account, each.kind) == (account, StatementKind.STATEMENT)
    ]


def settled_otherwise(bank: Office, calendar: dict[str, str] | None) -> Office:
    """The same central bank, started again with another calendar."""
    read = {} if calendar is None else {"EUR": CalendarSettings.model_validate(calendar)}
    institution = bank.books.institution
    settings = institution.settings.model_copy(update={"calendars": read})
    books = replace(bank.books, institution=replace(institution, settings=settings))
    return Office(books, bank.lei, bank.path, bank.now, bank.block)


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
