"""The JSON-RPC methods over a real core in this process: answers, environments, errors."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

import contracts
from node import errors
from node.errors import ExecutionReverted, NodeError, StoreCorrupt
from node.link import Intake, Submission
from node.pool import PooledTransaction, PoolPage, PoolStatus, Standing
from node.primitives import Address, Hash32, keccak
from node.rpc.codec.parse import FILTER_ALTERNATIVES_MAX
from node.rpc.faults import CODE_BY_ERROR, WireError, describe_error
from node.rpc.methods.transactions import eth_get_transaction_by_hash
from support.core import Core, open_core
from support.settlement_network import ALPHA, GENESIS_TIME, OPERATOR
from support.transactions import ALICE, CHAIN_ID, SINK, SLOW_LOOP, Draft

SENDER = ALPHA.operating
REGISTRY = "0x" + contracts.REGISTRY_ADDRESS.hex()
SENDER_TEXT = "0x" + SENDER.address.hex()

RETURN_TIME = bytes.fromhex("425f5260205ff3")
"""Init code that returns the block's time: TIMESTAMP, MSTORE, RETURN."""
"""Init code that never ends: JUMPDEST, PUSH1 0, JUMP."""
RETURN_NUMBER = bytes.fromhex("435f5260205ff3")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Two blocks: a call that does nothing, then a suspension, which leaves one log."""
    opened = open_core(tmp_path_factory.mktemp("core") / "chain")
    opened.send(Draft().signed_by(SENDER))
    opened.clock.seconds = GENESIS_TIME + 30
    opened.send(suspension())
    yield opened
    opened.store.close()


def suspension() -> bytes:
    data = keccak(b"suspend(bytes20,uint40)")[:4] + encode(["bytes20", "uint40"], [ALPHA.lei, 0])
    draft = Draft(to=contracts.REGISTRY_ADDRESS, data=data, gas_limit=300_000)
    return draft.signed_by(OPERATOR.operating)


def ask(core: Core, method: str, *params: Any) -> Any:
    result = core.ask(method, *params)
    assert not isinstance(result, WireError), result
    return result


def refuse(core: Core, method: str, *params: Any) -> WireError:
    result = core.ask(method, *params)
    assert isinstance(result, WireError), result
    return result


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("eth_chainId", hex(CHAIN_ID)),
        ("net_version", str(CHAIN_ID)),
        ("web3_clientVersion", "corridor-node/test"),
        ("eth_blockNumber", "0x2"),
        ("eth_gasPrice", "0x0"),
        ("eth_maxPriorityFeePerGas", "0x0"),
        ("eth_accounts", []),
        ("eth_syncing", False),
        ("txpool_status", {"pending": "0x0", "queued": "0x0"}),
    ],
)
def test_a_question_without_parameters_is_answered(core: Core, method: str, expected: Any) -> None:
    assert ask(core, method) == expected


def test_latest_safe_and_finalized_are_one_block(core: Core) -> None:
    """N-40."""
    blocks = [
        ask(core, "eth_getBlockByNumber", tag, True)
        for tag in ("latest", "safe", "finalized", "pending", "0x2")
    ]
    assert all(block == blocks[0] for block in blocks)
    assert ask(core, "eth_getBlockByHash", blocks[0]["hash"], True) == blocks[0]
    assert ask(core, "eth_getBlockByNumber", "earliest")["number"] == "0x0"


def test_an_unknown_block_or_transaction_is_null(core: Core) -> None:
    nothing = "0x" + "00" * 32
    assert ask(core, "eth_getBlockByNumber", "0x63") is None
    assert ask(core, "eth_getBlockByHash", nothing) is None
    assert ask(core, "eth_getTransactionByHash", nothing) is None
    assert ask(core, "eth_getTransactionReceipt", nothing) is None
    assert ask(core, "eth_getBlockReceipts", "0x63") is None
    unknown = refuse(core, "eth_getBalance", SENDER_TEXT, "0x63")
    assert (unknown.code, unknown.message) == (-32000, "header not found: unknown block 99")


def test_a_block_lists_hashes_or_whole_transactions(core: Core) -> None:
    brief = ask(core, "eth_getBlockByNumber", "0x1", False)
    full = ask(core, "eth_getBlockByNumber", "0x1", True)
    (transaction,) = full["transactions"]
    assert brief["transactions"] == [transaction["hash"]]
    assert transaction == ask(core, "eth_getTransactionByHash", transaction["hash"])
    assert (transaction["from"], transaction["blockNumber"]) == (SENDER_TEXT, "0x1")
    assert ask(core, "eth_getBlockTransactionCountByNumber", "0x1") == "0x1"
    receipt = ask(core, "eth_getTransactionReceipt", transaction["hash"])
    assert ask(core, "eth_getBlockReceipts", "0x1") == [receipt]
    assert receipt["gasUsed"] == receipt["cumulativeGasUsed"] == full["gasUsed"]


def test_logs_are_found_by_range_address_topic_and_block_hash(core: Core) -> None:
    topic = "0x" + keccak(b"ParticipantSuspended(bytes20,uint40,uint40)").hex()
    block = ask(core, "eth_getBlockByNumber", "0x2")
    (log,) = ask(core, "eth_getLogs", {"fromBlock": "0x0", "topics": [topic]})
    assert (log["address"], log["blockHash"], log["logIndex"]) == (REGISTRY, block["hash"], "0x0")
    assert log["blockTimestamp"] == hex(GENESIS_TIME + 30)
    for query in (
        {"blockHash": block["hash"]},
        {"fromBlock": "0x2", "toBlock": "0x63", "address": [REGISTRY]},
        {"address": REGISTRY},
    ):
        assert ask(core, "eth_getLogs", query) == [log]
    assert ask(core, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x1"}) == []
    assert ask(core, "eth_getLogs", {"fromBlock": "0x63", "toBlock": "0x64"}) == []
    (in_receipt,) = ask(core, "eth_getTransactionReceipt", log["transactionHash"])["logs"]
    assert in_receipt.items() <= log.items()
    backwards = {"fromBlock": "0x2", "toBlock": "0x1"}
    assert refuse(core, "eth_getLogs", backwards).code == -32602
    assert refuse(core, "eth_getLogs", {"blockHash": "0x" + "00" * 32}).code == -32000


def test_state_is_read_at_any_block(core: Core) -> None:
    assert ask(core, "eth_getTransactionCount", SENDER_TEXT, "0x0") == "0x0"
    assert ask(core, "eth_getTransactionCount", SENDER_TEXT, "latest") == "0x1"
    assert ask(core, "eth_getBalance", SENDER_TEXT) == "0x0"
    assert ask(core, "eth_getCode", "0x" + SINK.hex()) == "0x"
    proxy = contracts.load("ERC1967Proxy").runtime
    assert len(ask(core, "eth_getCode", REGISTRY)) == 2 + 2 * len(proxy)
    slot = (
        "0x"
        + (int.from_bytes(keccak(b"eip1967.proxy.implementation"), "big") - 1)
        .to_bytes(32, "big")
        .hex()
    )
    word = ask(core, "eth_getStorageAt", REGISTRY, slot, "latest")
    assert bytes.fromhex(word[2:])[12:] == contracts.REGISTRY_IMPLEMENTATION_ADDRESS


@pytest.mark.parametrize(
    ("code", "reference", "value"),
    [
        (RETURN_TIME, "latest", GENESIS_TIME + 30),
        (RETURN_TIME, "0x1", GENESIS_TIME),
        (RETURN_TIME, "pending", GENESIS_TIME + 90),
        (RETURN_NUMBER, "latest", 2),
        (RETURN_NUMBER, "pending", 3),
    ],
)
def test_a_call_runs_in_its_blocks_environment(
    core: Core, code: bytes, reference: str, value: int
) -> None:
    """N-40."""
    core.clock.seconds = GENESIS_TIME + 90
    answer = ask(core, "eth_call", {"data": "0x" + code.hex()}, reference)
    assert int(answer, 16) == value


def test_a_revert_carries_its_data_and_its_words(core: Core) -> None:
    data = keccak(b"suspend(bytes20,uint40)")[:4] + encode(["bytes20", "uint40"], [ALPHA.lei, 0])
    refused = refuse(core, "eth_call", {"to": REGISTRY, "data": "0x" + data.hex()})
    assert refused.code == 3
    assert refused.data is not None
    assert refused.data.startswith("0x" + keccak(b"AccessManagedUnauthorized(address)")[:4].hex())
    words = keccak(b"Error(string)")[:4] + encode(["string"], ["no funds"])
    assert describe_error(ExecutionReverted(words)).message == "execution reverted: no funds"
    assert describe_error(ExecutionReverted(words[:5])).message == "execution reverted"


def test_a_halt_is_no_revert(core: Core) -> None:
    refused = refuse(core, "eth_call", {"data": "0xfe"})
    assert (refused.code, refused.message) == (-32000, "invalid opcode: INVALID")


def test_an_estimate_suffices_and_is_not_wasteful(core: Core) -> None:
    data = "0x" + keccak(b"participantCount()")[:4].hex()
    estimate = int(ask(core, "eth_estimateGas", {"to": REGISTRY, "data": data}), 16)
    call = {"to": REGISTRY, "data": data, "gas": hex(estimate)}
    assert ask(core, "eth_call", call) == "0x" + (6).to_bytes(32, "big").hex()
    assert 21_000 < estimate < 60_000
    assert refuse(core, "eth_estimateGas", {"data": "0xfe"}).code == -32000


def test_a_pooled_transaction_moves_the_pending_nonce_and_is_found(tmp_path: Path) -> None:
    """N-41."""
    core = open_core(tmp_path / "chain")
    raws = [Draft(nonce=nonce).signed_by(SENDER) for nonce in (0, 2)]
    hashes = [ask(core, "eth_sendRawTransaction", "0x" + raw.hex()) for raw in raws]
    assert ask(core, "eth_getTransactionCount", SENDER_TEXT, "pending") == "0x1"
    assert ask(core, "eth_getTransactionCount", SENDER_TEXT, "latest") == "0x0"
    assert ask(core, "eth_getTransactionByHash", hashes[1])["blockHash"] is None
    assert ask(core, "txpool_status") == {"pending": "0x1", "queued": "0x1"}
    assert core.health.report()["pool"] == {"executable": 1, "waiting": 1}
    core.make_block()
    assert ask(core, "eth_getTransactionReceipt", hashes[0])["status"] == "0x1"
    core.store.close()


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (Draft(chain_id=5), "invalid chain id"),
        (Draft(transaction_type=0, chain_id=None), "EIP-155"),
        (Draft(gas_limit=20_000), "intrinsic gas too low"),
        (Draft(gas_limit=17_000_000), "exceeds block gas limit"),
        (Draft(), "is not permitted"),
    ],
)
def test_a_refused_transaction_says_why(core: Core, draft: Draft, words: str) -> None:
    """N-10, N-11."""
    refused = refuse(core, "eth_sendRawTransaction", "0x" + draft.signed_by(ALICE).hex())
    assert refused.code == -32000
    assert words in refused.message


def test_fees_say_to_set_them_to_zero(core: Core) -> None:
    """N-12."""
    raw = Draft(nonce=1, max_fee_per_gas=1).signed_by(OPERATOR.operating)
    refused = refuse(core, "eth_sendRawTransaction", "0x" + raw.hex())
    assert "set both fee fields to 0" in refused.message


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_mine", [], -32601),
        ("eth_chainId", [1], -32602),
        ("eth_getBalance", [], -32602),
        ("eth_getBalance", ["0x1"], -32602),
        ("eth_call", [{}, "latest", {}, {}, {}], -32602),
        ("eth_getBlockByNumber", ["latest", 1], -32602),
    ],
)
def test_a_wrong_method_or_parameter_is_refused(
    core: Core, method: str, params: list[Any], code: int
) -> None:
    assert refuse(core, method, *params).code == code


def test_the_fee_history_is_all_zero(core: Core) -> None:
    answer = ask(core, "eth_feeHistory", "0x2", "latest", [50])
    assert answer["oldestBlock"] == "0x1"
    assert answer["baseFeePerGas"] == ["0x0"] * 3
    assert answer["reward"] == [["0x0"], ["0x0"]]
    assert "reward" not in ask(core, "eth_feeHistory", "0x2", "latest", [])
    assert "reward" not in ask(core, "eth_feeHistory", "0x2", "latest")


@pytest.mark.parametrize(
    "percentiles",
    [[50] * 101, [50, 49], [-1], [100.5], ["50"], [True], [float("inf")], {}, "50", 7],
    ids=str,
)
def test_percentiles_of_the_fee_history_are_few_and_rising(core: Core, percentiles: Any) -> None:
    """N-45."""
    assert refuse(core, "eth_feeHistory", "0x2", "latest", percentiles).code == -32602


def test_a_filter_names_few_addresses_and_topics_in_all(core: Core) -> None:
    """N-46."""
    topics = ["0x" + number.to_bytes(32, "big").hex() for number in range(FILTER_ALTERNATIVES_MAX)]
    assert ask(core, "eth_getLogs", {"topics": [topics]}) == []
    assert refuse(core, "eth_getLogs", {"topics": [[*topics, topics[0]]]}).code == -32602
    both = {"topics": [topics], "address": REGISTRY}
    assert refuse(core, "eth_getLogs", both).code == -32602


@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
def test_a_dry_run_ends_with_the_time_of_its_request(core: Core, method: str) -> None:
    """N-45."""
    started_at = time.monotonic()
    refused = core.ask(method, {"data": SLOW_LOOP, "gas": hex(16_000_000)}, seconds=0.1)
    assert isinstance(refused, WireError)
    assert refused.code == -32005
    assert time.monotonic() - started_at < 3


def test_a_transaction_that_is_committed_between_two_looks_is_found(tmp_path: Path) -> None:
    core = open_core(tmp_path / "chain")

    class CommittingIntake(Fallthrough):
        """Makes the block just before it is asked for the transaction."""

        def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
            core.make_block()
            return core.intake.pooled_transaction(transaction_hash)

    sent = core.submit(Draft().signed_by(SENDER))
    view = replace(core.view, core=CommittingIntake(core.intake))
    found = eth_get_transaction_by_hash(view, "0x" + sent.hex())
    assert found is not None
    assert found["blockNumber"] == "0x1"
    core.store.close()


@dataclass
class Fallthrough:
    """An intake that hands on."""

    intake: Intake

    def submit_many(self, submissions: Sequence[Submission]) -> list[Hash32 | NodeError]:
        return self.intake.submit_many(submissions)

    def next_nonce(self, sender: Address) -> int:
        return self.intake.next_nonce(sender)

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        return self.intake.pooled_transaction(transaction_hash)

    def pool_status(self) -> PoolStatus:
        return self.intake.pool_status()

    def standing(self, transaction_hash: Hash32) -> Standing | None:
        return self.intake.standing(transaction_hash)

    def pool_page(self, after: tuple[Address, int] | None, sender: Address | None) -> PoolPage:
        return self.intake.pool_page(after, sender)


def test_a_fault_of_the_node_tells_no_details() -> None:
    described = describe_error(StoreCorrupt("no header", b"secret"))
    assert described == WireError(-32603, "internal error: StoreCorrupt")


def test_every_leaf_of_the_error_tree_has_one_code() -> None:
    """N-42."""
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    leaves = {kind for kind in kinds if issubclass(kind, NodeError) and not kind.__subclasses__()}
    assert leaves <= set(CODE_BY_ERROR)


def test_the_registry_in_genesis_answers_for_its_participants(core: Core) -> None:
    question = keccak(b"isAdmitted(address)")[:4] + OPERATOR.operating.address.rjust(32, b"\0")
    answer = ask(core, "eth_call", {"to": REGISTRY, "data": "0x" + question.hex()})
    assert int(answer, 16) == 1
