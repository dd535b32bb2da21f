"""What moves custody between a bank and the central bank: orders, credits, register, reports."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.money import Amount, parse_currency
from bridge.store import tables


@unique
class CustodyDirection(StrEnum):
    """Which way an order moves retail CBDC: out of reserves, into them, or to another bank."""

    ISSUE = "issue"
    REDEEM = "redeem"
    TRANSFER = "transfer"


@unique
class CustodyOrderState(StrEnum):
    """Whether the central bank has answered."""

    ORDERED = "ordered"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CustodyOrder:
    """A bank's order at the central bank's register, by its reference.

    `details` is what the receiving bank is to know, `sealed` the same as only that bank can open it:
    written once, before the order is first sent. `entry_id` is the entry that sets the money aside.
    """

    reference: bytes
    direction: CustodyDirection
    state: CustodyOrderState
    amount: Amount
    entry_id: str
    created_at: int
    receiver_lei: str | None = None
    details: Mapping[str, str] | None = None
    sealed: str | None = None
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class CustodyCredit:
    """Custody that came from another bank; `position` counts a bank's credits from 1, without gaps.

    `wallet_id` is the wallet that was credited, None where none could be.
    """

    position: int
    reference: bytes
    sender_lei: str
    amount: Amount
    wallet_id: str | None
    taken_at: int


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """One movement in the central bank's register."""

    reference: bytes
    direction: CustodyDirection
    sender_lei: str
    amount: Amount
    taken_at: int
    receiver_lei: str | None = None
    position: int | None = None
    sealed: str | None = None


@dataclass(frozen=True, slots=True)
class CustodyReport:
    """What a bank says of one day: its custody in minor units, and wallets by tier."""

    lei: str
    day: int
    in_custody: int
    tiers: Mapping[str, int]
    taken_at: int


