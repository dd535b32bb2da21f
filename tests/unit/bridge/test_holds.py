"""Holds and credit lines: what an operator may do with a customer's account, and what takes two.

Cites docs/spec/api.md: API-2, 12, 17, 18, 20; docs/spec/ledger.md: LED-5, 12, 13.
"""

from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.holds import EXPIRE_HOLD, HOLD_SECONDS_MAX, Holds
from bridge.store import EffectRow
from bridge.verification import verify_books
from bridge.worker import Done, Retry
from support.bridge_api import (
    ALICE,
    ALICE_IBAN,
    CAROL_IBAN,
    NOW,
    OPERATOR,
    SECOND_OPERATOR,
    Bridge,
    bank,
)
from support.bridge_records import EUR

DEPOSIT = chart.deposit(ALICE_IBAN)
CAROLS = chart.deposit(CAROL_IBAN)
PATH = "/v1/ledger/holds"
ORDER: dict[str, Any] = {
    "account": DEPOSIT,
    "amount": {"value": "500.00", "currency": "EUR"},
    "expires_at": NOW + 60,
    "reason": "a court's order",
}


@pytest.fixture
def alices(tmp_path: Path) -> Bridge:
    """Alice has 2,000.00, Carol nothing."""
    return bank(tmp_path)


def place(bridge: Bridge, key: str = "key-1", **changes: Any) -> Any:
    headers = {"Idempotency-Key": key}
    return bridge.request("POST", PATH, token=OPERATOR, headers=headers, json={**ORDER, **changes})


def by_two(bridge: Bridge, kind: str, subject: str, key: str = "k", **document: str) -> Any:
    """An action that both operators want: the answer to the second, or the refusal of the first."""
    wish = {"kind": kind, "subject": subject, "document": document, "note": "agreed"}
    headers = {"Idempotency-Key": key}
    path = "/v1/operations/proposals"
    made = bridge.request("POST", path, token=OPERATOR, headers=headers, json=wish)
    if made.status_code != 201:
        return made
    return bridge.request(
        "POST", f"{path}/{made.json()['id']}/approval", token=SECOND_OPERATOR, headers=headers
    )


def balance(bridge: Bridge, account_id: str = DEPOSIT) -> tuple[str, str]:
    with bridge.store.reading() as work:
        found = work.ledger.balance(account_id)
    return found.ledger.format(), found.available.format()


def expiry(hold_id: str) -> EffectRow:
    return EffectRow(1, EXPIRE_HOLD, f"{EXPIRE_HOLD}:{hold_id}", {"hold": hold_id}, None, 1)


def test_api_17_a_hold_sets_money_aside_until_it_is_released(alices: Bridge) -> None:
    placed = place(alices)
    assert placed.status_code == 201
    assert placed.json()["status"] == "held"
    assert balance(alices) == ("2000.00", "1500.00")
    hold_id = placed.json()["id"]
    assert alices.request("GET", f"{PATH}/{hold_id}", token=OPERATOR).json() == placed.json()
    for _ in range(2):
        released = alices.request("POST", f"{PATH}/{hold_id}/release", token=OPERATOR)
        assert (released.status_code, released.json()["status"]) == (200, "released")
        assert released.json()["held"]["value"] == "0.00"
    assert balance(alices) == ("2000.00", "2000.00")


def test_api_17_a_hold_placed_twice_is_one_hold(alices: Bridge) -> None:
    first = place(alices)
    rows = alices.rows()
    assert place(alices).json() == first.json()
    assert alices.rows() == rows
    other = place(alices, reason="another")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert place(alices, key="key-2").json()["id"] != first.json()["id"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"amount": {"value": "2000.01", "currency": "EUR"}}, 422, "insufficient_funds"),
    ({"amount": {"value": "0.00", "currency": "EUR"}}, 422, "zero_amount"),
    ({"amount": {"value": "1.00", "currency": "SGD"}}, 422, "hold_unusable"),
    ({"account": "deposit:none"}, 404, "resource_unknown"),
    ({"account": chart.equity(EUR)}, 404, "resource_unknown"),
    ({"account": chart.tokens(EUR)}, 404, "resource_unknown"),
    ({"expires_at": NOW}, 422, "hold_unusable"),
    ({"expires_at": NOW + HOLD_SECONDS_MAX + 1}, 422, "hold_unusable"),
    ({"reason": ""}, 422, "request_invalid"),
    ({"until": 1}, 422, "request_invalid"),
]


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED)
def test_api_17_a_hold_that_cannot_be_is_refused(
    alices: Bridge, changes: dict[str, Any], status: int, code: str
) -> None:
    rows = alices.rows()
    refused = place(alices, **changes)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert alices.rows() == rows


def test_holds_are_for_operators_alone(alices: Bridge) -> None:
    headers = {"Idempotency-Key": "key"}
    assert alices.request("POST", PATH, token=ALICE, headers=headers, json=ORDER).status_code == 401
    assert alices.request("POST", PATH, token=OPERATOR, json=ORDER).status_code == 400
    assert alices.request("GET", f"{PATH}/hold_0", token=OPERATOR).status_code == 404


