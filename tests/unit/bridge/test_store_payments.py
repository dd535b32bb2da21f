"""Payments in the database: kept once, found by every name, and read back exactly."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import (
    PaymentDuplicate,
    PaymentUnknown,
    RecordMissing,
)
from bridge.money import CURRENCY_BY_CODE, Amount
from bridge.payment import (
    Charges,
    Direction,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    SettlementId,
    SignedQuote,
    Terms,
)
from bridge.store import (
    Store,
    UnitOfWork,
)
from bridge.store.payment_record import decode_payment, encode_payment
from support.bridge_records import (
    ALPHA_LEI,
    BETA_LEI,
    open_store_at,
    payment,
    quote,
)
from support.databases import Databases


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    with closing(open_store_at(databases.place())) as opened:
        yield opened


@pytest.fixture
def work(store: Store) -> Iterator[UnitOfWork]:
    with store.unit_of_work() as opened:
        yield opened


def add(store: Store, *payments: Payment) -> None:
    with store.unit_of_work() as work:
        for each in payments:
            work.payments.add(each)


def save(store: Store, changed: Payment) -> None:
    with store.unit_of_work() as work:
        work.payments.save(changed)


def test_a_payment_comes_back_as_it_was_saved(work: UnitOfWork) -> None:
    begun = payment()
    work.payments.add(begun)
    assert work.payments.get(begun.payment_id) == begun
    settled = replace(begun, state=PaymentState.SETTLED, block_number=7, reason="AB05")
    work.payments.save(settled)
    assert work.payments.get(begun.payment_id) == settled
    assert work.payments.by_settlement_id(begun.settlement_id) == settled
    assert work.payments.by_settlement_id(begun.settlement_id, Direction.INCOMING) is None
    assert work.payments.by_uetr(begun.uetr, Direction.OUTGOING) == settled


def test_a_payment_that_was_never_added_is_unknown(store: Store) -> None:
    with store.reading() as work:
        assert work.payments.find("pay_1") is None
        with pytest.raises(PaymentUnknown):
            work.payments.get("pay_1")
    with pytest.raises(RecordMissing):
        save(store, payment())


def test_what_names_a_payment_on_the_chain_cannot_be_changed(store: Store) -> None:
    """STO-5."""
    add(store, payment(1))
    with pytest.raises(RecordMissing):
        save(store, replace(payment(1), settlement_id=SettlementId(b"\x09" * 32)))
    with store.reading() as work:
        assert work.payments.get(payment(1).payment_id) == payment(1)


DUPLICATES = {
    "the same id": payment(1),
    "the same settlement id": replace(
        payment(2), settlement_id=payment(1).settlement_id, payment_id=PaymentId("pay_x")
    ),
    "the same outgoing UETR, to another bank": replace(
        payment(2), uetr=payment(1).uetr, counterparty_lei=ALPHA_LEI
    ),
}


@pytest.mark.parametrize("second", DUPLICATES.values(), ids=DUPLICATES.keys())
def test_an_outgoing_payment_is_kept_once(store: Store, second: Payment) -> None:
    """STO-5."""
    add(store, payment(1))
    with pytest.raises(PaymentDuplicate):
        add(store, second)
    with store.reading() as work:
        assert work.payments.page().items == (payment(1),)


def test_an_incoming_uetr_is_kept_once_per_sending_participant(store: Store) -> None:
    """STO-5."""
    add(store, payment(1, Direction.INCOMING))
    same = replace(payment(2, Direction.INCOMING), uetr=payment(1).uetr)
    with pytest.raises(PaymentDuplicate):
        add(store, same)
    add(store, replace(same, counterparty_lei=ALPHA_LEI))
    with store.reading() as work:
        first = work.payments.by_uetr(payment(1).uetr, Direction.INCOMING)
    assert first is not None
    assert first.counterparty_lei == BETA_LEI


def test_a_payment_may_learn_its_uetr_later_but_not_one_that_is_taken(store: Store) -> None:
    announced = replace(payment(2, Direction.INCOMING), uetr="unknown")
    add(store, payment(1, Direction.INCOMING), announced)
    with pytest.raises(PaymentDuplicate):
        save(store, replace(announced, uetr=payment(1).uetr))
    save(store, replace(announced, uetr=payment(2).uetr))
    with store.reading() as work:
        assert work.payments.by_uetr("unknown", Direction.INCOMING) is None
        assert work.payments.by_uetr(payment(2).uetr, Direction.INCOMING) is not None


def test_both_sides_of_a_payment_may_be_kept_by_one_bank(work: UnitOfWork) -> None:
    work.payments.add(payment(1, Direction.INCOMING))
    work.payments.add(payment(1, Direction.OUTGOING))
    found = work.payments.by_settlement_id(payment(1).settlement_id)
    assert found is not None
    assert found.direction is Direction.OUTGOING


def test_open_payments_are_counted_until_they_are_terminal(work: UnitOfWork) -> None:
    for number in range(3):
        work.payments.add(payment(number))
    work.payments.save(replace(payment(1), state=PaymentState.EXPIRED))
    assert work.payments.open_count() == 2


def test_payments_are_paged_by_client_newest_first(work: UnitOfWork) -> None:
    for number in range(4):
        client = "alice" if number != 2 else "bob"
        work.payments.add(replace(payment(number), client=client))
    first = work.payments.page("alice", limit=2)
    assert [each.end_to_end_id for each in first.items] == ["E2E-3", "E2E-1"]
    second = work.payments.page("alice", limit=2, cursor=first.next_cursor)
    assert [each.end_to_end_id for each in second.items] == ["E2E-0"]
    assert second.next_cursor is None
    assert len(work.payments.page().items) == 4


_bytes32 = st.binary(min_size=32, max_size=32)
_texts = st.text(max_size=20)
_times = st.integers(0, 2**40 - 1)
_units = st.integers(1, 10**18 - 1)
_currencies = st.sampled_from(sorted(CURRENCY_BY_CODE.values(), key=lambda each: each.code))
_amounts = st.builds(Amount, _currencies, _units)
_legs = st.builds(Leg, st.sampled_from(["EUR", "SGD"]), _bytes32, _bytes32, _units)
_terms = st.builds(
    Terms,
    legs=st.lists(_legs, min_size=1, max_size=3).map(tuple),
    message_commitment=_bytes32,
    quote_hash=_bytes32,
    accept_by=_times,
    settle_by=_times,
    supervisor_copy_hash=_bytes32,
    priority=st.integers(0, 255),
)
_signed = st.builds(
    SignedQuote,
    quote=st.builds(quote, _bytes32),
    quote_hash=_bytes32,
    signature=st.binary(min_size=65, max_size=65),
)
_charges = st.builds(
    Charges,
    principal=_amounts,
    cost=_amounts,
    fee=_amounts,
    rate=st.none() | st.just("1.45200"),
)
_payments = st.builds(
    Payment,
    payment_id=_texts.map(PaymentId),
    direction=st.sampled_from(Direction),
    state=st.sampled_from(PaymentState),
    client=_texts,
    uetr=_texts,
    end_to_end_id=_texts,
    settlement_id=_bytes32.map(SettlementId),
    counterparty_lei=_texts,
    settlement_amount=_amounts,
    terms=_terms,
    created_at=_times,
    account_id=st.none() | _texts,
    charges=st.none() | _charges,
    salt=st.none() | _bytes32,
    signed_quote=st.none() | _signed,
    reason=st.none() | _texts,
    transaction_hash=st.none() | _bytes32,
    block_number=st.none() | _times,
)


@given(_payments)
def test_any_payment_survives_its_document(any_payment: Payment) -> None:
    assert decode_payment(encode_payment(any_payment)) == any_payment
