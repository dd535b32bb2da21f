"""Questions to the engine's RPC, with a server of scripted answers in its place.

Cites docs/spec/node.md: N-134.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import pytest

from node.consensus.cometbft.status import (
    EngineClient,
    EngineStatus,
    Peer,
)
from node.errors import EngineAnswerInvalid, EngineQuestionRefused, EngineUnavailable
from node.signed_header import parse_signed_header
from node.telemetry import EngineReading

NODE = "ba9be3aeb764e3892cc84a29eb30b12c990deb58"
STATUS = {
    "node_info": {"id": NODE, "network": "corridor-1-test", "version": "0.39.0"},
    "sync_info": {"latest_block_height": "7", "catching_up": False},
    "validator_info": {"voting_power": "10"},
}
PEER = {"node_info": {"id": NODE, "moniker": "two"}, "is_outbound": True, "remote_ip": "10.0.0.2"}
NET = {"listening": True, "n_peers": "1", "peers": [PEER]}
COMMITS = Path(__file__).resolve().parents[2] / "conformance/vectors/consensus_commits.json"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def engine(
    folder: Path, answer: Callable[[str, dict[str, str]], Any], seconds_max: float = 5
) -> Iterator[EngineClient]:
    """A client of an engine that answers so: bytes as they are, a dictionary with `error` or a result."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            questions = asked if isinstance(asked, list) else [asked]
            replies = [answer(each["method"], each["params"]) for each in questions]
            reply = replies[0]
            if not isinstance(reply, bytes):
                documents = [
                    {"id": question["id"]}
                    | (one if isinstance(one, dict) and "error" in one else {"result": one})
                    for question, one in zip(questions, replies, strict=True)
                ]
                # As CometBFT does, also where the question was a batch of one.
                reply = json.dumps(documents if len(documents) > 1 else documents[0]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
            pass

    path = folder / "rpc.sock"
    with Server(str(path), cast("Any", Handler)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            with EngineClient(f"unix://{path}", seconds_max) as client:
                yield client
        finally:
            server.shutdown()


def refusal(data: str) -> dict[str, Any]:
    """An error as CometBFT writes it."""
    return {"error": {"code": -32603, "message": "Internal error", "data": data}}


def test_the_status_is_read_over_a_unix_socket(tmp_path: Path) -> None:
    """N-134."""
    with engine(tmp_path, lambda method, _: {"status": STATUS, "net_info": NET}[method]) as client:
        assert client.status() == EngineStatus(
            bytes.fromhex(NODE), "corridor-1-test", 7, is_catching_up=False, voting_power=10
        )
        assert client.net_info() == (
            Peer(bytes.fromhex(NODE), "two", "10.0.0.2", is_outbound=True),
        )
        assert client.reading() == EngineReading(7, is_catching_up=False, peers=1)


def test_a_signed_header_is_read_with_its_validators(tmp_path: Path) -> None:
    """N-134, N-155."""
    made = json.loads(COMMITS.read_text("utf-8"))["1"]
    with engine(tmp_path, lambda method, _: made[method]) as client:
        signed = client.signed_header(1)
        assert signed == parse_signed_header(made["commit"], made["validators"])
        with pytest.raises(EngineAnswerInvalid, match="another height than 2"):
            client.signed_header(2)


@pytest.mark.parametrize("broken", [{}, {"signed_header": 7}, {"signed_header": {"header": {}}}])
def test_a_signed_header_that_is_none_is_refused(tmp_path: Path, broken: Any) -> None:
    """N-134."""
    with engine(tmp_path, lambda *_: broken) as client, pytest.raises(EngineAnswerInvalid):
        client.signed_header(1)


def test_transactions_are_handed_over_and_one_that_is_known_is_well(tmp_path: Path) -> None:
    """N-134, N-149."""
    replies: dict[bytes, Any] = {
        b"new": {"code": 0, "data": "", "log": "", "hash": "00"},
        b"full": refusal("mempool is full: number of txs 5000 (max: 5000)"),
        b"known": refusal("tx already exists in cache"),
    }
    with engine(tmp_path, lambda _, given: replies[base64.b64decode(given["tx"])]) as client:
        first, second, third = client.broadcast([b"new", b"full", b"known"])
        assert client.broadcast([b"known"]) == [None]
    assert (first, third) == (None, None)
    assert second is not None
    assert "mempool is full" in second


def test_answers_that_do_not_fit_the_transactions_are_refused(tmp_path: Path) -> None:
    """N-134."""
    with (
        engine(tmp_path, lambda *_: b'[{"id": 0, "result": {}}]') as client,
        pytest.raises(EngineAnswerInvalid),
    ):
        client.broadcast([b"one", b"two"])


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("endpoint is closed while node is catching up", EngineUnavailable),
        ("mempool is full: number of txs 5000 (max: 5000)", EngineUnavailable),
        ("Tx too large. Max size is 131072, but got 131073", EngineQuestionRefused),
        (
            "height 99 must be less than or equal to the current blockchain height 3",
            EngineQuestionRefused,
        ),
    ],
)
def test_a_refusal_is_passing_or_not_by_its_words(
    tmp_path: Path, words: str, fault: type[Exception]
) -> None:
    """N-134."""
    with engine(tmp_path, lambda *_: refusal(words)) as client, pytest.raises(fault) as raised:
        client.status()
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff",
        b"[" * 50_000,
        b"{}",
        b'{"result": null}',
        b'{"result": []}',
        b'{"error": 7}',
        json.dumps({"result": {**STATUS, "node_info": {"id": "xx", "network": "n"}}}).encode(),
        json.dumps({"result": {**STATUS, "node_info": {"id": NODE, "network": 7}}}).encode(),
        json.dumps({"result": {**STATUS, "sync_info": {"latest_block_height": -1}}}).encode(),
        json.dumps({"result": {**STATUS, "sync_info": {"latest_block_height": True}}}).encode(),
        json.dumps({"result": {**STATUS, "sync_info": {"latest_block_height": "٣"}}}).encode(),
        json.dumps({"result": {**STATUS, "sync_info": {"latest_block_height": "7", "catching_up": 0}}}).encode(),
        b" " * (9 * 1024 * 1024),
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_refused(tmp_path: Path, reply: bytes) -> None:
    """N-134."""
    with engine(tmp_path, lambda *_: reply) as client, pytest.raises(EngineAnswerInvalid):
        client.status()


def test_an_engine_that_is_not_there_or_too_slow_is_unavailable(tmp_path: Path) -> None:
    """N-134."""
    with (
        EngineClient(f"unix://{tmp_path / 'nobody.sock'}") as client,
        pytest.raises(EngineUnavailable),
    ):
        client.status()

    def wait(*_: object) -> Any:
        time.sleep(0.5)
        return STATUS

    with engine(tmp_path, wait, seconds_max=0.05) as client, pytest.raises(EngineUnavailable):
        client.status()
