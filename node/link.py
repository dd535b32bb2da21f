"""The socket between the core and the RPC processes: messages, server, client.

The core listens on a unix socket; each RPC process keeps one connection. What crosses: a raw transaction to submit, the
three questions only the pool can answer, and, unasked, the newest head. Everything else an RPC process reads for
itself from the store.

A frame is a four-byte big-endian length and the RLP list `[kind, number, field...]`. `number` pairs a reply with its
request (0 for the notice of a new head); replies come in the order of the requests of one connection. A refusal
carries the name of the error and its attributes (bytes, integers, text), so the far side raises the very same one. A
fault of the core itself is told to the core: a broken invariant, which must end the process, is handed to `on_fault`;
anything else unexpected is logged and answered as `CoreFailed`.

Limits: `FRAME_BYTES_MAX`, `CONNECTIONS_MAX`, and `REPLY_SECONDS_MAX` after which a silent core is unavailable. A frame
that breaks the format ends its connection. When the core goes away every waiting request is told so, and the client's
`closed` event is set: an RPC process ends with its core.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from node.errors import (
    CoreFailed,
    CoreUnavailable,
    InvariantBroken,
    LinkFrameInvalid,
    MalformedRlp,
    NodeError,
    Rejected,
    Unavailable,
)
from node.pool import PooledTransaction, PoolStatus
from node.primitives import (
    Address,
    Hash32,
    decode_bytes,
    decode_list,
    decode_rlp,
    encode_rlp,
    encode_uint,
)
from node.telemetry import get_logger

FRAME_BYTES_MAX = 256 * 1024
"""Bytes of one frame: a transaction of the largest size and room to spare."""

CONNECTIONS_MAX = 16
"""RPC processes on one core."""

REPLY_SECONDS_MAX = 10
"""Seconds a client waits for a reply."""

SOCKET_PATH_BYTES_MAX = 100
"""Bytes of a unix socket's path that every system takes (sun_path is 104 to 108)."""

HEADER_BYTES = 4

SEND_SECONDS_MAX = 1
SEND_TIMEOUT = struct.pack("@ll", SEND_SECONDS_MAX, 0)
"""How long a send may wait for a client that does not read, as the system's timeval."""


class Kind(IntEnum):
    """What a frame is."""

    NEW_HEAD = 0
    SUBMIT = 1
    NEXT_NONCE = 2
    POOLED_TRANSACTION = 3
    POOL_STATUS = 4
    ANSWER = 5
    REFUSAL = 6


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block."""

    number: int
    block_hash: Hash32


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


def socket_path(directory: Path) -> Path:
    """Where the socket of the node with this data directory lives.

    In the directory, or, where that path is too long for a unix socket, in the user's runtime directory under a name
    derived from it. Raises `PermissionError` where that directory is not this user's alone: whoever can write there
    could pass for the core.
    """
    path = directory.resolve() / "core.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return _runtime_directory() / f"corridor-{digest}.sock"


def _runtime_directory() -> Path:
    """A directory of this user alone: the session's, or one made in the system's temporary directory."""
    session = os.environ.get("XDG_RUNTIME_DIR")
    if session:
        directory = Path(session)
    else:
        directory = Path(tempfile.gettempdir()) / f"corridor-{os.getuid()}"
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
    found = directory.lstat()
    is_ours = found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not (stat.S_ISDIR(found.st_mode) and is_ours):
        raise PermissionError(f"{directory} must be a directory of this user alone (mode 0700)")
    return directory


class Server:
    """The core's end: one thread accepts, one thread serves each connection."""

    def __init__(
        self, path: Path, intake: Intake, on_fault: Callable[[InvariantBroken], None]
    ) -> None:
        """Listens at once; the socket is open to this user alone.

        `on_fault` is called, in the connection's thread, with a broken invariant that a question met.
        """
        self._intake = intake
        self._on_fault = on_fault
        self._is_closed = False
        self._path = path
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
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
            connection.send(_head_frame(head))

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
            connection = _Connection(peer)
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

    def _serve(self, connection: _Connection, head: Head | None) -> None:
        if head is not None:
            connection.send(_head_frame(head))
        try:
            while (frame := connection.receive()) is not None:
                connection.send(answer_frame(self._intake, frame))
        except LinkFrameInvalid as error:
            get_logger().error("link_frame_invalid", fault=str(error))
        except InvariantBroken as error:
            self._on_fault(error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


@dataclass(frozen=True, slots=True)
class Frame:
    """One message on the socket."""

    kind: Kind
    number: int
    fields: tuple[bytes, ...]


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
        self._connection = _Connection(peer)
        self._on_head = on_head
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[tuple[bytes, ...]]] = {}
        self._number = 0
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


