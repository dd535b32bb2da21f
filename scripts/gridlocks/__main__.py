"""`scripts/liquidity`: settle each case of a file and print what happened, for people and for programs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.liquidity.bypass import second_pass
from bridge.liquidity.solve import Solution, solve
from gridlocks.cases import CURRENCY, FILE_BYTES_MAX, Case, FileRefused, parse_cases
from gridlocks.on_chain import settle_on_chain


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads, settles and prints; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        cases = parse_cases(_read(options.file), bypassable=options.bypassable)
    except FileRefused as refused:
        print(f"scripts/liquidity: {options.file}: {refused}", file=sys.stderr)
        return 2
    try:
        outcomes = [_outcome(case, options) for case in cases]
    except FileRefused as refused:
        print(f"scripts/liquidity: {options.file}: {refused}", file=sys.stderr)
        return 2
    for case, outcome in zip(cases, outcomes, strict=True):
        print(_shown(case, outcome))
    print(json.dumps({"cases": outcomes}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/liquidity", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of gridlocks, as JSON")
    parser.add_argument(
        "--bypassable", action="store_true", help="every payment may be skipped (the second pass)"
    )
    parser.add_argument(
        "--on-chain",
        action="store_true",
        help="settle by the contracts, on a solo chain of its own; adds blocks, gas and seconds",
    )
    return parser


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileRefused(error.strerror or "it cannot be read") from error


def _outcome(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    if options.on_chain:
        return settle_on_chain(case, bypassable=options.bypassable)
    steps: tuple[Solution, ...] = (
        second_pass(case.book) if options.bypassable else (solve(case.book),)
    )
    settled = {name for step in steps for name in step.settled}
    closing = dict(zip(case.book.positions, case.book.available, strict=True))
    for step in steps:
        closing.update(step.closing)
    return {
        "id": case.case_id,
        "settled": [item.item_id for item in case.book.items if item.item_id in settled],
        "closing_balances": {account: balance for (account, _), balance in closing.items()},
        "value": sum(step.value_by_currency.get(CURRENCY, 0) for step in steps),
    }


def _shown(case: Case, outcome: dict[str, Any]) -> str:
    names = " ".join(outcome["settled"]) or "nothing"
    balances = ", ".join(f"{name} {left}" for name, left in outcome["closing_balances"].items())
    cost = (
        f"; {outcome['blocks']} blocks, {outcome['gas']} gas, {outcome['seconds']} s"
        if "blocks" in outcome
        else ""
    )
    return (
        f"{case.case_id}: settles {len(outcome['settled'])} of {len(case.book.items)} payments, "
        f"value {outcome['value']}: {names}; closing balances {balances or 'none'}{cost}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
