"""How a row of an outbox is claimed, and how the claim ends: only by whoever still has it.

A row that is claimed may be claimed by another once its lease is over, and `attempts` counts up with each
claim: with the row's key it is what a claim stands for.
"""

from enum import Enum
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    Update,
    bindparam,
    literal,
    null,
    update,
)

from bridge.store.prepared import Prepared

Claim: TypeAlias = tuple[int, int]
"""The key of a claimed row, and its attempts."""


def claiming(table: Table, chosen: ColumnElement[bool], claimed: Enum) -> Update:
    """The change that claims rows for `claimant` until `lease_ends_at`; `claimed` is their state from then on."""
    return (
        update(table)
        .where(chosen)
        .values(
            state=literal(claimed.value),
            owner=bindparam("claimant"),
            attempts=table.c.attempts + literal(1),
            due_at=bindparam("lease_ends_at"),
        )
    )


class Leaving:
    """The statement that ends a claim on a row of `table`, which `key` tells from the others.

    `claimed` is its state until then; `more` are columns that change beside `state`, `owner` and `error`.
    """

    def __init__(
        self, table: Table, key: Column[int], claimed: Enum, **more: ColumnElement[Any]
    ) -> None:
        kept = table.c
        change = update(table).where(
            key == bindparam("claimed_key"),
            kept.state == literal(claimed.value),
            kept.attempts == bindparam("claimed_attempts"),
        )
        values = {"state": bindparam("new_state"), "owner": null(), "error": bindparam("fault")}
        self._change = Prepared(change.values(**values, **more))

    def leave(
        self, connection: Connection, claim: Claim, state: Enum, fault: str | None, **more: int
    ) -> bool:
        """Give a row its next state; False when the claim on it was lost.

        `more` are the values of parameters in the columns that change beside the state.
        """
        key, attempts = claim
        given = {"claimed_key": key, "claimed_attempts": attempts, "new_state": state.value}
        return self._change.changed(connection, {**given, "fault": fault, **more}) == 1
