"""The benchmark measures what it says: every figure is there and every balance is right. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.engine_binary import engine_binary

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.integration


def run(what: str, folder: Path) -> Any:
    """The figures of a quick run."""
    out = folder / "figures.json"
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "benchmark", what, "--quick", "--checkout", str(ROOT)),
            *("--cache", str(folder / "cache"), "--out", str(out)),
        ],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(out.read_text())


def test_a_quick_run_takes_every_figure_and_ends_with_right_balances(tmp_path: Path) -> None:
    figures = run("node", tmp_path)
    transfers = figures["transfers"]
    assert transfers["transfers"] == 270
    assert transfers["at_an_even_pace"]["get_block_by_number_milliseconds"]["count"] > 0
    assert transfers["wrong_balances"] == 0
    assert transfers["transfers_per_second"] > 0
    assert transfers["get_block_by_number_milliseconds"]["count"] > 0
    assert set(figures["intake"]) == {
        "first_contact_in_batches",
        "in_batches",
        "one_by_one",
        "one_by_one_over_connections",
    }
    assert figures["get_logs"]["address_and_event"]["found"] == 30
    assert figures["get_logs"]["address_and_payee"]["found"] == 1
    assert figures["stages"]["transfers"] == 300
    assert set(transfers["memory"]["anonymous_megabytes"]) == {"core", "rpc"}
    assert set(figures["stages"]["cpu_microseconds_per_transfer"]) == {
        *("check_and_recover", "admit_new_sender", "admit_known_sender", "propose", "verify"),
        *("execute", "roots", "finalize", "commit_state", "commit"),
    }
    assert set(figures["reference"]) == {
        *("python_loops_per_second", "memory_steps_per_second"),
        *("thread_turns_per_second", "synchronised_writes_per_second"),
    }


@pytest.mark.slow
def test_a_quick_run_of_validators_takes_every_figure(tmp_path: Path) -> None:
    engine_binary()
    figures = run("consensus", tmp_path)
    assert figures["wrong_balances"] == 0
    for name in ("idle", "after_flood", "one_down"):
        assert figures[name]["count"] == 3
        assert 0 < figures[name]["p50"] <= figures[name]["max"]
    for name in ("transfers", "flooded"):
        assert figures[name]["transfers"] == 400
        assert figures[name]["transfers_per_second"] > 0
        assert set(figures[name]["cpu_seconds_per_1000"]) == {"core", "rpc", "engine", "all"}
    assert figures["quorum_lost"]["seconds_to_start_two_nodes"] > 0


def test_a_quick_run_over_settlement_takes_every_figure(tmp_path: Path) -> None:
    figures = run("settlement", tmp_path)
    assert figures["solver"]["settled"] > 0
    gas = figures["gas_per_payment"]
    assert gas["fx"] > gas["plain"] > gas["round_of_100"] >= gas["round_of_128"] > 0
    assert gas["round_of_128_bytes"] < 128 * 1024
    gridlock = figures["gridlock"]
    assert gridlock["settled"] == gridlock["payments"] == 30
    assert gridlock["blocks"] == gridlock["rounds"] == 1
    assert figures["exchanges"]["per_second_executing"] > 0
    assert set(figures["exchanges"]["milliseconds_by_stage"]) == {
        *("propose", "verify", "execute", "commit"),
    }


def test_a_quick_run_over_a_bridge_takes_every_figure(tmp_path: Path) -> None:
    figures = run("bridge", tmp_path)
    reconciliation = figures["reconciliation"]
    assert (reconciliation["items"], reconciliation["breaks"]) == (400, 0)
    ledger = figures["ledger"]
    assert ledger.pop("wrong_balances") == 0
    figure = "single_entries_per_second_of_2_writers"
    ranges, on_any_processor = ledger.pop("ranges"), ledger.pop("on_any_processor")
    assert set(on_any_processor) == {figure, "ranges"}
    for taken, of_each in ((ledger, ranges), (on_any_processor, on_any_processor["ranges"])):
        least, most = of_each[figure]
        assert 0 < least <= taken[figure] <= most
    assert set(ledger) == {
        "cpu_microseconds_per_single_entry",
        "single_entries_per_second",
        "single_entries_per_second_of_2_writers",
        "single_entries_per_second_on_one_account",
        "grouped_entries_per_second",
        "reservations_posted_per_second",
        "entries_verified_per_second",
        "milliseconds_of_a_balance",
        "milliseconds_of_a_balance_in_the_past",
        "milliseconds_of_a_page_of_a_statement",
    }
    assert all(figure > 0 for figure in ledger.values())
