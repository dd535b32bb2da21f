"""The HTTP face of the node: JSON-RPC 2.0 by POST, single or in batches, and `GET /healthz`.

A small ASGI application (for uvicorn). The event loop only reads and writes; each request body is answered in a bounded
pool of threads, since every method may read the store, run the EVM or wait for the core process. Requests with a heavy
call have a small pool of their own, and health has its own thread: neither a slow call nor a long line of them keeps
anybody from being told how the node is. It knows nothing of Ethereum: methods come in as a `Dispatcher`, errors leave
through its table.

Limits: `BODY_BYTES_MAX` and `BODY_SECONDS_MAX` per request body, `BATCH_CALLS_MAX` calls per batch, `ANSWER_BYTES_MAX`
per answer, a `Budget` of time per request, `THREADS_MAX` and `HEAVY_THREADS_MAX` requests worked on at once, and
`WAITING_MAX` taken in. A client that goes away takes its work with it. Only `application/json` is taken, so that no
page in a browser can post here without asking first, and only under a host name that is this machine's own, so that no
name that somebody else resolves to this machine's address serves to ask.

Source: JSON-RPC 2.0 specification; ASGI 3.0.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Protocol

from node.rpc.budget import REQUEST_SECONDS_MAX, Budget
from node.rpc.faults import WireError
from node.rpc.hosts import LOCAL_NAME, HostNames
from node.rpc.json_value import Json

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Bytes of one request body."""

BATCH_CALLS_MAX = 100
"""Calls in one batch."""

DEPTH_MAX = 32
"""Nesting of a body's lists and objects. The EVM's own recursion needs so high an interpreter limit
that a deeply nested body would overflow the decoder's C stack before that limit is met."""

BODY_SECONDS_MAX = 10
"""Seconds in which a request body must have arrived."""

ANSWER_BYTES_MAX = 25_000_000
"""Bytes of one answer, about; what is past it is refused call by call."""

THREADS_MAX = 8
"""Requests worked on at once."""

HEAVY_THREADS_MAX = 4
"""Requests with a heavy call worked on at once, besides."""

WAITING_MAX = 256
"""Requests taken in and not yet answered, those still being read included; past it the answer is 503."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMETERS = -32602
OVER_LIMIT = -32005

STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
BRACKET_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

Scope = MutableMapping[str, Any]  # ASGI's own shapes: an untyped dictionary per scope and event
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class Dispatcher(Protocol):
    """What a method call means. Implemented by `rpc.methods.Methods`."""

    def dispatch(self, method: str, params: list[Json], budget: Budget) -> Json | WireError:
        """The result of the call, or the error to answer with. Never raises."""

    def is_heavy(self, method: str) -> bool:
        """Whether a call may take seconds of the machine."""


class Server:
    """The ASGI application."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        report_health: Callable[[], dict[str, Json]],
        host: str = LOCAL_NAME,
        body_seconds_max: float = BODY_SECONDS_MAX,
    ) -> None:
        """`report_health` gives what `GET /healthz` answers; its `status` is "ok" when all is well.

        `host` is the name this node listens under; it is taken besides addresses and "localhost".
        """
        self._dispatcher = dispatcher
        self._report_health = report_health
        self._hosts = HostNames(host)
        self._body_seconds_max = body_seconds_max
        self._light = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="rpc")
        self._heavy = ThreadPoolExecutor(HEAVY_THREADS_MAX, thread_name_prefix="rpc-heavy")
        self._single = ThreadPoolExecutor(1, thread_name_prefix="rpc-health")
        self._health: asyncio.Future[dict[str, Json]] | None = None
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        if scope["type"] != "http":
            return
        if not self._hosts.is_own(_header(scope, b"host")):
            await _refuse(send, HTTPStatus.MISDIRECTED_REQUEST, "use this machine's own name")
            return
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                health = await self._ask_health()
                is_well = health["status"] == "ok"
                await _respond(
                    send, HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE, health
                )
            case "POST", "/":
                await self._post(scope, receive, send)
            case _, "/" | "/healthz":
                await _refuse(send, HTTPStatus.METHOD_NOT_ALLOWED, "use POST / or GET /healthz")
            case _:
                await _refuse(send, HTTPStatus.NOT_FOUND, "use POST / or GET /healthz")

    def close(self) -> None:
        """Forgets what waits for a thread; what runs is not waited for."""
        for pool in (self._light, self._heavy, self._single):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _header(scope, b"content-type").split(b";")[0].strip().lower() != b"application/json":
            await _refuse(
                send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content type must be application/json"
            )
            return
        if self._waiting >= WAITING_MAX:
            await _refuse(
                send, HTTPStatus.SERVICE_UNAVAILABLE, f"above {WAITING_MAX} requests waiting"
            )
            return
        self._waiting += 1
        try:
            await self._answer_post(scope, receive, send)
        finally:
            self._waiting -= 1

    async def _answer_post(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._body_seconds_max):
                body = None if _is_announced_too_large(scope) else await _read_body(receive)
        except TimeoutError:
            await _refuse(
                send, HTTPStatus.REQUEST_TIMEOUT, f"body not here after {self._body_seconds_max} s"
            )
            return
        except ConnectionError:
            return
        if body is None:
            await _refuse(
                send,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"request body above {BODY_BYTES_MAX} bytes",
            )
            return
        budget = Budget.of_seconds(REQUEST_SECONDS_MAX)
        watcher = asyncio.create_task(_cancel_when_gone(receive, budget))
        try:
            answer = await self.answer_body(self._dispatcher, body, budget)
        finally:
            watcher.cancel()
        await _send(send, HTTPStatus.OK if answer else HTTPStatus.NO_CONTENT, answer)

    async def answer_body(self, dispatcher: Dispatcher, body: bytes, budget: Budget) -> bytes:
        """The answer to one request, by the threads that its calls need; empty where it wants none."""
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(self._light, decode_request, body)
        pool = self._heavy if _has_heavy_call(dispatcher, request) else self._light
        return await loop.run_in_executor(pool, lambda: answer_request(dispatcher, request, budget))

    async def _ask_health(self) -> dict[str, Json]:
        """One report for all who ask at the same time."""
        if self._health is None or self._health.done():
            loop = asyncio.get_running_loop()
            self._health = loop.run_in_executor(self._single, self._report_health)
        return await asyncio.shield(self._health)


