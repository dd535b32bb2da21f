"""JSON-RPC about execution over a real core: overrides, proofs, access lists, simulations, traces, rules."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode

import contracts
from node.block import Header
from node.engine import HISTORY_ADDRESS
from node.primitives import keccak
from node.rpc.faults import WireError
from node.rpc.methods.configuration import TIME_UNKNOWN
from node.rpc.methods.proofs import PROVEN_SLOTS_MAX
from node.specification import Rules
from node.transaction import decode_transaction
from support.core import Core, open_core
from support.settlement_network import ALPHA, GENESIS_TIME, OPERATOR
from support.transactions import CHAIN_ID, SINK, Draft

SENDER = "0x" + ALPHA.operating.address.hex()
REGISTRY = "0x" + contracts.REGISTRY_ADDRESS.hex()
NOBODY = "0x" + SINK.hex()
COUNT = "0x" + keccak(b"participantCount()")[:4].hex()
# Returns slot 1.
LOADER = "0x6001545f5260205ff3"
# Returns the block's number and time.
BLOCK = "0x435f524260205260405ff3"
# Reverts with Error("no").
ERROR_NO = keccak(b"Error(string)")[:4] + encode(["string"], ["no"])
REVERTER = "0x" + bytes.fromhex("6064600b5f3960645ffd00").hex() + ERROR_NO.hex()


def word(value: int) -> str:
    return "0x" + value.to_bytes(32, "big").hex()


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Block 1 holds one transaction, block 2 a refused suspension, a suspension and one more."""
    opened = open_core(tmp_path_factory.mktemp("core") / "chain")
    opened.send(Draft().signed_by(ALPHA.operating))
    opened.clock.seconds = GENESIS_TIME + 30
    data = keccak(b"suspend(bytes20,uint40)")[:4] + encode(["bytes20", "uint40"], [ALPHA.lei, 0])
    suspend = Draft(to=contracts.REGISTRY_ADDRESS, data=data, gas_limit=300_000)
    opened.submit(replace(suspend, nonce=1).signed_by(ALPHA.operating))
    opened.submit(suspend.signed_by(OPERATOR.operating))
    opened.send(Draft(nonce=1).signed_by(OPERATOR.operating))
    yield opened
    opened.store.close()


def ask(core: Core, method: str, *params: Any) -> Any:
    result = core.ask(method, *params)
    assert not isinstance(result, WireError), result
    return result


def refuse(core: Core, method: str, *params: Any) -> WireError:
    result = core.ask(method, *params)
    assert isinstance(result, WireError), result
    return result


def test_a_call_may_pretend_code_and_storage(core: Core) -> None:
    """N-64."""
    call = {"to": NOBODY}
    for storage in ({"stateDiff": {word(1): word(9)}}, {"state": {word(1): word(9)}}):
        state = {NOBODY: {"code": LOADER, **storage}}
        assert ask(core, "eth_call", call, "latest", state) == word(9)
    assert ask(core, "eth_call", call, "latest") == "0x"
    slot_zero = {REGISTRY: {"code": LOADER, "state": {}}}
    assert ask(core, "eth_call", {"to": REGISTRY}, "latest", slot_zero) == word(0)


def test_a_call_may_pretend_its_block(core: Core) -> None:
    """N-64."""
    state = {NOBODY: {"code": BLOCK}}
    block = {"number": "0x64", "time": "0x5"}
    answer = ask(core, "eth_call", {"to": NOBODY}, "latest", state, block)
    assert answer == word(0x64) + word(5)[2:]


def test_an_estimate_may_pretend_too(core: Core) -> None:
    """N-64."""
    call = {"from": SENDER, "to": NOBODY, "value": "0x5"}
    assert refuse(core, "eth_estimateGas", call).code == -32000
    rich = {SENDER: {"balance": "0x5"}}
    assert ask(core, "eth_estimateGas", call, "latest", rich) == hex(21_000)


