"""What uvicorn writes to a connection in one turn of the event loop leaves in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from node.rpc.http_protocol import GatheredWrites


class Recorded(asyncio.Transport):
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.done: list[object] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data))

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def is_closing(self) -> bool:
        return "close" in self.done

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")


def done(work: Callable[[GatheredWrites], Awaitable[None]]) -> list[object]:
    """What reaches the transport."""
    transport = Recorded()

    async def run() -> None:
        await work(GatheredWrites(transport))

    asyncio.run(run())
    return transport.done


def test_writes_of_one_turn_leave_together_and_those_of_the_next_after_them() -> None:
    async def work(gathered: GatheredWrites) -> None:
        gathered.write(b"head")
        gathered.write(b"body")
        await asyncio.sleep(0)
        gathered.write(b"next")
        await asyncio.sleep(0)
        gathered.flush()

    assert done(work) == [b"headbody", b"next"]


def test_what_was_written_leaves_before_the_end_unless_it_is_broken_off() -> None:
    async def close(gathered: GatheredWrites) -> None:
        gathered.write(b"last words")
        assert not gathered.is_closing()
        gathered.close()
        assert gathered.is_closing()
        await asyncio.sleep(0)

    async def abort(gathered: GatheredWrites) -> None:
        gathered.write(b"last words")
        gathered.abort()
        await asyncio.sleep(0)

    assert done(close) == [b"last words", "close"]
    assert done(abort) == ["abort"]


def test_reading_and_what_is_known_of_the_peer_are_the_transports() -> None:
    async def work(gathered: GatheredWrites) -> None:
        gathered.pause_reading()
        gathered.resume_reading()
        assert gathered.get_extra_info("peername") == ("127.0.0.1", 1)
        assert gathered.get_extra_info("sslcontext") is None

    assert done(work) == ["pause", "resume"]
