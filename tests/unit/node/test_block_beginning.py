"""How every block begins: the parent's hash is recorded, then a change of validators that is due is applied.

Cites docs/spec/node.md: N-136, N-137.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

import contracts
from node.archive import Verification
from node.block import Header
from node.engine import (
    BlockEnv,
    BlockOverrides,
    DraftBlock,
    DraftCall,
    Executed,
    GenesisAccount,
    PyEvmEngine,
    SimulatedBlock,
    Simulation,
    StructLogOptions,
    StructTrace,
    TracedBlock,
)
from node.engine.execution import SYSTEM_ADDRESS
from node.primitives import EMPTY_TRIE_ROOT, Address, Hash32, keccak
from node.store import ChainStore, MemoryState, StateStore
from support.kept_chain import KeptChain, make_chain, still_genesis
from support.settlement_network import OPERATOR
from support.transactions import ALICE, SINK, Draft, block_env
from support.validator_network import (
    FIRST,
    HOUSES,
    SECOND,
    Registry,
    open_registry,
    point_of,
    validator_key,
    validator_network_file,
)

NODE_REGISTRY: Final = Address(contracts.NODE_REGISTRY_ADDRESS)
SIXTH: Final = HOUSES[5]
COUNT: Final = keccak(b"validatorCount()")[:4]


def scheduled_registry(*delays: int) -> Registry:
    """A registry of five validators with additions scheduled some seconds from now."""
    registry = open_registry()
    for number, delay in enumerate(delays):
        change = registry.propose_addition(f"key {number}", house=SIXTH, after=delay)
        registry.confirm(change)
    return registry


def env_of(registry: Registry, *, after: int) -> BlockEnv:
    chain = registry.chain
    return block_env(chain.number + 1, chain.now + after, chain.specification.rules_at(1))


def asking(registry: Registry) -> bytes:
    """A transaction that asks how many validators there are."""
    nonce = registry.chain.engine.account(registry.chain.root, OPERATOR.operating.address).nonce
    draft = Draft(nonce=nonce, to=NODE_REGISTRY, data=COUNT)
    return draft.signed_by(OPERATOR.operating)


def executed(registry: Registry, *, after: int) -> Executed:
    return registry.chain.engine.execute(
        env_of(registry, after=after), registry.chain.root, [asking(registry)]
    )


@pytest.mark.parametrize(
    ("after", "counts"),
    [
        pytest.param(59, [5, 5, 5], id="before it is due"),
        pytest.param(60, [6, 7, 7], id="when two are due"),
        pytest.param(600, [6, 7, 8], id="long after all three are"),
    ],
)
def test_a_block_applies_one_change_that_is_due_and_the_next_block_the_next(
    after: int, counts: list[int]
) -> None:
    """N-136."""
    registry = scheduled_registry(60, 60, 61)
    registry.chain.now += after
    found = []
    for _ in counts:
        registry.pass_block()
        found.append(registry.contract.read("validatorCount"))
    assert found == counts


def test_the_call_is_in_no_receipt_and_not_in_the_blocks_gas() -> None:
    """N-136."""
    registry = scheduled_registry(60)
    before, due = executed(registry, after=59), executed(registry, after=60)
    assert before.state_root != due.state_root
    assert [each.receipt.logs for each in due.included] == [()]
    assert before.gas_used == due.gas_used
    assert before.receipts_root == due.receipts_root
    assert not any(due.logs_bloom)


def test_a_trace_begins_its_block_in_the_same_way() -> None:
    """N-136. The transaction asks how many validators there are."""
    registry = scheduled_registry(60)
    counted = []
    for after in (59, 60):
        (trace,) = registry.chain.engine.trace(
            env_of(registry, after=after),
            registry.chain.root,
            TracedBlock((asking(registry),), frozenset({0})),
            StructLogOptions(),
            lambda: None,
        )
        assert isinstance(trace, StructTrace)
        counted.append(int.from_bytes(trace.data, "big"))
        assert trace.gas_used == executed(registry, after=after).gas_used
    assert counted == [5, 6]


def test_a_simulation_begins_its_blocks_in_the_same_way() -> None:
    """N-136."""
    registry = scheduled_registry(60, 60)
    chain = registry.chain
    call = DraftCall(sender=ALICE.address, to=NODE_REGISTRY, data=COUNT)
    env = replace(env_of(registry, after=0), number=chain.number)
    header = Header(
        parent_hash=env.ancestor_hashes[0],
        state_root=chain.root,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=bytes(256),
        number=chain.number,
        gas_limit=env.block_gas_limit,
        gas_used=0,
        timestamp=chain.now,
    )
    simulation = Simulation(chain.engine, header, env, chain.specification.rules_at)
    blocks = [
        SimulatedBlock(BlockOverrides(timestamp=chain.now + after), DraftBlock(calls=(call,)))
        for after in (59, 60, 60, 61)
    ]
    simulated = simulation.run(blocks, lambda: None)
    counted = [int.from_bytes(block.runs[0].outcome.data, "big") for block in simulated]
    assert counted == [5, 6, 7, 7]


FAULTY: Final = Address(bytes(19) + b"\xfa")
FAULTY_CODE: Final = b"\x00fault"


class FaultyState(MemoryState):
    """A state in which one code cannot be had, on every node alike."""

    def get(self, key: bytes) -> bytes | None:
        if key == keccak(FAULTY_CODE):
            raise ValueError("a fault that every node has")
        return super().get(key)


# SSTORE(1, CALLER), SSTORE(2, NUMBER).
NOTING: Final = "33600155" + "43600255"


@pytest.mark.parametrize(
    ("ending", "is_kept"),
    [
        pytest.param("00", True, id="succeeds"),
        pytest.param("5f5ffd", False, id="reverts"),
        pytest.param("fe", False, id="halts"),
        pytest.param("5f5f5f5f5f60fa5af1", False, id="meets a fault within the EVM"),
    ],
)
def test_a_call_that_fails_changes_nothing_and_the_block_goes_on(
    ending: str, *, is_kept: bool
) -> None:
    """N-136. Whatever code stands there, it is called by the system address, once."""
    engine = PyEvmEngine(FaultyState())
    noting = GenesisAccount(nonce=1, code=bytes.fromhex(NOTING + ending))
    faulty = GenesisAccount(nonce=1, code=FAULTY_CODE)
    root = committed(engine, {NODE_REGISTRY: noting, FAULTY: faulty})
    done = engine.execute(block_env(), root, [Draft(to=SINK).signed_by(ALICE)])
    engine.commit(done.handle)
    assert [each.receipt.succeeded for each in done.included] == [True]
    assert done.gas_used == 21_000
    noted = [engine.storage(done.state_root, NODE_REGISTRY, slot) for slot in (1, 2)]
    assert noted == ([int.from_bytes(SYSTEM_ADDRESS, "big"), 1] if is_kept else [0, 0])


@pytest.mark.parametrize(("due_in", "is_called"), [(-1, True), (0, True), (1, False)])
def test_the_slot_says_whether_it_is_called(due_in: int, *, is_called: bool) -> None:
    """N-136."""
    engine = PyEvmEngine(MemoryState())
    env = block_env()
    code = bytes.fromhex(NOTING + "00")
    storage = {contracts.NODE_REGISTRY_SCHEDULE_SLOT: env.timestamp + due_in}
    root = committed(engine, {NODE_REGISTRY: GenesisAccount(nonce=1, code=code, storage=storage)})
    done = engine.execute(env, root, [])
    engine.commit(done.handle)
    assert (engine.storage(done.state_root, NODE_REGISTRY, 2) == 1) == is_called


def test_a_chain_without_the_registry_begins_its_blocks_without_it() -> None:
    """N-136."""
    engine = PyEvmEngine(MemoryState())
    root = committed(engine, {ALICE.address: GenesisAccount(balance=1)})
    assert engine.execute(block_env(), root, []).state_root == root


def committed(engine: PyEvmEngine, alloc: dict[Address, GenesisAccount]) -> Hash32:
    loaded = engine.load_genesis(alloc)
    engine.commit(loaded.handle)
    return loaded.state_root


def proposal(nonce: int, label: str, effective_at: int) -> bytes:
    """FIRST proposes a key of SIXTH."""
    contract = open_registry().contract
    data = contract.encode(
        "proposeAddition", SIXTH.lei, *point_of(validator_key(label)), effective_at
    )
    return Draft(nonce=nonce, to=NODE_REGISTRY, data=data, gas_limit=1_000_000).signed_by(
        FIRST.account("officer")
    )


def confirmation(nonce: int, change_id: int) -> bytes:
    """SECOND confirms a change."""
    data = open_registry().contract.encode("confirmChange", change_id)
    return Draft(nonce=nonce, to=NODE_REGISTRY, data=data, gas_limit=1_000_000).signed_by(
        SECOND.account("officer")
    )


def test_a_chain_whose_validators_changed_is_verified_to_the_same_hashes(tmp_path: Path) -> None:
    """N-102, N-136, N-137. A height without a transaction makes no block and applies nothing."""
    kept = make_chain(tmp_path / "data", still_genesis(validator_network_file()))
    counts = fill(kept)
    assert counts == [5, 5, 5, 6, 7, 7]
    with (
        closing(StateStore(kept.directory / "state", readonly=True)) as state,
        closing(ChainStore(kept.directory / "chain", readonly=True)) as chain,
    ):
        verification = Verification(
            genesis_text=kept.genesis_file.read_bytes(),
            state=state,
            chain=chain,
            scratch=tmp_path / "scratch",
        )
        assert list(verification.run(1)) == [1, 2, 3, 4, 5]


def fill(kept: KeptChain) -> list[int]:
    """Makes heights in which two changes are proposed, confirmed and applied; the validators after each."""
    counts = []
    with kept.opened() as (chain, _):
        time = chain.tip.header.timestamp
        heights = [
            (time, [proposal(0, "key 0", time + 5), proposal(1, "key 1", time + 5)]),
            (time, [confirmation(0, 1), confirmation(1, 2)]),
            (time + 5, []),
            *((time + 5, [Draft(nonce=n).signed_by(OPERATOR.operating)]) for n in range(3)),
        ]
        for height, (timestamp, raws) in enumerate(heights, start=1):
            execution = chain.execute(raws, height=height, timestamp=timestamp)
            assert [result.code for result in execution.results] == [0] * len(raws)
            tip = chain.commit()
            length = chain._engine.storage(tip.header.state_root, NODE_REGISTRY, _ORDER_SLOT)
            counts.append(length)
    return counts


_ORDER_SLOT: Final = next(
    int(entry["slot"])
    for entry in contracts.load("NodeRegistry").storage_layout["storage"]
    if entry["label"] == "_validatorOrder"
)
