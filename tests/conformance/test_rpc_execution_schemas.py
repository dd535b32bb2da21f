"""Answers about execution are valid against the schemas of the Ethereum execution API specification."""

from collections.abc import Iterator
from typing import Any

import pytest

import contracts
from node.primitives import keccak
from node.rpc.faults import WireError
from support.core import Core, open_core
from support.openrpc import MISSING, PLACE, assert_answers, assert_component
from support.settlement_network import ALPHA, OPERATOR
from support.transactions import SINK, Draft

pytestmark = pytest.mark.skipif(not PLACE.is_file(), reason=MISSING)

REGISTRY = "0x" + contracts.REGISTRY_ADDRESS.hex()
SENDER = "0x" + ALPHA.operating.address.hex()
NOBODY = "0x" + SINK.hex()
COUNT = "0x" + keccak(b"participantCount()")[:4].hex()
# Stores 1 in slot 2 and loads it, writes memory, logs, then reverts with nothing.
BUSY = "0x60016002556002545f5260205fa05f5ffd"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Two blocks: a call of the registry and two that do nothing."""
    opened = open_core(tmp_path_factory.mktemp("core") / "chain")
    data = bytes.fromhex(COUNT[2:])
    opened.send(Draft(to=contracts.REGISTRY_ADDRESS, data=data).signed_by(ALPHA.operating))
    opened.submit(Draft(nonce=1).signed_by(ALPHA.operating))
    opened.send(Draft().signed_by(OPERATOR.operating))
    yield opened
    opened.store.close()


CALL = {"from": SENDER, "to": REGISTRY, "input": COUNT}
SIMULATED: list[dict[str, Any]] = [
    {
        "blockOverrides": {"number": "0x4", "feeRecipient": NOBODY, "prevRandao": "0x7"},
        "stateOverrides": {NOBODY: {"balance": "0x64", "code": BUSY, "stateDiff": {}}},
        "calls": [
            CALL,
            {"from": SENDER, "to": NOBODY},
            {"from": NOBODY, "to": SENDER, "value": "0x1"},
            {"from": SENDER, "input": "0xfe", "gas": "0x186a0"},
        ],
    },
    {},
]

ANSWERED: list[tuple[str, list[Any]]] = [
    ("eth_call", [CALL, "latest", {NOBODY: {"code": BUSY}}, {"time": "0x1"}]),
    ("eth_estimateGas", [CALL, "latest", {NOBODY: {"balance": "0x1"}}]),
    ("eth_createAccessList", [CALL]),
    ("eth_createAccessList", [{"from": SENDER, "data": "0x5f5ffd"}, "latest"]),
    ("eth_getProof", [REGISTRY, ["0x0", "0x" + "00" * 32], "latest"]),
    ("eth_getProof", [NOBODY, ["0x1"], "earliest"]),
    ("eth_getStorageValues", [{REGISTRY: ["0x0", "0x" + "00" * 31 + "01"], NOBODY: []}, "latest"]),
    ("eth_fillTransaction", [CALL]),
    ("eth_fillTransaction", [{"from": SENDER, "data": "0x00", "gas": "0xffff"}]),
    ("eth_config", []),
    ("eth_capabilities", []),
    *[
        ("eth_simulateV1", [{"blockStateCalls": SIMULATED, "traceTransfers": True, **options}, tag])
        for options in ({}, {"returnFullTransactions": True})
        for tag in ("latest", "0x1")
    ],
]


@pytest.mark.parametrize(("method", "params"), ANSWERED, ids=[each[0] for each in ANSWERED])
def test_an_answer_is_valid(core: Core, method: str, params: list[Any]) -> None:
    answer = core.ask(method, *params)
    assert not isinstance(answer, WireError), answer
    assert_answers(method, answer)


@pytest.mark.parametrize("config", [None, {"enableMemory": True, "enableReturnData": True}])
def test_struct_logs_are_valid(core: Core, config: dict[str, Any] | None) -> None:
    traces = core.ask("debug_traceBlockByNumber", "0x1", config)
    assert traces[0]["result"]["structLogs"]
    for trace in traces:
        assert_component("OpcodeBlockTransactionTrace", trace)
    single = core.ask("debug_traceTransaction", traces[0]["txHash"], config)
    assert_component("OpcodeTransactionTrace", single)
    assert single == traces[0]["result"]
    code = {"stateOverrides": {NOBODY: {"code": BUSY}}, **(config or {})}
    called = core.ask("debug_traceCall", {"from": SENDER, "to": NOBODY}, "latest", code)
    assert_component("OpcodeTransactionTrace", called)
    assert any("storage" in step for step in called["structLogs"])


def test_the_schemas_refuse_what_is_wrong() -> None:
    for answer in ({"accessList": [], "gasUsed": 5}, {"gasUsed": "0x05"}):
        with pytest.raises(AssertionError):
            assert_answers("eth_createAccessList", answer)
