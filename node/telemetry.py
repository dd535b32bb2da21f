"""Structured logs: one JSON object per line on standard error.

`configure_logs` is called once by each process's composition root; every other module that logs asks `get_logger` and
names what happened as an event with fields (`log.info("block_committed", number=7)`). Bytes are printed as 0x-hex.
Nothing under `finalize_block` logs: what a block does never depends on, or waits for, an observer.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger, Processor, WrappedLogger

LogEvent = MutableMapping[str, Any]  # structlog's own type of an event


def configure_logs(*, process: str, level: str) -> None:
    """Sends this process's logs to standard error as JSON, from `level` (debug, info, warning, error) upwards."""
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


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
