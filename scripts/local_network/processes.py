"""The network's child processes: started, awaited, watched, and ended in reverse order.

Each child writes its standard error to a log file of its own. A child that dies ends the network.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

START_SECONDS_MAX: Final = 60
"""How long a child may take until it says that it is ready."""

STOP_SECONDS_MAX: Final = 10
"""How long a child is given to end before it is killed."""

POLL_SECONDS: Final = 0.05


class ProcessFailed(Exception):
    """A child could not be started, or died."""


@dataclass(frozen=True, slots=True)
class Child:
    """One running child."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    log: Path


class Processes:
    """All children of one run. Use as a context manager: leaving it ends them all."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start `python -m ARGUMENTS`; its ready line is awaited by `await_ready`.

        `environment` is added to what it inherits.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        output, log = self._logs / f"{name}.out", self._logs / f"{name}.log"
        with output.open("wb") as out, log.open("ab") as errors:
            process = self._spawn(arguments, environment or {}, out, errors)
        child = Child(name=name, process=process, output=output, log=log)
        self._children.append(child)
        return child

    def await_ready(self, child: Child, word: str) -> None:
        """Return once the child's output has a line that begins with `word`."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            self.check()
            lines = child.output.read_text("utf-8", errors="replace").splitlines()
            if any(line.startswith(word) for line in lines):
                return
            time.sleep(POLL_SECONDS)
        raise ProcessFailed(f"{child.name} was not ready in time; see {child.log}")

    def check(self) -> None:
        """Raise `ProcessFailed` if any child has ended, with the end of its log."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                tail = child.log.read_text("utf-8", errors="replace").splitlines()[-5:]
                raise ProcessFailed("\n".join([f"{child.name} ended with code {code}:", *tail]))

    def forget(self, child: Child) -> None:
        """Watch a child no longer: somebody ended it on purpose."""
        self._children.remove(child)

    def identifiers(self) -> dict[str, int]:
        """Process ids by name, for an operator who wants to send signals."""
        return {child.name: child.process.pid for child in self._children}

    def stop(self) -> None:
        """End all children, the last started first, killing what does not end in time."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for child in reversed(self._children):
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._children.clear()

    @staticmethod
    def _spawn(
        arguments: Sequence[str],
        environment: Mapping[str, str],
        out: IO[bytes],
        errors: IO[bytes],
    ) -> subprocess.Popen[bytes]:
        """A child in a session of its own, so that Ctrl-C reaches only the devnet, which ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )


def run_all(commands: Sequence[Sequence[str]]) -> None:
    """Run several `python -m ...` commands side by side; `ProcessFailed` if one fails."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for command in commands
    ]
    outputs = [process.communicate()[0] for process in running]
    for process, output, command in zip(running, outputs, commands, strict=True):
        if process.returncode != 0:
            text = output.decode("utf-8", errors="replace").strip()
            raise ProcessFailed(f"{' '.join(command[:2])} failed:\n{text}")
