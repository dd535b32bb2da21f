"""Signed and sealed messages to and from other institutions' bridges.

A message is a JSON body signed with the sender's Ed25519 key (JWS, RFC 7515 and RFC 8037) and then
sealed to the receiver's X25519 key (JWE, RFC 7516, ECDH-ES with A256GCM): the network and the other
participants learn nothing but its size. Both keys are read from the participant registry on the
chain, so no bridge trusts another's word for who it is. The signed content names

    to        the receiver: it cannot be passed on as if it were meant for somebody else
    network   the genesis hash: a test network's message is worth nothing on another
    answers   the digest of the sealed question, in an answer: it answers nothing else
    heading   of a message that is delivered: its id, definition and time, after head.001

Delivery is at least once: a receiver answers a message it has already taken as it did the first time.
Nothing another institution registers, answers or leaves unanswered holds a sender up for longer than
`PEER_SECONDS_MAX`, costs it more than `SEALED_BYTES_MAX`, or is more to it than `Unavailable`.
"""

import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from joserfc import jwe, jws
from joserfc.errors import JoseError

from bridge.chain import Directory
from bridge.errors import (
    EnvelopeInvalid,
    EnvelopeMisdirected,
    EnvelopeSignatureInvalid,
    MessageTooLarge,
    ParticipantUnknown,
    PeerAnswerInvalid,
    PeerMisconfigured,
    PeerNotCertified,
    PeerRefused,
    PeerUnavailable,
    Rejected,
)
from bridge.failpoint import Failpoint, visit
from bridge.interbank.copies import Copyist
from bridge.interbank.jose import is_signed_by, public_key, sign
from bridge.interbank.kinds import ANSWER_KIND, Heading, Kind
from bridge.interbank.tls import lei_of_certificate
from bridge.keys import MessageKeys

SEALED_BYTES_MAX: Final = 64 * 1024
"""Largest sealed message that is read or sent."""

PEER_TIMEOUT_SECONDS: Final = 10
"""How long another bridge may stay silent."""

PEER_SECONDS_MAX: Final = 15
"""How long a request to another bridge may take in all; a worker's lease is longer."""

CONTENT_TYPE: Final = "application/jose"

