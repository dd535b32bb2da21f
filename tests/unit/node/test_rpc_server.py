"""The HTTP face: JSON-RPC envelopes, batches, limits, and what is refused before any method runs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from node.rpc.server import BATCH_CALLS_MAX, BODY_BYTES_MAX, Server, WireError, answer_body


class Echo:
    """Answers with what it was asked."""

    def __init__(self, status: str = "ok") -> None:
        self.status = status
        self.calls: list[str] = []

    def dispatch(self, method: str, params: list[Any]) -> Any:
        self.calls.append(method)
        if method == "fail":
            return WireError(3, "execution reverted", "0x01")
        return params

    def health(self) -> dict[str, Any]:
        return {"status": self.status}


def answer(body: object) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    encoded = answer_body(Echo(), text)
    return json.loads(encoded) if encoded else None


def call(method: str = "echo", **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, **fields}


def test_a_call_is_answered_under_its_id() -> None:
    assert answer(call(params=[1])) == {"jsonrpc": "2.0", "id": 1, "result": [1]}
    assert answer(call(id="text")) == {"jsonrpc": "2.0", "id": "text", "result": []}


def test_an_error_carries_code_message_and_data() -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x01"}
    assert answer(call("fail")) == {"jsonrpc": "2.0", "id": 1, "error": error}


def test_a_batch_is_answered_in_order_and_notifications_not_at_all() -> None:
    notification = {"jsonrpc": "2.0", "method": "echo"}
    answers = answer([call(id=1), notification, call("fail", id=2)])
    assert [each["id"] for each in answers] == [1, 2]
    assert answer(notification) is None
    assert answer([notification]) is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 100_000, -32700),
        (("\u2222" + "[" * 100_000).encode("utf-16"), -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"echo","params":[NaN]}', -32700),
        ([], -32600),
        (7, -32600),
        ({"id": 1}, -32600),
        (call(params={"named": 1}), -32600),
        (call(id=[1]), -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "echo"}, -32600),
        ([call()] * (BATCH_CALLS_MAX + 1), -32600),
    ],
)
def test_what_is_no_request_is_refused(body: object, code: int) -> None:
    """N-42, N-43."""
    refused = answer(body)
    assert refused["error"]["code"] == code
    assert refused["error"]["message"]


def test_brackets_in_strings_are_no_depth() -> None:
    text = '[\\"' * 50
    assert answer(call(params=[text]))["result"] == [text]


def test_the_largest_batch_is_answered() -> None:
    assert len(answer([call()] * BATCH_CALLS_MAX)) == BATCH_CALLS_MAX


def exchange(method: str, path: str, echo: Echo | None = None, **request: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=Server(echo or Echo()))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, **request)

    return asyncio.run(run())


def test_a_post_is_answered_as_json() -> None:
    response = exchange("POST", "/", json=call(params=[2]))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["result"] == [2]


def test_a_notification_is_answered_with_no_content() -> None:
    response = exchange("POST", "/", json={"jsonrpc": "2.0", "method": "echo"})
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(
    ("method", "path", "request_fields", "status"),
    [
        ("GET", "/", {}, 405),
        ("POST", "/healthz", {}, 405),
        ("POST", "/other", {}, 404),
        ("POST", "/", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/", {"content": b"{}"}, 415),
    ],
)
def test_other_requests_are_refused_with_a_reason(
    method: str, path: str, request_fields: dict[str, Any], status: int
) -> None:
    """N-44."""
    response = exchange(method, path, **request_fields)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_a_body_above_the_limit_is_refused_unread() -> None:
    """N-43."""
    echo = Echo()
    body = json.dumps(call(params=["x" * BODY_BYTES_MAX])).encode()
    headers = {"content-type": "application/json"}
    response = exchange("POST", "/", echo, content=body, headers=headers)
    assert response.status_code == 413
    assert str(BODY_BYTES_MAX) in response.json()["error"]["message"]
    assert echo.calls == []


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("unavailable", 503)])
def test_health_is_a_status_code(status: str, code: int) -> None:
    response = exchange("GET", "/healthz", Echo(status))
    assert (response.status_code, response.json()) == (code, {"status": status})
