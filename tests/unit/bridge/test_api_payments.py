"""Payments as JSON: taken once, answered alike for ever, seen by their customer only.

Cites docs/spec/api.md: API-1, 2, 4, 12, 13, 14, 15, 20 to 23, 43.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.api.schemas import PaymentView
from bridge.payment import Direction, PaymentState
from support.bridge_api import (
    ALICE,
    ALICE_IBAN,
    CAROL,
    CAROL_IBAN,
    NOW,
    OPERATOR,
    ORDER,
    Bridge,
    bank,
    bank_without_provider,
)
from support.bridge_records import payment

UETR = "6c1d9f04-5b0e-4f6a-9b1c-2f7a3c58d9e1"
FULL_ORDER = {**ORDER, "uetr": UETR, "remittance_information": "Rent for December"}


@pytest.fixture
def alices(tmp_path: Path) -> Bridge:
    return bank(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Bridge:
    """For requests that go no further than the door."""
    return bank(tmp_path_factory.mktemp("bank"))


def instruct(
    bridge: Bridge, order: dict[str, Any] = FULL_ORDER, *, key: str = "key-1", token: str = ALICE
) -> Any:
    return bridge.request(
        "POST", "/v1/payments", token=token, headers={"Idempotency-Key": key}, json=order
    )


def changed(path: str, value: object) -> dict[str, Any]:
    """The order with one field changed, or left out where the value is `...`."""
    head, _, rest = path.partition(".")
    order = dict(FULL_ORDER)
    if rest:
        order[head] = {**FULL_ORDER[head], rest: value}
    elif value is ...:
        del order[head]
    else:
        order[head] = value
    return order


def available(bridge: Bridge, token: str = ALICE) -> str:
    answer = bridge.request("GET", "/v1/accounts", token=token).json()
    value: str = answer["items"][0]["available"]["value"]
    return value


def test_a_payment_is_reserved_priced_and_described(alices: Bridge) -> None:
    answer = instruct(alices)
    body = answer.json()
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers
    assert (body["status"], body["iso_status"]) == ("reserved", "ACTC")
    assert body["debit"] == {"value": "695.44", "currency": "EUR"}
    assert body["fee"] == {"value": "5.00", "currency": "EUR"}
    assert body["rate"] == "1.44837"
    assert body["uetr"] == UETR
    assert available(alices) == "1304.56"


def test_what_is_answered_is_what_the_schema_says(alices: Bridge) -> None:
    body = instruct(alices).json()
    PaymentView.model_validate(body)
    listed = alices.request("GET", "/v1/payments", token=ALICE).json()
    single = alices.request("GET", f"/v1/payments/{body['id']}", token=ALICE).json()
    assert listed == {"items": [body], "next": None}
    assert single == {**body, "returns": [], "recall": None}


def test_api_21_the_same_request_again_is_the_same_payment_and_the_same_bytes(
    alices: Bridge,
) -> None:
    first = instruct(alices)
    rows = alices.rows()
    again = instruct(alices)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert alices.rows() == rows


def test_api_21_many_that_ask_at_one_time_get_one_payment(alices: Bridge) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: instruct(alices), range(32)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert alices.rows()["payments"] == 1
    assert available(alices) == "1304.56"


def test_api_21_a_refusal_is_remembered_and_stays_one_when_the_money_has_come(
    alices: Bridge,
) -> None:
    order = changed("amount.value", "5000.00")
    refused = instruct(alices, order)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    body = refused.json()
    assert (body["code"], body["reason"]) == ("insufficient_funds", "AM04")
    assert "trace_id" not in body
    again = instruct(alices, order)
    assert (again.status_code, again.content) == (422, refused.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert available(alices) == "2000.00"


def test_api_22_another_request_under_a_used_key_is_refused_and_changes_nothing(
    alices: Bridge,
) -> None:
    instruct(alices)
    rows = alices.rows()
    answer = instruct(alices, changed("amount.value", "1.00"))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert alices.rows() == rows


def test_api_20_the_keys_of_two_customers_do_not_meet(alices: Bridge) -> None:
    instruct(alices, changed("uetr", None))
    order = {**changed("uetr", None), "debtor_account": {"iban": CAROL_IBAN}}
    answer = instruct(alices, order, token=CAROL)
    assert answer.json()["code"] == "insufficient_funds"  # Carol has no money, but a key of her own


def test_without_a_uetr_one_is_derived_that_a_retry_meets_again(
    alices: Bridge, tmp_path: Path
) -> None:
    order = changed("uetr", None)
    (tmp_path / "restored").mkdir()
    restored = bank(tmp_path / "restored")
    assert instruct(alices, order).json()["uetr"] == instruct(restored, order).json()["uetr"]
    assert (
        instruct(alices, order, key="key-2").json()["uetr"]
        != instruct(alices, order).json()["uetr"]
    )


def test_api_23_nothing_is_remembered_while_the_provider_is_silent(tmp_path: Path) -> None:
    bridge = bank_without_provider(tmp_path)
    rows = bridge.rows()
    answer = instruct(bridge)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "peer_unavailable")
    assert problem["retryable"] is True
    assert answer.headers["Retry-After"] == "1"
    assert "DEVN00" not in answer.text  # which peer is nobody's business
    assert bridge.rows() == rows


@pytest.mark.parametrize(
    ("path", "value", "status", "code", "place"),
    [
        ("surprise", "x", 422, "request_invalid", "surprise"),
        ("amount.surprise", "x", 422, "request_invalid", "amount.surprise"),
        ("end_to_end_id", ..., 422, "request_invalid", "end_to_end_id"),
        ("end_to_end_id", "", 422, "invalid_text", "end_to_end_id"),
        ("end_to_end_id", "E" * 36, 422, "request_invalid", "end_to_end_id"),
        ("end_to_end_id", "/E2E", 422, "invalid_text", "end_to_end_id"),
        ("end_to_end_id", "\ud800", 422, "request_invalid", "end_to_end_id"),
        ("end_to_end_id", 7, 422, "request_invalid", "end_to_end_id"),
        ("requested_execution_date", "tomorrow", 422, "request_invalid", None),
        ("debtor_account.iban", "DE00", 422, "invalid_iban", "debtor_account.iban"),
        ("debtor_account", {}, 422, "request_invalid", "debtor_account"),
        ("debtor_account.other", "1", 422, "request_invalid", "debtor_account"),
        ("creditor.name", "Bob\nTan", 422, "invalid_text", "creditor.name"),
        ("creditor.name", "B" * 141, 422, "request_invalid", "creditor.name"),
        (
            "creditor.address",
            {"town": "Singapore", "country": "XX"},
            422,
            "invalid_country",
            "creditor.address.country",
        ),
        ("creditor_agent.bic", "NOBIC", 422, "invalid_bic", "creditor_agent.bic"),
        ("amount.value", "1000.001", 422, "too_many_decimals", "amount.value"),
        ("amount.value", "-1.00", 422, "invalid_amount", "amount.value"),
        ("amount.value", "1e3", 422, "invalid_amount", "amount.value"),
        ("amount.value", "0.00", 422, "zero_amount", "amount.value"),
        ("amount.value", "9" * 19, 422, "amount_out_of_range", "amount.value"),
        ("amount.value", 1000, 422, "request_invalid", "amount.value"),
        ("amount.currency", "XXX", 422, "unknown_currency", "amount.currency"),
        ("uetr", "not-a-uetr", 422, "invalid_uetr", "uetr"),
        ("remittance_information", "R" * 141, 422, "request_invalid", "remittance_information"),
    ],
)
def test_api_12_13_14_a_malformed_order_is_refused_by_its_field_and_leaves_nothing(
    alices: Bridge, path: str, value: object, status: int, code: str, place: str | None
) -> None:
    rows = alices.rows()
    order = changed(path, value)
    answer = alices.request(
        "POST",
        "/v1/payments",
        token=ALICE,
        headers={"Idempotency-Key": "key-1", "content-type": "application/json"},
        content=_json(order),
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert place is None or problem["path"] == place
    assert problem["trace_id"] == answer.headers["X-Request-ID"]
    assert alices.rows() == rows


@pytest.mark.parametrize(
    ("path", "value", "code", "reason"),
    [
        ("debtor_account.iban", CAROL_IBAN, "customer_account_unknown", "AC01"),
        ("creditor_agent.bic", "NOBADEFFXXX", "agent_unknown", "RC01"),
        ("creditor_agent.bic", "AURODEF0XXX", "creditor_account_unknown", "AC01"),
        ("charge_bearer", "SLEV", "charge_bearer_unsupported", "FF01"),
        ("requested_execution_date", "2026-11-22", "execution_date_unsupported", "DT01"),
        ("amount.currency", "USD", "currency_unsupported", "AM03"),
        ("amount.value", "1000000.00", "insufficient_funds", "AM04"),
    ],
)
def test_api_43_a_business_refusal_leaves_only_the_remembered_answer(
    alices: Bridge, path: str, value: object, code: str, reason: str
) -> None:
    rows = alices.rows()
    answer = instruct(alices, changed(path, value))
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["reason"]) == (code, reason)
    assert alices.rows() == {**rows, "idempotency": rows["idempotency"] + 1}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "idempotency_key_missing"),
        ({"Idempotency-Key": ""}, "idempotency_key_invalid"),
        ({"Idempotency-Key": "k" * 65}, "idempotency_key_invalid"),
        ({"Idempotency-Key": "two words"}, "idempotency_key_invalid"),
    ],
)
def test_api_20_a_payment_needs_a_key(alices: Bridge, headers: dict[str, str], code: str) -> None:
    rows = alices.rows()
    answer = alices.request("POST", "/v1/payments", token=ALICE, headers=headers, json=FULL_ORDER)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert alices.rows() == rows


@pytest.mark.parametrize("token", [None, "wrong", "", "x" * 600, OPERATOR])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/payments"),
        ("POST", "/v1/messages"),
        ("GET", "/v1/payments"),
        ("GET", "/v1/payments/pay_1"),
        ("GET", "/v1/payments/pay_1/messages"),
        ("GET", "/v1/payments/pay_1/messages/m"),
        ("GET", "/v1/accounts"),
    ],
)
def test_api_2_every_route_for_customers_needs_a_customers_token(
    untouched: Bridge, method: str, path: str, token: str | None
) -> None:
    answer = untouched.request(method, path, token=token)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_api_4_a_payment_of_somebody_else_is_as_unknown_as_none(alices: Bridge) -> None:
    payment_id = instruct(alices).json()["id"]
    for path in (
        payment_id,
        f"{payment_id}/messages",
        f"{payment_id}/messages/{payment_id}:pacs.008",
    ):
        theirs = alices.request("GET", f"/v1/payments/{path}", token=CAROL)
        nobodys = alices.request("GET", f"/v1/payments/x{path}", token=CAROL)
        assert (theirs.status_code, theirs.json()["code"]) == (404, "resource_unknown")
        assert theirs.json()["detail"].replace(payment_id, "") == nobodys.json()["detail"].replace(
            f"x{payment_id}", ""
        )
    assert alices.request("GET", "/v1/payments", token=CAROL).json()["items"] == []


def test_api_25_a_payment_is_asked_back_only_before_it_is_final_and_only_by_who_sent_it(
    alices: Bridge,
) -> None:
    payment_id = instruct(alices).json()["id"]
    path = f"/v1/payments/{payment_id}/withdrawal"
    early = alices.request("POST", path, token=ALICE)
    assert (early.status_code, early.json()["status"]) == (202, "reserved")
    with alices.store.unit_of_work() as work:
        queued = replace(work.payments.get(payment_id), state=PaymentState.QUEUED)
        work.payments.save(queued)
    assert alices.request("POST", path, token=CAROL).status_code == 404
    for _ in range(2):
        asked = alices.request("POST", path, token=ALICE)
        assert asked.status_code == 202
        assert (asked.json()["status"], asked.json()["iso_status"]) == ("queued", "ACSP")
    with alices.store.unit_of_work() as work:
        work.payments.save(replace(queued, state=PaymentState.SETTLED))
    late = alices.request("POST", path, token=ALICE)
    assert (late.status_code, late.json()["code"]) == (422, "payment_not_waiting")


def test_api_4_a_payment_to_a_customers_account_is_theirs_to_see(alices: Bridge) -> None:
    incoming = replace(
        payment(direction=Direction.INCOMING), account_id=f"deposit:{ALICE_IBAN}", client="BANK"
    )
    with alices.store.unit_of_work() as work:
        work.payments.add(incoming)
    path = f"/v1/payments/{incoming.payment_id}"
    assert alices.request("GET", path, token=ALICE).status_code == 200
    assert alices.request("GET", path, token=CAROL).status_code == 404


def test_api_4_the_messages_of_a_payment_are_shown_without_their_salt(alices: Bridge) -> None:
    payment_id = instruct(alices).json()["id"]
    path = f"/v1/payments/{payment_id}/messages"
    listed = alices.request("GET", path, token=ALICE).json()
    assert listed == {
        "items": [
            {
                "id": f"{payment_id}:pacs.008",
                "name": "pacs.008.001.08",
                "direction": "out",
                "created_at": NOW,
            }
        ]
    }
    document = alices.request("GET", f"{path}/{payment_id}:pacs.008", token=ALICE)
    assert document.headers["content-type"] == "application/xml"
    assert b"pacs.008.001.08" in document.content
    with alices.store.reading() as work:
        salt = work.payments.get(payment_id).salt
    assert salt is not None
    assert salt.hex() not in document.text


def test_api_15_a_listing_goes_on_where_the_page_before_ended(alices: Bridge) -> None:
    ids = [
        instruct(
            alices,
            {**changed("uetr", None), "amount": {"value": "1.00", "currency": "SGD"}},
            key=key,
        ).json()["id"]
        for key in ("a", "b", "c")
    ]
    first = alices.request("GET", "/v1/payments", token=ALICE, params={"limit": 2}).json()
    rest = alices.request(
        "GET", "/v1/payments", token=ALICE, params={"limit": 2, "cursor": first["next"]}
    ).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 422, "request_invalid"),
        ("limit=201", 422, "request_invalid"),
        ("limit=many", 422, "request_invalid"),
        ("cursor=-1", 400, "cursor_invalid"),
        ("cursor=" + "9" * 41, 422, "request_invalid"),
        ("offset=3", 422, "request_invalid"),
    ],
)
def test_api_15_a_page_that_cannot_be_is_refused(
    alices: Bridge, query: str, status: int, code: str
) -> None:
    answer = alices.request("GET", f"/v1/payments?{query}", token=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def _json(order: dict[str, Any]) -> bytes:

    return json.dumps(order).encode()