@pytest.mark.parametrize(
    "state",
    [
        [],
        {"0x00": {}},
        {NOBODY: {"state": {}, "stateDiff": {}}},
        {NOBODY: {"balance": "0x1" + "0" * 64}},
        {NOBODY: {"nonce": "0x1" + "0" * 16}},
        {NOBODY: {"code": "5f"}},
        {NOBODY: {"storage": {}}},
        {NOBODY: {"stateDiff": {"0x1": "0x" + "00" * 33}}},
        {"0x" + n.to_bytes(20, "big").hex(): {} for n in range(1_025)},
    ],
    ids=lambda state: str(state)[:60],
)
def test_overrides_that_cannot_be_read_are_refused(core: Core, state: Any) -> None:
    assert refuse(core, "eth_call", {"to": NOBODY}, "latest", state).code == -32602


@pytest.mark.parametrize(
    "block",
    [{"number": "0x1" + "0" * 16}, {"difficulty": "0x1"}, {"withdrawals": [{}]}, 7],
    ids=str,
)
def test_block_overrides_that_cannot_be_read_are_refused(core: Core, block: Any) -> None:
    assert refuse(core, "eth_call", {"to": NOBODY}, "latest", {}, block).code == -32602


def test_moves_of_precompiled_contracts_are_refused_with_the_codes_of_simulations(
    core: Core,
) -> None:
    """N-64."""
    four, two = ("0x" + n.to_bytes(20, "big").hex() for n in (4, 2))
    to_itself = {four: {"movePrecompileToAddress": four}}
    clash = {each: {"movePrecompileToAddress": NOBODY} for each in (four, two)}
    assert refuse(core, "eth_call", {"to": NOBODY}, "latest", to_itself).code == -38022
    assert refuse(core, "eth_call", {"to": NOBODY}, "latest", clash).code == -38023


def test_a_proof_names_the_root_of_its_block(core: Core) -> None:
    """N-60."""
    for reference in ("0x0", "0x1", "latest"):
        proof = ask(core, "eth_getProof", REGISTRY, ["0x0", word(5)], reference)
        root = ask(core, "eth_getBlockByNumber", reference)["stateRoot"]
        assert "0x" + keccak(bytes.fromhex(proof["accountProof"][0][2:])).hex() == root
        assert [each["key"] for each in proof["storageProof"]] == ["0x0", word(5)]
        value = ask(core, "eth_getStorageAt", REGISTRY, "0x0", reference)
        assert int(proof["storageProof"][0]["value"], 16) == int(value, 16)
    code = bytes.fromhex(ask(core, "eth_getCode", REGISTRY)[2:])
    assert proof["codeHash"] == "0x" + keccak(code).hex()


def test_a_proof_has_few_slots_of_few_bytes(core: Core) -> None:
    many = ["0x0"] * (PROVEN_SLOTS_MAX + 1)
    for keys in (many, "0x0", ["0x" + "00" * 33]):
        assert refuse(core, "eth_getProof", REGISTRY, keys).code == -32602


def test_many_slots_are_read_at_once(core: Core) -> None:
    keys = ["0x0", "0x01", word(2)]
    answer = ask(core, "eth_getStorageValues", {REGISTRY: keys, NOBODY: ["0x0"]})
    assert answer[NOBODY] == [word(0)]
    assert answer[REGISTRY] == [ask(core, "eth_getStorageAt", REGISTRY, key) for key in keys]
    wanted: dict[str, Any]
    for wanted in ({REGISTRY: ["0x0"] * 1_025}, {REGISTRY: "0x0"}, {"0x1": []}):
        assert refuse(core, "eth_getStorageValues", wanted).code == -32602


def test_an_access_list_makes_a_call_through_a_proxy_no_dearer_than_it_says(core: Core) -> None:
    """N-65."""
    call = {"from": SENDER, "to": REGISTRY, "data": COUNT}
    found = ask(core, "eth_createAccessList", call)
    listed = {entry["address"] for entry in found["accessList"]}
    assert "0x" + contracts.REGISTRY_IMPLEMENTATION_ADDRESS.hex() in listed
    assert SENDER not in listed
    assert "error" not in found
    named = {**call, "accessList": found["accessList"]}
    assert ask(core, "eth_createAccessList", named) == found
    pretended = ask(core, "eth_createAccessList", call, "latest", {REGISTRY: {"code": LOADER}})
    assert pretended["accessList"] == [{"address": REGISTRY, "storageKeys": [word(1)]}]


def test_a_list_of_a_call_that_fails_says_why(core: Core) -> None:
    """N-65."""
    assert ask(core, "eth_createAccessList", {"data": "0x5f5ffd"})["error"] == "execution reverted"
    halted = ask(core, "eth_createAccessList", {"data": "0x5b600056", "gas": hex(60_000)})
    assert (halted["error"], halted["gasUsed"]) == ("out of gas", hex(60_000))


