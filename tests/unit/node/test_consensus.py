"""The application and the embedded engine: what is proposed, decided, executed and kept.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from eth_abi.abi import encode
from structlog.testing import capture_logs

import contracts
from node.chain import Chain
from node.consensus.application import Application, decode_time_record, encode_time_record
from node.consensus.intake import Intake
from node.consensus.solo import SoloEngine
from node.engine import SkipReason
from node.errors import (
    GenesisMismatch,
    InsufficientFunds,
    InvariantBroken,
    NonceTooLow,
    ProposalRejected,
    Rejected,
    RulesUnknown,
    SenderNotPermitted,
    TransactionAlreadyKnown,
    WrongChainId,
)
from node.permissions import Permissions
from node.pool import Pool, PooledTransaction, PoolStatus
from node.primitives import keccak
from node.specification import Rules
from node.store import MemoryState
from support.core import Core, open_core
from support.settlement_network import ALPHA, BETA, GENESIS_TIME, OPERATOR
from support.transactions import ALICE, Draft

SENDER = ALPHA.operating
OTHER = BETA.operating
BYTES_MAX = 1_000_000
CLOCK_SKEW_MAX = 10


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


def suspend_alpha() -> bytes:
    """The operator's transaction that suspends Alpha."""
    data = keccak(b"suspend(bytes20,uint40)")[:4] + encode(["bytes20", "uint40"], [ALPHA.lei, 0])
    draft = Draft(to=contracts.REGISTRY_ADDRESS, data=data, gas_limit=300_000)
    return draft.signed_by(OPERATOR.operating)


def test_a_block_is_made_from_what_waits_and_its_transactions_are_found(core: Core) -> None:
    raw = Draft().signed_by(SENDER)
    transaction_hash = core.send(raw)
    header = core.history.head()
    assert header.number == 1
    found = core.history.transaction(transaction_hash)
    assert found is not None
    assert (found.raw, found.number, found.sender) == (raw, 1, SENDER.address)
    assert core.tips == [core.chain.tip]
    assert core.intake.pool_status() == PoolStatus(executable=0, waiting=0)
    assert core.intake.next_nonce(SENDER.address) == 1


def test_the_application_hash_is_the_newest_blocks_hash(core: Core) -> None:
    """N-4."""
    core.send(Draft().signed_by(SENDER))
    info = core.application.info()
    assert (info.last_height, info.app_hash) == (1, core.history.head().hash)


def test_a_height_without_a_transaction_makes_no_block(core: Core) -> None:
    """N-3."""
    assert core.finalize() == ()
    assert core.finalize(encode_time_record(GENESIS_TIME + 5)) == (0,)
    assert core.finalize(b"junk") == (SkipReason.TYPE_UNSUPPORTED,)
    assert core.chain.tip.height == 3
    assert core.history.head().number == 0
    assert core.history.checkpoint().height == 3
    core.send(Draft().signed_by(SENDER))
    assert (core.chain.tip.height, core.history.head().number) == (5, 1)


def test_block_time_is_the_record_clamped_to_the_parents(core: Core) -> None:
    """N-5."""
    first, second = (Draft(nonce=nonce).signed_by(SENDER) for nonce in range(2))
    core.finalize(encode_time_record(GENESIS_TIME + 60), first)
    assert core.history.head().timestamp == GENESIS_TIME + 60
    core.finalize(encode_time_record(GENESIS_TIME - 60), second)
    assert core.history.head().timestamp == GENESIS_TIME + 60


def test_the_proposer_puts_its_clock_first_and_leaves_out_what_no_block_may_hold(
    core: Core,
) -> None:
    core.clock.seconds = GENESIS_TIME + 7
    good = Draft().signed_by(SENDER)
    stranger, gap = Draft().signed_by(ALICE), Draft(nonce=2).signed_by(OTHER)
    proposal = core.application.prepare_proposal([stranger, gap, good, good, b""], BYTES_MAX)
    assert proposal == (encode_time_record(GENESIS_TIME + 7), good)
    assert core.application.prepare_proposal([stranger], BYTES_MAX) == ()
    core.application.process_proposal(proposal)
    core.application.process_proposal(())


def test_a_proposal_keeps_to_the_bytes_it_is_given(core: Core) -> None:
    raws = [Draft(nonce=nonce).signed_by(SENDER) for nonce in range(3)]
    bytes_max = 10 + len(raws[0]) + len(raws[1])
    assert core.application.prepare_proposal(raws, bytes_max)[1:] == tuple(raws[:2])


@pytest.mark.parametrize("skew", [-CLOCK_SKEW_MAX, CLOCK_SKEW_MAX])
def test_a_validator_accepts_a_time_as_far_from_its_clock_as_the_skew_and_no_further(
    core: Core, skew: int
) -> None:
    """N-5."""
    seconds = GENESIS_TIME + 100
    core.clock.seconds = seconds
    raw = Draft().signed_by(SENDER)
    core.application.process_proposal([encode_time_record(seconds + skew), raw])
    past = seconds + skew + (1 if skew > 0 else -1)
    with pytest.raises(ProposalRejected, match="too far"):
        core.application.process_proposal([encode_time_record(past), raw])


