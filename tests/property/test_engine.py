"""The engine is total over arbitrary bytes and says the same thing every time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from node.engine import Executed, GenesisAccount, PyEvmEngine
from node.primitives import Address
from node.store import MemoryState
from support.transactions import ALICE, BOB, Draft, block_env

CONTRACT = Address(b"\x0c" * 20)

noise = st.binary(max_size=200)
drafts = st.builds(
    Draft,
    transaction_type=st.sampled_from([0, 1, 2, 3, 4]),
    chain_id=st.sampled_from([2_002_200, 2_002_200, 2_002_200, 1]),
    nonce=st.integers(0, 4),
    max_fee_per_gas=st.sampled_from([0, 0, 0, 1, 2**256 - 1]),
    gas_limit=st.sampled_from([0, 21_000, 60_000, 200_000, 2**63]),
    to=st.sampled_from([None, CONTRACT, bytes(19) + b"\x05", bytes(19) + b"\x0f"]),
    value=st.sampled_from([0, 0, 1, 2**255]),
    data=st.binary(max_size=120),
)
signed = st.tuples(drafts, st.sampled_from([ALICE, BOB])).map(
    lambda pair: pair[0].signed_by(pair[1])
)
cut = st.tuples(signed, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
blocks = st.lists(noise | signed | signed | cut, max_size=8)


def execute(code: bytes, raws: list[bytes]) -> Executed:
    engine = PyEvmEngine(MemoryState())
    loaded = engine.load_genesis(
        {
            ALICE.address: GenesisAccount(balance=10**18),
            CONTRACT: GenesisAccount(nonce=1, code=code),
        }
    )
    engine.commit(loaded.handle)
    return engine.execute(block_env(), loaded.state_root, raws)


@settings(max_examples=150)
@given(code=st.binary(max_size=60), raws=blocks)
def test_any_bytes_are_included_or_skipped_the_same_way_every_time(
    code: bytes, raws: list[bytes]
) -> None:
    first = execute(code, raws)
    positions = [item.position for item in first.included + first.skipped]
    assert sorted(positions) == list(range(len(raws)))
    second = execute(code, raws)
    assert (first.state_root, first.receipts_root, first.included) == (
        second.state_root,
        second.receipts_root,
        second.included,
    )
    assert [item.reason for item in first.skipped] == [item.reason for item in second.skipped]


@settings(max_examples=60)
@given(code=st.binary(max_size=60), raws=blocks)
def test_skipped_transactions_leave_no_trace(code: bytes, raws: list[bytes]) -> None:
    executed = execute(code, raws)
    clean = execute(code, [item.raw for item in executed.included])
    assert clean.skipped == ()
    assert clean.state_root == executed.state_root
    assert clean.receipts_root == executed.receipts_root
    assert clean.gas_used == executed.gas_used
