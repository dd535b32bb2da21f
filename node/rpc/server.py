"""The HTTP face of the node: JSON-RPC 2.0 by POST, single or in batches, health, readiness and metrics by GET.

A small ASGI application (for uvicorn). The event loop reads, writes, and makes the few calls that hold it up less than
a thread would (`Dispatcher.is_prompt`); any other request body is answered in a bounded pool of threads, since methods
read the store, run the EVM or wait for the core process. Requests with a heavy call have a small pool of their own, and
the pages have their own thread: neither a slow call nor a long line of them keeps anybody from being told how the node
is. It knows nothing of Ethereum: methods come in as a `Dispatcher`, errors leave through its table.

A request is refused in this order: it names another host (421); it is for another place or by another verb (404,
405); its credentials are none or wrong (401); it is no JSON (415); too many wait or the process is ending (503); its
body is too slow or too large (408, 413). Each call is then asked of access control by itself; where no call of a
request may be made the status is 403 or 429. `/healthz` and `/readyz` need no credentials.

Limits are those of `config.Limits`. A client that goes away takes its work with it, except a call that took no thread.
Only `application/json` is taken, so that no page in a browser can post here without asking first (`OPTIONS`), and only
under a host name that is this machine's own, so that no name that somebody else resolves to this machine's address
serves to ask.

Source: JSON-RPC 2.0 specification; ASGI 3.0; Fetch standard (CORS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from node.config import Limits
from node.errors import CredentialsRefused, MethodForbidden, NodeError, RateExceeded
from node.rpc.access import METRICS, Access, Client, header_of
from node.rpc.budget import Budget
from node.rpc.calls import CallObserver, Calls, Dispatcher
from node.rpc.envelope import (
    Call,
    answer_promptly,
    answer_request,
    decode_request,
    encode_answer,
    format_failure,
    has_heavy_call,
    prompt_call,
)
from node.rpc.faults import INVALID_REQUEST, UNAVAILABLE, WireError, describe_error
from node.rpc.json_value import Json
from node.telemetry import get_logger

INLINE_BODY_BYTES_MAX = 8 * 1024
"""Bytes of a body that the event loop decodes itself: less work than to hand it to a thread and back."""

LENGTH_DIGITS_MAX = 20
"""Digits of a body's announced length that are looked at."""

PREFLIGHT_SECONDS = 600
"""How long a browser may remember that an origin was let in."""

JSON_TYPE: Final = b"application/json"

METRICS_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

USE: Final = "use POST /, GET /healthz, GET /readyz or GET /metrics"

READY: Final = "ready"
ALIVE: Final[Json] = {"status": "alive"}
ENDING: Final[Json] = {"status": "unavailable", "reason": "this process is ending"}

Scope = MutableMapping[str, Any]  # ASGI's own shapes: an untyped dictionary per scope and event
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
HeaderLines = list[tuple[bytes, bytes]]


class ServerObserver(CallObserver, Protocol):
    """Who is told of requests and calls. Implemented by `telemetry.RpcMetrics`."""

    def request_began(self) -> None:
        """A request was taken in."""

    def request_refused(self, status: int) -> None:
        """A request was refused with an HTTP status before any of its calls was looked at."""

    def request_ended(self, *, bytes_in: int, bytes_out: int) -> None:
        """Its answer is on its way, or nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says."""

    is_well: bool
    """200 or 503."""
    content_type: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served by GET; each is asked for in a thread."""

    report_readiness: Callable[[], dict[str, Json]]
    """Whether the node serves and makes blocks; its `status` is "ready" when all is well."""
    report_metrics: Callable[[], bytes]
    """Prometheus's text format."""


