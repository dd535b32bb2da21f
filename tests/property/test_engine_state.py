"""The engine's tries and accounts say what the libraries' say, over any sequence of acts.

The libraries' own are kept here as oracles: `HexaryTrie` of py-trie and `AccountDB` of py-evm, which the engine ran on
before it had its own.
"""

from __future__ import annotations

from typing import Any, cast

from eth.abc import AtomicDatabaseAPI
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth.db.backends.memory import MemoryDB
from eth.db.journal import get_next_checkpoint
from eth.vm.transient_storage import TransientStorage as TheirTransientStorage
from hypothesis import given, settings
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from node.engine import GenesisAccount, PyEvmEngine
from node.engine.accounts import Accounts
from node.engine.state_buffer import NODES_MADE_MAX, StateBuffer
from node.engine.state_trie import StateTrie
from node.engine.trie_node import NodeMemory
from node.engine.world_state import WorldState, open_state
from node.primitives import EMPTY_TRIE_ROOT, Address, Hash32, keccak
from node.store import MemoryState
from support.transactions import ALICE, Draft, block_env

# Keys that share long beginnings, so that extensions, embedded nodes and every way of splitting and merging occur.
keys = st.builds(
    lambda head, middle, tail: Hash32(bytes([head]) + bytes([middle]) * 30 + bytes([tail])),
    st.sampled_from([0x00, 0x01, 0x10, 0xFF]),
    st.sampled_from([0x00, 0x11]),
    st.sampled_from([0x00, 0x01, 0x10, 0x12, 0xFF]),
)
values = st.sampled_from([b"", b"", b"\x01", b"\x7f\x80", bytes(40), b"v" * 60])
rounds = st.lists(st.dictionaries(keys, values, max_size=6), max_size=6)


@settings(max_examples=400)
@given(rounds=rounds, memory_size=st.sampled_from([2, 64]))
def test_a_trie_changed_in_rounds_is_the_one_that_the_library_makes(
    rounds: list[dict[Hash32, bytes]], memory_size: int
) -> None:
    store, memory, root = MemoryState(), NodeMemory(memory_size), EMPTY_TRIE_ROOT
    library: Any = HexaryTrie({})
    held: dict[Hash32, bytes] = {}
    for changes in rounds:
        buffer = StateBuffer(store, memory)
        trie = StateTrie(buffer, root)
        root = trie.persist(changes)
        for key, value in changes.items():
            library.set(key, value)
        held.update(changes)
        assert root == library.root_hash
        assert all(trie.get(key) == value for key, value in held.items())
        store.write(buffer.written)
        again = StateTrie(StateBuffer(store, NodeMemory()), root)
        assert all(again.get(key) == value for key, value in held.items())


def test_a_trie_is_read_though_more_was_made_than_is_kept_decoded() -> None:
    buffer = StateBuffer(MemoryState(), NodeMemory())
    trie = StateTrie(buffer, EMPTY_TRIE_ROOT)
    held = {keccak(number.to_bytes(4, "big")): b"%d" % number for number in range(NODES_MADE_MAX)}
    trie.persist(held)
    assert len(buffer.made) == NODES_MADE_MAX < len(buffer.written)
    assert all(trie.get(key) == value for key, value in held.items())


def test_a_memory_of_nodes_forgets_what_was_not_used_and_keeps_what_was() -> None:
    memory = NodeMemory(4)
    names = [bytes([number]) for number in range(4)]
    for name in names[:2]:
        memory.put(name, (name,) * 17)
    memory.put(names[2], (names[2],) * 17)
    assert memory.get(names[0]) == (names[0],) * 17
    memory.put(names[3], (names[3],) * 17)
    assert memory.get(names[0]) is not None
    assert memory.get(names[1]) is None


addresses = st.sampled_from([Address(bytes([number]) * 20) for number in range(1, 5)])
slots = st.sampled_from([0, 1, 2**255])
amounts = st.sampled_from([0, 0, 1, 127, 128, 2**256 - 1])
acts = st.one_of(
    st.tuples(st.just("set_balance"), addresses, amounts),
    st.tuples(st.just("set_nonce"), addresses, st.integers(0, 2)),
    st.tuples(st.just("increment_nonce"), addresses),
    st.tuples(st.just("set_code"), addresses, st.sampled_from([b"", b"\x60\x00", b"\xfe" * 40])),
    st.tuples(st.just("delete_code"), addresses),
    st.tuples(st.just("set_storage"), addresses, slots, amounts),
    st.tuples(st.just("set_storage"), addresses, slots, amounts),
    st.tuples(st.just("touch_account"), addresses),
    st.tuples(st.just("mark_address_warm"), addresses),
    st.tuples(st.just("mark_storage_warm"), addresses, slots),
)
Calls = list[Any]
calls: st.SearchStrategy[Calls] = st.recursive(
    st.lists(acts, max_size=4),
    lambda inner: st.lists(st.one_of(acts, st.tuples(st.booleans(), inner)), max_size=5),
    max_leaves=12,
)
transactions = st.tuples(calls, st.lists(addresses, max_size=1))
blocks = st.lists(st.lists(transactions, max_size=3), max_size=3)


def views(accounts: Any) -> list[object]:
    """All that can be asked of the accounts of these tests."""
    said: list[object] = []
    for number in range(1, 5):
        address = Address(bytes([number]) * 20)
        said += [
            accounts.get_balance(address),
            accounts.get_nonce(address),
            accounts.get_code_hash(address),
            accounts.get_code(address),
            accounts.account_exists(address),
            accounts.account_is_empty(address),
            accounts.account_has_code_or_nonce(address),
            accounts.is_address_warm(address),
        ]
        for slot in (0, 1, 2**255):
            said += [
                accounts.get_storage(address, slot),
                accounts.get_storage(address, slot, from_journal=False),
                accounts.is_storage_warm(address, slot),
            ]
    return said


