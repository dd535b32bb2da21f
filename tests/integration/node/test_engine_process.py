"""The real engine under its supervisor, and asked over its RPC; its application is one that CometBFT holds for trials.

Cites docs/spec/node.md: N-130 to N-134.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.consensus.cometbft.status import EngineClient
from node.consensus.cometbft.supervisor import FAILURES_MAX, Patience, Supervisor, check_version
from node.errors import EngineQuestionRefused, EngineUnavailable
from node.signed_header import check_signed_header
from support.engine_binary import engine_binary
from support.engine_home import (
    CHAIN_ID,
    NODE_ID,
    VALIDATOR_ADDRESS,
    VALIDATOR_PUBLIC_KEY,
    make_home,
    rpc_socket,
)
from support.node_process import free_port

START_SECONDS_MAX = 20


@contextmanager
def running(home: Path) -> Iterator[tuple[Supervisor, EngineClient, list[str]]]:
    given_up: list[str] = []
    supervisor = Supervisor(
        engine_binary(), home, given_up.append, Patience(pause_seconds_min=0.05)
    )
    thread = threading.Thread(target=supervisor.keep)
    thread.start()
    try:
        with EngineClient(f"unix://{rpc_socket(home)}") as client:
            yield supervisor, client, given_up
    finally:
        supervisor.stop()
        thread.join(20)
        assert not thread.is_alive()


def wait_for_height(client: EngineClient, height: int) -> None:
    """Until the engine has a block of that height."""

    def has_it() -> bool:
        try:
            return client.status().height >= height
        except EngineUnavailable:
            return False

    wait_until(has_it)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.05)


def test_the_binary_is_of_the_version_we_are_written_for() -> None:
    """N-130."""
    check_version(engine_binary())


def test_an_engine_makes_blocks_answers_and_comes_back_when_it_is_killed(tmp_path: Path) -> None:
    """N-131, N-132, N-134."""
    home = make_home(tmp_path / "home", proxy_app="kvstore", p2p_port=free_port())
    with running(home) as (supervisor, client, given_up):
        wait_for_height(client, 1)
        status = client.status()
        assert (status.node_id.hex(), status.chain_id) == (NODE_ID, CHAIN_ID)
        assert status.voting_power == 10
        assert client.net_info() == ()
        assert client.broadcast([b"name=satoshi"]) == [None]
        assert client.broadcast([b"name=satoshi", b"other=one"]) == [None, None]
        wait_for_height(client, 3)
        signed = client.signed_header(1)
        check_signed_header(signed, chain_id=CHAIN_ID)
        (validator,) = signed.validators.members
        assert (validator.address, validator.power) == (VALIDATOR_ADDRESS, 10)
        assert validator.public_key == VALIDATOR_PUBLIC_KEY
        with pytest.raises(EngineQuestionRefused, match="must be less than"):
            client.signed_header(999)

        child = supervisor._child
        assert child
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: supervisor.starts == 2)
        wait_for_height(client, 3)  # over the socket that the killed one left behind
        assert given_up == []
    assert not rpc_socket(home).exists()


def test_an_engine_whose_application_does_not_listen_waits_for_it_and_ends_when_asked(
    tmp_path: Path,
) -> None:
    """N-131, N-133."""
    app = f"unix://{tmp_path / 'nobody.sock'}"
    home = make_home(tmp_path / "home", proxy_app=app, p2p_port=free_port())
    with capture_logs() as logs, running(home) as (supervisor, client, _):
        wait_until(lambda: any("abci.socketClient failed" in entry["event"] for entry in logs))
        assert supervisor.is_running
        with pytest.raises(EngineUnavailable):
            client.status()
        started_at = time.monotonic()
        supervisor.stop()
        assert time.monotonic() - started_at < 5
    assert supervisor.starts == 1


def test_a_home_that_lacks_something_ends_with_words_and_is_given_up(tmp_path: Path) -> None:
    """N-130, N-132."""
    home = make_home(tmp_path / "home", proxy_app="kvstore", p2p_port=free_port())
    (home / "config/node_key.json").unlink()
    with running(home) as (supervisor, _, given_up):
        wait_until(lambda: bool(given_up))
    assert "cannot read the node key" in given_up[0]
    assert supervisor.starts == FAILURES_MAX
    assert not (home / "config/node_key.json").exists()
