"""TLS between bridges over real sockets: whose certificate opens what.

Cites docs/spec/interbank.md: IBK-30, 31, 32, 33.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from bridge.api import Readiness, Services, create_api, create_interbank_api
from bridge.chain import Directory
from bridge.config import InterbankTlsSettings, Settings
from bridge.errors import (
    PeerMisconfigured,
    PeerNotCertified,
    PeerRefused,
    PeerUnavailable,
    SettingsInvalid,
)
from bridge.interbank import Interbank, Kind
from bridge.interbank.tls import client_context, server_context
from bridge.metrics import BridgeMetrics
from bridge.operating import FourEyes
from bridge.serving import Face, listen, serve_faces
from bridge.settlement.acceptance import receivers
from support.bridge_api import GENESIS_HASH, NOW, bank_document, heading_of
from support.interbank_certificates import Authority, tls_settings
from support.participants import BANK_A, BANK_B, PROVIDER
from support.settlement_desk import NETWORK, Desk

pytestmark = pytest.mark.integration

JUNK = {"settlement_id": "00", "salt": "00", "document": "<x/>"}


@dataclass(slots=True)
class Street:
    """Bank A behind TLS, and what certificates there are."""

    authority: Authority
    folder: Path
    settings: InterbankTlsSettings
    url: str = ""

    def client(self, name: str, lei: str, **options: int) -> InterbankTlsSettings:
        """The settings of another institution with a client certificate of its own."""
        pair = self.authority.issue(self.folder, name, f"lei:{lei}", **options)
        return tls_settings(self.settings.trust_anchors, pair, pair)

    def sends(
        self, context: ssl.SSLContext | bool, *, sender: str = BANK_B, url: str | None = None
    ) -> None:
        """A message of an institution to bank A, over a connection with this context."""
        known = Directory(
            replace(each.participant, endpoint=url or self.url) for each in NETWORK.values()
        )
        with httpx.Client(trust_env=False, verify=context) as http:
            channel = Interbank(
                sender,
                NETWORK[sender].keys,
                lambda: known,
                http,
                GENESIS_HASH,
                is_tls_demanded=True,
            )
            channel.send(BANK_A, Kind.CREDIT_TRANSFER, JUNK, heading_of(JUNK))


@contextmanager
def serving(face: Face) -> Iterator[str]:
    """A face on its port while the context lasts."""
    stop, answers = threading.Event(), threading.Event()
    thread = threading.Thread(target=serve_faces, args=([face], stop, answers.set))
    thread.start()
    try:
        assert answers.wait(30)
        yield face.url
    finally:
        stop.set()
        thread.join()


def services_of(desk: Desk, settings: Settings) -> Services:
    institution = replace(desk.institution, settings=settings)
    return Services(
        institution=institution,
        readiness=lambda: Readiness(is_ready=True),
        four_eyes=FourEyes(desk.store, {}, lambda: NOW),
        metrics=BridgeMetrics(desk.store, lambda: True, lambda: NOW),
        receivers=receivers(institution),
    )


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    authority = Authority.make("anchor")
    pair = authority.issue(tmp_path, "bank-a", f"lei:{BANK_A}")
    settings = tls_settings(authority.anchors(tmp_path), pair, pair)
    desk = Desk(BANK_A, tmp_path)
    services = services_of(
        desk, Settings.model_validate({**bank_document(), "interbank_tls": settings})
    )
    with listen(0) as listener:
        context = server_context(settings, BANK_A)
        with serving(Face(create_interbank_api(services), listener, context)) as url:
            yield Street(authority, tmp_path, settings, url)
    desk.store.close()


def test_ibk_30_the_right_certificate_lets_a_message_in(street: Street) -> None:
    """What comes back is bank A's judgement of the message itself."""
    context = client_context(street.client("bank-b", BANK_B), BANK_B)
    with pytest.raises(PeerRefused) as refusal:
        street.sends(context)
    assert refusal.value.problem == "envelope_invalid"


def test_ibk_30_without_a_certificate_nothing_gets_in(street: Street) -> None:
    context = ssl.create_default_context(cafile=street.settings.trust_anchors)
    with pytest.raises(PeerUnavailable):
        street.sends(context)


def test_ibk_30_a_certificate_of_a_foreign_anchor_lets_nothing_in(street: Street) -> None:
    pair = Authority.make("foreign").issue(street.folder, "foreign", f"lei:{BANK_B}")
    settings = tls_settings(street.settings.trust_anchors, pair, pair)
    with pytest.raises(PeerUnavailable):
        street.sends(client_context(settings, BANK_B))


