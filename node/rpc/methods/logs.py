"""Logs, from their index."""

from __future__ import annotations

from node.errors import LogRangeTooLarge, ParameterInvalid
from node.history import LogFilter
from node.rpc.codec.format import format_log_record
from node.rpc.codec.parse import parse_log_query
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View


def eth_get_logs(view: View, query: Json) -> list[JsonObject]:
    """The logs that match a filter, in order, from the log index."""
    parsed = parse_log_query(query, name="filter")
    head = view.history.head().number
    first, last = view.number(parsed.first, head), view.number(parsed.last, head)
    if last < first:
        raise ParameterInvalid("filter", "invalid block range params: fromBlock is above toBlock")
    blocks = min(last, head) - first + 1
    if blocks > view.limits.logs_blocks_max:
        raise LogRangeTooLarge(blocks, view.limits.logs_blocks_max)
    log_filter = LogFilter(first, min(last, head), parsed.addresses, parsed.topics)
    return [format_log_record(record) for record in view.history.logs(log_filter)]
