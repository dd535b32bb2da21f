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
from local_network.cast import CHAIN_ID, INSTITUTIONS
from local_network.console import Console
from local_network.demo import Demo, DemoFailed
from local_network.layout import Layout, LayoutRefused, open_layout, remove_layout
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
    console.say("Corridor devnet: one node, two central banks, two banks, one fx provider")
    layout = open_layout(
        directory.resolve(), port_base=options.port_base, default_port_base=DEFAULT_PORT_BASE
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
        node = processes.start(
            "node",
            [
                "node",
                "run",
                "--genesis",
                str(layout.genesis),
                "--data",
                str(layout.directory / "node"),
                "--port",
                str(layout.port_base),
            ],
        )
        processes.await_ready(node, "ready")
        console.step("node", layout.node_url)
        waiting = []
        for member in INSTITUTIONS:
            settings = ["--settings", str(layout.settings(member.key))]
            bridge = processes.start(member.key, ["bridge", "run", *settings])
            waiting.append((bridge, "ready", f"{member.title} ({member.key})", member.key))
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
        pids = layout.directory / "processes.json"
        pids.write_text(json.dumps(processes.identifiers(), indent=2), "utf-8")
        yield processes


def _tell_addresses(layout: Layout, console: Console) -> None:
    console.say("\nRunning until Ctrl-C")
    console.say(f"  JSON-RPC            {layout.node_url}  (chain id {CHAIN_ID})")
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
    parser.add_argument("--port-base", type=int, help="first of six ports")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
