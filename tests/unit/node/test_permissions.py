"""Verdicts on senders: asked of the registry once, remembered while it stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.engine import AccountOverride, BlockEnv, Call, CallOutcome, CallStatus, PyEvmEngine
from node.permissions import ParentState, Permissions
from node.primitives import Address, Hash32
from node.store import MemoryState, StateValues
from support.core import Core, open_core
from support.settlement_network import ALPHA, GENESIS_TIME, MAKER, OPERATOR
from support.transactions import ALICE, SINK, block_env


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
    ) -> CallOutcome:
        self.calls += 1
        return self.answer or super().call(env, root, call, overrides)


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
