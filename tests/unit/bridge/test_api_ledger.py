"""Balances at a moment, statements and the verification of the books, as the API tells them.

Cites docs/spec/api.md: API-2, 4, 12, 16.
"""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.ledger import credit, debit
from bridge.money import Amount
from support.bridge_api import (
    ALICE,
    ALICE_IBAN,
    CAROL,
    CAROL_IBAN,
    NOW,
    OPERATOR,
    Bridge,
    bank,
    fx_provider,
)
from support.bridge_records import EUR, entry_of

DEPOSIT = chart.deposit(ALICE_IBAN)


@pytest.fixture
def alices(tmp_path: Path) -> Bridge:
    """Alice has 2,000.00 since NOW, and pays 1.00, 2.00 ... 5.00 in the seconds NOW + 10, 20 ..."""
    bridge = bank(tmp_path)
    for number in range(1, 6):
        pay(bridge, number, NOW + 10 * number)
    return bridge


def pay(bridge: Bridge, number: int, at: int, *, pending: bool = False) -> None:
    amount = Amount(EUR, 100 * number)
    postings = [debit(DEPOSIT, amount), credit(chart.fee_income(EUR), amount)]
    entry = entry_of(f"fee-{number}-{at}", postings, pending=pending)
    with bridge.store.unit_of_work() as work:
        work.ledger.book(replace(entry, booked_at=at))


def get(
    bridge: Bridge, path: str, query: dict[str, Any] | None = None, *, token: str = OPERATOR
) -> Any:
    return bridge.request("GET", path, token=token, params=query)


def test_a_balance_is_told_as_it_was_at_the_end_of_a_second(alices: Bridge) -> None:
    path = f"/v1/ledger/accounts/{DEPOSIT}/balance"
    told = {
        at: get(alices, path, {"at": at}).json()["ledger"]["value"]
        for at in (NOW - 1, NOW, NOW + 19, NOW + 20, NOW + 1_000)
    }
    assert list(told.values()) == ["0.00", "2000.00", "1999.00", "1997.00", "1985.00"]
    assert get(alices, path).json() == {
        "account": DEPOSIT,
        "ledger": {"value": "1985.00", "currency": "EUR"},
        "available": {"value": "1985.00", "currency": "EUR"},
        "version": 6,
    }


def test_a_statement_leads_from_the_opening_to_the_closing_balance(alices: Bridge) -> None:
    """What is only reserved stands in no statement."""
    pay(alices, 7, NOW + 25, pending=True)
    path = f"/v1/ledger/accounts/{DEPOSIT}/statement"
    told = get(alices, path, {"from": NOW + 20, "to": NOW + 50}).json()
    assert told["opening"]["ledger"]["value"] == "1999.00"
    assert told["closing"]["ledger"]["value"] == "1990.00"
    assert [(item["amount"]["value"], item["balance"]["value"]) for item in told["items"]] == [
        ("2.00", "1997.00"),
        ("3.00", "1994.00"),
        ("4.00", "1990.00"),
    ]
    assert {item["side"] for item in told["items"]} == {"debit"}
    assert told["next"] is None


def test_the_pages_of_a_statement_are_one_statement(alices: Bridge) -> None:
    """API-16."""
    path = f"/v1/ledger/accounts/{DEPOSIT}/statement"
    whole = get(alices, path).json()
    seen: list[Any] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = get(alices, path, query).json()
        assert (page["opening"], page["closing"]) == (whole["opening"], whole["closing"])
        seen += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == whole["items"]
    assert [item["version"] for item in seen] == [1, 2, 3, 4, 5, 6]


def test_a_customer_reads_an_account_of_their_own_and_no_other(alices: Bridge) -> None:
    """API-4: somebody else's account is as unknown as none."""
    for what in ("balance", "statement"):
        own = get(alices, f"/v1/accounts/{DEPOSIT}/{what}", token=ALICE)
        assert own.json() == get(alices, f"/v1/ledger/accounts/{DEPOSIT}/{what}").json()
        for account_id in (chart.deposit(CAROL_IBAN), chart.equity(EUR), "deposit:none"):
            answer = get(alices, f"/v1/accounts/{account_id}/{what}", token=ALICE)
            assert (answer.status_code, answer.json()["code"]) == (404, "resource_unknown")
        assert get(alices, f"/v1/accounts/{DEPOSIT}/{what}", token=CAROL).status_code == 404
        assert get(alices, f"/v1/ledger/accounts/{DEPOSIT}/{what}", token=ALICE).status_code == 401
        assert get(alices, f"/v1/ledger/accounts/none/{what}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        {"from": -1},
        {"to": "yesterday"},
        {"from": 20, "to": 10},
        {"limit": 0},
        {"limit": 201},
        {"since": 1},
        {"to": 2**63},
    ],
    ids=str,
)
def test_a_period_that_is_none_is_refused(alices: Bridge, query: dict[str, Any]) -> None:
    """API-12."""
    answer = get(alices, f"/v1/ledger/accounts/{DEPOSIT}/statement", query)
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def test_a_cursor_nobody_gave_out_is_refused(alices: Bridge) -> None:
    answer = get(alices, f"/v1/ledger/accounts/{DEPOSIT}/statement", {"cursor": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


def test_an_fx_provider_has_a_ledger_but_no_customers(tmp_path: Path) -> None:
    """API-1."""
    provider = fx_provider(tmp_path)
    account = chart.reserves(EUR)
    assert get(provider, f"/v1/ledger/accounts/{account}/balance").status_code == 200
    assert get(provider, f"/v1/accounts/{account}/balance", token=ALICE).status_code == 404


def test_the_verification_tells_what_was_tampered_with(alices: Bridge) -> None:
    assert get(alices, "/v1/ledger/verification").json() == {"verified": True, "findings": []}
    assert get(alices, "/v1/ledger/verification", token=ALICE).status_code == 401
    connection = sqlite3.connect(alices.database)
    connection.execute("DROP TRIGGER postings_refuse_update")
    connection.execute("UPDATE postings SET amount = 1 WHERE entry_id = 'opening:alice'")
    connection.commit()
    connection.close()
    told = get(alices, "/v1/ledger/verification").json()
    assert not told["verified"]
    assert f"account {DEPOSIT}, version 1" in [each["place"] for each in told["findings"]]
