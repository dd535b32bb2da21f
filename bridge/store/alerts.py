"""Alerts by kind and subject: raised while what they are about is seen, cleared when it is gone."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.alert import Alert, AlertKind, Finding
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


class Alerts:
    """Raised and cleared alerts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def see(self, findings: Iterable[Finding], at: int) -> None:
        """Raise what is found, clear what is not: afterwards the raised alerts are the findings."""
        found = {(finding.kind, finding.subject): finding for finding in findings}
        raised = {(each.finding.kind, each.finding.subject) for each in self.raised()}
        for finding in found.values():
            self._raise(finding, at)
        for kind, subject in sorted(raised - found.keys()):
            self._change(kind, subject, is_raised=False, cleared_at=at)

    def raised(self) -> tuple[Alert, ...]:
        """Every raised alert, oldest first."""
        kept = tables.alerts.c
        query = select(tables.alerts).where(kept.is_raised.is_(True)).order_by(kept.sequence)
        return tuple(_alert(row) for row in self._connection.execute(query))

    def counts(self) -> Mapping[AlertKind, int]:
        """How many alerts of each kind are raised; every kind is there."""
        kept = tables.alerts.c
        query = select(kept.kind, func.count()).where(kept.is_raised.is_(True)).group_by(kept.kind)
        found = {AlertKind(kind): count for kind, count in self._connection.execute(query)}
        return {kind: found.get(kind, 0) for kind in AlertKind}

    def page(
        self,
        is_raised: bool | None = None,  # noqa: FBT001 - a filter like any other
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Page[Alert]:
        """Alerts, newest first: raised ones, cleared ones, or both."""
        kept = tables.alerts.c
        query = select(tables.alerts)
        if is_raised is not None:
            query = query.where(kept.is_raised.is_(is_raised))
        return read_page(self._connection, query, kept.sequence, _alert, limit=limit, cursor=cursor)

    def _raise(self, finding: Finding, at: int) -> None:
        kept = tables.alerts.c
        query = select(kept.is_raised).where(
            kept.kind == finding.kind.value, kept.subject == finding.subject
        )
        is_raised = self._connection.execute(query).scalar_one_or_none()
        if is_raised is None:
            self._connection.execute(
                insert(tables.alerts).values(
                    kind=finding.kind.value,
                    subject=finding.subject,
                    payment_id=finding.payment_id,
                    since=finding.since,
                    raised_at=at,
                    seen_at=at,
                    is_raised=True,
                )
            )
        elif is_raised:
            self._change(finding.kind, finding.subject, seen_at=at)
        else:
            again = {"since": finding.since, "raised_at": at, "seen_at": at, "cleared_at": None}
            self._change(finding.kind, finding.subject, is_raised=True, **again)

    def _change(self, kind: AlertKind, subject: str, **values: bool | int | None) -> None:
        kept = tables.alerts.c
        change = update(tables.alerts).where(kept.kind == kind.value, kept.subject == subject)
        self._connection.execute(change.values(**values))


def _alert(row: Row[Any]) -> Alert:  # a row of the whole table
    return Alert(
        finding=Finding(AlertKind(row.kind), row.subject, row.since, row.payment_id),
        raised_at=row.raised_at,
        seen_at=row.seen_at,
        cleared_at=row.cleared_at,
    )
