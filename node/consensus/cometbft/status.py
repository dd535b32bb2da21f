"""What the engine says of itself: its RPC, asked by the core.

The RPC listens on a unix socket in the engine's home (`laddr = "unix://..."`, which CometBFT v0.40.0 takes as well as
`tcp://`), so that nobody but the node's own user reaches it. Every question has a time limit, and every answer is held
to its shape. Faults are ours: `EngineUnavailable` where asking again may help, `EngineQuestionRefused` where it does
not, `EngineAnswerInvalid` where the answer is none.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from node.errors import (
    EngineAnswerInvalid,
    EngineQuestionRefused,
    EngineUnavailable,
    SignedHeaderInvalid,
)
from node.signed_header import SignedHeader, parse_signed_header
from node.telemetry import EngineReading

ANSWER_SECONDS_MAX: Final = 5
"""How long one answer may take."""

CONNECTIONS_KEPT_MAX: Final = 16
"""Connections that are kept open while nothing is asked."""

ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
VALIDATORS_PAGE: Final = 100
"""Validators of one answer: CometBFT gives no more, and NodeRegistry has no more."""

_ALREADY_KNOWN: Final = "tx already exists in cache"
_PASSING: Final = (
    "endpoint is closed while node is catching up",
    "mempool is full",
    "mempool is still rechecking",
    "broadcast confirmation not received",
)
"""Words of refusals that time heals."""

Json = Mapping[str, object]
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Where the engine stands."""

    node_id: bytes
    chain_id: str
    height: int
    """Of the newest block it has; 0 before the first."""
    is_catching_up: bool
    voting_power: int
    """Its own; 0 for a node that does not validate."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that is connected."""

    node_id: bytes
    moniker: str
    remote_ip: str
    is_outbound: bool