def test_a_filled_transaction_has_the_next_nonce_an_estimate_and_no_fees(core: Core) -> None:
    call = {"from": SENDER, "to": REGISTRY, "data": COUNT}
    filled = ask(core, "eth_fillTransaction", call)
    transaction = filled["tx"]
    assert transaction["nonce"] == ask(core, "eth_getTransactionCount", SENDER, "pending")
    assert transaction["gas"] == ask(core, "eth_estimateGas", call)
    assert (transaction["maxFeePerGas"], transaction["chainId"]) == ("0x0", hex(CHAIN_ID))
    decoded = decode_transaction(bytes.fromhex(filled["raw"][2:]))
    assert (decoded.gas_limit, decoded.r) == (int(transaction["gas"], 16), 0)
    kept = ask(core, "eth_fillTransaction", {**call, "nonce": "0x63", "gas": "0x5300"})["tx"]
    assert (kept["nonce"], kept["gas"]) == ("0x63", "0x5300")
    for wrong in ({"type": "0x0"}, {"chainId": "0x1"}):
        assert refuse(core, "eth_fillTransaction", {**call, **wrong}).code == -32602
    assert refuse(core, "eth_fillTransaction", {"data": "0x5f5ffd"}).code == 3


def simulate(core: Core, *blocks: Any, **options: Any) -> Any:
    return core.ask("eth_simulateV1", {"blockStateCalls": list(blocks), **options}, "latest")


def header_of(block: dict[str, Any]) -> Header:
    """The header of a block object, field by field."""

    def data(key: str) -> Any:
        return bytes.fromhex(block[key][2:])

    def number(key: str) -> int:
        return int(block[key], 16)

    return Header(
        parent_hash=data("parentHash"),
        state_root=data("stateRoot"),
        transactions_root=data("transactionsRoot"),
        receipts_root=data("receiptsRoot"),
        logs_bloom=data("logsBloom"),
        number=number("number"),
        gas_limit=number("gasLimit"),
        gas_used=number("gasUsed"),
        timestamp=number("timestamp"),
        extra_data=data("extraData"),
        base_fee_per_gas=number("baseFeePerGas"),
        coinbase=data("miner"),
        mix_hash=data("mixHash"),
    )


def test_a_simulated_block_has_the_hash_of_its_header(core: Core) -> None:
    """N-66."""
    pretended = {
        "feeRecipient": NOBODY,
        "prevRandao": "0x9",
        "baseFeePerGas": "0x7",
        "number": "0x5",
    }
    blocks = simulate(core, {"blockOverrides": pretended, "calls": [{"to": REGISTRY}]}, {})
    assert [block["number"] for block in blocks] == ["0x3", "0x4", "0x5", "0x6"]
    parent = ask(core, "eth_getBlockByNumber", "latest")["hash"]
    for block in blocks:
        assert block["hash"] == "0x" + header_of(block).hash.hex()
        assert block["parentHash"] == parent
        parent = block["hash"]


def test_simulated_calls_say_what_they_gave(core: Core) -> None:
    """N-66."""
    state = {NOBODY: {"code": REVERTER}, SENDER: {"balance": "0x3"}}
    calls = [
        {"from": SENDER, "to": REGISTRY, "data": COUNT},
        {"from": SENDER, "to": NOBODY},
        {"from": SENDER, "data": "0xfe", "gas": "0x10000"},
        {"from": SENDER, "to": REGISTRY, "value": "0x3", "data": "0xffffffff"},
        {"from": SENDER, "to": "0x" + "77" * 20, "value": "0x2"},
    ]
    block = {"stateOverrides": state, "calls": calls}
    (answer,) = simulate(core, block, traceTransfers=True, returnFullTransactions=True)
    counted, reverted, halted, refused, paid = answer["calls"]
    assert (counted["status"], int(counted["returnData"], 16)) == ("0x1", 6)
    assert reverted["error"] == {
        "code": 3, "message": "execution reverted: no", "data": "0x" + ERROR_NO.hex(),
    }  # fmt: skip
    assert (halted["error"]["code"], halted["gasUsed"]) == (-32015, "0x10000")
    assert (refused["status"], refused["logs"]) == ("0x0", [])
    (log,) = paid["logs"]
    assert (log["address"], int(log["data"], 16)) == ("0x" + "ee" * 20, 2)
    sent = answer["transactions"][4]
    assert (log["transactionHash"], log["blockHash"]) == (sent["hash"], answer["hash"])
    assert (sent["from"], sent["type"], sent["blockTimestamp"]) == (
        SENDER, "0x2", answer["timestamp"],
    )  # fmt: skip
    assert int(counted["maxUsedGas"], 16) >= int(counted["gasUsed"], 16)


