"""Transactions sent one by one over many connections at once: what crosses the link together keeps its own answer.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.primitives import keccak
from support.node_process import NodeProcess, make_genesis, running_node
from support.settlement_network import ALPHA, BETA, network_file
from support.transactions import ALICE, Draft, Key

pytestmark = pytest.mark.integration

COUNT = 40
CORE_UNAVAILABLE = -32002
REFUSED = -32000


def text_of(raw: bytes) -> str:
    return "0x" + raw.hex()


def signed(key: Key, count: int = COUNT) -> list[bytes]:
    return [Draft(nonce=nonce).signed_by(key) for nonce in range(count)]


async def send(client: httpx.AsyncClient, raw: bytes) -> dict[str, Any]:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [text_of(raw)]}
    answer: dict[str, Any] = (await client.post("/", json=call)).json()
    return answer


async def send_in_a_row(url: str, raws: Sequence[bytes]) -> list[dict[str, Any]]:
    """The answers to transactions that one connection sends, each after the answer to the one before."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return [await send(client, raw) for raw in raws]


def send_on_connections(node: NodeProcess, lines: Sequence[Sequence[bytes]]) -> list[Any]:
    """The answers, by connection."""

    async def run() -> list[Any]:
        return list(await asyncio.gather(*(send_in_a_row(node.url, line) for line in lines)))

    return asyncio.run(run())


@pytest.fixture(scope="module")
def genesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = {**network_file(), "genesis_time": 1_700_000_000}
    return make_genesis(tmp_path_factory.mktemp("genesis"), network)


def test_each_sender_keeps_its_order_and_each_transaction_its_own_answer(
    tmp_path: Path, genesis: Path
) -> None:
    """N-180."""
    lines = [signed(ALPHA.operating), signed(ALICE), signed(BETA.operating), [b"junk"] * COUNT]
    with running_node(genesis, tmp_path / "data") as node:
        taken, refused, also_taken, junk = send_on_connections(node, lines)
        assert [each.get("result") for each in taken] == [text_of(keccak(raw)) for raw in lines[0]]
        assert [each.get("result") for each in also_taken] == [
            text_of(keccak(raw)) for raw in lines[2]
        ]
        assert {each["error"]["code"] for each in refused} == {REFUSED}
        assert all("not permitted" in each["error"]["message"] for each in refused)
        assert len({each["error"]["message"] for each in junk}) == 1
        for line in (lines[0], lines[2]):
            receipts = [node.receipt(text_of(keccak(raw))) for raw in line]
            places = [
                (int(each["blockNumber"], 16), int(each["transactionIndex"], 16))
                for each in receipts
            ]
            assert places == sorted(places)


def test_what_was_answered_outlives_a_core_that_is_killed(tmp_path: Path, genesis: Path) -> None:
    """N-72, N-180. They wait behind a gap, so that only the pool has them."""
    waiting = [signed(key)[1:] for key in (ALPHA.operating, BETA.operating)]
    with running_node(genesis, tmp_path / "data") as node:
        for answers in send_on_connections(node, waiting):
            assert all("result" in each for each in answers)
        node.kill()
    with running_node(genesis, tmp_path / "data") as node:
        assert node.rpc("txpool_status") == {"pending": "0x0", "queued": hex(2 * (COUNT - 1))}


def test_a_core_that_stands_still_is_unavailable_and_nothing_waits_for_ever(
    tmp_path: Path, genesis: Path
) -> None:
    """N-180."""
    lines = [[raw] for raw in signed(ALPHA.operating, 4)]
    with running_node(genesis, tmp_path / "data") as node:
        node.process.send_signal(signal.SIGSTOP)
        try:
            answers = send_on_connections(node, lines)
        finally:
            node.process.send_signal(signal.SIGCONT)
        assert [each["error"]["code"] for (each,) in answers] == [CORE_UNAVAILABLE] * 4
