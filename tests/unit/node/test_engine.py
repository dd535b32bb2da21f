"""What a list of raw transactions does to a state, and what dry runs say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from eth.vm.forks.prague.constants import HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CONTRACT_CODE

import node.errors
from node.block import receipts_root, transactions_root
from node.engine import (
    HISTORY_ADDRESS,
    AccountOverride,
    Call,
    CallOutcome,
    CallStatus,
    Executed,
    GenesisAccount,
    GenesisStep,
    PyEvmEngine,
    SkipReason,
    estimate_gas,
    skip_reason_of,
)
from node.errors import (
    DeploymentFailed,
    EngineExhausted,
    GasBelowIntrinsic,
    InitCodeTooLarge,
    InsufficientFunds,
    StateMissing,
    TransactionRejected,
)
from node.primitives import (
    EMPTY_CODE_HASH,
    EMPTY_TRIE_ROOT,
    Address,
    Hash32,
    created_address,
    keccak,
)
from node.store import MemoryState
from support.transactions import ALICE, BOB, RULES, SINK, Draft, block_env

COUNTER = Address(b"\x0c" * 20)
REVERTER = Address(b"\x0d" * 20)
HALTER = Address(b"\x0e" * 20)
HASHER = Address(b"\x0f" * 20)
RECURSER = Address(b"\x0a" * 20)
PASSER = Address(b"\x0b" * 20)

# Adds one to slot 0 and logs the sum with topic 0xaa.
COUNTER_CODE = bytes.fromhex("6000546001018060005560005260aa60206000a100")
# Reverts with the word 0x2a.
REVERTER_CODE = bytes.fromhex("602a60005260206000fd")
HALTER_CODE = bytes.fromhex("fe")
# Eight words: the parent's hash, then what number, time, limits and ids the block has.
HASHER_CODE = bytes.fromhex(
    "6001430340600052436020524260405245606052466080524860a0524460c0524160e0526101006000f3"
)
RECURSER_CODE = bytes.fromhex("6000600060006000600030" + "5af100")
# Halts unless more than 100,000 gas is left.
PASSER_CODE = bytes.fromhex("620186a05a11600a57fe5b00")
# A constructor of the one-byte contract STOP.
INIT_CODE = bytes.fromhex("6001600d60003960016000f300") + b"\x00"

ALLOC = {
    ALICE.address: GenesisAccount(balance=10**18),
    COUNTER: GenesisAccount(nonce=1, code=COUNTER_CODE, storage={5: 7}),
    REVERTER: GenesisAccount(nonce=1, code=REVERTER_CODE),
    HALTER: GenesisAccount(nonce=1, code=HALTER_CODE),
    HASHER: GenesisAccount(nonce=1, code=HASHER_CODE),
    RECURSER: GenesisAccount(nonce=1, code=RECURSER_CODE),
    PASSER: GenesisAccount(nonce=1, code=PASSER_CODE),
    HISTORY_ADDRESS: GenesisAccount(nonce=1, code=HISTORY_STORAGE_CONTRACT_CODE),
}


class Ground:
    """An engine on a committed genesis."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.engine = PyEvmEngine(self.state)
        loaded = self.engine.load_genesis(ALLOC)
        self.engine.commit(loaded.handle)
        self.root = loaded.state_root

    def execute(self, *raws: bytes, **changes: Any) -> Executed:
        return self.engine.execute(replace(block_env(), **changes), self.root, raws)

    def call(self, to: bytes | None, **fields: Any) -> CallOutcome:
        target = None if to is None else Address(to)
        return self.engine.call(block_env(), self.root, Call(ALICE.address, target, **fields))


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_a_call_runs_and_its_receipt_says_so(ground: Ground) -> None:
    executed = ground.execute(Draft(to=COUNTER).signed_by(ALICE))
    receipt = executed.included[0].receipt
    assert (receipt.succeeded, receipt.sender, receipt.contract_address) == (
        True,
        ALICE.address,
        None,
    )
    assert [(log.address, log.topics, log.data) for log in receipt.logs] == [
        (COUNTER, (Hash32(bytes(31) + b"\xaa"),), bytes(31) + b"\x01")
    ]
    ground.engine.commit(executed.handle)
    assert ground.engine.storage(executed.state_root, COUNTER, 0) == 1
    assert ground.engine.storage(executed.state_root, COUNTER, 5) == 7
    assert ground.engine.account(executed.state_root, ALICE.address).nonce == 1
    assert ground.engine.storage(ground.root, COUNTER, 0) == 0


