"""Headers, receipts, logs, blooms and their roots; py-evm and py-trie are the oracles."""

from dataclasses import replace

import pytest
import rlp
from eth.rlp.logs import Log as EthLog
from eth.rlp.receipts import Receipt as EthReceipt
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_typing import BlockNumber
from trie.hexary import HexaryTrie

from node.block import (
    EMPTY_BLOOM,
    REQUESTS_HASH,
    Block,
    Header,
    Log,
    Receipt,
    bloom_of,
    decode_body,
    decode_header,
    encode_body,
    list_proof,
    list_root,
    merge_blooms,
    receipts_root,
)
from node.errors import MalformedRlp
from node.primitives import (
    EMPTY_TRIE_ROOT,
    Address,
    Hash32,
    decode_bytes,
    decode_list,
    decode_rlp,
    encode_rlp,
    encode_uint,
    keccak,
)
from support.transactions import ALICE, SINK, Draft

LOG = Log(SINK, (Hash32(b"\x01" * 32), Hash32(b"\x02" * 32)), b"data")
RECEIPT = Receipt(
    transaction_type=2,
    succeeded=True,
    cumulative_gas_used=42_000,
    logs=(LOG, Log(SINK, (), b"")),
    gas_used=21_000,
    sender=ALICE.address,
)
HEADER = Header(
    parent_hash=Hash32(b"\xaa" * 32),
    state_root=Hash32(b"\xbb" * 32),
    transactions_root=Hash32(b"\xcc" * 32),
    receipts_root=Hash32(b"\xdd" * 32),
    logs_bloom=RECEIPT.logs_bloom,
    number=7,
    gas_limit=30_000_000,
    gas_used=42_000,
    timestamp=1_800_000_000,
    extra_data=b"\xee" * 32,
)


def oracle_header(header: Header) -> PragueBlockHeader:
    return PragueBlockHeader(
        parent_hash=header.parent_hash,
        state_root=header.state_root,
        transaction_root=header.transactions_root,
        receipt_root=header.receipts_root,
        bloom=int.from_bytes(header.logs_bloom, "big"),
        difficulty=0,
        block_number=BlockNumber(header.number),
        gas_limit=header.gas_limit,
        gas_used=header.gas_used,
        timestamp=header.timestamp,
        extra_data=header.extra_data,
        nonce=bytes(8),
        base_fee_per_gas=0,
        withdrawals_root=EMPTY_TRIE_ROOT,
        requests_hash=REQUESTS_HASH,
    )


def test_a_header_hashes_as_ethereum_hashes_it() -> None:
    oracle = oracle_header(HEADER)
    assert HEADER.encode() == rlp.encode(oracle)
    assert HEADER.hash == oracle.hash
    assert len(decode_list(decode_rlp(HEADER.encode()))) == 21


def test_a_header_survives_its_encoding() -> None:
    assert decode_header(HEADER.encode()) == HEADER


@pytest.mark.parametrize("position", [1, 2, 7, 13, 14, 16, 17, 18, 19, 20])
def test_a_header_with_another_constant_is_refused(position: int) -> None:
    items = list(decode_list(decode_rlp(HEADER.encode())))
    items[position] = b"\x01" + decode_bytes(items[position])[1:]
    with pytest.raises(MalformedRlp):
        decode_header(encode_rlp(items))


def test_a_header_with_another_number_of_fields_is_refused() -> None:
    items = list(decode_list(decode_rlp(HEADER.encode())))
    for other in (items[:-1], [*items, b""]):
        with pytest.raises(MalformedRlp):
            decode_header(encode_rlp(other))


@pytest.mark.parametrize("transaction_type", [0, 1, 2])
@pytest.mark.parametrize("succeeded", [True, False])
def test_a_receipt_is_encoded_as_ethereum_encodes_it(
    transaction_type: int, *, succeeded: bool
) -> None:
    receipt = replace(RECEIPT, transaction_type=transaction_type, succeeded=succeeded)
    oracle = EthReceipt(
        state_root=b"\x01" if succeeded else b"",
        gas_used=42_000,
        logs=[
            EthLog(
                log.address, tuple(int.from_bytes(topic, "big") for topic in log.topics), log.data
            )
            for log in receipt.logs
        ],
    )
    prefix = bytes([transaction_type]) if transaction_type else b""
    assert receipt.encode() == prefix + rlp.encode(oracle)


@pytest.mark.parametrize("count", [0, 1, 2, 17, 128, 129, 300])
def test_the_root_of_a_list_is_that_of_its_trie(count: int) -> None:
    receipts = [replace(RECEIPT, cumulative_gas_used=21_000 * n) for n in range(1, count + 1)]
    oracle = HexaryTrie({})
    for position, receipt in enumerate(receipts):
        oracle[rlp.encode(position)] = receipt.encode()
    assert receipts_root(receipts) == oracle.root_hash


def test_short_values_are_embedded_in_their_parents() -> None:
    values = [encode_uint(n + 1) for n in range(40)]
    oracle = HexaryTrie({})
    for position, value in enumerate(values):
        oracle[rlp.encode(position)] = value
    assert list_root(values) == oracle.root_hash


def test_a_bloom_has_three_bits_for_each_address_and_topic() -> None:
    one = bloom_of([Log(Address(b"\x01" * 20), (), b"ignored")])
    assert 1 <= int.from_bytes(one, "big").bit_count() <= 3
    assert bloom_of([]) == EMPTY_BLOOM
    assert merge_blooms([one, EMPTY_BLOOM]) == one
    both = bloom_of([Log(Address(b"\x01" * 20), (), b""), LOG])
    assert merge_blooms([one, bloom_of([LOG])]) == both


def test_a_body_keeps_raw_transactions() -> None:
    raws = (Draft().signed_by(ALICE), Draft(transaction_type=0).signed_by(ALICE))
    assert decode_body(encode_body(raws)) == raws
    assert decode_body(encode_body(())) == ()


def test_the_size_of_a_block_is_that_of_its_rlp() -> None:
    typed, legacy = Draft().signed_by(ALICE), Draft(transaction_type=0).signed_by(ALICE)
    header, transactions = decode_rlp(HEADER.encode()), [typed, decode_rlp(legacy)]
    whole = encode_rlp([header, transactions, [], []])
    assert Block(HEADER, (typed, legacy)).size == len(whole)
    assert Block(HEADER, ()).size == len(encode_rlp([header, [], [], []]))


def test_a_changed_field_changes_the_hash() -> None:
    assert replace(HEADER, timestamp=HEADER.timestamp + 1).hash != HEADER.hash
    assert HEADER.hash == keccak(HEADER.encode())


@pytest.mark.parametrize("length", [1, 2, 3, 16, 17, 127, 128, 129, 300])
def test_n_161_a_proof_is_the_nodes_that_py_trie_finds_on_the_path(length: int) -> None:
    values = [bytes([position % 251]) * 40 for position in range(length)]
    trie = HexaryTrie({})
    for position, value in enumerate(values):
        trie[rlp.encode(position)] = value
    for position in {0, 1, length // 2, length - 1} & set(range(length)):
        nodes = trie.get_proof(rlp.encode(position))  # type: ignore[no-untyped-call] # py-trie
        expected = [rlp.encode(node) for node in nodes]
        proof = list_proof(values, position)
        assert list(proof) == expected
        assert keccak(proof[0]) == list_root(values)
