"""What ends a node, and what does not: faults of its threads, a log that cannot be written, a child that fails."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from node import link
from node.app.consensus import Beginning, Consensus, running_consensus
from node.app.keeper import RPC_FAILURES_MAX, Keeper
from node.app.listener import SharedListener, listen, url_of
from node.app.rpc import Inheritance, _connect
from node.app.shutdown import EXIT_BROKEN, EXIT_FAILED, EXIT_OK, Shutdown, guard
from node.config import ClientSettings, Limits, Settings
from node.consensus.cometbft.home import read_keys
from node.errors import CoreUnavailable, SettingsInvalid, StateMissing
from node.membership import ValidatorKey
from node.rpc.announcements import Announcements
from node.telemetry import CoreMetrics
from support.core import open_core
from support.validator_network import validator_network_file

ENDED_FOR_GOOD = 3


class UnaskedIntake:
    """A core that is asked nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


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


def test_a_signal_that_another_thread_gets_ends_a_process_whose_main_thread_sleeps() -> None:
    """N-96. A main thread that has just been continued is passed by: the system picks another."""
    code = (
        "import signal, threading\n"
        "from node.app.shutdown import Shutdown, obey_signals\n"
        "shutdown = Shutdown()\n"
        "obey_signals(shutdown)\n"
        "def interrupt() -> None:\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
        "threading.Timer(0.1, interrupt).start()\n"
        "shutdown.requested.wait()\n"
        "print(shutdown.exit_code, shutdown.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == [str(EXIT_OK), "SIGTERM"]


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


def test_an_rpc_process_gets_what_its_core_has(tmp_path: Path) -> None:
    """N-92."""
    settings = Settings(
        genesis_file=tmp_path / "genesis.json",
        data_directory=tmp_path,
        port=8545,
        limits=Limits(threads=3),
        clients={"bank": ClientSettings(token_sha256="ab" * 32, deny=("debug_*",))},
    )
    given = Inheritance(settings, "rpc-2", 7, 4_242)
    assert Inheritance.decode(given.encode()) == given


@pytest.mark.parametrize(("is_own_core", "is_served"), [(True, True), (False, False)])
def test_an_rpc_process_whose_core_has_ended_does_not_go_over_to_its_successor(
    tmp_path: Path, is_own_core: bool, is_served: bool
) -> None:
    """N-51."""
    settings = Settings(genesis_file=tmp_path / "genesis.json", data_directory=tmp_path, port=8545)
    successor = link.Server(link.socket_path(tmp_path), UnaskedIntake(), lambda _: None)
    successor.start()
    core = os.getppid() if is_own_core else os.getpid()
    try:
        if is_served:
            _connect(settings, Announcements(), core).close()
        else:
            with pytest.raises(CoreUnavailable):
                _connect(settings, Announcements(), core)
    finally:
        successor.close()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b'{"settings": {}}', b"\xff"])
def test_what_no_core_has_handed_down_is_refused(text: bytes) -> None:
    """N-92."""
    with pytest.raises(SettingsInvalid, match="for the core alone"):
        Inheritance.decode(text)


def test_a_child_reads_at_each_start_what_its_keeper_has_for_it(tmp_path: Path) -> None:
    """N-92."""
    shutdown = Shutdown()
    trace = tmp_path / "trace"
    code = f"import sys; open({str(trace)!r}, 'a').write(sys.stdin.read()); raise SystemExit(1)"
    keeper = Keeper(
        [sys.executable, "-c", code], shutdown, standard_input=b"given.", pause_seconds=0.001
    )
    keeper.keep()
    assert trace.read_text() == "given." * RPC_FAILURES_MAX


def test_a_port_is_taken_once_and_its_line_outlives_who_serves_it() -> None:
    """N-92."""
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        shared = SharedListener(fileno=taken.fileno())
        shared.listen(1)
        with (
            socket.create_connection(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port)),
        ):
            accepted = [shared.accept()[0] for _ in range(2)]
        for each in accepted:
            each.close()
        shared.detach()
    assert url_of("127.0.0.1", port) == f"http://127.0.0.1:{port}"
    assert url_of("::1", port) == f"http://[::1]:{port}"


def test_no_node_goes_on_alone_on_a_chain_of_several_validators(tmp_path: Path) -> None:
    """N-154. Its settings may have been forgotten: solo is the default."""
    core = open_core(tmp_path / "chain", validator_network_file(4))
    settings = Settings(genesis_file=tmp_path / "genesis.json", data_directory=tmp_path, port=1)
    validators = core.application.validators()

    def run(*first: ValidatorKey) -> None:
        beginning = Beginning(core.chain.tip.header, first)
        metrics = CoreMetrics()
        made = (core.application, core.intake, metrics, core.state, core.store, beginning)
        with running_consensus(settings, Consensus(*made), Shutdown()):
            pass

    with pytest.raises(SettingsInvalid, match="4 validators besides this node"):
        run(*validators)
    own = read_keys(tmp_path / "engine").validator
    assert own is not None
    run(ValidatorKey(own, validators[0].address))
    core.store.close()
