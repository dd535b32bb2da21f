"""The socket between core and RPC process: questions, refusals, notices, and what breaks it."""

from __future__ import annotations

import contextlib
import inspect
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
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
    Rejected,
    SenderNotPermitted,
    StateMissing,
    TransactionRejected,
    Unavailable,
)
from node.link import Client, Head, Server, socket_path
from node.link.frames import FRAME_BYTES_MAX, decode_error, decode_frame, encode_error
from node.link.pool_codec import (
    EVENTS_PER_FRAME_MAX,
    Submission,
    decode_answers,
    decode_events,
    decode_page,
    decode_standing,
    decode_submissions,
    encode_standing,
)
from node.link.server import CONNECTIONS_MAX
from node.link.socket_path import SOCKET_PATH_BYTES_MAX
from node.pool import (
    Dropped,
    DropReason,
    Executable,
    PooledTransaction,
    PoolEvent,
    PoolPage,
    PoolStatus,
    Standing,
    Waiting,
)
from node.primitives import Address, Hash32, encode_uint, keccak
from node.transaction import TRANSACTION_BYTES_MAX

SENDER = Address(b"\xaa" * 20)
POOL_STATUS_QUESTION = b"\x00\x00\x00\x03\xc2\x04\x01"
POOLED = PooledTransaction(keccak(b"pooled"), SENDER, 7, 21_000, b"\x02raw")
WAITING = PooledTransaction(
    keccak(b"waiting"), SENDER, 2**64 - 2, 2**40, bytes(TRANSACTION_BYTES_MAX)
)
EVENTS = 1_000
STANDINGS: tuple[Standing, ...] = (
    Executable(POOLED, own_ahead=3, senders_ahead=2, blocks_max=12),
    Waiting(WAITING, missing=(8, 9, 2**63), expires_at=1_800_000_000, lost=keccak(b"lost")),
    Dropped(SENDER, 9, DropReason.REFUSED, 1_800_000_001, "not permitted"),
)


class FakeIntake:
    """Answers by rote; refuses what it was given to refuse."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.submitted: list[Submission] = []

    def submit_many(self, submissions: Sequence[Submission]) -> list[Hash32 | NodeError]:
        if isinstance(self.refusal, Rejected | Unavailable):
            return [self.refusal] * len(submissions)
        if self.refusal:
            raise self.refusal
        self.submitted += submissions
        return [each.transaction_hash for each in submissions]

    def next_nonce(self, sender: Address) -> int:
        return 300 if sender == SENDER else 0

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        return POOLED if transaction_hash == POOLED.transaction_hash else None

    def pool_status(self) -> PoolStatus:
        return PoolStatus(executable=1, waiting=0)

    def standing(self, transaction_hash: Hash32) -> Standing | None:
        return next((each for each in STANDINGS if hash_of(each) == transaction_hash), None)

    def pool_page(self, after: tuple[Address, int] | None, sender: Address | None) -> PoolPage:
        following = (POOLED.sender, POOLED.nonce)
        if after == following:
            return PoolPage((), (), None)
        return PoolPage((POOLED,) if sender is None else (), (WAITING,), following)


def hash_of(standing: Standing) -> Hash32:
    """Which hash the fake intake tells a standing for."""
    return keccak(type(standing).__name__.encode())


def submit(client: Client, raw: bytes) -> Hash32:
    """One transaction's hash, or its refusal raised."""
    (answer,) = client.submit_many([Submission(raw, keccak(raw), SENDER)])
    if isinstance(answer, NodeError):
        raise answer
    return answer


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
    assert submit(client, largest) == keccak(largest)
    assert client.next_nonce(SENDER) == 300
    assert client.next_nonce(Address(bytes(20))) == 0
    assert client.pooled_transaction(POOLED.transaction_hash) == POOLED
    assert client.pooled_transaction(keccak(b"other")) is None
    assert client.pool_status() == PoolStatus(executable=1, waiting=0)
    never_here = Waiting(WAITING, missing=(8,), expires_at=1_800_000_000, lost=None)
    assert decode_standing(encode_standing(never_here)) == never_here
    for standing in STANDINGS:
        assert client.standing(hash_of(standing)) == standing
    assert client.standing(keccak(b"other")) is None
    following = (POOLED.sender, POOLED.nonce)
    assert client.pool_page(None, None) == PoolPage((POOLED,), (WAITING,), following)
    assert client.pool_page(None, SENDER) == PoolPage((), (WAITING,), following)
    assert client.pool_page(following, None) == PoolPage((), (), None)


def test_many_submissions_are_answered_one_by_one_whatever_their_size(
    client: Client, intake: FakeIntake
) -> None:
    """N-74."""
    raws = [bytes([number]) * (TRANSACTION_BYTES_MAX if number % 2 else 1) for number in range(8)]
    submissions = [Submission(raw, keccak(raw), SENDER) for raw in raws]
    assert client.submit_many(submissions) == [keccak(raw) for raw in raws]
    assert intake.submitted == submissions
    assert client.submit_many([]) == []
    intake.submitted.clear()
    many = [Submission(bytes([1]), keccak(encode_uint(number)), SENDER) for number in range(600)]
    assert client.submit_many(many) == [each.transaction_hash for each in many]
    assert intake.submitted == many
    intake.refusal = SenderNotPermitted(SENDER, SENDER)
    assert len(client.submit_many(many)) == len(many)
    intake.refusal = NonceTooLow(expected=5, given=3)
    answers = client.submit_many(submissions)
    assert [str(each) for each in answers] == [str(intake.refusal)] * 8


