"""The engine's log lines as events of ours.

The engine writes JSON, one object per line; what its runtime or a library writes besides (a panic, a fatal message) is
plain text. Both become events of `process="engine"` with its own fields; its words are the event. Nothing that peers
or the engine do can flood the log: a message about an error or a connection comes once in `REPEAT_SECONDS_MIN`, with
the count of those left out, for a node that is refused comes back thirty times a second; plain text is cut off after
`PLAIN_LINES_MAX` lines of one process; long values are cut.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from node.telemetry import get_logger

LINE_BYTES_MAX: Final = 65_536
"""Bytes of one line; the rest of a longer one is taken for plain text."""

VALUE_CHARACTERS_MAX: Final = 2_000
"""Characters kept of one field."""

PLAIN_LINES_MAX: Final = 60
"""Lines of plain text of one process: a panic's first goroutines, not hundreds of them."""

REPEAT_SECONDS_MIN: Final = 30
"""Seconds between two lines of one message about an error or a connection."""

CONNECTIONS_MODULE: Final = "p2p"
"""What the engine calls the part of it that connects to peers."""

MESSAGES_KEPT_MAX: Final = 256
"""Messages whose last line is remembered."""

CONSENSUS_FAILURE: Final = "CONSENSUS FAILURE"
PROCESS: Final = "engine"

_OWN_FIELDS: Final = frozenset({"_msg", "level", "ts", "event", "process", "timestamp"})


@dataclass(slots=True)
class _Repeated:
    logged_at: float
    left_out: int = 0


class EngineLog:
    """Takes the lines of one process of the engine after another."""

    def __init__(
        self,
        on_consensus_failure: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_consensus_failure` is called when the engine says that it cannot go on; its process lives still."""
        self._on_consensus_failure = on_consensus_failure
        self._clock = clock
        self._repeated: OrderedDict[str, _Repeated] = OrderedDict()
        self._plain_lines = 0
        self.last_fault = ""
        """The newest words about a fault of the process: none about a peer, nor what differs from time to time."""

    def begin_process(self) -> None:
        """To be called when another process is started."""
        self._plain_lines = 0
        self.last_fault = ""

    def take(self, line: bytes) -> None:
        """Logs one line; whatever stands in it, nothing is raised."""
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        record = _parse(text)
        if record is None:
            self._take_plain(text)
        else:
            self._take_record(record)

    def _take_plain(self, text: str) -> None:
        if text.startswith(("panic:", "fatal error:", "corridor-engine:")) or not self.last_fault:
            self.last_fault = text[:VALUE_CHARACTERS_MAX]
        self._plain_lines += 1
        if self._plain_lines <= PLAIN_LINES_MAX:
            get_logger().error("engine_wrote", process=PROCESS, text=text[:VALUE_CHARACTERS_MAX])

    def _take_record(self, record: Mapping[str, object]) -> None:
        message = str(record["_msg"])[:VALUE_CHARACTERS_MAX]
        fields = {
            name: _shortened(value) for name, value in record.items() if name not in _OWN_FIELDS
        }
        level = record.get("level")
        if CONSENSUS_FAILURE in message:
            self.last_fault = message
            get_logger().error("consensus_failure", process=PROCESS, **fields)
            self._on_consensus_failure()
            return
        module = record.get("module")
        if level == "error" and module != CONNECTIONS_MODULE:
            self.last_fault = message
        if level in {"error", "warn"} or "err" in fields or module == CONNECTIONS_MODULE:
            left_out = self._count(f"{module}: {message}")
            if left_out is None:
                return
            if left_out:
                fields["left_out"] = left_out
        log = get_logger()
        match level:
            case "debug":
                log.debug(message, process=PROCESS, **fields)
            case "warn":
                log.warning(message, process=PROCESS, **fields)
            case "error":
                log.error(message, process=PROCESS, **fields)
            case _:
                log.info(message, process=PROCESS, **fields)

    def _count(self, message: str) -> int | None:
        """How often a message was left out since its last line; None where it is to be left out now."""
        now = self._clock()
        known = self._repeated.get(message)
        if known is not None and now - known.logged_at < REPEAT_SECONDS_MIN:
            known.left_out += 1
            return None
        self._repeated[message] = _Repeated(now)
        self._repeated.move_to_end(message)
        if len(self._repeated) > MESSAGES_KEPT_MAX:
            self._repeated.popitem(last=False)
        return 0 if known is None else known.left_out


def _parse(text: str) -> dict[str, object] | None:
    """A line as the engine's logger writes it, or None."""
    if not text.startswith("{"):
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "_msg" in record else None


def _shortened(value: object) -> object:
    if isinstance(value, bool | int | float | None):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:VALUE_CHARACTERS_MAX]
