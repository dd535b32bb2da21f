"""Recording changes nothing: programs run as they do unrecorded, and every unit of gas is accounted for."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from node.block import Header
from node.engine import (
    BlockOverrides,
    Call,
    CallFrame,
    CallFrameOptions,
    CallOutcome,
    CallStatus,
    DraftBlock,
    DraftCall,
    FrameTrace,
    GenesisAccount,
    PyEvmEngine,
    SimulatedBlock,
    Simulation,
    StructLogOptions,
    StructTrace,
    create_access_list,
)
from node.errors import TraceTooLarge
from node.primitives import EMPTY_TRIE_ROOT, Hash32
from node.store import MemoryState
from support.programs import FIRST, SECOND, calls, pushed, small, targets
from support.transactions import ALICE, RULES, Draft, block_env

pytestmark = pytest.mark.filterwarnings("ignore:SELFDESTRUCT opcode present:DeprecationWarning")


pieces = st.one_of(
    calls(answer_bytes=0),
    # SSTORE, SLOAD, MSTORE, LOG1, TSTORE, SHA3 and what reads the last call's answer.
    st.builds(lambda a, b: pushed(a, b % 4) + b"\x55", small, small),
    st.builds(lambda a: pushed(a % 4) + b"\x54", small),
    st.builds(lambda a, b: pushed(a, b) + b"\x52", small, small),
    st.builds(lambda a: pushed(a, 4, 0) + b"\xa1", small),
    st.builds(lambda a: pushed(a, a) + b"\x5d", small),
    st.builds(lambda a, b: pushed(a, b) + b"\x20", small, small),
    st.builds(lambda a: pushed(a, 0, 0) + b"\x3e", small),
    # CREATE of four bytes of memory, BALANCE, EXTCODESIZE, and any instruction at all.
    st.just(pushed(4, 28, 0) + b"\xf0"),
    st.builds(lambda to, op: b"\x73" + to + bytes([op]), targets, st.sampled_from([0x31, 0x3B])),
    st.binary(min_size=1, max_size=1),
    # RETURN, REVERT, SELFDESTRUCT of a word of memory.
    st.builds(lambda op: pushed(32, 0) + bytes([op]), st.sampled_from([0xF3, 0xFD, 0xFF])),
)
programs = st.lists(pieces, max_size=14).map(b"".join)


class Ground:
    """An engine on two contracts."""

    def __init__(self, first: bytes, second: bytes) -> None:
        self.engine = PyEvmEngine(MemoryState())
        alloc = {
            ALICE.address: GenesisAccount(balance=10**18),
            FIRST: GenesisAccount(nonce=1, balance=5, code=first, storage={1: 1}),
            SECOND: GenesisAccount(nonce=1, balance=5, code=second, storage={2: 1}),
        }
        loaded = self.engine.load_genesis(alloc)
        self.engine.commit(loaded.handle)
        self.root = loaded.state_root
        self.call = Call(ALICE.address, FIRST, gas_limit=200_000)

    def outcome(self) -> CallOutcome:
        return self.engine.call(block_env(), self.root, self.call)

    def steps(self, **options: bool) -> StructTrace:
        trace = self.engine.trace_call(
            block_env(), self.root, self.call, StructLogOptions(**options), {}, lambda: None
        )
        assert isinstance(trace, StructTrace)
        return trace

    def top(self) -> CallFrame:
        options = CallFrameOptions(has_logs=True)
        try:
            trace = self.engine.trace_call(
                block_env(), self.root, self.call, options, {}, lambda: None
            )
        except TraceTooLarge:  # calls nested deeper than an answer may be
            reject()
        assert isinstance(trace, FrameTrace)
        return trace.top


def frames_within(frame: CallFrame) -> list[CallFrame]:
    return [each for call in frame.calls or [] for each in (call, *frames_within(call))]


@settings(max_examples=200, deadline=None)
@given(first=programs, second=programs)
def test_a_recorded_run_is_the_run(first: bytes, second: bytes) -> None:
    """N-61, N-62."""
    ground = Ground(first, second)
    outcome = ground.outcome()
    trace = ground.steps(has_memory=True, has_return_data=True)
    assert (trace.gas_used, trace.data) == (outcome.gas_used, outcome.data)
    assert trace.succeeded == (outcome.status is CallStatus.SUCCEEDED)
    top = ground.top()
    assert (top.gas_used, top.output) == (outcome.gas_used, outcome.data)
    assert bool(top.error) == (not trace.succeeded)
    assert all(each.gas_used <= each.gas for each in frames_within(top))


@settings(max_examples=200, deadline=None)
@given(first=programs, second=programs)
def test_each_instruction_costs_what_the_next_one_misses(first: bytes, second: bytes) -> None:
    """N-61."""
    steps = Ground(first, second).steps(has_stack=False).steps
    for step, following in pairwise(steps):
        if following.depth == step.depth and not step.op.startswith(("CALL", "STATIC", "DELEG")):
            if step.op in ("CREATE", "CREATE2"):
                assert following.gas <= step.gas - step.gas_cost
            else:
                assert step.gas - step.gas_cost == following.gas
        if following.depth == step.depth + 1:
            assert step.op in (
                "CALL",
                "CALLCODE",
                "STATICCALL",
                "DELEGATECALL",
                "CREATE",
                "CREATE2",
            )
    assert all(step.gas_cost <= step.gas or step.error == "out of gas" for step in steps)


@settings(max_examples=100, deadline=None)
@given(first=programs, second=programs)
def test_an_access_list_is_what_a_run_with_it_touches(first: bytes, second: bytes) -> None:
    """N-65."""
    ground = Ground(first, second)
    found = create_access_list(
        ground.engine, block_env(), ground.root, ground.call, {}, lambda: None
    )
    named = replace(ground.call, access_list=found.entries)
    again = ground.engine.accesses(block_env(), ground.root, named, {}, lambda: None)
    assert again.access_list == found.entries
    assert again.outcome == found.outcome
    addresses = [entry.address for entry in found.entries]
    assert addresses == sorted(set(addresses))
    assert ALICE.address not in addresses


@settings(max_examples=60, deadline=None)
@given(first=programs, second=programs, count=st.integers(1, 3))
def test_a_simulated_block_is_the_executed_block(first: bytes, second: bytes, count: int) -> None:
    """N-66."""
    ground = Ground(first, second)
    env = block_env(number=7)
    base = Header(
        parent_hash=env.ancestor_hashes[0],
        state_root=ground.root,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=bytes(256),
        number=7,
        gas_limit=RULES.block_gas_limit,
        gas_used=0,
        timestamp=env.timestamp,
    )
    drafts = tuple(DraftCall(ALICE.address, FIRST, gas_limit=200_000) for _ in range(count))
    same_time = BlockOverrides(timestamp=env.timestamp)
    simulation = Simulation(ground.engine, base, env, lambda _number: RULES)
    block = SimulatedBlock(same_time, DraftBlock(drafts, is_validated=True, logs_transfers=True))
    (simulated,) = simulation.run([block], lambda: None)
    raws = [Draft(to=FIRST, nonce=n, gas_limit=200_000).signed_by(ALICE) for n in range(count)]
    real = block_env(number=8)
    seen = (base.hash, *real.ancestor_hashes[1:])
    executed = ground.engine.execute(
        type(real)(real.chain_id, 8, env.timestamp, RULES, tuple(map(Hash32, seen))),
        ground.root,
        raws,
    )
    header = simulated.block.header
    assert (header.state_root, header.receipts_root, header.gas_used) == (
        executed.state_root,
        executed.receipts_root,
        executed.gas_used,
    )
