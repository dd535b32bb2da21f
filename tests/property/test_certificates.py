"""The verifier's own Keccak and secp256k1 against the libraries, and any bytes against the verifier."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import rfc8785
from coincurve import PrivateKey, PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from node import primitives
from node.errors import SignatureInvalid
from node.verify_certificate import (
    CertificateRefused,
    decompress,
    keccak,
    public_key_address,
    recover,
)
from support.certificates import sample

KEYS: Final = st.integers(1, primitives.SECP256K1_ORDER - 1).map(
    lambda secret: PrivateKey(secret.to_bytes(32, "big"))
)
ONE: Final = sample(4, 1)
TEXT: Final = ONE.text

JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary(max_size=700))
def test_n_167_keccak_is_keccak(content: bytes) -> None:
    assert keccak(content) == primitives.keccak(content)


@given(KEYS, st.binary(min_size=32, max_size=32))
@settings(max_examples=40)
def test_n_167_whoever_signed_is_found(key: PrivateKey, digest: bytes) -> None:
    point = recover(digest, key.sign_recoverable(digest, hasher=None))
    assert point == key.public_key.point() == decompress(key.public_key.format())
    uncompressed = key.public_key.format(compressed=False)[1:]
    address = primitives.address_of_public_key(uncompressed)
    assert public_key_address(key.public_key.format()) == address


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**256 - 1),
    st.integers(0, 2**255),
    st.integers(0, 1),
)
@settings(max_examples=40)
def test_n_167_any_signature_is_judged_as_the_library_does(
    digest: bytes, r: int, s: int, y_parity: int
) -> None:
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([y_parity])
    try:
        expected = primitives.recover_address(digest, r=r, s=s, y_parity=y_parity)
    except SignatureInvalid:
        with pytest.raises(CertificateRefused):
            recover(digest, signature)
        return
    if 2 * s > primitives.SECP256K1_ORDER:
        with pytest.raises(CertificateRefused):
            recover(digest, signature)
        return
    x, y = recover(digest, signature)
    assert primitives.keccak(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:] == expected


@given(st.integers(1, primitives.SECP256K1_ORDER - 1), st.binary(min_size=32, max_size=32))
@settings(max_examples=20)
def test_n_167_a_signature_whose_key_would_be_no_point_is_refused(
    nonce: int, digest: bytes
) -> None:
    order = primitives.SECP256K1_ORDER
    s = int.from_bytes(digest, "big") * pow(nonce, -1, order) % order
    x, y = PrivateKey(nonce.to_bytes(32, "big")).public_key.point()
    is_high = 2 * s > order
    s, parity = (order - s, 1 - y % 2) if is_high else (s, y % 2)
    signature = x.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    with pytest.raises(CertificateRefused, match=r"none of any key|out of range"):
        recover(digest, signature)


@given(st.binary(min_size=33, max_size=33))
def test_n_167_any_key_is_judged_as_the_library_does(key: bytes) -> None:
    try:
        expected = PublicKey(key).point()
    except ValueError:
        with pytest.raises(CertificateRefused):
            decompress(key)
    else:
        assert decompress(key) == expected


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_n_166_any_bytes_are_refused(text: bytes) -> None:
    with pytest.raises(CertificateRefused):
        ONE.verify(text)


@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)), st.binary(max_size=80))
@settings(max_examples=200)
def test_n_166_any_piece_put_in_place_of_another_is_refused(
    start: int, end: int, piece: bytes
) -> None:
    text = TEXT[: min(start, end)] + piece + TEXT[max(start, end) :]
    if text != TEXT:
        with pytest.raises(CertificateRefused):
            ONE.verify(text)


@given(st.data(), JSON)
@settings(max_examples=200)
def test_n_166_any_value_in_place_of_another_is_refused(chooser: st.DataObject, junk: Any) -> None:
    document = json.loads(TEXT)
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = chooser.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or chooser.draw(st.booleans()):
            break
        place = place[key]
    if place[key] != junk:
        place[key] = junk
        try:
            text = rfc8785.dumps(document)
        except rfc8785.CanonicalizationError:
            text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(CertificateRefused):
            ONE.verify(text)


@given(st.lists(st.sampled_from([b"[", b"{", b'"a":', b"]", b"}", b'"]"', b","]), max_size=60))
@settings(max_examples=100)
def test_n_166_nesting_is_measured_before_it_is_read(pieces: list[bytes]) -> None:
    for times in (1, 5_000):
        with pytest.raises(CertificateRefused):
            ONE.verify(b"".join(pieces) * times)
