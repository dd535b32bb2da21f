"""Places where a test has a bridge die: the process kills itself there, as a power cut would.

A bridge is told by its environment to die at one of them, `CORRIDOR_BRIDGE_FAILPOINT=name` or
`name:count` for its count-th visit, and only where `CORRIDOR_FAILPOINTS_ALLOWED=yes` says it again.
`@FILE` instead has it look at each visit what stands in that file: a process that has run for long is
told there to die, and visits count from then. Without the variable a failpoint is two looks at what is
empty.
"""

import os
import signal
import threading
from collections.abc import Mapping
from enum import StrEnum, unique
from pathlib import Path
from typing import Final

from bridge.errors import SettingsInvalid

FAILPOINT_VARIABLE: Final = "CORRIDOR_BRIDGE_FAILPOINT"
ALLOWED_VARIABLE: Final = "CORRIDOR_FAILPOINTS_ALLOWED"


@unique
class Failpoint(StrEnum):
    """Every place where dying must lose nothing and do nothing twice."""

    COMMITTING = "committing"
    """Everything of a unit of work is written, nothing is committed."""
    COMMITTED = "committed"
    """A unit of work is committed, whoever waits for it does not know."""
    SENDING = "sending"
    """A signed transaction is kept, the node has not been asked to take it."""
    SENT = "sent"
    """The node has taken a transaction, nothing says so here."""
    DELIVERING = "delivering"
    """A message is claimed, its receiver has not been asked to take it."""
    DELIVERED = "delivered"
    """The receiver has taken a message, nothing says so here."""
    TAKING = "taking"
    """A message of another institution is read and checked, nothing of it is written."""
    ASKING = "asking"
    """Another institution has not been asked what is about to be asked of it."""
    ASKED = "asked"
    """Another institution has answered, nothing says so here."""
    ANSWERING = "answering"
    """What a request asked for is done, its answer has not left."""
    OBSERVING = "observing"
    """A block is read, nothing of it is written."""


_visits_left: Final[dict[Failpoint, int]] = {}
_counting = threading.Lock()


class _Order:
    """The file that tells a running process where to die, if there is one, and what stood in it."""

    file: Path | None = None
    text = ""


def arm(environment: Mapping[str, str]) -> None:
    """Do what the environment says; raises `SettingsInvalid` for what cannot be done."""
    _visits_left.clear()
    _Order.file, _Order.text = None, ""
    text = environment.get(FAILPOINT_VARIABLE)
    if text is None:
        return
    if environment.get(ALLOWED_VARIABLE) != "yes":
        raise SettingsInvalid(FAILPOINT_VARIABLE, f"only {ALLOWED_VARIABLE}=yes allows it")
    if text.startswith("@"):
        _Order.file = Path(text.removeprefix("@"))
    else:
        _set(text)


def visit(failpoint: Failpoint) -> None:
    """Kill this process if it was told to die here."""
    if _Order.file is None and failpoint not in _visits_left:
        return
    with _counting:
        if _Order.file is not None:
            _read(_Order.file)
        if failpoint not in _visits_left:
            return
        _visits_left[failpoint] -= 1
        if _visits_left[failpoint] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _read(file: Path) -> None:
    """Obey what stands in the file, once; without the file nobody dies."""
    try:
        text = file.read_text("ascii")
    except FileNotFoundError:
        text = ""
    if text != _Order.text:
        _Order.text = text
        _visits_left.clear()
        if text:
            _set(text)


def _set(text: str) -> None:
    name, _, count = text.partition(":")
    if name not in list(Failpoint):
        raise SettingsInvalid(FAILPOINT_VARIABLE, f"the names are {', '.join(Failpoint)}")
    if not (count or "1").isdecimal() or int(count or "1") < 1:
        raise SettingsInvalid(FAILPOINT_VARIABLE, "the count is no positive number")
    _visits_left[Failpoint(name)] = int(count or "1")
