"""Traces: each instruction and each call, with gas and faults as worked out by hand."""

from typing import Any

import pytest

from node.engine import (
    AccountOverride,
    Call,
    CallFrame,
    CallFrameOptions,
    FrameTrace,
    GenesisAccount,
    PyEvmEngine,
    StructLogOptions,
    StructTrace,
    TracedBlock,
)
from node.engine.trace import FRAMES_DEEP_MAX, TRACE_BYTES_MAX
from node.errors import DryRunTooLong, TraceTooLarge
from node.primitives import Address, created_address
from node.store import MemoryState
from support.transactions import ALICE, SINK, Draft, block_env

ADDER = Address(b"\x0a" * 20)
STORER = Address(b"\x0b" * 20)
CALLER = Address(b"\x0c" * 20)
REVERTER = Address(b"\x0d" * 20)
LOOPER = Address(b"\x0e" * 20)
MAKER = Address(b"\x0f" * 20)
HALTER = Address(b"\x1a" * 20)
RECURSER = Address(b"\x1b" * 20)
CLEARER = Address(b"\x1c" * 20)
DYER = Address(b"\x1d" * 20)

# PUSH1 2, PUSH1 3, ADD, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN.
ADDER_CODE = bytes.fromhex("60026003015f5260205ff3")
# SSTORE 7 into slot 1, SLOAD slot 1, log it with topic 0xaa, and run off the end.
STORER_CODE = bytes.fromhex("600760015560015460aa5f5fa1")


def called(target: Address, *, instruction: str = "f1", value: int = 0) -> str:
    """Calls a contract with 50,000 gas and no data, and drops what it says."""
    sent = f"60{value:02x}" if instruction in ("f1", "f2") else ""
    return f"5f5f5f5f{sent}73{target.hex()}61c350{instruction}50"


CALLER_CODE = bytes.fromhex(
    called(STORER) + called(ADDER, instruction="fa") + called(STORER, instruction="f4")
    + called(REVERTER) + "00"
)  # fmt: skip
# Logs, then reverts with Error("no").
REVERT_DATA = bytes.fromhex("08c379a0") + b"".join(
    [(32).to_bytes(32, "big"), (2).to_bytes(32, "big"), b"no".ljust(32, b"\0")]
)
REVERTER_CODE = bytes.fromhex("5f5fa0606460105f3960645ffd".ljust(32, "0")) + REVERT_DATA
LOOPER_CODE = bytes.fromhex("5b5f56")
# CREATE of what PUSH1 0x00, PUSH0, MSTORE8, PUSH1 1, PUSH0, RETURN deploys.
MAKER_CODE = bytes.fromhex("6760005f5360015ff35f52600860185ff000")
RECURSER_CODE = bytes.fromhex("5f5f5f5f5f305af100")
# Clears slot 9.
CLEARER_CODE = bytes.fromhex("5f60095500")
DYER_CODE = bytes.fromhex(f"73{SINK.hex()}ff")


def funded(code: bytes, **fields: Any) -> GenesisAccount:
    return GenesisAccount(nonce=1, balance=1_000, code=code, **fields)


ALLOC = {
    ALICE.address: GenesisAccount(balance=10**18),
    ADDER: funded(ADDER_CODE),
    STORER: funded(STORER_CODE),
    CALLER: funded(CALLER_CODE),
    REVERTER: funded(REVERTER_CODE),
    LOOPER: funded(LOOPER_CODE),
    MAKER: funded(MAKER_CODE),
    HALTER: funded(b"\xfe"),
    RECURSER: funded(RECURSER_CODE),
    CLEARER: funded(CLEARER_CODE, storage={9: 1}),
    DYER: funded(DYER_CODE),
}


class Ground:
    """An engine on a genesis of small contracts."""

    def __init__(self) -> None:
        self.engine = PyEvmEngine(MemoryState())
        loaded = self.engine.load_genesis(ALLOC)
        self.engine.commit(loaded.handle)
        self.root = loaded.state_root

    def steps(self, to: Address | None, *, gas_limit: int = 500_000, **options: Any) -> StructTrace:
        call = Call(ALICE.address, to, gas_limit=gas_limit)
        trace = self.engine.trace_call(
            block_env(), self.root, call, StructLogOptions(**options), {}, lambda: None
        )
        assert isinstance(trace, StructTrace)
        return trace

    def frames(self, to: Address | None, *, data: bytes = b"", **options: Any) -> CallFrame:
        call = Call(ALICE.address, to, gas_limit=500_000, data=data, value=5)
        trace = self.engine.trace_call(
            block_env(), self.root, call, CallFrameOptions(**options), {}, lambda: None
        )
        assert isinstance(trace, FrameTrace)
        return trace.top


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


