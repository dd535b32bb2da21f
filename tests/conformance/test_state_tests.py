"""EVM state tests: our own vectors always, Ethereum's wherever CORRIDOR_STATE_TESTS names a directory of them.

Our vectors (`vectors/state_tests.json`) have the same form. What they expect was calculated by hand from the gas
schedule, as their comments say; each also writes the whole state after it, of which an independent trie gives the root.

`scripts/test conformance DIRECTORY` runs Ethereum's: GeneralStateTests of ethereum/tests, state_tests of
ethereum/execution-spec-tests. Each case is a test; what this chain refuses is skipped with the reason.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from node.app.process import THREAD_STACK_BYTES
from support.simple_trie import state_root_of
from support.state_tests import Case, Outcome, Verdict, cases_under, run_case

VECTORS: Final = Path(__file__).parent / "vectors"
OWN: Final = tuple(cases_under(VECTORS))
DIRECTORY: Final = os.environ.get("CORRIDOR_STATE_TESTS", "")
THEIRS: Final = tuple(cases_under(Path(DIRECTORY))) if DIRECTORY else ()
MISSING: Final = (
    "Ethereum's state tests are large: name a directory of them in CORRIDOR_STATE_TESTS"
)


def run_deep(case: Case) -> Outcome:
    """Run a case on a stack as large as the node's own threads have."""
    size = threading.stack_size(THREAD_STACK_BYTES)
    try:
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(run_case, case).result()
    finally:
        threading.stack_size(size)


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
def test_a_transaction_does_what_was_calculated_by_hand(case: Case) -> None:
    """N-115."""
    document: dict[str, Any] = json.loads(case.path.read_bytes())
    post = document[case.name]["post"][case.fork][case.position]
    assert f"0x{state_root_of(post['state']).hex()}" == post["hash"]
    assert run_deep(case) == Outcome(Verdict.PASSED)


def test_the_runner_does_notice_a_difference(tmp_path: Path) -> None:
    document = json.loads(OWN[0].path.read_bytes())
    test = document[OWN[0].name]
    damages: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
        ("state root", lambda post: post.update(hash="0x" + "00" * 32)),
        ("the logs differ", lambda post: post.update(logs="0x" + "00" * 32)),
        (
            "expected TransactionException",
            lambda post: post.update(expectException="TransactionException"),
        ),
    ]
    for position, (words, damage) in enumerate(damages):
        damaged = json.loads(json.dumps(test))
        damage(damaged["post"]["Prague"][0])
        path = tmp_path / f"{position}.json"
        path.write_text(json.dumps({"damaged": damaged}))
        (case,) = cases_under(path.parent)
        outcome = run_case(case)
        assert outcome.verdict is Verdict.FAILED
        assert words in outcome.reason
        path.unlink()


@pytest.mark.parametrize(
    ("name", "verdict", "words"),
    [
        ("calldata_has_a_floor_price", Verdict.LEFT_OUT, "EIP-7623"),
        ("a_precompiled_contract_of_prague_adds_two_points", Verdict.LEFT_OUT, "EIP-2537"),
        ("store_in_a_fresh_slot", Verdict.FAILED, "state root"),
    ],
)
def test_a_case_of_cancun_is_left_out_only_where_a_rule_of_prague_shows(
    tmp_path: Path, name: str, verdict: Verdict, words: str
) -> None:
    test = json.loads(OWN[0].path.read_bytes())[name]
    (post,) = test["post"].pop("Prague")
    test["post"]["Cancun"] = [post | {"hash": "0x" + "00" * 32}]
    (tmp_path / "cancun.json").write_text(json.dumps({name: test}))
    (case,) = cases_under(tmp_path)
    outcome = run_case(case)
    assert outcome.verdict is verdict
    assert words in outcome.reason


def test_a_blob_transaction_is_left_out(tmp_path: Path) -> None:
    """N-10."""
    test = json.loads(OWN[0].path.read_bytes())[OWN[0].name]
    test["post"]["Prague"][0]["txbytes"] = "0x03c0"
    (tmp_path / "blob.json").write_text(json.dumps({"blob": test}))
    (case,) = cases_under(tmp_path)
    assert run_case(case).verdict is Verdict.LEFT_OUT


@pytest.mark.skipif(not DIRECTORY, reason=MISSING)
@pytest.mark.parametrize("case", THEIRS, ids=lambda case: case.label)
def test_a_transaction_does_what_ethereum_says(case: Case) -> None:
    """N-115."""
    outcome = run_deep(case)
    if outcome.verdict is Verdict.LEFT_OUT:
        pytest.skip(outcome.reason)
    assert outcome == Outcome(Verdict.PASSED)
