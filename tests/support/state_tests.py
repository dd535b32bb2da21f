"""EVM state tests as Ethereum publishes them (GeneralStateTests, execution-spec-tests), run through our engine.

A case is one entry of a test's `post`: a state, one transaction, and the state's root and the hash of the logs after
it. Cases of Prague are run; where a test has none, those of Cancun are, since the rules between the two changed little
that a state test sees, and a case that shows such a change is left out. The engine runs them under rules that refuse
no precompiled contract, with the test's block gas limit and base fee.

What this chain refuses is left out: types 3 and 4. A legacy transaction without EIP-155 is signed anew with the test's
own key, which changes nothing that the EVM sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from node.engine import BlockEnv, Executed, GenesisAccount, PyEvmEngine, SkipReason, TracedBlock
from node.engine.trace import StructLogOptions, StructTrace
from node.errors import TraceTooLarge
from node.primitives import Address, Hash32, encode_rlp, keccak
from node.specification import Rules
from node.store import MemoryState
from node.transaction import Transaction, decode_transaction, gas_limit_min, intrinsic_gas
from support.transactions import Draft, Key

PRAGUE: Final = "Prague"
CANCUN: Final = "Cancun"
CHAIN_ID: Final = 1
TYPES_REFUSED: Final = (3, 4)
GAS_LIMIT_MAX: Final = 2**63 - 1
BLOB_UPDATE_FRACTION: Final = 3_338_477
"""Cancun's; no test of Prague here has an excess of blob gas."""
ADDRESS_MASK: Final = 2**160 - 1
ADDRESS_DEPTH_BY_INSTRUCTION: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BALANCE", "EXTCODESIZE", "EXTCODECOPY", "EXTCODEHASH", "SELFDESTRUCT"), 0),
    **dict.fromkeys(("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"), 1),
}
"""Where on the stack an instruction finds the account it touches, from the top."""
BIG_VALUE: Final = ":bigint"
PRECOMPILES_NEW: Final = range(0x0B, 0x12)
"""Addresses that became precompiled contracts between Cancun and Prague (EIP-2537)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of a test's `post`."""

    path: Path
    name: str
    fork: str
    position: int

    @property
    def label(self) -> str:
        """What a report calls it."""
        return f"{self.path.stem}/{self.name.rpartition('::')[2]}/{self.fork}/{self.position}"


class Verdict(Enum):
    """How a case went."""

    PASSED = "passed"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went, and why."""

    verdict: Verdict
    reason: str = ""


def cases_under(directory: Path) -> Iterator[Case]:
    """Every case under a directory that a Prague engine can judge, in the order of the files' names."""
    for path in sorted(directory.rglob("*.json")):
        document = _load(path)
        if not isinstance(document, dict):
            continue
        for name, test in document.items():
            if not isinstance(test, dict) or not {"env", "pre", "post", "transaction"} <= set(test):
                continue
            fork = next((each for each in (PRAGUE, CANCUN) if each in test["post"]), None)
            if fork is not None:
                for position in range(len(test["post"][fork])):
                    yield Case(path, name, fork, position)


def run_case(case: Case) -> Outcome:
    """Run one case and compare the root of the state and the hash of the logs."""
    test = _load(case.path)[case.name]
    post = test["post"][case.fork][case.position]
    if BIG_VALUE in json.dumps(test["transaction"]):
        return Outcome(Verdict.LEFT_OUT, "the transaction has a field wider than RLP knows it")
    given = _data(post["txbytes"])
    if given[0] in TYPES_REFUSED:
        return Outcome(Verdict.LEFT_OUT, f"type {given[0]} is refused by this chain")
    raw = given if given[0] < 0xC0 else _signed_anew(test["transaction"], post["indexes"])
    ground = _ground_of(test["env"], test["pre"])
    executed = ground.engine.execute(ground.env, ground.root, [raw])
    logs = [log.items() for item in executed.included for log in item.receipt.logs]
    faults = []
    if bool(executed.skipped) != ("expectException" in post):
        faults.append(f"{_words(executed)}, expected {post.get('expectException', 'inclusion')}")
    if executed.state_root != _data(post["hash"]):
        faults.append(f"state root 0x{executed.state_root.hex()}, expected {post['hash']}")
    if keccak(encode_rlp(logs)) != _data(post["logs"]):
        faults.append("the logs differ")
    if not faults:
        return Outcome(Verdict.PASSED)
    change = _change_since_cancun(raw, executed, ground) if case.fork == CANCUN else None
    if change:
        return Outcome(Verdict.LEFT_OUT, change)
    return Outcome(Verdict.FAILED, "; ".join(faults))


