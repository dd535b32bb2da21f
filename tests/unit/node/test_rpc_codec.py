"""Text and bytes on the wire: what is read, what is refused, how blocks and transactions look."""

from __future__ import annotations

from typing import Any

import pytest

from node.errors import ParameterInvalid
from node.rpc.codec.format import format_data, format_quantity, format_transaction
from node.rpc.codec.parse import (
    BlockTag,
    LogQuery,
    parse_address,
    parse_block_reference,
    parse_call,
    parse_data,
    parse_flag,
    parse_hash,
    parse_log_query,
    parse_quantity,
    parse_slot,
)
from node.transaction import decode_transaction
from support.transactions import ALICE, CHAIN_ID, SINK, Draft

HASH = "0x" + "ab" * 32
ADDRESS = "0x" + "CD" * 20


@pytest.mark.parametrize(("text", "value"), [("0x0", 0), ("0x41", 65), ("0xFF", 255)])
def test_a_quantity_is_hex_without_leading_zeros(text: str, value: int) -> None:
    assert parse_quantity(text, name="n") == value
    assert parse_quantity(format_quantity(value), name="n") == value


@pytest.mark.parametrize(
    "text",
    ["0x", "0x00", "0x041", "41", "ff", "0xg", "0x-1", "0x1_0", "", 65, None, "0x" + "f" * 65],
)
def test_anything_else_is_no_quantity(text: Any) -> None:
    with pytest.raises(ParameterInvalid, match="n:"):
        parse_quantity(text, name="n")


@pytest.mark.parametrize(("text", "data"), [("0x", b""), ("0x00ff", b"\x00\xff")])
def test_data_are_hex_of_whole_bytes(text: str, data: bytes) -> None:
    assert parse_data(text, name="d") == data
    assert format_data(data) == text


@pytest.mark.parametrize("text", ["0x0", "00", "0xgg", "0x00 ff", None, 1, "0x" + "0" * 600_000])
def test_anything_else_is_no_data(text: Any) -> None:
    with pytest.raises(ParameterInvalid):
        parse_data(text, name="d")


def test_addresses_and_hashes_have_their_lengths() -> None:
    assert parse_address(ADDRESS, name="a") == b"\xcd" * 20
    assert parse_hash(HASH, name="h") == b"\xab" * 32
    for wrong in (HASH, "0x", ADDRESS[:-2]):
        with pytest.raises(ParameterInvalid):
            parse_address(wrong, name="a")


def test_a_slot_is_a_quantity_or_a_word() -> None:
    assert parse_slot("0x5", name="s") == 5
    assert parse_slot("0x" + "00" * 31 + "05", name="s") == 5


def test_a_flag_is_a_boolean() -> None:
    assert parse_flag(True, name="f")
    with pytest.raises(ParameterInvalid):
        parse_flag("true", name="f")


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (None, BlockTag.LATEST),
        ("latest", BlockTag.LATEST),
        ("safe", BlockTag.SAFE),
        ("finalized", BlockTag.FINALIZED),
        ("pending", BlockTag.PENDING),
        ("earliest", BlockTag.EARLIEST),
        ("0x10", 16),
        ({"blockNumber": "0x10"}, 16),
        (HASH, b"\xab" * 32),
        ({"blockHash": HASH}, b"\xab" * 32),
    ],
)
def test_a_block_is_named_by_tag_number_or_hash(value: Any, reference: object) -> None:
    parsed = parse_block_reference(value, name="block")
    assert parsed == reference


@pytest.mark.parametrize(
    "value", ["newest", 16, {}, {"blockHash": "0x1"}, [], "0x8000000000000000"]
)
def test_no_other_name_of_a_block_is_known(value: Any) -> None:
    with pytest.raises(ParameterInvalid):
        parse_block_reference(value, name="block")


def test_a_filter_reads_single_values_lists_and_wildcards() -> None:
    parsed = parse_log_query(
        {"fromBlock": "0x1", "address": ADDRESS, "topics": [None, [HASH, HASH], HASH]}, name="f"
    )
    word = b"\xab" * 32
    expected = LogQuery(1, BlockTag.LATEST, (b"\xcd" * 20,), ((), (word, word), (word,)))  # type: ignore[arg-type] # plain bytes stand for Address and Hash32
    assert parsed == expected


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"unknown": 1},
        {"blockHash": HASH, "fromBlock": "0x1"},
        {"topics": [None] * 5},
        {"topics": HASH},
        {"topics": ["0x1"]},
        {"address": [ADDRESS] * 257},
    ],
)
def test_a_filter_with_a_fault_is_refused(value: Any) -> None:
    with pytest.raises(ParameterInvalid):
        parse_log_query(value, name="f")


def test_a_call_takes_input_for_data_and_caps_its_gas() -> None:
    call = parse_call({"to": ADDRESS, "input": "0x01", "gas": "0xffffffff"}, name="call")
    assert (call.to, call.data, call.gas_limit) == (b"\xcd" * 20, b"\x01", 16_000_000)
    assert call.sender == bytes(20)
    assert parse_call({"data": "0x00"}, name="call").to is None


@pytest.mark.parametrize(
    "value",
    [
        {"data": "0x01", "input": "0x02"},
        {"to": "0x1"},
        {"blobs": []},
        {"accessList": {}},
        {"accessList": [{}]},
        "0x",
    ],
)
def test_a_call_with_a_fault_is_refused(value: Any) -> None:
    with pytest.raises(ParameterInvalid):
        parse_call(value, name="call")


@pytest.mark.parametrize("transaction_type", [0, 1, 2])
def test_a_pooled_transaction_shows_its_fields_and_no_place(transaction_type: int) -> None:
    access_list = ((SINK, (bytes(32),)),) if transaction_type else ()
    raw = Draft(transaction_type=transaction_type, nonce=3, access_list=access_list)
    shown = format_transaction(decode_transaction(raw.signed_by(ALICE)), ALICE.address, None)
    assert shown["type"] == hex(transaction_type)
    assert shown["nonce"] == "0x3"
    assert shown["chainId"] == hex(CHAIN_ID)
    assert shown["from"] == format_data(ALICE.address)
    assert (shown["blockHash"], shown["blockNumber"], shown["transactionIndex"]) == (None,) * 3
    assert ("yParity" in shown) == (transaction_type > 0)
    assert ("maxFeePerGas" in shown) == (transaction_type == 2)
    if transaction_type:
        entry = {"address": format_data(SINK), "storageKeys": [format_data(bytes(32))]}
        assert shown["accessList"] == [entry]
