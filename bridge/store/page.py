"""Pages of a listing: newest first, with an opaque cursor instead of an offset.

The cursor is the sequence number of the last row seen, so a page stays right while rows are added.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, Connection, Row, Select

from bridge.errors import CursorInvalid

PAGE_DEFAULT: Final = 50
"""Rows of a page when nobody says how many."""

PAGE_MAX: Final = 200
"""Most rows one page may have."""

_SEQUENCE_DIGITS_MAX: Final = 18

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """Some rows of a listing; `next_cursor` is None on the last page."""

    items: tuple[_Item, ...]
    next_cursor: str | None


def read_page(
    connection: Connection,
    query: Select[Any],  # the caller's columns decide the row's shape
    sequence: Column[int],
    read: Callable[[Row[Any]], _Item],
    *,
    limit: int,
    cursor: str | None,
) -> Page[_Item]:
    """The next rows of `query`, newest first, each as `read` makes it.

    `query` selects the `sequence` column among others. Raises `CursorInvalid`.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise CursorInvalid(str(limit))
    if cursor is not None:
        query = query.where(sequence < parse_cursor(cursor))
    found = list(connection.execute(query.order_by(sequence.desc()).limit(limit + 1)))
    rows = found[:limit]
    next_cursor = str(rows[-1].sequence) if len(found) > limit else None
    return Page(tuple(read(row) for row in rows), next_cursor)


def parse_cursor(cursor: str) -> int:
    """The number of the last row seen; raises `CursorInvalid`."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _SEQUENCE_DIGITS_MAX):
        raise CursorInvalid(cursor)
    return int(cursor)
