"""Simulated blocks: real headers, state that goes on from block to block, and the refusals by their names."""

from dataclasses import replace
from typing import Any

import pytest
from eth.vm.forks.prague.constants import HISTORY_STORAGE_CONTRACT_CODE

from node.block import Header, receipts_root, transactions_root
from node.engine import (
    HISTORY_ADDRESS,
    AccountOverride,
    BlockOverrides,
    CallStatus,
    DraftBlock,
    DraftCall,
    GenesisAccount,
    PyEvmEngine,
    Simulated,
    SimulatedBlock,
    Simulation,
)
from node.engine.draft import TRANSFER_LOG_ADDRESS
from node.engine.simulation import (
    SIMULATED_BLOCKS_MAX,
    SIMULATED_CALLS_MAX,
)
from node.errors import (
    BlockGasExhausted,
    DryRunTooLong,
    FeeCapBelowBaseFee,
    GasBelowIntrinsic,
    InitCodeTooLarge,
    InsufficientFunds,
    NonceGap,
    NonceTooLow,
    SenderHasCode,
    SimulatedBlockOutOfOrder,
    SimulatedCallRefused,
    SimulationTooLarge,
)
from node.primitives import EMPTY_TRIE_ROOT, Address, Hash32, keccak
from node.store import MemoryState
from node.transaction import decode_transaction
from support.transactions import ALICE, BOB, RULES, SINK, Draft, block_env

COUNTER = Address(b"\x0c" * 20)
HASHER = Address(b"\x0f" * 20)
REVERTER = Address(b"\x0d" * 20)
PAYER = Address(b"\x0e" * 20)

# Adds one to slot 0, logs the sum with topic 0xaa and returns it.
COUNTER_CODE = bytes.fromhex("6000546001018060005560005260aa60206000a160206000f3")
# Returns the hash of the block before, and that of block 100.
HASHER_CODE = bytes.fromhex("600143034060005260644060205260406000f3")
# Reverts with 0x2a.
REVERTER_CODE = bytes.fromhex("602a60005260206000fd")
# Sends 3 to SINK, then logs with topic 0xaa.
PAYER_CODE = bytes.fromhex(f"5f5f5f5f600373{SINK.hex()}5af15060aa5f5fa100")

ALLOC = {
    ALICE.address: GenesisAccount(balance=10**18),
    COUNTER: GenesisAccount(nonce=1, code=COUNTER_CODE),
    HASHER: GenesisAccount(nonce=1, code=HASHER_CODE),
    REVERTER: GenesisAccount(nonce=1, code=REVERTER_CODE),
    PAYER: GenesisAccount(nonce=1, code=PAYER_CODE, balance=10),
    HISTORY_ADDRESS: GenesisAccount(nonce=1, code=HISTORY_STORAGE_CONTRACT_CODE),
}


def calls(*given: DraftCall, block: BlockOverrides | None = None, **draft: Any) -> SimulatedBlock:
    return SimulatedBlock(block or BlockOverrides(), DraftBlock(given, **draft))


def call(to: Address | None, **fields: Any) -> DraftCall:
    return DraftCall(ALICE.address, to, **fields)


class Ground:
    """An engine on a committed block 100."""

    def __init__(self) -> None:
        self.engine = PyEvmEngine(MemoryState())
        loaded = self.engine.load_genesis(ALLOC)
        self.engine.commit(loaded.handle)
        self.env = block_env(number=100)
        self.base = Header(
            parent_hash=self.env.ancestor_hashes[0],
            state_root=loaded.state_root,
            transactions_root=EMPTY_TRIE_ROOT,
            receipts_root=EMPTY_TRIE_ROOT,
            logs_bloom=bytes(256),
            number=100,
            gas_limit=RULES.block_gas_limit,
            gas_used=0,
            timestamp=self.env.timestamp,
        )

    def run(self, *blocks: SimulatedBlock) -> tuple[Simulated, ...]:
        simulation = Simulation(self.engine, self.base, self.env, lambda _number: RULES)
        return simulation.run(blocks, lambda: None)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


def test_each_call_runs_on_what_those_before_it_left(ground: Ground) -> None:
    """N-66."""
    first, second = ground.run(calls(call(COUNTER), call(COUNTER)), calls(call(COUNTER)))
    counted = [int.from_bytes(r.outcome.data, "big") for b in (first, second) for r in b.runs]
    assert counted == [1, 2, 3]
    assert ground.engine.storage(ground.base.state_root, COUNTER, 0) == 0


