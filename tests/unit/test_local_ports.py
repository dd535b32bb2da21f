"""Ports for servers that are to be started: nobody else gets one in between."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local_network import ports
from local_network.ports import NoFreePorts, free_ports

ASKING = "from local_network.ports import free_ports; print(*free_ports(4), flush=True); input()"


def asking_process() -> subprocess.Popen[str]:
    """A process that says which ports it was given, and lives until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path}; {ASKING}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> set[int]:
    """The ports that a process was given."""
    assert process.stdout is not None
    return {int(port) for port in process.stdout.readline().split()}


def narrowed(monkeypatch: pytest.MonkeyPatch, ports_left: range) -> None:
    """Only these are given out from now on."""
    monkeypatch.setattr(ports, "PORTS", ports_left)


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody listens on a port for as long as the context lasts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield


def test_neighbouring_ports_are_given_once_each() -> None:
    first, second = free_ports(6), free_ports(6)
    assert list(first) == list(range(first[0], first[0] + 6))
    assert not set(first) & set(second)


def test_a_port_somebody_listens_on_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_ports(3)
    with listening(taken[1]):
        monkeypatch.setattr(ports, "_given", set())
        narrowed(monkeypatch, taken)
        assert {free_ports(1)[0], free_ports(1)[0]} == {taken[0], taken[2]}
        with pytest.raises(NoFreePorts):
            free_ports(1)


def test_ports_beside_one_that_is_taken_are_still_there_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = free_ports(4)
    with listening(taken[3]):
        monkeypatch.setattr(ports, "_given", set())
        narrowed(monkeypatch, taken)
        with pytest.raises(NoFreePorts):
            free_ports(4)
        assert free_ports(3) == taken[:3]


def test_what_a_living_process_was_given_nobody_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with asking_process() as process:
        theirs = told(process)
        assert len(theirs) == 4
        narrowed(monkeypatch, range(min(theirs), max(theirs) + 1))
        with pytest.raises(NoFreePorts):
            free_ports(1)
        process.communicate("\n")
    assert free_ports(1)[0] in theirs
