"""What goes wrong has the code and the words by which tools know it: those of geth, where geth has them.

ethers, viem and web3 tell faults apart by these words, in lower case, anywhere in the message.

Cites docs/spec/node.md: N-42, N-118.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from eth_abi.abi import encode

from node.errors import ExecutionReverted
from node.primitives import keccak
from node.rpc.budget import Budget
from node.rpc.envelope import DEFAULT_LIMITS, answer_request, decode_request
from node.rpc.faults import WireError, describe_error
from node.transaction import INIT_CODE_BYTES_MAX, TRANSACTION_BYTES_MAX
from support.settlement_network import OPERATOR
from support.small_chain import SENDER, SmallChain, open_small_chain, text
from support.transactions import SINK, Draft

ME: Final = text(SENDER.address)
NOTHING: Final = "0x" + "99" * 32
OPERATORS_NONCE: Final = 1
NEXT: Final = Draft(nonce=6)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallChain]:
    opened = open_small_chain(tmp_path_factory.mktemp("core") / "chain")
    yield opened
    opened.core.store.close()


SENDING: Final[list[tuple[bytes, str]]] = [
    (Draft(nonce=0).signed_by(SENDER), "nonce too low: next nonce 5, tx nonce 0"),
    (Draft(nonce=2**64 - 1).signed_by(SENDER), "nonce has max value"),
    (Draft(nonce=6 + 5_000).signed_by(SENDER), "nonce too high"),
    (Draft(nonce=6, value=1).signed_by(SENDER), "insufficient funds for gas * price + value"),
    (
        Draft(nonce=6, max_fee_per_gas=1).signed_by(SENDER),
        "insufficient funds for gas * price + value",
    ),
    (
        Draft(nonce=6, gas_limit=20_000).signed_by(SENDER),
        "intrinsic gas too low: gas 20000, minimum needed 21000",
    ),
    (Draft(nonce=6, gas_limit=40_000_000).signed_by(SENDER), "exceeds block gas limit"),
    (
        Draft(nonce=6, max_priority_fee_per_gas=1).signed_by(SENDER),
        "max priority fee per gas higher than max fee per gas",
    ),
    (Draft(nonce=6, chain_id=5).signed_by(SENDER), "invalid chain id for signer: have 5 want"),
    (
        Draft(transaction_type=0, chain_id=None, nonce=6).signed_by(SENDER),
        "only replay-protected (EIP-155) transactions allowed",
    ),
    (b"\x03" + NEXT.signed_by(SENDER)[1:], "transaction type not supported"),
    (NEXT.with_signature(y_parity=0, r=0, s=0), "invalid sender"),
    (NEXT.signed_by(SENDER, high_s=True), "invalid sender"),
    (bytes(TRANSACTION_BYTES_MAX + 1), "oversized data"),
    (
        Draft(
            nonce=OPERATORS_NONCE,
            to=None,
            data=bytes(INIT_CODE_BYTES_MAX + 1),
            gas_limit=16_000_000,
        ).signed_by(OPERATOR.operating),
        "max initcode size exceeded",
    ),
]


@pytest.mark.parametrize(("raw", "words"), SENDING, ids=[words for _, words in SENDING])
def test_a_transaction_is_refused_in_the_words_that_tools_know(
    chain: SmallChain, raw: bytes, words: str
) -> None:
    refusal = chain.refusal("eth_sendRawTransaction", text(raw))
    assert refusal.code == -32000
    assert refusal.message.startswith(words)


def test_a_transaction_that_is_pooled_is_already_known(chain: SmallChain) -> None:
    raw = chain.ask("debug_getRawTransaction", text(chain.executable))
    refusal = chain.refusal("eth_sendRawTransaction", raw)
    assert (refusal.code, refusal.message[:13]) == (-32000, "already known")


Question = tuple[str, list[Any], int, str]

ASKING: Final[list[Question]] = [
    ("eth_call", [{"data": "0x5b5f56", "gas": "0x10000"}], -32000, "out of gas"),
    ("eth_call", [{"data": "0xfe"}], -32000, "invalid opcode"),
    ("eth_call", [{"data": "0x50"}], -32000, "stack underflow"),
    ("eth_call", [{"data": "0x5f56"}], -32000, "invalid jump destination"),
    ("eth_call", [{"data": "0x5f5ffd"}], 3, "execution reverted"),
    (
        "eth_call",
        [{"from": ME, "to": text(SINK), "value": "0x1"}],
        -32000,
        "insufficient funds for gas * price + value",
    ),
    ("eth_call", [{"to": text(SINK), "gas": "0x1"}], -32000, "intrinsic gas too low"),
    ("eth_call", [{"to": text(SINK)}, "0x63"], -32000, "header not found"),
    ("eth_call", [{"to": text(SINK)}, NOTHING], -32000, "header not found"),
    ("eth_call", [], -32602, "missing value for required argument 0"),
    ("eth_call", [{"to": "0x12"}], -32602, "invalid argument"),
    ("eth_estimateGas", [{"data": "0x5f5ffd"}], 3, "execution reverted"),
    (
        "eth_estimateGas",
        [{"data": "0x5b5f56", "gas": "0x10000"}],
        -32000,
        "out of gas",
    ),
    ("eth_getBalance", [ME, "0x63"], -32000, "header not found"),
    ("eth_getCode", [ME, NOTHING], -32000, "header not found"),
    ("eth_getLogs", [{"blockHash": NOTHING}], -32000, "header not found: unknown block"),
    (
        "eth_getLogs",
        [{"fromBlock": "0x2", "toBlock": "0x1"}],
        -32602,
        "invalid argument filter: invalid block range params",
    ),
    ("eth_getLogs", [{"topics": [None] * 5}], -32602, "invalid argument filter.topics: exceed max"),
    ("eth_feeHistory", ["0x1", "0x63", []], -32000, "request beyond head block"),
    ("eth_feeHistory", ["0x1", "latest", [101]], -32602, "invalid argument rewardPercentiles"),
    ("eth_sign", [ME, "0x00"], -32000, "unknown account"),
    (
        "eth_mine",
        [],
        -32601,
        "the method eth_mine does not exist/is not available",
    ),
    ("eth_chainId", [1], -32602, "too many arguments, want at most 0"),
]


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    ASKING,
    ids=[f"{method}-{words}" for method, _, _, words in ASKING],
)
def test_a_question_is_refused_in_the_words_that_tools_know(
    chain: SmallChain, method: str, params: list[Any], code: int, words: str
) -> None:
    refusal = chain.refusal(method, *params)
    assert (refusal.code, refusal.message[: len(words)]) == (code, words)


def error_data(signature: str, kinds: list[str], given: list[Any]) -> bytes:
    return keccak(signature.encode())[:4] + encode(kinds, given)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "execution reverted"),
        (error_data("Error(string)", ["string"], ["no"]), "execution reverted: no"),
        (error_data("Panic(uint256)", ["uint256"], [1]), "execution reverted: assert(false)"),
        (
            error_data("Panic(uint256)", ["uint256"], [0x11]),
            "execution reverted: arithmetic underflow or overflow",
        ),
        (
            error_data("Panic(uint256)", ["uint256"], [0x99]),
            "execution reverted: unknown panic code: 0x99",
        ),
        (error_data("Panic(uint256)", ["uint256"], [1])[:-1], "execution reverted"),
        (error_data("Error(string)", ["string"], ["no"])[:-33], "execution reverted"),
        (b"\x12\x34\x56\x78", "execution reverted"),
    ],
)
def test_a_revert_has_its_data_and_says_what_it_means(data: bytes, message: str) -> None:
    assert describe_error(ExecutionReverted(data)) == WireError(3, message, text(data))


CALL: Final = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}

BODIES: Final[list[tuple[Callable[[], bytes], int, str]]] = [
    (lambda: b"{", -32700, "parse error"),
    (lambda: b"[]", -32600, "invalid request: empty batch"),
    (lambda: b"7", -32600, "invalid request"),
    (
        lambda: json.dumps([CALL] * (DEFAULT_LIMITS.batch_calls_max + 1)).encode(),
        -32600,
        "batch too large",
    ),
    (lambda: json.dumps({**CALL, "params": {"a": 1}}).encode(), -32602, "non-array args"),
]


@pytest.mark.parametrize(("body", "code", "words"), BODIES, ids=[words for *_, words in BODIES])
def test_a_body_is_refused_in_the_words_that_tools_know(
    chain: SmallChain, body: Callable[[], bytes], code: int, words: str
) -> None:
    request = decode_request(body())
    found = json.loads(answer_request(chain.core.methods, request, Budget.of_seconds(60)))
    assert (found["error"]["code"], found["error"]["message"][: len(words)]) == (code, words)
