"""A gate in front of an institution: what others deliver to it comes twice, late, unanswered or in another order."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

DELIVERY_PATH = "/v1/interbank/messages"
INTERBANK_PATH = "/v1/interbank/"
TIMEOUT_SECONDS = 60
LATE_SECONDS = 1.5
HOP_HEADERS = frozenset({"connection", "content-length", "host", "transfer-encoding"})


class Traffic(Enum):
    """What becomes of what other institutions send."""

    PLAIN = "plain"
    TWICE = "twice"
    """Each is handed over two times; the sender hears the second answer."""
    LATE = "late"
    """Each delivery waits, while the chain goes on."""
    UNANSWERED = "unanswered"
    """The first delivery is handed over and its sender hears nothing."""
    REORDERED = "reordered"
    """The first delivery waits until another has been handed over, or would be late."""


class StreetGate:
    """Passes requests on to one institution, as its traffic says."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._traffic = Traffic.PLAIN
        self._lock = threading.Lock()
        self._deliveries = 0
        self._overtaken = threading.Event()

    def set(self, traffic: Traffic) -> None:
        """Treat everything from now on so; the next delivery is the first."""
        with self._lock:
            self._traffic = traffic
            self._deliveries = 0
            self._overtaken = threading.Event()

    def pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response | None:
        """The institution's answer; None where nobody is to hear of it, or nobody answers."""
        is_delivery = path == DELIVERY_PATH
        with self._lock:
            traffic, overtaken = self._traffic, self._overtaken
            is_first = is_delivery and self._deliveries == 0
            self._deliveries += is_delivery
        if is_delivery and traffic is Traffic.LATE:
            time.sleep(LATE_SECONDS)
        if is_first and traffic is Traffic.REORDERED:
            overtaken.wait(2 * LATE_SECONDS)
        answer = self._hand_over(method, path, headers, body)
        if traffic is Traffic.TWICE and path.startswith(INTERBANK_PATH):
            answer = self._hand_over(method, path, headers, body)
        if is_delivery and not is_first:
            overtaken.set()
        return None if is_first and traffic is Traffic.UNANSWERED else answer

    def _hand_over(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> httpx.Response | None:
        try:
            return httpx.request(
                method, self._target + path, content=body, headers=headers, timeout=TIMEOUT_SECONDS
            )
        except httpx.HTTPError:
            return None


@contextmanager
def street_gate(port: int, target: str) -> Iterator[StreetGate]:
    """A gate on a loopback port, in front of the institution at `target`."""
    gate = StreetGate(target)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            given = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in HOP_HEADERS
            }
            answer = gate.pass_on(self.command, self.path, given, body)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in HOP_HEADERS:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = answer  # noqa: N815 - the server's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A caller that died in between is what these tests are about."""

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield gate
        finally:
            server.shutdown()
            thread.join()