class CustodyOrders:
    """A bank's orders by reference; each reference once, for ever."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, order: CustodyOrder) -> None:
        """Keep a new order; raises `RecordConflict` when its reference is used."""
        if self.find(order.reference) is not None:
            raise RecordConflict("custody order", order.reference.hex())
        self._connection.execute(
            insert(tables.retail_orders).values(
                reference=order.reference,
                direction=order.direction.value,
                state=order.state.value,
                currency=order.amount.currency.code,
                amount=order.amount.minor_units,
                receiver_lei=order.receiver_lei,
                details=None if order.details is None else json.dumps(dict(order.details)),
                sealed=order.sealed,
                payment_id=order.payment_id,
                entry_id=order.entry_id,
                created_at=order.created_at,
            )
        )

    def find(self, reference: bytes) -> CustodyOrder | None:
        """The order with this reference, if there is one."""
        query = select(tables.retail_orders).where(tables.retail_orders.c.reference == reference)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _order(row)

    def get(self, reference: bytes) -> CustodyOrder:
        """The order with this reference; raises `RecordMissing`."""
        found = self.find(reference)
        if found is None:
            raise RecordMissing("custody order", reference.hex())
        return found

    def seal(self, order: CustodyOrder, sealed: str) -> CustodyOrder:
        """Keep what is sealed for the receiver, once: the first stays, and is what counts."""
        kept = tables.retail_orders.c
        change = (
            update(tables.retail_orders)
            .where(kept.reference == order.reference, kept.sealed.is_(None))
            .values(sealed=sealed)
        )
        self._connection.execute(change)
        return self.get(order.reference)

    def end(self, order: CustodyOrder, state: CustodyOrderState) -> CustodyOrder:
        """Keep how an order ended."""
        change = (
            update(tables.retail_orders)
            .where(tables.retail_orders.c.reference == order.reference)
            .values(state=state.value)
        )
        self._connection.execute(change)
        return replace(order, state=state)

    def open_redemptions(self) -> int:
        """How many redemptions the central bank has not answered."""
        kept = tables.retail_orders.c
        query = select(func.count()).where(
            kept.direction == CustodyDirection.REDEEM.value,
            kept.state == CustodyOrderState.ORDERED.value,
        )
        return self._connection.execute(query).scalar_one()


class CustodyCredits:
    """What came from other banks, in the order the central bank gave it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, credit: CustodyCredit) -> None:
        """Keep a credit; the database refuses a position or a reference that is used."""
        self._connection.execute(
            insert(tables.retail_credits).values(
                currency=credit.amount.currency.code,
                position=credit.position,
                reference=credit.reference,
                sender_lei=credit.sender_lei,
                amount=credit.amount.minor_units,
                wallet_id=credit.wallet_id,
                taken_at=credit.taken_at,
            )
        )

    def expected(self, currency: str) -> int:
        """The position that comes next."""
        kept = tables.retail_credits.c
        query = select(func.coalesce(func.max(kept.position), 0)).where(kept.currency == currency)
        return int(self._connection.execute(query).scalar_one()) + 1

    def at(self, currency: str, position: int) -> CustodyCredit | None:
        """The credit at a position, if it came."""
        kept = tables.retail_credits.c
        query = select(tables.retail_credits).where(
            kept.currency == currency, kept.position == position
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _credit(row)

    def by_reference(self, reference: bytes) -> CustodyCredit | None:
        """The credit with this reference, if it came."""
        query = select(tables.retail_credits).where(tables.retail_credits.c.reference == reference)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _credit(row)


class RetailRegister:
    """The central bank's movements of retail CBDC by reference, and what banks report."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: RegisterRow) -> None:
        """Keep a movement; the database refuses a reference that is used."""
        self._connection.execute(
            insert(tables.retail_register).values(
                reference=row.reference,
                direction=row.direction.value,
                sender_lei=row.sender_lei,
                receiver_lei=row.receiver_lei,
                currency=row.amount.currency.code,
                amount=row.amount.minor_units,
                position=row.position,
                sealed=row.sealed,
                taken_at=row.taken_at,
            )
        )

    def find(self, reference: bytes) -> RegisterRow | None:
        """The movement with this reference, if there is one."""
        query = select(tables.retail_register).where(
            tables.retail_register.c.reference == reference
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _register_row(row)

    def credit_at(self, receiver_lei: str, position: int) -> RegisterRow | None:
        """The transfer that is a bank's credit at this position, if there is one."""
        kept = tables.retail_register.c
        query = select(tables.retail_register).where(
            kept.receiver_lei == receiver_lei, kept.position == position
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _register_row(row)

    def next_position(self, receiver_lei: str) -> int:
        """The position of the next credit of a bank."""
        kept = tables.retail_register.c
        query = select(func.coalesce(func.max(kept.position), 0)).where(
            kept.receiver_lei == receiver_lei
        )
        return int(self._connection.execute(query).scalar_one()) + 1

    def delivered(self, receiver_lei: str) -> int:
        """The position up to which a bank has taken its credits."""
        kept = tables.retail_deliveries.c
        query = select(kept.position).where(kept.receiver_lei == receiver_lei)
        found: int | None = self._connection.execute(query).scalar()
        return found or 0

    def deliver(self, receiver_lei: str, position: int) -> None:
        """Keep that a bank has taken the credit at this position, and all before it."""
        kept = tables.retail_deliveries.c
        before = self.delivered(receiver_lei)
        if before == 0:
            self._connection.execute(
                insert(tables.retail_deliveries).values(
                    receiver_lei=receiver_lei, position=position
                )
            )
        elif before < position:
            change = update(tables.retail_deliveries).where(kept.receiver_lei == receiver_lei)
            self._connection.execute(change.values(position=position))

    def total(self, direction: CustodyDirection) -> int:
        """Minor units ever moved in one direction."""
        kept = tables.retail_register.c
        query = select(func.coalesce(func.sum(kept.amount), 0)).where(
            kept.direction == direction.value
        )
        return int(self._connection.execute(query).scalar_one())

    def report(self, report: CustodyReport) -> None:
        """Keep a bank's report of a day; the first one of the day stays."""
        kept = tables.retail_reports.c
        query = select(kept.day).where(kept.lei == report.lei, kept.day == report.day)
        if self._connection.execute(query).first() is not None:
            return
        self._connection.execute(
            insert(tables.retail_reports).values(
                lei=report.lei,
                day=report.day,
                in_custody=report.in_custody,
                tiers=json.dumps(dict(report.tiers), sort_keys=True),
                taken_at=report.taken_at,
            )
        )

    def last_report(self, lei: str) -> CustodyReport | None:
        """A bank's report of its newest day, if it ever reported."""
        kept = tables.retail_reports.c
        query = (
            select(tables.retail_reports).where(kept.lei == lei).order_by(kept.day.desc()).limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        return CustodyReport(row.lei, row.day, row.in_custody, json.loads(row.tiers), row.taken_at)


def _order(row: Row[Any]) -> CustodyOrder:  # a row of the whole table
    return CustodyOrder(
        reference=row.reference,
        direction=CustodyDirection(row.direction),
        state=CustodyOrderState(row.state),
        amount=Amount(parse_currency(row.currency), row.amount),
        entry_id=row.entry_id,
        created_at=row.created_at,
        receiver_lei=row.receiver_lei,
        details=None if row.details is None else json.loads(row.details),
        sealed=row.sealed,
        payment_id=row.payment_id,
    )


def _credit(row: Row[Any]) -> CustodyCredit:  # a row of the whole table
    return CustodyCredit(
        position=row.position,
        reference=row.reference,
        sender_lei=row.sender_lei,
        amount=Amount(parse_currency(row.currency), row.amount),
        wallet_id=row.wallet_id,
        taken_at=row.taken_at,
    )


def _register_row(row: Row[Any]) -> RegisterRow:  # a row of the whole table
    return RegisterRow(
        reference=row.reference,
        direction=CustodyDirection(row.direction),
        sender_lei=row.sender_lei,
        amount=Amount(parse_currency(row.currency), row.amount),
        taken_at=row.taken_at,
        receiver_lei=row.receiver_lei,
        position=row.position,
        sealed=row.sealed,
    )
