"""Certificates of institutions, made for a test: anchors, and what they certify."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from bridge.config import InterbankTlsSettings


@dataclass(frozen=True, slots=True)
class Authority:
    """A trust anchor with its key."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str) -> "Authority":
        """A new anchor."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        built = (
            _builder(subject, subject, key, days=30)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        return cls(subject, key, built.sign(key, hashes.SHA256()))

    def issue(self, folder: Path, name: str, *uris: str, days: int = 30) -> tuple[Path, Path]:
        """Files of a certificate for loopback with these URIs, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(IPv4Address("127.0.0.1"))]
        uri_names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        built = (
            _builder(_name(name), self.name, key, days=days)
            .add_extension(x509.SubjectAlternativeName([*names, *uri_names]), critical=False)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
        signed = built.sign(self.key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        secret.write_bytes(key.private_bytes(*plain))
        return certificate, secret

    def anchors(self, folder: Path) -> Path:
        """The file of this anchor."""
        path = folder / f"{self.name.rfc4514_string()}.anchors.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path


def tls_settings(
    anchors: Path, server: tuple[Path, Path], client: tuple[Path, Path]
) -> InterbankTlsSettings:
    """The settings of an institution with these files."""
    return InterbankTlsSettings(
        port=0,
        certificate=server[0],
        private_key=server[1],
        client_certificate=client[0],
        client_private_key=client[1],
        trust_anchors=anchors,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    """A certificate valid for `days` from now; one of a negative number ran out that long ago."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
