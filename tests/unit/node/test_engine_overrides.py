"""What a dry run may pretend about its block and its accounts."""

from dataclasses import replace
from typing import Any

import pytest
from eth.vm.forks.prague.constants import HISTORY_STORAGE_CONTRACT_CODE

from node.engine import (
    HISTORY_ADDRESS,
    AccountOverride,
    BlockOverrides,
    Call,
    CallOutcome,
    CallStatus,
    GenesisAccount,
    PyEvmEngine,
)
from node.errors import CallRejected, PrecompileMoveClash, PrecompileMovedToItself
from node.primitives import ZERO_HASH, Address, Hash32
from node.store import MemoryState
from support.transactions import ALICE, BOB, SINK, block_env

LOADER = Address(b"\x0a" * 20)
IDENTITY = Address((4).to_bytes(20, "big"))
SHA256 = Address((2).to_bytes(20, "big"))

# Returns slots 1 and 2.
LOADER_CODE = bytes.fromhex("6001545f5260025460205260405ff3")
# Returns coinbase, time, number, randomness, gas limit, base fee, blob base fee, then hashes of 7, 8 and 40.
BLOCK_CODE = bytes.fromhex(
    "415f52426020524360405244606052456080524860a0524a60c052600740"
    "60e05260084061010052602840610120526101405ff3"
)


class Ground:
    """An engine on a genesis with one contract that has storage."""

    def __init__(self) -> None:
        self.engine = PyEvmEngine(MemoryState())
        alloc = {
            ALICE.address: GenesisAccount(balance=10**18),
            LOADER: GenesisAccount(nonce=1, code=LOADER_CODE, storage={1: 11, 2: 22}),
            HISTORY_ADDRESS: GenesisAccount(nonce=1, code=HISTORY_STORAGE_CONTRACT_CODE),
        }
        loaded = self.engine.load_genesis(alloc)
        self.engine.commit(loaded.handle)
        self.root = loaded.state_root

    def call(
        self, to: Address, overrides: dict[Address, AccountOverride], data: bytes = b""
    ) -> CallOutcome:
        call = Call(ALICE.address, to, data=data)
        return self.engine.call(block_env(number=9), self.root, call, overrides)

    def words(self, block: BlockOverrides, **call: Any) -> list[int]:
        env = block_env(number=9).pretending(block)
        overrides = {SINK: AccountOverride(code=BLOCK_CODE)}
        outcome = self.engine.call(env, self.root, Call(ALICE.address, SINK, **call), overrides)
        assert outcome.status is CallStatus.SUCCEEDED
        return [int.from_bytes(outcome.data[at : at + 32], "big") for at in range(0, 320, 32)]


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (AccountOverride(), (11, 22)),
        (AccountOverride(storage={2: 5}), (11, 5)),
        (AccountOverride(storage={1: 0}), (0, 22)),
        (AccountOverride(whole_storage={2: 5}), (0, 5)),
        (AccountOverride(whole_storage={}), (0, 0)),
    ],
    ids=repr,
)
def test_slots_are_replaced_one_by_one_or_all_together(
    ground: Ground, override: AccountOverride, expected: tuple[int, int]
) -> None:
    """N-64."""
    data = ground.call(LOADER, {LOADER: override}).data
    assert (int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")) == expected
    assert ground.engine.storage(ground.root, LOADER, 1) == 11


def test_the_block_is_what_the_caller_pretends(ground: Ground) -> None:
    """N-64."""
    pretended = BlockOverrides(
        timestamp=5, gas_limit=6, coinbase=BOB.address, prev_randao=Hash32(b"\x01" * 32),
        base_fee_per_gas=7, blob_base_fee=8,
    )  # fmt: skip
    hashes = block_env(number=9).ancestor_hashes
    known = [int.from_bytes(hashes[1], "big"), int.from_bytes(hashes[0], "big"), 0]
    coinbase, randao = int.from_bytes(BOB.address, "big"), int.from_bytes(b"\x01" * 32, "big")
    assert ground.words(pretended) == [coinbase, 5, 9, randao, 6, 7, 8, *known]
    untouched = ground.words(BlockOverrides())
    assert untouched == [0, block_env().timestamp, 9, 0, 30_000_000, 0, 1, *known]


def test_with_another_number_each_block_keeps_its_own_hash(ground: Ground) -> None:
    """N-64."""
    env = block_env(number=9)
    seven, eight = (int.from_bytes(env.ancestor_hashes[at], "big") for at in (1, 0))
    assert ground.words(BlockOverrides(number=41))[7:] == [seven, eight, 0]
    assert ground.words(BlockOverrides(number=8))[7:] == [seven, 0, 0]
    assert ground.words(BlockOverrides(number=10**9))[7:] == [0, 0, 0]
    assert env.pretending(BlockOverrides(number=11)).ancestor_hashes[:3] == (
        ZERO_HASH,
        ZERO_HASH,
        env.ancestor_hashes[0],
    )


def test_a_pretended_base_fee_costs_nothing_where_no_price_is_named(ground: Ground) -> None:
    env = replace(block_env(), base_fee_per_gas=10**9, coinbase=BOB.address)
    free = ground.engine.call(env, ground.root, Call(BOB.address, SINK))
    assert free.status is CallStatus.SUCCEEDED


def test_a_precompiled_contract_may_be_moved(ground: Ground) -> None:
    """N-64."""
    moved = {IDENTITY: AccountOverride(precompile_moved_to=SINK, code=LOADER_CODE)}
    assert ground.call(SINK, moved, b"abc").data == b"abc"
    assert len(ground.call(IDENTITY, moved, b"abc").data) == 64
    assert ground.call(IDENTITY, {}, b"abc").data == b"abc"


def test_a_move_that_makes_no_sense_is_refused(ground: Ground) -> None:
    """N-64."""
    with pytest.raises(PrecompileMovedToItself):
        ground.call(SINK, {IDENTITY: AccountOverride(precompile_moved_to=IDENTITY)})
    both = {each: AccountOverride(precompile_moved_to=SINK) for each in (IDENTITY, SHA256)}
    with pytest.raises(PrecompileMoveClash):
        ground.call(SINK, both)
    with pytest.raises(CallRejected, match="is not a precompile"):
        ground.call(SINK, {LOADER: AccountOverride(precompile_moved_to=SINK)})
