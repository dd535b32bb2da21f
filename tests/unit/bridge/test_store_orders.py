"""Quotations and standing orders as the database keeps them: one winner, whoever writes past us.

Cites docs/spec/payment.md: QUO-4, STO-4, STO-8.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from bridge.errors import StatementRefused
from bridge.money import Amount
from bridge.payment import Charges
from bridge.quotation import Price, Quotation
from bridge.standing_order import (
    Convention,
    Frequency,
    Occurrence,
    OccurrenceState,
    OrderState,
    Schedule,
    StandingOrder,
)
from bridge.store import Store
from bridge.store.payment_record import decode_price, encode_price
from support.bridge_records import EUR, NOW, SGD, signed_quote

DAY = date(2026, 11, 30)
AMOUNTS = st.integers(0, 10**17)
PRICE = Price(
    settlement_amount=Amount(SGD, 100_750),
    prepaid=Amount(SGD, 750),
    deducted=Amount(SGD, 0),
    charges=Charges(Amount(EUR, 69_561), Amount(EUR, 69_387), Amount(EUR, 500), "1.44837"),
    signed_quote=signed_quote(),
    valid_until=NOW + 55,
)
QUOTATION = Quotation("quo_1", "alice", b"\x01" * 32, PRICE, Amount(SGD, 750), DAY, NOW)
ORDER = StandingOrder(
    order_id="sto_1",
    client="alice",
    state=OrderState.ACTIVE,
    schedule=Schedule(
        Frequency.MONTHLY, DAY, Convention.PRECEDING, day=31, count=12, last_date=date(2027, 12, 31)
    ),
    instruction=b"<Document/>",
    created_at=NOW,
)
FIRST = Occurrence("sto_1", 1, DAY, DAY)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.open(tmp_path / "bridge.sqlite")
    with opened.unit_of_work() as work:
        work.quotations.add(QUOTATION)
        work.standing_orders.add(ORDER)
        work.standing_orders.plan(FIRST)
    return opened


def test_what_is_kept_is_what_was_given(store: Store) -> None:
    with store.reading() as work:
        assert work.quotations.find("quo_1") == QUOTATION
        assert work.standing_orders.find("sto_1") == ORDER
        assert work.standing_orders.occurrence("sto_1", DAY) == FIRST
        assert work.quotations.find("quo_2") is None
        assert work.standing_orders.find("sto_2") is None


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.booleans())
def test_a_price_is_written_and_read_exactly(
    settled: int, cost: int, fee: int, is_quoted: bool
) -> None:
    price = replace(
        PRICE,
        settlement_amount=Amount(SGD, settled),
        charges=Charges(Amount(EUR, cost), Amount(EUR, cost), Amount(EUR, fee), None),
        signed_quote=signed_quote() if is_quoted else None,
    )
    assert decode_price(encode_price(price)) == price


def test_a_quotation_has_one_payment(store: Store) -> None:
    with store.unit_of_work() as work:
        assert work.quotations.use("quo_1", "pay_1")
        assert not work.quotations.use("quo_1", "pay_2")
        assert work.quotations.is_used("quo_1")
        assert work.quotations.open_count("alice", NOW) == 0


def test_a_payment_has_one_quotation(store: Store) -> None:
    with store.unit_of_work() as work:
        work.quotations.add(replace(QUOTATION, quotation_id="quo_2"))
        work.quotations.use("quo_1", "pay_1")
    with pytest.raises(StatementRefused), store.unit_of_work() as work:
        work.quotations.use("quo_2", "pay_1")


def test_a_due_date_is_resolved_once(store: Store) -> None:
    with store.unit_of_work() as work:
        assert work.standing_orders.execute(FIRST, "pay_1")
        assert not work.standing_orders.execute(FIRST, "pay_2")
        assert not work.standing_orders.miss(FIRST, code="x", reason=None, report=b"")
        assert work.standing_orders.cancel("sto_1")
        assert not work.standing_orders.cancel("sto_1")
        kept = work.standing_orders.occurrence("sto_1", DAY)
    assert kept is not None
    assert (kept.state, kept.payment_id) == (OccurrenceState.EXECUTED, "pay_1")


def test_what_is_due_of_a_cancelled_order_is_cancelled_with_it(store: Store) -> None:
    with store.unit_of_work() as work:
        assert work.standing_orders.cancel("sto_1")
        assert not work.standing_orders.execute(FIRST, "pay_1")
        kept = work.standing_orders.occurrence("sto_1", DAY)
    assert kept is not None
    assert kept.state is OccurrenceState.CANCELLED


ATTACKS = [
    "INSERT INTO standing_order_occurrences SELECT * FROM standing_order_occurrences",
    "UPDATE standing_order_occurrences SET state = 'executed'",
    "UPDATE standing_order_occurrences SET payment_id = 'pay_9'",
    "UPDATE standing_order_occurrences SET state = 'forgotten'",
    "UPDATE standing_orders SET state = 'forgotten'",
    "UPDATE quotations SET creditor_charge = -1",
    "DELETE FROM standing_orders",
]


@pytest.mark.parametrize("statement", ATTACKS)
def test_the_database_refuses_what_cannot_be(store: Store, statement: str) -> None:
    with pytest.raises(StatementRefused), store.unit_of_work() as work:
        work.quotations._connection.execute(text(statement))
