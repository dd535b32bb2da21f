"""Will it be included, and if not, why? Our own methods, from the very code that consensus asks.

`corridor_isTransactionAllowed` asks before anything is sent; `corridor_explainTransaction` says where a transaction is
and what blocks it, for whoever wonders why a payment is not final.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node.admission import Intention
from node.engine import skip_reason_of
from node.errors import (
    GasBelowIntrinsic,
    GasLimitTooHigh,
    InitCodeTooLarge,
    ParameterInvalid,
    TransactionRejected,
)
from node.permissions import ParentState
from node.pool import Dropped, DropReason, Executable, PooledTransaction, Standing, Waiting
from node.primitives import Hash32
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import (
    BlockTag,
    parse_block_reference,
    parse_call,
    parse_data,
    parse_hash,
    parse_object,
    parse_quantity,
)
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.transactions import eth_get_transaction_receipt
from node.rpc.methods.view import View
from node.transaction import INIT_CODE_BYTES_MAX, gas_limit_min

CODE_ALLOWED: Final = 0


def corridor_is_transaction_allowed(
    view: View, transaction: Json, reference: Json = None
) -> JsonObject:
    """Whether a transaction may enter the block after a block, by default the next one, and which rule refuses it.

    A signed transaction ("0x...") is asked everything that consensus asks; an object (`from`, `to`, `value`, `gas`,
    fees, `nonce`, `data`) what does not depend on a signature. A nonce above the sender's is no refusal: it waits.
    """
    parent = _parent_state(view, reference)
    try:
        if isinstance(transaction, str):
            view.admission.check(parse_data(transaction, name="transaction"), parent)
        else:
            _check_object(view, transaction, parent)
    except TransactionRejected as refusal:
        return _format_refusal(refusal)
    return _format_refusal(None)


def corridor_explain_transaction(view: View, transaction_hash: Json) -> JsonObject:
    """Where a transaction is, and what keeps it from being final."""
    parsed = parse_hash(transaction_hash, name="hash")
    committed = _explain_committed(view, parsed)
    if committed is not None:
        return committed
    standing = view.core.standing(parsed)
    # It may have left the pool for a block since the first look.
    committed = _explain_committed(view, parsed)
    if committed is not None:
        return committed
    return {"hash": format_data(parsed), **_explain_standing(view, standing)}


def _parent_state(view: View, reference: Json) -> ParentState:
    """What the block after the named one is asked against: its state and time; after the newest, this node's time."""
    parsed = parse_block_reference(reference, name="block")
    number = view.number(parsed, view.history.head().number)
    if number == view.history.head().number:
        return ParentState(*view.environment(BlockTag.PENDING))
    env, root = view.environment(number)
    rules = view.specification.rules_at(number + 1)
    return ParentState(replace(env, number=number + 1, rules=rules), root)


def _check_object(view: View, transaction: Json, parent: ParentState) -> None:
    """Raises `TransactionRejected` where no transaction like this would be admitted."""
    fields = parse_object(transaction, name="transaction")
    call = parse_call(transaction, name="transaction")
    if fields.get("from") is None:
        raise ParameterInvalid("transaction", "an object needs from")
    nonce = fields.get("nonce")
    gas = fields.get("gas")
    gas_limit = 0 if gas is None else parse_quantity(gas, name="transaction.gas")
    rules = parent.env.rules
    creates = call.to is None
    if gas_limit > rules.transaction_gas_limit:
        raise GasLimitTooHigh(gas_limit, rules.transaction_gas_limit)
    if creates and len(call.data) > INIT_CODE_BYTES_MAX:
        raise InitCodeTooLarge(len(call.data), INIT_CODE_BYTES_MAX)
    gas_needed = gas_limit_min(call.data, creates=creates, access_list=call.access_list)
    if gas is not None and gas_limit < gas_needed:
        raise GasBelowIntrinsic(gas_limit, gas_needed)
    view.admission.check_intention(
        Intention(
            sender=call.sender,
            to=call.to,
            cost_max=call.value + (gas_limit or gas_needed) * call.gas_price,
            nonce=None if nonce is None else parse_quantity(nonce, name="transaction.nonce"),
        ),
        parent,
    )


