"""What becomes of the engine's log lines.

Cites docs/spec/node.md: N-133.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from node.consensus.cometbft.engine_log import (
    MESSAGES_KEPT_MAX,
    PLAIN_LINES_MAX,
    REPEAT_SECONDS_MIN,
    VALUE_CHARACTERS_MAX,
    EngineLog,
)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def nothing() -> None:
    """What a log without failures calls never."""
    raise AssertionError("consensus failed")


def line(message: str, level: str = "info", **fields: object) -> bytes:
    return json.dumps({"_msg": message, "level": level, "ts": "now", **fields}).encode() + b"\n"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("debug", "debug"),
        ("info", "info"),
        ("warn", "warning"),
        ("error", "error"),
        ("none", "info"),
        ("", "info"),
    ],
)
def test_a_line_becomes_an_event_of_the_process_engine_with_its_level_and_fields(
    theirs: str, ours: str
) -> None:
    """N-133."""
    with capture_logs() as logs:
        EngineLog(nothing).take(line("finalized block", theirs, module="state", height=7))
    assert logs == [
        {
            "event": "finalized block",
            "process": "engine",
            "module": "state",
            "height": 7,
            "log_level": ours,
        }
    ]


def test_fields_that_are_ours_are_not_theirs_to_set() -> None:
    """N-133."""
    with capture_logs() as logs:
        EngineLog(nothing).take(line("x", event="forged", process="core", timestamp="never"))
    assert logs == [{"event": "x", "process": "engine", "log_level": "info"}]


def test_a_failure_of_consensus_is_an_event_of_its_own_each_time_and_is_reported() -> None:
    """N-133."""
    failures: list[None] = []
    log = EngineLog(lambda: failures.append(None))
    with capture_logs() as logs:
        for _ in range(2):
            log.take(line("CONSENSUS FAILURE!!!", "error", err="bad update", stack="..."))
    assert [entry["event"] for entry in logs] == ["consensus_failure"] * 2
    assert logs[0]["err"] == "bad update"
    assert len(failures) == 2
    assert log.last_fault == "CONSENSUS FAILURE!!!"


@pytest.mark.parametrize("level", ["info", "error"])
def test_peers_that_are_refused_again_and_again_do_not_flood_the_log(level: str) -> None:
    """N-133."""
    clock = Clock()
    log = EngineLog(nothing, clock=clock)
    refused = "Ignoring inbound connection: error while adding peer"
    with capture_logs() as logs:
        for number in range(42):
            log.take(line(refused, level, module="p2p", err=f"filtered ID<{number}>"))
        log.take(line("something else", level, module="p2p", err="x"))
        clock.seconds = REPEAT_SECONDS_MIN
        log.take(line(refused, level, module="p2p", err="filtered ID<43>"))
    assert [(entry["event"], entry.get("left_out")) for entry in logs] == [
        (refused, None),
        ("something else", None),
        (refused, 41),
    ]


def test_a_peer_that_comes_and_goes_does_not_flood_the_log() -> None:
    """N-133."""
    log = EngineLog(nothing, clock=Clock())
    with capture_logs() as logs:
        for _ in range(600):
            log.take(line("Reconnecting to peer", module="p2p", addr="x"))
            log.take(line("service start", module="p2p", impl="Peer{x}"))
    assert [entry["event"] for entry in logs] == ["Reconnecting to peer", "service start"]


def test_messages_without_an_error_are_all_kept() -> None:
    with capture_logs() as logs:
        log = EngineLog(nothing)
        for height in range(5):
            log.take(line("finalized block", height=height))
    assert [entry["height"] for entry in logs] == list(range(5))


def test_no_more_than_so_many_messages_are_remembered() -> None:
    log = EngineLog(nothing, clock=Clock())
    with capture_logs() as logs:
        for number in range(MESSAGES_KEPT_MAX + 1):
            log.take(line(f"fault {number}", "error"))
        log.take(line("fault 0", "error"))
    assert len(logs) == MESSAGES_KEPT_MAX + 2


def test_a_panic_is_logged_as_text_and_cut_off_and_its_first_line_is_the_fault() -> None:
    """N-133."""
    log = EngineLog(nothing)
    log.begin_process()
    with capture_logs() as logs:
        log.take(b"panic: app hash mismatch\n")
        for number in range(500):
            log.take(f"goroutine {number}\n".encode())
    assert len(logs) == PLAIN_LINES_MAX
    assert logs[0] == {
        "event": "engine_wrote",
        "process": "engine",
        "text": "panic: app hash mismatch",
        "log_level": "error",
    }
    assert log.last_fault == "panic: app hash mismatch"
    log.begin_process()
    assert log.last_fault == ""


def test_a_peer_that_is_not_there_is_no_fault_of_the_process() -> None:
    """N-132. Else an engine that always ends alike would seem to end otherwise each time a peer is away."""
    log = EngineLog(nothing)
    log.take(line("Error dialing peer", "error", module="p2p"))
    assert log.last_fault == ""
    log.take(b"out of memory\n")
    log.take(line("Stopping peer for error", "error", module="p2p"))
    assert log.last_fault == "out of memory"
    log.take(line("prune failed", "error", module="state"))
    assert log.last_fault == "prune failed"


def test_long_values_are_cut() -> None:
    with capture_logs() as logs:
        EngineLog(nothing).take(line("x", stack="s" * 10_000, deep=[["d" * 10_000]]))
    assert len(logs[0]["stack"]) == VALUE_CHARACTERS_MAX
    assert len(logs[0]["deep"]) == VALUE_CHARACTERS_MAX


@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(st.text(max_size=10), st.text(max_size=10) | st.integers() | st.none()).map(
            lambda fields: json.dumps({"_msg": "x", **fields}).encode()
        ),
        st.sampled_from([b"[" * 50_000, b'{"_msg": ' + b"[" * 50_000, b'{"_msg": null}', b"{}"]),
    )
)
def test_no_line_makes_the_reader_fail(text: bytes) -> None:
    with capture_logs():
        EngineLog(lambda: None).take(text)
