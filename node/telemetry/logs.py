"""Structured logs: one JSON object per line on standard error.

`configure_logs` is called once by each process's composition root; every other module that logs asks `get_logger` and
names what happened as an event with fields (`log.info("block_committed", number=7)`). Bytes are printed as 0x-hex.
Nothing under `finalize_block` logs: what a block does never depends on, or waits for, an observer.

Logging never raises and never blocks either: lines go through a bounded queue to a thread that writes them. Where the
reader is gone, the disk is full or the queue overflows, lines are dropped and counted, and the next line that can be
written is preceded by one that says how many.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor, WrappedLogger

LogEvent = MutableMapping[str, Any]  # structlog's own type of an event

LINES_WAITING_MAX: Final = 10_000
"""Lines that wait to be written; past it new ones are dropped."""

FLUSH_SECONDS_MAX: Final = 2
"""How long the end of a process waits for its last lines."""


class LogSink:
    """Writes lines to a stream from a thread of its own; whatever the stream does, the caller goes on."""

    def __init__(self, stream: TextIO, lines_max: int = LINES_WAITING_MAX) -> None:
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(lines_max)
        self._dropped = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="log-sink", daemon=True).start()

    @property
    def dropped(self) -> int:
        """Lines lost since the last that could be written."""
        return self._dropped

    def write(self, line: str) -> None:
        """Takes a line; drops it where too many wait."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._drop()

    def flush(self, seconds: int = FLUSH_SECONDS_MAX) -> None:
        """Waits, but not for long, until every line taken is written or dropped."""
        deadline = time.monotonic() + seconds
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    # What structlog calls on a logger of its own.
    msg = debug = info = warning = error = critical = write

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            try:
                lost = self._dropped
                if lost:
                    line = json.dumps({"event": "log_lines_dropped", "count": lost}) + "\n" + line
                self._stream.write(line + "\n")
                self._stream.flush()
                with self._lock:
                    self._dropped -= lost
            except Exception:  # noqa: BLE001 - an observer that fails is never a fault of the node
                self._drop()
            finally:
                self._lines.task_done()

    def _drop(self) -> None:
        with self._lock:
            self._dropped += 1


def configure_logs(*, process: str, level: str) -> LogSink:
    """Sends this process's logs to standard error as JSON, from `level` (debug, info, warning, error) upwards.

    The process flushes the sink that comes back before it ends.
    """
    sink = LogSink(sys.stderr)
    structlog.configure(
        processors=[
            _add_process(process),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _format_bytes,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    return sink


def get_logger() -> FilteringBoundLogger:
    """The logger of this process."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _add_process(process: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: LogEvent) -> LogEvent:
        return {"process": process, **event}

    return add


def _format_bytes(_logger: WrappedLogger, _method: str, event: LogEvent) -> LogEvent:
    return {
        key: f"0x{value.hex()}" if isinstance(value, bytes) else value
        for key, value in event.items()
    }
