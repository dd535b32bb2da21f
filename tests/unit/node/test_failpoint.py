"""Failpoints kill where they are told to, and nowhere and nobody else.

Cites docs/spec/node.md: N-104.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node import failpoint
from node.errors import FailpointRefused
from node.failpoint import ALLOWED_VARIABLE, FAILPOINT_VARIABLE, Failpoint

ROOT = Path(__file__).parents[3]

PROGRAM = """
import os
from node import failpoint
from node.failpoint import Failpoint
failpoint.arm(os.environ, is_development=True)
for turn in range(4):
    print(turn, flush=True)
    for each in Failpoint:
        failpoint.visit(each)
print("alive", flush=True)
"""


def lived(text: str | None) -> tuple[int, list[str]]:
    """How a process under a setting ended, and what it said before."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={FAILPOINT_VARIABLE: text} if text is not None else {},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize(
    ("text", "turns"), [("state-inside", ["0"]), ("state-inside:3", ["0", "1", "2"])]
)
def test_a_process_dies_at_the_failpoint_it_was_told_and_at_that_turn(
    text: str, turns: list[str]
) -> None:
    assert lived(text) == (-signal.SIGKILL, turns)


@pytest.mark.parametrize("text", [None, "state-inside:9"])
def test_without_the_variable_or_before_its_turn_nothing_happens(text: str | None) -> None:
    assert lived(text) == (0, ["0", "1", "2", "3", "alive"])


@pytest.mark.parametrize(
    "text", ["", "nowhere", "state-inside:0", "state-inside:-1", "state-inside:x", "STATE_INSIDE"]
)
def test_an_unknown_failpoint_is_refused_by_name(text: str) -> None:
    with pytest.raises(FailpointRefused) as refusal:
        failpoint.arm({FAILPOINT_VARIABLE: text}, is_development=True)
    assert refusal.value.text == text


def test_a_chain_that_is_not_a_development_one_asks_twice() -> None:
    environment = {FAILPOINT_VARIABLE: Failpoint.PRUNE_SWAPPED.value}
    with pytest.raises(FailpointRefused, match=ALLOWED_VARIABLE):
        failpoint.arm(environment, is_development=False)
    with pytest.raises(FailpointRefused):
        failpoint.arm({**environment, ALLOWED_VARIABLE: "1"}, is_development=False)
    failpoint.arm({**environment, ALLOWED_VARIABLE: "yes"}, is_development=False)
    failpoint.arm({}, is_development=False)  # and disarms it
