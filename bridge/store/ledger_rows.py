"""Rows of the ledger's tables: what is asked of them, and their way from and to the ledger's values."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Dialect,
    FromClause,
    Integer,
    Select,
    bindparam,
    literal_column,
    select,
    true,
)

from bridge.ledger import (
    Account,
    AccountType,
    Balance,
    BookedEntry,
    JournalEntry,
    Movement,
    Posting,
    Resolution,
    Side,
    take_from,
)
from bridge.money import Amount, Currency, parse_currency
from bridge.store import tables
from bridge.store.prepared import Prepared, PreparedInsert

ADD_ENTRIES: Final = PreparedInsert(tables.entries)
ADD_POSTINGS: Final = PreparedInsert(tables.postings)
ADD_RESOLUTIONS: Final = PreparedInsert(tables.entry_resolutions)

Row: TypeAlias = tuple[Any, ...]
"""What a query answers, in the order of its columns."""

BALANCE_COLUMNS = ("pending_debits", "pending_credits", "posted_debits", "posted_credits")


_ONE: Final = literal_column("1", Integer)
_ZERO: Final = literal_column("0", Integer)
"""Numbers that are part of a statement: for a limit, and an offset that is not given, SQLAlchemy has parameters
that each execution would hand over."""


def _latest(*columns: Column[Any]) -> Select[Any]:
    """What the newest version of an account's rows says in some columns: one look at an index."""
    kept = columns[0].table.c
    return (
        select(*columns)
        .where(kept.account_id == tables.accounts.c.account_id)
        .order_by(kept.version.desc())
        .limit(_ONE)
        .offset(_ZERO)
        .correlate(tables.accounts)
    )


_posting = tables.postings.alias("newest")
_to_posting = tables.accounts.outerjoin(
    _posting, _posting.c.sequence == _latest(tables.postings.c.sequence).scalar_subquery()
)
_last = _latest(*(tables.postings.c[name] for name in ("version", "at", *BALANCE_COLUMNS))).lateral(
    "newest"
)
_to_last = tables.accounts.outerjoin(_last, true())


def _standing(newest: FromClause, joined: FromClause) -> Select[Any]:
    """Every account and what it stands at: rows for `balance_of`."""
    limit = _latest(tables.credit_lines.c.credit_limit).scalar_subquery().label("credit_limit")
    columns = (newest.c[name] for name in ("version", "at", *BALANCE_COLUMNS))
    return select(*tables.accounts.c, limit, *columns).select_from(joined)


_ON_SQLITE: Final = _standing(_posting, _to_posting)

_ON_POSTGRESQL: Final = _standing(_last, _to_last)
"""So that no plan can do anything but look each of them up."""


def newest(dialect: Dialect) -> Select[Any]:
    """What every account is and stands at, in the words of a database: rows for `balance_of`."""
    return _ON_POSTGRESQL if dialect.name == "postgresql" else _ON_SQLITE


_IDS_AT_ONCE: Final = (2, 4, 32, 500)
"""For how many account ids a statement stands ready: preparing one for each number costs more."""


def _among(size: int) -> ColumnElement[bool]:
    return tables.accounts.c.account_id.in_([bindparam(f"id_{number}") for number in range(size)])


NEWEST_OF: Final = {
    size: Prepared(_ON_SQLITE.where(_among(size)), _ON_POSTGRESQL.where(_among(size)))
    for size in _IDS_AT_ONCE
}
"""What some accounts are and stand at, by their number: rows for `balance_of`."""


def asked_of(account_ids: set[str]) -> Iterator[tuple[Prepared, dict[str, str]]]:
    """The statements that ask of these accounts; the last id fills what is left."""
    ordered = sorted(account_ids)
    for start in range(0, len(ordered), _IDS_AT_ONCE[-1]):
        chunk = ordered[start : start + _IDS_AT_ONCE[-1]]
        size = next(size for size in _IDS_AT_ONCE if size >= len(chunk))
        filled = chunk + chunk[-1:] * (size - len(chunk))
        yield NEWEST_OF[size], {f"id_{number}": each for number, each in enumerate(filled)}


_entry_id: Final[BindParameter[str]] = bindparam("entry_id")

ENTRY: Final = Prepared(select(tables.entries).where(tables.entries.c.entry_id == _entry_id))

