"""RLP, hashes, addresses and signatures."""

import pytest

from node.errors import MalformedRlp, SignatureInvalid
from node.primitives import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    RLP_DEPTH_MAX,
    Address,
    RlpItem,
    created_address,
    decode_bytes,
    decode_list,
    decode_rlp,
    decode_uint,
    encode_rlp,
    encode_uint,
    keccak,
    recover_address,
)
from support.transactions import ALICE

# The examples of the Ethereum wiki's page on RLP.
CANONICAL: list[tuple[RlpItem, str]] = [
    (b"dog", "83646f67"),
    ([b"cat", b"dog"], "c88363617483646f67"),
    (b"", "80"),
    ([], "c0"),
    (b"\x00", "00"),
    (b"\x0f", "0f"),
    (b"\x04\x00", "820400"),
    ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
        "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e73656374657475722061"
        "6469706973696369" + "6e6720656c6974",
    ),
]

MALFORMED = {
    "no bytes": "",
    "a byte left over": "8000",
    "a single byte in long form": "8105",
    "a cut off string": "83646f",
    "a cut off length": "b9",
    "a length with leading zeros": "b90038" + "00" * 56,
    "a short string in long form": "b801" + "ff",
    "a short list in long form": "f801c0",
    "an item past its list": "c2826100",
    "a length beyond all memory": "bf" + "ff" * 8,
}


@pytest.mark.parametrize(("item", "encoded"), CANONICAL, ids=lambda value: str(value)[:20])
def test_rlp_reads_and_writes_the_published_examples(item: RlpItem, encoded: str) -> None:
    assert encode_rlp(item).hex() == encoded
    assert decode_rlp(bytes.fromhex(encoded)) == item


@pytest.mark.parametrize("encoded", MALFORMED.values(), ids=MALFORMED.keys())
def test_rlp_that_is_not_canonical_is_refused(encoded: str) -> None:
    with pytest.raises(MalformedRlp):
        decode_rlp(bytes.fromhex(encoded))


def test_lists_nested_beyond_the_limit_are_refused_without_recursion() -> None:
    nested = b"\xc0"
    for _ in range(RLP_DEPTH_MAX - 1):
        nested = encode_rlp([decode_rlp(nested)])
    assert decode_rlp(nested)
    with pytest.raises(MalformedRlp):
        decode_rlp(encode_rlp([decode_rlp(nested)]))
    with pytest.raises(MalformedRlp):
        decode_rlp(b"\xc1" * 100_000 + b"\xc0")


def test_integers_have_no_leading_zeros_and_a_width() -> None:
    assert decode_uint(b"") == 0
    assert decode_uint(b"\x01\x00", 2) == 256
    for text in (b"\x00", b"\x00\x01", b"\x01" * 33):
        with pytest.raises(MalformedRlp):
            decode_uint(text)
    with pytest.raises(MalformedRlp):
        decode_uint(b"\x01\x00\x00", 2)


def test_bytes_and_lists_are_told_apart() -> None:
    with pytest.raises(MalformedRlp):
        decode_bytes([])
    with pytest.raises(MalformedRlp):
        decode_list(b"")
    with pytest.raises(MalformedRlp):
        decode_bytes(b"four", 5)
    with pytest.raises(MalformedRlp):
        decode_list([b"one"], 2)


def test_well_known_hashes_are_what_everybody_knows() -> None:
    assert EMPTY_CODE_HASH.hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
    assert EMPTY_TRIE_ROOT.hex() == (
        "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    )


@pytest.mark.parametrize(
    ("nonce", "created"),
    [
        (0, "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"),
        (1, "343c43a37d37dff08ae8c4a11544c718abb4fcf8"),
    ],
)
def test_a_created_contract_has_the_address_of_its_sender_and_nonce(
    nonce: int, created: str
) -> None:
    sender = Address(bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"))
    assert created_address(sender, nonce).hex() == created


def test_a_signature_names_its_signer() -> None:
    digest = keccak(b"message")
    y_parity, r, s = ALICE.sign(digest)
    assert recover_address(digest, r=r, s=s, y_parity=y_parity) == ALICE.address
    assert recover_address(digest, r=r, s=s, y_parity=1 - y_parity) != ALICE.address


@pytest.mark.parametrize(
    ("r", "s", "y_parity"), [(0, 1, 0), (1, 0, 0), (1, 1, 2), (2**256 - 1, 1, 0), (5, 1, 0)]
)
def test_a_signature_of_nobody_is_invalid(r: int, s: int, y_parity: int) -> None:
    with pytest.raises(SignatureInvalid):
        recover_address(keccak(b"message"), r=r, s=s, y_parity=y_parity)


def test_integers_are_encoded_in_the_fewest_bytes() -> None:
    assert [encode_uint(value) for value in (0, 1, 255, 256)] == [b"", b"\x01", b"\xff", b"\x01\0"]