def test_led_13_a_hold_ends_at_its_time_and_not_before(alices: Bridge) -> None:
    hold_id = place(alices).json()["id"]
    early = Holds(alices.store, lambda: NOW + 59)
    assert early.expire(expiry(hold_id)) == Retry(1, "its time is not over")
    assert balance(alices) == ("2000.00", "1500.00")
    late = Holds(alices.store, lambda: NOW + 60)
    for _ in range(2):  # a worker may do it twice
        assert late.expire(expiry(hold_id)) == Done()
    assert balance(alices) == ("2000.00", "2000.00")
    ended = alices.request("POST", f"{PATH}/{hold_id}/release", token=OPERATOR)
    assert (ended.status_code, ended.json()["code"]) == (422, "hold_unusable")
    assert alices.request("GET", f"{PATH}/{hold_id}", token=OPERATOR).json()["status"] == "expired"


def test_a_hold_leaves_its_end_to_the_outbox(alices: Bridge) -> None:
    hold_id = place(alices).json()["id"]
    with alices.store.unit_of_work() as work:
        early = work.effects.claim(now=NOW + 59, owner="w", limit=1, lease_seconds=9)
        (due,) = work.effects.claim(now=NOW + 60, owner="w", limit=1, lease_seconds=9)
    assert early == ()
    assert (due.kind, due.payload) == (EXPIRE_HOLD, {"hold": hold_id})


def test_led_12_two_operators_take_a_part_and_the_rest_stays_held(alices: Bridge) -> None:
    hold_id = place(alices).json()["id"]
    terms = {"amount": "120.00", "currency": "EUR", "to": CAROLS}
    done = by_two(alices, "take_from_hold", hold_id, **terms)
    assert (done.status_code, done.json()["outcome"]) == (200, "120.00 EUR taken")
    assert balance(alices) == ("1880.00", "1500.00")
    assert balance(alices, CAROLS) == ("120.00", "120.00")
    rest = by_two(alices, "take_from_hold", hold_id, "all", **{**terms, "amount": "380.00"})
    assert rest.status_code == 200
    assert balance(alices) == ("1500.00", "1500.00")
    assert balance(alices, chart.holds(EUR))[0] == "0.00"
    assert alices.request("GET", f"{PATH}/{hold_id}", token=OPERATOR).json()["status"] == "taken"
    again = by_two(alices, "take_from_hold", hold_id, "more", **terms)
    assert again.json()["code"] == "hold_unusable"
    assert verify_books(alices.store) == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "500.01"}, "hold_unusable"),
        ({"amount": "0.00"}, "hold_unusable"),
        ({"amount": "-1.00"}, "invalid_amount"),
        ({"currency": "SGD"}, "hold_unusable"),
        ({"currency": "XXX"}, "unknown_currency"),
        ({"to": "deposit:none"}, "resource_unknown"),
        ({"to": chart.tokens(EUR)}, "hold_unusable"),
    ],
)
def test_what_is_not_held_cannot_be_taken(
    alices: Bridge, changes: dict[str, str], code: str
) -> None:
    hold_id = place(alices).json()["id"]
    rows = alices.rows()
    terms = {"amount": "120.00", "currency": "EUR", "to": CAROLS, **changes}
    refused = by_two(alices, "take_from_hold", hold_id, **terms)
    assert refused.json()["code"] == code
    assert alices.rows() == rows


def test_led_5_two_operators_set_how_far_an_account_may_fall(alices: Bridge) -> None:
    done = by_two(alices, "set_credit_limit", DEPOSIT, amount="100.00", currency="EUR")
    assert done.json()["outcome"] == "may fall to -100.00 EUR"
    beyond = {"value": "2100.01", "currency": "EUR"}
    assert place(alices, amount=beyond).json()["code"] == "insufficient_funds"
    assert place(alices, amount={**beyond, "value": "2100.00"}).status_code == 201
    assert balance(alices) == ("2000.00", "-100.00")
    lowered = by_two(alices, "set_credit_limit", DEPOSIT, "l", amount="0.00", currency="EUR")
    assert lowered.status_code == 200
    cent = {"value": "0.01", "currency": "EUR"}
    assert place(alices, "key-2", amount=cent).json()["code"] == "insufficient_funds"


@pytest.mark.parametrize(
    ("subject", "document", "code"),
    [
        (chart.equity(EUR), {"amount": "1.00", "currency": "EUR"}, "resource_unknown"),
        ("deposit:none", {"amount": "1.00", "currency": "EUR"}, "resource_unknown"),
        (DEPOSIT, {"amount": "1.00", "currency": "SGD"}, "resource_unknown"),
        (DEPOSIT, {"amount": "-1.00", "currency": "EUR"}, "invalid_amount"),
        (DEPOSIT, {}, "unknown_currency"),
    ],
)
def test_a_credit_line_is_a_customers_and_in_their_currency(
    alices: Bridge, subject: str, document: dict[str, str], code: str
) -> None:
    assert by_two(alices, "set_credit_limit", subject, **document).json()["code"] == code
