"""Fees: there are none, and tools ask for them."""

from __future__ import annotations

from typing import Final

from node.rpc.codec.format import format_quantity
from node.rpc.codec.parse import parse_block_reference, parse_percentiles, parse_quantity
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View

FEE_HISTORY_BLOCKS_MAX: Final = 1_024
"""Blocks of one `eth_feeHistory` answer."""


def eth_gas_price(_view: View) -> str:
    """What a unit of gas costs: nothing."""
    return format_quantity(0)


def eth_fee_history(view: View, count: Json, newest: Json, percentiles: Json = None) -> JsonObject:
    """Base fees (all zero) and how full the blocks were; rewards only where they are asked for."""
    wanted = parse_percentiles(percentiles, name="rewardPercentiles")
    blocks = min(parse_quantity(count, name="blockCount"), FEE_HISTORY_BLOCKS_MAX)
    last = view.header(parse_block_reference(newest, name="newestBlock"))
    first = max(0, last.number + 1 - blocks)
    headers = [view.header(number) for number in range(first, last.number + 1)]
    answer: JsonObject = {
        "oldestBlock": format_quantity(first),
        "baseFeePerGas": [format_quantity(0)] * (len(headers) + 1),
        "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
    }
    if wanted:
        answer["reward"] = [[format_quantity(0)] * len(wanted)] * len(headers)
    return answer
