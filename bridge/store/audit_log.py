"""The audit log in the database, and the rows of the books that it seals."""

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, RowMapping, Table, insert, select

from bridge.audit import SEALED, AuditRecord, Note, RowDigest, follow_up
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page

SEALED_TABLES: Final[tuple[Table, ...]] = (tables.entries, tables.postings)
"""Tables whose rows are sealed: they never change and are numbered in the order of writing."""

SEAL_ROWS_MAX: Final = 1_000
"""Most rows that one record seals."""

_EXPORT_ROWS: Final = 500


class AuditLog:
    """Records by their number; only ever added to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, note: Note, at: int, *, sequence: int = 0) -> AuditRecord:
        """Add a record at a UTC second; `sequence` is given where records were lost before it."""
        record = follow_up(self.head(), note, at, sequence=sequence)
        self._connection.execute(
            insert(tables.audit_records).values(
                sequence=record.sequence,
                at=record.at,
                actor=note.actor,
                action=note.action,
                subject=note.subject,
                details=json.dumps(dict(note.details), sort_keys=True),
                previous=record.previous,
                hash=record.hash,
            )
        )
        return record

    def head(self) -> AuditRecord | None:
        """The newest record."""
        return self._newest(None)

    def newest_of(self, action: str) -> AuditRecord | None:
        """The newest record of an action."""
        return self._newest(action)

    def page(self, *, limit: int = PAGE_DEFAULT, cursor: str | None = None) -> Page[AuditRecord]:
        """Records, newest first."""
        kept = tables.audit_records.c
        return read_page(
            self._connection,
            select(tables.audit_records),
            kept.sequence,
            _record,
            limit=limit,
            cursor=cursor,
        )

    def records(self) -> Iterator[AuditRecord]:
        """Every record, oldest first, read in parts."""
        kept, last = tables.audit_records.c, 0
        while True:
            query = (
                select(tables.audit_records)
                .where(kept.sequence > last)
                .order_by(kept.sequence)
                .limit(_EXPORT_ROWS)
            )
            rows = self._connection.execute(query).all()
            if not rows:
                return
            for row in rows:
                yield _record(row)
            last = rows[-1].sequence

    def seal(self, table: Table, at: int) -> AuditRecord | None:
        """Seal the next rows of a table, `SEAL_ROWS_MAX` at most; None when there are none."""
        first = self._sealed_until(table) + 1
        digest, last = RowDigest(), 0
        for sequence, row in self._rows(table, first, SEAL_ROWS_MAX):
            digest.add(row)
            last = sequence
        if not digest.count:
            return None
        details = {
            "first": str(first),
            "last": str(last),
            "rows": str(digest.count),
            "digest": digest.hexdigest(),
        }
        return self.record(Note("bridge", SEALED, table.name, details), at)

    def has_unsealed(self, table: Table) -> bool:
        """Whether a table has rows that no record seals."""
        query = select(table.c.sequence).where(table.c.sequence > self._sealed_until(table))
        return self._connection.execute(query.limit(1)).first() is not None

    def sealed_rows(self, record: AuditRecord) -> Iterator[tuple[str, dict[str, str | None]]]:
        """The rows that a record seals as they stand now, each with its table; of any other none."""
        if record.note.action != SEALED:
            return
        table = next(each for each in SEALED_TABLES if each.name == record.note.subject)
        first, last = (int(record.note.details[name]) for name in ("first", "last"))
        query = (
            select(table).where(table.c.sequence.between(first, last)).order_by(table.c.sequence)
        )
        for row in self._connection.execute(query).mappings():
            yield table.name, _plain(row)

    def _sealed_until(self, table: Table) -> int:
        kept = tables.audit_records.c
        query = (
            select(kept.details)
            .where(kept.action == SEALED, kept.subject == table.name)
            .order_by(kept.sequence.desc())
            .limit(1)
        )
        details = self._connection.execute(query).scalar()
        return 0 if details is None else int(json.loads(details)["last"])

    def _rows(
        self, table: Table, first: int, limit: int
    ) -> Iterator[tuple[int, dict[str, str | None]]]:
        query = (
            select(table).where(table.c.sequence >= first).order_by(table.c.sequence).limit(limit)
        )
        for row in self._connection.execute(query).mappings():
            yield row["sequence"], _plain(row)

    def _newest(self, action: str | None) -> AuditRecord | None:
        kept = tables.audit_records.c
        query = select(tables.audit_records).order_by(kept.sequence.desc()).limit(1)
        if action is not None:
            query = query.where(kept.action == action)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _record(row)


def _plain(row: RowMapping) -> dict[str, str | None]:
    """A row as text by column, the same from every database."""
    return {str(name): _text(value) for name, value in row.items()}


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bytes():
            return value.hex()
        case bool():
            return "1" if value else "0"
        case _:
            return str(value)


def _record(row: Row[Any]) -> AuditRecord:  # a row of the whole table
    return AuditRecord(
        sequence=row.sequence,
        at=row.at,
        note=Note(row.actor, row.action, row.subject, json.loads(row.details)),
        previous=row.previous,
        hash=row.hash,
    )
