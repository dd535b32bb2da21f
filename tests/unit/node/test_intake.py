"""The intake: what is acknowledged is kept, what is kept comes back, and every change is told.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.consensus import intake as intake_module
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.errors import NodeError, NonceTooLow, SenderNotPermitted, TransactionAlreadyKnown
from node.link import Submission
from node.pool import Dropped, DropReason, Pool, PoolEvent, PoolStatus
from node.pool.pool import WAITING_SECONDS_MAX
from node.primitives import keccak
from node.store import PoolStore
from support.core import Core, open_core, suspension_of
from support.settlement_network import ALPHA, BETA
from support.transactions import ALICE, Draft, Key

SENDER = ALPHA.operating
OTHER = BETA.operating


def submission(raw: bytes, key: Key = SENDER) -> Submission:
    return Submission(raw, keccak(raw), key.address)


def with_store(core: Core, path: Path) -> tuple[Intake, PoolStore]:
    """A second intake of a core, over a pool of its own that is kept."""
    store = PoolStore(path)
    return Intake(core.application, Pool(), store), store


def refilled(core: Core, path: Path) -> tuple[Intake, dict[str, int]]:
    """The intake of the next start, and what it said about itself."""
    intake, store = with_store(core, path)
    with capture_logs() as logs:
        intake.restore()
    (said,) = [entry for entry in logs if entry["event"] == "pool_restored"]
    store.close()
    return intake, {name: said[name] for name in ("kept", "executable", "waiting", "refused")}


def test_a_restart_takes_in_again_what_still_may_enter_a_block(tmp_path: Path) -> None:
    """N-72."""
    core = open_core(tmp_path / "chain")
    intake, store = with_store(core, tmp_path / "pool")
    kept = [Draft(nonce=nonce).signed_by(SENDER) for nonce in (2, 0, 1, 9)]
    impossible = Draft().signed_by(OTHER)
    for raw in (*kept, impossible):
        intake.submit(raw)
    store.close()
    core.send(suspension_of(BETA))
    core.send(kept[1])
    again, said = refilled(core, tmp_path / "pool")
    assert said == {"kept": 5, "executable": 2, "waiting": 1, "refused": 1}
    assert [entry.nonce for entry in again.await_selection()] == [1, 2]
    refused = again.standing(keccak(impossible))
    assert isinstance(refused, Dropped)
    assert (refused.sender, refused.reason) == (OTHER.address, DropReason.REFUSED)
    assert "is not permitted" in refused.detail
    _, said = refilled(core, tmp_path / "pool")
    assert said == {"kept": 3, "executable": 2, "waiting": 1, "refused": 0}
    core.store.close()


def test_arrival_order_and_time_outlive_a_restart(tmp_path: Path) -> None:
    """N-72."""
    core = open_core(tmp_path / "chain")
    intake, store = with_store(core, tmp_path / "pool")
    raws = [Draft().signed_by(key) for key in (OTHER, SENDER)]
    intake.submit(Draft(nonce=7).signed_by(SENDER))
    for raw in raws:
        intake.submit(raw)
    store.close()
    core.clock.seconds += WAITING_SECONDS_MAX - 1
    again, said = refilled(core, tmp_path / "pool")
    assert said["waiting"] == 1
    assert [entry.raw for entry in again.await_selection()] == raws
    core.clock.seconds += 1
    again.await_selection()
    assert again.pool_status() == PoolStatus(executable=2, waiting=0)
    core.store.close()


def test_what_a_block_holds_is_no_longer_kept(tmp_path: Path) -> None:
    """N-72."""
    core = open_core(tmp_path / "chain")
    intake, store = with_store(core, tmp_path / "pool")
    intake.submit(Draft().signed_by(SENDER))
    intake.submit(Draft(nonce=2).signed_by(SENDER))
    SoloEngine(core.application, intake, core.tips.append).make_block(intake.await_selection())
    store.close()
    _, said = refilled(core, tmp_path / "pool")
    assert said == {"kept": 1, "executable": 0, "waiting": 1, "refused": 0}
    core.store.close()


def test_many_are_answered_one_by_one_in_order(tmp_path: Path) -> None:
    """N-74."""
    core = open_core(tmp_path / "chain")
    core.send(Draft().signed_by(SENDER))
    first, second = (Draft(nonce=nonce).signed_by(SENDER) for nonce in (1, 2))
    answers = core.intake.submit_many(
        [
            submission(first),
            submission(Draft().signed_by(SENDER)),
            submission(second),
            submission(second),
            submission(Draft().signed_by(ALICE), ALICE),
        ]
    )
    kinds = [type(each) if isinstance(each, NodeError) else each for each in answers]
    refused = [NonceTooLow, TransactionAlreadyKnown, SenderNotPermitted]
    assert kinds == [keccak(first), refused[0], keccak(second), refused[1], refused[2]]
    assert core.intake.pool_status() == PoolStatus(executable=2, waiting=0)
    core.store.close()


def test_every_change_is_told_as_it_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-73."""
    monkeypatch.setattr(intake_module, "EXPIRY_SECONDS", 0.01)
    core = open_core(tmp_path / "chain")
    told: list[PoolEvent] = []
    core.intake.on_events(told.extend)
    core.submit(Draft().signed_by(SENDER))
    core.submit(Draft().signed_by(OTHER))
    core.submit(Draft(nonce=3).signed_by(OTHER))
    core.clock.seconds += WAITING_SECONDS_MAX
    core.make_block()
    core.submit(Draft(nonce=1).signed_by(OTHER))
    core.finalize(Draft(nonce=1, data=b"other").signed_by(OTHER), suspension_of(BETA))
    late = core.submit(Draft(nonce=1).signed_by(SENDER))
    core.make_block()
    seen = [(event.sender, event.nonce, event.dropped_for) for event in told]
    assert seen == [
        (SENDER.address, 0, None),
        (OTHER.address, 0, None),
        (OTHER.address, 3, DropReason.EXPIRED),
        (OTHER.address, 1, None),
        (SENDER.address, 1, None),
        (OTHER.address, 1, DropReason.REFUSED),
    ]
    assert core.history.transaction(late) is not None
    dropped = core.intake.standing(told[-1].transaction_hash)
    assert isinstance(dropped, Dropped)
    assert "is not permitted" in dropped.detail
    core.store.close()
