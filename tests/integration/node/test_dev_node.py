"""`node dev` as a developer runs it: accounts on the screen, a transaction by the first of them, no trace left."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from node.app.dev import BALANCE_WEI, CHAIN_ID_DEFAULT, development_accounts
from support.node_process import (
    READY_SECONDS_MAX,
    NodeProcess,
    free_port,
    run_command,
    start_development_node,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the chain of the test keeps its data; short, for a socket's path has few bytes."""
    with tempfile.TemporaryDirectory(prefix="dev-") as name:
        yield Path(name)


@pytest.fixture
def node(tmp_path: Path, temporary: Path) -> Iterator[NodeProcess]:
    running = start_development_node(tmp_path / "dev.log", TMPDIR=str(temporary))
    yield running
    running.stop()


def test_the_first_account_pays_the_second_and_deploys_with_and_without_fees(
    node: NodeProcess, temporary: Path
) -> None:
    assert node.rpc("eth_chainId") == hex(CHAIN_ID_DEFAULT)
    payer, payee = development_accounts(2)
    transfer = {
        "chainId": CHAIN_ID_DEFAULT,
        "nonce": 0,
        "to": payee.address,
        "value": 10**18,
        "gas": 21_000,
        "maxFeePerGas": 2_000_000_000,
        "maxPriorityFeePerGas": 1_000_000_000,
    }
    creation = {
        "chainId": CHAIN_ID_DEFAULT,
        "nonce": 1,
        "data": bytes.fromhex("425f5260205ff3"),
        "gas": 100_000,
        "gasPrice": 0,
    }
    hashes = [
        node.rpc(
            "eth_sendRawTransaction",
            "0x" + Account.sign_transaction(fields, payer.key).raw_transaction.hex(),
        )
        for fields in (transfer, creation)
    ]
    receipts = [node.receipt(each) for each in hashes]
    assert [each["status"] for each in receipts] == ["0x1", "0x1"]
    assert len(node.rpc("eth_getCode", receipts[1]["contractAddress"], "latest")) > 2
    balances = [
        int(node.rpc("eth_getBalance", "0x" + each.address.hex(), "latest"), 16)
        for each in (payer, payee)
    ]
    fee = 21_000 * 1_000_000_000
    assert balances == [BALANCE_WEI - 10**18 - fee, BALANCE_WEI + 10**18]
    assert len(list(temporary.iterdir())) == 1
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(READY_SECONDS_MAX) == 0
    assert list(temporary.iterdir()) == []


def test_the_id_of_a_public_network_is_refused_by_name() -> None:
    refused = run_command("dev", "--chain-id", "1", "--port", str(free_port()))
    assert refused.returncode == 2
    assert "Ethereum mainnet" in refused.stderr
