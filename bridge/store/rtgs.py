"""RTGS accounts and transfers in the database; the rules are those of `bridge.rtgs`."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.errors import RecordConflict, RecordMissing, RtgsAccountUnknown
from bridge.money import Amount, Currency, parse_currency
from bridge.rtgs import Priority, RtgsAccount, RtgsTerms, Transfer, TransferState
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page

_CHUNK: Final = 500
"""References asked for in one statement."""


class RtgsBook:
    """Accounts by participant, transfers by who ordered them and their id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open_account(self, account: RtgsAccount) -> bool:
        """Open an account unless it is open; whether it was opened now."""
        if self.find_account(account.lei) is not None:
            return False
        self._connection.execute(
            insert(tables.rtgs_accounts).values(
                lei=account.lei, currency=account.currency.code, **_terms(account.terms)
            )
        )
        return True

    def set_terms(self, lei: str, terms: RtgsTerms) -> None:
        """Give an account other terms; raises `RtgsAccountUnknown`."""
        change = update(tables.rtgs_accounts).where(tables.rtgs_accounts.c.lei == lei)
        if self._connection.execute(change.values(**_terms(terms))).rowcount != 1:
            raise RtgsAccountUnknown(lei)

    def account(self, lei: str) -> RtgsAccount:
        """The account of a participant; raises `RtgsAccountUnknown`."""
        found = self.find_account(lei)
        if found is None:
            raise RtgsAccountUnknown(lei)
        return found

    def find_account(self, lei: str) -> RtgsAccount | None:
        """The account of a participant, if it has one."""
        query = select(tables.rtgs_accounts).where(tables.rtgs_accounts.c.lei == lei)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _account(row)

    def accounts(self) -> tuple[RtgsAccount, ...]:
        """Every account, by LEI."""
        query = select(tables.rtgs_accounts).order_by(tables.rtgs_accounts.c.lei)
        return tuple(_account(row) for row in self._connection.execute(query))

    def add(self, transfer: Transfer) -> None:
        """Keep a new transfer; raises `RecordConflict` when its id is used by who ordered it."""
        if self.find(transfer.ordered_by, transfer.transfer_id) is not None:
            raise RecordConflict("transfer", transfer.key)
        self._connection.execute(
            insert(tables.rtgs_transfers).values(
                transfer_id=transfer.transfer_id,
                ordered_by=transfer.ordered_by,
                reference=transfer.reference,
                debtor_lei=transfer.debtor_lei,
                creditor_lei=transfer.creditor_lei,
                currency=transfer.amount.currency.code,
                amount=transfer.amount.minor_units,
                priority=transfer.priority.value,
                end_to_end_id=transfer.end_to_end_id,
                entered_at=transfer.entered_at,
                business_day=transfer.business_day.isoformat(),
                state=transfer.state.value,
                ended_at=transfer.ended_at,
                reason=transfer.reason,
            )
        )

    def end(self, transfer: Transfer) -> None:
        """Keep how a queued transfer ended; raises `RecordMissing` when it is not queued."""
        kept = tables.rtgs_transfers.c
        change = (
            update(tables.rtgs_transfers)
            .where(
                kept.ordered_by == transfer.ordered_by,
                kept.transfer_id == transfer.transfer_id,
                kept.state == TransferState.QUEUED.value,
            )
            .values(state=transfer.state.value, ended_at=transfer.ended_at, reason=transfer.reason)
        )
        if self._connection.execute(change).rowcount != 1:
            raise RecordMissing("queued transfer", transfer.key)

    def find(self, ordered_by: str, transfer_id: str) -> Transfer | None:
        """The transfer that somebody ordered under an id, if there is one."""
        kept = tables.rtgs_transfers.c
        query = select(tables.rtgs_transfers).where(
            kept.ordered_by == ordered_by, kept.transfer_id == transfer_id
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _transfer(row)

    def get(self, ordered_by: str, transfer_id: str) -> Transfer:
        """The transfer that somebody ordered under an id; raises `RecordMissing`."""
        found = self.find(ordered_by, transfer_id)
        if found is None:
            raise RecordMissing("transfer", f"{ordered_by}:{transfer_id}")
        return found

    def by_reference(self, references: Iterable[str]) -> dict[str, Transfer]:
        """Transfers by their reference; what is none is left out."""
        kept = tables.rtgs_transfers.c
        found: dict[str, Transfer] = {}
        wanted = sorted(references)
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            query = select(tables.rtgs_transfers).where(kept.reference.in_(chunk))
            found |= {row.reference: _transfer(row) for row in self._connection.execute(query)}
        return found

    def head(self, lei: str) -> Transfer | None:
        """The transfer that stands first in an account's queue."""
        kept = tables.rtgs_transfers.c
        for priority in Priority:
            query = (
                select(tables.rtgs_transfers)
                .where(
                    kept.debtor_lei == lei,
                    kept.state == TransferState.QUEUED.value,
                    kept.priority == priority.value,
                )
                .order_by(kept.sequence)
                .limit(1)
            )
            row = self._connection.execute(query).one_or_none()
            if row is not None:
                return _transfer(row)
        return None

    def queued(self, lei: str | None = None) -> tuple[Transfer, ...]:
        """The transfers that wait, of one account or of all, in the order they came."""
        kept = tables.rtgs_transfers.c
        query = (
            select(tables.rtgs_transfers)
            .where(kept.state == TransferState.QUEUED.value)
            .order_by(kept.sequence)
        )
        if lei is not None:
            query = query.where(kept.debtor_lei == lei)
        return tuple(_transfer(row) for row in self._connection.execute(query))

    def queue_of(self, lei: str) -> tuple[int, int]:
        """How many transfers wait in an account's queue, and for how much in minor units."""
        kept = tables.rtgs_transfers.c
        query = select(func.count(), func.coalesce(func.sum(kept.amount), 0)).where(
            kept.debtor_lei == lei, kept.state == TransferState.QUEUED.value
        )
        count, amount = self._connection.execute(query).one()
        return int(count), int(amount)

    def ended_count(self) -> int:
        """How many transfers have ended, ever."""
        kept = tables.rtgs_transfers.c
        query = select(func.count()).where(kept.state != TransferState.QUEUED.value)
        return int(self._connection.execute(query).scalar_one())

    def used(self, lei: str, day: date) -> int:
        """What left an account by transfers of a business day, or waits to leave it."""
        kept = tables.rtgs_transfers.c
        query = select(func.coalesce(func.sum(kept.amount), 0)).where(
            kept.debtor_lei == lei,
            kept.business_day == day.isoformat(),
            kept.state.in_([TransferState.QUEUED.value, TransferState.SETTLED.value]),
        )
        return int(self._connection.execute(query).scalar_one())

    def page(self, *, limit: int = PAGE_DEFAULT, cursor: str | None = None) -> Page[Transfer]:
        """Transfers, newest first."""
        return read_page(
            self._connection,
            select(tables.rtgs_transfers),
            tables.rtgs_transfers.c.sequence,
            _transfer,
            limit=limit,
            cursor=cursor,
        )

    def open_day(self, currency: Currency) -> date | None:
        """The date from which on the first business day is open; None before the first."""
        query = select(tables.business_days.c.day).where(
            tables.business_days.c.currency == currency.code
        )
        found = self._connection.execute(query).scalar_one_or_none()
        return None if found is None else date.fromisoformat(found)

    def set_day(self, currency: Currency, day: date) -> None:
        """Keep from which date on the first business day is open."""
        if self.open_day(currency) is None:
            self._connection.execute(
                insert(tables.business_days).values(currency=currency.code, day=day.isoformat())
            )
            return
        self._connection.execute(
            update(tables.business_days)
            .where(tables.business_days.c.currency == currency.code)
            .values(day=day.isoformat())
        )


def _terms(terms: RtgsTerms) -> dict[str, int | None]:
    return {
        "credit_line": terms.credit_line,
        "reserve_requirement": terms.reserve_requirement,
        "transfer_max": terms.transfer_max,
        "day_max": terms.day_max,
    }


def _account(row: Row[Any]) -> RtgsAccount:  # a row of the whole table
    return RtgsAccount(
        lei=row.lei,
        currency=parse_currency(row.currency),
        terms=RtgsTerms(
            credit_line=row.credit_line,
            reserve_requirement=row.reserve_requirement,
            transfer_max=row.transfer_max,
            day_max=row.day_max,
        ),
    )


def _transfer(row: Row[Any]) -> Transfer:  # a row of the whole table
    return Transfer(
        transfer_id=row.transfer_id,
        ordered_by=row.ordered_by,
        debtor_lei=row.debtor_lei,
        creditor_lei=row.creditor_lei,
        amount=Amount(parse_currency(row.currency), row.amount),
        priority=Priority(row.priority),
        end_to_end_id=row.end_to_end_id,
        entered_at=row.entered_at,
        business_day=date.fromisoformat(row.business_day),
        state=TransferState(row.state),
        ended_at=row.ended_at,
        reason=row.reason,
    )
