"""Subscriptions over a real WebSocket of a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from support.log_source import (
    EMITTER,
    LOGS_PER_CALL,
    deployment,
    emission,
    make_development_genesis,
)
from support.node_process import NodeProcess, running_node
from support.socket_client import SECONDS_MAX, Socket, open_socket

pytestmark = pytest.mark.integration


class Source:
    """Transactions with logs, one after the other."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        self.nonce = 0

    def send(self, count: int = 1) -> list[str]:
        """Sends transactions and waits for the last one's block."""
        raws = [
            emission(nonce) if nonce else deployment()
            for nonce in range(self.nonce, self.nonce + count)
        ]
        self.nonce += count
        hashes = [self.node.rpc("eth_sendRawTransaction", "0x" + raw.hex()) for raw in raws]
        self.node.receipt(hashes[-1])
        return hashes


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    directory = tmp_path_factory.mktemp("node")
    with running_node(make_development_genesis(directory), directory / "data") as running:
        yield running


@pytest.fixture(scope="module")
def source(node: NodeProcess) -> Source:
    opened = Source(node)
    opened.send()
    return opened


@pytest.fixture
def url(node: NodeProcess) -> str:
    return node.url.replace("http://", "ws://")


@pytest.fixture
def socket(url: str) -> Iterator[Socket]:
    with open_socket(url) as opened:
        yield opened


def test_calls_are_answered_singly_in_batches_and_at_both_paths(
    node: NodeProcess, url: str, socket: Socket
) -> None:
    """N-88."""
    assert socket.ask("eth_chainId") == node.rpc("eth_chainId")
    assert socket.call("eth_nothing")["error"]["code"] == -32601
    socket.connection.send("{")
    assert json.loads(socket.connection.recv(SECONDS_MAX))["error"]["code"] == -32700
    batch = [{"jsonrpc": "2.0", "id": each, "method": "eth_blockNumber"} for each in (1, 2)]
    socket.connection.send(json.dumps(batch).encode())
    assert [each["id"] for each in json.loads(socket.connection.recv(SECONDS_MAX))] == [1, 2]
    with open_socket(url + "/ws") as other:
        assert other.ask("net_version") == socket.ask("net_version")


def test_new_heads_are_the_blocks_headers_one_by_one_and_logs_come_after_their_head(
    node: NodeProcess, source: Source, socket: Socket
) -> None:
    """N-88, N-89."""
    heads = socket.ask("eth_subscribe", "newHeads")
    logs = socket.ask("eth_subscribe", "logs", {"address": "0x" + EMITTER.hex()})
    first = node.head()[0] + 1
    source.send(40)
    last = node.head()[0]
    notices = socket.take(last - first + 1 + 40 * LOGS_PER_CALL)
    told = [each["result"] for each in notices if each["subscription"] == heads]
    assert [int(each["number"], 16) for each in told] == list(range(first, last + 1))
    for head in told:
        block = node.rpc("eth_getBlockByNumber", head["number"], False)
        body = {"transactions", "uncles", "size", "withdrawals"}
        assert head == {name: value for name, value in block.items() if name not in body}
    found = [each["result"] for each in notices if each["subscription"] == logs]
    assert found == node.rpc("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)})
    seen: set[str] = set()
    for each in notices:
        if each["subscription"] == heads:
            seen.add(each["result"]["number"])
        else:
            assert each["result"]["blockNumber"] in seen


def test_events_from_a_cursor_are_backfilled_then_live_without_gap_or_repetition(
    node: NodeProcess, source: Source, socket: Socket
) -> None:
    """N-89."""
    source.send(5)
    page = node.rpc("corridor_getEvents", None, 3)
    subscription = socket.ask("corridor_subscribe", "events", {"cursor": page["next"]})
    source.send(5)
    everything = node.rpc("corridor_getEvents", None, 1_000)["events"]
    notices = socket.take(len(everything) - 3)
    assert {each["subscription"] for each in notices} == {subscription}
    assert page["events"] + [each["result"] for each in notices] == everything
    assert socket.ask("eth_subscribe", "events", {"cursor": None}) != subscription
    again = socket.take(len(everything))
    assert [each["result"] for each in again] == everything


def test_an_ended_subscription_is_silent_and_unknown(source: Source, socket: Socket) -> None:
    """N-88."""
    ended = socket.ask("eth_subscribe", "newHeads")
    kept = socket.ask("eth_subscribe", "newHeads")
    assert socket.ask("eth_unsubscribe", ended) is True
    source.send()
    assert [each["subscription"] for each in socket.take(1)] == [kept]
    refused = socket.call("eth_unsubscribe", ended)
    assert refused["error"]["message"] == "subscription not found"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (["nothing"], -32601),
        ([], -32602),
        ([7], -32602),
        (["newHeads", None, None], -32602),
        (["logs", {"fromBlock": "0x0"}], -32602),
        (["logs", {"address": "0x12"}], -32602),
        (["events", {"cursor": "0x1234"}], -32602),
        (["events", {"cursor": {"fromBlock": "0xffffff"}}], -32002),
        (["events", {"from": "0x0"}], -32602),
        (["newPendingTransactions", "yes"], -32602),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(
    socket: Socket, params: list[Any], code: int
) -> None:
    """N-88."""
    assert socket.call("eth_subscribe", *params)["error"]["code"] == code


def test_subscriptions_need_a_connection(node: NodeProcess) -> None:
    """N-88."""
    answer = node.post(
        {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
    )
    assert answer["error"]["code"] == -32601
    assert answer["error"]["message"].startswith("notifications not supported")


@pytest.mark.parametrize(
    ("name", "path", "options"),
    [
        ("127.0.0.1", "/", {"origin": "http://attacker.example"}),
        ("127.0.0.1", "/", {"origin": "null"}),
        ("attacker.example", "/", {}),
        ("127.0.0.1", "/other", {}),
    ],
)
def test_foreign_pages_foreign_names_and_other_paths_are_refused(
    url: str, name: str, path: str, options: dict[str, Any]
) -> None:
    """N-88."""
    port = int(url.rpartition(":")[2])
    with (
        create_connection(("127.0.0.1", port)) as peer,
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://{name}:{port}{path}", sock=peer, **options),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_message_above_the_limit_ends_the_connection(socket: Socket) -> None:
    """N-88."""
    socket.connection.send("x" * (2 * 1024 * 1024 + 1))
    with pytest.raises(ConnectionClosed) as closed:
        socket.connection.recv(SECONDS_MAX)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_node_that_ends_says_so(tmp_path: Path) -> None:
    """N-88."""
    with running_node(make_development_genesis(tmp_path), tmp_path / "data") as ending:
        with open_socket(ending.url) as socket:
            socket.ask("eth_subscribe", "newHeads")
            assert ending.stop() == 0
            with pytest.raises(ConnectionClosed) as closed:
                socket.connection.recv(SECONDS_MAX)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