_SEALING: Final = ("ECDH-ES", "A256GCM")


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose seal and signature hold: who sent it, what it is and its body.

    `digest` is the SHA-256 of it as it was sealed; `answers` is that of the question it answers.
    `content_digest` is the SHA-256 of what it says: the same however often it is sealed anew.
    """

    sender_lei: str
    kind: Kind
    body: Mapping[str, str]
    digest: bytes = field(default=b"", compare=False)
    answers: bytes | None = None
    heading: Heading | None = field(default=None, compare=False)
    content_digest: bytes = field(default=b"", compare=False)


class Interbank:
    """One institution's end of the sealed channel.

    With `is_tls_demanded` endpoints must be https, and their servers certified as their institution.

    `directory` answers with the participants as the chain's registry has them now; `network` is the
    hash of the chain's genesis block.
    """

    def __init__(
        self,
        lei: str,
        keys: MessageKeys,
        directory: Callable[[], Directory],
        http: httpx.Client,
        network: bytes,
        *,
        is_tls_demanded: bool = False,
    ) -> None:
        self._lei = lei
        self._keys = keys
        self._directory = directory
        self._http = http
        self._network = network.hex()
        self._is_tls_demanded = is_tls_demanded

    @property
    def lei(self) -> str:
        """The LEI of the institution whose end this is."""
        return self._lei

    @property
    def copyist(self) -> Copyist:
        """The institution's hand in copies for central banks and supervisors."""
        return Copyist(self._lei, self._keys, self._network)

    def seal(
        self, to_lei: str, kind: Kind, body: Mapping[str, str], heading: Heading | None = None
    ) -> bytes:
        """The message as bytes that only `to_lei` can open; one that is delivered has a heading.

        Raises `ParticipantUnknown`, `PeerMisconfigured` for a sealing key that is none, and
        `MessageTooLarge` past `SEALED_BYTES_MAX`.
        """
        if heading is None:
            return self._seal(to_lei, kind, body, {})
        named = heading.document(sender_lei=self._lei, receiver_lei=to_lei, kind=kind)
        return self._seal(to_lei, kind, body, {"heading": named})

    def answer(self, question: Received, body: Mapping[str, str]) -> bytes:
        """The sealed answer to a question, for whoever asked it; errors as in `seal`."""
        kind = ANSWER_KIND[question.kind]
        return self._seal(question.sender_lei, kind, body, {"answers": question.digest.hex()})

    def _seal(
        self, to_lei: str, kind: Kind, body: Mapping[str, str], more: Mapping[str, object]
    ) -> bytes:
        receiver = self._directory().by_lei(to_lei)
        content = {
            "to": to_lei,
            "network": self._network,
            "kind": kind.value,
            "body": dict(body),
            **more,
        }
        signed = sign(content, self._lei, self._keys.signing)
        protected = {"alg": _SEALING[0], "enc": _SEALING[1], "cty": "JOSE"}
        try:
            sealed = jwe.encrypt_compact(
                protected,
                signed,
                public_key("X25519", receiver.sealing_key),
                algorithms=list(_SEALING),
            ).encode()
        except (JoseError, ValueError) as error:
            raise PeerMisconfigured(to_lei, "sealing key") from error
        if len(sealed) > SEALED_BYTES_MAX:
            raise MessageTooLarge(len(sealed), SEALED_BYTES_MAX)
        return sealed

    def state(self, statement: Mapping[str, str]) -> str:
        """A statement that anyone can read and check, signed with this institution's key (JWS)."""
        content = {"network": self._network, "statement": dict(statement)}
        return sign(content, self._lei, self._keys.signing)

    def open(self, sealed: bytes) -> Received:
        """The message in `sealed`, once seal, signature, sender and receiver are checked.

        Raises `MessageTooLarge`, `EnvelopeInvalid`, `EnvelopeSignatureInvalid`, `EnvelopeMisdirected`
        or `ParticipantUnknown` (a suspended sender is as good as unknown).
        """
        if len(sealed) > SEALED_BYTES_MAX:
            raise MessageTooLarge(len(sealed), SEALED_BYTES_MAX)
        try:
            opened = jwe.decrypt_compact(sealed, self._keys.sealing, algorithms=list(_SEALING))
            signed = jws.extract_compact(opened.plaintext or b"")
            sender_lei = signed.headers().get("kid")
        except (JoseError, ValueError, RecursionError) as error:
            raise EnvelopeInvalid("it cannot be unsealed") from error
        if not isinstance(sender_lei, str):
            raise EnvelopeInvalid("it names no sender")
        sender = self._directory().by_lei(sender_lei)
        if not sender.is_admitted:
            raise ParticipantUnknown(sender_lei)
        if not is_signed_by(signed, sender.signing_key):
            raise EnvelopeSignatureInvalid(sender_lei)
        return self._read(sender_lei, signed.payload, hashlib.sha256(sealed).digest())

    def send(
        self, to_lei: str, kind: Kind, body: Mapping[str, str], heading: Heading | None = None
    ) -> None:
        """Deliver a message once to `to_lei`'s endpoint.

        Raises `PeerUnavailable` when the answer is missing or says that a retry may help,
        `PeerMisconfigured` when the registry's key or endpoint is none, `PeerAnswerInvalid` for an
        answer past `SEALED_BYTES_MAX`, and `PeerRefused` with the peer's problem code when it is
        final.
        """
        self._post(to_lei, "/v1/interbank/messages", self.seal(to_lei, kind, body, heading))

    def ask(self, to_lei: str, path: str, kind: Kind, body: Mapping[str, str]) -> Received:
        """The sealed answer of `to_lei` to a question put to `path`; errors as in `send`.

        `PeerAnswerInvalid` is also raised for what is not this participant's answer to this question.
        """
        question = self.seal(to_lei, kind, body)
        visit(Failpoint.ASKING)
        answer = self._post(to_lei, path, question)
        visit(Failpoint.ASKED)
        try:
            received = self.open(answer)
        except Rejected as error:
            raise PeerAnswerInvalid(to_lei, str(error)) from error
        if received.sender_lei != to_lei:
            raise PeerAnswerInvalid(to_lei, f"it is signed by {received.sender_lei}")
        if received.answers != hashlib.sha256(question).digest():
            raise PeerAnswerInvalid(to_lei, "it answers another question")
        if received.kind is not ANSWER_KIND[kind]:
            raise PeerAnswerInvalid(to_lei, f"a {received.kind.value} answers no {kind.value}")
        return received

    def _post(self, to_lei: str, path: str, sealed: bytes) -> bytes:
        endpoint = self._directory().by_lei(to_lei).endpoint
        if self._is_tls_demanded and not endpoint.startswith("https://"):
            raise PeerMisconfigured(to_lei, "endpoint")
        certified = to_lei if self._is_tls_demanded else None
        try:
            with (
                _deadline(PEER_SECONDS_MAX, certified) as watch,
                self._http.stream(
                    "POST",
                    endpoint.rstrip("/") + path,
                    content=sealed,
                    headers=_HEADERS,
                    timeout=PEER_TIMEOUT_SECONDS,
                    extensions={"trace": watch},
                ) as response,
            ):
                body = _read_capped(to_lei, response)
        except httpx.HTTPError as error:
            raise PeerUnavailable(to_lei) from error
        except (httpx.InvalidURL, ValueError) as error:  # a UnicodeError is a ValueError
            raise PeerMisconfigured(to_lei, "endpoint") from error
        if response.is_success:
            return body
        if response.is_client_error and response.status_code not in {408, 409, 425, 429}:
            raise PeerRefused(to_lei, _problem_code(response.status_code, body))
        raise PeerUnavailable(to_lei)

    def _read(self, sender_lei: str, payload: bytes, digest: bytes) -> Received:
        try:
            content = json.loads(payload)
            to_lei, kind, body = content["to"], Kind(content["kind"]), content["body"]
            network, answers = content["network"], bytes.fromhex(content.get("answers", ""))
            named = content.get("heading")
            heading = None if named is None else Heading.parse(named, sender_lei, to_lei, kind)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EnvelopeInvalid("its content is not a message of this network") from error
        if not isinstance(body, dict) or not all(isinstance(part, str) for part in body.values()):
            raise EnvelopeInvalid("its body is not text by name")
        if network != self._network:
            raise EnvelopeInvalid("it is a message of another network")
        if to_lei != self._lei:
            raise EnvelopeMisdirected(str(to_lei))
        return Received(
            sender_lei,
            kind,
            body,
            digest=digest,
            answers=answers or None,
            heading=heading,
            content_digest=_content_digest(content),
        )


