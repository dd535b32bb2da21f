"""The HTTP face of the node: JSON-RPC 2.0 by POST, single or in batches, and `GET /healthz`.

A small ASGI application (for uvicorn). The event loop only reads and writes; each request body is answered in a bounded
pool of threads, since every method may read the store, run the EVM or wait for the core process. It knows nothing of
Ethereum: methods come in as a `Dispatcher`, errors leave through its table.

Limits: `BODY_BYTES_MAX` per request, `BATCH_CALLS_MAX` calls per batch, `THREADS_MAX` requests worked on at once and
`WAITING_MAX` waiting behind them. Only `application/json` is taken, so that no page in a browser can post here without
asking first.

Source: JSON-RPC 2.0 specification; ASGI 3.0.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

BODY_BYTES_MAX = 2 * 1024 * 1024
"""Bytes of one request body."""

BATCH_CALLS_MAX = 100
"""Calls in one batch."""

DEPTH_MAX = 32
"""Nesting of a body's lists and objects. The EVM's own recursion needs so high an interpreter limit
that a deeply nested body would overflow the decoder's C stack before that limit is met."""

THREADS_MAX = 8
"""Requests worked on at once."""

WAITING_MAX = 256
"""Requests taken in and not yet answered; past it the answer is 503."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
BRACKET_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

Scope = MutableMapping[str, Any]  # ASGI's own shapes: an untyped dictionary per scope and event
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Result = TypeVar("Result")
Json = Any  # a JSON value, as the standard library's decoder gives it


@dataclass(frozen=True, slots=True)
class WireError:
    """The error object of a JSON-RPC answer."""

    code: int
    message: str
    data: str | None = None


class Dispatcher(Protocol):
    """What a method call means. Implemented by `rpc.methods.Methods`."""

    def dispatch(self, method: str, params: list[Json]) -> Json | WireError:
        """The result of the call, or the error to answer with. Never raises."""

    def health(self) -> dict[str, Json]:
        """What `GET /healthz` answers; its `status` is "ok" when the node serves."""


class Server:
    """The ASGI application."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="rpc")
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        if scope["type"] != "http":
            return
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                health = await self._in_thread(self._dispatcher.health)
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

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_json(scope):
            await _refuse(
                send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content type must be application/json"
            )
            return
        body = await _read_body(receive)
        if body is None:
            await _refuse(
                send,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"request body above {BODY_BYTES_MAX} bytes",
            )
            return
        if self._waiting >= WAITING_MAX:
            await _refuse(
                send, HTTPStatus.SERVICE_UNAVAILABLE, f"above {WAITING_MAX} requests waiting"
            )
            return
        self._waiting += 1
        try:
            answer = await self._in_thread(lambda: answer_body(self._dispatcher, body))
        finally:
            self._waiting -= 1
        await _send(send, HTTPStatus.OK if answer else HTTPStatus.NO_CONTENT, answer)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def answer_body(dispatcher: Dispatcher, body: bytes) -> bytes:
    """The answer to one request body; empty where only notifications came."""
    try:
        text = body.decode()
        _check_depth(text)
        request = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return _encode(_failure(None, WireError(PARSE_ERROR, "parse error: the body is not JSON")))
    if not isinstance(request, list):
        answer = _answer(dispatcher, request)
        return b"" if answer is None else _encode(answer)
    if not request:
        return _encode(_failure(None, WireError(INVALID_REQUEST, "invalid request: empty batch")))
    if len(request) > BATCH_CALLS_MAX:
        fault = f"batch too large: {len(request)} calls, at most {BATCH_CALLS_MAX}"
        return _encode(_failure(None, WireError(INVALID_REQUEST, fault)))
    answers = [answer for call in request if (answer := _answer(dispatcher, call)) is not None]
    return _encode(answers) if answers else b""


def _answer(dispatcher: Dispatcher, request: Json) -> Json | None:
    match request:
        case {"jsonrpc": "2.0", "method": str(method)}:
            identifier = request.get("id")
            params = request.get("params", [])
        case {"id": str() | int() as identifier}:
            return _failure(identifier, WireError(INVALID_REQUEST, "invalid request"))
        case _:
            return _failure(None, WireError(INVALID_REQUEST, "invalid request"))
    if not isinstance(identifier, str | int | None) or not isinstance(params, list):
        return _failure(
            None, WireError(INVALID_REQUEST, "invalid request: id or params of a wrong type")
        )
    result = dispatcher.dispatch(method, params)
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


def _is_json(scope: Scope) -> bool:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    return content_type.split(b";")[0].strip().lower() == b"application/json"


async def _read_body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return b""
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
