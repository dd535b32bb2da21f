"""A block comes to the same state, receipts and gas as on py-evm with nothing of ours below or within it.

The plain engine here is py-evm's accounts, tries, instructions, loop and executor, behind the same static check.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from eth.abc import SignedTransactionAPI
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.db.backends.memory import MemoryDB
from eth.vm.forks.prague.computation import PRAGUE_PRECOMPILES, PragueComputation
from eth.vm.forks.prague.state import PragueTransactionExecutor
from hypothesis import given, settings
from hypothesis import strategies as st

from node.block import receipts_root
from node.engine import GenesisAccount, PyEvmEngine
from node.engine.corrections import MODEXP_ADDRESS, OPCODES, CorrectedState, modexp
from node.engine.execution import apply_raw, begin_block
from node.engine.seam import Alloc
from node.engine.world_state import WorldState, context_of, put_alloc, refuse_precompile
from node.errors import TransactionRejected
from node.primitives import EMPTY_TRIE_ROOT, Address, Hash32
from node.store import MemoryState
from support.programs import FIRST, SECOND, calls, pushed, small
from support.transactions import ALICE, BOB, RULES, Draft, block_env

pytestmark = pytest.mark.filterwarnings("ignore:SELFDESTRUCT opcode present:DeprecationWarning")


class PlainAccounts(AccountDB):
    """py-evm's own accounts, with the one question that our corrections ask."""

    def get_storage_root(self, address: Address) -> Hash32:
        return self._get_storage_root(address)


class PlainExecutor(PragueTransactionExecutor):
    """py-evm's own executor, after our checks."""

    def validate_transaction(self, transaction: SignedTransactionAPI) -> None:
        """Accept."""


class PlainComputation(PragueComputation):
    """py-evm's own computation, with the corrections and refusals."""

    opcodes = OPCODES
    _precompiles = (
        PRAGUE_PRECOMPILES
        | {MODEXP_ADDRESS: modexp}
        | {number.to_bytes(20, "big"): refuse_precompile for number in RULES.precompiles_refused}
    )


class PlainState(CorrectedState):
    """py-evm's own state."""

    account_db_class = PlainAccounts
    transaction_executor_class = PlainExecutor
    computation_class = PlainComputation

    def set_system_contracts(self) -> None:
        """Do nothing: they are part of genesis."""


pieces = st.one_of(
    calls(answer_bytes=32),
    # SSTORE, SLOAD, MSTORE, LOG1, TSTORE, TLOAD, KECCAK256; arithmetic on what lies on the stack.
    st.builds(lambda a, b: pushed(a % 3, b % 4) + b"\x55", small, small),
    st.builds(lambda a: pushed(a % 4) + b"\x54", small),
    st.builds(lambda a, b: pushed(a, b) + b"\x52", small, small),
    st.builds(lambda a: pushed(a, 4, 0) + b"\xa1", small),
    st.builds(lambda a: pushed(a, a % 2) + b"\x5d", small),
    st.builds(lambda a: pushed(a % 2) + b"\x5c", small),
    st.builds(lambda a, b: pushed(a, b) + b"\x20", small, small),
    st.sampled_from([b"\x01", b"\x03", b"\x10", b"\x14", b"\x16", b"\x1b", b"\x50", b"\x80", b"\x90"]),
    # CREATE of four bytes of memory, jumps, and any instruction at all.
    st.just(pushed(4, 28, 0) + b"\xf0"),
    st.builds(lambda a, b: pushed(a % 2, b % 64) + b"\x57\x5b", small, small),
    st.binary(min_size=1, max_size=1),
    # RETURN, REVERT, SELFDESTRUCT.
    st.builds(lambda op: pushed(32, 0) + bytes([op]), st.sampled_from([0xF3, 0xFD, 0xFF])),
)  # fmt: skip
programs = st.lists(pieces, max_size=14).map(b"".join)
drafts = st.builds(
    Draft,
    transaction_type=st.sampled_from([0, 1, 2]),
    nonce=st.integers(0, 2),
    gas_limit=st.sampled_from([40_000, 100_000, 300_000]),
    to=st.sampled_from([FIRST, FIRST, SECOND, None, ALICE.address]),
    value=st.sampled_from([0, 0, 1]),
    data=programs,
)
signed = st.tuples(drafts, st.sampled_from([ALICE, BOB])).map(
    lambda pair: pair[0].signed_by(pair[1])
)


def run_plainly(alloc: Alloc, raws: list[bytes]) -> tuple[Hash32, list[Any]]:
    """The state root and receipts by py-evm alone."""
    env = block_env()
    state = PlainState(AtomicDB(MemoryDB()), context_of(env), EMPTY_TRIE_ROOT)
    ours_in_form = cast(WorldState, state)  # It has what is used here, and nothing of ours.
    put_alloc(ours_in_form, alloc)
    state.persist()
    begin_block(ours_in_form, env)
    receipts: list[Any] = []
    for raw in raws:
        try:
            gas_used = receipts[-1].cumulative_gas_used if receipts else 0
            receipts.append(apply_raw(ours_in_form, env, raw, gas_used).receipt)
        except TransactionRejected:
            continue
    state.lock_changes()
    state.persist()
    return Hash32(state.state_root), receipts


@settings(max_examples=300)
@given(first=programs, second=programs, raws=st.lists(signed, min_size=1, max_size=5))
def test_a_block_comes_to_what_py_evm_alone_makes_of_it(
    first: bytes, second: bytes, raws: list[bytes]
) -> None:
    alloc = {
        ALICE.address: GenesisAccount(balance=10**18),
        BOB.address: GenesisAccount(balance=10**18),
        FIRST: GenesisAccount(nonce=1, balance=5, code=first, storage={1: 7}),
        SECOND: GenesisAccount(nonce=1, code=second, storage={2: 9}),
    }
    engine = PyEvmEngine(MemoryState())
    loaded = engine.load_genesis(alloc)
    engine.commit(loaded.handle)
    executed = engine.execute(block_env(), loaded.state_root, raws)
    root, receipts = run_plainly(alloc, raws)
    assert [each.receipt for each in executed.included] == receipts
    assert executed.receipts_root == receipts_root(receipts)
    assert executed.state_root == root
