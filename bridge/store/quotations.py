"""Quotations as they were shown; each is used by one payment at most.

Which of two payments uses a quotation is decided by its row: the first to write its own id there.
"""

from datetime import date

from sqlalchemy import Connection, delete, func, insert, select, update

from bridge.money import Amount, parse_currency
from bridge.quotation import Quotation
from bridge.store.payment_record import decode_price, encode_price
from bridge.store.tables.orders import quotations


class Quotations:
    """Quotations by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, quotation: Quotation) -> None:
        """Keep a new quotation."""
        self._connection.execute(
            insert(quotations).values(
                quotation_id=quotation.quotation_id,
                client=quotation.client,
                fingerprint=quotation.fingerprint,
                valid_until=quotation.price.valid_until,
                value_date=quotation.value_date,
                created_at=quotation.created_at,
                price=encode_price(quotation.price),
                currency=quotation.creditor_charge.currency.code,
                creditor_charge=quotation.creditor_charge.minor_units,
            )
        )

    def find(self, quotation_id: str) -> Quotation | None:
        """The quotation with this id, used or not."""
        query = select(quotations).where(quotations.c.quotation_id == quotation_id)
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        value_date: date = row.value_date
        return Quotation(
            quotation_id=row.quotation_id,
            client=row.client,
            fingerprint=row.fingerprint,
            price=decode_price(row.price),
            creditor_charge=Amount(parse_currency(row.currency), row.creditor_charge),
            value_date=value_date,
            created_at=row.created_at,
        )

    def is_used(self, quotation_id: str) -> bool:
        """Whether a payment was made on it."""
        kept = quotations.c
        query = select(kept.payment_id).where(kept.quotation_id == quotation_id)
        return self._connection.execute(query).scalar() is not None

    def use(self, quotation_id: str, payment_id: str) -> bool:
        """Give a quotation to a payment; False when another has it."""
        kept = quotations.c
        change = update(quotations).where(
            kept.quotation_id == quotation_id, kept.payment_id.is_(None)
        )
        return self._connection.execute(change.values(payment_id=payment_id)).rowcount == 1

    def forget(self, client: str, before: int) -> None:
        """Drop a client's quotations that ran out before a UTC second and were never used."""
        kept = quotations.c
        self._connection.execute(
            delete(quotations).where(
                kept.client == client, kept.valid_until < before, kept.payment_id.is_(None)
            )
        )

    def open_count(self, client: str, now: int) -> int:
        """How many quotations of a client are neither used nor run out."""
        kept = quotations.c
        query = select(func.count()).where(
            kept.client == client, kept.valid_until >= now, kept.payment_id.is_(None)
        )
        return self._connection.execute(query).scalar_one()