def test_a_simulated_block_is_the_block_that_the_chain_would_make(ground: Ground) -> None:
    """N-66. The same calls, signed and executed, come to the same state, receipts and gas."""
    drafts = [call(COUNTER, nonce=0), call(REVERTER, nonce=1, gas_limit=100_000)]
    (simulated,) = ground.run(calls(*drafts, is_validated=True))
    header = simulated.block.header
    signed = [
        Draft(to=COUNTER, nonce=0).signed_by(ALICE),
        Draft(to=REVERTER, nonce=1).signed_by(ALICE),
    ]
    env = replace(
        ground.env,
        number=101,
        timestamp=header.timestamp,
        ancestor_hashes=(ground.base.hash, *ground.env.ancestor_hashes)[:256],
    )
    executed = ground.engine.execute(env, ground.base.state_root, signed)
    assert header.state_root == executed.state_root
    assert header.receipts_root == executed.receipts_root
    assert header.gas_used == executed.gas_used
    assert header.logs_bloom == executed.logs_bloom
    assert header.transactions_root == transactions_root(simulated.block.transactions)
    assert header.hash == keccak(header.encode())
    assert (header.number, header.parent_hash) == (101, ground.base.hash)


def test_later_blocks_see_the_hashes_of_those_before(ground: Ground) -> None:
    """N-66."""
    first, second = ground.run(calls(), calls(call(HASHER)))
    assert second.runs[0].outcome.data == first.block.header.hash + ground.base.hash
    assert first.block.header.receipts_root == receipts_root([])


def test_numbers_left_out_are_filled_with_empty_blocks(ground: Ground) -> None:
    """N-66."""
    blocks = ground.run(calls(block=BlockOverrides(number=103)), calls())
    assert [b.block.header.number for b in blocks] == [101, 102, 103, 104]
    times = [b.block.header.timestamp - ground.base.timestamp for b in blocks]
    assert times == [1, 2, 3, 4]
    parents = [ground.base.hash, *(b.block.header.hash for b in blocks)]
    assert [b.block.header.parent_hash for b in blocks] == parents[:-1]


def test_what_is_pretended_stands_in_the_header_and_goes_on(ground: Ground) -> None:
    """N-64, N-66."""
    pretended = BlockOverrides(
        timestamp=ground.base.timestamp, gas_limit=10**6, coinbase=BOB.address,
        prev_randao=Hash32(b"\x07" * 32), base_fee_per_gas=9,
    )  # fmt: skip
    rich = {BOB.address: AccountOverride(balance=5)}
    payment = DraftCall(BOB.address, SINK, value=5)
    blocks = ground.run(calls(payment, block=pretended, overrides=rich), calls())
    first, second = (b.block.header for b in blocks)
    assert (first.timestamp, first.gas_limit) == (ground.base.timestamp, 10**6)
    assert (first.coinbase, first.mix_hash, first.base_fee_per_gas) == (
        BOB.address,
        b"\x07" * 32,
        9,
    )
    assert (second.coinbase, second.gas_limit) == (BOB.address, 10**6)
    assert (second.mix_hash, second.base_fee_per_gas) == (bytes(32), 0)


def test_a_call_stands_in_the_block_as_an_unsigned_transaction(ground: Ground) -> None:
    (simulated,) = ground.run(calls(call(COUNTER), call(None, data=b"\0", gas_limit=60_000)))
    sent = [decode_transaction(raw) for raw in simulated.block.transactions]
    assert [(t.transaction_type, t.nonce, t.to, t.r, t.s) for t in sent] == [
        (2, 0, COUNTER, 0, 0),
        (2, 1, None, 0, 0),
    ]
    assert sent[0].gas_limit == RULES.block_gas_limit
    assert sent[1].gas_limit == 60_000


def test_transfers_are_shown_as_logs_in_order_and_not_in_receipts(ground: Ground) -> None:
    """N-66."""
    (simulated,) = ground.run(calls(call(PAYER, value=2), logs_transfers=True))
    (run,) = simulated.runs
    topic = keccak(b"Transfer(address,address,uint256)")
    shown = [(log.address, log.topics, int.from_bytes(log.data, "big")) for log in run.logs]
    own = (PAYER, (Hash32(bytes(31) + b"\xaa"),), 0)

    def transfer(sender: bytes, receiver: bytes, value: int) -> tuple[Any, ...]:
        topics = (topic, sender.rjust(32, b"\0"), receiver.rjust(32, b"\0"))
        return (TRANSFER_LOG_ADDRESS, topics, value)

    assert shown == [transfer(ALICE.address, PAYER, 2), transfer(PAYER, SINK, 3), own]
    assert [log.address for log in run.receipt.logs] == [PAYER]
    (plain,) = ground.run(calls(call(PAYER, value=2)))
    assert plain.block.header.hash == simulated.block.header.hash
    assert plain.runs[0].logs == run.receipt.logs


def test_a_reverted_call_shows_no_transfers(ground: Ground) -> None:
    (simulated,) = ground.run(calls(call(REVERTER, value=2), logs_transfers=True))
    assert simulated.runs[0].outcome.status is CallStatus.REVERTED
    assert simulated.runs[0].logs == ()


