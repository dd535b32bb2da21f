"""What a method looks at: the committed history, the EVM, the questions of admission and the core, of one node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from node.admission import Admission
from node.block import Block, Header
from node.chain import Clock
from node.config import Limits
from node.engine import BlockEnv, Engine
from node.engine.seam import ANCESTOR_HASHES_MAX
from node.errors import BlockUnknown, StatePruned
from node.history import History
from node.link import Filters, Intake
from node.primitives import Hash32
from node.rpc.codec.parse import BlockReference, BlockTag, parse_block_reference
from node.rpc.json_value import Json
from node.specification import Specification

Watch = Callable[[], None]
"""Raises `DryRunTooLong` once the caller's time is over."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything the methods read, and the core they submit to; safe between threads."""

    specification: Specification
    history: History
    engine: Engine
    admission: Admission
    core: Intake
    filters: Filters
    clock: Clock
    client_version: str
    limits: Limits = field(default_factory=Limits)
    """What an operator lets one call cost."""

    def block(self, reference: BlockReference) -> Block | None:
        """The block a reference names; None where there is none."""
        match reference:
            case bytes():
                return self.history.block_by_hash(reference)
            case int():
                return self.history.block(reference)
            case BlockTag.EARLIEST:
                return self.history.block(0)
            case _:
                return self.history.block(self.history.head().number)

    def header(self, reference: BlockReference) -> Header:
        """The header a reference names; raises `BlockUnknown`."""
        match reference:
            case bytes():
                header = self.history.header_by_hash(reference)
            case int():
                header = self.history.header(reference)
            case BlockTag.EARLIEST:
                header = self.history.header(0)
            case _:
                return self.history.head()
        if header is None:
            raise unknown_block(reference)
        return header

    def number(self, reference: BlockReference, head: int) -> int:
        """The number a reference names, for a known head; a number need not be committed."""
        match reference:
            case int():
                return reference
            case bytes() | BlockTag.EARLIEST:
                return self.header(reference).number
            case _:
                return head

    def state_root(self, reference: Json) -> Hash32:
        """The root of the state after the block that a parameter names."""
        header = self.header(parse_block_reference(reference, name="block"))
        self.check_state(header.number)
        return header.state_root

    def environment(self, reference: BlockReference) -> tuple[BlockEnv, Hash32]:
        """The environment of a block with the state after it; for `pending`, the next block's."""
        header = self.header(reference)
        self.check_state(header.number)
        number, timestamp = header.number, header.timestamp
        if reference is BlockTag.PENDING:
            number, timestamp = number + 1, max(timestamp, self.clock.now())
        env = BlockEnv(
            chain_id=self.specification.chain_id,
            number=number,
            timestamp=timestamp,
            rules=self.specification.rules_at(number),
            ancestor_hashes=self.history.ancestor_hashes(number, ANCESTOR_HASHES_MAX),
        )
        return env, header.state_root

    def check_state(self, number: int) -> None:
        """Raises `StatePruned` where the state after a block is not kept any more."""
        first_number = self.history.first_state_number()
        if number < first_number:
            raise StatePruned(number, first_number)


def unknown_block(reference: BlockReference) -> BlockUnknown:
    """The refusal of a reference that names no committed block."""
    if isinstance(reference, bytes):
        return BlockUnknown(block_hash=reference)
    return BlockUnknown(number=reference if isinstance(reference, int) else None)