def test_each_instruction_is_recorded_as_it_finds_the_machine(ground: Ground) -> None:
    """N-61."""
    trace = ground.steps(ADDER, has_memory=True, has_return_data=True)
    assert [(s.pc, s.op, s.gas, s.gas_cost, s.depth, s.stack) for s in trace.steps] == [
        (0, "PUSH1", 479_000, 3, 1, ()),
        (2, "PUSH1", 478_997, 3, 1, (2,)),
        (4, "ADD", 478_994, 3, 1, (2, 3)),
        (5, "PUSH0", 478_991, 2, 1, (5,)),
        (6, "MSTORE", 478_989, 6, 1, (5, 0)),
        (7, "PUSH1", 478_983, 3, 1, ()),
        (9, "PUSH0", 478_980, 2, 1, (32,)),
        (10, "RETURN", 478_978, 0, 1, (32, 0)),
    ]
    assert [s.memory for s in trace.steps] == [b""] * 5 + [(5).to_bytes(32, "big")] * 3
    assert all(s.storage is None and s.return_data == b"" for s in trace.steps)
    assert (trace.gas_used, trace.succeeded, trace.data) == (21_022, True, (5).to_bytes(32, "big"))


def test_storage_stands_where_it_is_loaded_and_stored_with_its_new_value(ground: Ground) -> None:
    """N-61."""
    steps = ground.steps(STORER).steps
    shown = {s.op: (s.gas_cost, s.storage) for s in steps if s.storage is not None}
    assert shown == {"SSTORE": (22_100, {1: 7}), "SLOAD": (100, {1: 7})}
    assert (steps[-1].op, steps[-1].pc, steps[-1].gas_cost) == ("STOP", len(STORER_CODE), 0)


def test_where_there_is_no_code_there_are_no_steps(ground: Ground) -> None:
    """N-61."""
    assert ground.steps(SINK).steps == ground.steps(None).steps == ()
    assert ground.steps(SINK).gas_used == 21_000


def test_a_refund_shows_from_the_instruction_that_earns_it(ground: Ground) -> None:
    assert [(s.op, s.refund) for s in ground.steps(CLEARER).steps] == [
        ("PUSH0", 0),
        ("PUSH1", 0),
        ("SSTORE", 4_800),
        ("STOP", 4_800),
    ]


def test_the_parts_and_steps_that_are_not_asked_for_are_left_out(ground: Ground) -> None:
    """N-61."""
    trace = ground.steps(STORER, has_stack=False, has_storage=False, steps_max=3)
    assert len(trace.steps) == 3
    for step in trace.steps:
        assert {step.stack, step.memory, step.return_data} == {None}
        assert step.storage is None
    assert trace.gas_used == ground.steps(STORER).gas_used


def test_a_call_charges_what_it_passes_on_and_a_creation_does_not(ground: Ground) -> None:
    """N-61."""
    calls = [s for s in ground.steps(CALLER).steps if s.op in ("CALL", "STATICCALL")]
    assert [s.gas_cost for s in calls] == [2_600 + 50_000] * 3
    create = next(s for s in ground.steps(MAKER).steps if s.op == "CREATE")
    assert create.gas_cost == 32_000 + 2
    assert {s.depth for s in ground.steps(CALLER).steps} == {1, 2}


@pytest.mark.parametrize(
    ("code", "op", "error"),
    [
        ("fe", "INVALID", "invalid opcode: INVALID"),
        ("0c", "opcode 0xc not defined", "invalid opcode: opcode 0xc not defined"),
        ("01", "ADD", "stack underflow"),
        ("5f56", "JUMP", ""),
        ("5f5ffd", "REVERT", ""),
        ("62ffffff5f5200", "MSTORE", ""),
        ("5f6301ffffff52", "MSTORE", "out of gas"),
    ],
)
def test_a_fault_found_before_an_instruction_acts_stands_on_its_step(
    ground: Ground, code: str, op: str, error: str
) -> None:
    call = Call(ALICE.address, None, data=bytes.fromhex(code), gas_limit=100_000)
    trace = ground.engine.trace_call(
        block_env(), ground.root, call, StructLogOptions(), {}, lambda: None
    )
    assert isinstance(trace, StructTrace)
    last = [step for step in trace.steps if step.op != "STOP"][-1]
    assert (last.op, last.error) == (op, error)
    assert trace.data == b""


