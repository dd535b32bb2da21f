"""Filters that are polled: the core keeps them, this process finds what they ask for.

Every poll gives what came since the poll before, once, in order, and at most a page of it; what is left comes with the
next poll.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from node.errors import FilterOutrun, FilterUnknown, ParameterInvalid
from node.filters import FilterId, StoredFilter
from node.history import LOGS_MAX, LogPageQuery, LogPlace
from node.rpc.codec.format import format_data, format_log_record
from node.rpc.codec.parse import BLOCK_NUMBER_MAX, LogQuery, parse_flag, parse_log_query
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.logs import eth_get_logs
from node.rpc.methods.transactions import format_pending
from node.rpc.methods.view import View

BLOCKS_MAX: Final = 4_096
"""Block hashes of one poll."""

POLLS_MAX: Final = 8
"""How often a poll looks again because another one of the same filter was quicker."""

Changes = tuple[list[Json], int]
"""What a poll gives, and the position after it."""


def eth_new_filter(view: View, query: Json) -> str:
    """Installs a filter for logs of blocks to come; its id."""
    _parse_filter(query)
    place = LogPlace.end_of(view.history.head().number)
    return _install(view, "logs", query, int.from_bytes(place.key, "big"))


def eth_new_block_filter(view: View) -> str:
    """Installs a filter for hashes of blocks to come; its id."""
    return _install(view, "blocks", None, view.history.head().number)


def eth_new_pending_transaction_filter(view: View, full: Json = False) -> str:  # noqa: FBT002 - the wire's own parameter
    """Installs a filter for hashes of transactions that become executable, or for whole ones; its id."""
    return _install(view, "pending", parse_flag(full, name="full"), view.filters.pending_end())


def eth_get_filter_changes(view: View, filter_id: Json) -> list[Json]:
    """What a filter asks for and came since it was polled last."""
    parsed = _parse_id(filter_id)
    for _ in range(POLLS_MAX):
        stored = view.filters.look_up(parsed)
        changes, position = _changes(view, parsed, stored)
        if position == stored.position:
            return changes
        if view.filters.advance(parsed, seen=stored.position, position=position):
            return changes
    return []


def eth_get_filter_logs(view: View, filter_id: Json) -> list[JsonObject]:
    """All logs that match a log filter, as `eth_getLogs` gives them; the filter stays where it is."""
    kind, query = json.loads(view.filters.look_up(_parse_id(filter_id)).criteria)
    if kind != "logs":
        raise FilterUnknown
    return eth_get_logs(view, query)


def eth_uninstall_filter(view: View, filter_id: Json) -> bool:
    """Forgets a filter; whether there was one."""
    try:
        return view.filters.remove(_parse_id(filter_id))
    except FilterUnknown:
        return False


def _install(view: View, kind: str, wanted: Json, position: int) -> str:
    criteria = json.dumps([kind, wanted], separators=(",", ":")).encode()
    return format_data(view.filters.install(StoredFilter(criteria, position)))


def _changes(view: View, filter_id: FilterId, stored: StoredFilter) -> Changes:
    kind, wanted = json.loads(stored.criteria)
    find = CHANGES_BY_KIND[kind]
    try:
        return find(view, wanted, stored.position)
    except FilterOutrun:
        view.filters.remove(filter_id)
        raise


def _new_logs(view: View, query: Json, position: int) -> Changes:
    parsed = _parse_filter(query)
    after = LogPlace.of_key(position.to_bytes(12, "big"))
    if isinstance(parsed.first, int) and parsed.first > 0:
        after = max(after, LogPlace.end_of(parsed.first - 1))
    if after.number > view.history.head().number:
        return [], position
    page = view.history.log_page(
        LogPageQuery(
            after=after,
            logs_max=LOGS_MAX,
            to_number=parsed.last if isinstance(parsed.last, int) else BLOCK_NUMBER_MAX,
            addresses=parsed.addresses,
            topics=parsed.topics,
        )
    )
    end = int.from_bytes(page.examined_to.key, "big")
    return [format_log_record(record) for record in page.records], end


def _new_blocks(view: View, _wanted: Json, position: int) -> Changes:
    last = min(view.history.head().number, position + BLOCKS_MAX)
    hashes = view.history.ancestor_hashes(last + 1, last - position)
    return [format_data(each) for each in reversed(hashes)], last


def _new_pending(view: View, is_full: Json, position: int) -> Changes:
    page = view.filters.pending_since(position)
    if not is_full:
        return [format_data(each) for each in page.hashes], page.position
    found = [format_pending(view, each) for each in page.hashes]
    return [each for each in found if each is not None], page.position


CHANGES_BY_KIND: Final[dict[str, Callable[[View, Json, int], Changes]]] = {
    "logs": _new_logs,
    "blocks": _new_blocks,
    "pending": _new_pending,
}


def _parse_filter(query: Json) -> LogQuery:
    parsed = parse_log_query(query, name="filter")
    if isinstance(parsed.first, bytes):
        raise ParameterInvalid("filter", "blockHash names a block that is there: use eth_getLogs")
    if (
        isinstance(parsed.first, int)
        and isinstance(parsed.last, int)
        and parsed.last < parsed.first
    ):
        raise ParameterInvalid("filter", "fromBlock is above toBlock")
    return parsed


def _parse_id(value: Json) -> FilterId:
    """A filter's id; text that can be none names no filter."""
    if not isinstance(value, str):
        raise ParameterInvalid("id", "expected a filter's id")
    try:
        return FilterId(bytes.fromhex(value.removeprefix("0x")))
    except ValueError as error:
        raise FilterUnknown from error
