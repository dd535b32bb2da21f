"""Where the time of a transfer goes: the stages of a block, one after the other, in this process.

The same code as the node's, without its processes: static check with recovery of the sender, the registry's verdict,
proposal, validation, execution, and the two commits. `finalize` holds `execute`, which holds `roots`; `commit` holds
`commit_state`.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmark.prepared import CHAIN_ID, Prepared, open_application
from node import genesis
from node.block import receipts_root, transactions_root
from node.consensus.application import BLOCK_BYTES_MAX
from node.engine import Executed, Handle, PyEvmEngine
from node.engine.seam import BlockEnv
from node.primitives import Hash32
from node.store import ChainStore, StateStore
from node.transaction import check_transaction

BLOCK_TRANSFERS: Final = 400

_T = TypeVar("_T")


class Stopwatch:
    """Processor time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, act: Callable[[], _T]) -> _T:
        """What the act gives; its processor time is added to the stage."""
        started_at = time.process_time()
        try:
            return act()
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0) + time.process_time() - started_at


class TimedEngine(PyEvmEngine):
    """The engine, its execution and commit timed."""

    def __init__(self, store: StateStore, stopwatch: Stopwatch) -> None:
        super().__init__(store)
        self._stopwatch = stopwatch

    def execute(
        self, env: BlockEnv, parent_root: Hash32, raw_transactions: Sequence[bytes]
    ) -> Executed:
        """As the engine's."""
        run = super().execute
        act = partial(run, env, parent_root, raw_transactions)
        executed = self._stopwatch.time("execute", act)
        # Once more, by themselves: execution holds them.
        raws = [included.raw for included in executed.included]
        receipts = [included.receipt for included in executed.included]
        self._stopwatch.time("roots", lambda: (transactions_root(raws), receipts_root(receipts)))
        return executed

    def commit(self, handle: Handle) -> None:
        """As the engine's."""
        commit = super().commit
        self._stopwatch.time("commit_state", partial(commit, handle))


def measure_stages(
    prepared: Prepared, data: Path, raws: Sequence[bytes]
) -> dict[str, Any]:  # a JSON object
    """Microseconds of processor time per transfer and stage."""
    stopwatch = Stopwatch()
    state, store = StateStore(data / "state"), ChainStore(data / "chain")
    loaded = genesis.parse(prepared.genesis_file.read_bytes())
    application = open_application(TimedEngine(state, stopwatch), store, loaded)
    rules, done = loaded.specification.rules_at(1), 0
    for at in range(0, len(raws), BLOCK_TRANSFERS):
        some = raws[at : at + BLOCK_TRANSFERS]
        check = partial(check_transaction, chain_id=CHAIN_ID, rules=rules)
        stopwatch.time("check_and_recover", partial(_each, check, some))
        stopwatch.time("admit_new_sender", partial(_each, application.check_tx, some))
        stopwatch.time("admit_known_sender", partial(_each, application.check_tx, some))
        propose = partial(application.prepare_proposal, some, BLOCK_BYTES_MAX)
        proposal = stopwatch.time("propose", propose)
        stopwatch.time("verify", partial(application.process_proposal, proposal))
        height = application.info().last_height + 1
        stopwatch.time("finalize", partial(application.finalize_block, height, proposal))
        stopwatch.time("commit", application.commit)
        done += len(proposal) - 1
    store.close()
    state.close()
    return {
        "transfers": done,
        "cpu_microseconds_per_transfer": {
            stage: round(seconds / done * 1e6, 1) for stage, seconds in stopwatch.seconds.items()
        },
    }


def _each(act: Callable[[bytes], object], raws: Sequence[bytes]) -> None:
    for raw in raws:
        act(raw)
