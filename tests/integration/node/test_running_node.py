"""A node as an operator runs it: blocks that standard tools read, refusals, kills and restarts.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import rlp
from web3 import Web3

from node.config import Limits
from node.primitives import keccak
from support.node_process import (
    NodeProcess,
    RpcRefused,
    children_of,
    free_port,
    is_alive,
    make_genesis,
    run_command,
    running_node,
    start_node,
)
from support.settlement_network import ALPHA, BETA, network_file
from support.transactions import ALICE, CHAIN_ID, SLOW_LOOP, Draft, Key

SENDER = ALPHA.operating
LIMITS = Limits()
HEADER_FIELDS = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot"),
    *("logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData"),
    *("mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas"),
    *("parentBeaconBlockRoot", "requestsHash"),
)


@pytest.fixture(scope="module")
def genesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = {**network_file(), "genesis_time": 1_700_000_000}
    return make_genesis(tmp_path_factory.mktemp("genesis"), network)


@pytest.fixture(scope="module")
def node(genesis: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(genesis, tmp_path_factory.mktemp("node") / "data") as running:
        yield running


def text_of(raw: bytes) -> str:
    return "0x" + raw.hex()


def send(node: NodeProcess, nonce: int, key: Key = SENDER) -> dict[str, Any]:
    """One transaction that does nothing, to its receipt."""
    raw = Draft(nonce=nonce).signed_by(key)
    return node.receipt(node.rpc("eth_sendRawTransaction", text_of(raw)))


def next_nonce(node: NodeProcess, key: Key = SENDER) -> int:
    count: str = node.rpc("eth_getTransactionCount", text_of(key.address), "pending")
    return int(count, 16)


def header_hash(block: Any) -> bytes:
    """keccak256 of the RLP of a block's 21 header fields, as any outsider computes it."""
    return keccak(rlp.encode([header_item(block[field]) for field in HEADER_FIELDS]))


def header_item(value: Any) -> int | bytes:
    """A header field as RLP takes it; web3.py gives addresses as text."""
    if isinstance(value, int):
        return value
    return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)


def test_web3_without_middleware_reads_real_blocks(node: NodeProcess) -> None:
    """N-1, N-2."""
    web3 = Web3(Web3.HTTPProvider(node.url))
    web3.middleware_onion.clear()
    receipt = send(node, next_nonce(node))
    assert web3.is_connected()
    assert web3.eth.chain_id == CHAIN_ID
    for number in (0, int(receipt["blockNumber"], 16)):
        block = web3.eth.get_block(number, full_transactions=True)
        assert header_hash(block) == block["hash"]
    assert block["parentHash"] == web3.eth.get_block(number - 1)["hash"]
    assert web3.eth.get_transaction_receipt(receipt["transactionHash"])["status"] == 1
    transaction = web3.eth.get_transaction(receipt["transactionHash"])
    assert transaction["from"] == Web3.to_checksum_address(SENDER.address)
    assert web3.eth.get_logs({"blockHash": block["hash"]}) == []
    assert web3.eth.gas_price == web3.eth.max_priority_fee == 0


def test_an_idle_chain_makes_no_blocks(node: NodeProcess) -> None:
    """N-3."""
    send(node, next_nonce(node))
    head = node.head()
    time.sleep(0.3)
    assert node.head() == head


def with_type(transaction_type: int) -> bytes:
    """A type-2 transaction under another type's number: refused before its content is read."""
    return bytes([transaction_type]) + Draft().signed_by(SENDER)[1:]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (Draft(nonce=2**40).signed_by(SENDER), "nonce too high"),
        (Draft().with_signature(y_parity=0, r=0, s=0), "invalid signature"),
        (Draft().signed_by(SENDER, high_s=True), "upper half"),
        (Draft().signed_by(ALICE), "is not permitted"),
        (Draft(to=None).signed_by(SENDER), "intrinsic gas too low|is not permitted"),
        (Draft(to=None, gas_limit=200_000).signed_by(SENDER), "is not permitted"),
        (Draft(chain_id=1).signed_by(SENDER), "invalid chain id"),
        (Draft(transaction_type=0, chain_id=1).signed_by(SENDER), "invalid chain id"),
        (Draft(transaction_type=0, chain_id=None).signed_by(SENDER), "EIP-155"),
        (with_type(3), "not supported: 3"),
        (with_type(4), "not supported: 4"),
        (Draft().signed_by(SENDER) + b"\0", "malformed"),
        (b"", "malformed"),
        (Draft(data=bytes(128 * 1024)).signed_by(SENDER), "oversized"),
        (Draft(gas_limit=20_999).signed_by(SENDER), "intrinsic gas too low"),
        (Draft(gas_limit=16_000_001).signed_by(SENDER), "exceeds block gas limit"),
        (Draft(value=1).signed_by(BETA.operating), "set both fee fields to 0"),
    ],
)
def test_a_bad_transaction_is_refused_and_leaves_nothing_behind(
    node: NodeProcess, raw: bytes, words: str
) -> None:
    """N-10, N-11, N-12."""
    head = node.head()
    with pytest.raises(RpcRefused, match=words) as refusal:
        node.rpc("eth_sendRawTransaction", text_of(raw))
    assert refusal.value.code == -32000
    assert node.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert node.head() == head


def test_a_used_nonce_and_a_known_transaction_are_refused(node: NodeProcess) -> None:
    nonce = next_nonce(node)
    send(node, nonce)
    with pytest.raises(RpcRefused, match="nonce too low"):
        node.rpc("eth_sendRawTransaction", text_of(Draft(nonce=nonce).signed_by(SENDER)))
    waiting = text_of(Draft(nonce=nonce + 2).signed_by(SENDER))
    node.rpc("eth_sendRawTransaction", waiting)
    with pytest.raises(RpcRefused, match="already known"):
        node.rpc("eth_sendRawTransaction", waiting)
    assert next_nonce(node) == nonce + 1
    send(node, nonce + 1)
    assert next_nonce(node) == nonce + 3


