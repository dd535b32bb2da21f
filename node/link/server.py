"""The core's end of the link."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from node.errors import (
    CoreFailed,
    InvariantBroken,
    LinkFrameInvalid,
    NodeError,
    Rejected,
    Unavailable,
)
from node.link.board import CORE, PROCESS_NAME_LENGTH_MAX, Board
from node.link.filters import FilterKeeper, Filters, answer_filter_question
from node.link.frames import Connection, Frame, Head, Kind, encode_error
from node.link.outbox import NOTICES_MAX, Notice, Outbox
from node.link.pool_codec import (
    Submission,
    decode_page_request,
    decode_submissions,
    encode_answers,
    encode_page,
    encode_standing,
)
from node.link.socket_path import listen_privately
from node.pool import PooledTransaction, PoolEvent, PoolPage, PoolStatus, Standing
from node.primitives import Address, Hash32, encode_uint
from node.telemetry import get_logger

CONNECTIONS_MAX = 32
"""Connections to one core: two of each RPC process."""

SEND_SECONDS_MAX = 10
SEND_TIMEOUT = struct.pack("@ll", SEND_SECONDS_MAX, 0)
"""How long a send may wait for a client that does not read, as the system's timeval."""


class Intake(Protocol):
    """The core's side of the questions. Implemented by `consensus.intake.Intake`; raises `Rejected`."""

    def submit_many(self, submissions: Sequence[Submission]) -> list[Hash32 | NodeError]:
        """Takes transactions into the pool; for each its hash, or why it was refused."""

    def next_nonce(self, sender: Address) -> int:
        """The first nonce not taken by an executable pooled transaction."""

    def pooled_transaction(self, transaction_hash: Hash32) -> PooledTransaction | None:
        """A pooled transaction."""

    def pool_status(self) -> PoolStatus:
        """Counts of the pool."""

    def standing(self, transaction_hash: Hash32) -> Standing | None:
        """Where a transaction stands with the pool; None where the pool does not know it."""

    def pool_page(self, after: tuple[Address, int] | None, sender: Address | None) -> PoolPage:
        """The pool's content after a place, of everybody or of one sender."""


class Server:
    """The core's end: one thread accepts, one thread serves each connection."""

    def __init__(
        self,
        path: Path,
        intake: Intake,
        on_fault: Callable[[InvariantBroken], None],
        board: Board | None = None,
        notices_max: int = NOTICES_MAX,
    ) -> None:
        """Listens at once; the socket is open to this user alone.

        `on_fault` is called, in the connection's thread, with a broken invariant that a question met.
        `notices_max` bounds what waits for a client that reads slowly.
        """
        self._intake = intake
        self._board = board or Board(bytes)
        self.filters = FilterKeeper()
        self._on_fault = on_fault
        self._is_closed = False
        self._path = path
        self._lock = threading.Lock()
        self._notices_max = notices_max
        self._outboxes: dict[Connection, Outbox] = {}
        self._head: Head | None = None
        self._listener = listen_privately(path, CONNECTIONS_MAX)

    def start(self) -> None:
        """Begins to serve, in the background."""
        threading.Thread(target=self._accept, name="link-accept", daemon=True).start()

    def announce(self, head: Head) -> None:
        """Tells every client, present and future, the newest head, without waiting for any."""
        with self._lock:
            self._head = head
            self._tell([head])

    def announce_events(self, events: Sequence[PoolEvent]) -> None:
        """Tells every present client what happened to the pool, without waiting for any."""
        self.filters.record_pending(
            [event.transaction_hash for event in events if event.dropped_for is None]
        )
        with self._lock:
            self._tell(events)

    def close(self) -> None:
        """Stops serving and ends every connection."""
        with self._lock:
            self._is_closed = True
            connections = tuple(self._outboxes)
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
            # A client that stopped reading must not hold its threads here for ever.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIMEOUT)
            connection = Connection(peer)
            with self._lock:
                is_closed = self._is_closed
                is_full = len(self._outboxes) >= CONNECTIONS_MAX
                if not is_full and not is_closed:
                    self._outboxes[connection] = Outbox(connection, self._notices_max)
                    if self._head is not None:
                        self._outboxes[connection].put([self._head])
            if is_closed:
                connection.close()
                return
            if is_full:
                get_logger().warning("link_connection_refused", connections_max=CONNECTIONS_MAX)
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="link-serve", daemon=True
            ).start()

    def _tell(self, notices: Sequence[Notice]) -> None:
        for outbox in self._outboxes.values():
            outbox.put(notices)

    def _serve(self, connection: Connection) -> None:
        try:
            while (frame := connection.receive()) is not None:
                if frame.kind is Kind.QUIET:
                    self._outboxes[connection].close()
                    continue
                answer = answer_samples(self._board, connection, frame)
                connection.send(answer or answer_frame(self._intake, self.filters, frame))
        except LinkFrameInvalid as error:
            get_logger().error("link_frame_invalid", fault=str(error))
        except InvariantBroken as error:
            self._on_fault(error)
        finally:
            with self._lock:
                outbox = self._outboxes.pop(connection)
            outbox.close()
            self._board.forget(connection)
            connection.close()


def answer_samples(board: Board, owner: Connection, request: Frame) -> Frame | None:
    """The reply to a question about metrics; None to any other. Raises `LinkFrameInvalid`."""
    fields: tuple[bytes, ...] = ()
    match request.kind, request.fields:
        case Kind.REPORT_SAMPLES, (process, samples):
            name = _decode_process(process)
            if name in {"", CORE}:
                raise LinkFrameInvalid("no name of an RPC process")
            board.report(owner, name, samples)
        case Kind.NEXT_SAMPLES, (process,):
            found = board.next_after(_decode_process(process))
            if found is not None:
                fields = (found[0].encode(), found[1])
        case ((Kind.REPORT_SAMPLES | Kind.NEXT_SAMPLES), _):
            raise LinkFrameInvalid(f"wrong fields: kind {request.kind}")
        case _:
            return None
    return Frame(Kind.ANSWER, request.number, fields)


def _decode_process(name: bytes) -> str:
    try:
        process = name.decode("ascii")
    except UnicodeDecodeError as error:
        raise LinkFrameInvalid(str(error)) from error
    if len(process) > PROCESS_NAME_LENGTH_MAX:
        raise LinkFrameInvalid("too long a name of a process")
    return process


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
        case Kind.SUBMIT_MANY, fields:
            return encode_answers(intake.submit_many(decode_submissions(fields)))
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
        case Kind.STANDING, (transaction_hash,):
            return encode_standing(intake.standing(Hash32(transaction_hash)))
        case Kind.POOL_PAGE, (after, sender):
            return encode_page(intake.pool_page(*decode_page_request(after, sender)))
        case _:
            return answer_filter_question(filters, request)
