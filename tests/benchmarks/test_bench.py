"""The benchmark measures what it says: every figure is there and every balance is right. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.integration


def test_a_quick_run_takes_every_figure_and_ends_with_right_balances(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "benchmark", "node", "--quick", "--checkout", str(ROOT)),
            *("--cache", str(tmp_path / "cache"), "--out", str(out)),
        ],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(out.read_text())
    transfers = figures["transfers"]
    assert transfers["transfers"] == 300
    assert transfers["wrong_balances"] == 0
    assert transfers["transfers_per_second"] > 0
    assert transfers["get_block_by_number_milliseconds"]["count"] > 0
    assert set(figures["intake"]) == {"first_contact_in_batches", "in_batches", "one_by_one"}
    assert figures["get_logs"]["address_and_event"]["found"] == 30
    assert figures["get_logs"]["address_and_payee"]["found"] == 1
    assert figures["stages"]["transfers"] == 300
    assert set(transfers["memory"]["anonymous_megabytes"]) == {"core", "rpc"}
    assert set(figures["stages"]["cpu_microseconds_per_transfer"]) == {
        *("check_and_recover", "admit_new_sender", "admit_known_sender", "propose", "verify"),
        *("execute", "roots", "finalize", "commit_state", "commit"),
    }
    assert set(figures["reference"]) == {
        "python_loops_per_second",
        "synchronised_writes_per_second",
    }