class Server:
    """The ASGI application."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        pages: Pages,
        access: Access,
        observer: ServerObserver,
        limits: Limits,
    ) -> None:
        self._dispatcher = dispatcher
        self._pages = pages
        self._access = access
        self._observer = observer
        self._limits = limits
        self._light = ThreadPoolExecutor(limits.threads, thread_name_prefix="rpc")
        self._heavy = ThreadPoolExecutor(limits.heavy_threads, thread_name_prefix="rpc-heavy")
        self._paging = ThreadPoolExecutor(2, thread_name_prefix="rpc-page")
        self._asked: dict[str, asyncio.Future[Page]] = {}
        self._waiting = 0
        self._is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        if scope["type"] != "http":
            return
        if not self._access.is_own_host(header_of(scope["headers"], b"host")):
            await self._refuse(send, HTTPStatus.MISDIRECTED_REQUEST, "use this machine's own name")
            return
        send = self._let_in_by_origin(scope, send)
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                await _respond(send, HTTPStatus.OK, ALIVE)
            case "GET", "/readyz" if self._is_draining:
                await _respond(send, HTTPStatus.SERVICE_UNAVAILABLE, ENDING)
            case "GET", "/readyz":
                await self._answer_page("/readyz", send)
            case "GET", "/metrics":
                await self._answer_metrics(scope, send)
            case "POST", "/":
                await self._post(scope, receive, send)
            case "OPTIONS", "/":
                await self._answer_preflight(scope, send)
            case _, "/" | "/healthz" | "/readyz" | "/metrics":
                await self._refuse(send, HTTPStatus.METHOD_NOT_ALLOWED, USE)
            case _:
                await self._refuse(send, HTTPStatus.NOT_FOUND, USE)

    def drain(self) -> None:
        """Takes nothing in any more, and says so; what is at hand goes on."""
        self._is_draining = True

    def close(self) -> None:
        """Forgets what waits for a thread; what runs is not waited for."""
        for pool in (self._light, self._heavy, self._paging):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = await self._authenticated(scope, send)
        if client is None:
            return
        content_type = header_of(scope["headers"], b"content-type")
        if content_type.split(b";")[0].strip().lower() != JSON_TYPE:
            await self._refuse(
                send, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content type must be application/json"
            )
            return
        if self._is_draining:
            await self._refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, "this process is ending")
            return
        waiting_max = self._limits.requests_waiting_max
        if self._waiting >= waiting_max:
            await self._refuse(
                send, HTTPStatus.SERVICE_UNAVAILABLE, f"above {waiting_max} requests waiting"
            )
            return
        self._waiting += 1
        self._observer.request_began()
        bytes_in = bytes_out = 0
        try:
            body = await self._take_body(scope, receive, send)
            if body is not None:
                bytes_in = len(body)
                bytes_out = await self._answer_post(body, client, receive, send)
        finally:
            self._waiting -= 1
            self._observer.request_ended(bytes_in=bytes_in, bytes_out=bytes_out)

    async def _take_body(self, scope: Scope, receive: Receive, send: Send) -> bytes | None:
        """The whole body; None where it was refused or its client went away."""
        limits = self._limits
        is_announced_too_large = _announced_bytes(scope) > limits.body_bytes_max
        body = None
        try:
            async with asyncio.timeout(limits.body_seconds_max):
                if not is_announced_too_large:
                    body = await _read_body(receive, limits.body_bytes_max)
        except TimeoutError:
            fault = f"body not here after {limits.body_seconds_max} s"
            await self._refuse(send, HTTPStatus.REQUEST_TIMEOUT, fault)
            return None
        except ConnectionError:
            return None
        if body is None:
            fault = f"request body above {limits.body_bytes_max} bytes"
            await self._refuse(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, fault)
        return body

    async def _answer_post(self, body: bytes, client: Client, receive: Receive, send: Send) -> int:
        """Answers; gives the bytes of the answer."""
        budget = Budget.of_seconds(self._limits.request_seconds_max)
        calls = self.calls_of(client, self._dispatcher)
        request = await self._decode(body)
        call = self._prompt_call(calls, body, request)
        if call is not None:
            answer = await answer_promptly(calls, call)
        else:
            watcher = asyncio.create_task(_cancel_when_gone(receive, budget))
            try:
                answer = await self._answer_in_thread(calls, request, budget)
            finally:
                watcher.cancel()
        refusal = calls.only_refusal
        if refusal is not None and answer:
            await _send(send, _status_of(refusal), answer, _headers_of(refusal))
        else:
            await _send(send, HTTPStatus.OK if answer else HTTPStatus.NO_CONTENT, answer)
        return len(answer)

    def calls_of(self, client: Client, dispatcher: Dispatcher) -> Calls:
        """The calls of one request or message of a client: asked of access control, counted, logged."""
        slow_seconds = self._limits.slow_call_milliseconds / 1_000
        return Calls(dispatcher, client, self._observer, slow_seconds)

    async def answer_body(self, calls: Dispatcher, body: bytes, budget: Budget) -> bytes:
        """The answer to one message, by the threads that its calls need, if any; empty where it wants none."""
        request = await self._decode(body)
        call = self._prompt_call(calls, body, request)
        if call is not None:
            return await answer_promptly(calls, call)
        return await self._answer_in_thread(calls, request, budget)

    async def _decode(self, body: bytes) -> Json | WireError:
        limits = self._limits
        if len(body) <= INLINE_BODY_BYTES_MAX:
            return decode_request(body, limits)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._light, decode_request, body, limits)

    def _prompt_call(
        self, calls: Dispatcher, body: bytes, request: Json | WireError
    ) -> Call | None:
        """The call of a small request that needs no thread."""
        return prompt_call(calls, request) if len(body) <= INLINE_BODY_BYTES_MAX else None

    async def _answer_in_thread(
        self, calls: Dispatcher, request: Json | WireError, budget: Budget
    ) -> bytes:
        limits = self._limits
        loop = asyncio.get_running_loop()
        pool = self._heavy if has_heavy_call(calls, request) else self._light
        return await loop.run_in_executor(
            pool, lambda: answer_request(calls, request, budget, limits)
        )

    async def _authenticated(self, scope: Scope, send: Send) -> Client | None:
        """Who asks; None where that was refused."""
        try:
            return self._access.authenticate(scope["headers"])
        except CredentialsRefused as refusal:
            get_logger().debug("rpc_unauthenticated", reason=refusal.reason)
            await self._refuse_by_error(send, HTTPStatus.UNAUTHORIZED, refusal)
            return None

    async def _answer_metrics(self, scope: Scope, send: Send) -> None:
        client = await self._authenticated(scope, send)
        if client is None:
            return
        if not client.may_call(METRICS):
            refusal = MethodForbidden(client.name, METRICS)
            await self._refuse_by_error(send, HTTPStatus.FORBIDDEN, refusal)
            return
        await self._answer_page(scope["path"], send)

    async def _answer_page(self, path: str, send: Send) -> None:
        """One report for all who ask for a page at the same time."""
        asked = self._asked.get(path)
        if asked is None or asked.done():
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._paging, self._write_page, path)
            self._asked[path] = asked
        page = await asyncio.shield(asked)
        status = HTTPStatus.OK if page.is_well else HTTPStatus.SERVICE_UNAVAILABLE
        await _send(send, status, page.body, content_type=page.content_type)

    def _write_page(self, path: str) -> Page:
        if path == "/metrics":
            return Page(is_well=True, content_type=METRICS_TYPE, body=self._pages.report_metrics())
        report = self._pages.report_readiness()
        is_ready = report["status"] == READY
        return Page(is_well=is_ready, content_type=JSON_TYPE, body=encode_answer(report))

    def _let_in_by_origin(self, scope: Scope, send: Send) -> Send:
        """Tells the browser of a page that is let in that it is."""
        origin = header_of(scope["headers"], b"origin")
        if not origin or not self._access.allows_origin(origin):
            return send

        async def send_with_origin(event: Scope) -> None:
            if event["type"] == "http.response.start":
                allowed = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
                event = {**event, "headers": [*event["headers"], *allowed]}
            await send(event)

        return send_with_origin

    async def _answer_preflight(self, scope: Scope, send: Send) -> None:
        if not self._access.allows_origin(header_of(scope["headers"], b"origin")):
            await self._refuse(send, HTTPStatus.FORBIDDEN, "this origin may not ask")
            return
        headers = [
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", b"authorization, content-type"),
            (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
        ]
        await _send(send, HTTPStatus.NO_CONTENT, b"", headers)

    async def _refuse(self, send: Send, status: HTTPStatus, message: str) -> None:
        self._observer.request_refused(status)
        is_passing = status == HTTPStatus.SERVICE_UNAVAILABLE
        code = UNAVAILABLE if is_passing else INVALID_REQUEST
        await _respond(send, status, format_failure(None, WireError(code, message)))

    async def _refuse_by_error(self, send: Send, status: HTTPStatus, refusal: NodeError) -> None:
        self._observer.request_refused(status)
        answer = encode_answer(format_failure(None, describe_error(refusal)))
        await _send(send, status, answer, _headers_of(refusal))


async def _cancel_when_gone(receive: Receive, budget: Budget) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    budget.cancel()


def _announced_bytes(scope: Scope) -> int:
    length = header_of(scope["headers"], b"content-length")
    return int(length[:LENGTH_DIGITS_MAX]) if length.isdigit() else 0


async def _read_body(receive: Receive, bytes_max: int) -> bytes | None:
    """The whole body, or None where it is too large; raises `ConnectionAbortedError`."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body += event.get("body", b"")
        if len(body) > bytes_max:
            return None
        if not event.get("more_body", False):
            return bytes(body)


def _status_of(refusal: NodeError) -> HTTPStatus:
    if isinstance(refusal, MethodForbidden):
        return HTTPStatus.FORBIDDEN
    return HTTPStatus.TOO_MANY_REQUESTS


def _headers_of(refusal: NodeError) -> HeaderLines:
    match refusal:
        case CredentialsRefused():
            return [(b"www-authenticate", b"Bearer")]
        case RateExceeded():
            return [(b"retry-after", b"1")]
        case _:
            return []


async def _respond(send: Send, status: HTTPStatus, answer: Json) -> None:
    await _send(send, status, encode_answer(answer))


async def _send(
    send: Send,
    status: HTTPStatus,
    body: bytes,
    headers: HeaderLines | None = None,
    content_type: bytes = JSON_TYPE,
) -> None:
    lines = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": lines})
    await send({"type": "http.response.body", "body": body})
