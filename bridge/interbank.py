"""Signed and sealed messages to and from other institutions' bridges.

A message is a JSON body signed with the sender's Ed25519 key (JWS, RFC 7515 and RFC 8037) and then
sealed to the receiver's X25519 key (JWE, RFC 7516, ECDH-ES with A256GCM): the network and the other
participants learn nothing but its size. Both keys are read from the participant registry on the
chain, so no bridge trusts another's word for who it is. The signed body names its receiver, so a
message cannot be passed on as if it were meant for somebody else.

Delivery is at least once: a receiver answers a message it has already taken as it did the first time.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import httpx
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from bridge.chain import Directory
from bridge.errors import (
    EnvelopeInvalid,
    EnvelopeMisdirected,
    EnvelopeSignatureInvalid,
    MessageTooLarge,
    ParticipantUnknown,
    PeerRefused,
    PeerUnavailable,
)
from bridge.keys import MessageKeys

SEALED_BYTES_MAX: Final = 64 * 1024
"""Largest sealed message that is read or sent."""

PEER_TIMEOUT_SECONDS: Final = 10
"""How long another bridge is given to answer."""

CONTENT_TYPE: Final = "application/jose"

_SIGNING: Final = "Ed25519"
_SEALING: Final = ("ECDH-ES", "A256GCM")


class Kind(StrEnum):
    """What a sealed message is."""

    CREDIT_TRANSFER = "pacs.008"
    STATUS_REPORT = "pacs.002"
    ISSUANCE_REQUEST = "issuance-request"
    QUOTE_REQUEST = "quote-request"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose seal and signature hold: who sent it, what it is and its body."""

    sender_lei: str
    kind: Kind
    body: Mapping[str, str]


class Interbank:
    """One institution's end of the sealed channel.

    `directory` answers with the participants as the chain's registry has them now.
    """

    def __init__(
        self,
        lei: str,
        keys: MessageKeys,
        directory: Callable[[], Directory],
        http: httpx.Client,
    ) -> None:
        self._lei = lei
        self._keys = keys
        self._directory = directory
        self._http = http

    def seal(self, to_lei: str, kind: Kind, body: Mapping[str, str]) -> bytes:
        """The message as bytes that only `to_lei` can open.

        Raises `ParticipantUnknown`, and `MessageTooLarge` past `SEALED_BYTES_MAX`.
        """
        receiver = self._directory().by_lei(to_lei)
        content = {"to": to_lei, "kind": kind.value, "body": dict(body)}
        header = {"alg": _SIGNING, "kid": self._lei}
        signed = jws.serialize_compact(
            header,
            json.dumps(content, sort_keys=True).encode(),
            self._keys.signing,
            algorithms=[_SIGNING],
        )
        protected = {"alg": _SEALING[0], "enc": _SEALING[1], "cty": "JOSE"}
        sealed = jwe.encrypt_compact(
            protected,
            signed,
            _public_key("X25519", receiver.sealing_key),
            algorithms=list(_SEALING),
        ).encode()
        if len(sealed) > SEALED_BYTES_MAX:
            raise MessageTooLarge(len(sealed), SEALED_BYTES_MAX)
        return sealed

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
        if not _is_signed_by(signed, sender.signing_key):
            raise EnvelopeSignatureInvalid(sender_lei)
        return self._read(sender_lei, signed.payload)

    def send(self, to_lei: str, kind: Kind, body: Mapping[str, str]) -> None:
        """Deliver a message once to `to_lei`'s endpoint.

        Raises `PeerUnavailable` when the answer is missing or says that a retry may help, and
        `PeerRefused` with the peer's problem code when it is final.
        """
        self._post(to_lei, "/v1/interbank/messages", self.seal(to_lei, kind, body))

    def ask(self, to_lei: str, path: str, kind: Kind, body: Mapping[str, str]) -> Received:
        """The sealed answer of `to_lei` to a question put to `path`; errors as in `send`."""
        answer = self._post(to_lei, path, self.seal(to_lei, kind, body))
        received = self.open(answer)
        if received.sender_lei != to_lei:
            raise EnvelopeSignatureInvalid(received.sender_lei)
        return received

    def _post(self, to_lei: str, path: str, sealed: bytes) -> bytes:
        endpoint = self._directory().by_lei(to_lei).endpoint
        try:
            response = self._http.post(
                endpoint.rstrip("/") + path,
                content=sealed,
                headers={"content-type": CONTENT_TYPE},
                timeout=PEER_TIMEOUT_SECONDS,
            )
        except httpx.HTTPError as error:
            raise PeerUnavailable(to_lei) from error
        if response.is_success:
            return response.content
        if response.is_client_error and response.status_code not in {408, 409, 425, 429}:
            raise PeerRefused(to_lei, _problem_code(response))
        raise PeerUnavailable(to_lei)

    def _read(self, sender_lei: str, payload: bytes) -> Received:
        try:
            content = json.loads(payload)
            to_lei, kind, body = content["to"], Kind(content["kind"]), content["body"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise EnvelopeInvalid("its content is not a message of this network") from error
        if not isinstance(body, dict) or not all(isinstance(part, str) for part in body.values()):
            raise EnvelopeInvalid("its body is not text by name")
        if to_lei != self._lei:
            raise EnvelopeMisdirected(str(to_lei))
        return Received(sender_lei=sender_lei, kind=kind, body=body)


def _is_signed_by(signed: jws.CompactSignature, public_key: bytes) -> bool:
    try:
        return jws.validate_compact(
            signed, _public_key("Ed25519", public_key), algorithms=[_SIGNING]
        )
    except (JoseError, ValueError):
        return False


def _public_key(curve: str, public_key: bytes) -> OKPKey:
    text = base64.urlsafe_b64encode(public_key).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": curve, "x": text})


def _problem_code(response: httpx.Response) -> str:
    try:
        code = response.json().get("code")
    except (ValueError, AttributeError):
        code = None
    return code if isinstance(code, str) else f"http_{response.status_code}"
