"""An RPC process's end of the link."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from node.errors import CoreUnavailable, LinkFrameInvalid, NodeError, Rejected, Unavailable
from node.link.filters import RemoteFilters
from node.link.frames import (
    FRAME_BYTES_MAX,
    SAMPLES_BYTES_MAX,
    Connection,
    Frame,
    Head,
    Kind,
    decode_error,
)
from node.link.pool_codec import (
    Submission,
    decode_answers,
    decode_events,
    decode_page,
    decode_standing,
    encode_page_request,
    encode_submissions,
)
from node.pool import PooledTransaction, PoolEvent, PoolPage, PoolStatus, Standing
from node.primitives import Address, Hash32
from node.telemetry import get_logger

REPLY_SECONDS_MAX = 10
"""Seconds a client waits for a reply."""

SUBMISSIONS_MAX = 256
"""Transactions of one frame of submissions: as many refusals fit the frame that answers."""

SUBMISSIONS_BYTES_MAX = FRAME_BYTES_MAX // 2
"""Raw bytes of one frame of submissions, unless one transaction alone has more."""


class Client:
    """An RPC process's end. Every method may be called from any thread."""

    def __init__(
        self,
        path: Path,
        on_head: Callable[[Head], None] | None = None,
        on_pool_events: Callable[[tuple[PoolEvent, ...]], None] | None = None,
    ) -> None:
        """Connects, or raises `CoreUnavailable`.

        `on_head` is called with each new head and `on_pool_events` with what happened to the pool, in the order in
        which it happened, in the reading thread: they must not wait.
        """
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(os.fspath(path))
        except OSError as error:
            peer.close()
            raise CoreUnavailable from error
        self.closed = threading.Event()
        self._connection = Connection(peer)
        self._on_head = on_head
        self._on_pool_events = on_pool_events
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[tuple[bytes, ...]]] = {}
        self._number = 0
        self.filters = RemoteFilters(self._ask)
        threading.Thread(target=self._read, name="link-read", daemon=True).start()

    def submit_many(self, submissions: Sequence[Submission]) -> list[Hash32 | NodeError]:
        """Puts transactions into the core's pool; for each its hash, or why it was refused."""
        answers: list[Hash32 | NodeError] = []
        for chunk in _chunks(submissions):
            try:
                answers += decode_answers(self._ask(Kind.SUBMIT_MANY, *encode_submissions(chunk)))
            except (Rejected, Unavailable) as refusal:
                answers += [refusal] * len(chunk)
        return answers

    def next_nonce(self, sender: Address) -> int:
        """The first nonce of `sender` not taken by an executable pooled transaction."""
        return int.from_bytes(self._ask(Kind.NEXT_NONCE, sender)[0], "big")

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """A pooled transaction, or None."""
        fields = self._ask(Kind.POOLED_TRANSACTION, transaction_hash)
        if not fields:
            return None
        sender, nonce, gas_limit, raw = fields
        return PooledTransaction(
            transaction_hash=transaction_hash,
            sender=Address(sender),
            nonce=int.from_bytes(nonce, "big"),
            gas_limit=int.from_bytes(gas_limit, "big"),
            raw=raw,
        )

    def pool_status(self) -> PoolStatus:
        """Counts of the core's pool."""
        executable, waiting = self._ask(Kind.POOL_STATUS)
        return PoolStatus(int.from_bytes(executable, "big"), int.from_bytes(waiting, "big"))

    def standing(self, transaction_hash: Hash32) -> Standing | None:
        """Where a transaction stands with the core's pool; None where the pool does not know it."""
        return decode_standing(self._ask(Kind.STANDING, transaction_hash))

    def pool_page(self, after: tuple[Address, int] | None, sender: Address | None) -> PoolPage:
        """The pool's content after a place, of everybody or of one sender."""
        return decode_page(self._ask(Kind.POOL_PAGE, *encode_page_request(after, sender)))

    def report_samples(self, process: str, samples: bytes) -> None:
        """Leaves this process's metrics with the core; more than a frame takes are left out."""
        if len(samples) <= SAMPLES_BYTES_MAX:
            self._ask(Kind.REPORT_SAMPLES, process.encode(), samples)

    def collect_samples(self) -> dict[str, bytes]:
        """The metrics of the core and of every process that has left its own there, by its name."""
        found: dict[str, bytes] = {}
        process = b""
        while fields := self._ask(Kind.NEXT_SAMPLES, process):
            process, samples = fields
            found[process.decode()] = samples
        return found

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _ask(self, kind: Kind, *fields: bytes) -> tuple[bytes, ...]:
        reply: Future[tuple[bytes, ...]] = Future()
        with self._lock:
            if self.closed.is_set():
                raise CoreUnavailable
            self._number += 1
            number = self._number
            self._waiting[number] = reply
        try:
            self._connection.send(Frame(kind, number, fields))
            return reply.result(REPLY_SECONDS_MAX)
        except TimeoutError as error:
            raise CoreUnavailable from error
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _read(self) -> None:
        try:
            while (frame := self._connection.receive()) is not None:
                self._take(frame)
        except LinkFrameInvalid as error:
            get_logger().error("link_frame_invalid", fault=str(error))
        finally:
            with self._lock:
                self.closed.set()
                waiting = tuple(self._waiting.values())
            for reply in waiting:
                if not reply.done():
                    reply.set_exception(CoreUnavailable())
            self._connection.close()

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.NEW_HEAD:
            if self._on_head is not None:
                number, block_hash = frame.fields
                self._on_head(Head(int.from_bytes(number, "big"), Hash32(block_hash)))
            return
        if frame.kind is Kind.POOL_EVENTS:
            if self._on_pool_events is not None:
                self._on_pool_events(decode_events(frame.fields))
            return
        with self._lock:
            reply = self._waiting.get(frame.number)
        if reply is None:
            return
        if frame.kind is Kind.REFUSAL:
            reply.set_exception(decode_error(frame.fields))
        else:
            reply.set_result(frame.fields)


def _chunks(submissions: Sequence[Submission]) -> Iterator[list[Submission]]:
    """The submissions in order, as many at once as fit a frame."""
    chunk: list[Submission] = []
    size = 0
    for each in submissions:
        is_full = len(chunk) >= SUBMISSIONS_MAX or size + len(each.raw) > SUBMISSIONS_BYTES_MAX
        if chunk and is_full:
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += len(each.raw)
    if chunk:
        yield chunk
