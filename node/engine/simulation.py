"""A chain of simulated blocks on top of a committed one: what `eth_simulateV1` answers.

Each block's calls run on what the blocks before it left; its header is a real header of this chain, except for what
the caller pretends, so that BLOCKHASH and the hash history of later blocks see it. Where numbers are left out between
two blocks, empty ones stand there. Nothing is kept.

Source: the Ethereum execution API specification, `eth_simulateV1`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.block import Block, Header, merge_blooms, receipts_root, transactions_root
from node.engine.dry_run import (
    SIMULATION_GAS_MAX,
    BlockOverrides,
    CallRun,
    CallsRun,
    DraftBlock,
)
from node.engine.seam import ANCESTOR_HASHES_MAX, BlockEnv, Engine, Handle
from node.errors import SimulatedBlockOutOfOrder, SimulationTooLarge
from node.primitives import Hash32
from node.specification import Rules

SIMULATED_BLOCKS_MAX: Final = 256
"""Blocks of one simulation, empty ones between them included."""

SIMULATED_CALLS_MAX: Final = 1_024
"""Calls of one simulation."""

_SECONDS_BETWEEN_BLOCKS: Final = 1
"""How much later a simulated block is whose time is not given."""


@dataclass(frozen=True, slots=True)
class SimulatedBlock:
    """What is asked of one block of a simulation."""

    overrides: BlockOverrides
    draft: DraftBlock
    """Its `gas_max` is set here."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One simulated block and what its calls did."""

    block: Block
    runs: tuple[CallRun, ...]


class Simulation:
    """One simulation on top of one committed block."""

    def __init__(
        self,
        engine: Engine,
        base: Header,
        env: BlockEnv,
        rules_at: Callable[[int], Rules],
        gas_max: int = SIMULATION_GAS_MAX,
    ) -> None:
        """`env` is that of the base block; `rules_at` gives the rules of a number."""
        self._engine = engine
        self._rules_at = rules_at
        self._env = env
        self._parent = base
        self._handle: Handle | None = None
        self._gas_left = gas_max

    def run(
        self, blocks: Sequence[SimulatedBlock], watch: Callable[[], None]
    ) -> tuple[Simulated, ...]:
        """Return the simulated blocks, empty ones between them too.

        Raises SimulationTooLarge, SimulatedBlockOutOfOrder, SimulatedCallRefused, and what `watch` raises.
        """
        if sum(len(block.draft.calls) for block in blocks) > SIMULATED_CALLS_MAX:
            raise SimulationTooLarge("calls", SIMULATED_CALLS_MAX)
        filled = self._with_gaps_filled(blocks)
        return tuple(self._run_block(block, watch) for block in filled)

    def _with_gaps_filled(self, blocks: Sequence[SimulatedBlock]) -> list[SimulatedBlock]:
        """Return the blocks with a number and time each; raises where they do not rise."""
        filled: list[SimulatedBlock] = []
        number, timestamp = self._parent.number, self._parent.timestamp
        for block in blocks:
            wanted = block.overrides.number
            wanted = number + 1 if wanted is None else wanted
            if wanted <= number:
                raise SimulatedBlockOutOfOrder("number", given=wanted, previous=number)
            if wanted - self._parent.number > SIMULATED_BLOCKS_MAX:
                raise SimulationTooLarge("blocks", SIMULATED_BLOCKS_MAX)
            for between in range(number + 1, wanted):
                timestamp += _SECONDS_BETWEEN_BLOCKS
                overrides = BlockOverrides(number=between, timestamp=timestamp)
                filled.append(SimulatedBlock(overrides, DraftBlock()))
            given = block.overrides.timestamp
            if given is not None and given < timestamp:
                raise SimulatedBlockOutOfOrder("timestamp", given=given, previous=timestamp)
            timestamp = timestamp + _SECONDS_BETWEEN_BLOCKS if given is None else given
            overrides = replace(block.overrides, number=wanted, timestamp=timestamp)
            filled.append(replace(block, overrides=overrides))
            number = wanted
        return filled

    def _run_block(self, block: SimulatedBlock, watch: Callable[[], None]) -> Simulated:
        env = self._next_env(block.overrides)
        draft = replace(block.draft, gas_max=self._gas_left)
        run = self._engine.run_calls(env, self._parent.state_root, draft, self._handle, watch)
        simulated = Simulated(_assemble(run, env, self._parent), run.runs)
        self._gas_left -= run.gas_used
        self._env, self._parent, self._handle = env, simulated.block.header, Handle(run.handle)
        return simulated

    def _next_env(self, overrides: BlockOverrides) -> BlockEnv:
        """Return the environment of the block after the last one; what is not given is the chain's own.

        The coinbase and gas limit stay what the block before had; time, prevRandao and fees do not.
        """
        last = self._env
        number = last.number + 1
        env = BlockEnv(
            chain_id=last.chain_id,
            number=number,
            timestamp=last.timestamp,
            rules=self._rules_at(number),
            ancestor_hashes=(self._parent.hash, *last.ancestor_hashes)[:ANCESTOR_HASHES_MAX],
            coinbase=last.coinbase,
            gas_limit=last.gas_limit,
        )
        return env.pretending(overrides)


def _assemble(run: CallsRun, env: BlockEnv, parent: Header) -> Block:
    receipts = [each.receipt for each in run.runs]
    raws = tuple(each.raw for each in run.runs)
    header = Header(
        parent_hash=Hash32(parent.hash),
        state_root=run.state_root,
        transactions_root=transactions_root(raws),
        receipts_root=receipts_root(receipts),
        logs_bloom=merge_blooms(receipt.logs_bloom for receipt in receipts),
        number=env.number,
        gas_limit=env.block_gas_limit,
        gas_used=run.gas_used,
        timestamp=env.timestamp,
        base_fee_per_gas=env.base_fee,
        coinbase=env.coinbase,
        mix_hash=env.prev_randao,
    )
    return Block(header, raws)
