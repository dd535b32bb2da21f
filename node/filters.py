"""The filters of `eth_newFilter` and its kind, in memory: which exist, and how far each was polled.

Several RPC processes may serve one port, and a client's polls may reach now this one, now that one; so the core holds
the filters and is asked over the link. It does not know what they mean: criteria are bytes that an RPC process made and
will read again, and so is a position, a number that only grows. What a poll gives is found by the RPC process in the
store; then it moves the position on, and only from where it had read it (`advance`): of two polls at the same time one
gives the changes and the other looks again, so each change is given once.

Pending transactions are in no store: the table keeps the hashes of the last of them, numbered.

The table is pure: it is told the time, in seconds of a clock that never goes back, and given its ids. A filter that
nobody asked for during `IDLE_SECONDS_MAX` is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, NewType

from node.errors import FilterOutrun, FilterTableFull, FilterUnknown
from node.primitives import Hash32

FILTERS_MAX: Final = 1_024
"""Filters a node keeps."""

IDLE_SECONDS_MAX: Final = 300
"""Seconds after which a filter that nobody asks for is gone."""

PENDING_KEPT_MAX: Final = 16_384
"""Hashes of pending transactions that are kept."""

PENDING_PAGE_MAX: Final = 4_096
"""Hashes of one poll."""

FilterId = NewType("FilterId", bytes)
"""What a client asks with: bytes that nobody can guess."""


@dataclass(frozen=True, slots=True)
class StoredFilter:
    """What an RPC process needs to poll a filter."""

    criteria: bytes
    position: int


@dataclass(frozen=True, slots=True)
class PendingPage:
    """Hashes of transactions that became executable, in order, and the position after them."""

    hashes: tuple[Hash32, ...]
    position: int


class FilterTable:
    """The filters of a node."""

    def __init__(
        self, *, filters_max: int = FILTERS_MAX, pending_kept_max: int = PENDING_KEPT_MAX
    ) -> None:
        self._filters_max = filters_max
        self._by_id: dict[FilterId, StoredFilter] = {}
        self._asked_at: dict[FilterId, int] = {}
        """The filter that has been idle longest stands first."""
        self._pending: deque[Hash32] = deque(maxlen=pending_kept_max)
        self._pending_end = 0

    def install(self, filter_id: FilterId, stored: StoredFilter, *, now: int) -> None:
        """Keeps a new filter; raises `FilterTableFull`."""
        self._forget_idle(now)
        if len(self._by_id) >= self._filters_max:
            raise FilterTableFull(self._filters_max)
        self._by_id[filter_id] = stored
        self._asked_at[filter_id] = now

    def look_up(self, filter_id: FilterId, *, now: int) -> StoredFilter:
        """A filter, which lives on for having been asked for; raises `FilterUnknown`."""
        self._forget_idle(now)
        stored = self._by_id.get(filter_id)
        if stored is None:
            raise FilterUnknown
        del self._asked_at[filter_id]
        self._asked_at[filter_id] = now
        return stored

    def advance(self, filter_id: FilterId, *, seen: int, position: int, now: int) -> bool:
        """Moves a filter on from the position it was seen at; False where it stands elsewhere by now."""
        stored = self.look_up(filter_id, now=now)
        if stored.position != seen:
            return False
        self._by_id[filter_id] = replace(stored, position=position)
        return True

    def remove(self, filter_id: FilterId, *, now: int) -> bool:
        """Forgets a filter; whether there was one."""
        self._forget_idle(now)
        self._asked_at.pop(filter_id, None)
        return self._by_id.pop(filter_id, None) is not None

    def record_pending(self, hashes: Sequence[Hash32]) -> None:
        """Takes down which transactions became executable, in order."""
        self._pending.extend(hashes)
        self._pending_end += len(hashes)

    def pending_end(self) -> int:
        """The position after all that is pending so far: where a new filter begins."""
        return self._pending_end

    def pending_since(self, position: int) -> PendingPage:
        """What became executable after a position; raises `FilterOutrun` where some of it is not kept any more."""
        skipped = position - (self._pending_end - len(self._pending))
        if skipped < 0:
            raise FilterOutrun(len(self._pending))
        hashes = tuple(islice(self._pending, skipped, skipped + PENDING_PAGE_MAX))
        return PendingPage(hashes, position + len(hashes))

    def _forget_idle(self, now: int) -> None:
        while self._asked_at:
            filter_id, asked_at = next(iter(self._asked_at.items()))
            if now - asked_at < IDLE_SECONDS_MAX:
                return
            del self._by_id[filter_id], self._asked_at[filter_id]
