"""Single transactions handed to the core by an event loop: together, in order, each with its own answer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from node.errors import CoreUnavailable, InvariantBroken, NodeError, NonceTooLow
from node.link import Head, Server, Submission, Submitter, socket_path, submitter
from node.link.frames import Connection, Frame, Kind
from node.pool import PooledTransaction, PoolEvent, PoolPage, PoolStatus, Standing
from node.primitives import Address, Hash32, keccak
from node.transaction import TRANSACTION_BYTES_MAX

SENDER = Address(b"\xaa" * 20)
REFUSED = b"refused"
NOTICES_MAX = 8


class Gate:
    """A core that takes in each frame once it is let; refuses one transaction."""

    def __init__(self) -> None:
        self.frames: list[list[bytes]] = []
        self.entered = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def submit_many(self, submissions: Sequence[Submission]) -> list[Hash32 | NodeError]:
        self.frames.append([each.raw for each in submissions])
        self.entered.release()
        self.let.acquire()
        return [
            NonceTooLow(expected=1, given=0) if each.raw == REFUSED else each.transaction_hash
            for each in submissions
        ]

    def next_nonce(self, _sender: Address) -> int:
        return 0

    def pooled_transaction(self, _transaction_hash: Hash32) -> PooledTransaction | None:
        return None

    def pool_status(self) -> PoolStatus:
        return PoolStatus(0, 0)

    def standing(self, _transaction_hash: Hash32) -> Standing | None:
        return None

    def pool_page(self, after: tuple[Address, int] | None, sender: Address | None) -> PoolPage:
        del after, sender
        return PoolPage((), (), None)


@pytest.fixture
def core() -> Gate:
    return Gate()


@pytest.fixture
def server(tmp_path: Path, core: Gate) -> Iterator[Server]:
    def fail(error: InvariantBroken) -> None:
        raise error

    opened = Server(socket_path(tmp_path), core, fail, notices_max=NOTICES_MAX)
    opened.start()
    yield opened
    core.let.release(100)
    opened.close()


def submission(raw: bytes) -> Submission:
    return Submission(raw, keccak(raw), SENDER)


def played(
    path: Path,
    scenario: Callable[[Submitter], Awaitable[None]],
    on_lost: Callable[[], None] = lambda: None,
) -> None:
    """Runs a scenario with a connection of its own."""

    async def run() -> None:
        async with asyncio.timeout(20):
            connected = Submitter(path, on_lost)
            try:
                await scenario(connected)
            finally:
                connected.close()

    asyncio.run(run())


async def entered(core: Gate) -> None:
    """Waits until the core has the next frame."""
    await asyncio.get_running_loop().run_in_executor(None, core.entered.acquire)


def test_what_comes_in_one_turn_or_while_the_core_is_busy_crosses_together_in_order(
    tmp_path: Path, core: Gate, server: Server
) -> None:
    """N-180."""
    del server

    async def scenario(connected: Submitter) -> None:
        first = [connected.submit(submission(raw)) for raw in (b"1", b"2", b"3")]
        await entered(core)
        later = [connected.submit(submission(raw)) for raw in (b"4", b"5")]
        core.let.release(2)
        answers = await asyncio.gather(*first, *later)
        assert answers == [keccak(raw) for raw in (b"1", b"2", b"3", b"4", b"5")]

    played(socket_path(tmp_path), scenario)
    assert core.frames == [[b"1", b"2", b"3"], [b"4", b"5"]]


def test_the_refusal_of_one_does_not_touch_those_that_crossed_with_it(
    tmp_path: Path, core: Gate, server: Server
) -> None:
    """N-180."""
    del server
    core.let.release()

    async def scenario(connected: Submitter) -> None:
        raws = (b"1", REFUSED, b"3")
        first, refused, last = await asyncio.gather(
            *(connected.submit(submission(raw)) for raw in raws)
        )
        assert (first, last) == (keccak(b"1"), keccak(b"3"))
        assert isinstance(refused, NonceTooLow)
        assert (refused.expected, refused.given) == (1, 0)

    played(socket_path(tmp_path), scenario)
    assert len(core.frames) == 1


def test_what_nobody_waits_for_any_more_is_not_handed_over(
    tmp_path: Path, core: Gate, server: Server
) -> None:
    del server

    async def scenario(connected: Submitter) -> None:
        busy = connected.submit(submission(b"1"))
        await entered(core)
        given_up, kept = connected.submit(submission(b"2")), connected.submit(submission(b"3"))
        given_up.cancel()
        core.let.release(2)
        assert [await busy, await kept] == [keccak(b"1"), keccak(b"3")]

    played(socket_path(tmp_path), scenario)
    assert core.frames == [[b"1"], [b"3"]]


def test_more_than_a_frame_holds_takes_several(tmp_path: Path, core: Gate, server: Server) -> None:
    """Neither their number nor their size is too much for the socket."""
    del server
    core.let.release(100)
    raws = [number.to_bytes(2, "big") for number in range(600)]
    raws += [bytes([number]) * TRANSACTION_BYTES_MAX for number in range(3)]

    async def scenario(connected: Submitter) -> None:
        answers = await asyncio.gather(*(connected.submit(submission(raw)) for raw in raws))
        assert answers == [keccak(raw) for raw in raws]

    played(socket_path(tmp_path), scenario)
    assert [raw for frame in core.frames for raw in frame] == raws
    assert len(core.frames) >= 5


def test_a_core_that_goes_away_is_unavailable_to_all_who_wait_and_who_come_later(
    tmp_path: Path, core: Gate, server: Server
) -> None:
    """N-180."""
    losses: list[str] = []

    async def scenario(connected: Submitter) -> None:
        on_the_way = connected.submit(submission(b"1"))
        await entered(core)
        in_the_line = connected.submit(submission(b"2"))
        server.close()
        late = connected.submit(submission(b"3"))
        answers = [await on_the_way, await in_the_line, await late]
        assert [type(each) for each in answers] == [CoreUnavailable] * 3

    played(socket_path(tmp_path), scenario, lambda: losses.append("lost"))
    assert losses == ["lost"]
    with pytest.raises(CoreUnavailable):
        Submitter(socket_path(tmp_path))


def test_a_silent_core_is_given_up_and_its_late_answer_is_nobodys(
    tmp_path: Path, core: Gate, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-180."""
    del server
    monkeypatch.setattr(submitter, "REPLY_SECONDS_MAX", 0.01)

    async def scenario(connected: Submitter) -> None:
        waiting = connected.submit(submission(b"1"))
        await entered(core)
        in_the_line = connected.submit(submission(b"2"))
        answers = [await waiting, await in_the_line]
        assert [type(each) for each in answers] == [CoreUnavailable] * 2
        monkeypatch.setattr(submitter, "REPLY_SECONDS_MAX", 20)
        core.let.release(2)
        assert await connected.submit(submission(b"3")) == keccak(b"3")

    played(socket_path(tmp_path), scenario)
    assert core.frames == [[b"1"], [b"3"]]


