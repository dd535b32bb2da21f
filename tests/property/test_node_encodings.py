"""Round trips and totality of what the node reads: RLP, tries, headers, transactions."""

from dataclasses import replace

import rlp
from hypothesis import given
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from node.block import Header, decode_header, trie_root
from node.errors import MalformedRlp, TransactionRejected
from node.primitives import Hash32, RlpItem, decode_rlp, decode_uint, encode_rlp, encode_uint
from node.transaction import check_transaction, decode_transaction, signing_hash
from support.transactions import ALICE, CHAIN_ID, RULES, Draft, Key

items: st.SearchStrategy[RlpItem] = st.recursive(
    st.binary(max_size=70), lambda children: st.lists(children, max_size=5), max_leaves=12
)
hashes = st.binary(min_size=32, max_size=32).map(Hash32)
words = st.integers(0, 2**256 - 1)
shorts = st.integers(0, 2**63)
drafts = st.builds(
    Draft,
    transaction_type=st.sampled_from([0, 1, 2]),
    chain_id=st.sampled_from([CHAIN_ID, 1, 2**40]),
    nonce=st.integers(0, 2**64 - 1),
    max_priority_fee_per_gas=words,
    max_fee_per_gas=words,
    gas_limit=st.integers(0, 2**64 - 1),
    to=st.none() | st.binary(min_size=20, max_size=20),
    value=words,
    data=st.binary(max_size=200),
    access_list=st.lists(
        st.tuples(
            st.binary(min_size=20, max_size=20),
            st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)


def depth_of(item: RlpItem) -> int:
    return 0 if isinstance(item, bytes) else 1 + max(map(depth_of, item), default=0)


@given(items.filter(lambda item: depth_of(item) <= 8))
def test_rlp_returns_what_was_encoded_and_agrees_with_the_rlp_library(item: RlpItem) -> None:
    encoded = encode_rlp(item)
    assert encoded == rlp.encode(item)
    assert decode_rlp(encoded) == item


@given(st.binary(max_size=300))
def test_any_bytes_are_rlp_of_one_item_or_malformed(data: bytes) -> None:
    try:
        item = decode_rlp(data)
    except MalformedRlp:
        return
    assert encode_rlp(item) == data


@given(words)
def test_integers_return_from_their_bytes(value: int) -> None:
    assert decode_uint(encode_uint(value)) == value


@given(st.dictionaries(st.binary(max_size=6), st.binary(min_size=1, max_size=40), max_size=40))
def test_a_trie_has_the_root_py_trie_gives_it(value_by_key: dict[bytes, bytes]) -> None:
    oracle = HexaryTrie({})
    for key, value in value_by_key.items():
        oracle[key] = value
    assert trie_root(value_by_key.items()) == oracle.root_hash


@given(
    st.builds(
        Header,
        parent_hash=hashes,
        state_root=hashes,
        transactions_root=hashes,
        receipts_root=hashes,
        logs_bloom=st.binary(min_size=256, max_size=256),
        number=shorts,
        gas_limit=shorts,
        gas_used=shorts,
        timestamp=shorts,
        extra_data=st.binary(max_size=32),
    )
)
def test_headers_return_from_their_bytes(header: Header) -> None:
    assert decode_header(header.encode()) == header


@given(drafts, st.binary(min_size=32, max_size=32).filter(lambda secret: 0 < secret[0] < 0xFF))
def test_a_signed_transaction_returns_with_its_fields_and_sender(
    draft: Draft, secret: bytes
) -> None:
    key = Key(secret)
    transaction = decode_transaction(draft.signed_by(key))
    assert transaction.chain_id == draft.chain_id
    assert transaction.transaction_type == draft.transaction_type
    assert (transaction.nonce, transaction.gas_limit) == (draft.nonce, draft.gas_limit)
    assert (transaction.to, transaction.value, transaction.data) == (
        draft.to,
        draft.value,
        draft.data,
    )
    assert transaction.max_fee_per_gas == draft.max_fee_per_gas
    again = draft.with_signature(y_parity=transaction.y_parity, r=transaction.r, s=transaction.s)
    assert transaction.raw == again
    y_parity, r, s = key.sign(signing_hash(transaction))
    assert (y_parity, r, s) == (transaction.y_parity, transaction.r, transaction.s)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"\x02" + data))
def test_any_bytes_are_a_transaction_or_refused(data: bytes) -> None:
    try:
        check_transaction(data, chain_id=CHAIN_ID, rules=RULES)
    except TransactionRejected:
        return
    raise AssertionError("nobody signs by chance")


@given(st.data())
def test_a_changed_byte_gives_another_sender_or_a_refusal(data: st.DataObject) -> None:
    raw = bytearray(replace(Draft(), data=b"pay").signed_by(ALICE))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    try:
        checked = check_transaction(bytes(raw), chain_id=CHAIN_ID, rules=RULES)
    except TransactionRejected:
        return
    assert checked.sender != ALICE.address
