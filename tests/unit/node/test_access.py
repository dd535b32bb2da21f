"""Access control of JSON-RPC: who asks, what they may call, how often, and from which page."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OctKey, OKPKey

from node.config import AccessSettings, ClientSettings, Settings
from node.errors import CredentialsRefused, KeyUnusable, MethodForbidden, RateExceeded
from node.rpc.access import (
    CREDENTIALS_BYTES_MAX,
    JWT_LIFETIME_SECONDS_MAX,
    JWT_SKEW_SECONDS_MAX,
    NANOSECONDS,
    Access,
    Bucket,
    build_access,
)
from node.rpc.budget import Budget
from support.rpc_face import face_settings, open_face

TOKEN = "a-token-of-a-bank"
NOW = 1_800_000_000
SECRET = bytes(range(32))
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {token}".encode())]


def access_of(host: str = "127.0.0.1", **clients: ClientSettings) -> Access:
    return build_access(face_settings(host=host, clients=clients))


BANK = ClientSettings(token_sha256=digest(TOKEN), allow=("eth_*", "net_*"), deny=("eth_send*",))


def test_on_loopback_without_clients_anybody_may_call_anything() -> None:
    """N-93."""
    client = access_of().authenticate([])
    assert client.name == "anonymous"
    assert all(map(client.may_call, ("eth_call", "debug_traceTransaction", "metrics")))


def test_once_clients_are_named_nobody_else_is_served() -> None:
    """N-93."""
    with pytest.raises(CredentialsRefused, match="show a bearer token"):
        access_of(bank=BANK).authenticate([])


def test_strangers_from_the_network_may_not_trace_or_measure_unless_told_so() -> None:
    """N-93."""
    stranger = access_of(ANYWHERE, anonymous=ClientSettings()).authenticate([])
    assert stranger.may_call("eth_call")
    assert not any(map(stranger.may_call, ("debug_traceCall", "trace_block", "metrics")))
    told = access_of(ANYWHERE, anonymous=ClientSettings(deny=())).authenticate([])
    assert told.may_call("debug_traceCall")


def test_a_bearer_token_names_its_client() -> None:
    """N-94."""
    access = access_of(bank=BANK)
    assert access.authenticate(bearer(TOKEN)).name == "bank"
    assert access.authenticate([(b"authorization", b"bearer " + TOKEN.encode())]).name == "bank"


@pytest.mark.parametrize(
    "credentials",
    [
        b"Bearer another-token",
        b"Bearer ",
        b"Basic YTpi",
        TOKEN.encode(),
        b"Bearer a.b.c",
        b"Bearer " + b"x" * CREDENTIALS_BYTES_MAX,
        b"Bearer \xff\xfe",
    ],
)
def test_wrong_credentials_are_refused_even_where_none_are_needed(credentials: bytes) -> None:
    """N-94."""
    access = access_of(bank=BANK, anonymous=ClientSettings())
    with pytest.raises(CredentialsRefused):
        access.authenticate([(b"authorization", credentials)])


def test_a_method_is_open_where_it_is_allowed_and_not_denied() -> None:
    """N-95."""
    client = access_of(bank=BANK).authenticate(bearer(TOKEN))
    assert client.may_call("eth_call")
    assert client.may_call("net_version")
    assert not client.may_call("eth_sendRawTransaction")
    assert not client.may_call("debug_eth_call")
    assert not client.may_call("web3_sha3\neth_call")
    with pytest.raises(MethodForbidden, match="eth_sendRawTransaction is not open to bank"):
        client.check_call("eth_sendRawTransaction")


def test_a_client_without_patterns_may_call_nothing() -> None:
    """N-95."""
    settings = ClientSettings(token_sha256=digest(TOKEN), allow=())
    assert not access_of(bank=settings).authenticate(bearer(TOKEN)).may_call("eth_call")


def test_a_bucket_fills_with_time_and_never_above_its_burst() -> None:
    """N-95."""
    time = [0]
    bucket = Bucket(calls_per_second=2, burst=3, now=lambda: time[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    time[0] += NANOSECONDS // 2
    assert [bucket.take(), bucket.take()] == [True, False]
    time[0] += 100 * NANOSECONDS
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_without_a_rate_there_is_no_limit() -> None:
    bucket = Bucket(calls_per_second=0, burst=0, now=lambda: 0)
    assert all(bucket.take() for _ in range(1_000))


def test_a_client_that_calls_too_often_is_told_its_rate() -> None:
    """N-95."""
    settings = ClientSettings(token_sha256=digest(TOKEN), calls_per_second=1)
    client = access_of(bank=settings).authenticate(bearer(TOKEN))
    client.check_call("eth_call")
    with pytest.raises(RateExceeded, match="bank may make 1 calls/s"):
        client.check_call("eth_call")


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"0x{SECRET.hex()}\n")
    path.chmod(0o600)
    return path


def hs256(claims: dict[str, Any], secret: bytes = SECRET, **header: str) -> str:
    return jwt.encode({"alg": "HS256", **header}, claims, OctKey.import_key(secret))


def jwt_access(secret_file: Path, *names: str) -> Access:
    clients = {name: ClientSettings(jwt_secret_file=secret_file) for name in names or ("bank",)}
    access = build_access(face_settings(clients=clients))
    return Access(
        anonymous=access.anonymous,
        client_by_digest=access.client_by_digest,
        token_keys=access.token_keys,
        host_names=access.host_names,
        origins=access.origins,
        now=lambda: NOW,
    )


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW},
        {"iat": NOW - JWT_SKEW_SECONDS_MAX},
        {"iat": NOW + JWT_SKEW_SECONDS_MAX},
        {"iat": NOW - 3_000, "exp": NOW + 1},
    ],
)
def test_a_token_of_this_moment_is_good(secret_file: Path, claims: dict[str, Any]) -> None:
    """N-94."""
    assert jwt_access(secret_file).authenticate(bearer(hs256(claims))).name == "bank"


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, "when it was issued"),
        ({"iat": "today"}, "when it was issued"),
        ({"iat": NOW - JWT_SKEW_SECONDS_MAX - 1}, "expired"),
        ({"iat": NOW + JWT_SKEW_SECONDS_MAX + 1}, "expired"),
        ({"iat": NOW - 3_000, "exp": NOW}, "expired"),
        ({"iat": NOW + 3_000, "exp": NOW + 4_000}, "not valid yet"),
        ({"iat": NOW - 1, "exp": NOW + JWT_LIFETIME_SECONDS_MAX}, "longer than"),
        ({"exp": NOW + 10}, "whole seconds"),
        ({"iat": NOW, "exp": "tomorrow"}, "whole seconds"),
    ],
)
def test_a_token_of_another_time_is_refused(
    secret_file: Path, claims: dict[str, Any], words: str
) -> None:
    """N-94."""
    with pytest.raises(CredentialsRefused, match=words):
        jwt_access(secret_file).authenticate(bearer(hs256(claims)))


def test_a_token_of_another_key_or_algorithm_is_refused(secret_file: Path) -> None:
    """N-94."""
    access = jwt_access(secret_file)
    header, claims = b'{"alg":"none"}', json.dumps({"iat": NOW}).encode()
    unsigned = ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (header, claims, b"")
    )
    edwards = jwt.encode(
        {"alg": "Ed25519"}, {"iat": NOW}, OKPKey.generate_key("Ed25519"), algorithms=["Ed25519"]
    )
    for token in (hs256({"iat": NOW}, bytes(32)), unsigned, edwards, hs256({"iat": NOW})[:-2]):
        with pytest.raises(CredentialsRefused, match="unknown or wrong token"):
            access.authenticate(bearer(token))


def test_of_several_clients_with_keys_a_token_must_name_its_own(secret_file: Path) -> None:
    """N-94."""
    access = jwt_access(secret_file, "alpha", "beta")
    assert access.authenticate(bearer(hs256({"iat": NOW}, kid="beta"))).name == "beta"
    for token in (hs256({"iat": NOW}), hs256({"iat": NOW}, kid="gamma")):
        with pytest.raises(CredentialsRefused):
            access.authenticate(bearer(token))


@pytest.mark.parametrize("is_pem", [True, False])
def test_a_token_signed_by_ed25519_names_its_client(tmp_path: Path, is_pem: bool) -> None:
    """N-94."""
    key = OKPKey.generate_key("Ed25519")
    file = tmp_path / "key"
    if is_pem:
        file.write_bytes(key.as_pem(private=False))
    else:
        file.write_text(json.dumps(key.as_dict(private=False)))
    access = access_of(bank=ClientSettings(jwt_public_key_file=file))
    token = jwt.encode({"alg": "Ed25519"}, {"iat": access.now()}, key, algorithms=["Ed25519"])
    assert access.authenticate(bearer(token)).name == "bank"


def test_ed25519_is_known_by_its_older_name_too(tmp_path: Path) -> None:
    """N-94."""
    key, file = OKPKey.generate_key("Ed25519"), tmp_path / "key"
    file.write_bytes(key.as_pem(private=False))
    access = access_of(bank=ClientSettings(jwt_public_key_file=file))
    with pytest.warns(SecurityWarning):
        token = jwt.encode({"alg": "EdDSA"}, {"iat": access.now()}, key, algorithms=["EdDSA"])
    assert access.authenticate(bearer(token)).name == "bank"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (SECRET.hex(), 0o644, "others than its owner"),
        (SECRET.hex()[2:], 0o600, "no 32 bytes"),
        ("secret", 0o600, "no 32 bytes"),
    ],
)
def test_a_secret_that_others_may_read_or_that_is_none_is_refused(
    tmp_path: Path, content: str, mode: int, words: str
) -> None:
    """N-94."""
    file = tmp_path / "secret"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(KeyUnusable, match=words):
        access_of(bank=ClientSettings(jwt_secret_file=file))


def test_a_public_key_file_with_a_private_key_or_none_is_refused(tmp_path: Path) -> None:
    """N-94."""
    file = tmp_path / "key"
    for content in (OKPKey.generate_key("Ed25519").as_pem(private=True), b"no key", b"{}"):
        file.write_bytes(content)
        with pytest.raises(KeyUnusable):
            access_of(bank=ClientSettings(jwt_public_key_file=file))
    with pytest.raises(KeyUnusable, match="cannot be read"):
        access_of(bank=ClientSettings(jwt_public_key_file=tmp_path / "nowhere"))


class Answering:
    """Answers every call with its name."""

    def dispatch(self, method: str, _params: list[Any], _budget: Budget) -> Any:
        return method

    def dispatch_many(self, method: str, calls: Sequence[list[Any]], _budget: Budget) -> list[Any]:
        return [method] * len(calls)

    async def dispatch_promptly(self, method: str, _params: list[Any]) -> Any:
        return method

    def is_prompt(self, method: str, _params: list[Any]) -> bool:
        return method == "eth_sendRawTransaction"

    def is_grouped(self, method: str) -> bool:
        return method == "eth_sendRawTransaction"

    def is_heavy(self, _method: str) -> bool:
        return False


def exchange(settings: Settings, method: str, path: str = "/", **request: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        face = open_face(Answering(), lambda: {"status": "ready"}, settings=settings)
        transport = httpx.ASGITransport(app=face)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.request(method, path, **request)
        face.close()
        return answer

    return asyncio.run(run())


def exchange_in_a_row(settings: Settings, body: Any, count: int) -> list[httpx.Response]:
    """The answers to one body that is posted so many times."""

    async def run() -> list[httpx.Response]:
        face = open_face(Answering(), lambda: {"status": "ready"}, settings=settings)
        transport = httpx.ASGITransport(app=face)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = [await client.post("/", json=body, headers=AUTHORISED) for _ in range(count)]
        face.close()
        return answers

    return asyncio.run(run())


def call(method: str = "eth_chainId", identifier: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "method": method}


GUARDED = face_settings(
    clients={"bank": BANK}, access=AccessSettings(cors_origins=("https://desk.example",))
)
AUTHORISED = {"authorization": f"Bearer {TOKEN}"}


def test_a_request_without_credentials_is_answered_401() -> None:
    """N-94."""
    refused = exchange(GUARDED, "POST", json=call())
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["error"]["code"] == -32011
    assert exchange(GUARDED, "POST", json=call(), headers=AUTHORISED).json()["result"]


def test_a_call_that_is_not_open_is_answered_403_under_its_id() -> None:
    """N-95."""
    refused = exchange(GUARDED, "POST", json=call("debug_x", 7), headers=AUTHORISED)
    assert refused.status_code == 403
    assert (refused.json()["id"], refused.json()["error"]["code"]) == (7, -32012)


def test_each_call_of_a_batch_is_asked_of_access_control_by_itself() -> None:
    """N-95."""
    batch = [call("eth_call", 1), call("eth_sendRawTransaction", 2), call("net_version", 3)]
    answered = exchange(GUARDED, "POST", json=batch, headers=AUTHORISED)
    assert answered.status_code == 200
    first, second, third = answered.json()
    assert (first["result"], third["result"]) == ("eth_call", "net_version")
    assert second["error"]["code"] == -32012


def test_calls_above_the_rate_are_answered_429() -> None:
    """N-95."""
    limited = ClientSettings(token_sha256=digest(TOKEN), calls_per_second=1, calls_burst=2)
    settings = face_settings(clients={"bank": limited})
    answered = exchange(settings, "POST", json=[call(), call(), call()], headers=AUTHORISED)
    codes = [each.get("error", {}).get("code") for each in answered.json()]
    assert (answered.status_code, codes) == (200, [None, None, -32005])
    none = ClientSettings(token_sha256=digest(TOKEN), calls_per_second=1)
    first, second = exchange_in_a_row(face_settings(clients={"bank": none}), call(), 2)
    assert (first.status_code, second.status_code) == (200, 429)
    assert second.headers["retry-after"] == "1"


def test_a_call_that_takes_no_thread_is_asked_of_access_control_as_any_other() -> None:
    """N-95, N-180."""
    submission = call("eth_sendRawTransaction", 7)
    assert exchange(GUARDED, "POST", json=submission).status_code == 401
    refused = exchange(GUARDED, "POST", json=submission, headers=AUTHORISED)
    assert refused.status_code == 403
    assert (refused.json()["id"], refused.json()["error"]["code"]) == (7, -32012)
    limited = ClientSettings(token_sha256=digest(TOKEN), calls_per_second=1)
    settings = face_settings(clients={"bank": limited})
    first, second = exchange_in_a_row(settings, submission, 2)
    assert (first.status_code, first.json()["result"]) == (200, "eth_sendRawTransaction")
    assert (second.status_code, second.headers["retry-after"]) == (429, "1")
    assert second.json()["error"]["code"] == -32005


def test_health_needs_no_credentials_and_metrics_do() -> None:
    """N-96, N-97."""
    assert exchange(GUARDED, "GET", "/healthz").status_code == 200
    assert exchange(GUARDED, "GET", "/readyz").status_code == 200
    assert exchange(GUARDED, "GET", "/metrics").status_code == 401
    assert exchange(GUARDED, "GET", "/metrics", headers=AUTHORISED).status_code == 403
    scraper = ClientSettings(token_sha256=digest(TOKEN), allow=("metrics",))
    settings = face_settings(clients={"prometheus": scraper})
    answered = exchange(settings, "GET", "/metrics", headers=AUTHORISED)
    assert (answered.status_code, answered.text) == (200, "# no metrics\n")
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_page_of_a_named_origin_is_let_in_and_no_other() -> None:
    """N-95."""
    origin = {"origin": "https://desk.example"}
    preflight = exchange(GUARDED, "OPTIONS", headers=origin)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://desk.example"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answered = exchange(GUARDED, "POST", json=call(), headers={**AUTHORISED, **origin})
    assert answered.headers["access-control-allow-origin"] == "https://desk.example"
    for headers in ({"origin": "https://other.example"}, {}):
        refused = exchange(GUARDED, "OPTIONS", headers=headers)
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers


def test_a_name_that_the_settings_give_the_node_is_its_own() -> None:
    """N-44."""
    settings = face_settings(access=AccessSettings(host_names=("node.example",)))
    assert exchange(settings, "GET", "/healthz", headers={"host": "node.example:1"}).is_success
    assert exchange(settings, "GET", "/healthz", headers={"host": "x.example"}).status_code == 421
