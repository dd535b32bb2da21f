"""What ends a node, and what does not: faults of its threads, a log that cannot be written, a child that fails."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from node.app.keeper import RPC_FAILURES_MAX, Keeper
from node.app.shutdown import EXIT_BROKEN, EXIT_FAILED, EXIT_OK, Shutdown, guard
from node.errors import StateMissing

ENDED_FOR_GOOD = 3


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [
        (OSError(32, "Broken pipe"), EXIT_FAILED),
        (KeyboardInterrupt(), EXIT_FAILED),
        (StateMissing(b"root"), EXIT_BROKEN),
    ],
)
def test_whatever_ends_the_thread_that_makes_blocks_ends_the_node(
    fault: BaseException, exit_code: int
) -> None:
    """N-48."""

    def fail() -> None:
        raise fault

    shutdown = Shutdown()
    thread = threading.Thread(target=guard, args=(fail, shutdown), name="consensus")
    thread.start()
    thread.join()
    assert shutdown.requested.is_set()
    assert shutdown.exit_code == exit_code
    assert shutdown.reason == f"consensus failed: {fault}"


def test_a_broken_invariant_ends_the_node_in_its_own_words() -> None:
    """N-49."""
    shutdown = Shutdown()
    shutdown.on_fault(StateMissing(b"root"))
    shutdown.request(exit_code=EXIT_OK, reason="later")
    assert (shutdown.exit_code, shutdown.reason) == (EXIT_BROKEN, str(StateMissing(b"root")))


def kept(code: str, shutdown: Shutdown) -> tuple[Keeper, threading.Thread]:
    """A keeper of a Python process, at work."""
    keeper = Keeper([sys.executable, "-c", code], shutdown, pause_seconds=0.001)
    thread = threading.Thread(target=keeper.keep)
    thread.start()
    return keeper, thread


def test_a_child_that_fails_is_started_again_until_that_is_no_use(tmp_path: Path) -> None:
    """N-51."""
    shutdown = Shutdown()
    trace = tmp_path / "trace"
    _, thread = kept(f"open({str(trace)!r}, 'a').write('x'); raise SystemExit(1)", shutdown)
    thread.join(30)
    assert trace.read_text() == "x" * RPC_FAILURES_MAX
    assert shutdown.exit_code == EXIT_FAILED
    assert "the RPC process ended with code 1" in shutdown.reason


def test_a_child_that_has_said_what_is_wrong_is_not_started_again(tmp_path: Path) -> None:
    """N-51."""
    shutdown = Shutdown()
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'a').write('x'); raise SystemExit({ENDED_FOR_GOOD})"
    _, thread = kept(code, shutdown)
    thread.join(30)
    assert trace.read_text() == "x"
    assert shutdown.requested.is_set()


def test_a_child_that_is_stopped_is_no_failure(tmp_path: Path) -> None:
    shutdown = Shutdown()
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close(); import time; time.sleep(60)"
    keeper, thread = kept(code, shutdown)
    deadline = time.monotonic() + 20
    while not trace.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    keeper.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert not shutdown.requested.is_set()
