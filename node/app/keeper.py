"""Keeps a child process running."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from node.app.shutdown import EXIT_BROKEN, EXIT_FAILED, Shutdown
from node.telemetry import get_logger

STOP_SECONDS_MAX: Final = 10
"""How long a process is given to end before it is killed."""

RPC_FAILURES_MAX: Final = 5
"""RPC processes that may fail in a row, each sooner than `RPC_WELL_SECONDS` after its start."""

RPC_WELL_SECONDS: Final = 60
RPC_PAUSE_SECONDS: Final = 0.5
"""Pause before a failed RPC process is started again; it doubles with each failure in a row."""

EXITS_FOR_GOOD: Final = frozenset({2, 3, EXIT_BROKEN})
"""Codes with which an RPC process has said what is wrong; another one would say the same."""


class Keeper:
    """Keeps one child process running."""

    def __init__(
        self,
        command: Sequence[str],
        shutdown: Shutdown,
        *,
        standard_input: bytes | None = None,
        descriptors: Sequence[int] = (),
        pause_seconds: float = RPC_PAUSE_SECONDS,
    ) -> None:
        """`standard_input` is what each start of the process reads there, `descriptors` what it inherits besides."""
        self._standard_input = standard_input
        self._descriptors = tuple(descriptors)
        self._command = command
        self._pause_seconds = pause_seconds
        self._shutdown = shutdown
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Starts the process, and again each time it fails, until `stop`; asks for the end if that is no use."""
        failures = 0
        while (child := self._start()) is not None:
            started_at = time.monotonic()
            code = child.wait()
            if self._stopping.is_set():
                return
            was_well = time.monotonic() - started_at >= RPC_WELL_SECONDS
            failures = 1 if was_well else failures + 1
            if code in EXITS_FOR_GOOD or failures >= RPC_FAILURES_MAX:
                reason = f"the RPC process ended with code {code}, {failures} times in a row"
                self._shutdown.request(exit_code=EXIT_FAILED, reason=reason)
                return
            get_logger().error("rpc_process_failed", code=code, failures=failures)
            self._stopping.wait(self._pause_seconds * 2 ** (failures - 1))

    def stop(self) -> None:
        """Ends the process in order, or by force after a while; `keep` returns."""
        self._stopping.set()
        with self._lock:
            child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            child.kill()

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._child = subprocess.Popen(
                self._command,
                stdin=None if self._standard_input is None else subprocess.PIPE,
                pass_fds=self._descriptors,
            )
            if self._child.stdin is not None and self._standard_input is not None:
                with suppress(BrokenPipeError), self._child.stdin:  # its end is seen by `keep`
                    self._child.stdin.write(self._standard_input)
            return self._child
