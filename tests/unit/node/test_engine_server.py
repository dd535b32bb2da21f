"""The socket on which the engine of consensus asks: answers in order, faults told to engine and node.

Cites docs/spec/node.md: N-145, N-146.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from structlog.testing import capture_logs

from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.face import Face
from node.consensus.cometbft.framing import MESSAGE_BYTES_MAX, encode_length
from node.consensus.cometbft.server import Server
from support.engine_face import Engine, open_engine

CONNECTIONS = 4


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "chain")
    yield opened
    opened.core.store.close()


@contextmanager
def serving(path: Path, face: Face) -> Iterator[list[BaseException]]:
    """A server at work; gives the faults that the node is told of."""
    faults: list[BaseException] = []
    server = Server(path, face, faults.append)
    server.start()
    try:
        yield faults
    finally:
        server.close()


class Asking:
    """One connection of an engine's."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._stream = cast(BinaryIO, self._socket.makefile("rwb"))

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self._stream.flush()

    def send(self, *requests: abci.Request) -> None:
        bodies = [each.SerializeToString() for each in requests]
        self.write(b"".join(encode_length(len(body)) + body for body in bodies))

    def answer(self) -> abci.Response | None:
        """The next answer; None at the end of the connection."""
        length, shift = 0, 0
        while octet := self._stream.read(1):
            length |= (octet[0] & 0x7F) << shift
            shift += 7
            if octet[0] < 0x80:
                return abci.Response.FromString(self._stream.read(length))
        return None

    def ask(self, **request: Any) -> abci.Response | None:
        self.send(abci.Request(**request), abci.Request(flush=abci.Empty()))
        return self.answer()


def test_four_connections_are_answered_each_in_the_order_of_its_questions(
    tmp_path: Path, engine: Engine
) -> None:
    """N-145."""
    path = tmp_path / "abci.sock"
    with serving(path, engine.face) as faults:
        connections = [Asking(path) for _ in range(CONNECTIONS)]
        questions = [abci.Request(echo=abci.Echo(message=str(at))) for at in range(200)]
        for each in connections:
            each.send(*questions, abci.Request(flush=abci.Empty()))
        for each in connections:
            found = [each.answer() for _ in questions]
            assert [answer.echo.message for answer in found if answer] == [
                question.echo.message for question in questions
            ]
            each.close()
    assert faults == []


class Failing(Face):
    """A face that meets a full disk."""

    def last_height(self) -> int:
        raise OSError(28, "No space left on device")


def test_a_fault_of_the_machine_is_told_to_the_node_and_not_taken_for_the_engines_end(
    tmp_path: Path,
) -> None:
    """N-146."""
    path, engine = tmp_path / "abci.sock", open_engine(tmp_path / "chain", face=Failing)
    with (
        capture_logs() as logs,
        serving(path, engine.face) as faults,
        closing(Asking(path)) as asking,
    ):
        answer = asking.ask(commit=abci.Empty())
        assert answer is not None
        assert answer.exception.error == "internal error", (
            "what the machine says is not for the wire"
        )
        assert asking.answer() is None, "nothing more is answered"
    assert [type(fault) for fault in faults] == [OSError]
    assert [entry["event"] for entry in logs] == ["engine_question_failed"]
    engine.core.store.close()


def test_a_question_out_of_its_turn_ends_the_connection_with_its_reason(
    tmp_path: Path, engine: Engine
) -> None:
    """N-146."""
    path = tmp_path / "abci.sock"
    with serving(path, engine.face) as faults, closing(Asking(path)) as asking:
        answer = asking.ask(commit=abci.Empty())
        assert answer is not None
        assert "commit" in answer.exception.error
        assert asking.answer() is None
    assert [str(fault) for fault in faults] == [answer.exception.error]


@pytest.mark.parametrize(
    "junk", [b"\xff" * 10, encode_length(MESSAGE_BYTES_MAX + 1), b"\x02\xff\xff"]
)
def test_bytes_that_are_no_question_end_the_node(
    tmp_path: Path, engine: Engine, junk: bytes
) -> None:
    """N-146."""
    path = tmp_path / "abci.sock"
    with serving(path, engine.face) as faults, closing(Asking(path)) as asking:
        asking.write(junk)
        assert asking.answer() is None
    assert [type(fault).__name__ for fault in faults] == ["EngineMessageInvalid"]


def test_an_engine_that_is_killed_in_the_midst_of_a_question_is_no_fault(
    tmp_path: Path, engine: Engine
) -> None:
    """N-132."""
    path = tmp_path / "abci.sock"
    with serving(path, engine.face) as faults:
        with closing(Asking(path)) as dying:
            dying.write(b"\x40half a question")
        with closing(Asking(path)) as next_one:
            answer = next_one.ask(info=abci.InfoRequest(abci_version="2.0.0"))
            assert answer is not None
            assert answer.info.last_block_height == 0
    assert faults == []


def test_the_socket_is_open_to_the_nodes_own_user_alone_and_goes_with_it(
    tmp_path: Path, engine: Engine
) -> None:
    """N-145."""
    path = tmp_path / "abci.sock"
    with serving(path, engine.face):
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()
