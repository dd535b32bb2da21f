"""What is taken over from the engine's history, and how much of it the engine is to keep.

Cites docs/spec/node.md: N-155, N-170, N-177.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from node.config import ConsensusSettings
from node.consensus.cometbft.archivist import Archivist
from node.consensus.cometbft.retention import Retention
from node.consensus.solo import SoloEngine
from node.consensus.witness import Witness
from node.errors import EngineQuestionRefused, SignedHeaderInvalid
from node.primitives import Hash32
from node.signed_header import SignedHeader, Timestamp, sign_header
from node.snapshot import Shelf
from support.core import WITNESS_KEY, Core, open_core
from support.engine_face import open_engine
from support.settlement_network import ALPHA
from support.transactions import Draft

OTHERS = b"\x22" * 32
"""Hash of the set of validators that comes after."""


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    opened.solo = SoloEngine(opened.application, opened.intake, opened.tips.append)
    yield opened
    opened.store.close()


@dataclass(slots=True)
class Engine:
    """The history of an engine in which the validators change in the header of one height."""

    core: Core
    change_height: int = 2
    first_height: int = 1
    asked: list[int] = field(default_factory=list)
    is_forked: bool = False

    def signed_header(self, height: int) -> SignedHeader:
        if height < self.first_height:
            raise EngineQuestionRefused("commit", f"lowest height is {self.first_height}")
        self.asked.append(height)
        witness = Witness(WITNESS_KEY, self.core.application.consensus_chain_id())
        number = height // 2  # a block at each odd height
        block = self.core.history.header(number)
        assert block is not None
        signed = witness.sign(block, height=height - 1, application_version=1)
        header = signed.header
        if height == self.change_height:
            header = replace(header, next_validators_hash=OTHERS)
        if self.is_forked:
            header = replace(header, last_results_hash=OTHERS)
        # Before the next height a node has the votes that it saw; then those that the next block holds.
        seconds = 1 if self.core.application.info().last_height > height else 0
        return sign_header(header, signed.validators, WITNESS_KEY, Timestamp(seconds, 0))


def pass_height(core: Core) -> None:
    """A height without a block, as the one is that follows each block."""
    core.application.finalize_block(core.application.info().last_height + 1, ())
    core.application.commit()


def make_block(core: Core, nonce: int) -> None:
    """A block, and the height that certifies it."""
    core.send(Draft(nonce=nonce).signed_by(ALPHA.operating))
    pass_height(core)


def votes_of_change(core: Core) -> int:
    """The time in the votes for the one change that is kept: 0 as first seen, 1 as all agree."""
    (change,) = core.history.validator_changes()
    return change.commit.signatures[0].time.seconds


def test_a_change_of_validators_is_kept_with_the_votes_that_all_agree_on(core: Core) -> None:
    """N-170. A snapshot of a stopped node then has the bytes of all others."""
    engine = Engine(core)
    archivist = Archivist(core.application, core.store, engine)
    make_block(core, 0)
    assert archivist.catch_up()
    assert votes_of_change(core) == 0
    assert archivist.archived_height == 1, "the votes of height 2 are still to come"
    make_block(core, 1)
    assert archivist.catch_up()
    assert votes_of_change(core) == 1
    assert archivist.archived_height == 3
    asked = len(engine.asked)
    assert archivist.catch_up()
    assert len(engine.asked) == asked, "once is enough"


def test_a_node_that_missed_those_votes_asks_for_them_at_its_next_start(core: Core) -> None:
    """N-170."""
    make_block(core, 0)
    Archivist(core.application, core.store, Engine(core)).catch_up()
    make_block(core, 1)
    make_block(core, 2)
    Archivist(core.application, core.store, Engine(core)).catch_up()
    assert votes_of_change(core) == 1


def test_what_the_engine_has_no_more_stays_as_it_was_seen(core: Core) -> None:
    """N-170."""
    make_block(core, 0)
    Archivist(core.application, core.store, Engine(core)).catch_up()
    make_block(core, 1)
    archivist = Archivist(core.application, core.store, Engine(core, first_height=3))
    assert archivist.catch_up()
    assert votes_of_change(core) == 0
    assert archivist.archived_height == 3


def test_another_header_of_the_same_height_is_not_taken_over(core: Core) -> None:
    """N-155."""
    make_block(core, 0)
    Archivist(core.application, core.store, Engine(core)).catch_up()
    make_block(core, 1)
    archivist = Archivist(core.application, core.store, Engine(core, is_forked=True))
    with pytest.raises(SignedHeaderInvalid):
        archivist.catch_up()
    assert votes_of_change(core) == 0
    assert archivist.archived_height == 0


def test_only_the_changes_above_a_height_are_read(core: Core) -> None:
    engine = Engine(core)
    make_block(core, 0)
    core.store.certify({1: engine.signed_header(2)})
    for above, count in ((0, 1), (1, 1), (2, 0), (9, 0)):
        assert len(core.history.validator_changes(above=above)) == count


def archived(core: Core, blocks: int) -> Archivist:
    """An archivist who has kept all that certifies so many blocks."""
    for nonce in range(blocks):
        make_block(core, nonce)
    archivist = Archivist(core.application, core.store, Engine(core, change_height=0))
    assert archivist.catch_up()
    assert archivist.archived_height == 2 * blocks - 1
    return archivist


def test_the_engine_lets_go_of_what_is_archived_and_far_enough_back(
    core: Core, tmp_path: Path
) -> None:
    """N-177."""
    archivist, shelf = archived(core, 20), Shelf(tmp_path / "snapshots")
    assert Retention(10, archivist, shelf).first_kept(40) == 31
    assert Retention(39, archivist, shelf).first_kept(40) == 2
    assert Retention(40, archivist, shelf).first_kept(40) == 0
    assert Retention(10, archivist, shelf).first_kept(500) == 40, "no further than what is archived"
    assert Retention(0, archivist, shelf).first_kept(500) == 0, "unless it is told to, it keeps all"


def test_nothing_goes_before_it_is_known_what_is_archived(core: Core, tmp_path: Path) -> None:
    """N-177."""
    archivist = Archivist(core.application, core.store, Engine(core))
    assert Retention(10, archivist, Shelf(tmp_path / "snapshots")).first_kept(500) == 0


def test_what_follows_the_oldest_snapshot_stays(core: Core, tmp_path: Path) -> None:
    """N-177. Also before the snapshots were inspected, as at each start."""
    archivist, made = archived(core, 20), Shelf(tmp_path / "snapshots")
    for height in (9, 17):
        made.put(
            height=height,
            number=height // 2 + 1,
            genesis_hash=Hash32(bytes(32)),
            app_hash=Hash32(bytes(32)),
            chunks=[b"chunk"],
        )
    (tmp_path / "snapshots" / "making-3").mkdir()
    for shelf in (made, Shelf(tmp_path / "snapshots")):
        assert Retention(10, archivist, shelf).first_kept(40) == 9


def test_the_engine_is_told_with_each_commit(tmp_path: Path) -> None:
    """N-177."""
    engine = open_engine(tmp_path / "chain")
    told = []
    for _ in range(12):
        engine.finalize()
        told.append(engine.ask(commit={}).retain_height)
    assert told == [*[0] * 10, 1, 2]
    engine.core.store.close()


def test_a_history_too_short_for_a_peer_that_was_away_is_refused() -> None:
    """N-177."""
    assert ConsensusSettings(history_heights=100).history_heights == 100
    with pytest.raises(ValueError, match="neither 0 nor at least 100"):
        ConsensusSettings(history_heights=99)
