"""Frames: what crosses the socket between the processes, whole frames in and whole frames out."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from enum import IntEnum

from node.errors import (
    LinkFrameInvalid,
    MalformedRlp,
    NodeError,
    Rejected,
    Unavailable,
)
from node.primitives import (
    Hash32,
    decode_bytes,
    decode_list,
    decode_rlp,
    encode_rlp,
    encode_uint,
)

FRAME_BYTES_MAX = 256 * 1024
"""Bytes of one frame: a transaction of the largest size and room to spare."""

SAMPLES_BYTES_MAX = FRAME_BYTES_MAX // 2
"""Bytes of one process's metrics in a frame."""

HEADER_BYTES = 4


class Kind(IntEnum):
    """What a frame is."""

    NEW_HEAD = 0
    NEXT_NONCE = 2
    POOLED_TRANSACTION = 3
    POOL_STATUS = 4
    ANSWER = 5
    REFUSAL = 6
    POOL_EVENTS = 10
    SUBMIT_MANY = 11
    STANDING = 12
    POOL_PAGE = 13
    QUIET = 14
    """This connection wants no notices; nothing answers it."""
    FILTER_INSTALL = 20
    FILTER_LOOK_UP = 21
    FILTER_ADVANCE = 22
    FILTER_REMOVE = 23
    PENDING_END = 24
    PENDING_SINCE = 25
    REPORT_SAMPLES = 30
    NEXT_SAMPLES = 31


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block."""

    number: int
    block_hash: Hash32


@dataclass(frozen=True, slots=True)
class Frame:
    """One message on the socket."""

    kind: Kind
    number: int
    fields: tuple[bytes, ...]


def encode_error(error: NodeError) -> tuple[bytes, ...]:
    """An error as fields: its name, then the name and value of each attribute."""
    fields = [type(error).__name__.encode()]
    for name, value in vars(error).items():
        fields += [name.encode(), _encode_value(value)]
    return tuple(fields)


def decode_error(fields: tuple[bytes, ...]) -> NodeError:
    """The error that `encode_error` took apart: same class, same attributes, same text.

    Raises `LinkFrameInvalid` for anything else, whatever an error's constructor makes of it.
    """
    classes = {
        each.__name__: each for branch in (Rejected, Unavailable) for each in _leaves(branch)
    }
    try:
        kind = classes.get(fields[0].decode()) if fields else None
        if kind is None or len(fields) % 2 == 0:
            raise LinkFrameInvalid("no such error")
        names = [name.decode() for name in fields[1::2]]
        return kind(**dict(zip(names, map(_decode_value, fields[2::2]), strict=True)))
    except (TypeError, ValueError, AttributeError) as error:
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


def encode_frame(frame: Frame) -> bytes:
    """A frame as it stands on the socket, its length first."""
    payload = encode_rlp([encode_uint(frame.kind), encode_uint(frame.number), *frame.fields])
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


def decode_length(header: bytes) -> int:
    """The bytes of the payload that follow a header, or `LinkFrameInvalid` where they are too many."""
    length = int.from_bytes(header, "big")
    if length > FRAME_BYTES_MAX:
        raise LinkFrameInvalid(f"{length} bytes, at most {FRAME_BYTES_MAX}")
    return length


def decode_frame(payload: bytes) -> Frame:
    """The frame of an RLP payload, or `LinkFrameInvalid`."""
    try:
        kind, number, *fields = [decode_bytes(item) for item in decode_list(decode_rlp(payload))]
        return Frame(
            Kind(int.from_bytes(kind, "big")), int.from_bytes(number, "big"), tuple(fields)
        )
    except (MalformedRlp, ValueError) as error:
        raise LinkFrameInvalid(str(error)) from error


def encode_head(head: Head) -> Frame:
    """The notice of a new head."""
    return Frame(Kind.NEW_HEAD, 0, (encode_uint(head.number), head.block_hash))


class Connection:
    """One end of a connection: whole frames in, whole frames out."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._sending = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Sends a frame; one that cannot be sent whole ends the connection."""
        encoded = encode_frame(frame)
        try:
            with self._sending:
                self._peer.sendall(encoded)
        except OSError:
            self.close()

    def receive(self) -> Frame | None:
        """The next frame, or None at the end of the connection."""
        header = self._read_exactly(HEADER_BYTES)
        if header is None:
            return None
        payload = self._read_exactly(decode_length(header))
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