def answer_frame(intake: Intake, request: Frame) -> Frame:
    """The reply to one request: the answer, or the refusal that the intake raised.

    Raises `LinkFrameInvalid` where it is no request, and `InvariantBroken` where the core must end.
    """
    try:
        fields = _answer(intake, request)
    except (LinkFrameInvalid, InvariantBroken):
        raise
    except (Rejected, Unavailable) as error:
        return Frame(Kind.REFUSAL, request.number, encode_error(error))
    except Exception:  # noqa: BLE001 - a fault over one question must not take the others with it
        get_logger().exception("link_question_failed", kind=request.kind.name)
        return Frame(Kind.REFUSAL, request.number, encode_error(CoreFailed()))
    return Frame(Kind.ANSWER, request.number, fields)


def _answer(intake: Intake, request: Frame) -> tuple[bytes, ...]:
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
            raise LinkFrameInvalid(f"no such request: kind {request.kind}")


def encode_error(error: NodeError) -> tuple[bytes, ...]:
    """An error as fields: its name, then the name and value of each attribute."""
    fields = [type(error).__name__.encode()]
    for name, value in vars(error).items():
        fields += [name.encode(), _encode_value(value)]
    return tuple(fields)


def decode_error(fields: tuple[bytes, ...]) -> NodeError:
    """The error that `encode_error` took apart: same class, same attributes, same text."""
    classes = {
        each.__name__: each for branch in (Rejected, Unavailable) for each in _leaves(branch)
    }
    kind = classes.get(fields[0].decode()) if fields else None
    if kind is None or len(fields) % 2 == 0:
        raise LinkFrameInvalid("no such error")
    names = [name.decode() for name in fields[1::2]]
    try:
        return kind(**dict(zip(names, map(_decode_value, fields[2::2]), strict=True)))
    except TypeError as error:
        raise LinkFrameInvalid(str(error)) from error


def _leaves(branch: type[NodeError]) -> list[type[NodeError]]:
    subclasses = branch.__subclasses__()
    return [leaf for each in subclasses for leaf in _leaves(each)] if subclasses else [branch]


def _encode_value(value: object) -> bytes:
    match value:
        case bytes():
            return b"b" + value
        case int():
            return b"i" + encode_uint(value)
        case None:
            return b"n"
        case _:
            return b"s" + str(value).encode()


def _decode_value(field: bytes) -> object:
    match field[:1]:
        case b"b":
            return field[1:]
        case b"i":
            return int.from_bytes(field[1:], "big")
        case b"n":
            return None
        case _:
            return field[1:].decode()


def decode_frame(payload: bytes) -> Frame:
    """The frame of an RLP payload, or `LinkFrameInvalid`."""
    try:
        kind, number, *fields = [decode_bytes(item) for item in decode_list(decode_rlp(payload))]
        return Frame(
            Kind(int.from_bytes(kind, "big")), int.from_bytes(number, "big"), tuple(fields)
        )
    except (MalformedRlp, ValueError) as error:
        raise LinkFrameInvalid(str(error)) from error


def _head_frame(head: Head) -> Frame:
    return Frame(Kind.NEW_HEAD, 0, (encode_uint(head.number), head.block_hash))


class _Connection:
    """One end of a connection: whole frames in, whole frames out."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._sending = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Sends a frame; one that cannot be sent whole ends the connection."""
        payload = encode_rlp([encode_uint(frame.kind), encode_uint(frame.number), *frame.fields])
        try:
            with self._sending:
                self._peer.sendall(len(payload).to_bytes(HEADER_BYTES, "big") + payload)
        except OSError:
            self.close()

    def receive(self) -> Frame | None:
        """The next frame, or None at the end of the connection."""
        header = self._read_exactly(HEADER_BYTES)
        if header is None:
            return None
        length = int.from_bytes(header, "big")
        if length > FRAME_BYTES_MAX:
            raise LinkFrameInvalid(f"{length} bytes, at most {FRAME_BYTES_MAX}")
        payload = self._read_exactly(length)
        return None if payload is None else decode_frame(payload)

    def close(self) -> None:
        """Ends the connection in both directions."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()

    def _read_exactly(self, length: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < length:
            try:
                part = self._peer.recv(length - len(parts))
            except OSError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)
