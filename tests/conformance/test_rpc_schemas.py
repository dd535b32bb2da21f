"""Answers of the JSON-RPC methods are valid against the schemas of the Ethereum execution API.

Every method of the specification is served or left out with a reason, and every served one is asked here.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from node.rpc.faults import INTERNAL, INVALID_PARAMETERS, WireError
from node.rpc.methods.left_out import LEFT_OUT
from node.rpc.methods.table import METHODS
from support.openrpc import MISSING, PLACE, document, faults_of
from support.small_chain import SENDER, SmallChain, open_small_chain, text
from support.transactions import SINK, Draft

pytestmark = pytest.mark.skipif(not PLACE.is_file(), reason=MISSING)

METHOD_BY_NAME: Final = {
    method["name"]: method for method in (document()["methods"] if PLACE.is_file() else ())
}
SERVED: Final = sorted(set(METHOD_BY_NAME) & set(METHODS))

LISTS_OF_EITHER_KIND: Final = frozenset(
    {"eth_getFilterChanges", "eth_getFilterLogs", "eth_getLogs"}
)
"""Their schema is one of two kinds of list, and an empty list is both."""

NOBODY: Final = text(bytes(19) + b"\x99")
NOTHING: Final = text(b"\x99" * 32)
ME: Final = text(SENDER.address)

Params = list[Any]
Questions = Callable[[SmallChain], list[Params]]

ONE_WITHOUT_PARAMETERS: Final[Questions] = lambda _: [[]]  # noqa: E731 - a row of the table


def blocks(chain: SmallChain, *more: Any) -> list[Params]:
    """Every way to name a block, with the values that follow."""
    return [
        [reference, *more]
        for reference in (
            *("latest", "safe", "finalized", "earliest", "pending", "0x0", "0x1", "0x2", "0x3"),
            chain.block_hash(2),
            {"blockNumber": "0x3"},
            {"blockHash": chain.block_hash(3), "requireCanonical": True},
        )
    ]


def accounts(chain: SmallChain) -> list[Params]:
    """Accounts of each kind at blocks of each kind, and without naming one."""
    addresses = [ME, text(chain.logger), NOBODY]
    return [[address, *block] for address in addresses for block in (*blocks(chain), [])]


def calls(chain: SmallChain) -> list[Params]:
    """Calls that succeed."""
    logger = text(chain.logger)
    return [
        [{"to": logger}],
        [{"to": logger, "from": ME, "gas": "0x186a0", "value": "0x0"}, "latest"],
        [{"input": "0x00"}, "pending"],
        [{"to": text(SINK), "data": "0x"}, chain.block_hash(3)],
    ]


def log_filters(chain: SmallChain) -> list[Params]:
    """Filters that match and filters that do not."""
    topic = text((42).to_bytes(32, "big"))
    return [
        [{}],
        [{"fromBlock": "earliest", "toBlock": "latest"}],
        [{"fromBlock": "0x1", "address": text(chain.logger), "topics": [topic]}],
        [{"fromBlock": "0x1", "address": [text(chain.logger)], "topics": [[topic, NOTHING]]}],
        [{"fromBlock": "0x1", "topics": [None]}],
        [{"blockHash": chain.block_hash(3)}],
        [{"fromBlock": "0x1", "address": NOBODY}],
    ]


def transactions(chain: SmallChain) -> list[Params]:
    """Committed transactions of every kind, and one that nobody knows."""
    known = (*chain.kinds, chain.creation, chain.logging, chain.reverting)
    return [*([text(each)] for each in known), [NOTHING]]


def filter_of(method: str, *params: Any) -> Questions:
    """A filter made for the question."""
    return lambda chain: [[chain.ask(method, *params)]]


def sendable(chain: SmallChain) -> list[Params]:
    """A transaction that may be sent."""
    raw = Draft(nonce=6).signed_by(SENDER)
    del chain
    return [[text(raw)]]


QUESTIONS: Final[dict[str, Questions]] = {
    "eth_accounts": ONE_WITHOUT_PARAMETERS,
    "eth_baseFee": ONE_WITHOUT_PARAMETERS,
    "eth_blobBaseFee": ONE_WITHOUT_PARAMETERS,
    "eth_blockNumber": ONE_WITHOUT_PARAMETERS,
    "eth_call": calls,
    "eth_capabilities": ONE_WITHOUT_PARAMETERS,
    "eth_chainId": ONE_WITHOUT_PARAMETERS,
    "eth_coinbase": ONE_WITHOUT_PARAMETERS,
    "eth_config": ONE_WITHOUT_PARAMETERS,
    "eth_createAccessList": calls,
    "eth_estimateGas": calls,
    "eth_feeHistory": lambda _: [
        ["0x2", "latest", [25, 75.5]],
        ["0x400", "0x3", []],
        [4, "pending", None],
        ["0x0", "latest", [50]],
    ],
    "eth_fillTransaction": lambda chain: [[{"from": ME, "to": text(chain.logger)}]],
    "eth_gasPrice": ONE_WITHOUT_PARAMETERS,
    "eth_getBalance": accounts,
    "eth_getBlockByHash": lambda chain: [
        [block_hash, full]
        for block_hash in (*map(chain.block_hash, range(4)), NOTHING)
        for full in (True, False)
    ],
    "eth_getBlockByNumber": lambda chain: [
        [*block, full] for block in (*blocks(chain), ["0x63"]) for full in (True, False)
    ],
    "eth_getBlockReceipts": lambda chain: [*blocks(chain), ["0x63"], [NOTHING]],
    "eth_getBlockTransactionCountByHash": lambda chain: [[chain.block_hash(1)], [NOTHING]],
    "eth_getBlockTransactionCountByNumber": lambda chain: [*blocks(chain), ["0x63"]],
    "eth_getCode": accounts,
    "eth_getFilterChanges": filter_of("eth_newBlockFilter"),
    "eth_getFilterLogs": filter_of("eth_newFilter", {"fromBlock": "0x1"}),
    "eth_getLogs": log_filters,
    "eth_getProof": lambda chain: [
        [address, ["0x0", text(bytes(32))], *block]
        for address in (ME, text(chain.logger), NOBODY)
        for block in blocks(chain)
    ],
    "eth_getStorageAt": lambda chain: [
        [address, slot, *block]
        for address in (ME, text(chain.logger))
        for slot in ("0x0", "0x", "0x01", NOTHING)
        for block in (*blocks(chain), [])
    ],
    "eth_getStorageValues": lambda chain: [
        [{text(chain.logger): ["0x0", NOTHING]}, *block] for block in blocks(chain)
    ],
    "eth_getTransactionByBlockHashAndIndex": lambda chain: [
        [chain.block_hash(1), "0x0"],
        [chain.block_hash(1), "0x2"],
        [chain.block_hash(1), "0x3"],
        [NOTHING, "0x0"],
    ],
    "eth_getTransactionByBlockNumberAndIndex": lambda chain: [
        *blocks(chain, "0x0"),
        ["0x1", "0x1"],
        ["0x63", "0x0"],
    ],
    "eth_getTransactionByHash": transactions,
    "eth_getTransactionCount": accounts,
    "eth_getTransactionReceipt": transactions,
    "eth_maxPriorityFeePerGas": ONE_WITHOUT_PARAMETERS,
    "eth_newBlockFilter": ONE_WITHOUT_PARAMETERS,
    # A block that is named stands already: nothing new would come.
    "eth_newFilter": lambda chain: [
        each for each in log_filters(chain) if "blockHash" not in each[0]
    ],
    "eth_newPendingTransactionFilter": ONE_WITHOUT_PARAMETERS,
    "eth_sendRawTransaction": sendable,
    "eth_simulateV1": lambda chain: [
        [{"blockStateCalls": [{"calls": [{"from": ME, "to": text(chain.logger)}]}]}, "latest"],
        [{"blockStateCalls": [{}], "returnFullTransactions": True}],
    ],
    "eth_syncing": ONE_WITHOUT_PARAMETERS,
    "eth_uninstallFilter": lambda chain: [[chain.ask("eth_newBlockFilter")], ["0x63"]],
    "net_version": ONE_WITHOUT_PARAMETERS,
}
"""What is asked of each method and answered."""

REFUSED: Final[dict[str, Questions]] = {
    "eth_call": lambda chain: [
        [{"to": text(chain.logger), "data": "0x01"}],
        [{"data": "0xfe"}],
        [{"to": text(SINK)}, "0x63"],
        [{"from": ME, "gasPrice": "0x1"}],
    ],
    "eth_estimateGas": lambda chain: [[{"to": text(chain.logger), "data": "0x01"}]],
    "eth_feeHistory": lambda _: [["0x2", "0x63", []], ["0x2", "latest", [50, 50]]],
    "eth_getBalance": lambda _: [[ME, "0x63"], [ME, NOTHING], ["0x12", "latest"]],
    "eth_getLogs": lambda _: [[{"blockHash": NOTHING}]],
    "eth_sendRawTransaction": lambda _: [["0x"], ["0x02"], [text(Draft().signed_by(SENDER))]],
    "eth_sendTransaction": lambda _: [[{"from": ME, "to": NOBODY}]],
    "eth_sign": lambda _: [[ME, "0x01"]],
    "eth_signTransaction": lambda _: [[{"from": ME, "to": NOBODY}]],
}
"""What is asked of each method and refused."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallChain]:
    opened = open_small_chain(tmp_path_factory.mktemp("core") / "chain")
    yield opened
    opened.core.store.close()