class EngineClient:
    """Asks the engine. Every method may be called from any thread."""

    def __init__(self, address: str, answer_seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        """`address` is the engine's `rpc.laddr`: `unix://PATH` or `tcp://HOST:PORT`."""
        self._address = address
        self._seconds = answer_seconds_max
        self._idle: deque[http.client.HTTPConnection] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that are not in use."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        answer = _Answer("status", self._ask("status"))
        node, sync = answer.part("node_info"), answer.part("sync_info")
        return EngineStatus(
            node_id=node.hex("id"),
            chain_id=node.text("network"),
            height=sync.integer("latest_block_height"),
            is_catching_up=sync.flag("catching_up"),
            voting_power=answer.part("validator_info").integer("voting_power"),
        )

    def net_info(self) -> tuple[Peer, ...]:
        """The nodes that are connected."""
        peers = _Answer("net_info", self._ask("net_info")).parts("peers")
        return tuple(
            Peer(
                node_id=peer.part("node_info").hex("id"),
                moniker=peer.part("node_info").text("moniker"),
                remote_ip=peer.text("remote_ip"),
                is_outbound=peer.flag("is_outbound"),
            )
            for peer in peers
        )

    def reading(self) -> EngineReading:
        """What health and metrics show."""
        status = self.status()
        return EngineReading(status.height, status.is_catching_up, len(self.net_info()))

    def signed_header(self, height: int) -> SignedHeader:
        """The header of a height with a commit of it and the validators who signed; nothing but the form is checked.

        Raises `EngineQuestionRefused` where the engine has none.
        """
        commit = _Answer("commit", self._ask("commit", height=str(height)))
        page = str(VALIDATORS_PAGE)
        answer = self._ask("validators", height=str(height), page="1", per_page=page)
        validators = _Answer("validators", answer)
        try:
            signed = parse_signed_header(commit.fields, validators.fields)
        except SignedHeaderInvalid as fault:
            raise EngineAnswerInvalid("commit", str(fault)) from fault
        if signed.header.height != height:
            raise EngineAnswerInvalid("commit", f"it is of another height than {height}")
        return signed

    def broadcast(self, raws: Sequence[bytes]) -> list[str | None]:
        """Hands transactions to the engine's mempool, in order; for each None, or why it is not taken now.

        What the application says of them comes by its own check_tx. One that the mempool knows is well.
        """
        texts = [base64.b64encode(raw).decode() for raw in raws]
        questions = [
            _question("broadcast_tx_async", {"tx": text}, number)
            for number, text in enumerate(texts)
        ]
        replies = self._answer("broadcast_tx_async", json.dumps(questions).encode())
        if isinstance(replies, dict):
            replies = [replies]  # CometBFT answers a batch of one as if it were none
        if not isinstance(replies, list) or len(replies) != len(raws):
            raise EngineAnswerInvalid("broadcast_tx_async", "not one answer for each transaction")
        faults: list[str | None] = [None] * len(raws)
        for reply in replies:
            answer = _Answer("broadcast_tx_async", reply)
            number = answer.integer("id")
            if "error" in answer.fields and 0 <= number < len(raws):
                reason = str(_refusal("broadcast_tx_async", answer.part("error")))
                faults[number] = None if _ALREADY_KNOWN in reason else reason
        return faults

    def _ask(self, method: str, **parameters: str) -> object:
        reply = self._answer(method, json.dumps(_question(method, parameters, 1)).encode())
        answer = _Answer(method, reply)
        if "error" in answer.fields:
            raise _refusal(method, answer.part("error"))
        return answer.fields.get("result")

    def _answer(self, method: str, question: bytes) -> object:
        """The JSON that answers one question, or a batch of them."""
        try:
            body = self._exchange(question)
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnavailable(method, str(error) or type(error).__name__) from error
        if len(body) > ANSWER_BYTES_MAX:
            raise EngineAnswerInvalid(method, f"longer than {ANSWER_BYTES_MAX} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise EngineAnswerInvalid(method, "it is no JSON") from None

    def _exchange(self, question: bytes) -> bytes:
        """Sends a question and reads the answer, on a connection that is kept for the next."""
        while True:
            try:
                connection, is_new = self._idle.pop(), False
            except IndexError:
                connection, is_new = _connection(self._address, self._seconds), True
            try:
                connection.request("POST", "/", question, {"Content-Type": "application/json"})
                body = connection.getresponse().read(ANSWER_BYTES_MAX + 1)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # The engine closes what is idle, and all at a restart: a new connection says what holds.
                if is_new or isinstance(error, TimeoutError):
                    raise
                continue
            if len(body) > ANSWER_BYTES_MAX or len(self._idle) >= CONNECTIONS_KEPT_MAX:
                connection.close()
            else:
                self._idle.append(connection)
            return body


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("engine", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket, or leaves nothing open."""
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(self.timeout)
            connected.connect(self._path)
        except OSError:
            connected.close()
            raise
        self.sock = connected


def _question(method: str, parameters: Mapping[str, str], number: int) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _connection(address: str, seconds: float) -> http.client.HTTPConnection:
    kind, _, place = address.partition("://")
    if kind == "unix":
        return _UnixConnection(place, seconds)
    return http.client.HTTPConnection(place, timeout=seconds)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An object of an answer, read field by field: a wrong shape is `EngineAnswerInvalid`."""

    method: str
    value: object

    @property
    def fields(self) -> Json:
        if not isinstance(self.value, dict):
            raise EngineAnswerInvalid(self.method, "it is no object")
        return self.value

    def part(self, name: str) -> _Answer:
        return _Answer(self.method, self._field(name, dict))

    def parts(self, name: str) -> list[_Answer]:
        return [_Answer(self.method, value) for value in self._field(name, list)]

    def text(self, name: str) -> str:
        return self._field(name, str)

    def flag(self, name: str) -> bool:
        return self._field(name, bool)

    def integer(self, name: str) -> int:
        """A count from 0: CometBFT writes 64-bit integers as text, smaller ones as numbers."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 19:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise EngineAnswerInvalid(self.method, f"{name} is no integer")

    def hex(self, name: str) -> bytes:
        return self._decoded(name, bytes.fromhex)

    def base64(self, name: str) -> bytes:
        return self._decoded(name, _decode_base64)

    def _field(self, name: str, kind: type[Kind]) -> Kind:
        value = self.fields.get(name)
        if not isinstance(value, kind):
            raise EngineAnswerInvalid(self.method, f"{name} is no {kind.__name__}")
        return value

    def _decoded(self, name: str, decode: Callable[[str], bytes]) -> bytes:
        try:
            return decode(self.text(name))
        except ValueError:
            raise EngineAnswerInvalid(self.method, f"{name} is not encoded as it should") from None


def _decode_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _refusal(method: str, error: _Answer) -> EngineUnavailable | EngineQuestionRefused:
    """The refusal of a question; its words are in `data` where CometBFT's own code refused."""
    words = [error.fields.get(name) for name in ("data", "message")]
    reason = next((word for word in words if isinstance(word, str) and word), "no reason given")
    is_passing = any(passing in reason for passing in _PASSING)
    return (EngineUnavailable if is_passing else EngineQuestionRefused)(method, reason)
