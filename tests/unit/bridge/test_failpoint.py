"""A bridge dies where a test tells it to, and nowhere else."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.errors import SettingsInvalid
from bridge.failpoint import ALLOWED_VARIABLE, FAILPOINT_VARIABLE, Failpoint, arm, visit

ALLOWED = {ALLOWED_VARIABLE: "yes"}


@pytest.mark.parametrize("text", ["nowhere", "", "sent:0", "sent:-1", "sent:x", "sent:1:2"])
def test_a_failpoint_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsInvalid, match=FAILPOINT_VARIABLE):
        arm({FAILPOINT_VARIABLE: text, **ALLOWED})


@pytest.mark.parametrize("more", [{}, {ALLOWED_VARIABLE: "no"}])
def test_a_failpoint_needs_a_second_word(more: dict[str, str]) -> None:
    with pytest.raises(SettingsInvalid, match=ALLOWED_VARIABLE):
        arm({FAILPOINT_VARIABLE: "sent", **more})


def test_without_the_variable_nothing_dies() -> None:
    arm(ALLOWED)
    for failpoint in Failpoint:
        visit(failpoint)


def test_a_process_dies_at_the_visit_it_was_told() -> None:
    code = (
        "import os\n"
        "from bridge.failpoint import Failpoint, arm, visit\n"
        "arm(os.environ)\n"
        "for number in range(5):\n"
        "    print(number, flush=True)\n"
        "    visit(Failpoint.SENDING)\n"
        "    visit(Failpoint.SENT)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", code],
        env={FAILPOINT_VARIABLE: "sent:3", **ALLOWED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert died.stdout.split() == ["0", "1", "2"]


def test_a_running_process_is_told_by_a_file_and_counts_from_then(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import os, pathlib, sys\n"
        "from bridge.failpoint import Failpoint, arm, visit\n"
        "arm(os.environ)\n"
        "order = pathlib.Path(sys.argv[1])\n"
        "for number in range(9):\n"
        "    print(number, flush=True)\n"
        "    if number == 2: order.write_text('asked:2')\n"
        "    if number == 3: order.unlink()\n"
        "    if number == 4: order.write_text('asked:3')\n"
        "    visit(Failpoint.ASKING)\n"
        "    visit(Failpoint.ASKED)\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, str(order)],
        env={FAILPOINT_VARIABLE: f"@{order}", **ALLOWED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert died.stdout.split()[-1] == "6"


def test_a_file_that_names_no_failpoint_is_refused(tmp_path: Path) -> None:
    order = tmp_path / "order"
    arm({FAILPOINT_VARIABLE: f"@{order}", **ALLOWED})
    try:
        visit(Failpoint.SENT)
        order.write_text("nowhere")
        with pytest.raises(SettingsInvalid, match="the names are"):
            visit(Failpoint.SENT)
    finally:
        arm({})