def test_it_is_told_no_notices_and_not_cut_off_for_reading_none(
    tmp_path: Path, core: Gate, server: Server
) -> None:
    """N-180."""
    core.let.release(100)

    async def scenario(connected: Submitter) -> None:
        assert await connected.submit(submission(b"1")) == keccak(b"1")
        events = [PoolEvent(keccak(bytes([at])), SENDER, at, None) for at in range(NOTICES_MAX + 1)]
        server.announce_events(events)
        server.announce(Head(1, keccak(b"head")))
        assert await connected.submit(submission(b"2")) == keccak(b"2")

    played(socket_path(tmp_path), scenario)


@pytest.mark.parametrize(
    "reply",
    [
        Frame(Kind.ANSWER, 1, ()),
        Frame(Kind.ANSWER, 1, (b"\0" + keccak(b"1"), b"\0" + keccak(b"2"))),
        Frame(Kind.REFUSAL, 1, (b"NoSuchError",)),
        Frame(Kind.ANSWER, 1, (b"\1\xff",)),
    ],
)
def test_an_answer_that_is_none_ends_the_connection(tmp_path: Path, reply: Frame) -> None:
    losses: list[str] = []
    path = tmp_path / "core"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            peer, _ = listener.accept()
            connection = Connection(peer)
            quiet, question = connection.receive(), connection.receive()
            assert quiet is not None
            assert question is not None
            assert (quiet.kind, question.kind) == (Kind.QUIET, Kind.SUBMIT_MANY)
            connection.send(reply)
            connection.close()

        async def scenario(connected: Submitter) -> None:
            assert isinstance(await connected.submit(submission(b"1")), CoreUnavailable)

        answering = threading.Thread(target=answer)
        answering.start()
        played(path, scenario, lambda: losses.append("lost"))
        answering.join()
    assert losses == ["lost"]