@pytest.mark.parametrize(
    ("seconds", "raws", "reason"),
    [
        (None, [Draft().signed_by(SENDER)], "time record"),
        (GENESIS_TIME, [], "without a transaction"),
        (GENESIS_TIME - 1, [Draft().signed_by(SENDER)], "before the parent"),
        (GENESIS_TIME + CLOCK_SKEW_MAX + 1, [Draft().signed_by(SENDER)], "too far"),
        (GENESIS_TIME, [Draft().signed_by(ALICE)], "not permitted"),
        (GENESIS_TIME, [Draft(nonce=1).signed_by(SENDER)], "nonce"),
        (GENESIS_TIME, [Draft(value=1).signed_by(SENDER)], "insufficient funds"),
        (GENESIS_TIME, [Draft(chain_id=5).signed_by(SENDER)], "chain id"),
        (GENESIS_TIME, [b"\x00\x01" + bytes(8)], "not supported"),
        (
            GENESIS_TIME,
            [Draft(nonce=n, gas_limit=16_000_000).signed_by(SENDER) for n in range(2)],
            "gas limit",
        ),
    ],
)
def test_a_validator_refuses_a_proposal(
    core: Core, seconds: int | None, raws: list[bytes], reason: str
) -> None:
    """N-5, N-10, N-11."""
    record = [] if seconds is None else [encode_time_record(seconds)]
    with pytest.raises(ProposalRejected, match=reason):
        core.application.process_proposal([*record, *raws])


def test_a_stranger_is_refused_at_the_door_and_skipped_if_decided(core: Core) -> None:
    """N-11."""
    raw = Draft().signed_by(ALICE)
    with pytest.raises(SenderNotPermitted) as refusal:
        core.submit(raw)
    assert refusal.value.sender == ALICE.address
    assert core.application.check_tx(raw) == SkipReason.SENDER_NOT_PERMITTED
    assert core.finalize(raw) == (SkipReason.SENDER_NOT_PERMITTED,)


def test_only_an_operator_creates_contracts(core: Core) -> None:
    """N-11."""
    creation = Draft(to=None, data=b"\x00", gas_limit=100_000)
    with pytest.raises(SenderNotPermitted):
        core.submit(creation.signed_by(SENDER))
    transaction_hash = core.send(creation.signed_by(OPERATOR.operating))
    receipt = core.history.receipt(transaction_hash)
    assert receipt is not None
    assert receipt.receipt.succeeded


def test_a_verdict_is_taken_on_the_parents_state(core: Core) -> None:
    """A suspension in a block takes effect in the next one; N-11."""
    last, late = (Draft(nonce=nonce).signed_by(SENDER) for nonce in range(2))
    record = encode_time_record(GENESIS_TIME)
    assert core.finalize(record, suspend_alpha(), last) == (0, 0, 0)
    assert core.finalize(record, late) == (0, SkipReason.SENDER_NOT_PERMITTED)
    with pytest.raises(SenderNotPermitted):
        core.submit(late)


def test_what_became_impossible_leaves_the_pool_when_its_block_is_made(core: Core) -> None:
    core.submit(Draft().signed_by(SENDER))
    core.submit(Draft().signed_by(OTHER))
    core.finalize(encode_time_record(GENESIS_TIME), suspend_alpha())
    core.make_block()
    assert [core.chain.nonce_of(sender.address) for sender in (SENDER, OTHER)] == [0, 1]
    assert core.intake.pool_status() == PoolStatus(executable=0, waiting=0)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (Draft(chain_id=1).signed_by(SENDER), WrongChainId),
        (Draft(value=1).signed_by(SENDER), InsufficientFunds),
        (Draft(max_fee_per_gas=1).signed_by(SENDER), InsufficientFunds),
    ],
)
def test_the_intake_refuses_by_name(core: Core, raw: bytes, error: type[Rejected]) -> None:
    with pytest.raises(error):
        core.submit(raw)


def test_a_transaction_is_taken_once(core: Core) -> None:
    raw = Draft().signed_by(SENDER)
    core.submit(raw)
    with pytest.raises(TransactionAlreadyKnown):
        core.submit(raw)
    core.make_block()
    with pytest.raises(NonceTooLow):
        core.submit(raw)
    assert core.finalize(raw) == (SkipReason.NONCE_TOO_LOW,)


def test_a_refused_proposal_of_our_own_changes_nothing(core: Core) -> None:
    """The machine's clock fell back past the newest block."""
    core.clock.seconds = GENESIS_TIME + 100
    core.send(Draft().signed_by(SENDER))
    core.clock.seconds = GENESIS_TIME
    core.submit(Draft(nonce=1).signed_by(SENDER))
    with pytest.raises(ProposalRejected):
        core.make_block()
    assert core.intake.pool_status().executable == 1
    core.clock.seconds = GENESIS_TIME + 100
    core.make_block()
    assert core.history.head().number == 2


