"""The pool of a node as an operator runs it: killed, flooded, filled.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.pool.pool import SENDER_TRANSACTIONS_MAX
from node.primitives import keccak
from node.rpc.envelope import DEFAULT_LIMITS
from support.node_process import NodeProcess, free_port, make_genesis, running_node, start_node
from support.settlement_network import ALPHA, BETA, network_file
from support.transactions import Draft, Key

SENDER = ALPHA.operating
OTHER = BETA.operating
HEAVY = 16_000_000
CORE_UNAVAILABLE = -32002


@pytest.fixture(scope="module")
def genesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = {**network_file(), "genesis_time": 1_700_000_000}
    return make_genesis(tmp_path_factory.mktemp("genesis"), network)


def text_of(raw: bytes) -> str:
    return "0x" + raw.hex()


def signed(nonces: range, key: Key = SENDER, gas_limit: int = 21_000) -> list[bytes]:
    return [Draft(nonce=nonce, gas_limit=gas_limit).signed_by(key) for nonce in nonces]


def ask_batch(
    node: NodeProcess, method: str, raws: list[bytes], param: Callable[[bytes], bytes]
) -> list[dict[str, Any]]:
    """The answers to one batch, a call for each transaction, in order."""
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": [text_of(param(raw))]}
        for number, raw in enumerate(raws)
    ]
    answers: list[dict[str, Any]] = node.post(calls)
    assert [each["id"] for each in answers] == list(range(len(raws)))
    return answers


def send_batch(node: NodeProcess, raws: list[bytes]) -> list[dict[str, Any]]:
    """The answers to one batch of submissions, in order."""
    return ask_batch(node, "eth_sendRawTransaction", raws, bytes)


def send_all(node: NodeProcess, raws: list[bytes]) -> None:
    """Every one of them is taken in, in batches."""
    for first in range(0, len(raws), DEFAULT_LIMITS.batch_calls_max):
        chunk = raws[first : first + DEFAULT_LIMITS.batch_calls_max]
        answers = send_batch(node, chunk)
        assert [each.get("result") for each in answers] == [text_of(keccak(raw)) for raw in chunk]


def places(node: NodeProcess, raws: list[bytes]) -> list[tuple[int, int]]:
    """Block and position of each, once the last is committed."""
    node.receipt(text_of(keccak(raws[-1])))
    found: list[tuple[int, int]] = []
    for first in range(0, len(raws), DEFAULT_LIMITS.batch_calls_max):
        for answer in ask_batch(
            node,
            "eth_getTransactionReceipt",
            raws[first : first + DEFAULT_LIMITS.batch_calls_max],
            keccak,
        ):
            receipt = answer["result"]
            found.append((int(receipt["blockNumber"], 16), int(receipt["transactionIndex"], 16)))
    return found


def test_what_was_acknowledged_before_a_kill_is_executed_after_the_restart(
    genesis: Path, tmp_path: Path
) -> None:
    """N-72."""
    data, port = tmp_path / "data", free_port()
    node = start_node(genesis, data, port)
    raws = signed(range(400))
    late = Draft(nonce=402).signed_by(SENDER)
    send_all(node, [*raws, late])
    node.kill()
    with running_node(genesis, data, port) as again:
        arrived = places(again, raws)
        assert arrived == sorted(arrived)
        explained = again.rpc("corridor_explainTransaction", text_of(keccak(late)))
        assert (explained["status"], explained["missingNonces"]) == ("waiting", ["0x190", "0x191"])
        assert "pool_restored" in again.log.read_text()
        again.rpc("eth_sendRawTransaction", text_of(Draft(nonce=400).signed_by(SENDER)))
        again.rpc("eth_sendRawTransaction", text_of(Draft(nonce=401).signed_by(SENDER)))
        assert places(again, [late]) > arrived[-1:]


def test_nothing_acknowledged_is_lost_whenever_the_node_is_killed(
    genesis: Path, tmp_path: Path
) -> None:
    """N-72."""
    data, port = tmp_path / "data", free_port()
    acknowledged: list[bytes] = []
    for pause in (0.05, 0.3, 0.8):
        node = start_node(genesis, data, port)
        first = int(node.rpc("eth_getTransactionCount", text_of(SENDER.address), "pending"), 16)
        timer = threading.Timer(pause, node.kill)
        timer.start()
        with contextlib.suppress(httpx.TransportError):
            for nonce in itertools.count(first, 5):
                raws = signed(range(nonce, nonce + 5))
                answers = send_batch(node, raws)
                acknowledged += [
                    raw for raw, answer in zip(raws, answers, strict=True) if "result" in answer
                ]
                if "error" in answers[-1]:
                    assert answers[-1]["error"]["code"] == CORE_UNAVAILABLE
                    break
        timer.join()
    assert acknowledged
    with running_node(genesis, data, port) as again:
        assert len(places(again, acknowledged)) == len(acknowledged)


def test_a_node_whose_pool_is_lost_or_damaged_starts_all_the_same(
    genesis: Path, tmp_path: Path
) -> None:
    """N-72."""
    data, port = tmp_path / "data", free_port()
    with running_node(genesis, data, port) as node:
        send_all(node, [Draft(nonce=5).signed_by(SENDER)])
    (data / "pool" / "data.mdb").write_bytes(b"damaged" * 5_000)
    with running_node(genesis, data, port) as node:
        assert node.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}
        assert "pool_store_discarded" in node.log.read_text()
        send_all(node, signed(range(1)))
        assert places(node, signed(range(1))) == [(1, 0)]


def test_a_thousand_in_flight_from_one_sender_arrive_in_order(
    genesis: Path, tmp_path: Path
) -> None:
    """N-13, N-70."""
    with running_node(genesis, tmp_path / "data") as node:
        raws = signed(range(1_000))
        send_all(node, raws)
        arrived = places(node, raws)
        assert arrived == sorted(arrived)
        assert len(set(arrived)) == 1_000
        assert node.rpc("eth_getTransactionCount", text_of(SENDER.address), "latest") == hex(1_000)


def test_a_flood_of_one_sender_keeps_nobody_out(genesis: Path, tmp_path: Path) -> None:
    """N-70: with one other sender a transaction is in one of the next two blocks."""
    with running_node(genesis, tmp_path / "data") as node:
        flood = signed(range(SENDER_TRANSACTIONS_MAX // 2), gas_limit=HEAVY)
        send_all(node, flood)
        ours = Draft(gas_limit=HEAVY).signed_by(OTHER)
        node.rpc("eth_sendRawTransaction", text_of(ours))
        head, _ = node.head()
        ((number, _),) = places(node, [ours])
        # A block may have been at hand when it came; the bound counts from the next.
        assert number <= head + 1 + 2
        assert node.rpc("txpool_status")["pending"] != "0x0"


def test_a_batch_with_refusals_is_answered_call_by_call(genesis: Path, tmp_path: Path) -> None:
    """N-74."""
    with running_node(genesis, tmp_path / "data") as node:
        good = signed(range(2))
        stranger = Draft().signed_by(Key(b"\x77" * 32))
        answers = send_batch(node, [good[0], stranger, b"junk", good[1], good[1]])
        codes = [each.get("error", {"code": 0})["code"] for each in answers]
        assert codes == [0, -32000, -32000, 0, -32000]
        assert len(places(node, good)) == 2
