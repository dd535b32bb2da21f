"""Two institutions that deliver to each other: stores, channels, couriers; and a peer that misbehaves.

The peer is a real HTTP server on a loopback port. A script says of each request what goes wrong: the
request is lost, its answer is, it comes twice, or the peer asks for patience.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from bridge.api.problems import problem_of
from bridge.chain import Directory
from bridge.errors import BridgeError
from bridge.interbank import (
    CONTENT_TYPE,
    Courier,
    Interbank,
    Kind,
    Outgoing,
    Received,
    Receiver,
    Taking,
    deliver,
    take,
)
from bridge.interbank.delivery import Courses
from bridge.interbank.fetching import answer_fetch
from bridge.store import Delivery, Store, UnitOfWork
from support.clock import Clock
from support.participants import BANK_A, BANK_B, make_institutions

NETWORK = b"\x11" * 32
INSTITUTIONS = make_institutions(BANK_A, BANK_B)


class Fault(Enum):
    """What goes wrong with one request."""

    NONE = "none"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    TWICE = "twice"
    PATIENCE = "patience"


@dataclass(slots=True)
class Side:
    """One institution: what it keeps, and what it took in which order."""

    lei: str
    store: Store
    channel: Interbank
    clock: Clock
    taken: list[tuple[str, str]] = field(default_factory=list)
    duplicates: int = 0

    def receiver(self) -> Receiver:
        """Keeps the payment and the text of each message, in the order of taking."""

        def receive(received: Received) -> Taking:
            def taking(_: UnitOfWork) -> None:
                self.taken.append((received.body["payment"], received.body["text"]))

            return taking

        return receive

    def takes(self, sealed: bytes) -> None:
        received = self.channel.open(sealed)
        assert received.heading is not None
        self.duplicates += received.heading.possible_duplicate
        take(self.store, {Kind.STATUS_REPORT: self.receiver()}, received, at=self.clock.now)

    def answers(self, sealed: bytes) -> bytes:
        question = self.channel.open(sealed)
        body = answer_fetch(self.store, question, at=self.clock.now, days=7)
        return self.channel.answer(question, body)

    def delivers(self, payment: str, text: str, to: str = BANK_B) -> str:
        """A message recorded; its id."""
        with self.store.unit_of_work() as work:
            body = {"payment": payment, "text": text}
            message = Outgoing(f"{payment}:{text}", to, Kind.STATUS_REPORT, body, payment)
            return deliver(work, message, at=self.clock.now)

    def courier(self, courses: Courses | None = None, owner: str = "courier") -> Courier:
        return Courier(self.store, self.channel, courses or {}, self.clock, owner)

    def delivery(self, message_id: str) -> Delivery:
        with self.store.reading() as work:
            found = work.deliveries.find(message_id)
        assert found is not None
        return found


class Peer:
    """An institution behind a real port whose line is bad; `faults` are used up one per request."""

    def __init__(self, side: Side, faults: Sequence[Fault] = ()) -> None:
        self.side = side
        self.faults = list(faults)
        self.requests = 0
        self.before_answer: Callable[[], None] = lambda: None
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                peer.serve(self)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Nothing: tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        sealed = request.rfile.read(int(request.headers["content-length"]))
        with self._lock:
            self.requests += 1
            fault = self.faults.pop(0) if self.faults else Fault.NONE
            if fault is Fault.REQUEST_LOST:
                return
            if fault is Fault.PATIENCE:
                request.send_error(503)
                return
            try:
                answer = self._answer(request.path, sealed, twice=fault is Fault.TWICE)
            except BridgeError as error:
                request.send_error(problem_of(error).status.value)
                return
            self.before_answer()
            if fault is Fault.ANSWER_LOST:
                return
        request.send_response(202)
        request.send_header("content-type", CONTENT_TYPE)
        request.send_header("content-length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _answer(self, path: str, sealed: bytes, *, twice: bool) -> bytes:
        if path.endswith("/fetches"):
            return self.side.answers(sealed)
        for _ in range(1 + twice):
            self.side.takes(sealed)
        return b""

    @contextmanager
    def running(self) -> Iterator["Peer"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def make_side(lei: str, folder: Path, now: int) -> Side:
    """An institution whose directory knows both, at no endpoint yet."""
    channel = Interbank(
        lei, INSTITUTIONS[lei].keys, lambda: _directory({}), httpx.Client(), NETWORK
    )
    return Side(lei, Store.open(folder / f"{lei}.sqlite"), channel, Clock(now))


def connect(side: Side, endpoints: dict[str, str]) -> None:
    """Tell an institution where the others are reached."""
    side.channel = Interbank(
        side.lei,
        INSTITUTIONS[side.lei].keys,
        lambda: _directory(endpoints),
        httpx.Client(trust_env=False),
        NETWORK,
    )


def _directory(endpoints: dict[str, str]) -> Directory:
    return Directory(
        replace(
            each.participant, endpoint=endpoints.get(each.participant.lei, "http://127.0.0.1:1")
        )
        for each in INSTITUTIONS.values()
    )
