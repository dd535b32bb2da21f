"""Dry runs: what a call gives, what it would cost, what it touches; a transaction made ready to be signed."""

from __future__ import annotations

from node import errors
from node.engine import CallOutcome, CallStatus, create_access_list, estimate_gas
from node.rpc.codec.format import format_access_list, format_data, format_quantity, format_unsigned
from node.rpc.codec.overrides import parse_block_overrides, parse_state_overrides
from node.rpc.codec.parse import (
    BlockReference,
    BlockTag,
    parse_block_reference,
    parse_call,
    parse_number,
    parse_object,
    parse_quantity,
)
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View, Watch
from node.transaction import TYPE_DYNAMIC_FEE, UnsignedTransaction


def eth_call(
    view: View,
    call: Json,
    reference: Json = None,
    state: Json = None,
    block: Json = None,
    *,
    watch: Watch,
) -> str:
    """What a call returns, on a state and in a block that may be pretended; an error where it reverts or halts."""
    parsed = parse_call(call, name="call")
    overrides = parse_state_overrides(state, name="stateOverrides")
    pretended = parse_block_overrides(block, name="blockOverrides")
    env, root = view.environment(parse_block_reference(reference, name="block"))
    outcome = view.engine.call(env.pretending(pretended), root, parsed, overrides, watch)
    _check_outcome(outcome)
    return format_data(outcome.data)


def eth_estimate_gas(
    view: View,
    call: Json,
    reference: Json = None,
    state: Json = None,
    block: Json = None,
    *,
    watch: Watch,
) -> str:
    """A gas limit under which the transaction succeeds in the next block."""
    parsed = parse_call(call, name="call")
    overrides = parse_state_overrides(state, name="stateOverrides")
    pretended = parse_block_overrides(block, name="blockOverrides")
    env, root = view.environment(_of_next_block(parse_block_reference(reference, name="block")))
    estimate = estimate_gas(view.engine, env.pretending(pretended), root, parsed, overrides, watch)
    return format_quantity(_check_estimate(estimate))


def eth_create_access_list(
    view: View, call: Json, reference: Json = None, state: Json = None, *, watch: Watch
) -> JsonObject:
    """The accounts and slots that a transaction touches in the next block, and its gas when it names them."""
    parsed = parse_call(call, name="call")
    env, root = view.environment(_of_next_block(parse_block_reference(reference, name="block")))
    overrides = parse_state_overrides(state, name="stateOverrides")
    found = create_access_list(view.engine, env, root, parsed, overrides, watch)
    answer: JsonObject = {
        "accessList": format_access_list(found.entries),
        "gasUsed": format_quantity(found.outcome.gas_used),
    }
    match found.outcome.status:
        case CallStatus.SUCCEEDED:
            pass
        case CallStatus.REVERTED:
            answer["error"] = str(errors.ExecutionReverted(found.outcome.data))
        case CallStatus.HALTED:
            answer["error"] = found.outcome.halt_reason
    return answer


def eth_fill_transaction(view: View, transaction: Json, *, watch: Watch) -> JsonObject:
    """A transaction of type 2 with whatever was left out, ready to be signed."""
    call = parse_call(transaction, name="transaction")
    fields = parse_object(transaction, name="transaction")
    _check_kind(fields, view.specification.chain_id)
    nonce = fields.get("nonce")
    if fields.get("gas") is None:
        env, root = view.environment(BlockTag.PENDING)
        gas_limit = _check_estimate(estimate_gas(view.engine, env, root, call, watch=watch))
    else:
        gas_limit = parse_number(fields["gas"], bits_max=64, name="transaction.gas")
    priority_fee = fields.get("maxPriorityFeePerGas") or fields.get("gasPrice") or "0x0"
    filled = UnsignedTransaction(
        chain_id=view.specification.chain_id,
        nonce=view.core.next_nonce(call.sender)
        if nonce is None
        else parse_number(nonce, bits_max=64, name="transaction.nonce"),
        max_priority_fee_per_gas=parse_quantity(
            priority_fee, name="transaction.maxPriorityFeePerGas"
        ),
        max_fee_per_gas=call.gas_price,
        gas_limit=gas_limit,
        to=call.to,
        value=call.value,
        data=call.data,
        access_list=call.access_list,
    )
    return {"raw": format_data(filled.encode()), "tx": format_unsigned(filled)}


def _check_kind(fields: JsonObject, chain_id: int) -> None:
    """Raises where another type, or another chain, is asked for."""
    kind, given_chain = fields.get("type"), fields.get("chainId")
    if kind is not None and parse_quantity(kind, name="transaction.type") != TYPE_DYNAMIC_FEE:
        raise errors.ParameterInvalid("transaction.type", "only type 0x2 is filled")
    if given_chain is not None:
        given = parse_quantity(given_chain, name="transaction.chainId")
        if given != chain_id:
            raise errors.ParameterInvalid(
                "transaction.chainId",
                f"chainId does not match node's (have={given}, want={chain_id})",
            )


def _check_estimate(estimate: int | CallOutcome) -> int:
    if isinstance(estimate, CallOutcome):
        _check_outcome(estimate)
        raise errors.ExecutionHalted("gas required exceeds allowance")
    return estimate


def _check_outcome(outcome: CallOutcome) -> None:
    if outcome.status is CallStatus.REVERTED:
        raise errors.ExecutionReverted(outcome.data)
    if outcome.status is CallStatus.HALTED:
        raise errors.ExecutionHalted(outcome.halt_reason)


def _of_next_block(reference: BlockReference) -> BlockReference:
    is_tag = isinstance(reference, BlockTag) and reference is not BlockTag.EARLIEST
    return BlockTag.PENDING if is_tag else reference