def test_the_calls_of_a_call_stand_in_order_with_what_they_gave(ground: Ground) -> None:
    """N-62."""
    top = ground.frames(CALLER)
    assert (top.kind, top.sender, top.to, top.value, top.gas) == (
        "CALL", ALICE.address, CALLER, 5, 500_000,
    )  # fmt: skip
    shown = [(c.kind, c.sender, c.to, c.value, c.gas, c.gas_used, c.error) for c in top.calls or []]
    store_gas = 3 * 2 + 22_100 + 3 + 100 + 3 + 2 * 2 + (375 + 375)
    assert shown == [
        ("CALL", CALLER, STORER, 0, 50_000, store_gas, ""),
        ("STATICCALL", CALLER, ADDER, None, 50_000, 22, ""),
        ("DELEGATECALL", CALLER, STORER, 5, 50_000, store_gas, ""),
        ("CALL", CALLER, REVERTER, 0, 50_000, (top.calls or [])[3].gas_used, "execution reverted"),
    ]
    assert (top.calls or [])[1].output == (5).to_bytes(32, "big")
    assert (top.calls or [])[3].output == REVERT_DATA


def test_logs_of_what_was_not_reverted_are_numbered_across_calls(ground: Ground) -> None:
    """N-62."""
    top = ground.frames(CALLER, has_logs=True)
    found = [
        (c.to, [(each.index, each.position) for each in c.logs or []]) for c in top.calls or []
    ]
    assert found == [(STORER, [(0, 0)]), (ADDER, []), (STORER, [(1, 0)]), (REVERTER, [])]
    assert ground.frames(CALLER).logs is None


def test_the_top_call_alone_may_be_asked_for(ground: Ground) -> None:
    top = ground.frames(CALLER, has_only_top=True, has_logs=True)
    assert (top.calls, top.logs) == (None, None)
    assert top.gas_used == ground.frames(CALLER).gas_used


def test_a_creation_is_a_frame_with_its_init_code_and_the_code_it_made(ground: Ground) -> None:
    """N-62."""
    (made,) = ground.frames(MAKER).calls or []
    assert (made.kind, made.to) == ("CREATE", created_address(MAKER, 1))
    assert (made.data, made.output) == (bytes.fromhex("60005f5360015ff3"), b"\0")
    top = ground.frames(None, data=bytes.fromhex("5f5ffd"))
    assert (top.kind, top.to, top.error) == ("CREATE", None, "execution reverted")


@pytest.mark.parametrize(
    ("code", "kind", "to", "gas"),
    [
        # 9,999 more than there is: CALL with 20,000 gas, CALLCODE likewise, CREATE of two bytes of memory.
        (f"5f5f6002601f61270f73{SINK.hex()}614e20f150", "CALL", SINK, 20_000 + 2_300),
        (f"5f5f6002601f61270f73{SINK.hex()}614e20f250", "CALLCODE", SINK, 20_000 + 2_300),
        ("6002601f61270ff050", "CREATE", None, None),
    ],
)
def test_a_call_that_cannot_begin_is_a_frame_that_used_nothing(
    ground: Ground, code: str, kind: str, to: bytes | None, gas: int | None
) -> None:
    """N-62."""
    written = bytes.fromhex("60ab5f52" + code + "00")
    call = Call(ALICE.address, SINK, gas_limit=200_000)
    pretended = {SINK: AccountOverride(code=written)}
    trace = ground.engine.trace_call(
        block_env(), ground.root, call, CallFrameOptions(), pretended, lambda: None
    )
    assert isinstance(trace, FrameTrace)
    (frame,) = trace.top.calls or []
    assert trace.top.error == ""
    assert (frame.kind, frame.to, frame.value) == (kind, to, 9_999)
    assert frame.data == b"\xab\0"
    assert (frame.gas_used, frame.error) == (0, "insufficient balance for transfer")
    assert gas is None or frame.gas == gas


def test_a_creation_where_a_contract_stands_uses_all_that_it_was_given(ground: Ground) -> None:
    """N-62."""
    # CREATE2 of nothing with salt 0, twice.
    pretended = {SINK: AccountOverride(code=bytes.fromhex("5f5f5f5ff550" * 2 + "00"))}
    call = Call(ALICE.address, SINK, gas_limit=200_000)
    trace = ground.engine.trace_call(
        block_env(), ground.root, call, CallFrameOptions(), pretended, lambda: None
    )
    assert isinstance(trace, FrameTrace)
    made, clashed = trace.top.calls or []
    assert (made.error, made.gas_used) == ("", 0)
    assert (clashed.kind, clashed.error) == ("CREATE2", "contract address collision")
    assert clashed.gas_used == clashed.gas > 80_000


