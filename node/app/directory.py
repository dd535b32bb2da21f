"""A data directory: claimed by one process, opened as the chain of its genesis."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from node import failpoint, genesis
from node.chain import Chain
from node.engine import PyEvmEngine
from node.errors import DirectoryBusy
from node.failpoint import Failpoint
from node.genesis import Genesis
from node.history import History
from node.permissions import Permissions
from node.store import ChainStore, StateStore, StateValues


@contextlib.contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """A claim on a data directory, which ends with this process however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DirectoryBusy(str(directory)) from error
        yield


@contextlib.contextmanager
def opened_stores(directory: Path) -> Iterator[tuple[StateStore, ChainStore]]:
    """The stores of a claimed directory, to write; made where there are none."""
    with contextlib.ExitStack() as stack:
        state_store = StateStore(directory / "state")
        stack.callback(state_store.close)
        chain_store = ChainStore(directory / "chain")
        stack.callback(chain_store.close)
        yield state_store, chain_store


def open_chain(made: Genesis, state_store: StateValues, chain_store: ChainStore) -> Chain:
    """The chain of a genesis over its stores, which begin with it where they are new."""
    engine = PyEvmEngine(state_store)
    failpoint.arm(os.environ, is_development=made.specification.development)
    if History(chain_store).genesis_hash() is None:
        engine.commit(genesis.load_state(made, engine).handle)
        failpoint.visit(Failpoint.GENESIS_STATE_WRITTEN)
    chain_store.initialise(made.header)
    return Chain(
        store=chain_store,
        engine=engine,
        specification=made.specification,
        permissions=Permissions(engine),
    )
