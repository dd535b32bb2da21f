"""The WebSocket face of the node: JSON-RPC calls, and subscriptions to what happens.

An ASGI application beside `rpc.server` on the same port, at `/` and `/ws`. One connection is four parts that share an
`Outbox`: the reader takes messages in and has each answered by the server's threads; the pump waits for news (a head,
the pool's events, a new subscription) and has what is new read for each subscription; the writer sends; and whatever
ends one of them ends the connection, with a code and a reason. Nothing on the event loop waits for a store or the core.

A consumer that is slow is waited for: what is in the store is read only when there is room to send it. One that takes
nothing for `STALL_SECONDS_MAX`, or that lets the pool's events pile up, is cut with code 1013 and the cursor up to
which it was told everything; so nothing is ever skipped without a word. With an `events` subscription from there it
goes on.

Limits per connection: `SUBSCRIPTIONS_MAX`, `outbox.MESSAGES_MAX` and `outbox.BYTES_MAX`, `CALLS_MAX` messages being
answered, each of at most `body_bytes_max`; in all `SOCKETS_MAX` connections and `CALLS_IN_ALL_MAX` messages being
answered. A page in a browser is refused unless its origin is let in: browsers let any page connect anywhere.

Source: RFC 6455; ASGI 3.0, websocket; geth's `eth_subscribe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

from websockets.frames import CloseCode

from node.errors import CredentialsRefused, NodeError, ParameterInvalid
from node.pool import PoolEvent
from node.rpc.access import Access, Client, header_of
from node.rpc.announcements import Announcements
from node.rpc.budget import Budget
from node.rpc.calls import Dispatcher
from node.rpc.codec.events import format_cursor
from node.rpc.faults import INTERNAL, WireError, describe_error
from node.rpc.json_value import Json
from node.rpc.methods import View
from node.rpc.methods.events import genesis_hash_of
from node.rpc.outbox import Message, Outbox
from node.rpc.server import Receive, Scope, Send
from node.rpc.subscriptions import Subscription, Subscriptions
from node.telemetry import get_logger

SOCKETS_MAX: Final = 256
"""WebSocket connections at once; the next is refused."""

CALLS_MAX: Final = 8
"""Messages of one connection being answered at once; the next is not read yet."""

CALLS_IN_ALL_MAX: Final = 128
"""Messages of all connections being answered at once."""

STALL_SECONDS_MAX: Final = 10
"""Seconds for which a client may take nothing that is sent."""

READ_THREADS_MAX: Final = 2
"""Threads that read what is new for subscriptions."""

PATHS: Final = frozenset({"/", "/ws"})
NAMESPACES: Final = frozenset({"eth", "corridor"})
REASON_BYTES_MAX: Final = 123
"""Bytes of a reason in a close frame (RFC 6455, 5.5)."""

Found = TypeVar("Found")


class MessageServer(Protocol):
    """What answers messages. Implemented by `rpc.server.Server`."""

    def calls_of(self, client: Client, dispatcher: Dispatcher) -> Dispatcher:
        """The calls of one message of a client."""

    async def answer_body(self, calls: Dispatcher, body: bytes, budget: Budget) -> bytes:
        """The answer to one message; empty where it wants none."""


class ConnectionObserver(Protocol):
    """Who is told of connections. Implemented by `telemetry.RpcMetrics`."""

    def connection_opened(self) -> None:
        """One more is open."""

    def connection_closed(self) -> None:
        """One less is open."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends; without a code, its client has gone."""

    code: CloseCode | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SocketDispatcher:
    """The methods as one connection has them: those of everybody, and its own subscriptions. For one message."""

    methods: Dispatcher
    subscriptions: Subscriptions
    opened: list[Subscription] = field(default_factory=list)
    """Those that this message opened; they begin once its answer is on the way."""

    def dispatch(self, method: str, params: list[Json], budget: Budget) -> Json | WireError:
        """The result of a call, or the error to answer with. Never raises."""
        namespace, _, verb = method.partition("_")
        if namespace not in NAMESPACES or verb not in {"subscribe", "unsubscribe"}:
            return self.methods.dispatch(method, params, budget)
        try:
            return self._subscribe(namespace, params) if verb == "subscribe" else self._end(params)
        except NodeError as error:
            return describe_error(error)
        except Exception:  # noqa: BLE001 - outermost loop: a fault of ours must not end the connection
            get_logger().exception("rpc_method_failed", method=method)
            return WireError(INTERNAL, "internal error")

    def dispatch_many(
        self, method: str, calls: Sequence[list[Json]], budget: Budget
    ) -> list[Json | WireError]:
        """What `dispatch` would give for each of these calls, in order. Never raises."""
        return self.methods.dispatch_many(method, calls, budget)

    async def dispatch_promptly(self, method: str, params: list[Json]) -> Json | WireError:
        """What `dispatch` would give, in the event loop. Never raises."""
        return await self.methods.dispatch_promptly(method, params)

    def is_prompt(self, method: str, params: list[Json]) -> bool:
        """Whether the event loop makes a call by itself: none that subscribes."""
        return self.methods.is_prompt(method, params)

    def is_grouped(self, method: str) -> bool:
        """Whether successive calls of a batch go to `dispatch_many` together: none that subscribes."""
        return self.methods.is_grouped(method)

    def is_heavy(self, method: str) -> bool:
        """Whether a call may take seconds of the machine."""
        return self.methods.is_heavy(method)

    def _subscribe(self, namespace: str, params: list[Json]) -> str:
        opened = self.subscriptions.subscribe(namespace, params)
        self.opened.append(opened)
        return opened.subscription_id

    def _end(self, params: list[Json]) -> bool:
        if len(params) != 1:
            raise ParameterInvalid("params", "expected the id of a subscription")
        return self.subscriptions.unsubscribe(params[0])