def test_every_method_of_the_specification_is_served_or_left_out_with_a_reason() -> None:
    """N-110."""
    left_out = {name for name in METHOD_BY_NAME if name in LEFT_OUT}
    assert left_out.isdisjoint(METHODS)
    assert set(METHOD_BY_NAME) - left_out <= set(METHODS)


def test_every_served_method_of_the_specification_is_asked() -> None:
    assert set(SERVED) <= QUESTIONS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", sorted(set(SERVED) & QUESTIONS.keys()))
def test_an_answer_is_valid_against_the_schema_of_its_method(chain: SmallChain, name: str) -> None:
    """N-111."""
    schema = METHOD_BY_NAME[name]["result"]["schema"]
    found = {}
    for params in QUESTIONS[name](chain):
        answer = chain.ask(name, *params)
        if answer == [] and name in LISTS_OF_EITHER_KIND:
            continue
        if fault := faults_of(answer, schema):
            found[str(params)] = fault
    assert found == {}


@pytest.mark.parametrize("name", sorted(set(SERVED) & REFUSED.keys()))
def test_a_refusal_has_a_code_and_a_message(chain: SmallChain, name: str) -> None:
    """N-42."""
    for params in REFUSED[name](chain):
        refusal = chain.refusal(name, *params)
        assert refusal.code not in (0, INTERNAL)
        assert refusal.message