def test_a_blocks_roots_cover_what_was_included(ground: Ground) -> None:
    raws = [Draft(to=COUNTER, nonce=n).signed_by(ALICE) for n in (0, 5, 1)]
    executed = ground.execute(*raws)
    receipts = [item.receipt for item in executed.included]
    assert [item.position for item in executed.included] == [0, 2]
    assert executed.transactions_root == transactions_root([raws[0], raws[2]])
    assert executed.receipts_root == receipts_root(receipts)
    assert executed.logs_bloom == receipts[0].logs_bloom
    assert executed.gas_used == receipts[1].cumulative_gas_used
    assert executed.gas_used == sum(receipt.gas_used for receipt in receipts)


def test_an_empty_list_keeps_all_but_the_history_contract(ground: Ground) -> None:
    executed = ground.execute()
    assert (executed.gas_used, executed.included, executed.skipped) == (0, (), ())
    assert executed.transactions_root == executed.receipts_root == EMPTY_TRIE_ROOT
    ground.engine.commit(executed.handle)
    parent_hash = int.from_bytes(block_env().ancestor_hashes[0], "big")
    assert ground.engine.storage(executed.state_root, HISTORY_ADDRESS, 0) == parent_hash


def test_the_history_contract_stands_where_eip_2935_says() -> None:
    assert HISTORY_ADDRESS == HISTORY_STORAGE_ADDRESS


@pytest.mark.parametrize(("to", "succeeded"), [(REVERTER, False), (HALTER, False), (SINK, True)])
def test_a_failed_transaction_is_included_and_takes_its_nonce(
    ground: Ground, to: bytes, *, succeeded: bool
) -> None:
    executed = ground.execute(
        Draft(to=to, value=0).signed_by(ALICE), Draft(to=COUNTER, nonce=1).signed_by(ALICE)
    )
    assert [item.receipt.succeeded for item in executed.included] == [succeeded, True]
    if to == HALTER:
        assert executed.included[0].receipt.gas_used == 100_000


def test_a_creation_has_an_address_and_code(ground: Ground) -> None:
    executed = ground.execute(Draft(to=None, data=INIT_CODE).signed_by(ALICE))
    receipt = executed.included[0].receipt
    created = created_address(ALICE.address, 0)
    assert receipt.succeeded
    assert receipt.contract_address == created
    ground.engine.commit(executed.handle)
    assert ground.engine.code(executed.state_root, created) == b"\x00"
    assert ground.engine.account(executed.state_root, created).nonce == 1


def test_calldata_costs_at_least_the_floor(ground: Ground) -> None:
    executed = ground.execute(Draft(data=b"\x01" * 100).signed_by(ALICE))
    assert executed.gas_used == 25_000


def test_init_code_words_are_charged_once(ground: Ground) -> None:
    # STOP after 320 bytes of which one is not zero: floor 53000 below the intrinsic gas.
    data = b"\x00" * 319 + b"\x01"
    executed = ground.execute(Draft(to=None, data=data).signed_by(ALICE))
    assert executed.gas_used == 21_000 + 32_000 + 319 * 4 + 16 + 10 * 2


LATER = Draft(nonce=1).signed_by(ALICE)
SKIPPED: Mapping[str, tuple[SkipReason, bytes]] = {
    "no bytes": (SkipReason.MALFORMED, b""),
    "another chain": (SkipReason.WRONG_CHAIN_ID, Draft(chain_id=5).signed_by(ALICE)),
    "low gas": (SkipReason.GAS_BELOW_INTRINSIC, Draft(gas_limit=20_000).signed_by(ALICE)),
    "a used nonce": (SkipReason.NONCE_TOO_LOW, Draft(nonce=0).signed_by(ALICE)),
    "a nonce too far": (SkipReason.NONCE_GAP, Draft(nonce=2).signed_by(ALICE)),
    "a fee without money": (
        SkipReason.INSUFFICIENT_FUNDS,
        Draft(max_fee_per_gas=1).signed_by(BOB),
    ),
    "a value without money": (SkipReason.INSUFFICIENT_FUNDS, Draft(value=1).signed_by(BOB)),
    "a full block": (SkipReason.BLOCK_GAS_EXHAUSTED, Draft(gas_limit=970_000).signed_by(BOB)),
}


@pytest.mark.parametrize(("reason", "raw"), SKIPPED.values(), ids=SKIPPED.keys())
def test_what_cannot_be_included_is_skipped_and_changes_nothing(
    ground: Ground, reason: SkipReason, raw: bytes
) -> None:
    rules = replace(RULES, block_gas_limit=1_000_000, transaction_gas_limit=990_000)
    first = Draft(to=COUNTER, nonce=0).signed_by(ALICE)
    with_it = ground.execute(first, raw, LATER, rules=rules)
    without = ground.execute(first, LATER, rules=rules)
    assert [(item.position, item.reason) for item in with_it.skipped] == [(1, reason)]
    assert with_it.state_root == without.state_root
    assert [item.receipt for item in with_it.included] == [
        item.receipt for item in without.included
    ]


