"""Requests at an even pace, whether or not the answers keep up: an open loop over kept-alive connections.

The time of a request counts from when it was due, so a server that falls behind is not spared the
requests that had to wait (no coordinated omission).
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

CONNECTIONS: Final = 64
ANSWER_SECONDS_MAX: Final = 60
IDLE_SECONDS_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Posting:
    """One kind of POST: where to, as whom, and the body and idempotency key of the n-th."""

    url: str
    token: str
    body: Callable[[int], dict[str, object]]
    key: Callable[[int], str]

    def request(self, number: int) -> bytes:
        """The bytes of the n-th request."""
        place = urlsplit(self.url)
        body = json.dumps(self.body(number)).encode()
        head = (
            f"POST {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\n"
            f"authorization: Bearer {self.token}\r\nidempotency-key: {self.key(number)}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: seconds from when each request was due, answers by status, and the whole time."""

    seconds: tuple[float, ...]
    count_by_status: dict[int, int]
    whole_seconds: float

    def describe(self) -> dict[str, Any]:  # a JSON object
        """Rate and milliseconds."""
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        return {
            "answered_per_second": round(len(self.seconds) / self.whole_seconds, 1),
            "milliseconds_p50": round(1_000 * cuts[49], 1),
            "milliseconds_p99": round(1_000 * cuts[98], 1),
            "milliseconds_max": round(1_000 * max(self.seconds), 1),
            "answers_by_status": self.count_by_status,
        }


def post_at_pace(posting: Posting, *, per_second: float, count: int, first: int = 0) -> Answered:
    """Send that many requests at that pace."""
    return asyncio.run(_post(posting, per_second=per_second, count=count, first=first))


async def _post(posting: Posting, *, per_second: float, count: int, first: int) -> Answered:
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    requests = [posting.request(first + number) for number in range(count)]
    seconds: list[float] = []
    count_by_status: dict[int, int] = {}
    place = urlsplit(posting.url)

    async def work() -> None:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        used_at = time.perf_counter()
        while (item := await due.get()) is not None:
            due_at, request = item
            if time.perf_counter() - used_at > IDLE_SECONDS_MAX:
                writer.close()  # the server closes what is idle
                reader, writer = await asyncio.open_connection(place.hostname, place.port)
            used_at = time.perf_counter()
            writer.write(request)
            status = await asyncio.wait_for(_status(reader), ANSWER_SECONDS_MAX)
            seconds.append(time.perf_counter() - due_at)
            count_by_status[status] = count_by_status.get(status, 0) + 1
        writer.close()

    connections = [asyncio.create_task(work()) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for number, request in enumerate(requests):
        due_at = started + number / per_second
        await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
        due.put_nowait((due_at, request))
    for _ in connections:
        due.put_nowait(None)
    await asyncio.gather(*connections)
    return Answered(tuple(seconds), count_by_status, time.perf_counter() - started)


async def _status(reader: asyncio.StreamReader) -> int:
    """Read one answer; its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("content-length:")[2].partition("\r\n")[0].strip()
    await reader.readexactly(int(length or 0))
    return int(head.split(" ", 2)[1])
