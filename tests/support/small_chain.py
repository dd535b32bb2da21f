"""A core with a small chain on which every kind of transaction has happened, and a pool that is not empty.

block 1   a legacy transaction, one with an access list, one with dynamic fees
block 2   a creation: a contract that logs when it is called, and reverts when it is given data
block 3   a call that logs, a call that reverts
pool      one transaction that could enter the next block, one that waits behind a gap
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.primitives import Hash32, created_address
from node.rpc.faults import WireError
from support.core import Core, open_core
from support.settlement_network import ALPHA, BETA, OPERATOR
from support.transactions import SINK, Draft

LOGGER_RUNTIME: Final = bytes.fromhex("36600a57602a5f5fa1005b5f5ffd")
"""Without calldata: a log with topic 42 and no data. With any: revert without data."""
LOGGER_INIT: Final = bytes.fromhex("600e600a5f39600e5ff3") + LOGGER_RUNTIME
SENDER: Final = ALPHA.operating
OTHER: Final = BETA.operating


@dataclass(frozen=True, slots=True)
class SmallChain:
    """The core, and what a question may want to name."""

    core: Core
    kinds: tuple[Hash32, ...]
    """The transactions of block 1: types 0, 1 and 2."""
    creation: Hash32
    logging: Hash32
    reverting: Hash32
    executable: Hash32
    waiting: Hash32
    logger: bytes

    def ask(self, method: str, *params: Any) -> Any:
        """The result of a JSON-RPC call; fails on an error."""
        result = self.core.ask(method, *params)
        assert not isinstance(result, WireError), (method, params, result)
        return result

    def refusal(self, method: str, *params: Any) -> WireError:
        """The error of a JSON-RPC call; fails on a result."""
        result = self.core.ask(method, *params)
        assert isinstance(result, WireError), (method, params, result)
        return result

    def block_hash(self, number: int) -> str:
        """The hash of a block."""
        found: str = self.ask("eth_getBlockByNumber", hex(number))["hash"]
        return found


def open_small_chain(directory: Path) -> SmallChain:
    """Three blocks and a pool."""
    core = open_core(directory)
    access_list = ((SINK, (bytes(32), bytes(31) + b"\x01")),)
    kinds = tuple(
        core.submit(draft.signed_by(SENDER))
        for draft in (
            Draft(transaction_type=0, data=b"\x00\x01"),
            Draft(transaction_type=1, nonce=1, access_list=access_list),
            Draft(transaction_type=2, nonce=2, access_list=access_list),
        )
    )
    core.make_block()
    operator = OPERATOR.operating
    creation = core.send(Draft(to=None, data=LOGGER_INIT, gas_limit=200_000).signed_by(operator))
    logger = created_address(operator.address, 0)
    logging = core.submit(Draft(nonce=3, to=logger).signed_by(SENDER))
    reverting = core.submit(Draft(nonce=4, to=logger, data=b"\x01").signed_by(SENDER))
    core.make_block()
    return SmallChain(
        core=core,
        kinds=kinds,
        creation=creation,
        logging=logging,
        reverting=reverting,
        executable=core.submit(Draft(nonce=5, access_list=access_list).signed_by(SENDER)),
        waiting=core.submit(Draft(transaction_type=0, nonce=2).signed_by(OTHER)),
        logger=logger,
    )


def text(data: bytes) -> str:
    """Data as JSON-RPC has it."""
    return f"0x{data.hex()}"
