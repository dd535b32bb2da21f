"""Payments between two customers of one bank: settled at once, booked once, told to both.

Cites docs/spec/payment.md: ONU-1 to ONU-4.
"""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.iso20022.codes import MessageName
from bridge.store import CustomerAccountStatus
from support.bridge_api import ALICE, ALICE_IBAN, CAROL, CAROL_IBAN, ON_US_ORDER, Bridge, bank

ALICES, CAROLS = f"deposit:{ALICE_IBAN}", f"deposit:{CAROL_IBAN}"
ORDER = {**ON_US_ORDER, "requested_execution_date": "2026-11-23"}


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    return bank(tmp_path, published_charges={"EUR": "2.00"})


def pay(bridge: Bridge, key: str = "key-1", **changes: Any) -> Any:
    headers = {"Idempotency-Key": key}
    body = {**ORDER, **changes}
    return bridge.request("POST", "/v1/payments", token=ALICE, headers=headers, json=body)


def test_is_settled_at_once_and_never_reaches_the_chain(bridge: Bridge) -> None:
    answer = pay(bridge)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["status"], body["iso_status"]) == ("settled", "ACSC")
    assert bridge.balance(ALICES) == "1895.00"
    assert bridge.balance(CAROLS) == "98.00"
    assert bridge.balance("fee-income:EUR") == "7.00"
    assert bridge.balance("tokens:EUR") == "5000.00"
    assert bridge.rows()["effects"] == 0


@pytest.mark.parametrize(
    ("bearer", "debtor", "creditor", "income"),
    [
        ("SHAR", "1895.00", "98.00", "7.00"),
        ("DEBT", "1893.00", "100.00", "7.00"),
        ("CRED", "1900.00", "93.00", "7.00"),
    ],
)
def test_charges_are_borne_as_between_two_banks(
    bridge: Bridge, bearer: str, debtor: str, creditor: str, income: str
) -> None:
    quoted = bridge.request(
        "POST", "/v1/payment-quotations", token=ALICE, json={**ORDER, "charge_bearer": bearer}
    ).json()
    assert pay(bridge, charge_bearer=bearer, quotation_id=quoted["id"]).status_code == 202
    balances = [bridge.balance(each) for each in (ALICES, CAROLS, "fee-income:EUR")]
    assert balances == [debtor, creditor, income]
    assert quoted["creditor_receives"]["value"] == creditor


def test_fifty_identical_requests_move_money_once(bridge: Bridge) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: pay(bridge), range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (202, answers[0].content)
    }
    assert bridge.balance(ALICES) == "1895.00"
    assert bridge.rows()["payments"] == 2


def test_both_customers_find_it_and_its_notices(bridge: Bridge) -> None:
    sent = pay(bridge).json()
    with bridge.store.reading() as work:
        received = f"pay_in_{sent['settlement_id'].removeprefix('0x')[:32]}"
        names = [each.name for each in work.messages.of_payment(received)]
    assert names.count(MessageName.ACCOUNT_NOTIFICATION.value) == 1
    seen = bridge.request("GET", f"/v1/payments/{received}", token=CAROL).json()
    assert (seen["direction"], seen["iso_status"]) == ("incoming", "ACCC")
    assert seen["creditor_charge"] == {"value": "2.00", "currency": "EUR"}
    assert bridge.request("GET", f"/v1/payments/{received}", token=ALICE).status_code == 404
    listed = bridge.request("GET", f"/v1/payments/{sent['id']}/messages", token=ALICE).json()[
        "items"
    ]
    assert [each["name"] for each in listed] == [
        "pacs.008.001.08",
        "pacs.002.001.10",
        "camt.054.001.08",
    ]


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"creditor_account": {"other": "1"}}, "creditor_account_unknown", "AC01"),
        ({"creditor_account": {"iban": ALICE_IBAN}}, "creditor_is_debtor", "AG01"),
        ({"amount": {"value": "5.00", "currency": "SGD"}}, "on_us_exchange_unsupported", "AM03"),
        ({"amount": {"value": "1995.01", "currency": "EUR"}}, "insufficient_funds", "AM04"),
    ],
)
def test_a_refusal_has_its_name_and_books_nothing(
    bridge: Bridge, changes: dict[str, Any], code: str, reason: str
) -> None:
    answer = pay(bridge, **changes)
    body = answer.json()
    assert (answer.status_code, body["code"], body["reason"]) == (422, code, reason)
    assert (bridge.balance(ALICES), bridge.balance(CAROLS)) == ("2000.00", "0.00")


def test_a_frozen_creditor_is_not_credited(bridge: Bridge) -> None:
    with bridge.store.unit_of_work() as work:
        work.customers.set_status(CAROLS, CustomerAccountStatus.FROZEN)
    assert pay(bridge).json()["code"] == "creditor_account_blocked"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_paid_deposits_and_income_add_up_to_what_was_there(
    bridge: Bridge, seed: int
) -> None:
    source = Random(seed)
    accounts = (ALICES, CAROLS, "fee-income:EUR")
    expected = {ALICES: Decimal("2000.00"), CAROLS: Decimal(0), "fee-income:EUR": Decimal(0)}
    for number in range(25):
        amount = Decimal(source.randint(1, 40_000)) / 100
        bearer = source.choice(["SHAR", "CRED"])
        answer = pay(
            bridge,
            f"key-{number}",
            charge_bearer=bearer,
            amount={"value": f"{amount:.2f}", "currency": "EUR"},
        )
        if answer.status_code == 202:
            body = answer.json()
            debit, settled = Decimal(body["debit"]["value"]), Decimal(body["amount"]["value"])
            charge = Decimal((body["creditor_charge"] or {"value": "0"})["value"])
            expected[ALICES] -= debit
            expected[CAROLS] += settled - charge
            expected["fee-income:EUR"] += debit - settled + charge
        assert {each: Decimal(bridge.balance(each)) for each in accounts} == expected
        assert sum(expected.values()) == Decimal("2000.00")
        assert min(expected.values()) >= 0
