"""The supervisor of the engine, with programs in the engine's place.

Cites docs/spec/node.md: N-131, N-132.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from node.consensus.cometbft.supervisor import (
    COMETBFT_VERSION,
    ENGINE_FAILPOINT_VARIABLE,
    FAILURES_MAX,
    Patience,
    Supervisor,
    check_version,
    find_engine,
)
from node.errors import EngineBinaryMissing, EngineVersionUnsupported
from node.failpoint import ALLOWED_VARIABLE

QUICK = Patience(
    pause_seconds_min=0.01, pause_seconds_max=0.02, well_seconds=60, stop_seconds_max=5
)
CORE = """
import sys
from pathlib import Path
from node.consensus.cometbft.supervisor import Supervisor
Supervisor(Path(sys.argv[1]), Path("home"), print).keep()
"""
LIVING = "import sys; print('up', flush=True); sys.stdin.read()"


def program(folder: Path, code: str) -> Path:
    """A program that leaves a mark at each start and then does what the code says."""
    path = folder / "engine"
    mark = f"open({str(folder / 'starts')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"
    path.write_text(f"#!{sys.executable}\nimport sys\n{mark}\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def starts(folder: Path) -> list[str]:
    """What each start was called with."""
    marks = folder / "starts"
    return marks.read_text(encoding="utf-8").splitlines() if marks.exists() else []


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.01)


@contextmanager
def supervised(
    folder: Path, code: str, patience: Patience = QUICK
) -> Iterator[tuple[Supervisor, threading.Thread, list[str]]]:
    """A supervisor at work; stopped at the end, after which its thread has ended."""
    given_up: list[str] = []
    supervisor = Supervisor(program(folder, code), folder / "home", given_up.append, patience)
    thread = threading.Thread(target=supervisor.keep)
    thread.start()
    try:
        yield supervisor, thread, given_up
    finally:
        supervisor.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_the_engine_is_started_with_its_home_and_tied_to_its_parent(tmp_path: Path) -> None:
    """N-131."""
    with supervised(tmp_path, LIVING) as (supervisor, _, _):
        wait_until(lambda: len(starts(tmp_path)) == 1)
        assert starts(tmp_path) == [f"start --home {tmp_path / 'home'} --with-parent"]
        assert supervisor.is_running
    assert not supervisor.is_running


@pytest.mark.parametrize(("allowed", "expected"), [("", "None"), ("yes", "7")])
def test_no_stray_variable_ends_the_engine_in_the_midst_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str, expected: str
) -> None:
    """N-130. CometBFT obeys it wherever it is set."""
    monkeypatch.setenv(ENGINE_FAILPOINT_VARIABLE, "7")
    monkeypatch.setenv(ALLOWED_VARIABLE, allowed)
    found = tmp_path / "found"
    code = (
        f"import os; open({str(found)!r}, 'w').write(str(os.environ.get('FAIL_TEST_INDEX')))\n"
        f"os.rename({str(found)!r}, {str(found) + '.whole'!r})\n{LIVING}"
    )
    with supervised(tmp_path, code):
        wait_until(found.with_suffix(".whole").exists)
    assert found.with_suffix(".whole").read_text() == expected


@pytest.mark.parametrize("code", [0, 1, 2])
def test_every_end_that_was_not_asked_for_is_a_failure_and_five_alike_are_enough(
    tmp_path: Path, code: int
) -> None:
    """N-132."""
    ending = f"print('corridor-engine: no genesis', flush=True); sys.exit({code})"
    with capture_logs() as logs, supervised(tmp_path, ending) as (supervisor, thread, given_up):
        thread.join(30)
    assert len(starts(tmp_path)) == supervisor.starts == FAILURES_MAX
    (reason,) = given_up
    assert reason.startswith("the consensus engine failed 5 times in a row in the same way")
    assert reason.endswith(f"with code {code}: corridor-engine: no genesis")
    failed = [entry for entry in logs if entry["event"] == "engine_failed"]
    assert [entry["failures"] for entry in failed] == [1, 2, 3, 4, 5]
    assert {entry["fault"] for entry in failed} == {"corridor-engine: no genesis"}


def test_failures_that_differ_do_not_end_the_node(tmp_path: Path) -> None:
    """N-132."""
    path = str(tmp_path / "starts")
    differing = f"sys.exit(1 + len(open({path!r}).readlines()) % 2)"
    with supervised(tmp_path, differing) as (_, _, given_up):
        wait_until(lambda: len(starts(tmp_path)) > 2 * FAILURES_MAX)
        assert given_up == []


def test_an_engine_that_was_well_for_a_while_has_failed_for_the_first_time(tmp_path: Path) -> None:
    """N-132."""
    patience = Patience(
        pause_seconds_min=0.01, pause_seconds_max=60, well_seconds=0, stop_seconds_max=5
    )
    with supervised(tmp_path, "sys.exit(1)", patience) as (_, _, given_up):
        # With pauses that doubled, twelve starts would take twenty seconds.
        wait_until(lambda: len(starts(tmp_path)) >= 2 * FAILURES_MAX + 2, seconds=15)
        assert given_up == []


def test_the_pause_doubles_up_to_its_maximum() -> None:
    """N-132."""
    supervisor = Supervisor(Path("engine"), Path("home"), lambda _: None)
    pauses = [supervisor._pause(failures) for failures in (1, 2, 3, 6, 7, 5_000)]
    assert pauses == [0.2, 0.4, 0.8, 6.4, 10, 10]


def test_a_stopped_engine_is_asked_first_and_is_no_failure(tmp_path: Path) -> None:
    """N-131."""
    asked = tmp_path / "asked"
    polite = (
        "import signal, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(asked)!r}, 'w').close(), sys.exit(0)))\n"
        "print('up', flush=True)\n"
        "time.sleep(60)"
    )
    with capture_logs() as logs, supervised(tmp_path, polite) as (supervisor, _, given_up):
        wait_until(lambda: any(entry.get("text") == "up" for entry in logs))
        supervisor.stop()
        wait_until(asked.exists)
    assert given_up == []
    assert len(starts(tmp_path)) == 1
    assert not [entry for entry in logs if entry["event"] in {"engine_failed", "engine_killed"}]


def test_an_engine_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """N-131."""
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    patience = Patience(stop_seconds_max=0.1)
    with capture_logs() as logs, supervised(tmp_path, deaf, patience) as (supervisor, thread, _):
        wait_until(lambda: any(entry.get("text") == "up" for entry in logs))
        supervisor.stop()
        thread.join(10)
        assert not supervisor.is_running
    assert [entry["event"] for entry in logs if entry["event"] == "engine_killed"]


def test_a_stop_during_the_pause_starts_nothing_more(tmp_path: Path) -> None:
    patience = Patience(pause_seconds_min=30, pause_seconds_max=30)
    with supervised(tmp_path, "sys.exit(1)", patience) as (supervisor, thread, _):
        wait_until(lambda: len(starts(tmp_path)) == 1 and not supervisor.is_running)
        supervisor.stop()
        thread.join(5)
        assert not thread.is_alive()
    assert len(starts(tmp_path)) == 1


def test_an_engine_whose_consensus_failed_is_ended_and_started_again(tmp_path: Path) -> None:
    """N-132."""
    record = json.dumps({"_msg": "CONSENSUS FAILURE!!!", "level": "error", "err": "x"})
    failing = (
        f"first = len(open({str(tmp_path / 'starts')!r}).readlines()) == 1\n"
        f"print({record!r} if first else 'up', flush=True)\n"
        "import time; time.sleep(60)"
    )
    with capture_logs() as logs, supervised(tmp_path, failing) as (supervisor, _, given_up):
        wait_until(lambda: len(starts(tmp_path)) == 2 and supervisor.is_running)
        assert given_up == []
    assert "consensus_failure" in [entry["event"] for entry in logs]


def test_what_the_engine_says_is_logged_whole_up_to_its_last_line(tmp_path: Path) -> None:
    """N-133."""
    talking = (
        "import json\n"
        "for height in range(200):\n"
        "    print(json.dumps({'_msg': 'finalized block', 'level': 'info', 'height': height}))\n"
        "print('panic: at the end', file=sys.stderr)\n"
        "sys.exit(2)"
    )
    with capture_logs() as logs, supervised(tmp_path, talking) as (_, thread, given_up):
        thread.join(30)
    heights = [entry["height"] for entry in logs if entry["event"] == "finalized block"]
    assert heights == [*range(200)] * FAILURES_MAX
    assert "panic: at the end" in given_up[0]


def test_the_engine_ends_with_a_core_that_is_killed(tmp_path: Path) -> None:
    """N-131."""
    pid_file = tmp_path / "pid"
    path = program(
        tmp_path, f"open({str(pid_file)!r}, 'w').write(str(__import__('os').getpid()))\n{LIVING}"
    )
    core = subprocess.Popen([sys.executable, "-c", CORE, str(path)])
    try:
        wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()))
        engine = int(pid_file.read_text())
        core.send_signal(signal.SIGKILL)
        core.wait(10)
        wait_until(lambda: not is_alive(engine), 10)
    finally:
        core.kill()


def is_alive(pid: int) -> bool:
    """Whether a process lives; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return not found.stdout.strip().startswith(b"Z") and found.stdout.strip() != b""


