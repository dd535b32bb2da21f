"""The bridge's command line.

    python -m bridge run --settings FILE      API, worker and follower, until SIGTERM or SIGINT
    python -m bridge serve-api --settings FILE   the API alone; any number beside each other
    python -m bridge work --settings FILE     worker and follower alone; one of any number leads
    python -m bridge attest --settings FILE   a central bank's attesting process
    python -m bridge liquidity --settings FILE   a liquidity service: settles what waits on the chain
    python -m bridge export-audit-log --settings FILE --to FILE   the audit log with the rows it seals
    python -m bridge verify-audit-log FILE   whether an exported log holds together, offline; with --node
                                             also against the institution's anchor on the chain
    python -m bridge verify-books --settings FILE   whether the books are what their postings add up to
    python -m bridge migrate --settings FILE  bring the databases of the settings to this version's tables
    python -m bridge backup --settings FILE --to FILE   copy a SQLite database that is in use
    python -m bridge participant --output DIR --lei LEI --bic BIC ...   new keys of an institution
    python -m bridge message check FILE   whether a file is an ISO 20022 message that is taken

Exit codes: 0 ended in order, 1 failed while running or a message that is refused, 2 settings or
arguments that cannot be used.
"""

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from bridge import failpoint
from bridge.allocation import bound_arenas
from bridge.commands import MODULES
from bridge.commands.outcome import EXIT_FAILED, EXIT_UNUSABLE
from bridge.errors import (
    BridgeError,
    ChainWrong,
    DatabaseUnsafe,
    KeyUnusable,
    Rejected,
    StoreFormatUnknown,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = _parser().parse_args(arguments)
    bound_arenas()
    os.umask(0o077)  # keys, tokens and databases are for their owner alone
    try:
        failpoint.arm(os.environ)
        code: int = given.run(given, _stop_at_signals())
    except (Rejected, KeyUnusable, ChainWrong, DatabaseUnsafe, StoreFormatUnknown) as error:
        print(f"bridge: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    except BridgeError as error:
        print(f"bridge: {error}", file=sys.stderr)
        return EXIT_FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bridge", description="The bank-side service of Corridor."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for module in MODULES:
        module.add_to(commands)
    return parser


def _stop_at_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, whichever thread the system gives them to.

    A handler runs only when the main thread wakes, and may interrupt it while it holds the event's own lock: the number
    is written to a socket by the thread that has it, before any Python runs, and read by a thread of its own.
    """
    stop = threading.Event()
    noted, noting = socket.socketpair()
    noting.settimeout(0)
    signal.set_wakeup_fd(noting.detach(), warn_on_full_buffer=False)

    def obey() -> None:
        noted.recv(1)
        stop.set()

    threading.Thread(target=obey, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # only a signal with a handler is written
    return stop


if __name__ == "__main__":
    sys.exit(main())
