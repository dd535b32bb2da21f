"""Event cursors, selections and events as they stand on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from node.errors import CursorMalformed, ParameterInvalid
from node.events import EventSelection, decode_cursor, decode_event, encode_cursor
from node.events.decoder import Value, topics_of
from node.history import History, LogPlace, LogRecord
from node.primitives import Hash32
from node.rpc.codec.format import format_data, format_log_record, format_quantity
from node.rpc.codec.parse import (
    BLOCK_NUMBER_MAX,
    FILTER_ALTERNATIVES_MAX,
    parse_data,
    parse_hash,
    parse_log_query,
    parse_object,
    parse_quantity,
    refuse_unknown,
)
from node.rpc.json_value import Json, JsonObject

EVENT_NAMES_MAX = 16
"""Event names of one selection."""

CURSOR_TEXT_MAX = 128
"""Characters of a cursor that are looked at."""


def parse_cursor(value: Json, history: History, genesis_hash: Hash32) -> LogPlace:
    """The place to go on from: a cursor; null or "earliest"; "latest"; or `{"fromBlock": number}`.

    Raises `CursorMalformed` or `CursorOfAnotherChain`.
    """
    match value:
        case None | "earliest":
            return LogPlace.end_of(0)
        case "latest":
            return LogPlace.end_of(history.head().number)
        case {"fromBlock": number} if len(value) == 1:
            first = parse_quantity(number, name="cursor.fromBlock")
            return LogPlace.end_of(min(max(first - 1, 0), BLOCK_NUMBER_MAX))
        case str() if len(value) <= CURSOR_TEXT_MAX:
            try:
                data = parse_data(value, name="cursor")
            except ParameterInvalid as error:
                raise CursorMalformed("it is not 0x-prefixed hex") from error
            return decode_cursor(data, genesis_hash)
        case _:
            raise CursorMalformed("it is no cursor that a node gave")


def format_cursor(genesis_hash: Hash32, place: LogPlace) -> str:
    """The cursor of a place."""
    return format_data(encode_cursor(genesis_hash, place))


def parse_selection(value: Json, *, name: str) -> EventSelection:
    """Which events: by `address` and `topics` as in `eth_getLogs`, or by `events` (names) and `paymentId`."""
    if value is None:
        return EventSelection()
    fields = parse_object(value, name=name)
    refuse_unknown(fields, ("address", "topics", "events", "paymentId"), name=name)
    raw = {key: fields[key] for key in ("address", "topics") if key in fields}
    query = parse_log_query(raw, name=name)
    names = _as_list(fields.get("events"), EVENT_NAMES_MAX, name=f"{name}.events")
    payments = _as_list(fields.get("paymentId"), FILTER_ALTERNATIVES_MAX, name=f"{name}.paymentId")
    if (names or payments) and query.topics:
        raise ParameterInvalid(name, "topics excludes events and paymentId")
    for each in names:
        if not isinstance(each, str) or not topics_of(each):
            raise ParameterInvalid(f"{name}.events", "no event of that name in our contracts")
    return EventSelection(
        addresses=query.addresses,
        topics=query.topics,
        names=tuple(names),
        payment_ids=tuple(parse_hash(each, name=f"{name}.paymentId") for each in payments),
    )


def format_event(record: LogRecord, genesis_hash: Hash32) -> JsonObject:
    """An event: its cursor, the log as `eth_getLogs` gives it, and what it says where we can read it."""
    decoded = decode_event(record.log)
    event: JsonObject | None = None
    if decoded is not None:
        event = {
            "contract": decoded.contract,
            "name": decoded.name,
            "values": _format_value(decoded.values),
        }
    place = LogPlace(record.number, record.log_index)
    return {
        "cursor": format_cursor(genesis_hash, place),
        "log": format_log_record(record),
        "event": event,
    }


def _format_value(value: Value) -> Json:
    match value:
        case bool() | str():
            return value
        case int():
            return format_quantity(value)
        case bytes():
            return format_data(value)
        case Mapping():
            return {name: _format_value(part) for name, part in value.items()}
        case _:
            return [_format_value(each) for each in value]


def _as_list(value: Json, items_max: int, *, name: str) -> list[Json]:
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if not items or len(items) > items_max:
        raise ParameterInvalid(name, f"expected 1 to {items_max} values")
    return items
