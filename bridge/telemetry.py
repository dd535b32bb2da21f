"""Structured logs: one JSON object per line on standard error.

The composition root calls `configure_logs` once; whoever logs asks `get_logger` and names what
happened as an event with fields. Customers' names, account numbers, tokens and salts are never
fields of a log line: payments are named by their ids.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

LEVELS: Final = ("debug", "info", "warning", "error")
"""The levels from which a process may log."""

_Fields = MutableMapping[str, Any]  # structlog's own type of a log line


def configure_logs(*, process: str, level: str) -> None:
    """Write this process's logs to standard error, from `level` upwards, each naming `process`."""

    def name_process(_logger: WrappedLogger, _method: str, fields: _Fields) -> _Fields:
        return {"process": process, **fields}

    structlog.configure(
        processors=[
            name_process,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=_plain),
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


def _plain(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