def test_ibk_30_a_certificate_that_ran_out_lets_nothing_in(street: Street) -> None:
    context = client_context(street.client("old", BANK_B, days=-1), BANK_B)
    with pytest.raises(PeerUnavailable):
        street.sends(context)


def test_ibk_31_the_certificate_of_another_does_not_carry_ones_messages(street: Street) -> None:
    context = client_context(street.client("provider", PROVIDER), PROVIDER)
    with pytest.raises(PeerRefused) as refusal:
        street.sends(context, sender=BANK_B)
    assert refusal.value.problem == "sender_not_certified"


@pytest.mark.parametrize("uris", [(), (f"lei:{BANK_B}", f"lei:{PROVIDER}")], ids=["none", "two"])
def test_ibk_31_a_certificate_that_names_nobody_alone_is_nobodys(
    street: Street, uris: tuple[str, ...]
) -> None:
    certificate, key = street.authority.issue(street.folder, "vague", *uris)
    context = ssl.create_default_context(cafile=street.settings.trust_anchors)
    context.load_cert_chain(certificate, key)
    with pytest.raises(PeerRefused) as refusal:
        street.sends(context)
    assert refusal.value.problem == "sender_not_certified"


@pytest.mark.parametrize("make", [lambda a: a, lambda _: Authority.make("foreign")])
def test_ibk_32_a_server_that_is_not_the_receiver_is_sent_nothing(
    street: Street, make: Callable[[Authority], Authority]
) -> None:
    """Another participant's server, rightly certified as itself; and one below a foreign anchor."""
    authority = make(street.authority)
    name = PROVIDER if authority is street.authority else BANK_A
    pair = authority.issue(street.folder, "elsewhere", f"lei:{name}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    requests: list[str] = []

    async def note(scope: Scope, _receive: Receive, _send: Send) -> None:
        requests.append(scope["type"])

    own = client_context(street.client("bank-b", BANK_B), BANK_B)
    expected = PeerNotCertified if name == PROVIDER else PeerUnavailable
    with (
        listen(0) as listener,
        serving(Face(note, listener, context)) as url,
        pytest.raises(expected),
    ):
        street.sends(own, url=url)
    assert "http" not in requests


def test_ibk_32_the_systems_own_anchors_are_not_trusted(street: Street) -> None:
    settings = street.client("bank-b", BANK_B)
    context = client_context(settings, BANK_B)
    assert {each["subject"] for each in context.get_ca_certs()} == {((("commonName", "anchor"),),)}


def test_ibk_32_an_endpoint_without_tls_is_none(street: Street) -> None:
    context = client_context(street.client("bank-b", BANK_B), BANK_B)
    with pytest.raises(PeerMisconfigured):
        street.sends(context, url=street.url.replace("https", "http"))


def test_ibk_33_with_tls_other_institutions_have_a_face_of_their_own(tmp_path: Path) -> None:
    authority = Authority.make("anchor")
    pair = authority.issue(tmp_path, "bank-a", f"lei:{BANK_A}")
    settings = tls_settings(authority.anchors(tmp_path), pair, pair)
    desk = Desk(BANK_A, tmp_path)
    services = services_of(
        desk, Settings.model_validate({**bank_document(), "interbank_tls": settings})
    )
    own, others = (
        set(api.openapi()["paths"])
        for api in (create_api(services), create_interbank_api(services))
    )
    desk.store.close()
    assert own & others == {"/healthz", "/readyz"}
    assert {path for path in own | others if "interbank" in path} <= others
    assert not {path for path in others if "interbank" not in path} - {"/healthz", "/readyz"}


@pytest.mark.parametrize("fault", ["another's", "no key", "no anchors", "junk"])
def test_ibk_33_files_that_cannot_be_used_end_the_start(tmp_path: Path, fault: str) -> None:
    authority = Authority.make("anchor")
    name = PROVIDER if fault == "another's" else BANK_A
    pair = authority.issue(tmp_path, "bank-a", f"lei:{name}")
    settings = tls_settings(authority.anchors(tmp_path), pair, pair)
    match fault:
        case "no key":
            pair[1].unlink()
        case "no anchors":
            settings.trust_anchors.unlink()
        case "junk":
            pair[0].write_text("junk")
        case _:
            assert fault == "another's"
    for make in (client_context, server_context):
        with pytest.raises(SettingsInvalid):
            make(settings, BANK_A)
