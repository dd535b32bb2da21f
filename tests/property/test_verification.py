"""Whatever bit of a stored block is changed, verification finds it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.archive import Verification
from node.errors import InvariantBroken
from node.store import BLOCK_TABLES, ChainStore, StateStore
from support.kept_chain import KeptChain, dump_table, make_chain, open_raw, put_raw, still_genesis

BLOCKS = 3
TABLES = [table for table in BLOCK_TABLES if table not in {"heights", "by_address", "by_topic"}]
"""Those whose entries have a value that execution comes to: heights are only in order or not."""


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> KeptChain:
    return make_chain(tmp_path_factory.mktemp("intact") / "data", still_genesis(), BLOCKS)


@settings(max_examples=20)
@given(st.data())
def test_a_flipped_bit_anywhere_in_a_block_is_found(intact: KeptChain, data: st.DataObject) -> None:
    """N-102."""
    table = data.draw(st.sampled_from(TABLES))
    with open_raw(intact.directory / "chain") as environment:
        entries = dump_table(environment, table)
    key, value = data.draw(st.sampled_from(entries))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made) / "data"
        shutil.copytree(intact.directory, directory)
        put_raw(directory / "chain", table, key, bytes(changed))
        with (
            closing(StateStore(directory / "state", readonly=True)) as state,
            closing(ChainStore(directory / "chain", readonly=True)) as chain,
        ):
            verification = Verification(
                genesis_text=intact.genesis_file.read_bytes(),
                state=state,
                chain=chain,
                scratch=Path(made),
            )
            with pytest.raises(InvariantBroken):
                list(verification.run())
