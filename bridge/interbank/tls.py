"""TLS between bridges: who may connect, and how a certificate names its institution.

Certificates are trusted only below the anchors in the settings, never below the system's. A
certificate names its institution by one URI among its subject alternative names, `lei:` followed by
the LEI (ISO 17442). A client makes sure that the server it reached is certified as the receiver before
it sends a byte; a server compares the client's with the sender that signed the message.
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from bridge.config import InterbankTlsSettings
from bridge.errors import SettingsInvalid

_URI_PREFIX: Final = "lei:"


def server_context(settings: InterbankTlsSettings, lei: str) -> ssl.SSLContext:
    """The context of the listener for other institutions: TLS 1.3, a client certificate demanded.

    Raises `SettingsInvalid` for files that cannot be used, or that certify another institution.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _prepare(context, settings.trust_anchors, settings.certificate, settings.private_key)
    context.verify_mode = ssl.CERT_REQUIRED
    _check_own(settings.certificate, lei)
    return context


def client_context(settings: InterbankTlsSettings, lei: str) -> ssl.SSLContext:
    """The context of connections to other institutions; errors as in `server_context`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate, key = settings.client_certificate, settings.client_private_key
    _prepare(context, settings.trust_anchors, certificate, key)
    _check_own(certificate, lei)
    return context


def lei_of_certificate(certificate: Mapping[str, Any]) -> str | None:  # as `ssl` gives it
    """The LEI that a verified certificate names; None where it names none, or several."""
    names = [
        value.removeprefix(_URI_PREFIX)
        for kind, value in certificate.get("subjectAltName", ())
        if kind == "URI" and value.startswith(_URI_PREFIX)
    ]
    return names[0] if len(names) == 1 else None


def _prepare(context: ssl.SSLContext, anchors: Path, certificate: Path, key: Path) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    loads: tuple[tuple[str, Callable[[], None]], ...] = (
        ("trust_anchors", lambda: context.load_verify_locations(cafile=anchors)),
        (certificate.name, lambda: context.load_cert_chain(certificate, key)),
    )
    for name, load in loads:
        try:
            load()
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise SettingsInvalid("settings", f"interbank_tls: {name}: {error}") from error


def _check_own(certificate: Path, lei: str) -> None:
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    if [uri for uri in uris if uri.startswith(_URI_PREFIX)] != [f"{_URI_PREFIX}{lei}"]:
        rule = f"interbank_tls: {certificate.name} does not name {_URI_PREFIX}{lei}"
        raise SettingsInvalid("settings", rule)
