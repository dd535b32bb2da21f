"""The gas limit under which a call succeeds, found by dry runs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from node.engine.dry_run import AccountOverride, Call, CallOutcome, CallStatus
from node.engine.seam import BlockEnv, Engine
from node.primitives import Address, Hash32
from node.transaction import gas_limit_min

ESTIMATE_SLACK_DIVISOR: Final = 64
"""An estimate lies at most 1/64 above the smallest gas limit that suffices."""

_STIPEND: Final = 2_300


def estimate_gas(
    engine: Engine,
    env: BlockEnv,
    root: Hash32,
    call: Call,
    overrides: Mapping[Address, AccountOverride] | None = None,
    watch: Callable[[], None] | None = None,
) -> int | CallOutcome:
    """Return a sufficient gas limit, at most `call.gas_limit`; or why even that one fails.

    A call may need a higher limit than it uses: refunds come at the end, and a contract passes on
    63/64 of what is left (EIP-150). So what was used is tried first, then used plus what that
    withholds, and what remains between a failing and a sufficient limit is halved. `watch` watches
    every dry run.
    """

    def suffices(gas_limit: int) -> bool:
        trial = engine.call(env, root, replace(call, gas_limit=gas_limit), overrides, watch)
        return trial.status is CallStatus.SUCCEEDED

    outcome = engine.call(env, root, call, overrides, watch)
    if outcome.status is not CallStatus.SUCCEEDED:
        return outcome
    floor = gas_limit_min(call.data, creates=call.to is None, access_list=call.access_list)
    least = max(floor, outcome.gas_used)
    if least >= call.gas_limit or suffices(least):
        return min(least, call.gas_limit)
    failing, sufficient = least, call.gas_limit
    likely = (outcome.gas_used + outcome.gas_refunded + _STIPEND) * 64 // 63
    if failing < likely < sufficient:
        failing, sufficient = (failing, likely) if suffices(likely) else (likely, sufficient)
    while sufficient - failing > max(1, sufficient // ESTIMATE_SLACK_DIVISOR):
        middle = (failing + sufficient) // 2
        failing, sufficient = (failing, middle) if suffices(middle) else (middle, sufficient)
    return sufficient
