"""Payments as this bank keeps them, found by id, by settlement id on the chain or by UETR."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select, update

from bridge.errors import PaymentDuplicate, PaymentUnknown, RecordMissing
from bridge.payment import Direction, Payment, PaymentState
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page
from bridge.store.payment_record import decode_payment, encode_payment
from bridge.store.prepared import Given, Prepared, PreparedInsert


class Payments:
    """Payments by id; one per direction and settlement id, for ever."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, payment: Payment) -> None:
        """Keep a new payment.

        Raises `PaymentDuplicate` when its id, its settlement id or its UETR is taken: an outgoing
        UETR is used once, an incoming one once per sending participant.
        """
        row = {
            "payment_id": payment.payment_id,
            "direction": payment.direction.value,
            "client": payment.client,
            "counterparty_lei": payment.counterparty_lei,
            "settlement_id": payment.settlement_id,
            "is_return": payment.return_of is not None,
            "return_of": None if payment.return_of is None else payment.return_of.payment_id,
            **_changing(payment),
        }
        _ADD.add(self._connection, (row,), lambda: PaymentDuplicate(payment.uetr))

    def save(self, payment: Payment) -> None:
        """Keep a payment's new version.

        Direction, client, counterparty and settlement id stay as added, else `RecordMissing`; the
        UETR may become known later, and `PaymentDuplicate` says that it is taken.
        """
        given = {
            "kept_as": payment.payment_id,
            "kept_direction": payment.direction.value,
            "kept_client": payment.client,
            "kept_counterparty": payment.counterparty_lei,
            "kept_settlement_id": payment.settlement_id,
            **_changing(payment),
        }

        def check(count: int) -> None:
            if count != 1:
                raise RecordMissing("payment", payment.payment_id)

        _SAVE.change(self._connection, given, check, lambda: PaymentDuplicate(payment.uetr))

    def get(self, payment_id: str) -> Payment:
        """The payment with this id; raises `PaymentUnknown`."""
        found = self.find(payment_id)
        if found is None:
            raise PaymentUnknown(payment_id)
        return found

    def find(self, payment_id: str) -> Payment | None:
        """The payment with this id, if there is one."""
        return self._first(_FIND, {"payment_id": payment_id})

    def by_settlement_id(
        self, settlement_id: bytes, direction: Direction | None = None
    ) -> Payment | None:
        """The payment with this key on the chain; the outgoing side when no direction is given
        and this bank keeps both.
        """
        wanted = {"settlement_id": settlement_id}
        if direction is None:
            return self._first(_BY_SETTLEMENT_ID, wanted)
        return self._first(
            _BY_DIRECTION_AND_SETTLEMENT_ID, {**wanted, "direction": direction.value}
        )

    def by_uetr(self, uetr: str, direction: Direction) -> Payment | None:
        """The oldest payment of one direction with this UETR; returns, which bear it too, aside."""
        return self._first(_BY_UETR, {"uetr": uetr, "direction": direction.value})

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

    def _first(self, query: Prepared, given: Given) -> Payment | None:
        rows = query.rows(self._connection, given)
        return decode_payment(rows[0][0]) if rows else None


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


_KEPT = tables.payments.c

_ADD = PreparedInsert(tables.payments)

_SAVE = Prepared(
    update(tables.payments)
    .where(
        _KEPT.payment_id == bindparam("kept_as"),
        _KEPT.direction == bindparam("kept_direction"),
        _KEPT.client == bindparam("kept_client"),
        _KEPT.counterparty_lei == bindparam("kept_counterparty"),
        _KEPT.settlement_id == bindparam("kept_settlement_id"),
    )
    .values(
        {
            name: bindparam(name)
            for name in ("lapses_after", "ends_by", "uetr", "state", "is_terminal", "document")
        }
    )
)

_FIND = Prepared(_documents().where(_KEPT.payment_id == bindparam("payment_id")))

_OF_SETTLEMENT_ID = _documents().where(_KEPT.settlement_id == bindparam("settlement_id"))

_BY_SETTLEMENT_ID = Prepared(
    _OF_SETTLEMENT_ID.where(
        _KEPT.direction.in_([literal(direction.value) for direction in Direction])
    ).order_by(_KEPT.direction.desc())
)
"""Both directions are named, for the index begins with the direction."""

_BY_DIRECTION_AND_SETTLEMENT_ID = Prepared(
    _OF_SETTLEMENT_ID.where(_KEPT.direction == bindparam("direction"))
)

_BY_UETR = Prepared(
    _documents()
    .where(_KEPT.uetr == bindparam("uetr"), _KEPT.direction == bindparam("direction"))
    .where(_KEPT.is_return.is_(False))
    .order_by(_KEPT.sequence)
)