SIMULATION_FAULTS: dict[str, tuple[int, list[Any]]] = {
    "a used nonce": (-38010, [{"calls": [{"from": SENDER, "nonce": "0x0"}]}]),
    "a nonce too far": (-38011, [{"calls": [{"from": SENDER, "nonce": "0x9"}]}]),
    "a low fee": (
        -38012,
        [{"blockOverrides": {"baseFeePerGas": "0x1"}, "calls": [{"from": SENDER}]}],
    ),
    "little gas": (-38013, [{"calls": [{"from": SENDER, "gas": "0x1"}]}]),
    "no money": (-38014, [{"calls": [{"from": SENDER, "to": NOBODY, "value": "0x1"}]}]),
    "a full block": (
        -38015,
        [{"blockOverrides": {"gasLimit": "0x5208"}, "calls": [{"from": SENDER, "gas": "0x5209"}]}],
    ),
    "a number that falls": (-38020, [{"blockOverrides": {"number": "0x2"}}]),
    "a time that falls": (-38021, [{"blockOverrides": {"time": "0x1"}}]),
    "a contract as sender": (-38024, [{"calls": [{"from": REGISTRY}]}]),
    "long init code": (-38025, [{"calls": [{"from": SENDER, "data": "0x" + "00" * 49_153}]}]),
    "many blocks": (-38026, [{}] * 257),
    "a far block": (-38026, [{"blockOverrides": {"number": "0x1000"}}]),
    "no blocks": (-32602, []),
    "two kinds of price": (
        -32602,
        [{"calls": [{"from": SENDER, "gasPrice": "0x0", "maxFeePerGas": "0x0"}]}],
    ),
    "an unknown field": (-32602, [{"calls": [{"from": SENDER, "blobs": []}]}]),
}


@pytest.mark.parametrize(("code", "blocks"), SIMULATION_FAULTS.values(), ids=SIMULATION_FAULTS)
def test_a_simulation_that_cannot_be_is_refused_with_its_code(
    core: Core, code: int, blocks: list[Any]
) -> None:
    """N-66."""
    refused = simulate(core, *blocks, validation=True)
    assert isinstance(refused, WireError)
    assert refused.code == code, refused


@pytest.mark.parametrize(
    "config", [{}, {"tracer": "callTracer", "tracerConfig": {"withLog": True}}]
)
def test_a_trace_of_a_mined_transaction_agrees_with_its_receipt(
    core: Core, config: dict[str, Any]
) -> None:
    """N-61, N-62."""
    receipts = ask(core, "eth_getBlockReceipts", "0x2")
    assert [receipt["status"] for receipt in receipts] == ["0x0", "0x1", "0x1"]
    traces = ask(core, "debug_traceBlockByNumber", "0x2", config)
    assert ask(core, "debug_traceBlockByHash", receipts[0]["blockHash"], config) == traces
    for receipt, trace in zip(receipts, traces, strict=True):
        assert trace["txHash"] == receipt["transactionHash"]
        result = ask(core, "debug_traceTransaction", receipt["transactionHash"], config)
        assert result == trace["result"]
        gas = result["gas"] if not config else int(result["gasUsed"], 16)
        assert gas == int(receipt["gasUsed"], 16)
        has_failed = result["failed"] if not config else "error" in result
        assert has_failed == (receipt["status"] == "0x0")
        if config:
            found = all_logs(result)
            assert [log["topics"] for log in found] == [log["topics"] for log in receipt["logs"]]
            assert [log["index"] for log in found] == [hex(n) for n in range(len(found))]


