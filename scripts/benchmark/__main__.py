"""`scripts/bench node`, `consensus`, `settlement`, `bridge` and `soak`: take every figure and print one JSON object."""

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmark.bridge import BridgeSize, measure_bridge
from benchmark.consensus import SENDERS, VALIDATORS, ConsensusSize, measure_consensus
from benchmark.intake import measure_intake
from benchmark.machine import describe, load_average, probe
from benchmark.payments import PaymentsSize
from benchmark.prepared import Prepared, prepare
from benchmark.reads import measure_logs
from benchmark.running import running_node
from benchmark.settlement import SettlementSize, measure_settlement
from benchmark.soak import measure_soak
from benchmark.stages import measure_stages
from benchmark.transfers import Load, make_load, measure_transfers

STAGE_TRANSFERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    accounts: int
    transfers: int
    history_blocks: int
    intake: int


FULL: Final = Size(accounts=10_000, transfers=100_000, history_blocks=10_000, intake=1_000)
QUICK: Final = Size(accounts=200, transfers=300, history_blocks=30, intake=50)
FULL_NETWORK: Final = ConsensusSize(latencies=100, transfers=20_000)
QUICK_NETWORK: Final = ConsensusSize(latencies=3, transfers=400)
FULL_SETTLEMENT: Final = SettlementSize(
    solver_payments=40_000,
    solver_banks=32,
    gridlock_payments=5_000,
    gridlock_banks=4,
    exchanges=200,
)
QUICK_SETTLEMENT: Final = SettlementSize(
    solver_payments=500,
    solver_banks=8,
    gridlock_payments=30,
    gridlock_banks=4,
    exchanges=3,
)
FULL_BRIDGE: Final = BridgeSize(
    accounts=1_000,
    entries=2_000,
    rounds=5,
    writers=(8, 32),
    items=100_000,
    payments=PaymentsSize(
        paces=(50, 100, 200), seconds=10, crossings=100, entries_before_death=100_000
    ),
)
QUICK_BRIDGE: Final = BridgeSize(
    accounts=10,
    entries=100,
    rounds=2,
    writers=(2,),
    items=400,
    payments=PaymentsSize(paces=(10,), seconds=3, crossings=5, entries_before_death=1_000),
)
SOAK_MINUTES: Final = 60.0


def main() -> int:
    """Measures and prints; gives the exit code."""
    options = _parser().parse_args()
    cache: Path = options.cache or options.checkout / ".bench"
    cache.mkdir(parents=True, exist_ok=True)
    wrong_balances = 0
    if options.what == "settlement":
        size = QUICK_SETTLEMENT if options.quick else FULL_SETTLEMENT
        figures = _measure(lambda folder: measure_settlement(size, folder), asdict(size), cache)
    elif options.what == "bridge":
        books = QUICK_BRIDGE if options.quick else FULL_BRIDGE
        figures = _measure(lambda folder: measure_bridge(books, folder), asdict(books), cache)
        wrong_balances = figures["ledger"]["wrong_balances"]
    elif options.what == "soak":
        soak = partial(measure_soak, options.minutes)
        figures = _measure(soak, {"minutes": options.minutes}, cache)
        wrong_balances = 0 if figures["at_rest"]["reconciled"] else 1
    elif options.what == "consensus":
        figures = _measure_network(QUICK_NETWORK if options.quick else FULL_NETWORK, cache)
        wrong_balances = figures["wrong_balances"]
    else:
        figures = measure_node(_size(options), cache)
        wrong_balances = figures["transfers"]["wrong_balances"]
    text = json.dumps(figures, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if wrong_balances == 0 else 1


def _size(options: argparse.Namespace) -> Size:
    default = QUICK if options.quick else FULL
    return Size(
        accounts=options.accounts or default.accounts,
        transfers=options.transfers or default.transfers,
        history_blocks=default.history_blocks,
        intake=default.intake,
    )


def _measure_network(size: ConsensusSize, cache: Path) -> dict[str, Any]:  # a JSON object
    """Every figure of four validators."""
    described = {"validators": VALIDATORS, "senders": SENDERS, "transfers": size.transfers}
    return _measure(lambda folder: measure_consensus(size, folder), described, cache)


def _measure(
    take: Callable[[Path], dict[str, Any]], size: dict[str, Any], cache: Path
) -> dict[str, Any]:  # a JSON object
    """Figures taken in a folder, with the machine, its load and its reference beside them."""
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    busy_before = load_average()
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as name:
        reference = probe(Path(name))
        figures = take(Path(name))
    return {
        "measured": started,
        "machine": describe(),
        "size": size,
        "load_average": {"before": busy_before, "after": load_average()},
        "reference": reference,
        **figures,
    }


def measure_node(size: Size, cache: Path) -> dict[str, Any]:  # a JSON object
    """Every figure of a node at one size."""
    _say(f"preparing a chain with {size.accounts} holders")
    prepared = prepare(cache, accounts=size.accounts, history_blocks=size.history_blocks)
    _say("signing")
    load = make_load(prepared, size.transfers)
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    busy_before = load_average()
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as name:
        directory = Path(name)
        reference = probe(directory)
        staged = load.raws[: min(STAGE_TRANSFERS, len(load.raws))]
        _say("stages")
        stages = measure_stages(prepared, prepared.copy_data(directory / "stages"), staged)
        figures = _measure_running(prepared, directory, load, size)
    return {
        "measured": started,
        "machine": describe(),
        "size": {
            "accounts": size.accounts,
            "senders": len(prepared.senders),
            "history_blocks": size.history_blocks,
        },
        "load_average": {"before": busy_before, "after": load_average()},
        "reference": reference,
        **figures,
        "stages": stages,
    }


def _measure_running(prepared: Prepared, directory: Path, load: Load, size: Size) -> dict[str, Any]:
    log = directory / "node.log"
    _say("intake")
    data = prepared.copy_data(directory / "intake")
    with running_node(prepared.genesis_file, data, log) as node:
        intake = measure_intake(node, prepared, size.intake)
    _say("logs and transfers")
    data = prepared.copy_data(directory / "transfers")
    with running_node(prepared.genesis_file, data, log) as node:
        logs = measure_logs(node, prepared)
        transfers = measure_transfers(node, load)
    return {"transfers": transfers, "intake": intake, "get_logs": logs}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure a node, a network, settlement, or bridges."
    )
    parser.add_argument("what", choices=("node", "consensus", "settlement", "bridge", "soak"))
    parser.add_argument("--checkout", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="small: does it work?")
    parser.add_argument("--accounts", type=int, help="token holders (10,000 of them send)")
    parser.add_argument("--transfers", type=int)
    parser.add_argument("--minutes", type=float, default=SOAK_MINUTES, help="of a soak")
    parser.add_argument("--cache", type=Path, help="where prepared chains are kept")
    parser.add_argument("--out", type=Path, help="write the figures there too")
    return parser


sys.exit(main())
