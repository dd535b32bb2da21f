"""What a command is given, and its exit codes."""

import argparse
from pathlib import Path
from typing import Any, Final, Protocol

from bridge.telemetry import LEVELS

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_UNUSABLE: Final = 2


class Commands(Protocol):
    """Where a module adds its commands: what argparse calls subparsers."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:  # argparse's own
        """The parser of a new command."""


def add_with_settings(commands: Commands, name: str, purpose: str) -> argparse.ArgumentParser:
    """A command that works on an institution's settings and writes logs."""
    command = commands.add_parser(name, help=purpose)
    command.add_argument("--settings", type=Path, required=True)
    command.add_argument("--log-level", choices=LEVELS, default="info")
    return command
