"""Access lists: what a call touches, and that naming it first makes the call cheaper."""

from dataclasses import replace
from typing import Any

import pytest

from node.engine import (
    AccessList,
    Call,
    CallStatus,
    GenesisAccount,
    PyEvmEngine,
    create_access_list,
)
from node.errors import DryRunTooLong
from node.primitives import Address, Hash32
from node.store import MemoryState
from node.transaction import AccessListEntry
from support.transactions import ALICE, SINK, block_env

FRONT = Address(b"\x0a" * 20)
BACK = Address(b"\x0b" * 20)
REVERTING = Address(b"\x0c" * 20)
CREATING = Address(b"\x0d" * 20)

# Loads its slot 5, asks for balances of SINK, of the caller and of SHA-256, then calls BACK.
FRONT_CODE = bytes.fromhex(
    f"60055450 73{SINK.hex()}3150 333150 60023150 5f5f5f5f5f73{BACK.hex()}5af100"
)
# Loads slots 1 to 30.
BACK_CODE = bytes.fromhex("".join(f"60{slot:02x}5450" for slot in range(1, 31)) + "00")
# Loads slot 3 of its own, calls BACK, reverts.
REVERTING_CODE = bytes.fromhex(f"60035450 5f5f5f5f5f73{BACK.hex()}5af1 5f5ffd")
# Creates an empty contract and asks for its size.
CREATING_CODE = bytes.fromhex("5f5f5ff03b00")


def key(slot: int) -> Hash32:
    return Hash32(slot.to_bytes(32, "big"))


BACK_ENTRY = AccessListEntry(BACK, tuple(key(slot) for slot in range(1, 31)))


class Ground:
    """An engine on a genesis of contracts that call each other."""

    def __init__(self) -> None:
        self.engine = PyEvmEngine(MemoryState())
        codes = {
            FRONT: FRONT_CODE,
            BACK: BACK_CODE,
            REVERTING: REVERTING_CODE,
            CREATING: CREATING_CODE,
        }
        alloc = {address: GenesisAccount(nonce=1, code=code) for address, code in codes.items()}
        loaded = self.engine.load_genesis(alloc)
        self.engine.commit(loaded.handle)
        self.root = loaded.state_root

    def listed(self, to: Address | None, **fields: Any) -> AccessList:
        call = Call(ALICE.address, to, **fields)
        return create_access_list(self.engine, block_env(), self.root, call, {}, lambda: None)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground()


def test_the_list_names_what_is_touched_and_not_warm_from_the_start(ground: Ground) -> None:
    """N-65."""
    found = ground.listed(FRONT)
    assert found.entries == (
        AccessListEntry(FRONT, (key(5),)),
        BACK_ENTRY,
        AccessListEntry(SINK, ()),
    )
    assert found.outcome.status is CallStatus.SUCCEEDED


def test_the_list_is_what_a_run_with_it_touches_and_lowers_the_gas(ground: Ground) -> None:
    """N-65."""
    call = Call(ALICE.address, FRONT)
    found = ground.listed(FRONT)
    without = ground.engine.call(block_env(), ground.root, call)
    with_it = ground.engine.call(block_env(), ground.root, replace(call, access_list=found.entries))
    assert with_it.gas_used == found.outcome.gas_used < without.gas_used
    again = ground.listed(FRONT, access_list=found.entries)
    assert again == found


def test_a_call_that_fails_has_a_list_of_what_it_touched_even_where_it_was_reverted(
    ground: Ground,
) -> None:
    """N-65."""
    found = ground.listed(REVERTING)
    assert found.outcome.status is CallStatus.REVERTED
    assert found.entries == (BACK_ENTRY, AccessListEntry(REVERTING, (key(3),)))


def test_contracts_made_on_the_way_are_not_listed(ground: Ground) -> None:
    assert ground.listed(CREATING).entries == ()
    assert ground.listed(None, data=bytes.fromhex("600160015560015450")).entries == ()


def test_the_search_ends_with_its_watch(ground: Ground) -> None:
    def watch() -> None:
        raise DryRunTooLong

    with pytest.raises(DryRunTooLong):
        create_access_list(
            ground.engine, block_env(), ground.root, Call(ALICE.address, FRONT), {}, watch
        )
