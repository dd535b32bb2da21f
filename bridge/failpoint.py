"""Places where a test has a bridge die: the process kills itself there, as a power cut would.

A bridge is told by its environment to die at one of them, `CORRIDOR_BRIDGE_FAILPOINT=name` or
`name:count` for its count-th visit, and only where `CORRIDOR_FAILPOINTS_ALLOWED=yes` says it again.
Without the variable a failpoint is one look into an empty mapping.
"""

import os
import signal
import threading
from collections.abc import Mapping
from enum import StrEnum, unique
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
    ANSWERING = "answering"
    """What a request asked for is done, its answer has not left."""
    OBSERVING = "observing"
    """A block is read, nothing of it is written."""


_visits_left: Final[dict[Failpoint, int]] = {}
_counting = threading.Lock()


def arm(environment: Mapping[str, str]) -> None:
    """Do what the environment says; raises `SettingsInvalid` for what cannot be done."""
    _visits_left.clear()
    text = environment.get(FAILPOINT_VARIABLE)
    if text is None:
        return
    name, _, count = text.partition(":")
    if name not in list(Failpoint):
        raise SettingsInvalid(FAILPOINT_VARIABLE, f"the names are {', '.join(Failpoint)}")
    if not (count or "1").isdecimal() or int(count or "1") < 1:
        raise SettingsInvalid(FAILPOINT_VARIABLE, "the count is no positive number")
    if environment.get(ALLOWED_VARIABLE) != "yes":
        raise SettingsInvalid(FAILPOINT_VARIABLE, f"only {ALLOWED_VARIABLE}=yes allows it")
    _visits_left[Failpoint(name)] = int(count or "1")


def visit(failpoint: Failpoint) -> None:
    """Kill this process if it was told to die here."""
    if failpoint not in _visits_left:
        return
    with _counting:
        _visits_left[failpoint] -= 1
        if _visits_left[failpoint] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
