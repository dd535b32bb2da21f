"""A due date is paid once, whatever dies, whenever; or recorded as missed, and its customer told.

Cites docs/spec/payment.md: CAL-5 to CAL-8, STO-3 to STO-10.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.api.order_schemas import StandingOrderView
from bridge.api.schemas import ScheduledPaymentView
from bridge.iso20022.parse import parse_credit_transfer, parse_status_report
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.settlement.occurrences import Due, DueDates
from bridge.store import CustomerAccountStatus, EffectRow
from bridge.worker import Outcome, Retry, Worker
from support.bridge_api import ALICE, ALICE_IBAN, CAROL, CAROL_IBAN, NOW, ON_US_ORDER, Bridge, bank

ALICES, CAROLS = f"deposit:{ALICE_IBAN}", f"deposit:{CAROL_IBAN}"
DAY = 86_400
SCHEDULE = {"frequency": "monthly", "first_date": "2026-11-30", "day": 31}


def second(day: str, hour: int = 0) -> int:
    return int(datetime.fromisoformat(f"{day}T{hour:02d}:00:00+00:00").timestamp())


@dataclass(slots=True)
class Street:
    """A bank with a worker that can be made to die."""

    bridge: Bridge

    def order(self, key: str = "key-1", *, token: str = ALICE, **changes: Any) -> Any:
        body = {**ON_US_ORDER, "schedule": SCHEDULE, **changes}
        headers = {"Idempotency-Key": key}
        return self.bridge.request(
            "POST", "/v1/standing-orders", token=token, headers=headers, json=body
        )

    def pay(self, day: str, key: str = "key-1", **changes: Any) -> Any:
        headers = {"Idempotency-Key": key}
        body = {**ON_US_ORDER, "requested_execution_date": day, **changes}
        return self.bridge.request("POST", "/v1/payments", token=ALICE, headers=headers, json=body)

    def work(self, at: int) -> None:
        """Do everything that is due at a UTC second, and nothing that is due later."""
        self.bridge.now = at
        worker = self.worker(DueDates(self.bridge.institution).execute)
        while worker.step():
            pass

    def worker(self, handler: Callable[[EffectRow], Outcome]) -> Worker:
        handlers = {"execute_standing_order": handler}
        return Worker(self.bridge.store, handlers, lambda: self.bridge.now, "test")

    def see(self, order_id: str) -> dict[str, Any]:
        path = f"/v1/standing-orders/{order_id}"
        body: dict[str, Any] = self.bridge.request("GET", path, token=ALICE).json()
        StandingOrderView.model_validate(body)
        return body

    def dates(self, order_id: str) -> list[tuple[str, str]]:
        shown = self.see(order_id)["occurrences"]
        return [(each["due_date"], each["status"]) for each in reversed(shown)]

    def cancel(self, order_id: str) -> Any:
        path = f"/v1/standing-orders/{order_id}/cancellation"
        return self.bridge.request("POST", path, token=ALICE)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(bank(tmp_path))


def test_a_payment_for_a_later_day_is_made_when_that_day_opens(street: Street) -> None:
    answer = street.pay("2026-11-25")
    assert answer.status_code == 202, answer.text
    body = answer.json()
    ScheduledPaymentView.model_validate(body)
    assert (body["status"], body["execution_date"]) == ("scheduled", "2026-11-25")
    street.work(second("2026-11-25") - 1)
    assert street.bridge.balance(ALICES) == "2000.00"
    street.work(second("2026-11-25"))
    assert street.bridge.balance(CAROLS) == "100.00"
    order = street.see(body["id"])
    assert order["status"] == "completed"
    (occurrence,) = order["occurrences"]
    path = f"/v1/payments/{occurrence['payment_id']}"
    paid = street.bridge.request("GET", path, token=ALICE).json()
    assert (paid["status"], paid["uetr"]) == ("settled", body["uetr"])
    assert street.pay("2026-11-25").json() == body


def test_a_monthly_order_pays_on_the_last_day_of_each_month_until_its_end(street: Street) -> None:
    order = street.order(schedule={**SCHEDULE, "count": 4}).json()["id"]
    street.work(second("2026-11-30"))
    street.work(second("2027-02-27", 23))
    assert street.dates(order) == [
        ("2026-11-30", "executed"),
        ("2026-12-31", "missed"),
        ("2027-01-31", "missed"),
        ("2027-02-28", "due"),
    ]
    street.work(second("2027-02-28"))
    assert street.see(order)["status"] == "completed"
    assert street.bridge.balance(CAROLS) == "200.00"


def test_each_month_in_its_time_is_paid(street: Street) -> None:
    order = street.order(schedule={**SCHEDULE, "count": 3}).json()["id"]
    for day in ("2026-11-30", "2026-12-31", "2027-01-31"):
        street.work(second(day, 9))
    assert [status for _, status in street.dates(order)] == 3 * ["executed"]
    assert street.bridge.balance(CAROLS) == "300.00"


def test_a_bridge_that_was_down_makes_up_for_days_that_are_not_too_old(street: Street) -> None:
    weekly = {"frequency": "weekly", "first_date": "2026-11-24"}
    order = street.order(schedule=weekly).json()["id"]
    street.work(second("2026-12-09"))
    assert street.dates(order) == [
        ("2026-11-24", "missed"),
        ("2026-12-01", "missed"),
        ("2026-12-08", "executed"),
        ("2026-12-15", "due"),
    ]
    missed = street.see(order)["occurrences"][-1]
    assert (missed["code"], missed["reason"]) == ("standing_order_overdue", "TM01")


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_worker_that_dies_around_the_payment_leads_to_one_payment(
    street: Street, dies: str
) -> None:
    order = street.order().json()["id"]
    street.bridge.now = second("2026-11-30", 9)
    handler = DueDates(street.bridge.institution).execute

    def die(effect: EffectRow) -> Outcome:
        if dies == "after":
            handler(effect)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        street.worker(die).step()
    with street.bridge.store.unit_of_work() as work:
        work.effects.release_all(street.bridge.now)
    street.work(second("2026-11-30", 10))
    assert street.bridge.balance(ALICES) == "1895.00"
    assert street.dates(order)[0] == ("2026-11-30", "executed")
    assert street.bridge.rows()["payments"] == 2


def test_a_due_date_delivered_twice_pays_once_with_a_uetr_that_is_derived(
    street: Street,
) -> None:
    order = street.order().json()["id"]
    street.bridge.now = second("2026-11-30", 9)
    effect = EffectRow(
        1, "execute_standing_order", "key", {"order_id": order, "due_date": "2026-11-30"}, None, 1
    )
    handler = DueDates(street.bridge.institution).execute
    assert handler(effect) == handler(effect)
    assert street.bridge.balance(CAROLS) == "100.00"


def test_the_same_order_again_after_a_restore_has_the_same_id_and_uetr(tmp_path: Path) -> None:
    uetrs = []
    for name in ("first", "restored"):
        folder = tmp_path / name
        folder.mkdir()
        street = Street(bank(folder))
        order = street.order().json()["id"]
        street.work(second("2026-11-30", 9))
        payment = street.see(order)["occurrences"][-1]["payment_id"]
        path = f"/v1/payments/{payment}"
        uetrs.append((order, street.bridge.request("GET", path, token=ALICE).json()["uetr"]))
    assert uetrs[0] == uetrs[1]


def test_too_little_money_is_tried_again_within_the_day_then_missed_and_told(
    street: Street,
) -> None:
    amount = {"value": "1996.00", "currency": "EUR"}
    order = street.order(amount=amount).json()["id"]
    street.work(second("2026-11-30", 9))
    assert street.dates(order) == [("2026-11-30", "due")]
    street.work(second("2026-11-30", 10))
    assert street.dates(order) == [("2026-11-30", "due")]
    street.work(second("2026-11-30", 23))
    assert street.dates(order) == [("2026-11-30", "missed"), ("2026-12-31", "due")]
    path = f"/v1/standing-orders/{order}/occurrences/2026-11-30/report"
    told = parse_status_report(street.bridge.request("GET", path, token=ALICE).content)
    assert (told.status.value, told.reason and told.reason.value) == ("RJCT", "AM04")
    assert told.original_end_to_end_id == "RENT"


def test_money_that_comes_within_the_day_is_in_time(street: Street) -> None:
    amount = {"value": "1996.00", "currency": "EUR"}
    order = street.order(amount=amount).json()["id"]
    street.work(second("2026-11-30", 9))
    fund(street.bridge)
    street.work(second("2026-11-30", 11))
    assert street.dates(order)[0] == ("2026-11-30", "executed")


def fund(bridge: Bridge) -> None:
    """Have Alice paid in 100.00 EUR."""
    euro = parse_currency("EUR")
    hundred = Amount(euro, 10_000)
    postings = (debit(chart.reserves(euro), hundred), credit(ALICES, hundred))
    with bridge.store.unit_of_work() as work:
        work.ledger.book(JournalEntry("funding", "test", "paid in", postings, bridge.now))


def test_another_refusal_is_missed_at_once(street: Street) -> None:
    order = street.order().json()["id"]
    with street.bridge.store.unit_of_work() as work:
        work.customers.set_status(CAROLS, CustomerAccountStatus.CLOSED)
    street.work(second("2026-11-30"))
    missed = street.see(order)["occurrences"][-1]
    assert (missed["status"], missed["reason"]) == ("missed", "AC04")


def test_a_cancelled_order_pays_nothing_more_and_keeps_what_it_paid(street: Street) -> None:
    order = street.order().json()["id"]
    street.work(second("2026-11-30"))
    assert street.cancel(order).json()["status"] == "cancelled"
    street.work(second("2027-01-31"))
    assert street.dates(order) == [("2026-11-30", "executed"), ("2026-12-31", "cancelled")]
    assert street.cancel(order).status_code == 200
    assert street.bridge.balance(CAROLS) == "100.00"


def test_an_order_cancelled_while_it_is_executed_is_decided_by_the_database(
    street: Street,
) -> None:
    order = street.order().json()["id"]
    street.bridge.now = second("2026-11-30", 9)

    class Interrupted(DueDates):
        def _find(self, effect: EffectRow) -> Due | None:
            due = DueDates._find(self, effect)
            assert street.cancel(order).status_code == 200
            return due

    street.worker(Interrupted(street.bridge.institution).execute).step()
    assert street.bridge.balance(ALICES) == "2000.00"
    assert street.dates(order) == [("2026-11-30", "cancelled")]
    assert street.bridge.rows()["payments"] == 0


def test_a_completed_order_cannot_be_cancelled(street: Street) -> None:
    order = street.order(schedule={**SCHEDULE, "count": 1}).json()["id"]
    street.work(second("2026-11-30"))
    assert street.cancel(order).json()["code"] == "standing_order_ended"


def test_an_order_is_seen_by_its_customer_alone(street: Street) -> None:
    order = street.order().json()["id"]
    listed = street.bridge.request("GET", "/v1/standing-orders", token=ALICE).json()["items"]
    assert [each["id"] for each in listed] == [order]
    path = f"/v1/standing-orders/{order}"
    assert street.bridge.request("GET", path, token=CAROL).status_code == 404
    assert street.bridge.request("POST", f"{path}/cancellation", token=CAROL).status_code == 404
    assert street.bridge.request("GET", "/v1/standing-orders", token=CAROL).json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schedule": {**SCHEDULE, "first_date": "2026-11-29"}}, "schedule_invalid"),
        ({"schedule": {**SCHEDULE, "last_date": "2026-11-29"}}, "schedule_invalid"),
        (
            {"schedule": {"frequency": "weekly", "first_date": "2026-11-29", "day": 29}},
            "schedule_invalid",
        ),
        (
            {"schedule": {"frequency": "weekly", "first_date": "2026-11-22"}},
            "execution_date_unsupported",
        ),
        (
            {"schedule": {"frequency": "weekly", "first_date": "9999-12-31"}},
            "execution_date_unsupported",
        ),
        ({"schedule": {**SCHEDULE, "frequency": "once"}}, "request_invalid"),
        ({"charge_bearer": "DEBT"}, "charge_bearer_unsupported"),
        ({"creditor_account": {"other": "1"}}, "creditor_account_unknown"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused_by_name(
    street: Street, changes: dict[str, Any], code: str
) -> None:
    answer = street.order(**changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert street.bridge.rows()["standing_orders"] == 0


TARGET = {"zone": "Europe/Berlin", "holidays": "target", "opens": "07:00", "cut_off": "18:00"}


def closing(folder: Path, **changes: Any) -> Street:
    return Street(bank(folder, calendars={"EUR": TARGET}, **changes))


def test_after_the_cut_off_a_payment_is_taken_for_the_next_business_day(tmp_path: Path) -> None:
    street = closing(tmp_path)
    street.bridge.now = second("2026-11-27", 17)  # a Friday, 18:00 in Berlin
    answer = street.pay("2026-11-27")
    assert answer.json()["execution_date"] == "2026-11-30"
    street.work(second("2026-11-30", 6) - 1)
    assert street.bridge.balance(CAROLS) == "0.00"
    street.work(second("2026-11-30", 6))
    assert street.bridge.balance(CAROLS) == "100.00"


def test_before_the_cut_off_it_is_made_at_once_for_today(tmp_path: Path) -> None:
    street = closing(tmp_path)
    street.bridge.now = second("2026-11-27", 17) - 1
    body = street.pay("2026-11-27").json()
    assert body["status"] == "settled"
    with street.bridge.store.reading() as work:
        document = work.messages.get(f"{body['id']}:pacs.008").document
    assert parse_credit_transfer(document).interbank_settlement_date.isoformat() == "2026-11-27"


@pytest.mark.parametrize("day", ["2026-12-25", "2026-12-26", "2026-11-29"])
def test_a_closed_day_is_refused_where_the_settings_say_so(tmp_path: Path, day: str) -> None:
    street = closing(tmp_path, after_cut_off="refuse")
    body = street.pay(day).json()
    assert (body["code"], body["reason"]) == ("cut_off_passed", "TM01")


def test_both_currencies_of_an_exchange_have_to_be_open(tmp_path: Path) -> None:
    singapore = {"zone": "Asia/Singapore", "holidays": "singapore-example", "cut_off": "17:00"}
    street = Street(bank(tmp_path, calendars={"EUR": TARGET, "SGD": singapore}))
    street.bridge.now = second("2026-11-06", 12)  # a Friday, 20:00 in Singapore
    exchanged: dict[str, Any] = {
        "amount": {"value": "10.00", "currency": "SGD"},
        "creditor_agent": {"bic": "STHBSGS0XXX"},
    }
    body = street.pay("2026-11-06", **exchanged).json()
    assert body["execution_date"] == "2026-11-10"  # Monday is Deepavali
    beyond = street.pay("2026-11-06", "key-2")
    assert beyond.json()["status"] == "settled"


def test_a_day_beyond_the_known_calendar_is_refused(tmp_path: Path) -> None:
    singapore = {"zone": "Asia/Singapore", "holidays": "singapore-example"}
    street = Street(bank(tmp_path, calendars={"EUR": singapore}))
    street.bridge.now = second("2027-12-31", 1)
    assert street.pay("2028-01-03").json()["code"] == "calendar_year_unknown"


def test_a_day_too_far_ahead_is_refused(street: Street) -> None:
    far = datetime.fromtimestamp(NOW + 367 * DAY, UTC).date().isoformat()
    assert street.pay(far).json()["code"] == "execution_date_unsupported"


def test_a_due_date_before_its_hour_waits(tmp_path: Path) -> None:
    street = closing(tmp_path)
    order = street.order(schedule={"frequency": "weekly", "first_date": "2026-11-28"}).json()
    (first,) = order["occurrences"]
    assert (first["due_date"], first["execution_date"]) == ("2026-11-28", "2026-11-30")
    street.bridge.now = second("2026-11-29")
    effect = EffectRow(
        1,
        "execute_standing_order",
        "key",
        {"order_id": order["id"], "due_date": "2026-11-28"},
        None,
        1,
    )
    outcome = DueDates(street.bridge.institution).execute(effect)
    assert isinstance(outcome, Retry)
    assert street.bridge.now + outcome.after_seconds == second("2026-11-30", 6)