def test_an_oversized_body_and_an_oversized_batch_are_refused(node: NodeProcess) -> None:
    """N-43."""
    headers = {"content-type": "application/json"}
    body = httpx.post(node.url, content=b" " * (LIMITS.body_bytes_max + 1), headers=headers)
    assert body.status_code == 413
    assert "above" in body.json()["error"]["message"]
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    assert len(node.post([call] * LIMITS.batch_calls_max)) == LIMITS.batch_calls_max
    refused = node.post([call] * (LIMITS.batch_calls_max + 1))
    assert refused["error"]["code"] == -32600
    assert "batch too large" in refused["error"]["message"]


def test_a_killed_node_comes_back_with_the_same_head(genesis: Path, tmp_path: Path) -> None:
    """N-30. The data directory is too deep for a unix socket's path."""
    data, port = tmp_path / ("deep" * 30) / "data", free_port()
    data.parent.mkdir()
    node = start_node(genesis, data, port)
    for nonce in range(3):
        send(node, nonce)
    head = node.head()
    node.kill()
    with running_node(genesis, data, port) as again:
        assert again.head() == head
        send(again, 3)
        assert again.head()[0] == head[0] + 1


def test_a_node_killed_while_transactions_flow_keeps_every_block_it_showed(
    genesis: Path, tmp_path: Path
) -> None:
    """N-30."""
    data, port = tmp_path / "data", free_port()
    node = start_node(genesis, data, port)
    shown: list[tuple[str, str]] = []
    nonce = 0
    for round_number in range(3):
        timer = threading.Timer(0.15 + 0.1 * round_number, node.kill)
        timer.start()
        try:
            while True:
                receipt = send(node, nonce)
                shown.append((receipt["transactionHash"], receipt["blockHash"]))
                nonce += 1
        except (httpx.HTTPError, RpcRefused):
            timer.join()
        node = start_node(genesis, data, port)
        nonce = next_nonce(node)
    for transaction_hash, block_hash in shown:
        assert node.rpc("eth_getTransactionReceipt", transaction_hash)["blockHash"] == block_hash
    head = node.head()
    assert head[0] >= len(shown) > 0
    assert node.stop() == 0


def test_an_rpc_process_that_dies_comes_back_and_the_core_goes_on(
    genesis: Path, tmp_path: Path
) -> None:
    """N-51."""
    with running_node(genesis, tmp_path / "data") as node:
        send(node, 0)
        (child,) = children_of(node.process.pid)
        os.kill(child, signal.SIGKILL)
        until_it_answers(node)
        assert children_of(node.process.pid) != [child]
        assert node.head()[0] == 1
        send(node, 1)
        assert "rpc_process_failed" in node.log.read_text()
    assert node.process.returncode == 0


def until_it_answers(node: NodeProcess) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            node.rpc("eth_chainId")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(node.log.read_text())


def test_an_rpc_process_ends_with_its_core_whatever_it_is_at(genesis: Path, tmp_path: Path) -> None:
    """N-51."""
    node = start_node(genesis, tmp_path / "data", free_port())
    (child,) = children_of(node.process.pid)
    loop = {"data": SLOW_LOOP, "gas": hex(16_000_000)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [loop]}
    threads = [threading.Thread(target=post_in_vain, args=(node, body)) for _ in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    node.kill()
    deadline = time.monotonic() + 8
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)
    for thread in threads:
        thread.join()


def post_in_vain(node: NodeProcess, body: Any) -> None:
    with contextlib.suppress(httpx.TransportError):
        httpx.post(node.url, json=body, timeout=30)


def test_a_node_whose_log_cannot_be_written_goes_on(genesis: Path, tmp_path: Path) -> None:
    """N-48."""
    with running_node(genesis, tmp_path / "data", log=Path("/dev/full")) as node:
        send(node, 0)
        send(node, 1)
        assert httpx.get(node.url + "/readyz").json()["status"] == "ready"
    assert node.process.returncode == 0


def test_a_second_node_on_a_directory_is_refused(genesis: Path, tmp_path: Path) -> None:
    """N-31."""
    with running_node(genesis, tmp_path / "data"):
        second = run_command(
            "run", "--genesis", str(genesis), "--data", str(tmp_path / "data"), "--port", "1"
        )
    assert second.returncode == 3
    assert "another node runs on" in second.stderr


def test_another_genesis_or_a_changed_one_is_refused(genesis: Path, tmp_path: Path) -> None:
    """N-21."""
    with running_node(genesis, tmp_path / "data"):
        pass
    other_directory = tmp_path / "other"
    other_directory.mkdir()
    other = make_genesis(other_directory, {**network_file(), "genesis_time": 1_700_000_001})
    refused = run_command(
        "run", "--genesis", str(other), "--data", str(tmp_path / "data"), "--port", "1"
    )
    assert refused.returncode == 2
    assert "genesis block differs" in refused.stderr
    document = json.loads(genesis.read_text())
    document["config"]["clockSkewMaxSeconds"] = 11
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document))
    refused = run_command("network", "verify", "--genesis", str(changed))
    assert refused.returncode == 2
    assert "specification hash differs" in refused.stderr
    verified = run_command("network", "verify", "--genesis", str(genesis))
    assert verified.stdout == f"genesis {json.loads(genesis.read_text())['hash']}\n"
