"""What keeps one call from taking the machine: refused precompiled contracts, and a dry run's watch.

Cites docs/spec/node.md: N-8.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.engine import Call, CallStatus, GenesisAccount, PyEvmEngine, estimate_gas
from node.errors import CoreUnavailable
from node.primitives import Address, Hash32, keccak
from node.specification import PRECOMPILES_KNOWN, PRECOMPILES_REFUSED_DEFAULT
from node.store import MemoryState
from support.transactions import ALICE, RULES, SINK, Draft, block_env

ETHEREUM_RULES = replace(RULES, precompiles_refused=())
ALLOWED = sorted(PRECOMPILES_KNOWN - set(PRECOMPILES_REFUSED_DEFAULT))
GAS_GIVEN = 200_000
LOOPER = Address(b"\xc1" * 20)
# Loops for ever over JUMPDEST: every instruction is charged, none does anything.
LOOPER_CODE = bytes.fromhex("5b600056")
CALLER = Address(b"\xc2" * 20)
# Calls the precompiled contract of its calldata with 50,000 gas, returns whether that succeeded.
CALLER_CODE = bytes.fromhex("6000600060006000600060003561c350f160005260206000f3")

SIGNED = keccak(b"signed")
PARITY, R, S = ALICE.sign(SIGNED)
INPUT_BY_ALLOWED = {
    1: SIGNED + b"".join(word.to_bytes(32, "big") for word in (27 + PARITY, R, S)),
    2: b"abc",
    3: b"abc",
    4: b"abc",
    5: b"".join(word.to_bytes(32, "big") for word in (1, 1, 1)) + b"\x03\x05\x07",
    6: bytes(128),
}
OUTPUT_BY_ALLOWED = {
    1: ALICE.address.rjust(32, b"\0").hex(),
    2: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    3: "0000000000000000000000008eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    4: b"abc".hex(),
    5: "05",
    6: bytes(64).hex(),
}
BLAKE2_ONE_ROUND = (1).to_bytes(4, "big") + bytes(208) + b"\x01"
CALLER_GIVES = 50_000
CALLER_CALLDATA_GAS = 31 * 4 + 16
CALLER_INSTRUCTIONS_GAS = 13 * 3
WARM_ACCOUNT_GAS = 100


class Stop(CoreUnavailable):
    """What the watch of these tests raises."""


class Watch:
    """Lets a number of looks pass, then stops the call."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise Stop


@pytest.fixture(scope="module")
def engine() -> PyEvmEngine:
    return PyEvmEngine(MemoryState())


@pytest.fixture(scope="module")
def root(engine: PyEvmEngine) -> Hash32:
    codes = {LOOPER: LOOPER_CODE, CALLER: CALLER_CODE}
    alloc = {address: GenesisAccount(nonce=1, code=code) for address, code in codes.items()}
    loaded = engine.load_genesis(alloc)
    engine.commit(loaded.handle)
    return loaded.state_root


def number_of(address: int) -> Address:
    return Address(address.to_bytes(20, "big"))


def test_the_chain_refuses_what_the_engine_computes_too_slowly() -> None:
    assert set(PRECOMPILES_REFUSED_DEFAULT) == set(range(0x07, 0x12))
    assert set(ALLOWED) == set(INPUT_BY_ALLOWED)


@pytest.mark.parametrize("number", PRECOMPILES_REFUSED_DEFAULT)
def test_a_refused_precompiled_contract_burns_the_gas_it_is_given(
    engine: PyEvmEngine, root: Hash32, number: int
) -> None:
    raw = Draft(to=number_of(number), gas_limit=GAS_GIVEN).signed_by(ALICE)
    receipt = engine.execute(block_env(), root, [raw]).included[0].receipt
    assert (receipt.succeeded, receipt.gas_used) == (False, GAS_GIVEN)
    call = Call(ALICE.address, number_of(number), gas_limit=GAS_GIVEN)
    outcome = engine.call(block_env(), root, call)
    assert (outcome.status, outcome.data, outcome.gas_used) == (CallStatus.HALTED, b"", GAS_GIVEN)
    assert outcome.halt_reason == "precompiled contract refused by this chain"


@pytest.mark.parametrize("number", ALLOWED)
def test_the_others_answer(engine: PyEvmEngine, root: Hash32, number: int) -> None:
    call = Call(ALICE.address, number_of(number), INPUT_BY_ALLOWED[number])
    outcome = engine.call(block_env(), root, call)
    assert (outcome.status, outcome.data.hex()) == (CallStatus.SUCCEEDED, OUTPUT_BY_ALLOWED[number])


def test_a_contract_sees_a_refusal_as_a_failed_call_and_goes_on(
    engine: PyEvmEngine, root: Hash32
) -> None:
    def caller_says(number: int) -> int:
        call = Call(ALICE.address, CALLER, number.to_bytes(32, "big"))
        outcome = engine.call(block_env(), root, call)
        assert outcome.status is CallStatus.SUCCEEDED
        return int.from_bytes(outcome.data, "big")

    succeeded = [caller_says(number) for number in sorted(PRECOMPILES_KNOWN)]
    assert succeeded == [int(number in ALLOWED) for number in sorted(PRECOMPILES_KNOWN)]


def test_a_refused_address_stays_warm(engine: PyEvmEngine, root: Hash32) -> None:
    """Access lists and gas of a call are Prague's; only what is done there differs."""
    call = Call(ALICE.address, CALLER, (0x09).to_bytes(32, "big"))
    own_gas = 21_000 + CALLER_CALLDATA_GAS + CALLER_INSTRUCTIONS_GAS + WARM_ACCOUNT_GAS
    assert engine.call(block_env(), root, call).gas_used == own_gas + CALLER_GIVES


def test_with_the_empty_set_the_rules_are_ethereums(engine: PyEvmEngine, root: Hash32) -> None:
    call = Call(ALICE.address, number_of(0x09), BLAKE2_ONE_ROUND)
    outcome = engine.call(block_env(rules=ETHEREUM_RULES), root, call)
    assert outcome.status is CallStatus.SUCCEEDED
    assert len(outcome.data) == 64
    assert engine.call(block_env(), root, call).status is CallStatus.HALTED


def test_a_watch_ends_a_dry_run_that_would_not_end(engine: PyEvmEngine, root: Hash32) -> None:
    call = Call(ALICE.address, LOOPER, gas_limit=10**15)
    for target in (LOOPER, CALLER):
        nested = replace(call, to=target, data=LOOPER.rjust(32, b"\0"))
        with pytest.raises(Stop):
            engine.call(block_env(), root, nested, watch=Watch(looks=3))
    with pytest.raises(Stop):
        estimate_gas(engine, block_env(), root, call, watch=Watch(looks=3))


def test_a_watch_is_asked_before_a_dry_run_starts(engine: PyEvmEngine, root: Hash32) -> None:
    with pytest.raises(Stop):
        engine.call(block_env(), root, Call(ALICE.address, SINK), watch=Watch(looks=0))


def test_a_watch_that_lets_pass_changes_nothing(engine: PyEvmEngine, root: Hash32) -> None:
    call = Call(ALICE.address, LOOPER, gas_limit=100_000)
    watched = engine.call(block_env(), root, call, watch=Watch(looks=10**9))
    assert watched == engine.call(block_env(), root, call)
