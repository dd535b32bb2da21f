"""Verdicts on senders: asked of the registry once, remembered while it stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import contracts
from node.engine import (
    AccountOverride,
    BlockEnv,
    Call,
    CallOutcome,
    CallStatus,
    GenesisAccount,
    PyEvmEngine,
)
from node.permissions import IMPLEMENTATION_SLOT, ParentState, Permissions
from node.primitives import Address, Hash32
from node.store import MemoryState, StateValues
from support.core import Core, open_core, suspension_of
from support.settlement_network import ALPHA, GENESIS_TIME, MAKER, OPERATOR
from support.transactions import ALICE, SINK, block_env

OPENS_AT = GENESIS_TIME + 100
# A proxy: delegates to the implementation in its ERC-1967 slot and returns 64 bytes of its answer.
DELEGATING_CODE = bytes.fromhex(
    "6040600060006000" + f"7f{IMPLEMENTATION_SLOT:064x}54" + "5af450" + "60406000f3"
)
# Answers (true, the largest time) and (false, the largest time).
YES_CODE = bytes.fromhex("6001600052" + "67ffffffffffffffff602052" + "60406000f3")
NO_CODE = bytes.fromhex("6000600052" + "67ffffffffffffffff602052" + "60406000f3")


class CountingEngine(PyEvmEngine):
    """The engine, counting its calls; answers what it is told to, if anything."""

    def __init__(self, store: StateValues) -> None:
        super().__init__(store)
        self.calls = 0
        self.answer: CallOutcome | None = None

    def call(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        overrides: Mapping[Address, AccountOverride] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> CallOutcome:
        self.calls += 1
        return self.answer or super().call(env, root, call, overrides, watch)


class TimedEngine(CountingEngine):
    """A registry that admits everybody from OPENS_AT on, and says no limit to either answer."""

    def call(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        overrides: Mapping[Address, AccountOverride] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> CallOutcome:
        is_open = int(env.timestamp >= OPENS_AT)
        data = is_open.to_bytes(32, "big") + (2**64 - 1).to_bytes(32, "big")
        self.answer = CallOutcome(CallStatus.SUCCEEDED, data, 0)
        return super().call(env, root, call, overrides, watch)


@pytest.fixture
def state() -> MemoryState:
    return MemoryState()


@pytest.fixture
def core(tmp_path: Path, state: MemoryState) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain", state=state)
    yield opened
    opened.store.close()


@pytest.fixture
def engine(state: MemoryState) -> CountingEngine:
    return CountingEngine(state)


@pytest.fixture
def parent(core: Core) -> ParentState:
    return ParentState(block_env(1, GENESIS_TIME), core.history.head().state_root)


@pytest.mark.parametrize(
    ("sender", "target", "is_allowed"),
    [
        (ALPHA.operating, SINK, True),
        (MAKER.account("quoting"), SINK, True),
        (ALPHA.settlement, SINK, False),
        (ALICE, SINK, False),
        (ALPHA.operating, None, False),
        (OPERATOR.operating, None, True),
    ],
)
def test_the_registry_decides(
    engine: CountingEngine, parent: ParentState, sender: Any, target: Any, is_allowed: bool
) -> None:
    """N-11."""
    assert Permissions(engine).is_allowed(sender.address, target, parent) is is_allowed


def test_a_verdict_is_asked_once_for_all_targets_but_creation(
    engine: CountingEngine, parent: ParentState
) -> None:
    permissions = Permissions(engine)
    for target in (SINK, Address(bytes(19) + b"\1"), SINK):
        assert permissions.is_allowed(ALPHA.operating.address, target, parent)
    assert engine.calls == 1
    permissions.is_allowed(ALPHA.operating.address, None, parent)
    assert engine.calls == 2


def test_a_verdict_is_asked_again_after_its_time(
    engine: CountingEngine, parent: ParentState
) -> None:
    permissions = Permissions(engine)
    until = (1).to_bytes(32, "big") + (GENESIS_TIME + 5).to_bytes(32, "big")
    engine.answer = CallOutcome(CallStatus.SUCCEEDED, until, 0)
    for seconds, calls in ((0, 1), (5, 1), (6, 2)):
        later = replace(parent, env=block_env(1, GENESIS_TIME + seconds))
        assert permissions.is_allowed(ALICE.address, SINK, later)
        assert engine.calls == calls


def test_a_node_that_was_asked_about_a_later_time_answers_like_one_that_was_not(
    state: MemoryState, parent: ParentState
) -> None:
    """N-6, N-11: what a proposal made this node ask must not change what it executes."""
    warm, cold = Permissions(TimedEngine(state)), Permissions(TimedEngine(state))
    late = replace(parent, env=block_env(1, OPENS_AT))
    early = replace(parent, env=block_env(1, OPENS_AT - 1))
    assert warm.is_allowed(ALICE.address, SINK, late)
    verdicts = [each.is_allowed(ALICE.address, SINK, early) for each in (warm, cold)]
    assert verdicts == [False, False]


def test_a_scheduled_suspension_takes_effect_and_ends_at_its_second(
    core: Core, engine: CountingEngine
) -> None:
    """N-11, REG-8. One state; remembered as long as the registry says, and no longer."""
    begins = GENESIS_TIME + 100
    core.send(suspension_of(ALPHA, effective_at=begins))
    permissions, root = Permissions(engine), core.history.head().state_root
    verdicts = []
    for timestamp in (GENESIS_TIME, begins - 1, begins, begins + 10**6, begins - 1):
        at_time = ParentState(block_env(2, timestamp), root)
        verdicts.append(permissions.is_allowed(ALPHA.operating.address, SINK, at_time))
    assert verdicts == [True, True, False, False, True]
    assert engine.calls == 3


def test_a_verdict_dies_with_the_registers_code_even_if_its_storage_stays(
    engine: CountingEngine,
) -> None:
    """N-11. Two states that differ in the code of the implementation and in nothing else."""
    registry, implementation = Address(contracts.REGISTRY_ADDRESS), Address(b"\x1a" * 20)
    storage = {IMPLEMENTATION_SLOT: int.from_bytes(implementation, "big")}

    def root_with(code: bytes) -> Hash32:
        proxy = GenesisAccount(nonce=1, code=DELEGATING_CODE, storage=storage)
        logic = GenesisAccount(nonce=1, code=code)
        loaded = engine.load_genesis({registry: proxy, implementation: logic})
        engine.commit(loaded.handle)
        return loaded.state_root

    permissions = Permissions(engine)
    env = block_env(1, GENESIS_TIME)
    parents = [ParentState(env, root_with(code)) for code in (YES_CODE, NO_CODE, YES_CODE)]
    verdicts = [permissions.is_allowed(ALICE.address, SINK, parent) for parent in parents]
    assert verdicts == [True, False, True]
    assert engine.calls == 2


@pytest.mark.parametrize(
    "answer",
    [
        CallOutcome(CallStatus.REVERTED, b"", 0),
        CallOutcome(CallStatus.HALTED, b"", 0),
        CallOutcome(CallStatus.SUCCEEDED, b"", 0),
        CallOutcome(CallStatus.SUCCEEDED, (2).to_bytes(32, "big") * 2, 0),
    ],
)
def test_a_registry_that_does_not_answer_admits_nobody(
    engine: CountingEngine, parent: ParentState, answer: CallOutcome
) -> None:
    engine.answer = answer
    assert not Permissions(engine).is_allowed(ALPHA.operating.address, SINK, parent)
