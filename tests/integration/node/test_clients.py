"""The tools that people use, unchanged, against a node: web3.py, ethers, viem and Foundry's cast.

On a development chain they run as they come. On a permissioned chain, whose native coin has no supply, both fee
fields are set to zero; nothing else differs.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3
from web3.exceptions import ContractCustomError

import contracts
from node.app.dev import development_accounts
from support.node_process import (
    NodeProcess,
    make_genesis,
    running_node,
    start_development_node,
)
from support.npm_packages import CLIENTS, installed_clients
from support.settlement_network import OPERATOR, network_file

pytestmark = pytest.mark.integration

TOOL_SECONDS_MAX = 120
PAYEES = {
    name: f"0x{number:040x}"
    for number, name in enumerate(("ethers", "viem", "cast", "web3"), 0xBEEF)
}
ARTEFACT = Path(contracts.__file__).parent / "artefacts/DevelopmentToken.json"


@dataclass(frozen=True, slots=True)
class Setting:
    """A chain to try the tools on, and an account that may deploy there."""

    node: NodeProcess
    key: str
    zero_fees: bool

    def parameters(self, tool: str) -> str:
        """What a script is told, as JSON."""
        fields = {
            "url": self.node.url,
            "wsUrl": self.node.url.replace("http://", "ws://"),
            "key": self.key,
            "artefact": str(ARTEFACT),
            "payee": PAYEES[tool],
            "zeroFees": self.zero_fees,
        }
        return json.dumps(fields)


@pytest.fixture(scope="module", params=["development", "permissioned"])
def setting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setting]:
    directory = tmp_path_factory.mktemp("clients")
    if request.param == "development":
        node = start_development_node(directory / "dev.log")
        key = development_accounts(1)[0].key
        yield Setting(node, f"0x{key.hex()}", zero_fees=False)
        node.stop()
        return
    genesis = make_genesis(directory, {**network_file(), "genesis_time": int(time.time())})
    with running_node(genesis, directory / "data") as node:
        yield Setting(node, f"0x{OPERATOR.operating.secret.hex()}", zero_fees=True)


def run_script(setting: Setting, tool: str) -> dict[str, Any]:
    installed_clients()
    finished = subprocess.run(
        ["node", f"{tool}.mjs", setting.parameters(tool)],
        cwd=CLIENTS,
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS_MAX,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def test_ethers(setting: Setting) -> None:
    answer = run_script(setting, "ethers")
    assert answer["statuses"] == [1] * 5
    # Where the base fee is 0, ethers falls back to the gas price unless it is told both fee fields.
    assert answer["types"] == [2 if setting.zero_fees else 0] * 5
    assert answer["balance"] == "15"
    assert answer["logs"] == ["1000000", "1", "2", "3", "4", "5"]
    assert answer["live"] == ["1", "2", "3", "4", "5"]
    assert answer["revert"][:2] == ["CALL_EXCEPTION", "ERC20InsufficientBalance"]
    assert answer["sawBlocks"]
    assert answer["blockHoldsIt"]
    assert answer["code"]
    assert answer["estimateIsEnough"]


def test_viem(setting: Setting) -> None:
    answer = run_script(setting, "viem")
    assert answer["statuses"] == ["success"] * 5
    assert answer["types"] == ["eip1559"] * 5
    assert answer["balance"] == "15"
    assert answer["logs"] == ["1000000", "1", "2", "3", "4", "5"]
    assert answer["live"] == ["1", "2", "3", "4", "5"]
    assert answer["revert"] == "ERC20InsufficientBalance"
    assert answer["sawBlocks"]
    assert answer["provenSupply"] == "1000000"
    assert answer["proofNodes"]
    assert set(answer["baseFees"]) == {"0"}


def cast(setting: Setting, *arguments: str, signs: bool = False) -> str:
    """What cast prints; raises with its words where it fails."""
    program = installed_clients() / ".bin/cast"
    given = ["--rpc-url", setting.node.url]
    if signs:
        given += ["--private-key", setting.key]
        given += ["--gas-price", "0", "--priority-gas-price", "0"] if setting.zero_fees else []
    finished = subprocess.run(
        [str(program), *arguments[:1], *given, *arguments[1:]],
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS_MAX,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_cast(setting: Setting) -> None:
    bytecode = "0x" + contracts.load("DevelopmentToken").bytecode.hex()
    constructor = ["constructor(string,string,uint256)", "Token", "TOK", "1000000"]
    created = json.loads(
        cast(setting, "send", "--json", "--create", bytecode, *constructor, signs=True)
    )
    token = created["contractAddress"]
    transfer = ["transfer(address,uint256)", PAYEES["cast"], "15"]
    sent = json.loads(cast(setting, "send", "--json", token, *transfer, signs=True))
    assert (created["status"], sent["status"]) == ("0x1", "0x1")
    balance = cast(setting, "call", token, "balanceOf(address)(uint256)", PAYEES["cast"])
    assert balance == "15"
    logs = json.loads(cast(setting, "logs", "--json", "--address", token, "--from-block", "0"))
    assert [int(log["data"], 16) for log in logs] == [1_000_000, 15]
    shown = json.loads(cast(setting, "tx", "--json", sent["transactionHash"]))
    assert shown["to"].lower() == token.lower()
    proof = json.loads(cast(setting, "proof", token, "2"))
    assert int(proof["storageProof"][0]["value"], 16) == 1_000_000
    trace = cast(
        setting, "rpc", "debug_traceTransaction", sent["transactionHash"], '{"tracer":"callTracer"}'
    )
    assert json.loads(trace)["type"] == "CALL"


def test_web3(setting: Setting) -> None:
    web3 = Web3(Web3.HTTPProvider(setting.node.url))
    account = web3.eth.account.from_key(setting.key)
    fees = {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0} if setting.zero_fees else {}
    artefact = contracts.load("DevelopmentToken")
    factory = web3.eth.contract(abi=artefact.abi, bytecode=artefact.bytecode)

    def send(call: Any, nonce: int) -> Any:  # web3's own types of a call and of a hash
        built = call.build_transaction({"from": account.address, "nonce": nonce, **fees})
        return web3.eth.send_raw_transaction(account.sign_transaction(built).raw_transaction)

    nonce = web3.eth.get_transaction_count(account.address, "pending")
    created = web3.eth.wait_for_transaction_receipt(
        send(factory.constructor("Token", "TOK", 1_000_000), nonce), poll_latency=0.02
    )
    token = web3.eth.contract(address=created["contractAddress"], abi=artefact.abi)
    watched = token.events.Transfer.create_filter(from_block="latest")
    payee = Web3.to_checksum_address(PAYEES["web3"])
    hashes = [
        send(token.functions.transfer(payee, amount), nonce + amount) for amount in range(1, 6)
    ]
    receipts = [web3.eth.wait_for_transaction_receipt(each, poll_latency=0.02) for each in hashes]
    assert [each["status"] for each in receipts] == [1] * 5
    assert [each["args"]["value"] for each in watched.get_new_entries()] == [1, 2, 3, 4, 5]
    assert watched.get_new_entries() == []
    assert token.functions.balanceOf(payee).call() == 15
    with pytest.raises(ContractCustomError):
        token.functions.transfer(payee, 10_000_000).call({"from": account.address})
    block = web3.eth.get_block(receipts[0]["blockNumber"], full_transactions=True)
    assert hashes[0] in [dict(each)["hash"] for each in block["transactions"]]  # type: ignore[arg-type]  # web3 types hashes and objects as one
