"""Who asks, and what they may call: access control of JSON-RPC, for HTTP and WebSocket alike.

A request shows `Authorization: Bearer ...`: a static token, known by its SHA-256, or a JWT. A JWT is signed by HS256
with a secret of 32 bytes or by Ed25519 (also under its older name EdDSA). It must say when it was issued: without
`exp` it is good for `JWT_SKEW_SECONDS_MAX` around `iat`, as between Ethereum's clients; with it until `exp`, at most
`JWT_LIFETIME_SECONDS_MAX` after `iat`. Its header's `kid` names the client; where only one client has keys of that
kind it may be left out.

Who shows nothing is the client `anonymous`, where there is one: where the settings name it, or, on loopback, where
they name no client at all. A client may call what its `allow` patterns match and its `deny` patterns do not, as
often as its bucket of tokens lets it. A page in a browser is let in by its origin, and only where the settings say
so.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path
from typing import Any, Final

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OctKey, OKPKey
from joserfc.jws import JWSRegistry, deserialize_compact, extract_compact

from node.config import ANONYMOUS, ClientSettings, Settings, is_loopback
from node.errors import CredentialsRefused, KeyUnusable, MethodForbidden, RateExceeded
from node.signer import read_secret

METRICS: Final = "metrics"
"""What `GET /metrics` is called in patterns of methods."""

DENIED_TO_STRANGERS: Final = ("debug_*", "trace_*", METRICS)
"""What the anonymous client of a node that is not on loopback may not call, unless its settings say otherwise."""

JWT_SKEW_SECONDS_MAX: Final = 60
"""How far a JWT's `iat` may be from this machine's clock."""

JWT_LIFETIME_SECONDS_MAX: Final = 24 * 3_600
"""How long after its `iat` a JWT's `exp` may be."""

CREDENTIALS_BYTES_MAX: Final = 4_096
"""Bytes of the credentials that a request shows."""

SECRET_BYTES: Final = 32

NANOSECONDS: Final = 1_000_000_000

_SCHEME: Final = b"bearer "
_LOCAL_NAME: Final = "localhost"
_HMAC_NAMES: Final = frozenset({"HS256"})
_EDWARDS_NAMES: Final = frozenset({"Ed25519", "EdDSA"})

Headers = Iterable[tuple[bytes, bytes]]


