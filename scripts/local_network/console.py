"""What the devnet prints: steps with their time, tables of balances, and the last line for machines."""

import json
import time
from collections.abc import Mapping, Sequence


class Console:
    """Prints to standard output, each step with the milliseconds since the last `start_clock`."""

    def __init__(self) -> None:
        self._started = time.monotonic_ns()

    def start_clock(self) -> None:
        """Count milliseconds from now."""
        self._started = time.monotonic_ns()

    def milliseconds(self) -> int:
        """Milliseconds since the clock was started."""
        return (time.monotonic_ns() - self._started) // 1_000_000

    def say(self, text: str = "") -> None:
        """One plain line."""
        print(text, flush=True)

    def step(self, who: str, what: str) -> None:
        """One thing that happened: when, who, what."""
        self.say(f"  {self.milliseconds():>6} ms  {who:<18} {what}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose first column is text and whose others are figures."""
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        for row in (header, *rows):
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            self.say("  " + "  ".join(cells))

    def result(self, document: Mapping[str, object]) -> None:
        """The outcome as one line of JSON."""
        self.say(json.dumps(document))
