"""The core's end of the link."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from node.errors import (
    CoreFailed,
    InvariantBroken,
    LinkFrameInvalid,
    Rejected,
    Unavailable,
)
from node.link.filters import FilterKeeper, Filters, answer_filter_question
from node.link.frames import Connection, Frame, Head, Kind, encode_error, encode_head
from node.pool import PooledTransaction, PoolStatus
from node.primitives import Address, Hash32, encode_uint
from node.telemetry import get_logger

CONNECTIONS_MAX = 16
"""RPC processes on one core."""

SEND_SECONDS_MAX = 1
SEND_TIMEOUT = struct.pack("@ll", SEND_SECONDS_MAX, 0)
"""How long a send may wait for a client that does not read, as the system's timeval."""


class Intake(Protocol):
    """The core's side of the questions. Implemented by `consensus.intake.Intake`; raises `Rejected`."""

    def submit(self, raw: bytes) -> Hash32:
        """Takes a raw transaction into the pool."""

    def next_nonce(self, sender: Address) -> int:
        """The first nonce not taken by an executable pooled transaction."""

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """A pooled transaction."""

    def pool_status(self) -> PoolStatus:
        """Counts of the pool."""


class Server:
    """The core's end: one thread accepts, one thread serves each connection."""

    def __init__(
        self, path: Path, intake: Intake, on_fault: Callable[[InvariantBroken], None]
    ) -> None:
        """Listens at once; the socket is open to this user alone.

        `on_fault` is called, in the connection's thread, with a broken invariant that a question met.
        """
        self._intake = intake
        self.filters = FilterKeeper()
        self._on_fault = on_fault
        self._is_closed = False
        self._path = path
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._head: Head | None = None
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_umask = os.umask(0o177)
        try:
            self._listener.bind(os.fspath(path))
        finally:
            os.umask(old_umask)
        self._listener.listen(CONNECTIONS_MAX)

    def start(self) -> None:
        """Begins to serve, in the background."""
        threading.Thread(target=self._accept, name="link-accept", daemon=True).start()

    def announce(self, head: Head) -> None:
        """Tells every client, present and future, the newest head."""
        with self._lock:
            self._head = head
            connections = tuple(self._connections)
        for connection in connections:
            connection.send(encode_head(head))

    def close(self) -> None:
        """Stops serving and ends every connection."""
        with self._lock:
            self._is_closed = True
            connections = tuple(self._connections)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in connections:
            connection.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            # A client that stopped reading must not hold up the thread that makes blocks.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
            connection = Connection(peer)
            with self._lock:
                is_closed = self._is_closed
                is_full = len(self._connections) >= CONNECTIONS_MAX
                if not is_full and not is_closed:
                    self._connections.add(connection)
                head = self._head
            if is_closed:
                connection.close()
                return
            if is_full:
                get_logger().warning("link_connection_refused", connections_max=CONNECTIONS_MAX)
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection, head), name="link-serve", daemon=True
            ).start()

    def _serve(self, connection: Connection, head: Head | None) -> None:
        if head is not None:
            connection.send(encode_head(head))
        try:
            while (frame := connection.receive()) is not None:
                connection.send(answer_frame(self._intake, self.filters, frame))
        except LinkFrameInvalid as error:
            get_logger().error("link_frame_invalid", fault=str(error))
        except InvariantBroken as error:
            self._on_fault(error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


def answer_frame(intake: Intake, filters: Filters, request: Frame) -> Frame:
    """The reply to one request: the answer, or the refusal that the intake raised.

    Raises `LinkFrameInvalid` where it is no request, and `InvariantBroken` where the core must end.
    """
    try:
        fields = _answer(intake, filters, request)
    except (LinkFrameInvalid, InvariantBroken):
        raise
    except (Rejected, Unavailable) as error:
        return Frame(Kind.REFUSAL, request.number, encode_error(error))
    except Exception:  # noqa: BLE001 - a fault over one question must not take the others with it
        get_logger().exception("link_question_failed", kind=request.kind.name)
        return Frame(Kind.REFUSAL, request.number, encode_error(CoreFailed()))
    return Frame(Kind.ANSWER, request.number, fields)


def _answer(intake: Intake, filters: Filters, request: Frame) -> tuple[bytes, ...]:
    match request.kind, request.fields:
        case Kind.SUBMIT, (raw,):
            return (intake.submit(raw),)
        case Kind.NEXT_NONCE, (sender,):
            return (encode_uint(intake.next_nonce(Address(sender))),)
        case Kind.POOLED_TRANSACTION, (transaction_hash,):
            pooled = intake.pooled_transaction(Hash32(transaction_hash))
            if pooled is None:
                return ()
            return (
                pooled.sender,
                encode_uint(pooled.nonce),
                encode_uint(pooled.gas_limit),
                pooled.raw,
            )
        case Kind.POOL_STATUS, ():
            status = intake.pool_status()
            return encode_uint(status.executable), encode_uint(status.waiting)
        case _:
            return answer_filter_question(filters, request)
