"""The HTTP face: JSON-RPC envelopes, batches, limits, and what is refused before any method runs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import httpx
import pytest

from node.config import Limits
from node.rpc.budget import Budget
from node.rpc.envelope import answer_request, decode_request
from node.rpc.faults import WireError
from node.rpc.server import INLINE_BODY_BYTES_MAX, Server
from support.rpc_face import open_face

LIMITS = Limits()


class Echo:
    """Answers with what it was asked."""

    def __init__(self, status: str = "ready") -> None:
        self.status = status
        self.calls: list[str] = []
        self.running = threading.Semaphore(0)
        self.spent = threading.Event()

    def dispatch(self, method: str, params: list[Any], budget: Budget) -> Any:
        self.calls.append(method)
        if method == "fail":
            return WireError(3, "execution reverted", "0x01")
        if method == "large":
            return "x" * params[0]
        if method == "slow":
            self.running.release()
            while not budget.is_spent():
                time.sleep(0.001)
            self.spent.set()
        return params

    def dispatch_many(self, method: str, calls: Sequence[list[Any]], budget: Budget) -> list[Any]:
        self.calls.append(f"{method} x {len(calls)}")
        return [self.dispatch(method, params, budget) for params in calls]

    async def dispatch_promptly(self, method: str, params: list[Any]) -> Any:
        self.calls.append(f"{method} in {threading.current_thread().name}")
        return params

    def is_prompt(self, method: str, params: list[Any]) -> bool:
        return method == "prompt" and len(params) == 1

    def is_grouped(self, method: str) -> bool:
        return method == "grouped"

    def is_heavy(self, method: str) -> bool:
        return method == "slow"

    def report(self) -> dict[str, Any]:
        return {"status": self.status}


def answer(body: object, echo: Echo | None = None, seconds: int = 60) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    budget = Budget.of_seconds(seconds)
    encoded = answer_request(echo or Echo(), decode_request(text), budget)
    return json.loads(encoded) if encoded else None


def call(method: str = "echo", **fields: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, **fields}


def test_calls_in_a_row_are_answered_together_and_each_under_its_own_id() -> None:
    """N-74."""
    echo = Echo()
    batch = [
        call("grouped", id=1, params=[1]),
        call("grouped", id=2, params=[2]),
        {"jsonrpc": "2.0", "method": "grouped", "params": [3]},
        call("echo", id=4, params=[4]),
        call("echo", id=5, params=[5]),
        call("grouped", id=6, params={}),
        call("grouped", id=7, params=[7]),
        {"id": 8},
    ]
    answers = answer(batch, echo)
    assert [each.get("result") for each in answers] == [[1], [2], [4], [5], None, [7], None]
    assert [each["id"] for each in answers] == [1, 2, 4, 5, 6, 7, 8]
    assert echo.calls == ["grouped x 3", *["grouped"] * 3, "echo", "echo", "grouped"]


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
        (call(params="text"), -32600),
        (call(id=[1]), -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "echo"}, -32600),
        ([call()] * (LIMITS.batch_calls_max + 1), -32600),
    ],
)
def test_what_is_no_request_is_refused(body: object, code: int) -> None:
    """N-42, N-43."""
    refused = answer(body)
    assert refused["error"]["code"] == code
    assert refused["error"]["message"]


def test_null_is_no_parameters_and_named_ones_are_refused_under_their_id() -> None:
    """N-42."""
    assert answer(call(params=None)) == {"jsonrpc": "2.0", "id": 1, "result": []}
    refused = answer(call(id=7, params={"named": 1}))
    assert (refused["id"], refused["error"]["code"]) == (7, -32602)


def test_an_answer_stops_growing_at_its_limit_and_the_rest_is_not_asked() -> None:
    """N-45."""
    echo = Echo()
    most = LIMITS.answer_bytes_max - 1_000
    answers = answer([call("large", id=number, params=[most]) for number in range(5)], echo)
    assert len(answers[0]["result"]) == most
    assert [each["error"]["code"] for each in answers[1:]] == [-32005] * 4
    assert [each["id"] for each in answers] == [0, 1, 2, 3, 4]
    assert len(echo.calls) == 2
    assert answer(call("large", params=[LIMITS.answer_bytes_max]))["error"]["code"] == -32005


def test_a_batch_has_one_budget_of_time() -> None:
    """N-45."""
    echo = Echo()
    answers = answer([call(), call("slow"), call(), call(id=2)], echo, seconds=1)
    assert echo.calls == ["echo", "slow"]
    assert [each.get("error", {}).get("code") for each in answers] == [None, None, -32005, -32005]
    assert answers[3]["id"] == 2


def test_what_nobody_waits_for_is_not_begun() -> None:
    """N-45."""
    echo, budget = Echo(), Budget.of_seconds(60)
    budget.cancel()
    answer_request(echo, call("echo"), budget)
    assert echo.calls == []


def test_brackets_in_strings_are_no_depth() -> None:
    text = '[\\"' * 50
    assert answer(call(params=[text]))["result"] == [text]


def test_the_largest_batch_is_answered() -> None:
    assert len(answer([call()] * LIMITS.batch_calls_max)) == LIMITS.batch_calls_max


def exchange(method: str, path: str, echo: Echo | None = None, **request: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        answering = echo or Echo()
        transport = httpx.ASGITransport(app=open_face(answering, answering.report))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
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
        ("POST", "/metrics", {}, 405),
        ("PUT", "/readyz", {}, 405),
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
    body = json.dumps(call(params=["x" * LIMITS.body_bytes_max])).encode()
    headers = {"content-type": "application/json"}
    response = exchange("POST", "/", echo, content=body, headers=headers)
    assert response.status_code == 413
    assert str(LIMITS.body_bytes_max) in response.json()["error"]["message"]
    assert echo.calls == []


@pytest.mark.parametrize(("status", "code"), [("ready", 200), ("unavailable", 503)])
def test_readiness_is_a_status_code(status: str, code: int) -> None:
    """N-47."""
    response = exchange("GET", "/readyz", Echo(status))
    assert (response.status_code, response.json()) == (code, {"status": status})


def test_a_process_that_lives_says_so_whether_it_is_ready_or_not() -> None:
    """N-96."""
    response = exchange("GET", "/healthz", Echo("unavailable"))
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_a_process_that_is_ending_is_not_ready_and_takes_nothing_in() -> None:
    """N-96."""

    async def scenario(server: Server, echo: Echo) -> None:
        at_hand = Client()
        at_hand.post(call("slow"))
        asked = asyncio.create_task(at_hand.ask(server))
        await until_running(echo)
        server.drain()
        late, readiness = Client(), Client()
        late.post(call())
        readiness.scope.update(method="GET", path="/readyz")
        assert [await late.ask(server), await readiness.ask(server)] == [503, 503]
        at_hand.leave()
        assert await asked == 200

    served(scenario)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8545", 200),
        ("127.0.0.1:8545", 200),
        ("[::1]:8545", 200),
        ("LOCALHOST", 200),
        ("rebound.example", 421),
        ("127.0.0.1.example:8545", 421),
        ("", 421),
    ],
)
def test_only_this_machines_own_names_are_answered(host: str, status: int) -> None:
    """N-44."""
    assert exchange("GET", "/healthz", headers={"host": host}).status_code == status
    response = exchange("POST", "/", headers={"host": host}, json=call())
    assert response.status_code == status


class Client:
    """One HTTP request as the server sees it: events that come when the test says so."""

    def __init__(self, **headers: str) -> None:
        named = {"host": "localhost", "content-type": "application/json", **headers}
        self.scope: MutableMapping[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
            ],
        }
        self.events: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.sent: list[MutableMapping[str, Any]] = []

    def post(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.events.put_nowait({"type": "http.request", "body": content, "more_body": False})

    def leave(self) -> None:
        self.events.put_nowait({"type": "http.disconnect"})

    async def ask(self, server: Server) -> int:
        await server(self.scope, self.events.get, self._send)
        status: int = self.sent[0]["status"] if self.sent else 0
        return status

    async def _send(self, event: MutableMapping[str, Any]) -> None:
        self.sent.append(event)


async def answered(server: Server, body: object) -> Any:
    """The answer to one body; None where it wants none."""
    client = Client()
    client.post(body)
    await client.ask(server)
    content = client.sent[1]["body"]
    return json.loads(content) if content else None


def served(work: Callable[[Server, Echo], Awaitable[None]]) -> None:
    """Runs a scenario against a server."""
    echo = Echo()
    server = open_face(echo, echo.report)

    async def run() -> None:
        async with asyncio.timeout(20):
            await work(server, echo)

    try:
        asyncio.run(run())
    finally:
        server.close()


async def until_running(echo: Echo) -> None:
    assert await asyncio.to_thread(echo.running.acquire, timeout=10)


def test_a_body_announced_above_the_limit_is_refused_unread() -> None:
    """N-43."""

    async def scenario(server: Server, _: Echo) -> None:
        assert await Client(content_length=str(LIMITS.body_bytes_max + 1)).ask(server) == 413

    served(scenario)


def test_a_prompt_call_takes_no_thread_unless_it_is_large_or_in_a_batch() -> None:
    """N-180."""
    here = threading.current_thread().name

    async def work(server: Server, echo: Echo) -> None:
        large = call("prompt", params=["c" * INLINE_BODY_BYTES_MAX])
        answers = [
            await answered(server, body)
            for body in (
                call("prompt", params=["a"]),
                {"jsonrpc": "2.0", "method": "prompt", "params": ["b"]},
                large,
                [call("prompt", params=["d"])],
                call("prompt", params=["e", "f"]),
            )
        ]
        assert answers[0] == {"jsonrpc": "2.0", "id": 1, "result": ["a"]}
        assert answers[1] is None
        assert answers[2]["result"] == large["params"]
        assert answers[3] == [{"jsonrpc": "2.0", "id": 1, "result": ["d"]}]
        assert answers[4]["result"] == ["e", "f"]
        assert echo.calls == [f"prompt in {here}"] * 2 + ["prompt"] * 3

    served(work)


def test_work_ends_with_the_client_that_asked_for_it() -> None:
    """N-45."""

    async def scenario(server: Server, echo: Echo) -> None:
        client = Client()
        client.post(call("slow"))
        asked = asyncio.create_task(client.ask(server))
        await until_running(echo)
        left_at = time.monotonic()
        client.leave()
        await asked
        assert echo.spent.is_set()
        assert time.monotonic() - left_at < 3

    served(scenario)


def test_heavy_calls_hold_up_neither_light_ones_nor_health() -> None:
    """N-45."""

    async def scenario(server: Server, echo: Echo) -> None:
        slow = [Client() for _ in range(LIMITS.heavy_threads * 2)]
        asked = []
        for client in slow:
            client.post([call(), call("slow")])
            asked.append(asyncio.create_task(client.ask(server)))
        for _ in range(LIMITS.heavy_threads):
            await until_running(echo)
        light, health = Client(), Client()
        light.post(call())
        health.scope.update(method="GET", path="/readyz")
        assert [await light.ask(server), await health.ask(server)] == [200, 200]
        assert not any(task.done() for task in asked)
        for client in slow:
            client.leave()
        await asyncio.gather(*asked)

    served(scenario)


def test_requests_still_being_read_count_as_waiting() -> None:
    """N-43."""

    async def scenario(server: Server, _: Echo) -> None:
        slow = [Client() for _ in range(LIMITS.requests_waiting_max)]
        asked = [asyncio.create_task(client.ask(server)) for client in slow]
        await asyncio.sleep(0)
        one_more = Client()
        one_more.post(call())
        assert await one_more.ask(server) == 503
        slow[0].leave()
        await asked[0]
        again = Client()
        again.post(call())
        assert await again.ask(server) == 200
        for client in slow[1:]:
            client.leave()
        await asyncio.gather(*asked)

    served(scenario)


def test_a_body_that_does_not_come_is_given_up() -> None:
    """N-43."""
    echo = Echo()
    server = open_face(echo, echo.report, limits=Limits(body_seconds_max=1))

    async def run() -> int:
        return await Client().ask(server)

    assert asyncio.run(run()) == 408
    server.close()
