"""Old states left behind: those to keep are copied, and the copy takes the state store's place.

Every step may be the last of a process that dies. The copy is made beside the store and synced; then the
chain store records the first state that is kept; then one rename puts the copy's file in the place of the
old one. Up to the rename the old states are all there (and those before the recorded one answered as
pruned already); after it nothing is left to do. A copy that a killed process left is removed by the next run.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Final

from node import failpoint
from node.errors import StoreCorrupt
from node.failpoint import Failpoint
from node.store import ChainStore, StateCopy, StateStore, encode_number, sync_directory

COPY_NAME: Final = "state-pruned"
_FILE_NAME: Final = "data.mdb"
_LOCK_NAME: Final = "lock.mdb"


def prune_states(directory: Path, chain_store: ChainStore, *, keep: int) -> int:
    """Keeps the states of the newest `keep` blocks; gives the number of the first of them.

    The caller holds the directory's lock, and nobody has its state store open.
    """
    state, copy = directory / "state", directory / COPY_NAME
    with chain_store.read() as reader:
        head_number = reader.head_number()
        first_number = max(reader.first_state_number(), head_number - keep + 1)
    shutil.rmtree(copy, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, copy, ignore_errors=True)
        _copy_states(state, copy, chain_store, range(first_number, head_number + 1))
        failpoint.visit(Failpoint.PRUNE_COPIED)
        chain_store.mark_first_state(first_number)
        failpoint.visit(Failpoint.PRUNE_MARKED)
        # The lock file remembers transactions of the old file; the next who opens makes a new one.
        (state / _LOCK_NAME).unlink(missing_ok=True)
        (copy / _FILE_NAME).replace(state / _FILE_NAME)
        sync_directory(state)
        failpoint.visit(Failpoint.PRUNE_SWAPPED)
    return first_number


def _copy_states(state: Path, copy: Path, chain_store: ChainStore, numbers: range) -> None:
    """Makes a durable store with the states of some blocks and nothing else."""
    with (
        contextlib.closing(StateStore(state, readonly=True)) as source,
        contextlib.closing(StateStore(copy, is_throwaway=True)) as target,
    ):
        states = StateCopy(source=source, target=target)
        # The newest first: most of what the others need is there already.
        for number in reversed(numbers):
            with chain_store.read() as reader:
                header = reader.header(number)
            if header is None:
                raise StoreCorrupt("no header", encode_number(number))
            states.add(header.state_root)
        states.finish()
        target.sync()
