"""`scripts/devnet`: set the network up, start it, pay once, keep it running until Ctrl-C."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from bridge.chain import ChainClient
from bridge.errors import BridgeError
from local_network.books import BooksUnreadable, Caller
from local_network.cast import CHAIN_ID, INSTITUTIONS, LIQUIDITY
from local_network.console import Console
from local_network.demo import Demo, DemoFailed
from local_network.layout import (
    VALIDATORS_MAX,
    Layout,
    LayoutRefused,
    Shape,
    open_layout,
    remove_layout,
)
from local_network.processes import Processes, ProcessFailed

DEFAULT_PORT_BASE: Final = 8545

WATCH_SECONDS: Final = 1
"""How often the children are looked after while the network is kept running."""

FAILURES: Final = (
    ProcessFailed,
    LayoutRefused,
    DemoFailed,
    BooksUnreadable,
    BridgeError,
    OSError,
)


def main() -> int:
    """Run the devnet; 0 when everything that was asked went well."""
    options = _options()
    console = Console()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    os.umask(0o077)  # keys, tokens and databases are for their owner alone; children inherit it
    try:
        return _run(options, console)
    except FAILURES as failure:
        print(f"devnet: {failure}", file=sys.stderr)
        console.result({"settled": False, "error": str(failure)})
        return 1
    except KeyboardInterrupt:
        console.say("\nstopped")
        return 130


def _run(options: argparse.Namespace, console: Console) -> int:
    directory: Path = options.data or options.checkout / ".devnet"
    if options.reset:
        remove_layout(directory)
    layout = open_layout(
        directory.resolve(),
        port_base=options.port_base,
        default_port_base=DEFAULT_PORT_BASE,
        shape=_shape(options),
    )
    validators = layout.shape.validators
    nodes = f"{validators} validators" if validators else "one node"
    console.say(
        f"Corridor devnet: {nodes}, two central banks, two banks, one fx provider, liquidity"
    )
    console.step("network", f"files in {layout.directory}")
    with _started(layout, console) as processes, Caller(layout) as caller:
        demo = Demo(layout, console, ChainClient(layout.node_url, CHAIN_ID), caller)
        demo.fund()
        outcome = demo.pay(options.checkout / "examples" / "pain.001.xml")
        processes.check()
        if not options.once:
            _tell_addresses(layout, console)
            console.result(outcome.describe())
            _wait(processes)
    if options.once:
        console.result(outcome.describe())
    return 0 if outcome.reconciled and outcome.describe()["settled"] else 1


@contextmanager
def _started(layout: Layout, console: Console) -> Iterator[Processes]:
    """The network's processes, all ready; ended when the block is left."""
    with Processes(layout.directory / "logs") as processes:
        nodes = [processes.start(name, run) for name, run in layout.node_commands().items()]
        for node, url in zip(nodes, layout.node_urls, strict=True):
            processes.await_ready(node, "ready")
            console.step("node", url)
        waiting = []
        for member in INSTITUTIONS:
            settings = ["--settings", str(layout.settings(member.key))]
            bridge = processes.start(member.key, ["bridge", "run", *settings])
            waiting.append((bridge, "ready", f"{member.title} ({member.key})", member.key))
        settings = ["--settings", str(layout.settings(LIQUIDITY.key))]
        liquidity = processes.start(LIQUIDITY.key, ["bridge", "liquidity", *settings])
        for bridge, word, title, key in waiting:
            processes.await_ready(bridge, word)
            console.step("bridge", f"{title} {layout.url(key)}")
        for member in INSTITUTIONS:
            if member.role == "central_bank":
                settings = ["--settings", str(layout.settings(member.key))]
                attester = processes.start(
                    member.key.replace("central-bank", "attester"), ["bridge", "attest", *settings]
                )
                processes.await_ready(attester, "attesting")
        processes.await_ready(liquidity, "resolving")
        console.step("liquidity", f"{LIQUIDITY.title} follows {layout.node_url}")
        pids = layout.directory / "processes.json"
        pids.write_text(json.dumps(processes.identifiers(), indent=2), "utf-8")
        yield processes


def _shape(options: argparse.Namespace) -> Shape | None:
    """What was asked for; None where whatever is there will do."""
    if options.validators is None and not options.dev_accounts:
        return None
    return Shape(options.validators or 0, options.dev_accounts)


def _tell_addresses(layout: Layout, console: Console) -> None:
    console.say("\nRunning until Ctrl-C")
    for url in layout.node_urls:
        console.say(f"  JSON-RPC            {url}  (chain id {CHAIN_ID})")
    for member in INSTITUTIONS:
        console.say(f"  {member.key:<18}  {layout.url(member.key)}")
    console.say(f"  bearer tokens       {layout.directory / 'tokens.json'}")
    console.say(f"  logs                {layout.directory / 'logs'}")


def _wait(processes: Processes) -> None:
    """Sleep until Ctrl-C; a child that dies ends the devnet."""
    try:
        while True:
            time.sleep(WATCH_SECONDS)
            processes.check()
    except KeyboardInterrupt:
        return


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/devnet", description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help="stop after the payment")
    parser.add_argument("--reset", action="store_true", help="throw the network's data away first")
    parser.add_argument("--data", type=Path, help="the network's data directory")
    parser.add_argument("--port-base", type=int, help="first of six ports, or more with validators")
    parser.add_argument(
        "--validators",
        type=int,
        choices=range(1, VALIDATORS_MAX + 1),
        metavar="COUNT",
        help="nodes that agree with each other, each with a consensus engine (needs it built)",
    )
    parser.add_argument(
        "--dev-accounts",
        action="store_true",
        help="let anybody transact, and fund the well-known development accounts",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
