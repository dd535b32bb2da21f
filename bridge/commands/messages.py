"""One ISO 20022 file, looked at."""

import argparse
import sys
import threading
from pathlib import Path

from bridge.commands.outcome import EXIT_FAILED, EXIT_OK, EXIT_UNUSABLE, Commands
from bridge.errors import Rejected


def add_to(commands: Commands) -> None:
    """Add the command of this module."""
    message = commands.add_parser("message", help="look at an ISO 20022 message")
    check = message.add_subparsers(dest="act", required=True).add_parser(
        "check", help="say whether it is taken, which it is and what a commitment binds of it"
    )
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check_message)


def _check_message(given: argparse.Namespace, _: threading.Event) -> int:
    from bridge.iso20022.checking import describe_message
    from bridge.iso20022.document import MESSAGE_BYTES_MAX

    path: Path = given.file
    try:
        with path.open("rb") as file:
            data = file.read(MESSAGE_BYTES_MAX + 1)
    except OSError as error:
        print(f"bridge: {path}: {error.strerror}", file=sys.stderr)
        return EXIT_UNUSABLE
    try:
        described = describe_message(data)
    except Rejected as error:
        print(f"bridge: refused, {error.code} ({error.reason or 'FF01'}): {error}", file=sys.stderr)
        return EXIT_FAILED
    for line in described:
        print(line)
    return EXIT_OK