def with_rules(core: Core, *later: Rules) -> Chain:
    """The core's chain under a schedule that goes on with these rules."""
    first = core.specification.schedule[0]
    return Chain(
        store=core.store,
        engine=core.engine,
        specification=replace(core.specification, schedule=(first, *later)),
        permissions=Permissions(core.engine),
    )


def test_a_node_stops_before_the_first_block_whose_rules_it_does_not_know(core: Core) -> None:
    """N-7."""
    chain = with_rules(core, Rules(from_number=2, fork="osaka"))
    raws = [Draft(nonce=nonce).signed_by(SENDER) for nonce in range(2)]
    chain.execute(raws[:1], height=1, timestamp=GENESIS_TIME)
    tip = chain.commit()
    assert tip.header.number == 1
    for act in (
        lambda: chain.execute(raws[1:], height=2, timestamp=GENESIS_TIME),
        lambda: chain.propose(raws[1:], timestamp=GENESIS_TIME),
        lambda: chain.verify(raws[1:], timestamp=GENESIS_TIME),
        lambda: chain.check(raws[1], timestamp=GENESIS_TIME),
    ):
        with pytest.raises(RulesUnknown):
            act()
    assert (chain.tip, core.history.head()) == (tip, tip.header)
    with pytest.raises(RulesUnknown):
        Application(with_rules(core, Rules(from_number=2, fork="osaka")), core.clock).info()


def test_what_no_longer_fits_a_block_leaves_the_pool_instead_of_being_asked_for_ever(
    core: Core,
) -> None:
    smaller = Rules(from_number=2, block_gas_limit=500_000, transaction_gas_limit=500_000)
    application = Application(with_rules(core, smaller), core.clock)
    intake = Intake(application, Pool())
    solo = SoloEngine(application, intake, core.tips.append)
    small = [Draft(nonce=nonce).signed_by(SENDER) for nonce in (0, 2)]
    large = Draft(nonce=1, gas_limit=600_000).signed_by(SENDER)
    for raw in (small[0], large, small[1]):
        intake.submit(raw)
    solo.make_block([entry for entry in intake.await_selection() if entry.raw == small[0]])
    assert core.history.head().number == 1
    selections: list[tuple[PooledTransaction, ...]] = []
    waiting = Thread(target=lambda: selections.append(intake.await_selection()), daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert intake.pool_status() == PoolStatus(executable=0, waiting=1)
    intake.submit(Draft(nonce=1).signed_by(SENDER))
    waiting.join(10)
    assert [len(selection) for selection in selections] == [2]


@pytest.mark.parametrize(("seconds_back", "warnings"), [(0, []), (100, [100])])
def test_a_clock_behind_the_newest_block_is_reported_at_the_start(
    core: Core, seconds_back: int, warnings: list[int]
) -> None:
    core.clock.seconds = GENESIS_TIME + 100
    core.send(Draft().signed_by(SENDER))
    core.clock.seconds -= seconds_back
    assert core.application.clock_lag_seconds() == seconds_back
    core.solo.stop()
    with capture_logs() as logs:
        core.solo.run()
    found = [entry for entry in logs if entry["event"] == "clock_behind_newest_block"]
    assert [entry["seconds"] for entry in found] == warnings


def test_nothing_is_written_before_commit_and_a_height_may_be_executed_again(core: Core) -> None:
    """N-30."""
    entries = [encode_time_record(GENESIS_TIME + 1), Draft().signed_by(SENDER)]
    first = core.application.finalize_block(1, entries)
    assert core.history.head().number == 0
    second = core.application.finalize_block(1, entries)
    assert first == second
    core.application.commit()
    assert core.history.head().hash == second.app_hash
    with pytest.raises(InvariantBroken):
        core.application.commit()
    with pytest.raises(InvariantBroken):
        core.application.finalize_block(1, entries)


def test_a_core_goes_on_where_its_directory_stands(tmp_path: Path) -> None:
    state = MemoryState()
    core = open_core(tmp_path / "chain", state=state)
    core.send(Draft().signed_by(SENDER))
    tip = core.chain.tip
    core.store.close()
    reopened = open_core(tmp_path / "chain", state=state)
    assert reopened.chain.tip == tip
    reopened.send(Draft(nonce=1).signed_by(SENDER))
    assert reopened.history.head().parent_hash == tip.header.hash
    reopened.store.close()


def test_another_chains_genesis_is_refused(core: Core) -> None:
    assert core.application.init_chain(core.history.head().hash) == core.history.head().hash
    with pytest.raises(GenesisMismatch):
        core.application.init_chain(bytes(32))


@pytest.mark.parametrize(
    "entry", [b"", b"\x00\x01", b"\x00\x01" + bytes(9), b"\x00\x02" + bytes(8)]
)
def test_only_ten_bytes_with_the_prefix_are_a_time_record(entry: bytes) -> None:
    assert decode_time_record(entry) is None
    assert decode_time_record(encode_time_record(2**64 - 1)) == 2**64 - 1