def _has_heavy_call(dispatcher: Dispatcher, request: Json | WireError) -> bool:
    calls = request if isinstance(request, list) else [request]
    return any(
        isinstance(call, dict) and dispatcher.is_heavy(str(call.get("method")))
        for call in calls[:BATCH_CALLS_MAX]
    )


async def _cancel_when_gone(receive: Receive, budget: Budget) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    budget.cancel()


def decode_request(body: bytes) -> Json | WireError:
    """The JSON value of a request body, or the error to answer with."""
    try:
        text = body.decode()
        _check_depth(text)
        request = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return WireError(PARSE_ERROR, "parse error: the body is not JSON")
    if request == []:
        return WireError(INVALID_REQUEST, "invalid request: empty batch")
    if isinstance(request, list) and len(request) > BATCH_CALLS_MAX:
        fault = f"batch too large: {len(request)} calls, at most {BATCH_CALLS_MAX}"
        return WireError(INVALID_REQUEST, fault)
    return request


def answer_request(dispatcher: Dispatcher, request: Json | WireError, budget: Budget) -> bytes:
    """The answer to what `decode_request` gave; empty where only notifications came.

    Each answer is encoded as it comes. Once the budget or the size is spent, no further call is made.
    """
    if isinstance(request, WireError):
        return _encode(_failure(None, request))
    answers: list[bytes] = []
    size = 0
    refusal: WireError | None = None
    for call in request if isinstance(request, list) else [request]:
        if refusal is None and budget.is_spent():
            refusal = WireError(OVER_LIMIT, "the time for this request is over")
        answer = _answer(dispatcher, call, budget, refusal)
        if answer is None:
            continue
        encoded = _encode(answer)
        if refusal is None and size + len(encoded) > ANSWER_BYTES_MAX:
            refusal = WireError(OVER_LIMIT, f"answer above {ANSWER_BYTES_MAX} bytes; ask for less")
            encoded = _encode(_failure(answer["id"], refusal))
        answers.append(encoded)
        size += len(encoded)
    if isinstance(request, list):
        return b"[" + b",".join(answers) + b"]" if answers else b""
    return b"".join(answers)


def _answer(
    dispatcher: Dispatcher, request: Json, budget: Budget, refusal: WireError | None
) -> Json | None:
    match request:
        case {"jsonrpc": "2.0", "method": str(method)}:
            identifier = request.get("id")
            params = request.get("params")
        case {"id": str() | int() as identifier}:
            return _failure(identifier, WireError(INVALID_REQUEST, "invalid request"))
        case _:
            return _failure(None, WireError(INVALID_REQUEST, "invalid request"))
    if not isinstance(identifier, str | int | None) or not isinstance(params, list | dict | None):
        return _failure(
            None, WireError(INVALID_REQUEST, "invalid request: id or params of a wrong type")
        )
    if refusal is not None:
        result: Json | WireError = refusal
    elif isinstance(params, dict):
        result = WireError(INVALID_PARAMETERS, "invalid params: by position only, in a list")
    else:
        result = dispatcher.dispatch(method, params or [], budget)
    if "id" not in request:
        return None
    if isinstance(result, WireError):
        return _failure(identifier, result)
    return {"jsonrpc": "2.0", "id": identifier, "result": result}


def _failure(identifier: str | int | None, error: WireError) -> Json:
    details: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.data is not None:
        details["data"] = error.data
    return {"jsonrpc": "2.0", "id": identifier, "error": details}


def _check_depth(text: str) -> None:
    depth = 0
    for token in STRING_OR_BRACKET.finditer(text):
        depth += BRACKET_STEPS.get(token[0], 0)
        if depth > DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def _encode(answer: Json) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _header(scope: Scope, name: bytes) -> bytes:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value for key, value in headers if key == name), b"")


def _is_announced_too_large(scope: Scope) -> bool:
    length = _header(scope, b"content-length")
    return length.isdigit() and int(length) > BODY_BYTES_MAX


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or None where it is too large; raises `ConnectionAbortedError`."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body += event.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not event.get("more_body", False):
            return bytes(body)


async def _refuse(send: Send, status: HTTPStatus, message: str) -> None:
    await _respond(send, status, _failure(None, WireError(INVALID_REQUEST, message)))


async def _respond(send: Send, status: HTTPStatus, answer: Json) -> None:
    await _send(send, status, _encode(answer))


async def _send(send: Send, status: HTTPStatus, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
