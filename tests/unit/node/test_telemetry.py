"""Logs: a line per event, and a reader that is gone, slow or full is never the node's fault."""

from __future__ import annotations

import io
import json
import threading

from node.telemetry import LogSink


class BrokenStream(io.StringIO):
    """A stream on a full disk, until it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = True

    def write(self, text: str) -> int:
        if self.is_broken:
            raise OSError(28, "No space left on device")
        return super().write(text)


class StuckStream(io.StringIO):
    """A pipe whose reader does not read, until it does."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()

    def write(self, text: str) -> int:
        self.reads.wait(10)
        return super().write(text)


def test_lines_are_written_in_order() -> None:
    stream = io.StringIO()
    sink = LogSink(stream)
    for number in range(100):
        sink.info(str(number))
    sink.flush()
    assert stream.getvalue().split() == [str(number) for number in range(100)]


def test_a_stream_that_fails_costs_lines_and_nothing_else() -> None:
    """N-48."""
    stream = BrokenStream()
    sink = LogSink(stream)
    for _ in range(3):
        sink.error("lost")
    sink.flush()
    assert sink.dropped == 3
    stream.is_broken = False
    sink.error("found")
    sink.flush()
    notice, line = stream.getvalue().splitlines()
    assert json.loads(notice) == {"event": "log_lines_dropped", "count": 3}
    assert line == "found"
    assert sink.dropped == 0


def test_a_closed_stream_costs_lines_and_nothing_else() -> None:
    """N-48."""
    stream = io.StringIO()
    stream.close()
    sink = LogSink(stream)
    sink.error("lost")
    sink.flush()
    assert sink.dropped == 1


def test_a_reader_that_does_not_read_holds_up_nobody() -> None:
    """N-48."""
    stream = StuckStream()
    sink = LogSink(stream, lines_max=10)
    for number in range(100):
        sink.info(str(number))
    assert sink.dropped >= 89
    stream.reads.set()
    sink.flush()
    assert sink.dropped == 0
