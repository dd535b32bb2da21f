"""The socket between core and RPC process: questions, refusals, notices, and what breaks it."""

from __future__ import annotations

import contextlib
import inspect
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import errors
from node.engine import seam
from node.errors import (
    CoreFailed,
    CoreUnavailable,
    InvariantBroken,
    LinkFrameInvalid,
    NodeError,
    NonceTooLow,
    PoolFull,
    SenderNotPermitted,
    StateMissing,
    TransactionRejected,
)
from node.link import Client, Head, Server, socket_path
from node.link.frames import FRAME_BYTES_MAX, decode_error, decode_frame, encode_error
from node.link.server import CONNECTIONS_MAX, SEND_SECONDS_MAX
from node.link.socket_path import SOCKET_PATH_BYTES_MAX
from node.pool import PooledTransaction, PoolStatus
from node.primitives import Address, Hash32, keccak
from node.transaction import TRANSACTION_BYTES_MAX

SENDER = Address(b"\xaa" * 20)
POOL_STATUS_QUESTION = b"\x00\x00\x00\x03\xc2\x04\x01"
POOLED = PooledTransaction(keccak(b"pooled"), SENDER, 7, 21_000, b"\x02raw")


class FakeIntake:
    """Answers by rote; refuses what it was given to refuse."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None

    def submit(self, raw: bytes) -> Hash32:
        if self.refusal:
            raise self.refusal
        return keccak(raw)

    def next_nonce(self, sender: Address) -> int:
        return 300 if sender == SENDER else 0

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        return POOLED if transaction_hash == POOLED.transaction_hash else None

    def pool_status(self) -> PoolStatus:
        return PoolStatus(executable=1, waiting=0)


@pytest.fixture
def intake() -> FakeIntake:
    return FakeIntake()


@pytest.fixture
def faults() -> list[InvariantBroken]:
    return []


@pytest.fixture
def server(tmp_path: Path, intake: FakeIntake, faults: list[InvariantBroken]) -> Iterator[Server]:
    opened = Server(socket_path(tmp_path), intake, faults.append)
    opened.start()
    yield opened
    opened.close()


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Iterator[Client]:
    del server
    connected = Client(socket_path(tmp_path))
    yield connected
    connected.close()


def test_every_question_gets_its_answer(client: Client) -> None:
    largest = bytes(TRANSACTION_BYTES_MAX)
    assert client.submit(largest) == keccak(largest)
    assert client.next_nonce(SENDER) == 300
    assert client.next_nonce(Address(bytes(20))) == 0
    assert client.pooled_transaction(POOLED.transaction_hash) == POOLED
    assert client.pooled_transaction(keccak(b"other")) is None
    assert client.pool_status() == PoolStatus(executable=1, waiting=0)


@pytest.mark.parametrize(
    "refusal",
    [NonceTooLow(expected=5, given=3), SenderNotPermitted(SENDER, bytes(20)), PoolFull(1)],
)
def test_a_refusal_arrives_as_the_very_same_error(
    client: Client, intake: FakeIntake, refusal: NodeError
) -> None:
    intake.refusal = refusal
    with pytest.raises(type(refusal)) as raised:
        client.submit(b"raw")
    assert vars(raised.value) == vars(refusal)
    assert str(raised.value) == str(refusal)


def test_a_broken_invariant_is_handed_to_the_core_in_its_own_words(
    client: Client, intake: FakeIntake, faults: list[InvariantBroken]
) -> None:
    """N-49."""
    intake.refusal = StateMissing(b"root")
    with pytest.raises(CoreUnavailable):
        client.submit(b"raw")
    assert client.closed.wait(5)
    assert faults == [intake.refusal]


def test_an_unexpected_fault_is_answered_and_the_connection_goes_on(
    client: Client, intake: FakeIntake, faults: list[InvariantBroken]
) -> None:
    """N-49."""
    intake.refusal = RuntimeError("a fault of ours")
    with pytest.raises(CoreFailed):
        client.submit(b"raw")
    assert client.pool_status().executable == 1
    assert faults == []


def test_questions_from_many_threads_do_not_mix(client: Client) -> None:
    wrong: list[bytes] = []

    def ask(seed: int) -> None:
        for number in range(50):
            raw = bytes([seed, number])
            if client.submit(raw) != keccak(raw):
                wrong.append(raw)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_new_heads_reach_clients_present_and_future(tmp_path: Path, server: Server) -> None:
    head = Head(300, keccak(b"head"))
    for announce_first in (True, False):
        arrived: list[Head] = []
        told = threading.Event()

        def take(
            announced: Head, arrived: list[Head] = arrived, told: threading.Event = told
        ) -> None:
            arrived.append(announced)
            told.set()

        if announce_first:
            server.announce(head)
        client = Client(socket_path(tmp_path), take)
        client.pool_status()
        if not announce_first:
            server.announce(head)
        assert told.wait(5)
        assert arrived[0] == head
        client.close()


def test_a_core_that_goes_away_is_noticed(client: Client, server: Server) -> None:
    server.close()
    assert client.closed.wait(5)
    with pytest.raises(CoreUnavailable):
        client.pool_status()


def test_a_client_that_does_not_read_holds_up_no_announcement(
    tmp_path: Path, server: Server, client: Client
) -> None:
    """A frame that cannot be sent whole ends its connection after a second."""
    longest = [0.0]

    def announce_until_one_waits() -> None:
        while longest[0] < SEND_SECONDS_MAX / 2:
            longest[0] = max(longest[0], seconds_of_announcement(server))

    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(socket_path(tmp_path)))
        deaf.sendall(POOL_STATUS_QUESTION)
        assert deaf.recv(1)
        announcing = threading.Thread(target=announce_until_one_waits, daemon=True)
        announcing.start()
        announcing.join(30)
        assert not announcing.is_alive()
        assert longest[0] < 3 * SEND_SECONDS_MAX
        assert seconds_of_announcement(server) < SEND_SECONDS_MAX / 2
    assert client.pool_status().executable == 1


def seconds_of_announcement(server: Server) -> float:
    started_at = time.monotonic()
    server.announce(Head(1, keccak(b"head")))
    return time.monotonic() - started_at


def test_a_client_accepted_while_the_server_closes_is_closed_too(
    tmp_path: Path, intake: FakeIntake
) -> None:
    for _ in range(20):
        server = Server(socket_path(tmp_path), intake, lambda _: None)
        with socket.socket(socket.AF_UNIX) as waiting:
            # Connected before anybody accepts: the server meets it at the very moment it closes.
            waiting.connect(str(socket_path(tmp_path)))
            server.start()
            server.close()
            waiting.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert waiting.recv(1) == b""


def test_no_core_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(CoreUnavailable):
        Client(socket_path(tmp_path))


@pytest.mark.parametrize(
    "garbage",
    [
        (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x01\xff",
        b"\x00\x00\x00\x01\xc0",
        b"\x00\x00\x00\x03\xc2\x63\x01",
    ],
)
def test_a_broken_frame_ends_its_connection_and_no_other(
    tmp_path: Path, client: Client, garbage: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as intruder:
        intruder.connect(str(socket_path(tmp_path)))
        intruder.sendall(garbage)
        intruder.settimeout(5)
        assert intruder.recv(1) == b""
    assert client.pool_status().executable == 1


def test_connections_have_a_limit(tmp_path: Path, client: Client) -> None:
    others = [Client(socket_path(tmp_path)) for _ in range(CONNECTIONS_MAX - 1)]
    for other in others:
        other.pool_status()
    refused = Client(socket_path(tmp_path))
    assert refused.closed.wait(5)
    assert client.pool_status().executable == 1
    for other in others:
        other.close()


def test_the_socket_lies_in_no_directory_that_others_may_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-50."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert socket_path(deep).parent == runtime
    runtime.chmod(0o770)
    with pytest.raises(PermissionError):
        socket_path(deep)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = socket_path(deep).parent
    assert made.parent == tmp_path
    assert made.stat().st_mode & 0o777 == 0o700
    made.rmdir()
    made.symlink_to(runtime)
    with pytest.raises(PermissionError):
        socket_path(deep)


def test_a_long_directory_gets_a_short_socket_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    path = socket_path(deep)
    assert len(str(path)) <= SOCKET_PATH_BYTES_MAX
    assert path == socket_path(deep)
    assert path != socket_path(deep.parent)


@pytest.mark.parametrize(
    "fields", [(), (b"Nobody",), (b"NonceTooLow", b"expected"), (b"NonceTooLow",)]
)
def test_an_error_that_is_none_of_ours_is_refused(fields: tuple[bytes, ...]) -> None:
    with pytest.raises(LinkFrameInvalid):
        decode_error(fields)


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\xc0", b"\xc1\x01", b"\xc3\x01\x02\xc0"])
def test_a_payload_that_is_no_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(LinkFrameInvalid):
        decode_frame(payload)


def test_every_transaction_refusal_survives_the_crossing() -> None:
    kinds = [kind for kind in vars(errors).values() if _is_leaf_refusal(kind)]
    assert len(kinds) == len(seam.SkipReason)
    for kind in kinds:
        error = kind(**{name: _sample(each) for name, each in _parameters(kind).items()})
        crossed = decode_error(encode_error(error))
        assert type(crossed) is kind
        assert (vars(crossed), str(crossed)) == (vars(error), str(error))


def _is_leaf_refusal(kind: object) -> bool:
    return (
        isinstance(kind, type)
        and issubclass(kind, TransactionRejected)
        and kind is not TransactionRejected
    )


def _parameters(kind: type[NodeError]) -> dict[str, str]:
    if "__init__" not in vars(kind):
        return {}
    parameters = inspect.signature(kind).parameters
    return {name: str(each.annotation) for name, each in parameters.items()}


def _sample(annotation: str) -> object:
    if "int" in annotation:
        return 2**70
    return b"\x01\x02" if "bytes" in annotation else "text"
