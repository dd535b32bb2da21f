"""The ledger's rows as they stand, one after the other: for whoever does not believe them.

Nothing is kept in memory but the row at hand, however long the books are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from bridge.ledger import Account, Change, Posting, Resolution, Side
from bridge.money import Amount
from bridge.store import tables
from bridge.store.ledger_book import LedgerBook

_ROWS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class PostingRecord:
    """A posting as it took effect: the balances that were written beside it are not yet believed.

    `decided_at` is when its entry was booked or, for a later step, resolved; `at` when it counts.
    """

    entry_id: str
    step: int
    posting: Posting
    change: Change
    decided_at: int
    at: int
    version: int
    pending_debits: int
    pending_credits: int
    posted_debits: int
    posted_credits: int


@dataclass(frozen=True, slots=True)
class ResolutionRecord:
    """One step that resolved an entry or a part of it."""

    step: int
    resolution: Resolution
    is_final: bool


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """An entry with everything that was ever written of it, by step."""

    entry_id: str
    pending: bool
    link_id: str | None
    postings: tuple[PostingRecord, ...]
    resolutions: tuple[ResolutionRecord, ...]


_POSTINGS = (
    select(tables.postings, tables.entries.c.booked_at, tables.entry_resolutions.c.resolved_at)
    .select_from(tables.entries)
    .outerjoin(tables.postings, tables.postings.c.entry_id == tables.entries.c.entry_id)
    .outerjoin(
        tables.entry_resolutions,
        (tables.entry_resolutions.c.entry_id == tables.postings.c.entry_id)
        & (tables.entry_resolutions.c.step == tables.postings.c.step),
    )
)


_NO_MORE: Final[tuple[str, tuple[ResolutionRecord, ...]]] = ("", ())


class LedgerRecord:
    """The rows of the ledger, by account and by entry."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._accounts: dict[str, Account] = {}

    def accounts(self) -> dict[str, Account]:
        """Every account by id."""
        if not self._accounts:
            found = LedgerBook(self._connection).accounts()
            self._accounts = {account.account_id: account for account in found}
        return self._accounts

    def by_account(self, account_id: str | None = None) -> Iterator[PostingRecord]:
        """The postings of every account, or of one, each account's in the order of its versions."""
        kept = tables.postings.c
        query = _POSTINGS.where(kept.account_id.is_not(None))
        query = query.order_by(kept.account_id, kept.version)
        if account_id is not None:
            query = query.where(kept.account_id == account_id)
        for row in self._read(query):
            yield self._posting(row)

    def by_entry(self) -> Iterator[EntryRecord]:
        """Every entry; those that are linked stand together."""
        entries, kept = tables.entries.c, tables.postings.c
        query = _POSTINGS.add_columns(
            entries.entry_id.label("name"), entries.pending, entries.link_id
        ).order_by(entries.link_id, entries.sequence, kept.step, kept.position)
        resolutions = self._resolutions()
        resolved, ends = next(resolutions, _NO_MORE)
        for name, group in groupby(self._read(query), key=lambda row: str(row.name)):
            rows = list(group)
            postings = tuple(self._posting(row) for row in rows if row.entry_id is not None)
            own = ends if resolved == name else ()
            yield EntryRecord(name, rows[0].pending, rows[0].link_id, postings, own)
            if resolved == name:
                resolved, ends = next(resolutions, _NO_MORE)

    def _read(self, query: Select[Any]) -> Iterator[Row[Any]]:
        yield from self._connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)

    def _resolutions(self) -> Iterator[tuple[str, tuple[ResolutionRecord, ...]]]:
        """What resolved each entry that was, in the order of `by_entry`."""
        entries, kept = tables.entries.c, tables.entry_resolutions.c
        query = (
            select(kept.entry_id, kept.step, kept.resolution, kept.is_final)
            .join(tables.entries)
            .order_by(entries.link_id, entries.sequence, kept.step)
        )
        for name, group in groupby(self._read(query), key=lambda row: str(row.entry_id)):
            yield (
                name,
                tuple(
                    ResolutionRecord(row.step, Resolution(row.resolution), row.is_final)
                    for row in group
                ),
            )

    def _posting(self, row: Row[Any]) -> PostingRecord:
        currency = self.accounts()[row.account_id].currency
        return PostingRecord(
            entry_id=row.entry_id,
            step=row.step,
            posting=Posting(row.account_id, Side(row.side), Amount(currency, row.amount)),
            change=Change(row.change),
            decided_at=row.booked_at if row.resolved_at is None else row.resolved_at,
            at=row.at,
            version=row.version,
            pending_debits=row.pending_debits,
            pending_credits=row.pending_credits,
            posted_debits=row.posted_debits,
            posted_credits=row.posted_credits,
        )