def _explain_committed(view: View, transaction_hash: Hash32) -> JsonObject | None:
    receipt = eth_get_transaction_receipt(view, format_data(transaction_hash))
    if receipt is None:
        return None
    succeeded = receipt["status"] == format_quantity(1)
    return {
        "hash": format_data(transaction_hash),
        "status": "committed",
        "explanation": "it is in a block, which is final; "
        + ("it succeeded" if succeeded else "it failed and changed nothing but its sender's nonce"),
        "blockNumber": receipt["blockNumber"],
        "blockHash": receipt["blockHash"],
        "transactionIndex": receipt["transactionIndex"],
        "receipt": receipt,
    }


def _explain_standing(view: View, standing: Standing | None) -> JsonObject:
    match standing:
        case None:
            return {
                "status": "unknown",
                "explanation": "this node has neither committed it nor pooled it lately: it was never sent here, or "
                "was refused when it was sent; send it again to see why",
            }
        case Executable():
            return _explain_executable(view, standing)
        case Waiting():
            return _explain_waiting(view, standing)
        case Dropped():
            return _explain_dropped(standing)


def _explain_executable(view: View, standing: Executable) -> JsonObject:
    explanation = (
        f"nothing is missing: it is in one of the next {standing.blocks_max} blocks; "
        f"{standing.own_ahead} of its sender's transactions and {standing.senders_ahead} other senders come first"
    )
    return {
        **_format_pooled(view, "executable", standing.transaction, explanation),
        "ownTransactionsAhead": format_quantity(standing.own_ahead),
        "sendersAhead": format_quantity(standing.senders_ahead),
        "blocksMax": format_quantity(standing.blocks_max),
    }


def _explain_waiting(view: View, standing: Waiting) -> JsonObject:
    shown = ", ".join(map(str, standing.missing[:3])) + (
        ", ..." if len(standing.missing) > 3 else ""
    )
    explanation = f"its sender's nonce {shown} is missing: it waits until that is sent, or expires"
    if standing.lost is not None:
        explanation += f"; {format_data(standing.lost)} had it and was dropped"
    return {
        **_format_pooled(view, "waiting", standing.transaction, explanation),
        "missingNonces": [format_quantity(nonce) for nonce in standing.missing],
        "expiresAt": format_quantity(standing.expires_at),
        "droppedBefore": None if standing.lost is None else format_data(standing.lost),
    }


def _explain_dropped(standing: Dropped) -> JsonObject:
    may_retry = standing.reason not in (DropReason.NONCE_USED, DropReason.REPLACED)
    return {
        "status": "dropped",
        "explanation": f"it left the pool without a block: {standing.detail}; "
        + ("it may be sent again" if may_retry else "another took its place"),
        "from": format_data(standing.sender),
        "nonce": format_quantity(standing.nonce),
        "reason": standing.reason.name,
        "droppedAt": format_quantity(standing.dropped_at),
    }


def _format_pooled(
    view: View, status: str, transaction: PooledTransaction, explanation: str
) -> JsonObject:
    """What is said of any pooled transaction; the refusal is what consensus would say of it now."""
    refusal = corridor_is_transaction_allowed(view, format_data(transaction.raw))
    if not refusal["allowed"]:
        explanation = f"the next block would refuse it: {refusal['reason']}"
    return {
        "status": status,
        "explanation": explanation,
        "from": format_data(transaction.sender),
        "nonce": format_quantity(transaction.nonce),
        "refusal": None if refusal["allowed"] else refusal,
    }


def _format_refusal(refusal: TransactionRejected | None) -> JsonObject:
    """`code` and `rule` are those of consensus; 0 and null where it is allowed."""
    if refusal is None:
        return {"allowed": True, "code": CODE_ALLOWED, "rule": None, "reason": None}
    code = skip_reason_of(refusal)
    return {"allowed": False, "code": int(code), "rule": code.name, "reason": str(refusal)}
