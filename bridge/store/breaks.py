"""Breaks of this institution, and what others report of theirs."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.breaks import Break, BreakState, BreakType
from bridge.errors import BreakUnknown, RecordConflict
from bridge.money import Amount, Currency, parse_currency
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


@dataclass(frozen=True, slots=True)
class BreakReport:
    """What another institution says of a break of its own books; `state` as it says."""

    lei: str
    break_id: str
    break_type: str
    scope: str
    amount: Amount
    opened_at: int
    state: str


class Breaks:
    """Breaks by id and by what they are about."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, found: Break) -> None:
        """Keep a new break; raises `RecordConflict` when its id is used."""
        if self.find(found.break_id) is not None:
            raise RecordConflict("break", found.break_id)
        self._connection.execute(
            insert(tables.breaks).values(
                break_id=found.break_id,
                break_type=found.break_type.value,
                scope=found.scope,
                subject=found.subject,
                currency=found.currency.code,
                amount=found.amount.minor_units,
                issuer=found.issuer,
                opened_at=found.opened_at,
                block=found.block,
                note=found.note,
                **_changing(found),
            )
        )

    def save(self, found: Break) -> None:
        """Keep an open break's new version; raises `BreakUnknown` when it is not open any more."""
        kept = tables.breaks.c
        change = update(tables.breaks).where(
            kept.break_id == found.break_id, kept.state == BreakState.OPEN.value
        )
        if self._connection.execute(change.values(**_changing(found))).rowcount != 1:
            raise BreakUnknown(found.break_id)

    def get(self, break_id: str) -> Break:
        """The break with this id; raises `BreakUnknown`."""
        found = self.find(break_id)
        if found is None:
            raise BreakUnknown(break_id)
        return found

    def find(self, break_id: str) -> Break | None:
        """The break with this id, if there is one."""
        query = select(tables.breaks).where(tables.breaks.c.break_id == break_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _break(row)

    def first_open(self, currency: Currency) -> Break | None:
        """The oldest open break of a currency."""
        kept = tables.breaks.c
        query = (
            select(tables.breaks)
            .where(kept.state == BreakState.OPEN.value, kept.currency == currency.code)
            .order_by(kept.sequence)
            .limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _break(row)

    def open(self, scope: str, currency: Currency) -> dict[str, Break]:
        """The open breaks of one comparison, by subject."""
        kept = tables.breaks.c
        query = select(tables.breaks).where(
            kept.state == BreakState.OPEN.value,
            kept.currency == currency.code,
            kept.scope == scope,
        )
        return {row.subject: _break(row) for row in self._connection.execute(query)}

    def open_count(self) -> int:
        """How many breaks are open, in any currency."""
        query = select(func.count()).where(tables.breaks.c.state == BreakState.OPEN.value)
        return int(self._connection.execute(query).scalar_one())

    def count_of(self, scope: str, currency: Currency, subject: str) -> int:
        """How many breaks there were about one subject, open or not."""
        query = select(func.count()).where(*_about(scope, currency, subject))
        return int(self._connection.execute(query).scalar_one())

    def newest_of(self, scope: str, currency: Currency, subject: str) -> Break | None:
        """The newest break about one subject, open or not."""
        query = (
            select(tables.breaks)
            .where(*_about(scope, currency, subject))
            .order_by(tables.breaks.c.sequence.desc())
            .limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _break(row)

    def page(
        self,
        state: BreakState | None = None,
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Page[Break]:
        """Breaks, newest first, in one state or in any."""
        query = select(tables.breaks)
        if state is not None:
            query = query.where(tables.breaks.c.state == state.value)
        return read_page(
            self._connection, query, tables.breaks.c.sequence, _break, limit=limit, cursor=cursor
        )

    def report(self, report: BreakReport) -> None:
        """Keep what another institution says of a break; what has ended there stays ended."""
        kept = tables.break_reports.c
        change = update(tables.break_reports).where(
            kept.lei == report.lei, kept.break_id == report.break_id
        )
        ended = change.where(kept.state == BreakState.OPEN.value).values(state=report.state)
        if self._connection.execute(ended).rowcount or self._is_reported(report):
            return
        self._connection.execute(
            insert(tables.break_reports).values(
                lei=report.lei,
                break_id=report.break_id,
                break_type=report.break_type,
                scope=report.scope,
                currency=report.amount.currency.code,
                amount=report.amount.minor_units,
                opened_at=report.opened_at,
                state=report.state,
            )
        )

    def reported(self, lei: str) -> tuple[BreakReport, ...]:
        """The open breaks that an institution reported, oldest first."""
        kept = tables.break_reports.c
        query = (
            select(tables.break_reports)
            .where(kept.lei == lei, kept.state == BreakState.OPEN.value)
            .order_by(kept.opened_at, kept.break_id)
        )
        return tuple(_report(row) for row in self._connection.execute(query))

    def _is_reported(self, report: BreakReport) -> bool:
        kept = tables.break_reports.c
        query = select(kept.state).where(kept.lei == report.lei, kept.break_id == report.break_id)
        return self._connection.execute(query).first() is not None


def _about(scope: str, currency: Currency, subject: str) -> tuple[Any, ...]:
    kept = tables.breaks.c
    return (kept.scope == scope, kept.currency == currency.code, kept.subject == subject)


def _changing(found: Break) -> dict[str, str | int | None]:
    return {
        "state": found.state.value,
        "owner": found.owner,
        "closed_at": found.closed_at,
        "explanation": found.explanation,
        "entry_id": found.entry_id,
    }


def _break(row: Row[Any]) -> Break:  # a row of the whole table
    return Break(
        break_id=row.break_id,
        break_type=BreakType(row.break_type),
        scope=row.scope,
        subject=row.subject,
        amount=Amount(parse_currency(row.currency), row.amount),
        issuer=row.issuer,
        opened_at=row.opened_at,
        block=row.block,
        note=row.note,
        state=BreakState(row.state),
        owner=row.owner,
        closed_at=row.closed_at,
        explanation=row.explanation,
        entry_id=row.entry_id,
    )


def _report(row: Row[Any]) -> BreakReport:  # a row of the whole table
    return BreakReport(
        lei=row.lei,
        break_id=row.break_id,
        break_type=row.break_type,
        scope=row.scope,
        amount=Amount(parse_currency(row.currency), row.amount),
        opened_at=row.opened_at,
        state=row.state,
    )
