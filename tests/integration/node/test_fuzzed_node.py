"""A real node under junk: it answers everything, says nothing of its insides, and goes on.

Cites docs/spec/node.md: N-117.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
from pathlib import Path
from typing import Any, Final

import httpx

from node.rpc.faults import INTERNAL
from node.rpc.methods.table import METHODS
from support.node_process import make_genesis, running_node
from support.settlement_network import ALPHA, network_file
from support.transactions import Draft

SEED: Final = 20_260
BODIES: Final = 400
JUNK: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        -1,
        2**80,
        1.5,
        "",
        "0x",
        "0x0",
        "0x1",
        "latest",
        "0x" + "ab" * 32,
        "0x" + "cd" * 20,
    ),
    *([], {}, [[]], {"to": "0x"}, {"blockHash": "0x1"}, {"fromBlock": "0x1", "topics": [[None]]}),
    *({"data": "0x5b600056", "gas": "0x186a0"}, {"blockStateCalls": [{}]}, "\ud800"),
)
HEADERS: Final = {"content-type": "application/json"}


def body_of(chance: random.Random) -> bytes:
    """A call with junk for parameters, a batch of them, or such a body damaged or drowned in noise."""
    calls = [
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": chance.choice(sorted(METHODS)),
            "params": chance.choices(JUNK, k=chance.randrange(4)),
        }
        for number in range(chance.choice((1, 1, 1, 5)))
    ]
    body = bytearray(json.dumps(calls[0] if len(calls) == 1 else calls).encode())
    damage = chance.randrange(4)
    if damage == 0:
        body[chance.randrange(len(body))] = chance.randrange(256)
    if damage == 1:
        return chance.randbytes(chance.randrange(200))
    return bytes(body)


HEAD: Final = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
REQUESTS: Final = (
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: \xff\r\n\r\n",
    b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
    HEAD + b"content-length: -1\r\n\r\n{}",
    HEAD + b"content-length: " + b"9" * 19 + b"\r\n\r\n{}",
    HEAD + b"content-length: " + b"9" * 10_000 + b"\r\n\r\n{}",
    HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}",
    HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n{}",
    HEAD + b"a: b\r\n" * 10_000 + b"content-length: 2\r\n\r\n{}",
    HEAD + b"content-length: 100\r\n\r\n{}",
)
"""What is no HTTP request, or one that lies about its body."""


def send_raw(port: int, request: bytes) -> None:
    """Sends bytes, reads whatever comes back for a moment, and goes away."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=10) as peer,
    ):
        peer.sendall(request)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65_536):
            pass


def test_junk_is_answered_and_the_node_goes_on(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    data, network = tmp_path / "data", {**network_file(), "genesis_time": 1_700_000_000}
    with running_node(make_genesis(tmp_path, network), data) as node:
        with httpx.Client(timeout=30, headers=HEADERS) as client:
            for _ in range(BODIES):
                body = body_of(chance)
                response = client.post(node.url, content=body)
                assert response.status_code in {200, 204}, (body, response.status_code)
                assert b"Traceback" not in response.content
                assert str(INTERNAL).encode() not in response.content, (body, response.content)
        for request in REQUESTS:
            send_raw(int(node.url.rpartition(":")[2]), request)
        os.kill(node.process.pid, 0)
        raw = Draft().signed_by(ALPHA.operating)
        assert node.receipt(node.rpc("eth_sendRawTransaction", f"0x{raw.hex()}"))["status"] == "0x1"
        log = node.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log
