"""Accounts at the central bank, line by line, and the statements that were made of the lines.

At the central bank lines are numbered as movements become effective and statements are spans of them;
at a participant both are what the central bank's statements said. Neither ever changes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from bridge.errors import RecordMissing
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


@unique
class StatementKind(StrEnum):
    """Of a whole business day (camt.053), or of the day so far (camt.052)."""

    STATEMENT = "statement"
    INTRADAY = "intraday"


@dataclass(frozen=True, slots=True)
class StatedAccount:
    """What is stated: a participant's RTGS account (`reserves`), or the tokens it holds (`tokens`)."""

    scope: str
    lei: str
    currency: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of a stated account, in minor units; `balance` is after it, `at` a UTC second."""

    number: int
    kind: str
    key: str
    amount: int
    balance: int
    at: int


@dataclass(frozen=True, slots=True)
class StoredStatement:
    """A statement: the lines from `first_line` to `last_line`, none where that is the line before.

    `number` counts the statements of one kind of the account without gaps; `block` is the newest that
    had been followed when it was made, -1 for a page that is not the last. At its owner a page is kept
    as a statement is.
    """

    statement_id: str
    kind: StatementKind
    account: StatedAccount
    number: int
    first_line: int
    last_line: int
    opening: int
    closing: int
    period_start: int
    period_end: int
    block: int


class AccountStatements:
    """Lines by account and number, statements by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last_line(self, account: StatedAccount) -> StatementLine | None:
        """The newest line of an account."""
        query = _lines(account).order_by(tables.statement_lines.c.number.desc()).limit(1)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _line(row)

    def line(self, account: StatedAccount, number: int) -> StatementLine | None:
        """The line with this number."""
        query = _lines(account).where(tables.statement_lines.c.number == number)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _line(row)

    def add_lines(self, account: StatedAccount, lines: Iterable[StatementLine]) -> None:
        """Keep new lines of an account."""
        rows = [
            {
                "scope": account.scope,
                "lei": account.lei,
                "currency": account.currency,
                "number": line.number,
                "kind": line.kind,
                "key": line.key,
                "amount": line.amount,
                "balance": line.balance,
                "at": line.at,
            }
            for line in lines
        ]
        if rows:
            self._connection.execute(insert(tables.statement_lines), rows)

    def lines(self, account: StatedAccount, first: int, last: int) -> Iterator[StatementLine]:
        """Lines `first` to `last` of an account, in their order."""
        kept = tables.statement_lines.c
        query = _lines(account).where(kept.number.between(first, last)).order_by(kept.number)
        for row in self._connection.execute(query):
            yield _line(row)

    def lines_after(
        self, account: StatedAccount, sequence: int, limit: int
    ) -> tuple[tuple[int, StatementLine], ...]:
        """The next lines of an account in the order in which they were kept, with their sequence."""
        kept = tables.statement_lines.c
        query = _lines(account).where(kept.sequence > sequence)
        rows = self._connection.execute(query.order_by(kept.sequence).limit(limit))
        return tuple((row.sequence, _line(row)) for row in rows)

    def add(self, statement: StoredStatement) -> None:
        """Keep a statement."""
        account = statement.account
        self._connection.execute(
            insert(tables.statements).values(
                statement_id=statement.statement_id,
                kind=statement.kind.value,
                scope=account.scope,
                lei=account.lei,
                currency=account.currency,
                number=statement.number,
                first_line=statement.first_line,
                last_line=statement.last_line,
                opening=statement.opening,
                closing=statement.closing,
                period_start=statement.period_start,
                period_end=statement.period_end,
                block=statement.block,
            )
        )

    def find(self, statement_id: str) -> StoredStatement | None:
        """The statement with this id, if there is one."""
        query = select(tables.statements).where(tables.statements.c.statement_id == statement_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _statement(row)

    def get(self, statement_id: str) -> StoredStatement:
        """The statement with this id; raises `RecordMissing`."""
        found = self.find(statement_id)
        if found is None:
            raise RecordMissing("statement", statement_id)
        return found

    def newest(
        self, account: StatedAccount, kind: StatementKind | None = None
    ) -> StoredStatement | None:
        """The newest statement of an account, of one kind or of any."""
        kept = tables.statements.c
        query = select(tables.statements).where(*_of(account, kept))
        if kind is not None:
            query = query.where(kept.kind == kind.value)
        row = self._connection.execute(query.order_by(kept.sequence.desc()).limit(1)).one_or_none()
        return None if row is None else _statement(row)

    def coverage(self, account: StatedAccount) -> tuple[int, int]:
        """How far statements of an account reach: the newest block and the newest UTC second; -1: none.

        Pages that are not the last of their statement reach nowhere by themselves.
        """
        kept = tables.statements.c
        query = select(func.max(kept.block), func.max(kept.period_end)).where(
            *_of(account, kept), kept.block >= 0
        )
        block, at = self._connection.execute(query).one()
        return (-1 if block is None else int(block)), (-1 if at is None else int(at))

    def is_whole(self, account: StatedAccount) -> bool:
        """Whether no line is missing between the first and the newest that is kept."""
        kept = tables.statement_lines.c
        query = select(func.count(), func.max(kept.number)).where(*_of(account, kept))
        count, newest = self._connection.execute(query).one()
        return int(count) == int(newest or 0)

    def is_stated(self, statement: StoredStatement) -> bool:
        """Whether a statement or page of this number and beginning is kept under another id."""
        kept = tables.statements.c
        query = select(kept.statement_id).where(
            *_of(statement.account, kept),
            kept.kind == statement.kind.value,
            kept.number == statement.number,
            kept.first_line == statement.first_line,
            kept.statement_id != statement.statement_id,
        )
        return self._connection.execute(query).first() is not None

    def page(
        self, lei: str | None = None, *, limit: int = PAGE_DEFAULT, cursor: str | None = None
    ) -> Page[StoredStatement]:
        """Statements, newest first, of one participant or of all."""
        query = select(tables.statements)
        if lei is not None:
            query = query.where(tables.statements.c.lei == lei)
        return read_page(
            self._connection,
            query,
            tables.statements.c.sequence,
            _statement,
            limit=limit,
            cursor=cursor,
        )


def _lines(account: StatedAccount) -> Any:  # a select of the whole table
    return select(tables.statement_lines).where(*_of(account, tables.statement_lines.c))


def _of(account: StatedAccount, kept: Any) -> tuple[ColumnElement[bool], ...]:  # a table's columns
    return (
        kept.scope == account.scope,
        kept.lei == account.lei,
        kept.currency == account.currency,
    )


def _line(row: Row[Any]) -> StatementLine:  # a row of the whole table
    return StatementLine(
        number=row.number,
        kind=row.kind,
        key=row.key,
        amount=row.amount,
        balance=row.balance,
        at=row.at,
    )


def _statement(row: Row[Any]) -> StoredStatement:  # a row of the whole table
    return StoredStatement(
        statement_id=row.statement_id,
        kind=StatementKind(row.kind),
        account=StatedAccount(row.scope, row.lei, row.currency),
        number=row.number,
        first_line=row.first_line,
        last_line=row.last_line,
        opening=row.opening,
        closing=row.closing,
        period_start=row.period_start,
        period_end=row.period_end,
        block=row.block,
    )