def test_init_code_that_is_too_long_is_no_frame(ground: Ground) -> None:
    # CREATE of 49,153 bytes.
    written = bytes.fromhex("61c0015f5ff000")
    pretended = {SINK: AccountOverride(code=written)}
    call = Call(ALICE.address, SINK, gas_limit=200_000)
    trace = ground.engine.trace_call(
        block_env(), ground.root, call, CallFrameOptions(), pretended, lambda: None
    )
    assert isinstance(trace, FrameTrace)
    assert trace.top.error
    assert not trace.top.calls


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT opcode present:DeprecationWarning")
def test_a_self_destruction_is_a_frame_of_what_it_leaves(ground: Ground) -> None:
    (left,) = ground.frames(DYER).calls or []
    assert (left.kind, left.sender, left.to, left.value) == ("SELFDESTRUCT", DYER, SINK, 1_005)


@pytest.mark.filterwarnings("ignore:SELFDESTRUCT opcode present:DeprecationWarning")
def test_a_self_destruction_without_gas_for_it_is_no_frame(ground: Ground) -> None:
    call = Call(ALICE.address, DYER, gas_limit=21_000 + 3 + 5_000)
    trace = ground.engine.trace_call(
        block_env(), ground.root, call, CallFrameOptions(), {}, lambda: None
    )
    assert isinstance(trace, FrameTrace)
    assert (trace.top.error, trace.top.calls) == ("out of gas", [])


def test_a_mined_transaction_traces_to_the_gas_of_its_receipt(ground: Ground) -> None:
    """N-61, N-62."""
    targets = [STORER, CALLER, HALTER, None, CALLER]
    raws = tuple(
        Draft(to=to, nonce=n, gas_limit=400_000, data=b"" if to else b"\0").signed_by(ALICE)
        for n, to in enumerate(targets)
    )
    env = block_env()
    executed = ground.engine.execute(env, ground.root, raws)
    everything = TracedBlock(raws, frozenset(range(5)))
    for options in (StructLogOptions(), CallFrameOptions(has_logs=True)):
        traces = ground.engine.trace(env, ground.root, everything, options, lambda: None)
        assert [trace.transaction_hash for trace in traces] == [
            each.hash for each in executed.included
        ]
        gas = [t.gas_used if isinstance(t, StructTrace) else t.top.gas_used for t in traces]
        assert gas == [each.receipt.gas_used for each in executed.included]
    (last,) = ground.engine.trace(
        env, ground.root, TracedBlock(raws, frozenset({4})), CallFrameOptions(), lambda: None
    )
    assert isinstance(last, FrameTrace)
    # Its slot holds the value already: cold, but nothing to write.
    assert (last.top.calls or [])[0].gas_used == 3 * 2 + 2_200 + 3 + 100 + 3 + 2 * 2 + 750


@pytest.mark.slow
def test_a_recorded_call_nests_to_the_evms_own_limit(ground: Ground) -> None:
    """The recorder's own frames on the interpreter's stack leave room for 1,024 calls in each other."""
    call = Call(ALICE.address, RECURSER, gas_limit=10**12)
    for options in (StructLogOptions(steps_max=1), CallFrameOptions(has_only_top=True)):
        trace = ground.engine.trace_call(block_env(), ground.root, call, options, {}, lambda: None)
        used = trace.gas_used if isinstance(trace, StructTrace) else trace.top.gas_used
        assert used == ground.engine.call(block_env(), ground.root, call).gas_used


def test_a_trace_past_its_limits_is_refused(ground: Ground) -> None:
    """N-63."""
    with pytest.raises(TraceTooLarge, match=str(TRACE_BYTES_MAX)):
        ground.steps(LOOPER, gas_limit=10_000_000)
    deep = Call(ALICE.address, RECURSER, gas_limit=16_000_000)
    with pytest.raises(TraceTooLarge):
        ground.engine.trace_call(
            block_env(), ground.root, deep, CallFrameOptions(), {}, lambda: None
        )
    assert FRAMES_DEEP_MAX < 1_024


def test_a_trace_ends_with_its_watch(ground: Ground) -> None:
    """N-63."""
    asked = 0

    def watch() -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            raise DryRunTooLong

    raw = Draft(to=LOOPER, gas_limit=10_000_000).signed_by(ALICE)
    block = TracedBlock((raw,), frozenset({0}))
    options = StructLogOptions(steps_max=1)
    with pytest.raises(DryRunTooLong):
        ground.engine.trace(block_env(), ground.root, block, options, watch)
