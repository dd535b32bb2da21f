"""What a connection has subscribed to, and what is new for it.

What is in the store (heads, logs, events) is never queued for a subscription: each remembers how far it was told, and
reads on from there when there is room to send. So a slow consumer costs no memory, several heads that arrive at once
are walked one by one, and a subscription to events that begins at an old cursor and one that has caught up are the same
thing. What is in no store (the pool's events) waits in a bounded queue of the subscription's own; past the bound the
subscription is outrun and its connection must end.

Heads go first: `Subscriptions.read` moves every subscription on to one block at most, heads before logs, so that no log
comes before its block's head on a connection that follows both.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.errors import (
    ParameterInvalid,
    SubscriptionKindUnknown,
    SubscriptionLimitReached,
    SubscriptionUnknown,
)
from node.events import EventSelection
from node.history import LogPageQuery, LogPlace
from node.link import random_id
from node.pool import DropReason, PoolEvent
from node.rpc.codec.events import format_event, parse_cursor, parse_selection
from node.rpc.codec.format import (
    format_data,
    format_header,
    format_log_record,
    format_quantity,
)
from node.rpc.codec.parse import BlockTag, parse_flag, parse_log_query, parse_object, refuse_unknown
from node.rpc.json_value import Json
from node.rpc.methods.events import genesis_hash_of
from node.rpc.methods.network import eth_syncing
from node.rpc.methods.transactions import format_pending
from node.rpc.methods.view import View

SUBSCRIPTIONS_MAX: Final = 64
"""Subscriptions of one connection."""

POOL_EVENTS_MAX: Final = 8_192
"""Events of the pool that wait for one subscription."""

PAGE_HEADS_MAX: Final = 32
"""Blocks by which subscriptions move on at once."""

PAGE_LOGS_MAX: Final = 256
"""Logs that are read for a subscription at once."""

PAGE_BYTES_MAX: Final = 256 * 1024
"""Bytes of log data that are read for a subscription at once, about."""


@dataclass(slots=True)
class Heads:
    """Headers of new blocks."""

    after: int
    """The number of the last block told."""


@dataclass(slots=True)
class Logs:
    """Logs, or events with cursors, after a place."""

    after: LogPlace
    selection: EventSelection
    is_with_cursor: bool


@dataclass(slots=True)
class Syncing:
    """Changes of what `eth_syncing` says."""

    told: Json


@dataclass(slots=True)
class PoolEvents:
    """Transactions that become executable, or that leave the pool without a block."""

    is_of_dropped: bool
    is_full: bool = False
    waiting: deque[PoolEvent] = field(default_factory=deque)
    is_outrun: bool = False


Source = Heads | Logs | Syncing | PoolEvents


@dataclass(slots=True)
class Subscription:
    """One subscription of one connection."""

    subscription_id: str
    namespace: str
    source: Source
    is_begun: bool = False
    """Its id is on the way to the client: from now on it may be told."""
    is_ended: bool = False
    told_to: LogPlace | None = None
    """What was handed over to the connection, as far as it is in the store."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something new for a subscription."""

    subscription: Subscription
    result: Json
    place: LogPlace | None
    """Where it stands in the store; None for what is in none."""

    def envelope(self) -> Json:
        """The notification that a client gets."""
        return {
            "jsonrpc": "2.0",
            "method": f"{self.subscription.namespace}_subscription",
            "params": {"subscription": self.subscription.subscription_id, "result": self.result},
        }


@dataclass(frozen=True, slots=True)
class Step:
    """A block up to which every subscription of a connection may be told."""

    to_number: int
    is_last: bool
    """It is the newest."""


