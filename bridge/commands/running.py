"""Processes that work until they are stopped."""

import argparse
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from bridge.allocation import loading
from bridge.commands.outcome import EXIT_FAILED, EXIT_OK, Commands, add_with_settings
from bridge.config import load_liquidity_settings, load_settings
from bridge.telemetry import configure_logs

Command: TypeAlias = Callable[[argparse.Namespace, threading.Event], int]


def add_to(commands: Commands) -> None:
    """Add the commands of this module."""
    for name, purpose, run in (
        ("run", "run an institution's bridge", partial(_run, part="both")),
        ("serve-api", "run its API alone", partial(_run, part="api")),
        ("work", "run its worker and follower alone", _work),
        ("attest", "attest reserves", _attest),
        ("liquidity", "settle what waits for liquidity", _liquidity),
    ):
        add_with_settings(commands, name, purpose).set_defaults(run=partial(_loading, run))


def _loading(run: Command, given: argparse.Namespace, stop: threading.Event) -> int:
    with loading():
        return run(given, stop)


def _run(given: argparse.Namespace, stop: threading.Event, *, part: str) -> int:
    from bridge.app import Part, serve

    settings = load_settings(given.settings)
    configure_logs(process=f"bridge-{settings.bic}", level=given.log_level)
    announce = partial(print, "ready", flush=True)
    ended_in_order = serve(settings, stop, announce, Part(part))
    return EXIT_OK if ended_in_order else EXIT_FAILED


def _work(given: argparse.Namespace, stop: threading.Event) -> int:
    from bridge.app import work

    settings = load_settings(given.settings)
    configure_logs(process=f"worker-{settings.bic}", level=given.log_level)
    ended_in_order = work(settings, stop, partial(print, "standing by", flush=True))
    return EXIT_OK if ended_in_order else EXIT_FAILED


def _attest(given: argparse.Namespace, stop: threading.Event) -> int:
    from bridge.app import attest

    settings = load_settings(given.settings)
    configure_logs(process=f"attester-{settings.bic}", level=given.log_level)
    attest(settings, stop, lambda: print("attesting", flush=True))
    return EXIT_OK


def _liquidity(given: argparse.Namespace, stop: threading.Event) -> int:
    from bridge.app import resolve

    settings = load_liquidity_settings(given.settings)
    configure_logs(process=f"liquidity-{settings.lei}", level=given.log_level)
    resolve(settings, stop, lambda: print("resolving", flush=True))
    return EXIT_OK
