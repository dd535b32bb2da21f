"""Which chain, and which rules from which block on."""

import json
from dataclasses import replace
from typing import Any

import pytest

from node.errors import PublicChainId, RulesUnknown, SpecificationInvalid
from node.specification import Rules, Specification, parse_specification

CHAIN = Specification(chain_id=2_002_200)
LATER = Rules(from_number=100, block_gas_limit=60_000_000)


def test_a_specification_survives_its_canonical_bytes() -> None:
    two_rules = replace(CHAIN, schedule=(Rules(0), LATER), development=True)
    assert parse_specification(json.loads(two_rules.encode())) == two_rules


def test_different_rules_have_different_hashes() -> None:
    others = [
        replace(CHAIN, chain_id=2_002_201),
        replace(CHAIN, development=True),
        replace(CHAIN, schedule=(Rules(0, block_gas_limit=29_999_999),)),
        replace(CHAIN, schedule=(Rules(0), LATER)),
        replace(CHAIN, schedule=(Rules(0, precompiles_refused=()),)),
    ]
    assert len({CHAIN.hash(), *(other.hash() for other in others)}) == 6


def test_the_canonical_bytes_are_sorted_and_without_spaces() -> None:
    assert CHAIN.encode() == (
        b'{"chainId":2002200,"clockSkewMaxSeconds":10,"development":false,"schedule":'
        b'[{"applicationVersion":1,"baseFeePerGas":0,"blockGasLimit":30000000,"fork":"prague",'
        b'"fromNumber":0,"precompilesRefused":[7,8,9,10,11,12,13,14,15,16,17],'
        b'"transactionGasLimit":16000000,"transactionTypes":[0,1,2]}]}'
    )


@pytest.mark.parametrize(("number", "limit"), [(0, 30), (99, 30), (100, 60), (10**9, 60)])
def test_rules_hold_from_their_block_on(number: int, limit: int) -> None:
    chain = replace(CHAIN, schedule=(Rules(0), LATER))
    assert chain.rules_at(number).block_gas_limit == limit * 1_000_000


@pytest.mark.parametrize(
    "unknown",
    [
        Rules(100, fork="osaka"),
        Rules(100, transaction_types=(0, 1, 2, 4)),
        Rules(100, precompiles_refused=(0x100,)),
    ],
    ids=["a later fork", "a later transaction type", "a later precompiled contract"],
)
def test_rules_this_software_lacks_stop_it_at_their_first_block(unknown: Rules) -> None:
    chain = replace(CHAIN, schedule=(Rules(0), unknown))
    assert chain.rules_at(99) == Rules(0)
    with pytest.raises(RulesUnknown):
        chain.rules_at(100)


@pytest.mark.parametrize("chain_id", [1, 10, 56, 137, 8453, 42161, 11155111])
def test_the_chain_id_of_a_public_network_is_refused(chain_id: int) -> None:
    with pytest.raises(PublicChainId):
        Specification(chain_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 0},
        {"chain_id": 2**53},
        {"schedule": ()},
        {"schedule": (Rules(1),)},
        {"schedule": (Rules(0), Rules(5), Rules(5))},
        {"schedule": (Rules(0, transaction_gas_limit=30_000_001),)},
        {"schedule": (Rules(0, transaction_gas_limit=0),)},
        {"schedule": (Rules(0, base_fee_per_gas=1),)},
        {"schedule": (Rules(0, precompiles_refused=(0,)),)},
        {"schedule": (Rules(0, precompiles_refused=(9, 8)),)},
        {"schedule": (Rules(0, precompiles_refused=(8, 8)),)},
        {"clock_skew_max_seconds": 0},
    ],
    ids=str,
)
def test_contradictory_rules_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SpecificationInvalid):
        replace(CHAIN, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"chainId": "2002200"},
        {"chainId": True},
        {"schedule": {}},
        {"schedule": [1]},
        {"unheardOf": 1},
        {"development": 0},
    ],
    ids=str,
)
def test_a_document_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SpecificationInvalid):
        parse_specification(CHAIN.document() | changes)


def test_a_document_without_a_field_is_refused() -> None:
    for key in CHAIN.document():
        document = CHAIN.document()
        del document[key]
        with pytest.raises(SpecificationInvalid):
            parse_specification(document)
    with pytest.raises(SpecificationInvalid):
        parse_specification([])
