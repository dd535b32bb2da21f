"""Public keys and signatures of institutions, as the registry's bytes make them."""

import base64
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

SIGNING: Final = "Ed25519"
"""The signature algorithm (RFC 8037)."""


def public_key(curve: str, key: bytes) -> OKPKey:
    """The key with these 32 bytes; raises `ValueError` or `JoseError` where they are none."""
    text = base64.urlsafe_b64encode(key).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": curve, "x": text})


def is_signed_by(signed: jws.CompactSignature, key: bytes) -> bool:
    """Whether a JWS bears the signature of this Ed25519 key."""
    try:
        return jws.validate_compact(signed, public_key("Ed25519", key), algorithms=[SIGNING])
    except (JoseError, ValueError):
        return False