@pytest.mark.parametrize("name", SERVED)
def test_the_specifications_own_example_can_be_asked(chain: SmallChain, name: str) -> None:
    method = METHOD_BY_NAME[name]
    schemas = [parameter["schema"] for parameter in method["params"]]
    for example in method.get("examples", []):
        params = [parameter["value"] for parameter in example["params"]]
        if any(faults_of(*pair) for pair in zip(params, schemas, strict=False)):
            continue
        result = chain.core.ask(name, *params)
        assert not isinstance(result, WireError) or result.code != INVALID_PARAMETERS, result


def test_a_pooled_transaction_departs_from_the_schema_in_having_no_place(chain: SmallChain) -> None:
    """N-111."""
    schema = METHOD_BY_NAME["eth_getTransactionByHash"]["result"]["schema"]
    places = ("blockHash", "blockNumber", "blockTimestamp", "transactionIndex")
    committed = chain.ask("eth_getTransactionByHash", text(chain.logging))
    for pooled_hash in (chain.executable, chain.waiting):
        pooled = chain.ask("eth_getTransactionByHash", text(pooled_hash))
        assert [pooled[name] for name in places] == [None] * 4
        assert faults_of(pooled, schema)
        assert faults_of(pooled | {name: committed[name] for name in places}, schema) == []


def test_the_schemas_do_refuse_a_damaged_answer(chain: SmallChain) -> None:
    schema = METHOD_BY_NAME["eth_getBlockByNumber"]["result"]["schema"]
    block = chain.ask("eth_getBlockByNumber", "0x3", False)
    assert faults_of(block, schema) == []
    for damage in ({"number": "0x03"}, {"miner": None}, {"transactions": ["0x1"]}):
        assert faults_of(block | damage, schema)
