"""What the node says of itself: well only while blocks can be made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.consensus.intake import Intake
from node.errors import CoreUnavailable
from node.pool import Pool, PoolStatus
from node.rpc.health import STALLED_SECONDS_MAX, Health
from support.core import Core, open_core
from support.settlement_network import ALPHA, GENESIS_TIME
from support.transactions import Draft

SENDER = ALPHA.operating


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000

    def __call__(self) -> int:
        return self.seconds


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


@pytest.fixture
def passing() -> Time:
    return Time()


@pytest.fixture
def health(core: Core, passing: Time) -> Health:
    return Health(core.specification, core.history, core.intake, core.clock, passing)


def test_an_idle_node_is_well_however_long_it_is_idle(health: Health, passing: Time) -> None:
    assert health.report()["status"] == "ready"
    passing.seconds += 10 * STALLED_SECONDS_MAX
    assert health.report()["status"] == "ready"


def test_a_node_that_makes_no_block_of_what_waits_is_not_well(
    core: Core, health: Health, passing: Time
) -> None:
    """N-47."""
    core.submit(Draft().signed_by(SENDER))
    assert health.report()["status"] == "ready"
    passing.seconds += STALLED_SECONDS_MAX
    report = health.report()
    assert report["status"] == "unavailable"
    assert f"no block came for {STALLED_SECONDS_MAX} s" in report["reason"]
    core.make_block()
    assert health.report()["status"] == "ready"


def test_a_node_that_makes_blocks_under_load_is_well(
    core: Core, health: Health, passing: Time
) -> None:
    for nonce in range(3):
        core.submit(Draft(nonce=nonce).signed_by(SENDER))
        assert health.report()["status"] == "ready"
        core.make_block()
        passing.seconds += STALLED_SECONDS_MAX


def test_what_waits_behind_a_gap_is_no_stall(core: Core, health: Health, passing: Time) -> None:
    core.submit(Draft(nonce=1).signed_by(SENDER))
    health.report()
    passing.seconds += STALLED_SECONDS_MAX
    assert health.report()["status"] == "ready"


def test_a_clock_behind_the_chain_is_told(core: Core, health: Health) -> None:
    """N-47."""
    skew = core.specification.clock_skew_max_seconds
    core.clock.seconds = GENESIS_TIME - skew
    assert health.report()["status"] == "ready"
    assert health.report()["clock_behind_seconds"] == skew
    core.clock.seconds -= 1
    report = health.report()
    assert report["status"] == "unavailable"
    assert "clock" in report["reason"]


class SilentIntake(Intake):
    """A core that does not answer."""

    def pool_status(self) -> PoolStatus:
        raise CoreUnavailable


def test_a_node_without_its_core_is_not_well(core: Core) -> None:
    health = Health(
        core.specification, core.history, SilentIntake(core.application, Pool()), core.clock
    )
    assert health.report()["status"] == "unavailable"
