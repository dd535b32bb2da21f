"""Filters over the link: the table behind a lock in the core, and the RPC process's questions to it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from node.errors import LinkFrameInvalid, ParameterInvalid
from node.filters import FilterId, FilterTable, PendingPage, StoredFilter
from node.link.frames import Frame, Kind
from node.primitives import Hash32, encode_uint

CRITERIA_BYTES_MAX: Final = 16 * 1024
"""Bytes of one filter's criteria."""

HASH_BYTES: Final = 32

Ask = Callable[..., tuple[bytes, ...]]  # a kind and fields: `link.Client`'s own question


def random_id() -> bytes:
    """16 bytes that nobody can guess and that read as a quantity of JSON-RPC, which begins with no zero."""
    return bytes([0x10 + secrets.randbelow(0xF0)]) + secrets.token_bytes(15)


class Filters(Protocol):
    """The filters of this node. Implemented by the core's `FilterKeeper` and an RPC process's `RemoteFilters`."""

    def install(self, stored: StoredFilter) -> FilterId:
        """Keeps a new filter; raises `FilterTableFull`."""

    def look_up(self, filter_id: FilterId) -> StoredFilter:
        """A filter; raises `FilterUnknown`."""

    def advance(self, filter_id: FilterId, *, seen: int, position: int) -> bool:
        """Moves a filter on from where it was seen; False where it stands elsewhere by now."""

    def remove(self, filter_id: FilterId) -> bool:
        """Forgets a filter; whether there was one."""

    def pending_end(self) -> int:
        """The position after all that is pending so far."""

    def pending_since(self, position: int) -> PendingPage:
        """What became executable after a position; raises `FilterOutrun`."""


class FilterKeeper:
    """The core's filters: the table, a lock, a clock and ids that nobody can guess. Implements `Filters`."""

    def __init__(self, table: FilterTable | None = None) -> None:
        self._table = table or FilterTable()
        self._lock = threading.Lock()

    def install(self, stored: StoredFilter) -> FilterId:
        """Keeps a new filter; raises `FilterTableFull`."""
        if len(stored.criteria) > CRITERIA_BYTES_MAX:
            raise ParameterInvalid("filter", f"above {CRITERIA_BYTES_MAX} bytes")
        filter_id = FilterId(random_id())
        with self._lock:
            self._table.install(filter_id, stored, now=_now())
        return filter_id

    def look_up(self, filter_id: FilterId) -> StoredFilter:
        """A filter; raises `FilterUnknown`."""
        with self._lock:
            return self._table.look_up(filter_id, now=_now())

    def advance(self, filter_id: FilterId, *, seen: int, position: int) -> bool:
        """Moves a filter on from where it was seen; False where it stands elsewhere by now."""
        with self._lock:
            return self._table.advance(filter_id, seen=seen, position=position, now=_now())

    def remove(self, filter_id: FilterId) -> bool:
        """Forgets a filter; whether there was one."""
        with self._lock:
            return self._table.remove(filter_id, now=_now())

    def pending_end(self) -> int:
        """The position after all that is pending so far."""
        with self._lock:
            return self._table.pending_end()

    def pending_since(self, position: int) -> PendingPage:
        """What became executable after a position; raises `FilterOutrun`."""
        with self._lock:
            return self._table.pending_since(position)

    def record_pending(self, hashes: Sequence[Hash32]) -> None:
        """Takes down which transactions became executable, in order."""
        with self._lock:
            self._table.record_pending(hashes)


class RemoteFilters:
    """An RPC process's view of the core's filters. Implements `Filters`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def install(self, stored: StoredFilter) -> FilterId:
        """Keeps a new filter; raises `FilterTableFull`."""
        fields = (stored.criteria, encode_uint(stored.position))
        return FilterId(self._ask(Kind.FILTER_INSTALL, *fields)[0])

    def look_up(self, filter_id: FilterId) -> StoredFilter:
        """A filter; raises `FilterUnknown`."""
        criteria, position = self._ask(Kind.FILTER_LOOK_UP, filter_id)
        return StoredFilter(criteria, int.from_bytes(position, "big"))

    def advance(self, filter_id: FilterId, *, seen: int, position: int) -> bool:
        """Moves a filter on from where it was seen; False where it stands elsewhere by now."""
        fields = (filter_id, encode_uint(seen), encode_uint(position))
        return bool(self._ask(Kind.FILTER_ADVANCE, *fields)[0])

    def remove(self, filter_id: FilterId) -> bool:
        """Forgets a filter; whether there was one."""
        return bool(self._ask(Kind.FILTER_REMOVE, filter_id)[0])

    def pending_end(self) -> int:
        """The position after all that is pending so far."""
        return int.from_bytes(self._ask(Kind.PENDING_END)[0], "big")

    def pending_since(self, position: int) -> PendingPage:
        """What became executable after a position; raises `FilterOutrun`."""
        packed, end = self._ask(Kind.PENDING_SINCE, encode_uint(position))
        hashes = [packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES)]
        return PendingPage(tuple(map(Hash32, hashes)), int.from_bytes(end, "big"))


def answer_filter_question(filters: Filters, request: Frame) -> tuple[bytes, ...]:
    """The fields of the answer to a question about filters; raises `LinkFrameInvalid` where it is none."""
    match request.kind, request.fields:
        case Kind.FILTER_INSTALL, (criteria, position):
            return (filters.install(StoredFilter(criteria, int.from_bytes(position, "big"))),)
        case Kind.FILTER_LOOK_UP, (filter_id,):
            stored = filters.look_up(FilterId(filter_id))
            return stored.criteria, encode_uint(stored.position)
        case Kind.FILTER_ADVANCE, (filter_id, seen, position):
            is_moved = filters.advance(
                FilterId(filter_id),
                seen=int.from_bytes(seen, "big"),
                position=int.from_bytes(position, "big"),
            )
            return (encode_uint(int(is_moved)),)
        case Kind.FILTER_REMOVE, (filter_id,):
            return (encode_uint(int(filters.remove(FilterId(filter_id)))),)
        case Kind.PENDING_END, ():
            return (encode_uint(filters.pending_end()),)
        case Kind.PENDING_SINCE, (position,):
            page = filters.pending_since(int.from_bytes(position, "big"))
            return b"".join(page.hashes), encode_uint(page.position)
        case _:
            raise LinkFrameInvalid(f"no such request: kind {request.kind}")


def _now() -> int:
    return int(time.monotonic())