RESOLUTIONS_OF: Final = Prepared(
    select(
        *(tables.entry_resolutions.c[name] for name in ("resolution", "is_final", "resolved_at"))
    )
    .where(tables.entry_resolutions.c.entry_id == _entry_id)
    .order_by(tables.entry_resolutions.c.step)
)

POSTINGS_OF: Final = Prepared(
    select(
        *(tables.postings.c[name] for name in ("step", "account_id", "side", "amount")),
        *(tables.accounts.c[name] for name in ("currency", "decimals", "is_money")),
    )
    .join(tables.accounts)
    .where(tables.postings.c.entry_id == _entry_id)
    .order_by(tables.postings.c.step, tables.postings.c.position)
)


def entry_row(entry: JournalEntry, position: int) -> dict[str, object]:
    """An entry as a row; `position` is its place among linked ones."""
    return {
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "description": entry.description,
        "pending": entry.pending,
        "payment_id": entry.payment_id,
        "booked_at": entry.booked_at,
        "expires_at": entry.expires_at,
        "link_id": entry.link_id,
        "link_position": None if entry.link_id is None else position,
    }


def posting_row(entry_id: str, step: int, position: int, movement: Movement) -> dict[str, object]:
    """A movement as a row.

    `value` of an enumeration is a function in Python: two of them take half as long as all of the rest.
    """
    posting, after = movement.posting, movement.after
    return {
        "entry_id": entry_id,
        "step": step,
        "position": position,
        "account_id": posting.account_id,
        "side": posting.side._value_,
        "amount": posting.amount.minor_units,
        "change": movement.change._value_,
        "at": after.at,
        "version": after.version,
        "pending_debits": after.pending_debits,
        "pending_credits": after.pending_credits,
        "posted_debits": after.posted_debits,
        "posted_credits": after.posted_credits,
    }


def balance_of(row: Row) -> Balance:
    """The balance of an account, from a row of `newest`."""
    account_id, name, account_type, code, decimals, is_money, issuer, *rest = row
    is_off_balance, exchanges, may_overdraw, owner, limit, version, at, *sums = rest
    pending_debits, pending_credits, posted_debits, posted_credits = sums
    account = Account(
        account_id=account_id,
        name=name,
        account_type=AccountType(account_type),
        currency=currency_of(code, decimals, bool(is_money)),
        may_overdraw=bool(may_overdraw),
        owner=owner,
        issuer=issuer,
        is_off_balance=bool(is_off_balance),
        exchanges=bool(exchanges),
        credit_limit=limit or 0,
    )
    if version is None:
        return Balance(account)
    return Balance(
        account, pending_debits, pending_credits, posted_debits, posted_credits, version, at
    )


def currency_of(code: str, decimals: int, is_money: bool) -> Currency:  # noqa: FBT001 - a column
    """A currency, or points of their own decimals."""
    return parse_currency(code) if is_money else Currency(code, 0, decimals)


def booked_of(row: Row, lines: Sequence[Row], resolutions: Sequence[Row]) -> BookedEntry:
    """An entry as its rows make it stand: its postings by step, and what resolved it.

    The rows are those of `ENTRY`, `POSTINGS_OF` and `RESOLUTIONS_OF`.
    """
    _, entry_id, kind, description, is_pending, payment_id, booked_at, expires_at, link_id, _ = row
    postings: list[Posting] = []
    remaining: tuple[Posting, ...] = ()
    for step, account_id, side, amount, *unit in lines:
        posting = Posting(account_id, Side(side), Amount(currency_of(*unit), amount))
        if step == 0:
            postings.append(posting)
            remaining = tuple(postings) if is_pending else ()
        else:
            remaining = take_from(remaining, (posting,), entry_id)
    entry = JournalEntry(
        entry_id=entry_id,
        kind=kind,
        description=description,
        postings=tuple(postings),
        booked_at=booked_at,
        pending=bool(is_pending),
        payment_id=payment_id,
        expires_at=expires_at,
        link_id=link_id,
    )
    ends = [(Resolution(name), at) for name, is_final, at in resolutions if is_final]
    resolution, resolved_at = ends[0] if ends else (None, None)
    return BookedEntry(
        entry=entry,
        remaining=remaining,
        resolution=resolution,
        resolved_at=resolved_at,
        steps=len(resolutions),
    )