class Bucket:
    """A rate limit: so many calls each second, and so many saved up. Safe between threads."""

    def __init__(
        self, *, calls_per_second: int, burst: int, now: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """`now` gives nanoseconds on a clock that nobody sets. A rate of 0 is no limit."""
        self.calls_per_second = calls_per_second
        self._level_max = (burst or calls_per_second) * NANOSECONDS
        self._level = self._level_max
        self._now = now
        self._filled_at = now()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more call may be made now; it counts as made."""
        if self.calls_per_second == 0:
            return True
        with self._lock:
            now = self._now()
            gained = (now - self._filled_at) * self.calls_per_second
            self._filled_at = now
            self._level = min(self._level_max, self._level + gained)
            if self._level < NANOSECONDS:
                return False
            self._level -= NANOSECONDS
            return True


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks."""

    name: str
    allow: re.Pattern[str]
    deny: re.Pattern[str]
    bucket: Bucket

    def may_call(self, method: str) -> bool:
        """Whether a method is open to it; this counts as no call."""
        return bool(self.allow.match(method)) and not self.deny.match(method)

    def check_call(self, method: str) -> None:
        """Counts one call; raises `MethodForbidden`, `RateExceeded`."""
        if not self.may_call(method):
            raise MethodForbidden(self.name, method)
        if not self.bucket.take():
            raise RateExceeded(self.name, self.bucket.calls_per_second)


@dataclass(frozen=True, slots=True)
class _TokenKey:
    """What a client's JWTs are verified with."""

    client: Client
    key: OctKey | OKPKey
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Access:
    """Access control of one process. Safe between threads."""

    anonymous: Client | None
    client_by_digest: Mapping[str, Client]
    """By the SHA-256 of the bearer token, in hex."""
    token_keys: tuple[_TokenKey, ...]
    host_names: frozenset[str]
    origins: frozenset[str]
    now: Callable[[], int] = field(default=lambda: int(time.time()))
    """UTC seconds."""

    def authenticate(self, headers: Headers) -> Client:
        """The client that a request's headers name; raises `CredentialsRefused`."""
        credentials = header_of(headers, b"authorization")
        if not credentials:
            if self.anonymous is None:
                raise CredentialsRefused("show a bearer token")
            return self.anonymous
        if len(credentials) > CREDENTIALS_BYTES_MAX:
            raise CredentialsRefused(f"credentials above {CREDENTIALS_BYTES_MAX} bytes")
        if not credentials.lower().startswith(_SCHEME):
            raise CredentialsRefused("the scheme is not Bearer")
        token = credentials[len(_SCHEME) :].strip()
        client = self.client_by_digest.get(hashlib.sha256(token).hexdigest())
        return client or self._client_of_jwt(token)

    def is_own_host(self, host: bytes) -> bool:
        """Whether a `Host` header names this node: an address, or a name that nobody else can resolve to here."""
        name = re.sub(r":[0-9]*$", "", host.decode("latin-1")).lower()
        if name in self.host_names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def allows_origin(self, origin: bytes) -> bool:
        """Whether a page of this origin may ask."""
        return origin.decode("latin-1") in self.origins

    def _client_of_jwt(self, token: bytes) -> Client:
        refusal = CredentialsRefused("unknown or wrong token")
        try:
            header = extract_compact(token, registry=_ALGORITHMS).headers()
        except (JoseError, ValueError, TypeError) as error:
            raise refusal from error
        named, algorithm = header.get("kid"), header.get("alg")
        keys = [each for each in self.token_keys if algorithm in each.algorithms]
        if named is not None:
            keys = [each for each in keys if each.client.name == named]
        if len(keys) != 1:
            raise refusal
        try:
            claims = json.loads(
                deserialize_compact(token, keys[0].key, registry=_ALGORITHMS).payload
            )
        except (JoseError, ValueError, TypeError) as error:
            raise refusal from error
        self._check_claims(claims)
        return keys[0].client

    def _check_claims(self, claims: object) -> None:
        """Raises `CredentialsRefused` unless the token is of this moment."""
        now = self.now()
        match claims:
            case {"iat": int(issued_at), "exp": int(ends_at)}:
                if issued_at > now + JWT_SKEW_SECONDS_MAX:
                    raise CredentialsRefused("the token is not valid yet")
                if ends_at > issued_at + JWT_LIFETIME_SECONDS_MAX:
                    raise CredentialsRefused(
                        f"the token is for longer than {JWT_LIFETIME_SECONDS_MAX} s"
                    )
                if ends_at <= now:
                    raise CredentialsRefused("the token has expired")
            case {"exp": _}:
                raise CredentialsRefused("iat and exp of the token must be whole seconds")
            case {"iat": int(issued_at)}:
                if abs(now - issued_at) > JWT_SKEW_SECONDS_MAX:
                    raise CredentialsRefused("the token has expired")
            case _:
                raise CredentialsRefused("the token does not say when it was issued")


class _Algorithms(JWSRegistry):
    """The algorithms that a JWT may have; joserfc would warn of the name EdDSA each time."""

    def get_alg(self, name: str) -> Any:  # joserfc does not export the type
        """An algorithm by its name in the header."""
        if name not in _HMAC_NAMES | _EDWARDS_NAMES:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_ALGORITHMS: Final = _Algorithms()


def build_access(settings: Settings) -> Access:
    """Access control as the settings say; raises `KeyUnusable`."""
    is_local = is_loopback(settings.host)
    given = settings.clients or {ANONYMOUS: ClientSettings()}
    clients = {name: _client(name, each, is_local=is_local) for name, each in given.items()}
    token_keys = [key for name, each in given.items() for key in _token_keys(clients[name], each)]
    return Access(
        anonymous=clients.get(ANONYMOUS),
        client_by_digest={
            each.token_sha256: clients[name] for name, each in given.items() if each.token_sha256
        },
        token_keys=tuple(token_keys),
        host_names=frozenset({_LOCAL_NAME, settings.host.lower(), *settings.access.host_names}),
        origins=frozenset(settings.access.cors_origins),
    )


def header_of(headers: Headers, name: bytes) -> bytes:
    """The value of the first header of that name, which is in lower case; empty where there is none."""
    return next((value for key, value in headers if key == name), b"")


def _client(name: str, settings: ClientSettings, *, is_local: bool) -> Client:
    deny: Sequence[str] = () if is_local or name != ANONYMOUS else DENIED_TO_STRANGERS
    return Client(
        name=name,
        allow=_pattern(settings.allow),
        deny=_pattern(deny if settings.deny is None else settings.deny),
        bucket=Bucket(calls_per_second=settings.calls_per_second, burst=settings.calls_burst),
    )


def _pattern(patterns: Sequence[str]) -> re.Pattern[str]:
    """What matches any of the patterns; nothing where there is none."""
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


def _token_keys(client: Client, settings: ClientSettings) -> Iterable[_TokenKey]:
    if settings.jwt_secret_file is not None:
        text = read_secret(settings.jwt_secret_file).strip().removeprefix("0x")
        try:
            secret = bytes.fromhex(text)
        except ValueError:
            secret = b""
        if len(secret) != SECRET_BYTES:
            raise KeyUnusable(str(settings.jwt_secret_file), "it holds no 32 bytes of hex")
        yield _TokenKey(client, OctKey.import_key(secret), _HMAC_NAMES)
    if settings.jwt_public_key_file is not None:
        yield _TokenKey(client, _public_key(settings.jwt_public_key_file), _EDWARDS_NAMES)


def _public_key(path: Path) -> OKPKey:
    try:
        text = path.read_text("utf-8")
        key = OKPKey.import_key(json.loads(text) if text.lstrip().startswith("{") else text)
    except OSError as error:
        raise KeyUnusable(str(path), f"it cannot be read: {error.strerror}") from error
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise KeyUnusable(str(path), "it holds no key as JWK or PEM") from error
    if key.curve_name != "Ed25519" or key.is_private:
        raise KeyUnusable(str(path), "it holds no Ed25519 public key")
    return key
