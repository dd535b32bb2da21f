"""Keeps the engine's process running beside the core.

The application listens first, then the engine is started, for it comes to the application. It ends with the core: its
standard input is a pipe from here, and it ends when that is closed, however the core died. It is a process group of its
own, so that a terminal's Ctrl-C reaches the core alone, which then ends the engine and after it the application:
ended at once, the two can hang.

Its exit codes say little (0 when the application is lost, too), so every end that was not asked for is a failure. It is
started again after a pause that doubles. Where that is no use, which is after the same failure `FAILURES_MAX` times in
a row, each soon after its start, the node is told to end, loudly. An engine whose consensus failed goes on living and
does nothing more: it is ended and started again like one that died.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.consensus.cometbft.engine_log import LINE_BYTES_MAX, EngineLog
from node.errors import EngineBinaryMissing, EngineVersionUnsupported
from node.failpoint import ALLOWED_VARIABLE
from node.telemetry import get_logger

BINARY_NAME: Final = "corridor-engine"
BUILT_BINARY: Final = Path(__file__).resolve().parents[3] / "build" / BINARY_NAME
"""Where `scripts/build-engine` puts it in a checkout."""

COMETBFT_VERSION: Final = "v0.40.0"
"""The version whose messages, files and answers this package is written for."""

VERSION_SECONDS_MAX: Final = 10
ENGINE_FAILPOINT_VARIABLE: Final = "FAIL_TEST_INDEX"
"""Has CometBFT's code end its process at a point of a block, by number."""

FAILURES_MAX: Final = 5
"""Failures alike in a row, each sooner than `well_seconds` after its start, after which the engine is given up."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for what; in seconds."""

    pause_seconds_min: float = 0.2
    """Before the engine is started again; it doubles with each failure in a row."""
    pause_seconds_max: float = 10
    well_seconds: float = 60
    """Life after which a failure counts as the first again."""
    stop_seconds_max: float = 10
    """Given to an orderly end before the process is killed."""


def find_engine(setting: Path | None) -> Path:
    """The engine's binary: the one that is set, else from the PATH, else of this checkout; or `EngineBinaryMissing`."""
    if setting is not None:
        if not setting.is_file():
            raise EngineBinaryMissing(str(setting))
        return setting
    on_path = shutil.which(BINARY_NAME)
    if on_path is not None:
        return Path(on_path)
    if not BUILT_BINARY.is_file():
        raise EngineBinaryMissing(None)
    return BUILT_BINARY


def check_version(binary: Path) -> None:
    """Raises `EngineVersionUnsupported` unless the binary links the version of CometBFT that we are written for."""
    try:
        finished = subprocess.run(
            [binary, "version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS_MAX,
            check=True,
        )
        line = json.loads(finished.stdout)
        found = line["cometbft"] if line["engine"] == BINARY_NAME else None
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        found = None
    if found != COMETBFT_VERSION:
        found = found if isinstance(found, str) else "no version"
        raise EngineVersionUnsupported(str(binary), expected=COMETBFT_VERSION, found=found)


def engine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the engine inherits of this process's: CometBFT's failpoints only where ours are allowed."""
    is_allowed = environment.get(ALLOWED_VARIABLE) == "yes"
    return {
        name: value
        for name, value in environment.items()
        if is_allowed or name != ENGINE_FAILPOINT_VARIABLE
    }


class Supervisor:
    """Keeps one process of the engine running."""

    def __init__(
        self,
        binary: Path,
        home: Path,
        on_given_up: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        """`on_given_up` is called once, with the reason, where starting the engine again is no use."""
        self._command = [str(binary), "start", "--home", str(home), "--with-parent"]
        self._on_given_up = on_given_up
        self._patience = patience or Patience()
        self._log = EngineLog(self._end_failed_consensus)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def is_running(self) -> bool:
        """Whether the engine's process lives."""
        child = self._child
        return child is not None and child.poll() is None

    @property
    def starts(self) -> int:
        """How often it was started."""
        return self._starts

    def keep(self) -> None:
        """Starts the engine, and again each time it ends, until `stop` or until it is given up.

        The application must be listening. Runs in a thread of its own, which also reads the engine's log.
        """
        failures = 0
        alike = 0
        previous: tuple[int, str] | None = None
        while (child := self._start()) is not None:
            started_at = time.monotonic()
            code = self._follow(child)
            if self._stopping.is_set():
                return
            failure = (code, self._log.last_fault)
            if time.monotonic() - started_at >= self._patience.well_seconds:
                failures, previous = 0, None
            failures += 1
            alike = alike + 1 if failure == previous else 1
            previous = failure
            get_logger().error(
                "engine_failed", code=code, fault=self._log.last_fault, failures=failures
            )
            if alike >= FAILURES_MAX:
                self._on_given_up(
                    f"the consensus engine failed {alike} times in a row in the same way, "
                    f"with code {code}: {self._log.last_fault or 'it said nothing'}"
                )
                return
            self._stopping.wait(self._pause(failures))

    def stop(self) -> None:
        """Ends the engine in order, or by force after a while; `keep` returns. The application must still answer."""
        self._stopping.set()
        with self._lock:
            child = self._child
        if child is not None:
            self._end(child)

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._log.begin_process()
            self._child = subprocess.Popen(
                self._command,
                env=engine_environment(os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                umask=0o077,
                process_group=0,
            )
            self._starts += 1
            get_logger().info("engine_started", pid=self._child.pid, starts=self._starts)
            return self._child

    def _follow(self, child: subprocess.Popen[bytes]) -> int:
        """Logs what the process says until it ends; gives its exit code."""
        assert child.stdout is not None  # noqa: S101 - opened with a pipe
        with child.stdout:
            while line := child.stdout.readline(LINE_BYTES_MAX):
                self._log.take(line)
        code = child.wait()
        if child.stdin is not None:
            child.stdin.close()
        return code

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(self._patience.stop_seconds_max)
        except subprocess.TimeoutExpired:
            get_logger().error("engine_killed", seconds=self._patience.stop_seconds_max)
            child.kill()
            child.wait()

    def _end_failed_consensus(self) -> None:
        child = self._child
        if child is not None:
            # The thread that comes here reads what the process says until its end.
            threading.Thread(
                target=self._end, args=(child,), name="engine-end", daemon=True
            ).start()

    def _pause(self, failures: int) -> float:
        pause = self._patience.pause_seconds_min
        for _ in range(min(failures - 1, 10)):  # by then the longest is reached
            pause *= 2
        return min(self._patience.pause_seconds_max, pause)