REFUSED: dict[str, tuple[type[Exception], DraftCall, dict[str, Any]]] = {
    "a used nonce": (NonceTooLow, call(COUNTER, nonce=0), {}),
    "a nonce too far": (NonceGap, call(COUNTER, nonce=9), {}),
    "a contract as sender": (SenderHasCode, DraftCall(COUNTER, SINK), {}),
    "a fee below the base fee": (FeeCapBelowBaseFee, call(SINK), {"base_fee_per_gas": 7}),
    "little gas": (GasBelowIntrinsic, call(SINK, gas_limit=20_999), {}),
    "no money": (InsufficientFunds, DraftCall(BOB.address, SINK, value=1), {}),
    "a full block": (BlockGasExhausted, call(SINK, gas_limit=10**6 + 1), {"gas_limit": 10**6}),
    "long init code": (InitCodeTooLarge, call(None, data=bytes(49_153)), {}),
}


@pytest.mark.parametrize(("kind", "draft", "block"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_block_could_not_hold_is_refused_by_name(
    ground: Ground, kind: type[Exception], draft: DraftCall, block: dict[str, Any]
) -> None:
    """N-66."""
    nonce = {ALICE.address: AccountOverride(nonce=3)}
    simulated = calls(draft, block=BlockOverrides(**block), overrides=nonce, is_validated=True)
    with pytest.raises(SimulatedCallRefused, match="call 0") as caught:
        ground.run(simulated)
    assert type(caught.value.refusal) is kind


def test_without_validation_nonces_senders_and_fees_do_not_matter(ground: Ground) -> None:
    """N-66."""
    drafts = [call(COUNTER, nonce=7), DraftCall(REVERTER, COUNTER), call(COUNTER, nonce=2)]
    free = BlockOverrides(base_fee_per_gas=10**9)
    (simulated,) = ground.run(calls(*drafts, block=free))
    assert [run.outcome.status for run in simulated.runs] == [CallStatus.SUCCEEDED] * 3


def test_blocks_out_of_order_are_refused(ground: Ground) -> None:
    """N-66."""
    with pytest.raises(SimulatedBlockOutOfOrder, match="numbers must be in order: 100 after 100"):
        ground.run(calls(block=BlockOverrides(number=100)))
    late = calls(block=BlockOverrides(timestamp=ground.base.timestamp + 5))
    with pytest.raises(SimulatedBlockOutOfOrder, match="timestamp"):
        ground.run(late, calls(block=BlockOverrides(timestamp=ground.base.timestamp + 4)))
    same = ground.run(late, late)
    assert {b.block.header.timestamp for b in same} == {ground.base.timestamp + 5}


def test_a_simulation_has_limits(ground: Ground) -> None:
    """N-63, N-66."""
    far = BlockOverrides(number=100 + SIMULATED_BLOCKS_MAX + 1)
    with pytest.raises(SimulationTooLarge, match="blocks"):
        ground.run(calls(block=far))
    with pytest.raises(SimulationTooLarge, match="calls"):
        ground.run(calls(*[call(SINK)] * (SIMULATED_CALLS_MAX + 1)))


def test_all_blocks_share_the_gas_of_a_simulation(ground: Ground) -> None:
    """N-63."""
    one = calls(call(SINK))

    def run(*blocks: SimulatedBlock) -> tuple[Simulated, ...]:
        simulation = Simulation(
            ground.engine, ground.base, ground.env, lambda _number: RULES, 2 * 21_000
        )
        return simulation.run(blocks, lambda: None)

    limits = [decode_transaction(each.runs[0].raw).gas_limit for each in run(one, one)]
    assert limits == [42_000, 21_000]
    for blocks in ([one, one, one], [one, calls(call(SINK), call(SINK))]):
        with pytest.raises(SimulationTooLarge, match="gas"):
            run(*blocks)


def test_a_call_without_a_gas_limit_gets_what_its_block_has_left(ground: Ground) -> None:
    (simulated,) = ground.run(calls(call(COUNTER), call(COUNTER)))
    first, second = (decode_transaction(raw).gas_limit for raw in simulated.block.transactions)
    assert first == RULES.block_gas_limit
    assert second == first - simulated.runs[0].outcome.gas_used


def test_a_simulation_ends_with_its_watch(ground: Ground) -> None:
    """N-63."""
    asked = 0

    def watch() -> None:
        nonlocal asked
        asked += 1
        if asked > 5:
            raise DryRunTooLong

    simulation = Simulation(ground.engine, ground.base, ground.env, lambda _number: RULES)
    with pytest.raises(DryRunTooLong):
        simulation.run([calls()] * 10, watch)


def test_a_pretended_history_contract_is_watched_too(ground: Ground) -> None:
    """N-63."""
    asked = 0

    def watch() -> None:
        nonlocal asked
        asked += 1
        if asked > 5:
            raise DryRunTooLong

    endless = {HISTORY_ADDRESS: AccountOverride(code=bytes.fromhex("5b5f56"))}
    simulation = Simulation(ground.engine, ground.base, ground.env, lambda _number: RULES)
    with pytest.raises(DryRunTooLong):
        simulation.run([calls(overrides=endless)], watch)
