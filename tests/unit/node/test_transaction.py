"""Transactions: what is read, and the one static check."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction

from node.errors import (
    FeeCapBelowPriorityFee,
    GasBelowIntrinsic,
    GasLimitTooHigh,
    HighS,
    InitCodeTooLarge,
    MalformedTransaction,
    NonceTooHigh,
    NotReplayProtected,
    SignatureInvalid,
    TransactionRejected,
    TransactionTooLarge,
    TransactionTypeUnsupported,
    WrongChainId,
)
from node.primitives import SECP256K1_ORDER, decode_list, decode_rlp, encode_rlp
from node.transaction import (
    CHECKED_BYTES_MAX,
    INIT_CODE_BYTES_MAX,
    NONCE_MAX,
    TRANSACTION_BYTES_MAX,
    CheckedTransaction,
    Memory,
    check_transaction,
    decode_transaction,
    gas_limit_min,
    intrinsic_gas,
    signing_hash,
)
from support.transactions import ALICE, CHAIN_ID, RULES, SINK, Draft

GOOD = Draft()
ACCESS_LIST = ((bytes(20), (bytes(32), b"\x01" * 32)), (SINK, ()))


def check(raw: bytes) -> CheckedTransaction:
    return check_transaction(raw, chain_id=CHAIN_ID, rules=RULES)


def account_fields(transaction_type: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "chainId": CHAIN_ID,
        "nonce": 7,
        "gas": 90_000,
        "to": SINK,
        "value": 12,
        "data": b"\x00\x01\x02",
    }
    if transaction_type:
        fields["type"] = transaction_type
        fields["accessList"] = [
            {"address": f"0x{address.hex()}", "storageKeys": [f"0x{key.hex()}" for key in keys]}
            for address, keys in ACCESS_LIST
        ]
    if transaction_type == 2:
        return fields | {"maxFeePerGas": 3, "maxPriorityFeePerGas": 2}
    return fields | {"gasPrice": 3}


@pytest.mark.parametrize("transaction_type", [0, 1, 2])
def test_what_eth_account_signs_is_read_with_its_hash_and_sender(transaction_type: int) -> None:
    signed = Account.sign_transaction(account_fields(transaction_type), ALICE.secret)
    checked = check(bytes(signed.raw_transaction))
    transaction = checked.transaction
    assert checked.sender == ALICE.address
    assert checked.hash == bytes(signed.hash)
    assert (transaction.v, transaction.r, transaction.s) == (signed.v, signed.r, signed.s)
    assert transaction.transaction_type == transaction_type
    assert transaction.chain_id == CHAIN_ID
    assert (transaction.nonce, transaction.gas_limit, transaction.to) == (7, 90_000, SINK)
    assert (transaction.value, transaction.data) == (12, b"\x00\x01\x02")
    fees = (transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas)
    assert fees == ((2, 3) if transaction_type == 2 else (3, 3))
    listed = tuple((entry.address, entry.storage_keys) for entry in transaction.access_list)
    assert listed == (ACCESS_LIST if transaction_type else ())
    assert transaction.cost_max == 90_000 * 3 + 12


def test_our_builder_and_eth_account_sign_the_same_bytes() -> None:
    ours = replace(
        GOOD,
        nonce=7,
        gas_limit=90_000,
        value=12,
        data=b"\x00\x01\x02",
        access_list=ACCESS_LIST,
        max_fee_per_gas=3,
        max_priority_fee_per_gas=2,
    ).signed_by(ALICE)
    signed = Account.sign_transaction(account_fields(2), ALICE.secret)
    assert ours == bytes(signed.raw_transaction)
    assert TypedTransaction.from_bytes(signed.raw_transaction).hash() == signing_hash(
        check(ours).transaction
    )


REFUSED: Mapping[str, tuple[type[TransactionRejected], bytes]] = {
    "too many bytes": (
        TransactionTooLarge,
        replace(GOOD, data=bytes(TRANSACTION_BYTES_MAX), gas_limit=9_000_000).signed_by(ALICE),
    ),
    "no bytes": (MalformedTransaction, b""),
    "a type nobody knows": (TransactionTypeUnsupported, b"\x7f\xc0"),
    "a byte that is neither type nor list": (MalformedTransaction, b"\x80"),
    "a blob transaction": (
        TransactionTypeUnsupported,
        replace(GOOD, transaction_type=3).signed_by(ALICE),
    ),
    "a set-code transaction": (
        TransactionTypeUnsupported,
        replace(GOOD, transaction_type=4).signed_by(ALICE),
    ),
    "a byte after the transaction": (MalformedTransaction, GOOD.signed_by(ALICE) + b"\0"),
    "unsigned": (MalformedTransaction, b"\x02" + encode_rlp(GOOD._fields())),
    "legacy without EIP-155": (
        NotReplayProtected,
        replace(GOOD, transaction_type=0, chain_id=None).signed_by(ALICE),
    ),
    "legacy for another chain": (
        WrongChainId,
        replace(GOOD, transaction_type=0, chain_id=1).signed_by(ALICE),
    ),
    "typed for another chain": (WrongChainId, replace(GOOD, chain_id=1).signed_by(ALICE)),
    "r of zero": (SignatureInvalid, GOOD.with_signature(y_parity=0, r=0, s=1)),
    "s beyond the order": (
        SignatureInvalid,
        GOOD.with_signature(y_parity=0, r=1, s=SECP256K1_ORDER),
    ),
    "r on no point": (SignatureInvalid, GOOD.with_signature(y_parity=0, r=5, s=1)),
    "parity of two": (MalformedTransaction, GOOD.with_signature(y_parity=2, r=1, s=1)),
    "a high s": (HighS, GOOD.signed_by(ALICE, high_s=True)),
    "the last nonce but one": (NonceTooHigh, replace(GOOD, nonce=NONCE_MAX + 1).signed_by(ALICE)),
    "a nonce of nine bytes": (MalformedTransaction, replace(GOOD, nonce=2**64).signed_by(ALICE)),
    "a priority fee above the cap": (
        FeeCapBelowPriorityFee,
        replace(GOOD, max_priority_fee_per_gas=1).signed_by(ALICE),
    ),
    "gas above the limit": (
        GasLimitTooHigh,
        replace(GOOD, gas_limit=RULES.transaction_gas_limit + 1).signed_by(ALICE),
    ),
    "init code beyond EIP-3860": (
        InitCodeTooLarge,
        replace(GOOD, to=None, data=bytes(INIT_CODE_BYTES_MAX + 1), gas_limit=15_000_000).signed_by(
            ALICE
        ),
    ),
    "gas below intrinsic": (GasBelowIntrinsic, replace(GOOD, gas_limit=20_999).signed_by(ALICE)),
    "gas of 24,999 where the calldata floor is 25,000": (
        GasBelowIntrinsic,
        replace(GOOD, data=b"\x01" * 100, gas_limit=24_999).signed_by(ALICE),
    ),
    "a short address": (MalformedTransaction, replace(GOOD, to=b"\x01" * 19).signed_by(ALICE)),
    "a short storage key": (
        MalformedTransaction,
        replace(GOOD, access_list=((SINK, (b"\x01",)),)).signed_by(ALICE),
    ),
}


@pytest.mark.parametrize(("refusal", "raw"), REFUSED.values(), ids=REFUSED.keys())
def test_the_static_check_refuses(refusal: type[TransactionRejected], raw: bytes) -> None:
    with pytest.raises(TransactionRejected) as caught:
        check(raw)
    assert type(caught.value) is refusal


def test_the_largest_size_gas_and_nonce_are_allowed() -> None:
    room = TRANSACTION_BYTES_MAX - len(replace(GOOD, data=bytes(70_000)).signed_by(ALICE)) + 70_000
    largest = replace(GOOD, data=bytes(room - 1), gas_limit=RULES.transaction_gas_limit)
    assert len(largest.signed_by(ALICE)) in (TRANSACTION_BYTES_MAX, TRANSACTION_BYTES_MAX - 1)
    assert check(largest.signed_by(ALICE)).sender == ALICE.address
    assert check(replace(GOOD, nonce=NONCE_MAX).signed_by(ALICE)).nonce == NONCE_MAX
    assert check(replace(GOOD, gas_limit=21_000).signed_by(ALICE)).sender == ALICE.address


def test_rules_may_allow_fewer_types() -> None:
    raw = replace(GOOD, transaction_type=0).signed_by(ALICE)
    with pytest.raises(TransactionTypeUnsupported):
        check_transaction(raw, chain_id=CHAIN_ID, rules=replace(RULES, transaction_types=(1, 2)))


def test_a_leading_zero_in_a_field_is_malformed() -> None:
    items = list(decode_list(decode_rlp(GOOD.signed_by(ALICE)[1:])))
    items[1] = b"\x00"
    with pytest.raises(MalformedTransaction):
        decode_transaction(b"\x02" + encode_rlp(items))


@pytest.mark.parametrize(
    ("data", "creates", "intrinsic", "least"),
    [
        (b"", False, 21_000, 21_000),
        (b"\x00" * 10, False, 21_040, 21_100),
        (b"\x01" * 10, False, 21_160, 21_400),
        (b"", True, 53_000, 53_000),
        (b"\x01" * 33, True, 53_000 + 33 * 16 + 2 * 2, 53_000 + 33 * 16 + 2 * 2),
        (b"\x01" * 2000, True, 85_126, 101_000),
    ],
)
def test_intrinsic_gas_follows_the_schedule(
    data: bytes, creates: bool, intrinsic: int, least: int
) -> None:
    assert intrinsic_gas(data, creates=creates) == intrinsic
    assert gas_limit_min(data, creates=creates) == least


def test_declared_accesses_cost_gas() -> None:
    checked = check(replace(GOOD, access_list=ACCESS_LIST).signed_by(ALICE))
    entries = checked.transaction.access_list
    assert intrinsic_gas(b"", creates=False, access_list=entries) == 21_000 + 2 * 2_400 + 2 * 1_900


def test_a_remembered_transaction_is_checked_anew_for_another_chain_or_other_rules() -> None:
    raw = GOOD.signed_by(ALICE)
    first = check_transaction(raw, chain_id=CHAIN_ID, rules=RULES)
    assert check_transaction(bytes(bytearray(raw)), chain_id=CHAIN_ID, rules=RULES) is first
    with pytest.raises(WrongChainId):
        check_transaction(raw, chain_id=CHAIN_ID + 1, rules=RULES)
    with pytest.raises(TransactionTypeUnsupported):
        check_transaction(raw, chain_id=CHAIN_ID, rules=replace(RULES, transaction_types=(0,)))
    with pytest.raises(GasLimitTooHigh):
        check_transaction(
            raw, chain_id=CHAIN_ID, rules=replace(RULES, transaction_gas_limit=21_000)
        )
    assert check_transaction(raw, chain_id=CHAIN_ID, rules=RULES) == first


def test_a_long_transaction_is_not_remembered() -> None:
    raw = replace(GOOD, data=bytes(CHECKED_BYTES_MAX), gas_limit=1_000_000).signed_by(ALICE)
    first = check_transaction(raw, chain_id=CHAIN_ID, rules=RULES)
    again = check_transaction(raw, chain_id=CHAIN_ID, rules=RULES)
    assert again == first
    assert again is not first


def test_the_oldest_of_many_transactions_is_forgotten() -> None:
    memory = Memory[int, str](2)
    for number in range(3):
        memory.put(number, str(number))
    assert [memory.get(number) for number in range(3)] == [None, "1", "2"]
