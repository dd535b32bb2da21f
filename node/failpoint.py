"""Places where a test may kill this process: the barriers between one durable write and the next.

A node is told by its environment to die at one of them, `CORRIDOR_FAILPOINT=name` or `name:count` for
the count-th time it comes there, and does so as a power cut would: SIGKILL, no clean-up. Without the
variable a failpoint is one look into an empty mapping. An unknown name is refused, and so is any name
on a chain that is not a development one, unless `CORRIDOR_FAILPOINTS_ALLOWED=yes` says it again:
nobody kills a settlement node by one stray variable.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from node.errors import FailpointRefused

FAILPOINT_VARIABLE: Final = "CORRIDOR_FAILPOINT"
ALLOWED_VARIABLE: Final = "CORRIDOR_FAILPOINTS_ALLOWED"


@unique
class Failpoint(StrEnum):
    """Where a process can be made to die, in the order in which a node comes there."""

    GENESIS_STATE_WRITTEN = "genesis-state-written"
    """The state of block 0 is durable, block 0 is not."""
    GENESIS_BLOCK_INSIDE = "genesis-block-inside"
    """Within the transaction that writes block 0."""
    GENESIS_BLOCK_WRITTEN = "genesis-block-written"
    POOL_ADDED = "pool-added"
    """The pool took a transaction, nothing of it is kept and its sender does not know."""
    POOL_INSIDE = "pool-inside"
    """Within the transaction that keeps what the pool took, or strikes out what left it."""
    POOL_WRITTEN = "pool-written"
    """It is kept, its sender does not know."""
    FINALIZED = "finalized"
    """A height is executed for an engine in a process of its own, which does not know yet."""
    STATE_BEFORE = "state-before"
    """A block is executed, nothing of it is written."""
    STATE_INSIDE = "state-inside"
    """Within the transaction that writes its state."""
    STATE_WRITTEN = "state-written"
    """Its state is durable, the block is not."""
    BLOCK_INSIDE = "block-inside"
    """Within the transaction that writes the block."""
    BLOCK_WRITTEN = "block-written"
    """The block is durable, nobody was told."""
    POOL_SETTLED = "pool-settled"
    """The pool has forgotten what the block holds, the new head is not announced."""
    COMMITTED = "committed"
    """A height is durable and its pool settled; the engine in its own process does not know yet."""
    BLOCK_IMPORTED = "block-imported"
    SNAPSHOT_STATE_WRITTEN = "snapshot-state-written"
    """The state of a snapshot is durable; the chain is where it was."""
    SNAPSHOT_RESTORED = "snapshot-restored"
    """The chain begins with the snapshot's block; the engine does not know yet."""
    PRUNE_COPIED = "prune-copied"
    """The states to keep are copied; the store is as it was."""
    PRUNE_MARKED = "prune-marked"
    """The chain store names the first state kept; the old states are still there."""
    PRUNE_SWAPPED = "prune-swapped"
    """The copy is the state store."""


_visits_left: Final[dict[Failpoint, int]] = {}


def arm(environment: Mapping[str, str], *, is_development: bool) -> None:
    """Does what the environment says; raises `FailpointRefused`."""
    _visits_left.clear()
    text = environment.get(FAILPOINT_VARIABLE)
    if text is None:
        return
    name, _, count = text.partition(":")
    if name not in list(Failpoint):
        raise FailpointRefused(text, f"the names are {', '.join(Failpoint)}")
    if not (count or "1").isdecimal() or int(count or "1") < 1:
        raise FailpointRefused(text, "the count is no positive number")
    if not is_development and environment.get(ALLOWED_VARIABLE) != "yes":
        raise FailpointRefused(
            text, f"this is no development chain; {ALLOWED_VARIABLE}=yes would allow it"
        )
    _visits_left[Failpoint(name)] = int(count or "1")


def visit(failpoint: Failpoint) -> None:
    """Kills this process if it was told to die here."""
    if failpoint not in _visits_left:
        return
    _visits_left[failpoint] -= 1
    if _visits_left[failpoint] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