class Sockets:
    """The ASGI application for WebSocket connections."""

    def __init__(
        self,
        methods: Dispatcher,
        view: View,
        server: MessageServer,
        access: Access,
        announcements: Announcements,
        observer: ConnectionObserver,
    ) -> None:
        """Messages are answered by the HTTP server's threads, and its access control asked of each call."""
        self.methods = methods
        self.view = view
        self.genesis_hash = genesis_hash_of(view)
        self.server = server
        self.announcements = announcements
        self.stall_seconds_max: float = STALL_SECONDS_MAX
        self.calls = asyncio.Semaphore(CALLS_IN_ALL_MAX)
        self._access = access
        self._observer = observer
        self._readers = ThreadPoolExecutor(READ_THREADS_MAX, thread_name_prefix="rpc-stream")
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection to its end."""
        await receive()  # the client's wish to connect
        client = self._welcome(scope)
        if client is None:
            await send({"type": "websocket.close"})
            return
        self._sockets += 1
        self._observer.connection_opened()
        try:
            await send({"type": "websocket.accept"})
            await Connection(self, client, receive, send).run()
        finally:
            self._sockets -= 1
            self._observer.connection_closed()

    async def read(self, work: Callable[[], Found]) -> Found:
        """What a piece of reading gives, done by a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def close(self) -> None:
        """Forgets what waits for a thread."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _welcome(self, scope: Scope) -> Client | None:
        """Who connects; None where it is refused."""
        headers = scope["headers"]
        host, origin = header_of(headers, b"host"), header_of(headers, b"origin")
        if self._sockets >= SOCKETS_MAX or scope["path"] not in PATHS:
            return None
        if not self._access.is_own_host(host):
            return None
        if origin and not (self._access.allows_origin(origin) or _is_same_origin(origin, host)):
            return None
        try:
            return self._access.authenticate(headers)
        except CredentialsRefused as refusal:
            get_logger().debug("rpc_unauthenticated", reason=refusal.reason)
            return None


class Connection:
    """One WebSocket connection."""

    def __init__(self, sockets: Sockets, client: Client, receive: Receive, send: Send) -> None:
        self._sockets = sockets
        self._client = client
        self._receive = receive
        self._send = send
        self._subscriptions = Subscriptions(sockets.view)
        self._outbox = Outbox()
        self._news = asyncio.Event()
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serves the connection until its client goes, or is cut."""
        self._sockets.announcements.add(self)
        for part in (self._read_messages(), self._write(), self._pump()):
            self._start(part)
        try:
            ending = await self._ending
        finally:
            self._sockets.announcements.remove(self)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if ending.code is not None:
            get_logger().warning("websocket_cut", code=int(ending.code), reason=ending.reason)
            message = {"type": "websocket.close", "code": int(ending.code), "reason": ending.reason}
            with contextlib.suppress(OSError):  # the client may have gone meanwhile
                await self._send(message)

    def wake(self) -> None:
        """Says that there may be something new in the store."""
        self._news.set()

    def take_pool_events(self, events: Sequence[PoolEvent]) -> None:
        """Takes what happened to the pool."""
        if not self._subscriptions.take_pool_events(events):
            self._end(CloseCode.TRY_AGAIN_LATER, "slow consumer")
        self._news.set()

    async def _read_messages(self) -> None:
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                self._end()
                return
            text, data = event.get("text"), event.get("bytes")
            body = text.encode() if text is not None else bytes(data or b"")
            await self._calls.acquire()
            await self._sockets.calls.acquire()
            self._start(self._answer(body))

    async def _answer(self, body: bytes) -> None:
        server = self._sockets.server
        budget = Budget.of_seconds(self._sockets.view.limits.request_seconds_max)
        dispatcher = SocketDispatcher(self._sockets.methods, self._subscriptions)
        calls = server.calls_of(self._client, dispatcher)
        try:
            answer = await server.answer_body(calls, body, budget)
        finally:
            budget.cancel()  # the client may have gone, and the threads work on
            self._sockets.calls.release()
        if answer:
            await self._outbox.put(Message(answer.decode()))
        for subscription in dispatcher.opened:
            subscription.is_begun = True
        self._news.set()
        self._calls.release()

    async def _pump(self) -> None:
        """Has what is new read and queued, whenever there is news, until nothing is left."""
        while True:
            await self._news.wait()
            self._news.clear()
            while await self._tell_next():
                pass

    async def _tell_next(self) -> bool:
        """Queues the next page for each subscription; whether there is more."""
        begun = self._subscriptions.begun()
        if not begun:
            return False
        step = await self._sockets.read(self._subscriptions.next_step)
        is_more = not step.is_last
        for subscription in begun:
            is_more |= await self._tell(subscription, step.to_number)
        return is_more

    async def _tell(self, subscription: Subscription, to_number: int) -> bool:
        """Queues the next page for a subscription; whether there is more up to that block."""

        def read() -> list[Message]:
            return [
                Message(_encode(notice.envelope()), subscription, notice.place)
                for notice in self._subscriptions.read(subscription, to_number)
            ]

        for message in await self._sockets.read(read):
            await self._outbox.put(message)
        return self._subscriptions.is_behind(subscription, to_number)

    async def _write(self) -> None:
        while True:
            message = await self._outbox.get()
            subscription = message.subscription
            if subscription is not None and subscription.is_ended:
                continue
            try:
                async with asyncio.timeout(self._sockets.stall_seconds_max):
                    await self._send({"type": "websocket.send", "text": message.text})
            except TimeoutError:
                self._end(CloseCode.TRY_AGAIN_LATER, "slow consumer")
                return
            if subscription is not None and message.place is not None:
                subscription.told_to = message.place

    def _start(self, part: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(part)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        """Ends the connection where one of its parts failed."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        match error:
            case None:
                pass
            case OSError():
                self._end()
            case NodeError():
                self._end(CloseCode.INTERNAL_ERROR, describe_error(error).message)
            case _:
                get_logger().error("websocket_failed", fault=repr(error))
                self._end(CloseCode.INTERNAL_ERROR, "internal error")

    def _end(self, code: CloseCode | None = None, reason: str = "") -> None:
        if self._ending.done():
            return
        place = self._subscriptions.told_to()
        if code is not None and place is not None:
            cursor = format_cursor(self._sockets.genesis_hash, place)
            suffix = f"; told up to cursor {cursor}"
            reason = _cut(reason, REASON_BYTES_MAX - len(suffix)) + suffix
        self._ending.set_result(Ending(code, _cut(reason, REASON_BYTES_MAX)))


def _is_same_origin(origin: bytes, host: bytes) -> bool:
    """Whether an `Origin` header is that of a page which this very address served.

    Programs send no such header; browsers always do, and let any page open a WebSocket to any host.
    """
    return urlsplit(origin.decode("latin-1")).netloc.lower() == host.decode("latin-1").lower()


def _encode(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def _cut(text: str, bytes_max: int) -> str:
    return text.encode()[:bytes_max].decode(errors="ignore")
