"""What the simpler JSON-RPC methods answer on a small chain, and how parameters are counted and read.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
import rlp

from node.block import Header, Receipt
from node.history import History, ReceiptRecord
from node.primitives import ZERO_ADDRESS, ZERO_HASH, keccak
from node.rpc.methods.fees import FEE_HISTORY_BLOCKS_MAX, eth_fee_history
from node.rpc.methods.left_out import LEFT_OUT
from node.rpc.methods.table import METHODS
from support.settlement_network import GENESIS_TIME
from support.small_chain import SENDER, SmallChain, open_small_chain, text
from support.transactions import ALICE, Draft

ME = text(SENDER.address)
NOTHING = text(b"\x99" * 32)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallChain]:
    opened = open_small_chain(tmp_path_factory.mktemp("core") / "chain")
    yield opened
    opened.core.store.close()


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("eth_coinbase", [], text(ZERO_ADDRESS)),
        ("eth_baseFee", [], "0x0"),
        ("eth_blobBaseFee", [], "0x1"),
        ("net_listening", [], True),
        ("net_peerCount", [], "0x0"),
        ("eth_getUncleCountByBlockNumber", ["latest"], "0x0"),
        ("eth_getUncleCountByBlockNumber", ["0x63"], None),
        ("eth_getUncleCountByBlockHash", [NOTHING], None),
        ("eth_getUncleByBlockNumberAndIndex", ["latest", "0x0"], None),
        ("eth_getUncleByBlockHashAndIndex", [NOTHING, "0x0"], None),
        ("debug_getBadBlocks", [], []),
    ],
)
def test_a_constant_answer(
    chain: SmallChain, method: str, params: list[Any], expected: Any
) -> None:
    assert chain.ask(method, *params) == expected


def test_the_namespaces_are_those_of_the_methods_that_are_served(chain: SmallChain) -> None:
    modules = chain.ask("rpc_modules")
    assert {"eth", "net", "web3", "debug", "rpc"} <= set(modules)
    assert {f"{name}_" for name in modules} == {name.partition("_")[0] + "_" for name in METHODS}


def test_what_is_left_out_is_not_served_and_says_why() -> None:
    """N-110."""
    for name, reason in LEFT_OUT.items():
        prefix = name.removesuffix("*")
        served = [
            each for each in METHODS if each == name or (name != prefix and each.startswith(prefix))
        ]
        assert served == []
        assert reason


def test_a_transaction_is_found_by_its_place(chain: SmallChain) -> None:
    for position, transaction_hash in enumerate(chain.kinds):
        found = chain.ask("eth_getTransactionByHash", text(transaction_hash))
        place = hex(position)
        assert (found["transactionIndex"], found["blockTimestamp"]) == (place, hex(GENESIS_TIME))
        assert chain.ask("eth_getTransactionByBlockNumberAndIndex", "0x1", place) == found
        block_hash = found["blockHash"]
        assert chain.ask("eth_getTransactionByBlockHashAndIndex", block_hash, place) == found
    assert chain.ask("eth_getTransactionByBlockNumberAndIndex", "0x1", "0x3") is None
    assert chain.ask("eth_getTransactionByBlockNumberAndIndex", "0x63", "0x0") is None


def test_a_blocks_receipts_are_those_of_its_transactions(chain: SmallChain) -> None:
    receipts = chain.ask("eth_getBlockReceipts", "latest")
    hashes = (chain.logging, chain.reverting)
    assert receipts == [chain.ask("eth_getTransactionReceipt", text(each)) for each in hashes]
    assert [receipt["status"] for receipt in receipts] == ["0x1", "0x0"]
    (log,) = receipts[0]["logs"]
    assert chain.ask("eth_getLogs", {"fromBlock": "0x0"}) == [log]
    assert chain.ask("eth_getBlockReceipts", "earliest") == []


def test_raw_bytes_hash_to_what_they_are_called_by(chain: SmallChain) -> None:
    """N-112."""
    block = chain.ask("eth_getBlockByNumber", "0x1", True)
    header = bytes.fromhex(chain.ask("debug_getRawHeader", "0x1")[2:])
    whole = bytes.fromhex(chain.ask("debug_getRawBlock", block["hash"])[2:])
    assert text(keccak(header)) == block["hash"]
    decoded_header, bodies, ommers, withdrawals = rlp.decode(whole)
    assert rlp.encode(decoded_header) == header
    assert (ommers, withdrawals) == ([], [])
    assert int(block["size"], 16) == len(whole)
    raws = [body if isinstance(body, bytes) else rlp.encode(body) for body in bodies]
    assert [text(keccak(raw)) for raw in raws] == [each["hash"] for each in block["transactions"]]
    for raw in raws:
        assert chain.ask("debug_getRawTransaction", text(keccak(raw))) == text(raw)
    receipts = chain.ask("debug_getRawReceipts", "0x1")
    assert [receipt[:4] for receipt in receipts] == ["0xf9", "0x01", "0x02"]


def test_a_pooled_transaction_has_raw_bytes_and_an_unknown_one_none(chain: SmallChain) -> None:
    raw = bytes.fromhex(chain.ask("eth_getRawTransactionByHash", text(chain.waiting))[2:])
    assert keccak(raw) == chain.waiting
    assert chain.ask("debug_getRawTransaction", NOTHING) == "0x"


@pytest.mark.parametrize(
    "method", ["debug_getRawHeader", "debug_getRawBlock", "debug_getRawReceipts"]
)
@pytest.mark.parametrize("reference", ["0x63", NOTHING])
def test_an_unknown_block_has_no_raw_bytes(chain: SmallChain, method: str, reference: str) -> None:
    refusal = chain.refusal(method, reference)
    assert (refusal.code, refusal.message[:16]) == (-32000, "header not found")


@pytest.mark.parametrize(
    "reference",
    [
        {"blockHash": NOTHING, "blockNumber": "0x1"},
        {},
        {"blockNumber": "0x1", "requireCanonical": "yes"},
        {"blockNumber": "0x1", "canonical": True},
    ],
)
def test_a_block_object_names_one_block_and_nothing_else(chain: SmallChain, reference: Any) -> None:
    """N-113."""
    assert chain.refusal("eth_getBalance", ME, reference).code == -32602


def test_a_block_object_may_require_what_every_block_is(chain: SmallChain) -> None:
    """N-113."""
    for reference in (
        {"blockHash": chain.block_hash(1), "requireCanonical": True},
        {"blockNumber": "0x1", "requireCanonical": False, "blockHash": None},
        "0x1",
    ):
        assert chain.ask("eth_getTransactionCount", ME, reference) == "0x3"
    assert chain.ask("eth_getTransactionCount", ME, {"blockNumber": "pending"}) == "0x6"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "missing value for required argument 0"),
        ([None], "missing value for required argument 0"),
        ([ME, "latest", 1], "too many arguments, want at most 2"),
        (["0x1"], "invalid argument address"),
        ([ME, "newest"], "invalid argument block"),
    ],
)
def test_parameters_are_counted_and_named(chain: SmallChain, params: list[Any], words: str) -> None:
    """N-113."""
    refusal = chain.refusal("eth_getBalance", *params)
    assert refusal.code == -32602
    assert refusal.message.startswith(words)


def test_optional_parameters_may_be_null_or_absent(chain: SmallChain) -> None:
    """N-113."""
    for params in ([ME], [ME, None], [ME, "latest"]):
        assert chain.ask("eth_getTransactionCount", *params) == "0x5"


@pytest.mark.parametrize("method", ["eth_sign", "eth_sendTransaction", "eth_signTransaction"])
def test_nothing_is_signed_here(chain: SmallChain, method: str) -> None:
    params = [ME, "0x01"] if method == "eth_sign" else [{"from": ME, "to": ME}]
    refusal = chain.refusal(method, *params)
    assert (refusal.code, refusal.message[:15]) == (-32000, "unknown account")


def test_a_fee_history_ends_at_the_block_it_was_asked_for(chain: SmallChain) -> None:
    answer = chain.ask("eth_feeHistory", 2, "0x2", [25])
    assert answer["oldestBlock"] == "0x1"
    assert answer["baseFeePerGas"] == ["0x0"] * 3
    assert answer["baseFeePerBlobGas"] == ["0x1"] * 3
    assert answer["blobGasUsedRatio"] == [0, 0]
    used = [int(chain.ask("eth_getBlockByNumber", n)["gasUsed"], 16) for n in ("0x1", "0x2")]
    assert answer["gasUsedRatio"] == [gas / 30_000_000 for gas in used]
    assert answer["reward"] == [["0x0"], ["0x0"]]
    for count in ("0x10", "16", 16):
        assert chain.ask("eth_feeHistory", count, "latest")["oldestBlock"] == "0x0"
    assert chain.ask("eth_feeHistory", "0x0", "latest", [50]) == {
        "oldestBlock": "0x0",
        "baseFeePerGas": [],
        "gasUsedRatio": [],
    }


@pytest.mark.parametrize("count", [-1, True, 2**64, 1.5, "0x", "1e3", "\u0661", [], {}])
def test_a_number_of_blocks_is_hex_or_decimal(chain: SmallChain, count: Any) -> None:
    assert chain.refusal("eth_feeHistory", count, "latest").code == -32602


def test_a_fee_history_beyond_the_head_is_refused(chain: SmallChain) -> None:
    refusal = chain.refusal("eth_feeHistory", "0x2", "0x63")
    assert (refusal.code, refusal.message) == (
        -32000,
        "request beyond head block: requested 99, head 3",
    )


@dataclass(frozen=True, slots=True)
class PaidBlock:
    """A history of one block, whose transactions used this much gas at these priority fees."""

    gas_and_fees: tuple[tuple[int, int], ...]

    def head(self) -> Header:
        gas_used = sum(gas for gas, _ in self.gas_and_fees)
        return Header(ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH, bytes(256), 0, 100, gas_used, 0)

    def header(self, number: int) -> Header:
        assert number == 0
        return self.head()

    def receipt_records(self, number: int) -> tuple[ReceiptRecord, ...]:
        return tuple(
            ReceiptRecord(
                receipt=Receipt(2, True, gas, (), gas, ALICE.address),
                raw=Draft(max_fee_per_gas=fee, max_priority_fee_per_gas=fee).signed_by(ALICE),
                transaction_hash=ZERO_HASH,
                block_hash=ZERO_HASH,
                number=number,
                timestamp=0,
                position=position,
                first_log_index=0,
            )
            for position, (gas, fee) in enumerate(self.gas_and_fees)
        )


def test_rewards_are_what_was_paid_weighted_by_gas(chain: SmallChain) -> None:
    """Sorted by fee: 10 gas at 1, 60 at 3, 30 at 7."""
    history = cast(History, PaidBlock(((60, 3), (30, 7), (10, 1))))
    view = replace(chain.core.view, history=history)
    answer = eth_fee_history(view, "0x1", "latest", [0, 10, 11, 70, 71, 100], watch=lambda: None)
    assert answer["reward"] == [["0x1", "0x1", "0x3", "0x3", "0x7", "0x7"]]


def test_a_fee_history_has_a_limit(chain: SmallChain) -> None:
    watched: list[None] = []
    answer = eth_fee_history(
        chain.core.view, hex(2**64), "latest", [50], watch=lambda: watched.append(None)
    )
    assert len(answer["reward"]) == len(watched) == 4 < FEE_HISTORY_BLOCKS_MAX


@pytest.mark.parametrize("slot", ["0x0", "0x", "0x00", "0x0001", text(bytes(32))])
def test_a_slot_may_have_leading_zeros(chain: SmallChain, slot: str) -> None:
    assert chain.ask("eth_getStorageAt", ME, slot) == text(bytes(32))


@pytest.mark.parametrize("slot", ["0x" + "0" * 65, "5", "0xg", 5, "0x0\n"])
def test_no_other_slot_is_known(chain: SmallChain, slot: Any) -> None:
    assert chain.refusal("eth_getStorageAt", ME, slot).code == -32602
