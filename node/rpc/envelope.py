"""JSON-RPC 2.0 in bytes: requests decoded, single or in batches, each call made, its answer encoded.

HTTP and WebSocket share it. It knows nothing of Ethereum, of HTTP or of who asks: calls go to a `Dispatcher`.

Source: JSON-RPC 2.0 specification.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.config import Limits
from node.rpc.budget import Budget
from node.rpc.calls import Dispatcher
from node.rpc.faults import (
    INVALID_PARAMETERS,
    INVALID_REQUEST,
    OVER_LIMIT,
    PARSE_ERROR,
    WireError,
)
from node.rpc.json_value import Json

DEPTH_MAX = 32
"""Nesting of a body's lists and objects. The EVM's own recursion needs so high an interpreter limit
that a deeply nested body would overflow the decoder's C stack before that limit is met."""

DEFAULT_LIMITS: Final = Limits()

STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
BRACKET_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def decode_request(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Json | WireError:
    """The JSON value of a request body, or the error to answer with."""
    try:
        text = body.decode()
        _check_depth(text)
        request = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return WireError(PARSE_ERROR, "parse error: the body is not JSON")
    if request == []:
        return WireError(INVALID_REQUEST, "invalid request: empty batch")
    if isinstance(request, list) and len(request) > limits.batch_calls_max:
        fault = f"batch too large: {len(request)} calls, at most {limits.batch_calls_max}"
        return WireError(INVALID_REQUEST, fault)
    return request


def has_heavy_call(dispatcher: Dispatcher, request: Json | WireError) -> bool:
    """Whether a call of what `decode_request` gave may take seconds of the machine."""
    calls = request if isinstance(request, list) else [request]
    return any(
        isinstance(call, dict) and dispatcher.is_heavy(str(call.get("method"))) for call in calls
    )


def answer_request(
    dispatcher: Dispatcher,
    request: Json | WireError,
    budget: Budget,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """The answer to what `decode_request` gave; empty where only notifications came.

    Each answer is encoded as it comes; some calls in a row are answered together. Once the budget or the size is spent,
    no further call is made.
    """
    if isinstance(request, WireError):
        return encode_answer(format_failure(None, request))
    answers: list[bytes] = []
    size = 0
    refusal: WireError | None = None
    calls = [_read_call(call) for call in (request if isinstance(request, list) else [request])]
    for group in _groups(dispatcher, calls):
        if refusal is None and budget.is_spent():
            refusal = WireError(OVER_LIMIT, "the time for this request is over")
        for call, result in zip(group, _results(dispatcher, group, budget, refusal), strict=True):
            if not call.wants_answer:
                continue
            encoded = encode_answer(_answer(call, result))
            if refusal is None and size + len(encoded) > limits.answer_bytes_max:
                fault = f"answer above {limits.answer_bytes_max} bytes; ask for less"
                refusal = WireError(OVER_LIMIT, fault)
                encoded = encode_answer(format_failure(call.identifier, refusal))
            answers.append(encoded)
            size += len(encoded)
    if isinstance(request, list):
        return b"[" + b",".join(answers) + b"]" if answers else b""
    return b"".join(answers)


def prompt_call(dispatcher: Dispatcher, request: Json | WireError) -> Call | None:
    """The call of a request that has but one, which the event loop makes by itself; None for any other."""
    if not isinstance(request, dict):
        return None
    call = _read_call(request)
    is_prompt = call.fault is None and dispatcher.is_prompt(call.method, call.params)
    return call if is_prompt else None


async def answer_promptly(dispatcher: Dispatcher, call: Call) -> bytes:
    """The answer to what `prompt_call` gave; empty where it wants none."""
    result = await dispatcher.dispatch_promptly(call.method, call.params)
    return encode_answer(_answer(call, result)) if call.wants_answer else b""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a request; `fault` is set where it is none."""

    identifier: str | int | None
    wants_answer: bool = True
    method: str = ""
    params: list[Json] = field(default_factory=list)
    fault: WireError | None = None


def _read_call(request: Json) -> Call:
    match request:
        case {"jsonrpc": "2.0", "method": str(method)}:
            identifier = request.get("id")
            params = request.get("params")
        case {"id": str() | int() as identifier}:
            return Call(identifier, fault=WireError(INVALID_REQUEST, "invalid request"))
        case _:
            return Call(None, fault=WireError(INVALID_REQUEST, "invalid request"))
    if not isinstance(identifier, str | int | None) or not isinstance(params, list | dict | None):
        fault = WireError(INVALID_REQUEST, "invalid request: id or params of a wrong type")
        return Call(None, fault=fault)
    wants_answer = "id" in request
    if isinstance(params, dict):
        fault = WireError(
            INVALID_PARAMETERS, "non-array args: parameters are taken by position, in a list"
        )
        return Call(identifier, wants_answer, fault=fault)
    return Call(identifier, wants_answer, method, params or [])


def _groups(dispatcher: Dispatcher, calls: Sequence[Call]) -> Iterator[list[Call]]:
    """The calls in order, those together that are answered together."""
    group: list[Call] = []
    for call in calls:
        if group and (group[0].method != call.method or not dispatcher.is_grouped(call.method)):
            yield group
            group = []
        group.append(call)
    yield group


def _results(
    dispatcher: Dispatcher, group: Sequence[Call], budget: Budget, refusal: WireError | None
) -> list[Json | WireError]:
    """One result for each call of a group."""
    first = group[0]
    if first.fault is not None or refusal is not None:
        return [first.fault or refusal] * len(group)
    if len(group) == 1:
        return [dispatcher.dispatch(first.method, first.params, budget)]
    return dispatcher.dispatch_many(first.method, [call.params for call in group], budget)


def _answer(call: Call, result: Json | WireError) -> Json:
    if isinstance(result, WireError):
        return format_failure(call.identifier, result)
    return {"jsonrpc": "2.0", "id": call.identifier, "result": result}


def format_failure(identifier: str | int | None, error: WireError) -> Json:
    """The answer that says what was wrong with a call."""
    details: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.data is not None:
        details["data"] = error.data
    return {"jsonrpc": "2.0", "id": identifier, "error": details}


def _check_depth(text: str) -> None:
    depth = 0
    for token in STRING_OR_BRACKET.finditer(text):
        depth += BRACKET_STEPS.get(token[0], 0)
        if depth > DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def encode_answer(answer: Json) -> bytes:
    """An answer as text."""
    return json.dumps(answer, separators=(",", ":")).encode()
