"""One block executed again by the code that makes blocks, and held to the header it is known by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.archive.chain_file import BlockRecord
from node.block import Header
from node.chain import CODE_INCLUDED, Chain, Execution
from node.errors import BlockDiffers
from node.primitives import encode_uint

_FIELDS: Final[tuple[tuple[str, Callable[[Header], bytes]], ...]] = (
    ("the parent's hash", lambda header: header.parent_hash),
    ("its number", lambda header: encode_uint(header.number)),
    ("its time", lambda header: encode_uint(header.timestamp)),
    ("its gas limit", lambda header: encode_uint(header.gas_limit)),
    ("its base fee", lambda header: encode_uint(header.base_fee_per_gas)),
    ("its extra data", lambda header: header.extra_data),
    ("the transactions' root", lambda header: header.transactions_root),
    ("the gas used", lambda header: encode_uint(header.gas_used)),
    ("the receipts' root", lambda header: header.receipts_root),
    ("the logs' bloom", lambda header: header.logs_bloom),
    ("the state's root", lambda header: header.state_root),
)
"""All that varies in a header: what a block starts from before what it comes to."""


def execute_again(chain: Chain, record: BlockRecord) -> Execution:
    """The block executed on the chain's tip, not yet committed; raises BlockDiffers."""
    header = record.header
    execution = chain.execute(record.transactions, height=record.height, timestamp=header.timestamp)
    for position, result in enumerate(execution.results):
        if result.code != CODE_INCLUDED:
            raise BlockDiffers(
                header.number,
                f"the result of transaction {position}",
                expected=encode_uint(CODE_INCLUDED),
                found=encode_uint(result.code),
            )
    made = execution.block.header if execution.block else None
    if made is None:
        raise BlockDiffers(header.number, "its hash", expected=header.hash, found=b"")
    for what, field in _FIELDS:
        if field(made) != field(header):
            raise BlockDiffers(header.number, what, expected=field(header), found=field(made))
    return execution
