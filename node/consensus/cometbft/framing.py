"""Messages on the socket between the consensus engine and this node: each behind its length.

The length is an unsigned varint, as CometBFT writes it since v0.37. A message that is cut off is the end of the
connection: the engine was killed.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from google.protobuf.message import DecodeError

from node.consensus.cometbft import abci_pb2 as abci
from node.errors import EngineMessageInvalid

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of one message: many times what the largest block of this network takes."""

_VARINT_BYTES_MAX: Final = 10


def read_request(stream: BinaryIO) -> abci.Request | None:
    """The next request; None at the end of the connection. Raises EngineMessageInvalid."""
    length = _read_length(stream)
    if length is None:
        return None
    if length > MESSAGE_BYTES_MAX:
        raise EngineMessageInvalid(f"{length} bytes, at most {MESSAGE_BYTES_MAX}")
    body = stream.read(length)
    if len(body) < length:
        return None
    try:
        return abci.Request.FromString(body)
    except DecodeError as error:
        raise EngineMessageInvalid("it is no request of ABCI 2.0") from error


def write_response(stream: BinaryIO, response: abci.Response) -> None:
    """Writes an answer; it leaves with the stream's next flush."""
    body = response.SerializeToString()
    stream.write(encode_length(len(body)) + body)


def encode_length(length: int) -> bytes:
    """An unsigned varint."""
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def _read_length(stream: BinaryIO) -> int | None:
    length = 0
    for position in range(_VARINT_BYTES_MAX):
        byte = stream.read(1)
        if not byte:
            return None
        length |= (byte[0] & 0x7F) << 7 * position
        if byte[0] < 0x80:
            return length
    raise EngineMessageInvalid("its length has no end")
