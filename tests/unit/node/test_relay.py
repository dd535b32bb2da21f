"""What the pool hands to the engine's mempool, until it is in a block.

Cites docs/spec/node.md: N-149.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.relay import AGAIN_SECONDS, DOUBT_SECONDS, HELD_MAX, Relay
from node.errors import (
    EngineUnavailable,
)
from node.primitives import keccak
from support.engine_face import Engine, open_engine
from support.settlement_network import ALPHA, BETA
from support.transactions import Draft


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "chain")
    yield opened
    opened.core.store.close()


def transfer(nonce: int = 0, key: Any = ALPHA.operating) -> bytes:
    return Draft(nonce=nonce).signed_by(key)


class Mempool:
    """The engine's way in, as a test makes it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.batches: list[list[bytes]] = []
        self.fault: str | None = None
        self.is_reachable = True
        self.loses = False

    def broadcast(self, raws: Any) -> list[str | None]:
        if not self.is_reachable:
            raise EngineUnavailable("broadcast_tx_async", "gone")
        self.batches.append(list(raws))
        if self.fault is None and not self.loses:
            assert all(self.engine.check(raw).code == 0 for raw in raws)
        return [self.fault] * len(raws)


def test_what_is_executable_is_handed_over_once_and_in_order(engine: Engine) -> None:
    """N-149."""
    mempool = Mempool(engine)
    relay = Relay(engine.core.intake, engine.held, mempool)
    raws = [transfer(nonce) for nonce in range(3)]
    for raw in (raws[0], raws[2], raws[1]):
        engine.core.submit(raw)
    engine.core.submit(transfer(5))
    assert relay._hand_over()
    assert mempool.batches == [raws]
    engine.core.intake.close()
    assert relay._hand_over()
    assert mempool.batches == [raws]


def test_what_the_engine_refused_or_lost_is_handed_over_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-149."""
    now = [100.0]
    monkeypatch.setattr("node.consensus.cometbft.relay.time.monotonic", lambda: now[0])
    mempool = Mempool(engine)
    relay = Relay(engine.core.intake, engine.held, mempool)
    raw = transfer()
    engine.core.submit(raw)
    engine.core.intake.close()
    mempool.fault = "mempool is full"
    assert not relay._hand_over()
    mempool.fault, mempool.loses = None, True
    assert relay._hand_over()
    assert relay._hand_over()
    assert mempool.batches == [[raw]] * 2, "what was taken is given some time to arrive"
    now[0] += AGAIN_SECONDS + 0.1
    mempool.loses = False
    assert relay._hand_over()
    assert mempool.batches == [[raw]] * 3
    engine.conversation = engine.face.open()
    engine.ask(info=abci.InfoRequest(abci_version="2.0.0"))
    now[0] += AGAIN_SECONDS + 0.1
    assert relay._hand_over()
    assert mempool.batches == [[raw]] * 4, "a restarted engine has nothing"


def test_what_was_handed_over_long_ago_is_forgotten_though_another_goes_again_and_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-149."""
    now = [100.0]
    monkeypatch.setattr("node.consensus.cometbft.relay.time.monotonic", lambda: now[0])
    mempool = Mempool(engine)
    relay = Relay(engine.core.intake, engine.held, mempool)
    lost, decided = transfer(), transfer(0, BETA.operating)
    mempool.loses = True
    engine.core.submit(lost)
    assert relay._hand_over()
    mempool.loses = False
    engine.core.submit(decided)
    assert relay._hand_over()
    engine.decide(*engine.prepare(decided))
    mempool.loses = True
    while now[0] < 100 + 3 * DOUBT_SECONDS:
        now[0] += AGAIN_SECONDS + 0.1
        assert relay._hand_over()
    assert set(relay._sent_at) == {keccak(lost)}


def test_a_full_mempool_gets_no_more(engine: Engine) -> None:
    """N-149."""
    mempool = Mempool(engine)
    relay = Relay(engine.core.intake, engine.held, mempool)
    for number in range(HELD_MAX):
        engine.held.add(keccak(number.to_bytes(4, "big")))
    engine.core.submit(transfer())
    assert not relay._hand_over()
    assert mempool.batches == []
