"""Every error is a problem: one total table, and nothing of the inside in what it says.

Cites docs/spec/api.md: API-40, 41, 42.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from bridge.api.problems import STATUS_BY_ERROR, problem_of, status_of
from bridge.api.schemas import ProblemView
from bridge.errors import BridgeError, InvariantBroken, NodeUnavailable, RecordMissing, Rejected
from support.bridge_api import ALICE, Bridge, bank

SECRET = "the inside of the bridge"


def descendants(error: type[BridgeError]) -> list[type[BridgeError]]:
    return [each for child in error.__subclasses__() for each in (child, *descendants(child))]


ERRORS = descendants(BridgeError)
EVERY_ERROR = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def made(error: type[BridgeError]) -> BridgeError:
    """An instance whose every attribute is a secret."""
    attributes = len(getattr(error, "__dataclass_fields__", ()))
    return error(*[SECRET] * attributes)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Bridge:
    """A bank whose API can be made to fail in any way."""
    made_bank = bank(tmp_path_factory.mktemp("bank"))
    failing = APIRouter()
    known = {error.__name__: error for error in ERRORS}

    @failing.get("/fail/{name}")
    def fail(name: str) -> None:
        if name in known:
            raise made(known[name])
        raise RuntimeError(SECRET)

    made_bank.api.include_router(failing)
    return made_bank


@EVERY_ERROR
def test_api_41_every_class_of_error_has_its_status(error: type[BridgeError]) -> None:
    status = status_of(error)
    if issubclass(error, InvariantBroken):
        assert status is HTTPStatus.INTERNAL_SERVER_ERROR
    elif issubclass(error, Rejected):
        assert 400 <= status < 500 or error in STATUS_BY_ERROR
    else:
        assert status is HTTPStatus.SERVICE_UNAVAILABLE


@EVERY_ERROR
def test_api_40_every_error_is_told_as_a_problem_and_the_inside_is_not(
    api: Bridge, error: type[BridgeError]
) -> None:
    answer = api.request("GET", f"/fail/{error.__name__}")
    body = ProblemView.model_validate(answer.json())
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body.status) == (status_of(error), status_of(error))
    assert body.title == status_of(error).phrase
    assert body.trace_id == answer.headers["X-Request-ID"]
    if answer.status_code >= 500:
        assert SECRET not in answer.text
    else:
        assert body.code == problem_of(made(error)).code
        assert not body.retryable


def test_api_41_no_status_of_a_refusal_reads_as_try_again_to_another_institution() -> None:
    try_again = {408, 409, 425, 429}
    assert not try_again & {int(status) for status in STATUS_BY_ERROR.values()}


def test_api_41_a_fault_nobody_named_is_a_problem_too(api: Bridge) -> None:
    answer = api.request("GET", "/fail/nameless")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (500, "invariant_broken")
    assert SECRET not in answer.text
    assert body["trace_id"] == answer.headers["X-Request-ID"]


def test_what_is_unavailable_asks_for_patience(api: Bridge) -> None:
    answer = api.request("GET", "/fail/NodeUnavailable")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert problem_of(NodeUnavailable("eth_call", "refused")).retryable is True


def test_a_missing_record_of_ours_is_not_the_callers_fault() -> None:
    assert problem_of(RecordMissing("payment", "pay_1")).status is HTTPStatus.INTERNAL_SERVER_ERROR


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "resource_unknown"),
        ("GET", "/v1/payments/", 404, "resource_unknown"),
        ("GET", "/docs", 404, "resource_unknown"),
        ("DELETE", "/v1/payments", 405, "method_not_allowed"),
        ("GET", "/v1/messages", 405, "method_not_allowed"),
    ],
)
def test_api_40_what_the_framework_refuses_is_a_problem_too(
    api: Bridge, method: str, path: str, status: int, code: str
) -> None:
    answer = api.request(method, path, token=ALICE)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert status != 405 or answer.headers["Allow"]


@pytest.mark.parametrize("given", ["abc", "A.b-c_9", "0" * 64])
def test_api_42_a_usable_trace_id_is_echoed(api: Bridge, given: str) -> None:
    answer = api.request("GET", "/nowhere", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert answer.json()["trace_id"] == given


@pytest.mark.parametrize("given", ["", "0" * 65, "two words", "<script>"])
def test_api_42_any_other_is_replaced(api: Bridge, given: str) -> None:
    answer = api.request("GET", "/healthz", headers={"X-Request-ID": given})
    assert len(answer.headers["X-Request-ID"]) == 32
    assert answer.headers["X-Request-ID"] != given


def test_the_openapi_document_names_every_route(tmp_path: Path) -> None:
    document: dict[str, Any] = bank(tmp_path).api.openapi()
    assert document["openapi"].startswith("3.1")
    assert {
        "/v1/messages",
        "/v1/payments",
        "/v1/payments/{payment_id}/messages/{message_id}",
        "/v1/accounts",
        "/v1/issuances",
        "/v1/redemptions",
        "/v1/reconciliation",
        "/v1/interbank/messages",
        "/readyz",
    } <= set(document["paths"])
    created = document["paths"]["/v1/payments"]["post"]
    assert "202" in created["responses"]
    assert "default" in created["responses"]