@lru_cache(maxsize=4)
def _load(path: Path) -> Any:
    return json.loads(path.read_bytes())


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a case starts from."""

    engine: PyEvmEngine
    env: BlockEnv
    root: Hash32


def _ground_of(env: dict[str, str], pre: dict[str, Any]) -> _Ground:
    engine = PyEvmEngine(MemoryState())
    loaded = engine.load_genesis(
        {Address(_data(address)): _account(fields) for address, fields in pre.items()}
    )
    engine.commit(loaded.handle)
    return _Ground(engine, _block_env(env), loaded.state_root)


def _account(fields: dict[str, Any]) -> GenesisAccount:
    storage = {_number(slot): _number(value) for slot, value in fields["storage"].items()}
    return GenesisAccount(
        balance=_number(fields["balance"]),
        nonce=_number(fields["nonce"]),
        code=_data(fields["code"]),
        storage={slot: value for slot, value in storage.items() if value},
    )


def _block_env(env: dict[str, str]) -> BlockEnv:
    number = _number(env["currentNumber"])
    gas_limit = min(_number(env["currentGasLimit"]), GAS_LIMIT_MAX)
    ancestors = range(number - 1, max(-1, number - 257), -1)
    return BlockEnv(
        chain_id=CHAIN_ID,
        number=number,
        timestamp=_number(env["currentTimestamp"]),
        rules=Rules(
            from_number=0,
            block_gas_limit=gas_limit,
            transaction_gas_limit=gas_limit,
            precompiles_refused=(),
            base_fee_per_gas=_number(env.get("currentBaseFee", "0x0")),
        ),
        # The makers of state tests give block n the hash of its number in decimal.
        ancestor_hashes=tuple(keccak(str(ancestor).encode()) for ancestor in ancestors),
        coinbase=Address(_data(env["currentCoinbase"])),
        prev_randao=Hash32(_number(env.get("currentRandom", "0x0")).to_bytes(32, "big")),
        blob_base_fee=_blob_base_fee(_number(env.get("currentExcessBlobGas", "0x0"))),
    )


def _blob_base_fee(excess_blob_gas: int) -> int:
    """The price of a unit of blob gas (EIP-4844), by its series for e to the excess."""
    total, numerator, step = 0, BLOB_UPDATE_FRACTION, 1
    while numerator > 0:
        total += numerator
        numerator = numerator * excess_blob_gas // (BLOB_UPDATE_FRACTION * step)
        step += 1
    return total // BLOB_UPDATE_FRACTION


def _signed_anew(transaction: dict[str, Any], indexes: dict[str, int]) -> bytes:
    draft = Draft(
        transaction_type=0,
        chain_id=CHAIN_ID,
        nonce=_number(transaction["nonce"]),
        max_fee_per_gas=_number(transaction["gasPrice"]),
        gas_limit=_number(transaction["gasLimit"][indexes["gas"]]),
        to=_data(transaction["to"]) or None,
        value=_number(transaction["value"][indexes["value"]]),
        data=_data(transaction["data"][indexes["data"]]),
    )
    return draft.signed_by(Key(_data(transaction["secretKey"])))


def _change_since_cancun(raw: bytes, executed: Executed, ground: _Ground) -> str | None:
    """The rule by which a case of Cancun differs under Prague, if one does."""
    if executed.skipped and executed.skipped[0].reason is not SkipReason.GAS_BELOW_INTRINSIC:
        return None
    transaction = decode_transaction(raw)
    if _floor(transaction) > _intrinsic(transaction):
        limit, used = transaction.gas_limit, [item.receipt.gas_used for item in executed.included]
        if used == [_floor(transaction)] or _intrinsic(transaction) <= limit < _floor(transaction):
            return "EIP-7623 (Prague): calldata has a higher floor price"
    if executed.included and _touches_new_precompiles(raw, ground):
        return "EIP-2537 (Prague): a touched address is a precompiled contract"
    return None


def _touches_new_precompiles(raw: bytes, ground: _Ground) -> bool:
    """Whether an instruction names an address that Prague made a precompiled contract."""
    block = TracedBlock((raw,), frozenset({0}))
    try:
        (trace,) = ground.engine.trace(
            ground.env, ground.root, block, StructLogOptions(has_storage=False), lambda: None
        )
    except TraceTooLarge:
        return False
    assert isinstance(trace, StructTrace)
    return any(
        step.stack[-1 - depth] & ADDRESS_MASK in PRECOMPILES_NEW
        for step in trace.steps
        if step.stack and (depth := ADDRESS_DEPTH_BY_INSTRUCTION.get(step.op)) is not None
        if len(step.stack) > depth
    )


def _floor(transaction: Transaction) -> int:
    return gas_limit_min(
        transaction.data, creates=transaction.to is None, access_list=transaction.access_list
    )


def _intrinsic(transaction: Transaction) -> int:
    return intrinsic_gas(
        transaction.data, creates=transaction.to is None, access_list=transaction.access_list
    )


def _words(executed: Executed) -> str:
    return f"refused ({executed.skipped[0].error})" if executed.skipped else "included"


def _number(text: str) -> int:
    return int(text, 16) if text != "0x" else 0


def _data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
