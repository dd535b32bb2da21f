"""Dry runs: what a call gives, what it would cost."""

from __future__ import annotations

from node import errors
from node.engine import CallOutcome, CallStatus, estimate_gas
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import BlockReference, BlockTag, parse_block_reference, parse_call
from node.rpc.json_value import Json
from node.rpc.methods.view import View, Watch


def eth_call(view: View, call: Json, reference: Json = None, *, watch: Watch) -> str:
    """What a call returns; an error where it reverts or halts."""
    parsed = parse_call(call, name="call")
    env, root = view.environment(parse_block_reference(reference, name="block"))
    outcome = view.engine.call(env, root, parsed, watch=watch)
    _check_outcome(outcome)
    return format_data(outcome.data)


def eth_estimate_gas(view: View, call: Json, reference: Json = None, *, watch: Watch) -> str:
    """A gas limit under which the transaction succeeds in the next block."""
    parsed = parse_call(call, name="call")
    env, root = view.environment(_of_next_block(parse_block_reference(reference, name="block")))
    estimate = estimate_gas(view.engine, env, root, parsed, watch=watch)
    if isinstance(estimate, CallOutcome):
        _check_outcome(estimate)
        raise errors.ExecutionHalted("gas required exceeds allowance")
    return format_quantity(estimate)


def _check_outcome(outcome: CallOutcome) -> None:
    if outcome.status is CallStatus.REVERTED:
        raise errors.ExecutionReverted(outcome.data)
    if outcome.status is CallStatus.HALTED:
        raise errors.ExecutionHalted(outcome.halt_reason)


def _of_next_block(reference: BlockReference) -> BlockReference:
    is_tag = isinstance(reference, BlockTag) and reference is not BlockTag.EARLIEST
    return BlockTag.PENDING if is_tag else reference