class Subscriptions:
    """The subscriptions of one connection; used by the threads that answer its calls and by those that read for it."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._by_id: dict[str, Subscription] = {}

    def subscribe(self, namespace: str, params: Sequence[Json]) -> Subscription:
        """A new subscription, which begins here and now, or at a cursor; raises what is wrong with the question."""
        if not params or not isinstance(params[0], str):
            raise ParameterInvalid("subscription", "expected the name of a subscription")
        source = _open_source(self._view, namespace, params[0], params[1:])
        opened = Subscription(f"0x{random_id().hex()}", namespace, source)
        match source:
            case Heads(after=number):
                opened.told_to = LogPlace.end_of(number)
            case Logs(after=place):
                opened.told_to = place
            case _:
                pass
        with self._lock:
            if len(self._by_id) >= SUBSCRIPTIONS_MAX:
                raise SubscriptionLimitReached(SUBSCRIPTIONS_MAX)
            self._by_id[opened.subscription_id] = opened
        return opened

    def unsubscribe(self, subscription_id: Json) -> bool:
        """Ends a subscription; raises `SubscriptionUnknown`."""
        with self._lock:
            ended = (
                self._by_id.pop(subscription_id, None) if isinstance(subscription_id, str) else None
            )
        if ended is None:
            raise SubscriptionUnknown
        ended.is_ended = True
        return True

    def begun(self) -> list[Subscription]:
        """Those that may be told, heads first."""
        with self._lock:
            found = [each for each in self._by_id.values() if each.is_begun]
        return sorted(found, key=lambda each: not isinstance(each.source, Heads))

    def take_pool_events(self, events: Sequence[PoolEvent]) -> bool:
        """Puts events of the pool down for those who follow it; False where one of them is outrun."""
        is_well = True
        with self._lock:
            sources = [each.source for each in self._by_id.values()]
        for source in sources:
            if isinstance(source, PoolEvents):
                wanted = [each for each in events if _is_dropped(each) == source.is_of_dropped]
                source.is_outrun |= len(source.waiting) + len(wanted) > POOL_EVENTS_MAX
                if not source.is_outrun:
                    source.waiting.extend(wanted)
                is_well &= not source.is_outrun
        return is_well

    def told_to(self) -> LogPlace | None:
        """The place up to which every subscription to what is in the store was told."""
        with self._lock:
            places = [each.told_to for each in self._by_id.values() if each.told_to is not None]
        return min(places, default=None)

    def next_step(self) -> Step:
        """How far all may be told next: not far beyond the heads that were told."""
        head = self._view.history.head().number
        heads = [each.source.after for each in self.begun() if isinstance(each.source, Heads)]
        to_number = min([head, *(after + PAGE_HEADS_MAX for after in heads)])
        return Step(to_number, is_last=to_number == head)

    def read(self, subscription: Subscription, to_number: int) -> list[Notice]:
        """The next that is new for a subscription, up to a block, after bounded work; see `is_behind`."""
        source = subscription.source
        match source:
            case Heads():
                found: Iterator[tuple[Json, LogPlace | None]] = self._read_heads(source, to_number)
            case Logs():
                found = self._read_logs(source, to_number)
            case Syncing():
                found = self._read_syncing(source)
            case PoolEvents():
                found = self._read_pool_events(source)
        return [Notice(subscription, result, place) for result, place in found]

    def is_behind(self, subscription: Subscription, to_number: int) -> bool:
        """Whether there is more to look at for a subscription, up to a block."""
        match subscription.source:
            case Heads(after=number):
                return number < to_number
            case Logs(after=place):
                return place < LogPlace.end_of(to_number)
            case PoolEvents(waiting=waiting):
                return bool(waiting)
            case _:
                return False

    def _read_heads(self, source: Heads, to_number: int) -> Iterator[tuple[Json, LogPlace]]:
        while source.after < to_number:
            header = self._view.header(source.after + 1)
            source.after = header.number
            yield format_header(header), LogPlace.end_of(header.number)

    def _read_logs(self, source: Logs, to_number: int) -> Iterator[tuple[Json, LogPlace]]:
        genesis_hash = genesis_hash_of(self._view)
        page = self._view.history.log_page(
            source.selection.query(
                source.after, PAGE_LOGS_MAX, to_number=to_number, bytes_max=PAGE_BYTES_MAX
            )
        )
        source.after = page.examined_to
        for record in page.records:
            place = LogPlace(record.number, record.log_index)
            if source.is_with_cursor:
                yield format_event(record, genesis_hash), place
            else:
                yield format_log_record(record), place

    def _read_syncing(self, source: Syncing) -> Iterator[tuple[Json, None]]:
        now = eth_syncing(self._view)
        if now != source.told:
            source.told = now
            yield now, None

    def _read_pool_events(self, source: PoolEvents) -> Iterator[tuple[Json, None]]:
        for _ in range(min(len(source.waiting), PAGE_LOGS_MAX)):
            event = source.waiting.popleft()
            if source.is_full:
                transaction = format_pending(self._view, event.transaction_hash)
                if transaction is not None:
                    yield transaction, None
            elif event.dropped_for is None:
                yield format_data(event.transaction_hash), None
            else:
                yield _format_dropped(event, event.dropped_for), None


def _open_source(view: View, namespace: str, kind: str, params: Sequence[Json]) -> Source:
    if len(params) > 1:
        raise ParameterInvalid("params", f"{kind} takes at most one parameter")
    wanted = params[0] if params else None
    match namespace, kind:
        case _, "events":
            return _open_events(view, wanted)
        case "eth", "newHeads":
            return Heads(view.history.head().number)
        case "eth", "logs":
            return _open_logs(view, wanted)
        case "eth", "newPendingTransactions":
            return PoolEvents(is_of_dropped=False, is_full=parse_flag(wanted or False, name="full"))
        case "eth", "droppedTransactions":
            return PoolEvents(is_of_dropped=True)
        case "eth", "syncing":
            return Syncing(eth_syncing(view))
        case _:
            raise SubscriptionKindUnknown(kind, namespace)


def _open_logs(view: View, wanted: Json) -> Logs:
    """Logs from now on; a range of blocks would be ignored, so it is refused."""
    query = parse_log_query(wanted or {}, name="filter")
    now = (BlockTag.LATEST, BlockTag.PENDING)
    if query.first not in now or query.last not in now:
        raise ParameterInvalid("filter", "logs begin now: subscribe to events from a cursor")
    after = LogPlace.end_of(view.history.head().number)
    return Logs(after, EventSelection(query.addresses, query.topics), is_with_cursor=False)


def _open_events(view: View, wanted: Json) -> Logs:
    fields = parse_object(wanted or {}, name="events")
    refuse_unknown(fields, ("cursor", "filter"), name="events")
    after = parse_cursor(fields.get("cursor", "latest"), view.history, genesis_hash_of(view))
    selection = parse_selection(fields.get("filter"), name="filter")
    # What cannot be begun is said now: this node is behind the cursor, or does not hold what follows it.
    view.history.log_page(LogPageQuery(after, logs_max=1))
    return Logs(after, selection, is_with_cursor=True)


def _is_dropped(event: PoolEvent) -> bool:
    return event.dropped_for is not None


def _format_dropped(event: PoolEvent, reason: DropReason) -> Json:
    return {
        "hash": format_data(event.transaction_hash),
        "sender": format_data(event.sender),
        "nonce": format_quantity(event.nonce),
        "reason": reason.name.lower(),
    }
