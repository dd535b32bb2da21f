"""An RPC process's end of the link."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from node.errors import CoreUnavailable, LinkFrameInvalid
from node.link.filters import RemoteFilters
from node.link.frames import Connection, Frame, Head, Kind, decode_error
from node.pool import PooledTransaction, PoolStatus
from node.primitives import Address, Hash32
from node.telemetry import get_logger

REPLY_SECONDS_MAX = 10
"""Seconds a client waits for a reply."""


class Client:
    """An RPC process's end. Every method may be called from any thread."""

    def __init__(self, path: Path, on_head: Callable[[Head], None] | None = None) -> None:
        """Connects, or raises `CoreUnavailable`. `on_head` is called, in the reading thread, with each new head."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.connect(os.fspath(path))
        except OSError as error:
            peer.close()
            raise CoreUnavailable from error
        self.closed = threading.Event()
        self._connection = Connection(peer)
        self._on_head = on_head
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[tuple[bytes, ...]]] = {}
        self._number = 0
        self.filters = RemoteFilters(self._ask)
        threading.Thread(target=self._read, name="link-read", daemon=True).start()

    def submit(self, raw: bytes) -> Hash32:
        """Puts a raw transaction into the core's pool; raises what the core raised."""
        return Hash32(self._ask(Kind.SUBMIT, raw)[0])

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
        with self._lock:
            reply = self._waiting.get(frame.number)
        if reply is None:
            return
        if frame.kind is Kind.REFUSAL:
            reply.set_exception(decode_error(frame.fields))
        else:
            reply.set_result(frame.fields)
