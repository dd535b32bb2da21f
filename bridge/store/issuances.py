"""Issuances and redemptions, by the reference that names them on the chain."""

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.errors import RecordConflict, RecordMissing
from bridge.issuance import Issuance, IssuanceState
from bridge.money import Amount, Currency, parse_currency
from bridge.store import tables
from bridge.store.movements import KEY_DIGITS


class Issuances:
    """Issuances by reference; each reference once, for ever."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, issuance: Issuance) -> None:
        """Keep a new issuance; raises `RecordConflict` when its reference is used."""
        if self.find(issuance.reference) is not None:
            raise RecordConflict("issuance", issuance.reference.hex())
        self._connection.execute(
            insert(tables.issuances).values(
                reference=issuance.reference,
                participant_lei=issuance.participant_lei,
                currency=issuance.amount.currency.code,
                amount=issuance.amount.minor_units,
                account_reference=issuance.account_reference,
                account_address=issuance.account_address,
                created_at=issuance.created_at,
                **_changing(issuance),
            )
        )

    def save(self, issuance: Issuance) -> None:
        """Keep an issuance's new version; raises `RecordMissing` when it was never added."""
        change = (
            update(tables.issuances)
            .where(tables.issuances.c.reference == issuance.reference)
            .values(**_changing(issuance))
        )
        if self._connection.execute(change).rowcount != 1:
            raise RecordMissing("issuance", issuance.reference.hex())

    def get(self, reference: bytes) -> Issuance:
        """The issuance with this reference; raises `RecordMissing`."""
        found = self.find(reference)
        if found is None:
            raise RecordMissing("issuance", reference.hex())
        return found

    def find(self, reference: bytes) -> Issuance | None:
        """The issuance with this reference, if there is one."""
        query = select(tables.issuances).where(tables.issuances.c.reference == reference)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _issuance(row)

    def on_their_way(self, currency: Currency) -> int:
        """What is funded and not yet issued in a currency, in minor units."""
        kept = tables.issuances.c
        query = select(func.coalesce(func.sum(kept.amount), 0)).where(
            kept.state == IssuanceState.FUNDED.value, kept.currency == currency.code
        )
        return int(self._connection.execute(query).scalar_one())

    def keys_on_their_way(self, currency: Currency) -> frozenset[str]:
        """The keys under which what is funded and not yet issued is compared."""
        kept = tables.issuances.c
        query = select(kept.reference).where(
            kept.state == IssuanceState.FUNDED.value, kept.currency == currency.code
        )
        references = self._connection.execute(query).scalars()
        return frozenset(reference.hex()[:KEY_DIGITS] for reference in references)

    def all(self) -> tuple[Issuance, ...]:
        """Every issuance, oldest first."""
        query = select(tables.issuances).order_by(tables.issuances.c.sequence)
        return tuple(_issuance(row) for row in self._connection.execute(query))


def _changing(issuance: Issuance) -> dict[str, str | bytes | None]:
    """The columns that a step may change."""
    return {
        "state": issuance.state.value,
        "entry_id": issuance.entry_id,
        "reason": issuance.reason,
        "transaction_hash": issuance.transaction_hash,
    }


def _issuance(row: Row[Any]) -> Issuance:  # a row of the whole table
    return Issuance(
        reference=row.reference,
        participant_lei=row.participant_lei,
        amount=Amount(parse_currency(row.currency), row.amount),
        account_reference=row.account_reference,
        account_address=row.account_address,
        state=IssuanceState(row.state),
        created_at=row.created_at,
        entry_id=row.entry_id,
        reason=row.reason,
        transaction_hash=row.transaction_hash,
    )
