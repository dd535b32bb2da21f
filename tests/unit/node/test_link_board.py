"""Metrics over the link: each process leaves its own with the core, any may collect all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import CoreUnavailable
from node.link import Board, Client, Server, socket_path
from node.link.board import PROCESS_NAME_LENGTH_MAX
from node.link.frames import FRAME_BYTES_MAX, SAMPLES_BYTES_MAX
from support.core import Core, open_core


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


@pytest.fixture
def board() -> Board:
    return Board(lambda: b"of the core")


@pytest.fixture
def server(tmp_path: Path, core: Core, board: Board) -> Iterator[Server]:
    opened = Server(socket_path(tmp_path), core.intake, lambda _: None, board)
    opened.start()
    yield opened
    opened.close()


def connected(tmp_path: Path) -> Client:
    return Client(socket_path(tmp_path))


def test_what_one_process_leaves_another_collects(tmp_path: Path, server: Server) -> None:
    """N-97."""
    del server
    first, second = connected(tmp_path), connected(tmp_path)
    first.report_samples("rpc-1", b"older")
    first.report_samples("rpc-1", b"newer")
    second.report_samples("rpc-2", b"of the second")
    expected = {"core": b"of the core", "rpc-1": b"newer", "rpc-2": b"of the second"}
    assert second.collect_samples() == first.collect_samples() == expected
    first.close()
    second.close()


def test_what_a_process_left_goes_with_it(tmp_path: Path, server: Server, board: Board) -> None:
    """N-97."""
    del server
    first, second = connected(tmp_path), connected(tmp_path)
    first.report_samples("rpc-1", b"of the first")
    first.close()
    gone = threading.Event()
    for _ in range(1_000):
        if board.next_after("core") is None:
            gone.set()
            break
        threading.Event().wait(0.01)
    assert gone.is_set()
    assert second.collect_samples() == {"core": b"of the core"}
    second.close()


def test_samples_of_the_largest_size_cross_and_larger_ones_stay(
    tmp_path: Path, server: Server
) -> None:
    """N-97."""
    del server
    client = connected(tmp_path)
    client.report_samples("rpc-1", bytes(SAMPLES_BYTES_MAX))
    client.report_samples("rpc-2", bytes(FRAME_BYTES_MAX))
    assert client.collect_samples() == {"core": b"of the core", "rpc-1": bytes(SAMPLES_BYTES_MAX)}
    client.close()


@pytest.mark.parametrize("process", ["x" * (PROCESS_NAME_LENGTH_MAX + 1), "r\xe4uber", "core", ""])
def test_a_name_that_is_none_of_an_rpc_process_ends_the_connection(
    tmp_path: Path, server: Server, process: str
) -> None:
    del server
    client = connected(tmp_path)
    with pytest.raises(CoreUnavailable):
        client.report_samples(process, b"samples")
    client.close()


def test_a_board_gives_the_core_in_its_place_among_the_names() -> None:
    board = Board(lambda: b"core's")
    board.report("a", "alpha", b"1")
    board.report("b", "rpc", b"2")
    assert board.next_after("") == ("alpha", b"1")
    assert board.next_after("alpha") == ("core", b"core's")
    assert board.next_after("core") == ("rpc", b"2")
    assert board.next_after("rpc") is None
    board.forget("b")
    assert board.next_after("core") is None
