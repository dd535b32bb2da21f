"""A gate between a bridge and its node: lets JSON-RPC pass, or holds one method at a chosen moment."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

HELD_METHOD = "eth_sendRawTransaction"
TIMEOUT_SECONDS = 60


class Hold(Enum):
    """Where a send is held: before the node hears of it, or after it did and before the answer."""

    NOTHING = "nothing"
    REQUEST = "request"
    ANSWER = "answer"


class Gate:
    """What the gate does now; `held` is set once something was held."""

    def __init__(self, node_url: str) -> None:
        self.node_url = node_url
        self.hold = Hold.NOTHING
        self.held = threading.Event()
        self.opened = threading.Event()
        self.url = ""

    def close(self, hold: Hold) -> None:
        """Hold every send from now on."""
        self.held.clear()
        self.opened.clear()
        self.hold = hold

    def open(self) -> None:
        """Hold nothing; who was held goes away unanswered."""
        self.hold = Hold.NOTHING
        self.opened.set()

    def pass_on(self, body: bytes) -> bytes | None:
        """The node's answer; None for whoever was held."""
        hold = self.hold if _sends(body) else Hold.NOTHING
        if hold is Hold.REQUEST:
            self._wait()
            return None
        answer = httpx.post(
            self.node_url,
            content=body,
            headers={"content-type": "application/json"},
            timeout=TIMEOUT_SECONDS,
        ).content
        if hold is Hold.ANSWER:
            self._wait()
            return None
        return answer

    def _wait(self) -> None:
        self.held.set()
        self.opened.wait(TIMEOUT_SECONDS)


def _sends(body: bytes) -> bool:
    document: Any = json.loads(body)
    requests = document if isinstance(document, list) else [document]
    return any(request["method"] == HELD_METHOD for request in requests)


@contextmanager
def gate_to(node_url: str) -> Iterator[Gate]:
    """A gate on a free port, in front of a node."""
    gate = Gate(node_url)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = gate.pass_on(self.rfile.read(int(self.headers["content-length"])))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gate.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield gate
        finally:
            gate.open()
            server.shutdown()
            thread.join()
