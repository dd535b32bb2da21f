"""A consumer that does not read, on a real socket: it is told up to where it was told, and cut."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from node.block import Log
from node.history import History
from node.primitives import Address
from node.rpc.methods import View
from node.rpc.websocket import Connection
from support.core import open_core
from support.log_chain import LogChain
from support.socket_client import SECONDS_MAX, Socket
from support.socket_server import Face, make_face, serving

pytestmark = pytest.mark.integration

LOGS = 400
LOG_BYTES = 64 * 1024


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """A chain with more log data than any buffer on the way takes."""
    directory = tmp_path_factory.mktemp("chain")
    core = open_core(directory / "core")
    chain = LogChain(directory / "logs")
    for number in range(LOGS):
        chain.add_block([[Log(Address(number.to_bytes(20, "big")), (), bytes(LOG_BYTES))]])
    yield replace(core.view, history=History(chain.store))
    chain.store.close()
    core.store.close()


def numbers_of(messages: list[dict[str, Any]]) -> list[int]:
    return [int(each["log"]["blockNumber"], 16) for each in messages]


def test_who_takes_nothing_is_cut_with_the_cursor_from_which_to_go_on(view: View) -> None:
    """N-89."""
    face = make_face(view, stall_seconds_max=0.5)
    received: list[dict[str, Any]] = []
    with serving(face) as url:
        socket_url = url.replace("http://", "ws://")
        with connect(socket_url, max_queue=1) as connection:
            slow = Socket(connection)
            slow.ask("eth_subscribe", "events", {"cursor": None})
            reason = wait_until_cut(face)
            with pytest.raises(ConnectionClosed) as closed:
                take_all(slow, received)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
        assert closed.value.rcvd.reason == reason
        told_to = re.fullmatch(r"slow consumer; told up to cursor (0x[0-9a-f]+)", reason)
        assert told_to is not None
        assert 0 < len(received) < LOGS
        # The buffers may hold one message that was not yet counted as told; nothing is missing.
        at_cursor = [each["cursor"] for each in received].index(told_to[1])
        assert at_cursor >= len(received) - 2
        rest = received[: at_cursor + 1]
        with connect(socket_url) as connection:
            again = Socket(connection)
            again.ask("eth_subscribe", "events", {"cursor": told_to[1]})
            rest += [each["result"] for each in again.take(LOGS - len(rest))]
    assert numbers_of(rest) == list(range(1, LOGS + 1))


def take_all(consumer: Socket, received: list[dict[str, Any]]) -> None:
    """Takes what was sent, until the connection's end is raised."""
    while True:
        received += [each["result"] for each in consumer.take(1)]


def wait_until_cut(face: Face) -> str:
    """The reason with which the face's only connection ends."""
    (connection,) = face.announcements._listeners
    assert isinstance(connection, Connection)
    deadline = time.monotonic() + SECONDS_MAX
    while not connection._ending.done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return connection._ending.result().reason


def test_who_reads_slowly_but_reads_is_waited_for(view: View) -> None:
    """N-89."""
    with (
        serving(make_face(view, stall_seconds_max=5)) as url,
        connect(url.replace("http://", "ws://"), max_queue=1) as connection,
    ):
        consumer = Socket(connection)
        consumer.ask("eth_subscribe", "events", {"cursor": None})
        received = [notice["result"] for _ in range(LOGS) for notice in consumer.take(1)]
    assert numbers_of(received) == list(range(1, LOGS + 1))