def test_a_contract_cannot_send(ground: Ground) -> None:
    alloc = {ALICE.address: GenesisAccount(code=b"\x00")}
    loaded = ground.engine.load_genesis(alloc)
    ground.engine.commit(loaded.handle)
    ground.root = loaded.state_root
    executed = ground.execute(Draft().signed_by(ALICE))
    assert [item.reason for item in executed.skipped] == [SkipReason.SENDER_HAS_CODE]


def test_a_block_sees_its_environment(ground: Ground) -> None:
    env = block_env(number=300)
    outcome = ground.engine.call(env, ground.root, Call(ALICE.address, HASHER))
    words = [outcome.data[start : start + 32] for start in range(0, 256, 32)]
    assert words[0] == env.ancestor_hashes[0]
    assert [int.from_bytes(word, "big") for word in words[1:]] == [
        300,
        env.timestamp,
        30_000_000,
        env.chain_id,
        0,
        0,
        0,
    ]


def test_the_same_block_gives_the_same_roots_on_any_engine() -> None:
    raws = [Draft(to=to, nonce=n).signed_by(ALICE) for n, to in enumerate([COUNTER, None, HALTER])]
    first, second = (Ground().execute(*raws) for _ in range(2))
    assert first.state_root == second.state_root
    assert first.receipts_root == second.receipts_root


def test_a_dry_run_returns_reverts_and_halts(ground: Ground) -> None:
    assert ground.call(COUNTER).status is CallStatus.SUCCEEDED
    reverted = ground.call(REVERTER)
    assert (reverted.status, reverted.data) == (CallStatus.REVERTED, bytes(31) + b"\x2a")
    halted = ground.call(HALTER, gas_limit=50_000)
    assert (halted.status, halted.halt_reason) == (CallStatus.HALTED, "invalid opcode: INVALID")
    assert (halted.data, halted.gas_used) == (b"", 50_000)
    assert ground.call(COUNTER, gas_limit=22_000).halt_reason == "out of gas"
    assert ground.call(None, data=INIT_CODE).data == b"\x00"


def test_a_dry_run_that_cannot_start_is_refused(ground: Ground) -> None:
    with pytest.raises(GasBelowIntrinsic):
        ground.call(SINK, gas_limit=20_999)
    with pytest.raises(InsufficientFunds, match="set both fee fields to 0"):
        ground.call(SINK, value=10**19)
    with pytest.raises(InitCodeTooLarge):
        ground.call(None, data=bytes(50_000), gas_limit=10**7)


def test_a_dry_run_may_pretend(ground: Ground) -> None:
    overrides = {
        COUNTER: AccountOverride(storage={0: 41}),
        BOB.address: AccountOverride(balance=1, nonce=9, code=b""),
        SINK: AccountOverride(code=REVERTER_CODE),
    }
    env, engine = block_env(), ground.engine
    replaced = engine.call(env, ground.root, Call(ALICE.address, SINK), overrides)
    assert replaced.status is CallStatus.REVERTED
    rich = engine.call(env, ground.root, Call(BOB.address, ALICE.address, value=1), overrides)
    assert rich.status is CallStatus.SUCCEEDED
    counted = engine.call(env, ground.root, Call(BOB.address, COUNTER), overrides)
    assert counted.gas_used < ground.call(COUNTER).gas_used
    assert engine.storage(ground.root, COUNTER, 0) == 0


def test_an_estimate_suffices_and_is_near_the_least(ground: Ground) -> None:
    for to in (SINK, COUNTER, PASSER):
        call = Call(ALICE.address, Address(to))
        estimate = estimate_gas(ground.engine, block_env(), ground.root, call)
        assert isinstance(estimate, int)
        assert ground.call(to, gas_limit=estimate).status is CallStatus.SUCCEEDED
        below = estimate - estimate // 60 - 1
        if below >= 21_000:
            assert ground.call(to, gas_limit=below).status is not CallStatus.SUCCEEDED


def test_what_always_fails_has_no_estimate(ground: Ground) -> None:
    call = Call(ALICE.address, REVERTER)
    outcome = estimate_gas(ground.engine, block_env(), ground.root, call)
    assert isinstance(outcome, CallOutcome)
    assert outcome.data == bytes(31) + b"\x2a"