def read_statement(stated: str, key: bytes) -> Mapping[str, str]:
    """The statement that the holder of this Ed25519 key signed.

    Raises `MessageTooLarge`, `EnvelopeInvalid` and `EnvelopeSignatureInvalid`.
    """
    if len(stated) > SEALED_BYTES_MAX:
        raise MessageTooLarge(len(stated), SEALED_BYTES_MAX)
    try:
        signed = jws.extract_compact(stated.encode())
        statement = json.loads(signed.payload)["statement"]
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EnvelopeInvalid("it is no statement") from error
    if not is_signed_by(signed, key):
        raise EnvelopeSignatureInvalid(str(signed.headers().get("kid")))
    if not isinstance(statement, dict) or not all(
        isinstance(part, str) for part in statement.values()
    ):
        raise EnvelopeInvalid("it is no statement")
    return statement


def _content_digest(content: Mapping[str, Any]) -> bytes:  # JSON
    """The SHA-256 of a message without its mark that it may have been sent before."""
    heading = {**(content.get("heading") or {}), "possible_duplicate": False}
    plain = json.dumps({**content, "heading": heading}, sort_keys=True)
    return hashlib.sha256(plain.encode()).digest()


_HEADERS: Final = {
    "content-type": CONTENT_TYPE,
    "accept-encoding": "identity",
    "connection": "close",  # a connection of its own for each request, to be broken off by itself
}


@contextlib.contextmanager
def _deadline(
    seconds: int, certified: str | None
) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """Breaks off the connection of a request that takes longer in all, wherever it stands, and one
    to a server that is not certified as the institution `certified`, before anything is sent.

    The timeouts of the HTTP client hold for each read; a peer that sends a byte now and then would
    never meet one. What is yielded is the client's `trace` extension: it is told of connections.
    """
    lock = threading.Lock()
    connections: list[socket.socket] = []
    is_over = False

    def watch(name: str, facts: Mapping[str, Any]) -> None:
        if not name.endswith(("connect_tcp.complete", "start_tls.complete")):
            return
        with lock:
            connections.append(facts["return_value"].get_extra_info("socket"))
            if is_over:
                _break_off(connections)
        if certified is not None and name.endswith("start_tls.complete"):
            _check_certified(facts["return_value"], certified)

    def end() -> None:
        nonlocal is_over
        with lock:
            is_over = True
            _break_off(connections)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()


def _check_certified(stream: Any, lei: str) -> None:  # the HTTP client's own type
    """Close the connection unless its server showed the certificate of an institution."""
    found = lei_of_certificate(stream.get_extra_info("ssl_object").getpeercert() or {})
    if found != lei:
        stream.close()
        raise PeerNotCertified(lei)


def _break_off(connections: list[socket.socket]) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):  # closed already, or handed over to TLS
            connection.shutdown(socket.SHUT_RDWR)


def _read_capped(lei: str, response: httpx.Response) -> bytes:
    """The body of an answer, of which no more than `SEALED_BYTES_MAX` is ever held."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise PeerAnswerInvalid(lei, "it is compressed")
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > SEALED_BYTES_MAX:
            raise PeerAnswerInvalid(lei, f"it is larger than {SEALED_BYTES_MAX} bytes")
    return bytes(body)


def _problem_code(status: int, body: bytes) -> str:
    try:
        code = json.loads(body).get("code")
    except (ValueError, AttributeError, RecursionError):
        code = None
    return code if isinstance(code, str) else f"http_{status}"
