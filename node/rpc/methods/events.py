"""Events by cursor."""

from __future__ import annotations

from typing import Final

from node.errors import ParameterInvalid, StoreCorrupt
from node.primitives import Hash32
from node.rpc.codec.events import format_cursor, format_event, parse_cursor, parse_selection
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View

EVENTS_MAX: Final = 1_000
"""Events of one answer."""

EVENTS_DEFAULT: Final = 100
"""Events of one answer where the caller does not say."""


def corridor_get_events(
    view: View, cursor: Json = None, limit: Json = None, selection: Json = None
) -> JsonObject:
    """The next events after a cursor, the cursor to ask with next, and the newest block; empty at the end."""
    genesis_hash = genesis_hash_of(view)
    after = parse_cursor(cursor, view.history, genesis_hash)
    wanted = parse_selection(selection, name="filter")
    page = view.history.log_page(wanted.query(after, _parse_limit(limit)))
    return {
        "events": [format_event(record, genesis_hash) for record in page.records],
        "next": format_cursor(genesis_hash, page.examined_to),
        "head": {
            "number": format_quantity(page.head.number),
            "hash": format_data(page.head.hash),
        },
    }


def genesis_hash_of(view: View) -> Hash32:
    """The hash of block 0: what event cursors are bound to."""
    genesis_hash = view.history.genesis_hash()
    if genesis_hash is None:
        raise StoreCorrupt("no genesis", b"")
    return genesis_hash


def _parse_limit(value: Json) -> int:
    """How many events at most: a JSON integer from 1 to `EVENTS_MAX`."""
    if value is None:
        return EVENTS_DEFAULT
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= EVENTS_MAX:
        raise ParameterInvalid("limit", f"expected an integer from 1 to {EVENTS_MAX}")
    return value
