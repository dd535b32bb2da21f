"""An RPC process's second connection to the core: submissions of single transactions, made by its event loop.

Why it is not the `Client`: there each question costs two threads a turn. Here nobody waits but the loop. Transactions
that come while the loop goes round once, or while the core is busy with those before, cross in one frame, in the order
in which they came: the core takes them in together and keeps them by one write. None waits for others to come.

At most one frame is on its way, so nothing piles up on the socket: the line is as long as there are requests. A core
that is silent for `REPLY_SECONDS_MAX` is unavailable to all who wait; one that has gone, or that does not read, or
that breaks the format, to all who come later as well, and `on_lost` is called.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from node.errors import CoreUnavailable, LinkFrameInvalid, NodeError
from node.link.client import REPLY_SECONDS_MAX, SUBMISSIONS_BYTES_MAX, SUBMISSIONS_MAX
from node.link.frames import (
    HEADER_BYTES,
    Frame,
    Kind,
    decode_error,
    decode_frame,
    decode_length,
    encode_frame,
)
from node.link.pool_codec import Submission, decode_answers, encode_submissions
from node.primitives import Hash32
from node.telemetry import get_logger

Answer = Hash32 | NodeError
"""What became of a submission: its hash, or why it was not taken in."""

_READ_BYTES: Final = 64 * 1024


class Submitter:
    """Submissions of one event loop: that of the first of them. Not safe between threads."""

    def __init__(self, path: Path, on_lost: Callable[[], None] = lambda: None) -> None:
        """Connects, or raises `CoreUnavailable`. `on_lost` is called once, in the loop: it must not wait."""
        self._peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._peer.connect(os.fspath(path))
            self._peer.sendall(encode_frame(Frame(Kind.QUIET, 0, ())))
        except OSError as error:
            self._peer.close()
            raise CoreUnavailable from error
        self._peer.setblocking(False)  # noqa: FBT003 - the library's own parameter
        self._on_lost = on_lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_lost = False
        self._line: deque[tuple[Submission, asyncio.Future[Answer]]] = deque()
        self._on_the_way: list[asyncio.Future[Answer]] = []
        self._is_due = False
        self._number = 0
        self._patience: asyncio.TimerHandle | None = None
        self._received = bytearray()
        self._unsent = b""

    def submit(self, submission: Submission) -> asyncio.Future[Answer]:
        """What will become of a transaction; an error is given, not raised."""
        loop = self._loop or self._begin()
        answer: asyncio.Future[Answer] = loop.create_future()
        if self._is_lost:
            answer.set_result(CoreUnavailable())
            return answer
        self._line.append((submission, answer))
        if not self._on_the_way and not self._is_due:
            self._is_due = True
            loop.call_soon(self._send_next)
        return answer

    def close(self) -> None:
        """Ends the connection, without a word to `on_lost`; whoever waits is told that the core is unavailable."""
        self._on_lost = lambda: None
        self._lose()

    def _begin(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        if not self._is_lost:
            self._loop.add_reader(self._peer, self._receive)
        return self._loop

    def _send_next(self) -> None:
        """Sends those who have waited longest, as many as a frame takes."""
        self._is_due = False
        loop = self._loop
        if loop is None or self._is_lost or self._on_the_way:
            return
        submissions = self._take_from_line()
        if not submissions:
            return
        self._number += 1
        self._patience = loop.call_later(REPLY_SECONDS_MAX, self._give_up)
        frame = Frame(Kind.SUBMIT_MANY, self._number, encode_submissions(submissions))
        self._unsent = encode_frame(frame)
        self._send()

    def _take_from_line(self) -> list[Submission]:
        submissions: list[Submission] = []
        size = 0
        while self._line and len(submissions) < SUBMISSIONS_MAX:
            submission, answer = self._line[0]
            size += len(submission.raw)
            if submissions and size > SUBMISSIONS_BYTES_MAX:
                break
            self._line.popleft()
            if not answer.done():  # somebody still waits for it
                submissions.append(submission)
                self._on_the_way.append(answer)
        return submissions

    def _send(self) -> None:
        """Sends what the socket takes, and the rest as soon as it takes more."""
        loop = self._loop
        if loop is None or self._is_lost:
            return
        try:
            sent = self._peer.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            return
        had_to_wait = self._unsent and sent < len(self._unsent)
        self._unsent = self._unsent[sent:]
        if had_to_wait:
            loop.add_writer(self._peer, self._send)
        else:
            loop.remove_writer(self._peer)

    def _receive(self) -> None:
        try:
            part = self._peer.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._lose()
            return
        self._received += part
        try:
            while (frame := self._next_frame()) is not None:
                self._take(frame)
        except LinkFrameInvalid as error:
            get_logger().error("link_frame_invalid", fault=str(error))
            self._lose()

    def _next_frame(self) -> Frame | None:
        received = self._received
        if len(received) < HEADER_BYTES:
            return None
        end = HEADER_BYTES + decode_length(bytes(received[:HEADER_BYTES]))
        if len(received) < end:
            return None
        payload = bytes(received[HEADER_BYTES:end])
        del received[:end]
        return decode_frame(payload)

    def _take(self, frame: Frame) -> None:
        """Hands out the answers of a frame; what was too late, or told before we asked for quiet, is for nobody."""
        if frame.number != self._number or not self._on_the_way:
            return
        if frame.kind is Kind.REFUSAL:
            answers: list[Answer] = [decode_error(frame.fields)] * len(self._on_the_way)
        else:
            answers = decode_answers(frame.fields)
        if len(answers) != len(self._on_the_way):
            raise LinkFrameInvalid(f"{len(answers)} answers to {len(self._on_the_way)} submissions")
        waiting, self._on_the_way = self._on_the_way, []
        self._stop_waiting()
        for each, answer in zip(waiting, answers, strict=True):
            _give(each, answer)
        self._send_next()

    def _give_up(self) -> None:
        """Tells all who wait that the core does not answer."""
        if self._unsent:
            self._lose()
        else:
            self._refuse_all()

    def _lose(self) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        if self._loop is not None:
            self._loop.remove_reader(self._peer)
            self._loop.remove_writer(self._peer)
        self._peer.close()
        self._refuse_all()
        self._on_lost()

    def _refuse_all(self) -> None:
        waiting = [*self._on_the_way, *(answer for _, answer in self._line)]
        self._on_the_way = []
        self._line.clear()
        self._stop_waiting()
        _give_each(waiting)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _give_each(waiting: Iterable[asyncio.Future[Answer]]) -> None:
    for each in waiting:
        _give(each, CoreUnavailable())


def _give(waiting: asyncio.Future[Answer], answer: Answer) -> None:
    if not waiting.done():
        waiting.set_result(answer)