def test_the_binary_that_is_set_comes_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-130."""
    on_path = tmp_path / "corridor-engine"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_engine(None) == on_path
    assert find_engine(on_path) == on_path
    with pytest.raises(EngineBinaryMissing, match="scripts/build-engine"):
        find_engine(tmp_path / "absent")


def test_without_a_path_the_binary_is_the_one_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-130."""
    built = tmp_path / "corridor-engine"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("node.consensus.cometbft.supervisor.BUILT_BINARY", built)
    with pytest.raises(EngineBinaryMissing, match="on the PATH or in build/"):
        find_engine(None)
    built.touch()
    assert find_engine(None) == built


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"engine": "corridor-engine", "cometbft": "v0.39.0"}, "v0.39.0"),
        ({"engine": "corridor-engine", "cometbft": "v0.40.0+replaced"}, "v0.40.0+replaced"),
        ({"engine": "cometbft", "cometbft": COMETBFT_VERSION}, "no version"),
        ({"engine": "corridor-engine", "cometbft": 40}, "no version"),
        ({"cometbft": COMETBFT_VERSION}, "no version"),
        ([COMETBFT_VERSION], "no version"),
        ("0.40.0", "no version"),
    ],
)
def test_another_version_is_refused(tmp_path: Path, output: Any, found: str) -> None:
    """N-130."""
    path = program(tmp_path, f"print({json.dumps(output)!r})")
    with pytest.raises(EngineVersionUnsupported) as refusal:
        check_version(path)
    assert (refusal.value.found, refusal.value.expected) == (found, COMETBFT_VERSION)


def test_a_binary_that_says_no_version_is_refused(tmp_path: Path) -> None:
    """N-130."""
    for path in (program(tmp_path, "sys.exit(1)"), tmp_path / "absent", tmp_path):
        with pytest.raises(EngineVersionUnsupported, match="no version"):
            check_version(path)


def test_the_right_version_passes(tmp_path: Path) -> None:
    line = json.dumps({"engine": "corridor-engine", "cometbft": COMETBFT_VERSION, "go": "go1.26.8"})
    path = program(tmp_path, f"print({line!r})")
    check_version(path)
    assert starts(tmp_path) == ["version"]
