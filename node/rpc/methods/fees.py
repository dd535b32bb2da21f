"""Fees: the market is flat, at a base fee of zero, and tools ask for it."""

from __future__ import annotations

from typing import Final

from node.block import BLOB_GAS_USED, Header
from node.engine.seam import BLOB_BASE_FEE
from node.errors import FeeHistoryBeyondHead
from node.rpc.codec.format import format_quantity
from node.rpc.codec.parse import parse_block_reference, parse_count, parse_percentiles
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View, Watch
from node.transaction import decode_transaction

FEE_HISTORY_BLOCKS_MAX: Final = 1_024
"""Blocks of one `eth_feeHistory` answer."""


def eth_gas_price(_view: View) -> str:
    """What a unit of gas costs: nothing."""
    return format_quantity(0)


def eth_base_fee(view: View) -> str:
    """The base fee of the next block."""
    number = view.history.head().number + 1
    return format_quantity(view.specification.rules_at(number).base_fee_per_gas)


def eth_blob_base_fee(_view: View) -> str:
    """The price of a unit of blob gas where no blob is taken: the least that there is."""
    return format_quantity(BLOB_BASE_FEE)


def eth_fee_history(
    view: View, count: Json, newest: Json, percentiles: Json = None, *, watch: Watch
) -> JsonObject:
    """Base fees, how full the blocks were and, where percentiles are asked for, what was paid above."""
    wanted = parse_percentiles(percentiles, name="rewardPercentiles")
    blocks = min(parse_count(count, name="blockCount"), FEE_HISTORY_BLOCKS_MAX)
    reference = parse_block_reference(newest, name="newestBlock")
    head = view.history.head().number
    last = view.number(reference, head)
    if last > head:
        raise FeeHistoryBeyondHead(requested=last, head=head)
    if blocks == 0:
        return {"oldestBlock": format_quantity(0), "baseFeePerGas": [], "gasUsedRatio": []}
    first = max(0, last + 1 - blocks)
    headers = [view.header(number) for number in range(first, last + 1)]
    next_fee = view.specification.rules_at(last + 1).base_fee_per_gas
    fees = [*(header.base_fee_per_gas for header in headers), next_fee]
    answer: JsonObject = {
        "oldestBlock": format_quantity(first),
        "baseFeePerGas": [format_quantity(fee) for fee in fees],
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        "baseFeePerBlobGas": [format_quantity(BLOB_BASE_FEE)] * (len(headers) + 1),
        "blobGasUsedRatio": [BLOB_GAS_USED] * len(headers),
    }
    if wanted:
        answer["reward"] = [
            [format_quantity(reward) for reward in _rewards(view, header, wanted, watch)]
            for header in headers
        ]
    return answer


def _rewards(view: View, header: Header, percentiles: list[int | float], watch: Watch) -> list[int]:
    """At each percentile of a block's gas, what its transactions paid above the base fee."""
    watch()
    paid = sorted(
        (decode_transaction(record.raw).tip_above(header.base_fee_per_gas), record.receipt.gas_used)
        for record in view.history.receipt_records(header.number)
    )
    if not paid:
        return [0] * len(percentiles)
    rewards = []
    position, gas = 0, paid[0][1]
    for percentile in percentiles:
        threshold = int(header.gas_used * percentile / 100)
        while gas < threshold and position < len(paid) - 1:
            position += 1
            gas += paid[position][1]
        rewards.append(paid[position][0])
    return rewards
