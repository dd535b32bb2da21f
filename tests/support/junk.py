"""JSON that nobody should send: what fuzz tests ask a node."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from hypothesis import strategies as st

from support.settlement_network import ALPHA
from support.small_chain import SmallChain, text
from support.transactions import SINK, Draft

HASH: Final = "0x" + "ab" * 32
ADDRESS: Final = "0x" + "cd" * 20

texts: Final = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "0x", "0x0", "0x00", "0x1", "latest", "pending", "0xg", "0X1", "-0x1", "1"]
    ),
    st.sampled_from([HASH, ADDRESS, "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "0" * 66]),
    st.binary(max_size=40).map(lambda data: f"0x{data.hex()}"),
    st.integers(0, 2**70).map(hex),
)
numbers: Final = st.one_of(
    st.integers(-2, 2),
    st.integers(-(2**300), 2**300),
    st.floats(allow_nan=False, allow_infinity=False),
)
names: Final = st.one_of(
    st.sampled_from(
        ["from", "to", "gas", "data", "input", "value", "blockHash", "blockNumber", "address"]
    ),
    st.sampled_from(["topics", "fromBlock", "toBlock", "accessList", "blockStateCalls", "code"]),
    texts,
)
values: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(names, children, max_size=4),
    max_leaves=8,
)


def sound_params(chain: SmallChain) -> list[tuple[str, list[Any]]]:
    """Calls that are answered: what junk is put into."""
    logger, sender = text(chain.logger), text(ALPHA.operating.address)
    call = {"from": sender, "to": logger, "data": "0x", "gas": "0x30000", "value": "0x0"}
    access_list = [{"address": logger, "storageKeys": [HASH]}]
    override = {logger: {"balance": "0x1", "code": "0x00", "stateDiff": {HASH: HASH}}}
    simulated = {"blockStateCalls": [{"calls": [call], "stateOverrides": override}]}
    raw = text(Draft(nonce=6, to=SINK).signed_by(ALPHA.operating))
    tracer = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}
    log_filter = {"fromBlock": "0x1", "toBlock": "latest", "address": logger, "topics": [[HASH]]}
    return [
        ("debug_getRawBlock", ["0x1"]),
        ("debug_getRawTransaction", [text(chain.logging)]),
        ("debug_traceBlockByNumber", ["0x3", tracer]),
        ("debug_traceCall", [call, "latest", {"stateOverrides": override, "enableMemory": True}]),
        ("debug_traceTransaction", [text(chain.logging), {"disableStack": True}]),
        ("eth_call", [{**call, "accessList": access_list}, "latest", override, {"time": "0x1"}]),
        ("eth_createAccessList", [call, "latest"]),
        ("eth_estimateGas", [call, "pending"]),
        ("eth_feeHistory", ["0x2", "latest", [10, 50.5]]),
        ("eth_fillTransaction", [call]),
        ("eth_getBalance", [sender, {"blockHash": chain.block_hash(1), "requireCanonical": True}]),
        ("eth_getBlockByNumber", ["0x1", True]),
        ("eth_getLogs", [log_filter]),
        ("eth_getProof", [logger, [HASH], "latest"]),
        ("eth_getStorageAt", [logger, "0x0", "0x2"]),
        ("eth_getStorageValues", [{logger: ["0x0"]}, "latest"]),
        ("eth_getTransactionByBlockNumberAndIndex", ["0x1", "0x0"]),
        ("eth_getTransactionByHash", [text(chain.logging)]),
        ("eth_sendRawTransaction", [raw]),
        ("eth_simulateV1", [simulated, "latest"]),
        ("web3_sha3", ["0x00"]),
    ]


@st.composite
def spoilt(draw: st.DrawFn, sound: Any) -> Any:
    """A sound value in which one thing is replaced by junk, taken out or added."""
    spoilt_value = deepcopy(sound)
    places = list(_places(spoilt_value))
    container, key = draw(st.sampled_from(places))
    match draw(st.integers(0, 3)):
        case 0 if isinstance(container, list):
            container.insert(key, draw(values))
        case 0:
            container[draw(names)] = draw(values)
        case 1:
            del container[key]
        case _:
            container[key] = draw(values)
    return spoilt_value


def _places(value: Any) -> Any:
    """Every container within a value, with every key of it."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in children:
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)
