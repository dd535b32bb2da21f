"""`finalize_block` is total: whatever bytes were decided, each gets a code and the chain goes on.

Cites docs/spec/node.md: N-3, N-5, N-6.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.block import decode_header
from node.consensus.application import Application, encode_time_record
from node.engine import SkipReason
from node.store import MemoryState
from support.core import Core, MovableClock, open_core
from support.settlement_network import ALPHA, BETA, GENESIS_TIME, OPERATOR
from support.transactions import ALICE, Draft

CODES = {0, *SkipReason}
SIGNERS = [ALPHA.operating, BETA.operating, OPERATOR.operating, ALICE]

drafts = st.builds(
    Draft,
    transaction_type=st.sampled_from([0, 1, 2]),
    chain_id=st.sampled_from([2_002_200, 2_002_200, 2_002_200, 1, None]),
    nonce=st.integers(0, 3),
    max_priority_fee_per_gas=st.sampled_from([0, 0, 1]),
    max_fee_per_gas=st.sampled_from([0, 0, 1]),
    gas_limit=st.sampled_from([0, 20_000, 21_000, 100_000, 16_000_000, 2**63]),
    to=st.one_of(
        st.none(),
        st.binary(min_size=20, max_size=20),
        st.integers(0, 20).map(lambda number: number.to_bytes(20, "big")),
    ),
    value=st.sampled_from([0, 0, 1, 2**255]),
    data=st.binary(max_size=80),
).filter(lambda draft: draft.chain_id is not None or draft.transaction_type == 0)

transactions = st.builds(lambda draft, key: draft.signed_by(key), drafts, st.sampled_from(SIGNERS))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A signed transaction with one byte changed, cut off or added."""
    raw = bytearray(draw(transactions))
    position = draw(st.integers(0, len(raw) - 1))
    match draw(st.integers(0, 2)):
        case 0:
            raw[position] ^= draw(st.integers(1, 255))
        case 1:
            del raw[position:]
        case _:
            raw += draw(st.binary(min_size=1, max_size=4))
    return bytes(raw)


records = st.integers(0, 2**64 - 1).map(encode_time_record)
near_records = st.integers(GENESIS_TIME - 5, GENESIS_TIME + 50).map(encode_time_record)
entries = st.one_of(
    st.binary(max_size=60), transactions, transactions, damaged(), near_records, records
)


STATE = MemoryState()
"""What the core and every second node over it read."""

FAR_SECONDS = 10**7


def second_node(core: Core) -> Application:
    """Another node where the core stands: nothing remembered, its clock months away."""
    return core.another_node(STATE, MovableClock(GENESIS_TIME + FAR_SECONDS))


def remember_verdicts(core: Core, raws: list[bytes]) -> None:
    """Make the core ask about these at two other times, as admission and proposals do."""
    for seconds in (GENESIS_TIME + FAR_SECONDS // 2, GENESIS_TIME):
        core.clock.seconds = seconds
        for raw in raws:
            core.application.check_tx(raw)


@pytest.fixture(scope="module")
def network_core() -> Iterator[Core]:
    with TemporaryDirectory() as directory:
        core = open_core(Path(directory) / "chain", state=STATE)
        yield core
        core.store.close()


@settings(max_examples=120)
@given(decided=st.lists(entries, max_size=8))
def test_any_decided_bytes_get_a_code_each_and_the_same_block_again(
    network_core: Core, decided: list[bytes]
) -> None:
    height = network_core.chain.tip.height + 1
    remember_verdicts(network_core, decided)
    first = network_core.application.finalize_block(height, decided)
    assert network_core.application.finalize_block(height, decided) == first
    assert second_node(network_core).finalize_block(height, decided) == first
    assert len(first.results) == len(decided)
    assert {result.code for result in first.results} <= CODES


@settings(max_examples=40)
@given(decided=st.lists(entries, max_size=8))
def test_what_was_decided_is_committed_and_the_chain_goes_on(
    network_core: Core, decided: list[bytes]
) -> None:
    before = network_core.chain.tip.header
    height, entries = network_core.chain.tip.height + 1, [near(decided), *decided]
    finalized = network_core.application.finalize_block(height, entries)
    assert second_node(network_core).finalize_block(height, entries) == finalized
    network_core.application.commit()
    head = network_core.history.head()
    assert head.hash == finalized.app_hash
    assert head.timestamp >= before.timestamp
    assert decode_header(head.encode()) == head
    included = [
        raw for raw, result in zip(decided, finalized.results[1:], strict=True) if result.code == 0
    ]
    if included:
        block = network_core.history.block(before.number + 1)
        assert block is not None
        assert list(block.transactions) == included
    else:
        assert head == before


def near(decided: list[bytes]) -> bytes:
    """A time record that keeps block time close to genesis, whatever else was decided."""
    return encode_time_record(GENESIS_TIME + len(decided))
