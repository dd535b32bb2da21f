"""The access list under which a call costs what it costs with that list, found by dry runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from node.engine.dry_run import AccountOverride, Call, CallOutcome
from node.engine.seam import BlockEnv, Engine
from node.primitives import Address, Hash32
from node.transaction import AccessListEntry

ACCESS_LIST_RUNS_MAX: Final = 16
"""Dry runs in search of a list that stays the same; what a call touches may depend on the gas it has left."""


@dataclass(frozen=True, slots=True)
class AccessList:
    """A call's access list, and what the call gives with it."""

    entries: tuple[AccessListEntry, ...]
    outcome: CallOutcome


def create_access_list(
    engine: Engine,
    env: BlockEnv,
    root: Hash32,
    call: Call,
    overrides: Mapping[Address, AccountOverride],
    watch: Callable[[], None],
) -> AccessList:
    """Return the list that a run with it does not change; raises as `Engine.accesses`.

    What one run touched is the list of the next, so nothing found is lost and the search ends. A call that fails
    has a list too: what it touched until then.
    """
    entries = call.access_list
    for _ in range(ACCESS_LIST_RUNS_MAX):
        accesses = engine.accesses(env, root, replace(call, access_list=entries), overrides, watch)
        if accesses.access_list == entries:
            break
        entries = accesses.access_list
    return AccessList(entries, accesses.outcome)