@pytest.mark.parametrize(
    "refusal",
    [NonceTooLow(expected=5, given=3), SenderNotPermitted(SENDER, bytes(20)), PoolFull(1)],
)
def test_a_refusal_arrives_as_the_very_same_error(
    client: Client, intake: FakeIntake, refusal: NodeError
) -> None:
    intake.refusal = refusal
    with pytest.raises(type(refusal)) as raised:
        submit(client, b"raw")
    assert vars(raised.value) == vars(refusal)
    assert str(raised.value) == str(refusal)


def test_a_broken_invariant_is_handed_to_the_core_in_its_own_words(
    client: Client, intake: FakeIntake, faults: list[InvariantBroken]
) -> None:
    """N-49."""
    intake.refusal = StateMissing(b"root")
    with pytest.raises(CoreUnavailable):
        submit(client, b"raw")
    assert client.closed.wait(5)
    assert faults == [intake.refusal]


def test_an_unexpected_fault_is_answered_and_the_connection_goes_on(
    client: Client, intake: FakeIntake, faults: list[InvariantBroken]
) -> None:
    """N-49."""
    intake.refusal = RuntimeError("a fault of ours")
    with pytest.raises(CoreFailed):
        submit(client, b"raw")
    assert client.pool_status().executable == 1
    assert faults == []


def test_questions_from_many_threads_do_not_mix(client: Client) -> None:
    wrong: list[bytes] = []

    def ask(seed: int) -> None:
        for number in range(50):
            raw = bytes([seed, number])
            if submit(client, raw) != keccak(raw):
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


def event_of(number: int, dropped_for: DropReason | None = None) -> PoolEvent:
    return PoolEvent(keccak(encode_uint(number)), SENDER, number, dropped_for)


def test_what_happens_to_the_pool_is_told_in_order_and_before_the_head_that_follows(
    tmp_path: Path, server: Server
) -> None:
    """N-73."""
    told: list[object] = []
    is_done = threading.Event()

    def take_head(head: Head) -> None:
        told.append(head)
        if head.number == 2:
            is_done.set()

    client = Client(socket_path(tmp_path), take_head, told.extend)
    client.pool_status()
    first = [event_of(number) for number in range(EVENTS_PER_FRAME_MAX + 1)]
    second = [event_of(2**64 - 2, reason) for reason in DropReason]
    heads = [Head(number, keccak(b"head")) for number in (1, 2)]
    server.announce_events(first)
    server.announce(heads[0])
    server.announce_events(second)
    server.announce(heads[1])
    assert is_done.wait(5)
    assert told == [*first, heads[0], *second, heads[1]]
    client.close()


def test_a_client_that_does_not_read_is_cut_off_and_nobody_waits_for_it(
    tmp_path: Path, intake: FakeIntake
) -> None:
    """N-73."""
    server = Server(socket_path(tmp_path), intake, lambda _: None, notices_max=EVENTS)
    server.start()
    arrived = threading.Semaphore(0)
    client = Client(socket_path(tmp_path), on_pool_events=lambda events: release(arrived, events))
    client.pool_status()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(socket_path(tmp_path)))
        deaf.sendall(POOL_STATUS_QUESTION)
        assert deaf.recv(1)
        # Far more than the socket's own buffers take; the reader keeps pace.
        for number in range(200):
            server.announce_events([event_of(number)] * EVENTS)
            for _ in range(EVENTS):
                assert arrived.acquire(timeout=10)
        deaf.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            while deaf.recv(2**16):
                pass
    assert client.pool_status().executable == 1
    client.close()
    server.close()


def release(arrived: threading.Semaphore, events: tuple[PoolEvent, ...]) -> None:
    arrived.release(len(events))


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


@pytest.mark.parametrize(
    ("decode", "fields"),
    [
        (decode_events, ()),
        (decode_events, (b"short",)),
        (decode_events, (bytes(60) + b"\xff",)),
        (decode_submissions, (b"raw",)),
        (decode_submissions, (b"raw", b"short")),
        (decode_answers, (b"\x01\xff",)),
        (decode_standing, (b"one",)),
        (decode_standing, (b"short", b"detail")),
        (decode_standing, (b"short", b"raw", b"numbers")),
        (decode_page, ()),
        (decode_page, (b"short",)),
        (decode_page, (b"", b"short", b"raw")),
    ],
)
def test_fields_that_are_no_answer_of_the_pool_are_refused(
    decode: Callable[[tuple[bytes, ...]], object], fields: tuple[bytes, ...]
) -> None:
    with pytest.raises(LinkFrameInvalid):
        decode(fields)


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