@pytest.mark.slow
def test_calls_nest_to_the_evms_own_limit(ground: Ground) -> None:
    outcome = ground.call(RECURSER, gas_limit=10**12)
    assert outcome.status is CallStatus.SUCCEEDED
    assert outcome.gas_used > 1_024 * 100


def test_absent_accounts_read_as_empty(ground: Ground) -> None:
    account = ground.engine.account(ground.root, SINK)
    assert (account.nonce, account.balance, account.code_hash) == (0, 0, EMPTY_CODE_HASH)
    assert ground.engine.code(ground.root, SINK) == b""
    assert ground.engine.storage(ground.root, SINK, 0) == 0


def test_a_root_that_was_never_committed_stops_the_engine(ground: Ground) -> None:
    root = Hash32(b"\x01" * 32)
    with pytest.raises(StateMissing):
        ground.engine.execute(block_env(), root, [])
    with pytest.raises(StateMissing):
        ground.engine.account(root, SINK)


class FailingState(MemoryState):
    """A store that raises when COUNTER's code is read."""

    def __init__(self, fault: Exception | None) -> None:
        super().__init__()
        self.fault = fault

    def get(self, key: bytes) -> bytes | None:
        if key == keccak(COUNTER_CODE):
            if self.fault is None:
                return None
            raise self.fault
        return super().get(key)


def execute_on(fault: Exception | None) -> Executed:
    engine = PyEvmEngine(FailingState(fault))
    loaded = engine.load_genesis(ALLOC)
    engine.commit(loaded.handle)
    raws = [Draft(to=COUNTER).signed_by(ALICE), Draft(to=SINK, value=3).signed_by(ALICE)]
    return engine.execute(block_env(), loaded.state_root, raws)


def test_a_fault_inside_the_evm_skips_the_transaction_and_rolls_it_back() -> None:
    executed = execute_on(ValueError("a bug that every node has"))
    assert [item.reason for item in executed.skipped] == [SkipReason.EXECUTION_IMPOSSIBLE]
    assert [item.position for item in executed.included] == [1]
    assert (
        executed.state_root == Ground().execute(Draft(to=SINK, value=3).signed_by(ALICE)).state_root
    )


@pytest.mark.parametrize("fault", [RecursionError(), MemoryError()], ids=repr)
def test_a_limit_of_this_machine_stops_the_node_instead(fault: Exception) -> None:
    with pytest.raises(EngineExhausted):
        execute_on(fault)


def test_a_lost_part_of_the_state_stops_the_node() -> None:
    with pytest.raises(StateMissing):
        execute_on(None)


def test_genesis_steps_give_an_allocation_with_the_same_root(ground: Ground) -> None:
    # The constructor writes 9 into slot 3 and deploys COUNTER's code.
    size = f"{len(COUNTER_CODE):02x}"
    constructor = bytes.fromhex(f"600960035560{size}601160003960{size}6000f3") + COUNTER_CODE
    steps = [
        GenesisStep(ALICE.address, SINK, constructor),
        GenesisStep(ALICE.address, SINK, b"", creates=False),
    ]
    env = block_env(number=0)
    start = {BOB.address: GenesisAccount(balance=4)}
    alloc = ground.engine.run_genesis_steps(env, start, steps)
    assert alloc == {
        BOB.address: GenesisAccount(balance=4),
        SINK: GenesisAccount(nonce=1, code=COUNTER_CODE, storage={0: 1, 3: 9}),
    }
    loaded = ground.engine.load_genesis(alloc)
    ground.engine.commit(loaded.handle)
    assert ground.engine.storage(loaded.state_root, SINK, 3) == 9
    assert ground.engine.code(loaded.state_root, SINK) == COUNTER_CODE


def test_a_genesis_step_that_fails_is_reported_with_its_reason(ground: Ground) -> None:
    steps = [GenesisStep(ALICE.address, SINK, REVERTER_CODE)]
    with pytest.raises(DeploymentFailed) as caught:
        ground.engine.run_genesis_steps(block_env(number=0), {}, steps)
    assert (caught.value.step, caught.value.address) == (0, SINK)
    assert caught.value.revert_data == bytes(31) + b"\x2a"


def test_every_refusal_of_a_transaction_has_a_code_of_its_own() -> None:
    refusals = [
        kind
        for kind in vars(node.errors).values()
        if isinstance(kind, type) and TransactionRejected in kind.__bases__
    ]
    codes = {skip_reason_of(Exception.__new__(kind)) for kind in refusals}
    assert codes == set(SkipReason)
    assert len(codes) == len(refusals)
