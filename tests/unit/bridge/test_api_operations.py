"""The operator's orders and view, and the health that anyone may ask for.

Cites docs/spec/api.md: API-1, 2, 11, 12, 20, 21, 22, 43, 50.
"""

from pathlib import Path
from typing import Any

import pytest

from bridge.api import Readiness
from bridge.issuance import IssuanceState
from bridge.store import NewEffect
from support.bridge_api import ALICE, NOW, OPERATOR, Bridge, bank, central_bank, fx_provider
from support.participants import BANK_A

ORDER = {"amount": {"value": "100.00", "currency": "EUR"}}


@pytest.fixture
def alices(tmp_path: Path) -> Bridge:
    return bank(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Bridge:
    """For requests that go no further than the door."""
    return bank(tmp_path_factory.mktemp("bank"))


def order(bridge: Bridge, path: str, body: object = ORDER, key: str = "key-1") -> Any:
    return bridge.request("POST", path, token=OPERATOR, headers={"Idempotency-Key": key}, json=body)


def balances(bridge: Bridge) -> dict[str, tuple[str, str]]:
    answer = bridge.request("GET", "/v1/ledger/accounts", token=OPERATOR).json()
    return {
        item["id"]: (item["ledger"]["value"], item["available"]["value"])
        for item in answer["items"]
    }


def test_an_issuance_sets_reserves_aside_at_once(alices: Bridge) -> None:
    answer = order(alices, "/v1/issuances")
    body = answer.json()
    assert answer.status_code == 202
    assert (body["status"], body["participant"]) == ("requested", BANK_A)
    assert body["amount"] == ORDER["amount"]
    assert balances(alices)["reserves:EUR"] == ("10000.00", "9900.00")
    found = alices.request("GET", f"/v1/issuances/{body['reference']}", token=OPERATOR)
    assert found.json() == body


def test_api_21_an_order_given_twice_is_one_order(alices: Bridge) -> None:
    first = order(alices, "/v1/issuances")
    rows = alices.rows()
    assert order(alices, "/v1/issuances").json() == first.json()
    assert alices.rows() == rows


def test_api_22_the_same_key_for_another_amount_is_refused(alices: Bridge) -> None:
    order(alices, "/v1/issuances")
    rows = alices.rows()
    other = {"amount": {"value": "101.00", "currency": "EUR"}}
    answer = order(alices, "/v1/issuances", other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert alices.rows() == rows


def test_one_key_may_name_an_issuance_and_a_redemption(alices: Bridge) -> None:
    issued = order(alices, "/v1/issuances").json()
    with alices.store.unit_of_work() as work:
        work.ledger.post(f"issuance:{issued['reference'][2:]}", 1)
    redeemed = order(alices, "/v1/redemptions").json()
    assert redeemed["reference"] != issued["reference"]
    assert redeemed["status"] == IssuanceState.REDEEMING.value
    assert balances(alices)["tokens:EUR"] == ("5100.00", "5000.00")


@pytest.mark.parametrize("path", ["/v1/issuances", "/v1/redemptions"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": {"value": "99999.00", "currency": "EUR"}}, 422, "insufficient_funds"),
        ({"amount": {"value": "1.001", "currency": "EUR"}}, 422, "too_many_decimals"),
        ({"amount": {"value": "0", "currency": "EUR"}}, 422, "zero_amount"),
        ({"amount": {"value": "1", "currency": "XXX"}}, 422, "unknown_currency"),
        ({"amount": {"value": "1", "currency": "SGD"}}, 422, "account_unknown"),
        ({"amount": "1 EUR"}, 422, "request_invalid"),
        ({**ORDER, "to": "me"}, 422, "request_invalid"),
        ([], 422, "request_invalid"),
    ],
)
def test_api_43_an_order_that_cannot_be_is_refused_and_leaves_nothing(
    alices: Bridge, path: str, body: object, status: int, code: str
) -> None:
    rows = alices.rows()
    answer = order(alices, path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert alices.rows() == rows


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Idempotency-Key": "k"}, b"{", 400, "body_malformed"),
        ({"Idempotency-Key": "k"}, b"\xff", 400, "body_malformed"),
        ({"Idempotency-Key": "k"}, b"", 422, "request_invalid"),
        ({}, b"{}", 400, "idempotency_key_missing"),
        ({"Idempotency-Key": "k", "content-type": "text/plain"}, b"{}", 415, None),
        ({"Idempotency-Key": "k", "content-type": ""}, b"{}", 415, None),
    ],
)
def test_api_11_12_20_a_request_that_is_none_is_refused(
    alices: Bridge, headers: dict[str, str], content: bytes, status: int, code: str | None
) -> None:
    rows = alices.rows()
    answer = alices.request(
        "POST",
        "/v1/issuances",
        token=OPERATOR,
        headers={"content-type": "application/json", **headers},
        content=content,
    )
    assert answer.status_code == status
    assert answer.json()["code"] == (code or "content_type_unsupported")
    assert alices.rows() == rows


@pytest.mark.parametrize("reference", ["0x" + "00" * 32, "nonsense", "0x", "00" * 400])
def test_an_unknown_issuance_is_unknown(alices: Bridge, reference: str) -> None:
    answer = alices.request("GET", f"/v1/issuances/{reference}", token=OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (404, "resource_unknown")


@pytest.mark.parametrize("token", [None, "wrong", ALICE])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/issuances"),
        ("POST", "/v1/redemptions"),
        ("GET", "/v1/issuances/00"),
        ("GET", "/v1/ledger/accounts"),
        ("GET", "/v1/reconciliation"),
        ("GET", "/v1/operations/payments"),
        ("GET", "/v1/operations/overview"),
    ],
)
def test_api_2_every_route_for_the_operator_needs_the_operators_token(
    untouched: Bridge, method: str, path: str, token: str | None
) -> None:
    answer = untouched.request(method, path, token=token)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_the_overview_shows_what_was_given_up_and_how_much_is_open(alices: Bridge) -> None:
    with alices.store.unit_of_work() as work:
        work.effects.add(NewEffect(kind="send", key="given-up", payload={}, due_at=NOW))
        (effect,) = work.effects.claim(now=NOW, owner="test", limit=1, lease_seconds=1)
        work.effects.abandon(effect, "nobody wanted it")
    body = alices.request("GET", "/v1/operations/overview", token=OPERATOR).json()
    assert body["open_payments"] == 0
    assert [(each["key"], each["error"]) for each in body["abandoned_effects"]] == [
        ("given-up", "nobody wanted it")
    ]


def test_the_ledger_shows_every_account_and_sums_to_zero(alices: Bridge) -> None:
    items = alices.request("GET", "/v1/ledger/accounts", token=OPERATOR).json()["items"]
    assert {"reserves:EUR", "tokens:EUR", "fee-income:EUR"} <= {item["id"] for item in items}
    signs = {"asset": 1, "expense": 1, "liability": -1, "equity": -1, "income": -1}
    cents = [signs[item["type"]] * int(item["ledger"]["value"].replace(".", "")) for item in items]
    assert sum(cents) == 0
    assert any(cents)


def test_a_bank_compares_its_tokens_with_the_chain(alices: Bridge) -> None:
    alices.advance()
    alices.chain.balances[978] = 500_003
    body = alices.request("GET", "/v1/reconciliation", token=OPERATOR).json()
    assert body == {
        "reconciled": False,
        "open_breaks": 0,
        "comparisons": [
            {
                "currency": "EUR",
                "block": 0,
                "ledger": {"value": "5000.00", "currency": "EUR"},
                "chain": {"value": "5000.03", "currency": "EUR"},
                "difference": {"value": "-0.03", "currency": "EUR"},
            }
        ],
    }
    alices.chain.balances[978] = 500_000
    assert alices.request("GET", "/v1/reconciliation", token=OPERATOR).json()["reconciled"] is True


def test_a_central_bank_compares_its_reserves_with_the_supply(tmp_path: Path) -> None:
    bridge = central_bank(tmp_path)
    bridge.advance()
    bridge.chain.supplies[978] = 7
    body = bridge.request("GET", "/v1/reconciliation", token=OPERATOR).json()
    assert body["comparisons"][0]["difference"] == {"value": "-0.07", "currency": "EUR"}


def test_before_the_first_block_there_is_nothing_to_compare_yet(alices: Bridge) -> None:
    answer = alices.request("GET", "/v1/reconciliation", token=OPERATOR)
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/payments"])
def test_api_1_only_a_bank_takes_payments(tmp_path: Path, path: str) -> None:
    for name, make in (("provider", fx_provider), ("issuer", central_bank)):
        (tmp_path / name).mkdir()
        answer = make(tmp_path / name).request("POST", path)
        assert (answer.status_code, answer.json()["code"]) == (404, "resource_unknown")


def test_api_1_a_central_bank_orders_nothing_of_itself(tmp_path: Path) -> None:
    bridge = central_bank(tmp_path)
    assert order(bridge, "/v1/issuances").status_code == 404
    assert order(bridge, "/v1/redemptions").status_code == 404


def test_api_50_health_says_that_the_process_lives(alices: Bridge) -> None:
    answer = alices.request("GET", "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_api_50_readiness_says_what_is_waited_for(alices: Bridge) -> None:
    assert alices.request("GET", "/readyz").status_code == 200
    alices.readiness = Readiness(is_ready=False, waiting_for=("chain",))
    answer = alices.request("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "waiting", "waiting_for": ["chain"]}


def test_api_51_nothing_is_changed_before_the_books_are_level_with_the_chain(
    alices: Bridge,
) -> None:
    alices.takes_writes = False
    before = alices.rows()
    for path in ("/v1/payments", "/v1/issuances", "/v1/interbank/messages"):
        refused = alices.request("POST", path, token=ALICE, json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "books_behind"), path
        assert refused.json()["retryable"] is True
        assert refused.headers["retry-after"] == "1"
    assert alices.request("GET", "/v1/accounts", token=ALICE).status_code == 200
    assert alices.rows() == before
