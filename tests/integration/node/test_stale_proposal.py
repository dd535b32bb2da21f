"""A proposal that two thirds have prevoted is decided, however long the network stood still before it could be.

All four nodes die when three have prevoted a block and one of these knows it. By the time they are back the
block is older than the clock skew allows, and not all come back at once.
Cites docs/spec/node.md: N-5, N-181.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from node import link
from node.specification import CLOCK_SKEW_MAX_SECONDS_DEFAULT
from support.engine_binary import engine_binary
from support.settlement_network import ALPHA
from support.validator_processes import (
    Sender,
    Validator,
    ValidatorNetwork,
    await_that,
    make_network,
    running_network,
    send,
)

pytestmark = pytest.mark.slow

ANSWER_SECONDS_MAX: Final = 5
WAITING_SECONDS: Final = 0.3
"""Without an answer for so long, an engine waits for its core: it answers no question about its round meanwhile."""

GOSSIP_SECONDS: Final = 0.5
"""In which a vote has reached every engine there is: it is on its way after some hundredths."""

STALE_SECONDS: Final = CLOCK_SKEW_MAX_SECONDS_DEFAULT + 2
QUIET, PREVOTED, PRECOMMITTED = 2, 4, 6
"""The steps of a round, as CometBFT numbers them; in the first it waits for a transaction."""


@dataclass(frozen=True, slots=True)
class Round:
    """Where one engine stands in the making of the next block."""

    height: int
    number: int
    step: int
    proposer: str
    prevotes: int
    """Of the first round, for whatever; so are the precommits."""
    precommits: int
    locked: str
    """Hash of the block that it holds to, or nothing."""


def round_of(validator: Validator, answer_seconds_max: float = ANSWER_SECONDS_MAX) -> Round:
    """Where its engine stands; raises `httpx.HTTPError` where it does not answer."""
    transport = httpx.HTTPTransport(uds=str(link.socket_path(validator.data, "engine")))
    with httpx.Client(transport=transport, timeout=answer_seconds_max) as client:
        state = client.get("http://engine/consensus_state").json()["result"]["round_state"]
    height, number, step = map(int, state["height/round/step"].split("/"))
    prevotes, precommits = (
        state["height_vote_set"][0][f"{kind}_bit_array"].partition("}")[0].count("x")
        for kind in ("prevotes", "precommits")
    )
    return Round(
        height=height,
        number=number,
        step=step,
        proposer=state["proposer"]["address"].lower(),
        prevotes=prevotes,
        precommits=precommits,
        locked=state["locked_block_hash"],
    )


def waits_for_its_core(validator: Validator) -> bool:
    """Whether its engine has asked its core what it thinks of a block."""
    try:
        round_of(validator, WAITING_SECONDS)
    except httpx.TimeoutException:
        return True
    return False


def are_quiet(network: ValidatorNetwork) -> bool:
    """Whether all wait for the same height, and no block that proves the one before is on its way."""
    rounds = [round_of(each) for each in network.validators]
    return {(each.height, each.step) for each in rounds} == {(rounds[0].height, QUIET)}


def reasons_of(validator: Validator) -> set[str]:
    """Why it accepted blocks that it had refused."""
    return {entry["reason"] for entry in validator.events("proposal stands")}


def by_turn(network: ValidatorNetwork) -> list[Validator]:
    """The nodes, the one that proposes the next block first."""
    proposer = round_of(network.validators[0]).proposer
    return sorted(network.validators, key=lambda each: each.address.hex() != proposer)


def test_a_block_that_two_thirds_prevoted_before_a_standstill_is_decided_after_it(
    tmp_path: Path,
) -> None:
    """N-5, N-181."""
    engine_binary()
    with running_network(make_network(tmp_path)) as network:
        alpha = Sender(ALPHA.operating)
        network.await_receipt(send(network.validators[0].running, alpha.next_raw()))
        await_that("all are quiet", lambda: are_quiet(network))
        proposer, second, third, fourth = by_turn(network)
        height = round_of(proposer).height

        # Who comes to which vote is told by which cores answer their engines.
        for each in (second, third, fourth):
            each.running.process.send_signal(signal.SIGSTOP)
        transaction_hash = send(proposer.running, alpha.next_raw())
        proposed_at = time.monotonic()
        await_that("it has prevoted", lambda: round_of(proposer).step >= PREVOTED)
        for each in (second, third, fourth):
            await_that("it has the block", lambda each=each: waits_for_its_core(each))  # type: ignore[misc]
        fourth.kill()
        proposer.kill()
        second.running.process.send_signal(signal.SIGCONT)
        await_that("it has two prevotes", lambda: round_of(second).prevotes == 2)
        time.sleep(GOSSIP_SECONDS)
        second.kill()
        third.running.process.send_signal(signal.SIGCONT)
        await_that("it knows of three prevotes", lambda: round_of(third).locked != "")
        assert round_of(third).height == height, "one precommit does not decide"
        third.kill()
        time.sleep(max(0.0, proposed_at + STALE_SECONDS - time.monotonic()))

        # The fourth, to whom the block is new, refuses it; so neither of the others finds two thirds in time.
        network.start([proposer, fourth])
        await_that("it has both prevotes", lambda: round_of(proposer).prevotes == 2)
        fourth.kill()
        second.start()
        for each in (proposer, second):
            await_that("it has precommitted", lambda each=each: round_of(each).precommits == 2)  # type: ignore[misc]
        found = round_of(proposer)
        assert (found.height, found.step, found.locked) == (height, PRECOMMITTED, "")

        # Without the proposer the fourth is needed, which must accept what it refused.
        proposer.kill()
        fourth.start()
        for each in (second, fourth):
            await_that("the round is over", lambda each=each: round_of(each).number > 0)  # type: ignore[misc]
        third.start()
        network.await_receipt(transaction_hash, (second, third, fourth))
        proposer.start()
        network.await_receipt(send(proposer.running, alpha.next_raw()))
        network.check_agreement()
        assert reasons_of(second) == {"this validator voted for it before its start"}
        assert reasons_of(fourth) == {"more than two thirds have prevoted it"}
        assert not any(each.events("validator_misbehaved") for each in network.validators)
