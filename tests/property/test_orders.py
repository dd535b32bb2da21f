"""Whoever orders whatever under whatever key: ids that come out the same again, and no others.

Cites docs/spec/payment.md: PAY-5, STO-3.
"""

import re
import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.iso20022.identifiers import parse_uetr
from bridge.iso20022.parse import parse_initiation
from bridge.settlement.order import Order, derive_order_id, derive_uetr
from bridge.store import Customer
from support.messages import ALICE, EXAMPLE_PATH

INSTRUCTION = parse_initiation(EXAMPLE_PATH.read_bytes()).instructions[0]
SECRETS = st.binary(min_size=32, max_size=32)
TEXTS = st.text(min_size=1, max_size=64)


def order(client: str, key: str) -> Order:
    assert ALICE.address is not None
    return Order(Customer(client, ALICE.name, ALICE.address, b""), key, INSTRUCTION)


@given(SECRETS, TEXTS, TEXTS)
def test_a_derived_uetr_is_a_version_4_uuid_and_stable(
    secret: bytes, client: str, key: str
) -> None:
    uetr = derive_uetr(secret, order(client, key))
    assert parse_uetr(uetr) == uetr
    assert uuid.UUID(uetr).version == 4
    assert uuid.UUID(uetr).variant == uuid.RFC_4122
    changed = replace(order(client, key), instruction=replace(INSTRUCTION, end_to_end_id="OTHER"))
    assert derive_uetr(secret, changed) == uetr


@given(SECRETS, st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
def test_two_orders_share_ids_only_when_client_and_key_are_the_same(
    secret: bytes, one: tuple[str, str], other: tuple[str, str]
) -> None:
    for derive in (derive_uetr, derive_order_id):
        assert (derive(secret, order(*one)) == derive(secret, order(*other))) == (one == other)


@given(SECRETS, SECRETS, TEXTS, TEXTS)
def test_another_bank_derives_another_uetr(one: bytes, other: bytes, client: str, key: str) -> None:
    uetrs = derive_uetr(one, order(client, key)), derive_uetr(other, order(client, key))
    assert (uetrs[0] == uetrs[1]) == (one == other)


@given(SECRETS, TEXTS, TEXTS)
def test_the_id_of_a_standing_order_is_of_its_own_kind(
    secret: bytes, client: str, key: str
) -> None:
    found = derive_order_id(secret, order(client, key))
    assert re.fullmatch(r"sto_[0-9a-f]{32}", found)
    assert found.removeprefix("sto_") != derive_uetr(secret, order(client, key)).replace("-", "")
