"""Traces: how committed transactions ran, and how a call would run."""

from __future__ import annotations

from typing import Final

from node.engine import Trace, TracedBlock
from node.errors import NothingToTrace
from node.rpc.codec.format import format_data
from node.rpc.codec.overrides import parse_block_overrides, parse_state_overrides
from node.rpc.codec.parse import parse_block_reference, parse_call, parse_hash, parse_object
from node.rpc.codec.trace import format_trace, parse_trace_options
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View, Watch

OVERRIDE_FIELDS: Final = ("stateOverrides", "blockOverrides")


def debug_trace_transaction(
    view: View, transaction_hash: Json, config: Json = None, *, watch: Watch
) -> JsonObject:
    """How a committed transaction ran."""
    record = view.history.transaction(parse_hash(transaction_hash, name="hash"))
    if record is None:
        raise NothingToTrace("transaction not found")
    (trace,) = _trace(view, record.number, record.position, config, watch)
    return format_trace(trace)


def debug_trace_block(
    view: View, reference: Json, config: Json = None, *, watch: Watch
) -> list[JsonObject]:
    """How each transaction of a block ran, in order."""
    number = view.header(parse_block_reference(reference, name="block")).number
    return [
        {
            "txHash": format_data(trace.transaction_hash or b""),
            "result": format_trace(trace),
        }
        for trace in _trace(view, number, None, config, watch)
    ]


def debug_trace_call(
    view: View, call: Json, reference: Json, config: Json = None, *, watch: Watch
) -> JsonObject:
    """How a call would run on the state after a block."""
    fields = {} if config is None else parse_object(config, name="config")
    given = {key: fields.get(key) for key in OVERRIDE_FIELDS}
    rest = {key: value for key, value in fields.items() if key not in OVERRIDE_FIELDS}
    env, root = view.environment(parse_block_reference(reference, name="block"))
    block = parse_block_overrides(given["blockOverrides"], name="config.blockOverrides")
    trace = view.engine.trace_call(
        env.pretending(block),
        root,
        parse_call(call, name="call"),
        parse_trace_options(rest, name="config"),
        parse_state_overrides(given["stateOverrides"], name="config.stateOverrides"),
        watch,
    )
    return format_trace(trace)


def _trace(
    view: View, number: int, position: int | None, config: Json, watch: Watch
) -> tuple[Trace, ...]:
    """One transaction of a block, or (None) all of them."""
    options = parse_trace_options(config, name="config")
    block = view.block(number)
    if block is None or number == 0:
        raise NothingToTrace("genesis is not traceable")
    env, _ = view.environment(number)
    parent = view.header(number - 1)
    view.check_state(parent.number)
    positions = range(len(block.transactions)) if position is None else (position,)
    traced = TracedBlock(block.transactions, frozenset(positions))
    return view.engine.trace(env, parent.state_root, traced, options, watch)
