"""Payments as this bank keeps them, found by id, by settlement id on the chain or by UETR."""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update

from bridge.errors import PaymentDuplicate, PaymentUnknown, RecordMissing
from bridge.payment import Direction, Payment, PaymentState
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page
from bridge.store.payment_record import decode_payment, encode_payment


class Payments:
    """Payments by id; one per direction and settlement id, for ever."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, payment: Payment) -> None:
        """Keep a new payment.

        Raises `PaymentDuplicate` when its id, its settlement id or its UETR is taken: an outgoing
        UETR is used once, an incoming one once per sending participant.
        """
        if self._is_taken(payment):
            raise PaymentDuplicate(payment.uetr)
        self._connection.execute(
            insert(tables.payments).values(
                payment_id=payment.payment_id,
                direction=payment.direction.value,
                client=payment.client,
                counterparty_lei=payment.counterparty_lei,
                settlement_id=payment.settlement_id,
                is_return=payment.return_of is not None,
                return_of=None if payment.return_of is None else payment.return_of.payment_id,
                **_changing(payment),
            )
        )

    def save(self, payment: Payment) -> None:
        """Keep a payment's new version.

        Direction, client, counterparty and settlement id stay as added, else `RecordMissing`; the
        UETR may become known later, and `PaymentDuplicate` says that it is taken.
        """
        if self._is_taken(payment, kept_as=payment.payment_id):
            raise PaymentDuplicate(payment.uetr)
        kept = tables.payments.c
        change = update(tables.payments).where(
            kept.payment_id == payment.payment_id,
            kept.direction == payment.direction.value,
            kept.client == payment.client,
            kept.counterparty_lei == payment.counterparty_lei,
            kept.settlement_id == payment.settlement_id,
        )
        if self._connection.execute(change.values(**_changing(payment))).rowcount != 1:
            raise RecordMissing("payment", payment.payment_id)

    def get(self, payment_id: str) -> Payment:
        """The payment with this id; raises `PaymentUnknown`."""
        found = self.find(payment_id)
        if found is None:
            raise PaymentUnknown(payment_id)
        return found

    def find(self, payment_id: str) -> Payment | None:
        """The payment with this id, if there is one."""
        return self._first(_documents().where(tables.payments.c.payment_id == payment_id))

    def by_settlement_id(
        self, settlement_id: bytes, direction: Direction | None = None
    ) -> Payment | None:
        """The payment with this key on the chain; the outgoing side when no direction is given
        and this bank keeps both.
        """
        kept = tables.payments.c
        query = _documents().where(kept.settlement_id == settlement_id)
        if direction is not None:
            query = query.where(kept.direction == direction.value)
        return self._first(query.order_by(kept.direction.desc()))

    def by_uetr(self, uetr: str, direction: Direction) -> Payment | None:
        """The oldest payment of one direction with this UETR; returns, which bear it too, aside."""
        kept = tables.payments.c
        query = _documents().where(kept.uetr == uetr, kept.direction == direction.value)
        query = query.where(kept.is_return.is_(False))
        return self._first(query.order_by(kept.sequence))

    def page(
        self, client: str | None = None, *, limit: int = PAGE_DEFAULT, cursor: str | None = None
    ) -> Page[Payment]:
        """Payments, newest first, of one client or of all."""
        kept = tables.payments.c
        query = select(kept.sequence, kept.document)
        if client is not None:
            query = query.where(kept.client == client)
        return read_page(
            self._connection,
            query,
            kept.sequence,
            lambda row: decode_payment(row.document),
            limit=limit,
            cursor=cursor,
        )

    def lapsed(self, at: int) -> tuple[Payment, ...]:
        """Payments reserved and not instructed by their deadline, which is before the UTC second `at`."""
        kept = tables.payments.c
        query = _documents().where(kept.lapses_after < at)
        rows = self._connection.execute(query.order_by(kept.lapses_after, kept.sequence))
        return tuple(decode_payment(row.document) for row in rows)

    def returns_of(self, payment_id: str) -> tuple[Payment, ...]:
        """What was given back of a payment or is on its way back, oldest first."""
        kept = tables.payments.c
        query = _documents().where(kept.return_of == payment_id).order_by(kept.sequence)
        return tuple(decode_payment(row.document) for row in self._connection.execute(query))

    def overdue(self, at: int, limit: int) -> tuple[Payment, ...]:
        """Payments that have not ended though the chain could have ended them before `at`."""
        kept = tables.payments.c
        query = _documents().where(kept.ends_by < at).order_by(kept.ends_by).limit(limit)
        return tuple(decode_payment(row.document) for row in self._connection.execute(query))

    def open_count(self) -> int:
        """How many payments are not terminal."""
        query = select(func.count()).where(tables.payments.c.is_terminal.is_(False))
        return self._connection.execute(query).scalar_one()

    def open_by_state(self) -> dict[str, int]:
        """How many payments are not terminal, by state; states with none are left out."""
        kept = tables.payments.c
        query = select(kept.state, func.count()).where(kept.is_terminal.is_(False))
        rows = self._connection.execute(query.group_by(kept.state))
        return {row.state: row[1] for row in rows}

    def _is_taken(self, payment: Payment, kept_as: str | None = None) -> bool:
        kept = tables.payments.c
        # one condition per index: nested in each other they would be a search of half the table
        same_way = kept.direction == payment.direction.value
        taken = [
            kept.payment_id == payment.payment_id,
            same_way & (kept.settlement_id == payment.settlement_id),
        ]
        if payment.return_of is None:
            same_uetr = same_way & (kept.uetr == payment.uetr) & kept.is_return.is_(False)
            if payment.direction is Direction.INCOMING:
                same_uetr &= kept.counterparty_lei == payment.counterparty_lei
            taken.append(same_uetr)
        query = select(kept.sequence).where(or_(*taken), kept.payment_id.is_distinct_from(kept_as))
        return self._connection.execute(query.limit(1)).first() is not None

    def _first(self, query: Select[Any]) -> Payment | None:  # a row of one document
        row: Row[Any] | None = self._connection.execute(query.limit(1)).first()
        return None if row is None else decode_payment(row.document)


def _documents() -> Select[Any]:  # a row of one document
    return select(tables.payments.c.document)


def _changing(payment: Payment) -> dict[str, str | bool | int | None]:
    """The columns that a transition may change."""
    is_reserved = payment.state is PaymentState.RESERVED
    return {
        "lapses_after": payment.terms.accept_by if is_reserved else None,
        "ends_by": payment.ends_by,
        "uetr": payment.uetr,
        "state": payment.state.value,
        "is_terminal": payment.is_terminal,
        "document": encode_payment(payment),
    }
