"""Traces as geth writes them: the options of `debug_trace*`, struct logs, call frames."""

from __future__ import annotations

from typing import Final, assert_never

from node.engine import (
    CallFrame,
    CallFrameOptions,
    FrameLog,
    FrameTrace,
    StructLog,
    StructLogOptions,
    StructTrace,
    Trace,
    TraceOptions,
)
from node.errors import ParameterInvalid
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import parse_flag, parse_object, refuse_unknown
from node.rpc.faults import revert_reason
from node.rpc.json_value import Json, JsonObject

CALL_TRACER: Final = "callTracer"

TRACE_FIELDS: Final = (
    "tracer",
    "tracerConfig",
    "timeout",
    "reexec",
    "debug",
    "enableMemory",
    "disableMemory",
    "disableStack",
    "disableStorage",
    "enableReturnData",
    "limit",
)
"""Known options; `timeout`, `reexec` and `debug` change nothing: the request's own time bounds every trace."""


def parse_trace_options(value: Json, *, name: str) -> TraceOptions:
    """Which tracer, and what it records; struct logs where no tracer is named."""
    fields = {} if value is None else parse_object(value, name=name)
    refuse_unknown(fields, TRACE_FIELDS, name=name)
    if fields.get("tracer") == CALL_TRACER:
        return _parse_call_tracer(fields.get("tracerConfig"), name=f"{name}.tracerConfig")
    if fields.get("tracer"):
        raise ParameterInvalid(f"{name}.tracer", f"expected {CALL_TRACER}, or none for struct logs")
    limit = fields.get("limit") or 0
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ParameterInvalid(f"{name}.limit", "expected a number of steps")
    return StructLogOptions(
        has_memory=_flag(fields, "enableMemory", name=name),
        has_stack=not _flag(fields, "disableStack", name=name),
        has_storage=not _flag(fields, "disableStorage", name=name),
        has_return_data=_flag(fields, "enableReturnData", name=name),
        steps_max=limit,
    )


def format_trace(trace: Trace) -> JsonObject:
    """A transaction's trace."""
    match trace:
        case StructTrace():
            return {
                "gas": trace.gas_used,
                "failed": not trace.succeeded,
                "returnValue": format_data(trace.data),
                "structLogs": [_format_step(step) for step in trace.steps],
            }
        case FrameTrace():
            return _format_frame(trace.top)
        case _:
            assert_never(trace)


def _parse_call_tracer(value: Json, *, name: str) -> CallFrameOptions:
    fields = {} if value is None else parse_object(value, name=name)
    refuse_unknown(fields, ("onlyTopCall", "withLog"), name=name)
    return CallFrameOptions(
        has_only_top=_flag(fields, "onlyTopCall", name=name),
        has_logs=_flag(fields, "withLog", name=name),
    )


def _flag(fields: JsonObject, key: str, *, name: str) -> bool:
    given = fields.get(key)
    return False if given is None else parse_flag(given, name=f"{name}.{key}")


def _format_step(step: StructLog) -> JsonObject:
    formatted: JsonObject = {
        "pc": step.pc,
        "op": step.op,
        "gas": step.gas,
        "gasCost": step.gas_cost,
        "depth": step.depth,
        "refund": step.refund,
    }
    if step.error:
        formatted["error"] = step.error
    if step.stack is not None:
        formatted["stack"] = [format_quantity(word) for word in step.stack]
    if step.memory is not None:
        formatted["memory"] = [
            format_data(step.memory[at : at + 32]) for at in range(0, len(step.memory), 32)
        ]
    if step.return_data is not None:
        formatted["returnData"] = format_data(step.return_data)
    if step.storage is not None:
        formatted["storage"] = {
            format_data(slot.to_bytes(32, "big")): format_data(value.to_bytes(32, "big"))
            for slot, value in step.storage.items()
        }
    return formatted


def _format_frame(frame: CallFrame) -> JsonObject:
    formatted: JsonObject = {
        "type": frame.kind,
        "from": format_data(frame.sender),
        "gas": format_quantity(frame.gas),
        "gasUsed": format_quantity(frame.gas_used),
        "input": format_data(frame.data),
    }
    if frame.to is not None:
        formatted["to"] = format_data(frame.to)
    if frame.value is not None:
        formatted["value"] = format_quantity(frame.value)
    if frame.output:
        formatted["output"] = format_data(frame.output)
    if frame.error:
        formatted["error"] = frame.error
        reason = revert_reason(frame.output)
        if reason:
            formatted["revertReason"] = reason
    if frame.calls:
        formatted["calls"] = [_format_frame(call) for call in frame.calls]
    if frame.logs:
        formatted["logs"] = [_format_frame_log(log) for log in frame.logs]
    return formatted


def _format_frame_log(log: FrameLog) -> JsonObject:
    return {
        "address": format_data(log.log.address),
        "topics": [format_data(topic) for topic in log.log.topics],
        "data": format_data(log.log.data),
        "position": format_quantity(log.position),
        "index": format_quantity(log.index),
    }
