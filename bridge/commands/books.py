"""The database as a whole."""

import argparse
import contextlib
import threading
from pathlib import Path

from bridge.commands.outcome import EXIT_FAILED, EXIT_OK, Commands, add_with_settings
from bridge.config import load_settings
from bridge.telemetry import configure_logs


def add_to(commands: Commands) -> None:
    """Add the commands of this module."""
    for name, purpose, run in (
        ("migrate", "bring the database to this version's tables", _migrate),
        ("verify-books", "compute the books anew from their postings", _verify_books),
    ):
        add_with_settings(commands, name, purpose).set_defaults(run=run)
    backup = add_with_settings(commands, "backup", "copy a SQLite database that is in use")
    backup.add_argument("--to", type=Path, required=True)
    backup.set_defaults(run=_back_up)


def _migrate(given: argparse.Namespace, _: threading.Event) -> int:
    from bridge.store.engines import shown
    from bridge.store.migration import migrate

    settings = load_settings(given.settings)
    configure_logs(process=f"migration-{settings.bic}", level=given.log_level)
    for place in (settings.database, settings.attesting_database):
        if place is not None:
            before, after = migrate(place)
            print(f"{shown(place)}: from {before} to {after}", flush=True)
    return EXIT_OK


def _verify_books(given: argparse.Namespace, _: threading.Event) -> int:
    from bridge.store import Store
    from bridge.verification import verify_books

    settings = load_settings(given.settings)
    with contextlib.closing(Store.open_read_only(settings.database)) as store:
        findings = verify_books(store)
    for finding in findings:
        print(f"{finding.place}: {finding.fault}")
    print("the books are wrong" if findings else "the books are right")
    return EXIT_FAILED if findings else EXIT_OK


def _back_up(given: argparse.Namespace, _: threading.Event) -> int:
    from bridge.store.backup import back_up

    back_up(load_settings(given.settings).database, given.to)
    print(f"written: {given.to}", flush=True)
    return EXIT_OK
