"""RLP and tries against vectors: encodings written by hand, roots on which two other implementations agree.

`vectors/rlp.json` holds values with their one encoding, and every way in which bytes are no encoding;
`vectors/tries.json` holds pairs with the root that `support.simple_trie` and the library `trie` compute.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import rlp
from trie.hexary import HexaryTrie

from node.block import trie_root
from node.errors import MalformedRlp, MalformedTransaction
from node.primitives import RlpItem, decode_rlp, encode_rlp
from node.transaction import decode_transaction
from support.simple_trie import root_of

VECTORS: Final = Path(__file__).parent / "vectors"
RLP: Final[dict[str, list[dict[str, Any]]]] = json.loads((VECTORS / "rlp.json").read_bytes())
TRIES: Final[list[dict[str, Any]]] = json.loads((VECTORS / "tries.json").read_bytes())


def item_of(written: Any) -> RlpItem:
    """The item that a vector writes as hex texts and lists."""
    return bytes.fromhex(written) if isinstance(written, str) else [*map(item_of, written)]


@pytest.mark.parametrize("vector", RLP["valid"], ids=lambda vector: vector["name"])
def test_a_value_has_one_encoding(vector: dict[str, Any]) -> None:
    """N-114."""
    item, encoded = item_of(vector["item"]), bytes.fromhex(vector["encoded"])
    assert encode_rlp(item) == encoded == rlp.encode(item)
    assert decode_rlp(encoded) == item


@pytest.mark.parametrize("vector", RLP["invalid"], ids=lambda vector: vector["name"])
def test_bytes_that_are_no_encoding_are_refused(vector: dict[str, Any]) -> None:
    """N-114."""
    encoded = bytes.fromhex(vector["encoded"])
    with pytest.raises(MalformedRlp):
        decode_rlp(encoded)
    with pytest.raises(rlp.DecodingError):
        rlp.decode(encoded)
    if encoded[:1] >= b"\xc0":
        with pytest.raises(MalformedTransaction):
            decode_transaction(encoded)


@pytest.mark.parametrize("vector", TRIES, ids=lambda vector: vector["name"])
def test_a_trie_has_the_root_that_others_compute(vector: dict[str, Any]) -> None:
    """N-1."""
    pairs = {bytes.fromhex(key): bytes.fromhex(value) for key, value in vector["pairs"].items()}
    library = HexaryTrie({})
    for key, value in pairs.items():
        library[key] = value
    root = bytes.fromhex(vector["root"])
    assert trie_root(pairs.items()) == root
    assert (root_of(pairs), library.root_hash) == (root, root)