def all_logs(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """The logs of a frame and all within it, in the order of their index."""
    logs = [*frame.get("logs", [])]
    for call in frame.get("calls", []):
        logs += all_logs(call)
    return sorted(logs, key=lambda log: int(log["index"], 16))


def test_a_call_may_be_traced_on_a_pretended_state(core: Core) -> None:
    """N-62, N-64."""
    config = {"tracer": "callTracer", "stateOverrides": {NOBODY: {"code": REVERTER}}}
    frame = ask(core, "debug_traceCall", {"from": SENDER, "to": NOBODY}, "latest", config)
    assert (frame["type"], frame["from"], frame["to"]) == ("CALL", SENDER, NOBODY)
    assert (frame["error"], frame["revertReason"]) == ("execution reverted", "no")
    assert frame["output"] == "0x" + ERROR_NO.hex()
    steps = ask(
        core, "debug_traceCall", {"to": NOBODY}, "latest",
        {"stateOverrides": {NOBODY: {"code": BLOCK}}, "blockOverrides": {"number": "0x63"}},
    )["structLogs"]  # fmt: skip
    assert steps[1]["stack"] == ["0x63"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("debug_traceTransaction", [word(1)], -32000),
        ("debug_traceBlockByNumber", ["0x0"], -32000),
        ("debug_traceBlockByNumber", ["latest", {"tracer": "prestateTracer"}], -32602),
        ("debug_traceBlockByNumber", ["latest", {"limit": -1}], -32602),
        ("debug_traceBlockByNumber", ["latest", {"shade": True}], -32602),
        ("debug_traceBlockByNumber", ["latest", {"enableMemory": 1}], -32602),
        ("debug_traceCall", [{"data": "0x5b600056"}, "latest"], -32005),
    ],
)
def test_a_trace_that_cannot_be_given_is_refused(
    core: Core, method: str, params: list[Any], code: int
) -> None:
    """N-63."""
    assert refuse(core, method, *params).code == code


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_createAccessList", [{"data": "0x5b600056"}]),
        ("eth_fillTransaction", [{"data": "0x5b600056"}]),
        ("eth_simulateV1", [{"blockStateCalls": [{"calls": [{"data": "0x5b600056"}]}]}]),
        ("debug_traceCall", [{"data": "0x5b600056"}, "latest", {"limit": 1}]),
    ],
)
def test_what_runs_the_evm_ends_with_the_time_of_its_request(
    core: Core, method: str, params: list[Any]
) -> None:
    """N-45, N-63."""
    refused = core.ask(method, *params, seconds=0.1)
    assert isinstance(refused, WireError)
    assert refused.code == -32005
    assert core.methods.is_heavy(method)


def test_the_rules_in_force_and_to_come_are_told(core: Core) -> None:
    """N-67."""
    config = ask(core, "eth_config")
    assert (config["next"], config["last"]) == (None, None)
    current = config["current"]
    assert (current["activationTime"], current["chainId"]) == (GENESIS_TIME, hex(CHAIN_ID))
    assert set(current["precompiles"]) == {
        "ECREC", "SHA256", "RIPEMD160", "ID", "MODEXP", "BN254_ADD",
    }  # fmt: skip
    history = "0x" + HISTORY_ADDRESS.hex()
    assert current["systemContracts"] == {"HISTORY_STORAGE_ADDRESS": history}
    coming = [Rules(from_number=n, precompiles_refused=()) for n in (50, 60)]
    first = core.specification.schedule
    specification = replace(core.specification, schedule=(*first, *coming))
    config = ask(replace(core, specification=specification), "eth_config")
    genesis_hash = core.history.genesis_hash()
    assert genesis_hash is not None
    checksum = zlib.crc32(genesis_hash)
    assert config["current"]["forkId"] == f"0x{checksum:08x}"
    for key, number in (("next", 50), ("last", 60)):
        checksum = zlib.crc32(number.to_bytes(8, "big"), checksum)
        assert config[key]["forkId"] == f"0x{checksum:08x}"
        assert config[key]["activationTime"] == TIME_UNKNOWN
        assert len(config[key]["precompiles"]) == 17


def test_the_node_says_that_it_holds_everything(core: Core) -> None:
    """N-67."""
    told = ask(core, "eth_capabilities")
    assert told["head"]["hash"] == ask(core, "eth_getBlockByNumber", "latest")["hash"]
    assert told["state"] == told["stateproofs"] == {"disabled": False, "oldestBlock": "0x0"}
