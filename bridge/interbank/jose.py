"""Public keys and signatures of institutions, as the registry's bytes make them."""

import base64
import json
from collections.abc import Mapping
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


def sign(content: Mapping[str, object], lei: str, key: OKPKey) -> str:
    """A JWS over the JSON of `content`, by the institution with this LEI and signing key."""
    return jws.serialize_compact(
        {"alg": SIGNING, "kid": lei},
        json.dumps(content, sort_keys=True).encode(),
        key,
        algorithms=[SIGNING],
    )


def is_signed_by(signed: jws.CompactSignature, key: bytes) -> bool:
    """Whether a JWS bears the signature of this Ed25519 key."""
    try:
        return jws.validate_compact(signed, public_key("Ed25519", key), algorithms=[SIGNING])
    except (JoseError, ValueError):
        return False
