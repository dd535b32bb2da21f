"""Published gridlocks: what the solver settles is what the report of Project Ubin's second phase allows.

Order kept, the settled payments and closing balances are exactly the published optimum (LIQ-1); with
all payments bypassable no fewer than the largest published count settle, of no less value (LIQ-7).
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gridlocks.__main__ import main

PLACE = Path(
    os.environ.get(
        "UBIN_GRIDLOCKS",
        Path(__file__).parents[2].parent / "shared" / "data" / "ubin_gridlocks_12_of_24.json",
    )
)
MISSING = (
    "the gridlock cases of the Project Ubin phase 2 report (MAS, 2017) are not here: write them as "
    "scripts/liquidity reads them and name the file in UBIN_GRIDLOCKS"
)

pytestmark = pytest.mark.skipif(not PLACE.is_file(), reason=MISSING)


@cache
def published() -> list[dict[str, Any]]:
    """The cases with their published outcomes."""
    cases: list[dict[str, Any]] = json.loads(PLACE.read_text(encoding="utf-8"))["cases"]
    return cases


def outcomes(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    """What the command prints as its last line."""
    assert main([str(PLACE), *options]) == 0
    cases: list[dict[str, Any]] = json.loads(capsys.readouterr().out.splitlines()[-1])["cases"]
    return cases


def test_each_case_settles_as_published_when_order_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = [
        {
            "id": case["id"],
            "settled": case["settled_keeping_each_payers_order"],
            "closing_balances": case["closing_balances_keeping_order"],
            "value": sum(
                payment["amount"]
                for payment in case["payments_in_queue_order"]
                if payment["id"] in case["settled_keeping_each_payers_order"]
            ),
        }
        for case in published()
    ]
    assert outcomes(capsys) == expected


def test_each_case_settles_its_largest_count_when_all_may_be_bypassed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for case, outcome in zip(published(), outcomes(capsys, "--bypassable"), strict=True):
        best = (case["largest_count_ignoring_order"], case["its_value"])
        assert (len(outcome["settled"]), outcome["value"]) >= best, case["id"]
        assert min(outcome["closing_balances"].values()) >= 0


COST = ("blocks", "gas", "seconds")


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--bypassable",)])
def test_the_contracts_settle_what_the_solver_says(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    """RND-1, RND-8."""
    by_contracts = outcomes(capsys, *options, "--on-chain")
    for outcome in by_contracts:
        assert all(outcome[cost] > 0 for cost in COST) == bool(outcome["settled"])
    without_cost = [
        {key: value for key, value in outcome.items() if key not in COST}
        for outcome in by_contracts
    ]
    assert without_cost == outcomes(capsys, *options)
