"""Transactions: submitted, pooled, committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from node.block import Block
from node.errors import DryRunTooLong, NodeError, NoKeysHeld, NotIncludedYet, Rejected
from node.link import Submission, Submitter
from node.primitives import Hash32
from node.rpc.codec.format import TransactionPlace, format_data, format_receipt, format_transaction
from node.rpc.codec.parse import (
    parse_address,
    parse_block_reference,
    parse_data,
    parse_hash,
    parse_object,
    parse_quantity,
)
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View, Watch
from node.specification import Rules
from node.transaction import check_transaction, decode_transaction, recover_sender

WAIT_MILLISECONDS_DEFAULT: Final = 2_000
"""How long a submission waits for its receipt where its sender does not say."""

WAIT_MILLISECONDS_MAX: Final = 4_000
"""How long it waits at most: less than a request has."""

LOOK_SECONDS: Final = 0.005
"""Pause between two looks for a receipt."""


def eth_get_transaction_by_hash(view: View, transaction_hash: Json) -> JsonObject | None:
    """A committed transaction, or one in the pool; null where there is none."""
    parsed = parse_hash(transaction_hash, name="hash")
    record = view.history.transaction(parsed)
    if record is None:
        pooled = view.core.pooled_transaction(parsed)
        if pooled is not None:
            return format_transaction(decode_transaction(pooled.raw), pooled.sender, None)
        # It may have left the pool for a block since the first look.
        record = view.history.transaction(parsed)
    if record is not None:
        place = TransactionPlace(
            record.block_hash, record.number, record.timestamp, record.position
        )
        return format_transaction(decode_transaction(record.raw), record.sender, place)
    return None


def eth_get_transaction_by_block_and_index(
    view: View, reference: Json, position: Json
) -> JsonObject | None:
    """A transaction by its place; null where there is none."""
    block = view.block(parse_block_reference(reference, name="block"))
    parsed = parse_quantity(position, name="index")
    if block is None or parsed >= len(block.transactions):
        return None
    return transaction_in_block(block, parsed)


def eth_get_transaction_receipt(view: View, transaction_hash: Json) -> JsonObject | None:
    """The receipt of a committed transaction; null where there is none."""
    record = view.history.receipt(parse_hash(transaction_hash, name="hash"))
    return None if record is None else format_receipt(record, decode_transaction(record.raw))


def format_pending(view: View, transaction_hash: Hash32) -> JsonObject | None:
    """A transaction as it stood in the pool, though it may be in a block by now; None where it is nowhere."""
    pooled = view.core.pooled_transaction(transaction_hash) or view.history.transaction(
        transaction_hash
    )
    if pooled is None:
        return None
    return format_transaction(decode_transaction(pooled.raw), pooled.sender, None)


def eth_send_raw_transaction(view: View, raw: Json) -> str:
    """Submits a signed transaction; its hash."""
    (answer,) = send_raw_transactions(view, [raw])
    if isinstance(answer, NodeError):
        raise answer
    return answer


async def submit_promptly(view: View, submitter: Submitter, raw: Json) -> str:
    """Submits a signed transaction from the event loop, which nothing here holds up; its hash.

    The check and the recovery of the sender, some 70 microseconds, are a fifth of what the loop does for the request
    anyway, and less than it takes to hand them to a thread and back.
    """
    rules = view.specification.rules_at(view.history.head_number() + 1)
    prepared = _prepare(view, raw, rules)
    answer = await submitter.submit(prepared) if isinstance(prepared, Submission) else prepared
    if isinstance(answer, NodeError):
        raise answer
    return format_data(answer)


def eth_send_raw_transaction_sync(
    view: View, raw: Json, milliseconds: Json = None, *, watch: Watch
) -> JsonObject:
    """Submits a signed transaction and waits for its receipt; one in no block by then stays pooled (EIP-7966)."""
    wait = WAIT_MILLISECONDS_DEFAULT
    if milliseconds is not None:
        wait = parse_quantity(milliseconds, name="timeout") or WAIT_MILLISECONDS_DEFAULT
    transaction_hash = eth_send_raw_transaction(view, raw)
    deadline = time.monotonic_ns() + min(wait, WAIT_MILLISECONDS_MAX) * 1_000_000
    while True:
        receipt = eth_get_transaction_receipt(view, transaction_hash)
        if receipt is not None:
            return receipt
        try:
            watch()
        except DryRunTooLong:
            deadline = 0
        if time.monotonic_ns() >= deadline:
            raise NotIncludedYet(parse_hash(transaction_hash, name="hash"))
        time.sleep(LOOK_SECONDS)


def send_raw_transactions(view: View, raws: Sequence[Json]) -> list[str | NodeError]:
    """Submits signed transactions in order, in one question to the core; for each its hash or its refusal."""
    rules = view.specification.rules_at(view.history.head_number() + 1)
    prepared = [_prepare(view, raw, rules) for raw in raws]
    submissions = [each for each in prepared if isinstance(each, Submission)]
    answers = iter(view.core.submit_many(submissions) if submissions else [])
    return [
        _format_answer(next(answers)) if isinstance(each, Submission) else each for each in prepared
    ]


def eth_sign(_view: View, address: Json, message: Json) -> None:
    """Raises `NoKeysHeld`: this node signs for nobody."""
    parse_address(address, name="address")
    parse_data(message, name="message")
    raise NoKeysHeld


def eth_sign_transaction(_view: View, transaction: Json) -> None:
    """Raises `NoKeysHeld`: this node signs for nobody."""
    parse_object(transaction, name="transaction")
    raise NoKeysHeld


def transaction_in_block(block: Block, position: int) -> JsonObject:
    """The transaction object at a position that the block has."""
    header = block.header
    transaction = decode_transaction(block.transactions[position])
    place = TransactionPlace(header.hash, header.number, header.timestamp, position)
    return format_transaction(transaction, recover_sender(transaction), place)


def _prepare(view: View, raw: Json, rules: Rules) -> Submission | NodeError:
    """What the core is given, after the static check here; or its refusal."""
    try:
        encoded = parse_data(raw, name="transaction")
        checked = check_transaction(encoded, chain_id=view.specification.chain_id, rules=rules)
    except Rejected as refusal:
        return refusal
    return Submission(encoded, checked.hash, checked.sender)


def _format_answer(answer: bytes | NodeError) -> str | NodeError:
    return answer if isinstance(answer, NodeError) else format_data(answer)