def run(accounts: Any, calls: Calls, said: list[object]) -> None:
    """One call and those within it: each is kept or taken back as a whole."""
    for act in calls:
        if isinstance(act[0], str):
            getattr(accounts, act[0])(*act[1:])
            continue
        is_kept, inner = act
        checkpoint = accounts.record()
        run(accounts, inner, said)
        if is_kept:
            accounts.commit(checkpoint)
        else:
            accounts.discard(checkpoint)
        said.append(views(accounts))


def run_blocks(accounts: Any, blocks: list[list[tuple[Calls, list[Address]]]]) -> list[object]:
    """All that was seen while the blocks ran, roots included; as py-evm does, accounts go at a transaction's end."""
    said: list[object] = []
    for block in blocks:
        for calls, deleted in block:
            accounts.lock_changes()
            outermost = accounts.record()
            run(accounts, calls, said)
            accounts.commit(outermost)
            for address in deleted:
                if accounts.account_exists(address):
                    accounts.delete_account(address)
            accounts.lock_changes()
            said.append(views(accounts))
        accounts.persist()
        said += [accounts.state_root, views(accounts)]
    return said


@settings(max_examples=400)
@given(blocks=blocks)
def test_accounts_read_alike_and_come_to_the_same_roots_as_py_evms(
    blocks: list[list[tuple[Calls, list[Address]]]],
) -> None:
    buffer = StateBuffer(MemoryState(), NodeMemory())
    ours = Accounts(cast(AtomicDatabaseAPI, buffer))
    theirs = AccountDB(AtomicDB(MemoryDB()))
    assert run_blocks(ours, blocks) == run_blocks(theirs, blocks)


@settings(max_examples=100)
@given(blocks=blocks)
def test_a_state_opened_anew_after_each_block_comes_to_the_same_roots(
    blocks: list[list[tuple[Calls, list[Address]]]],
) -> None:
    store, memory, root = MemoryState(), NodeMemory(8), EMPTY_TRIE_ROOT
    at_once = Accounts(cast(AtomicDatabaseAPI, StateBuffer(MemoryState(), NodeMemory())))
    for block in blocks:
        buffer = StateBuffer(store, memory)
        accounts = Accounts(cast(AtomicDatabaseAPI, buffer), root)
        said = run_blocks(accounts, [block])
        assert said == run_blocks(at_once, [block])
        root = accounts.state_root
        store.write(buffer.written)


transient_acts = st.one_of(
    st.tuples(st.just("set_transient_storage"), addresses, slots, st.sampled_from([b"", b"\x05"])),
    st.tuples(st.just("set_transient_storage"), addresses, slots, st.just(b"\x01" * 32)),
)
transient_calls: st.SearchStrategy[Calls] = st.recursive(
    st.lists(transient_acts, max_size=4),
    lambda inner: st.lists(st.one_of(transient_acts, st.tuples(st.booleans(), inner)), max_size=5),
    max_leaves=12,
)


def run_transient(state: WorldState, calls: Calls, said: list[object]) -> None:
    for act in calls:
        if isinstance(act[0], str):
            getattr(state, act[0])(*act[1:])
            continue
        is_kept, inner = act
        snapshot = state.snapshot()
        run_transient(state, inner, said)
        if is_kept:
            state.commit(snapshot)
        else:
            state.revert(snapshot)
        for number in range(1, 5):
            address = Address(bytes([number]) * 20)
            said += [state.get_transient_storage(address, slot) for slot in (0, 1, 2**255)]


class TheirTransientState(WorldState):
    """A state with py-evm's own transient storage, whose checkpoints begin far above ours."""

    _transient_storage_class = TheirTransientStorage  # type: ignore[assignment]


@settings(max_examples=200)
@given(transactions=st.lists(transient_calls, max_size=3))
def test_transient_storage_reads_as_py_evms(transactions: list[Calls]) -> None:
    said: list[list[object]] = []
    for kind in (WorldState, TheirTransientState):
        seen: list[object] = []
        state = open_state(kind, StateBuffer(MemoryState(), NodeMemory()), EMPTY_TRIE_ROOT)
        while get_next_checkpoint() < 1_000:
            pass
        for calls in transactions:
            state.lock_changes()
            run_transient(state, calls, seen)
            state.clear_transient_storage()
        said.append(seen)
    assert said[0] == said[1]


# TSTORE 1 to slot 0; whoever is called by itself reverts, and anybody else calls itself.
NESTED = bytes.fromhex("60015f5d3330146014575f5f5f5f5f305af150005b5f5ffd")


def test_what_runs_takes_no_number_from_a_count_that_outlives_it() -> None:
    """Two counts that two parts of a state take their checkpoints from may meet: a call fails, on one node alone."""
    contract = Address(b"\x0c" * 20)
    engine = PyEvmEngine(MemoryState())
    loaded = engine.load_genesis({contract: GenesisAccount(nonce=1, code=NESTED)})
    engine.commit(loaded.handle)
    raw = Draft(to=contract, gas_limit=500_000).signed_by(ALICE)
    before = get_next_checkpoint()
    first = engine.execute(block_env(), loaded.state_root, [raw])
    again = engine.execute(block_env(), loaded.state_root, [raw])
    assert get_next_checkpoint() == before + 1
    assert first.included == again.included
    assert first.included[0].receipt.succeeded
    assert first.state_root == again.state_root
    fresh = [
        open_state(WorldState, StateBuffer(MemoryState(), NodeMemory()), EMPTY_TRIE_ROOT)
        for _ in range(2)
    ]
    assert fresh[0].snapshot() == fresh[1].snapshot()
