"""How a claim on a row of the outbox ends: only by whoever still has it.

A row that is claimed may be claimed by another once its lease is over, and `attempts` counts up with each
claim: it is what a claim stands for.
"""

from enum import Enum
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, literal, null, update

from bridge.store.prepared import Prepared


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
        self,
        connection: Connection,
        claim: tuple[int, int],
        state: str,
        fault: str | None,
        **more: int,
    ) -> bool:
        """Give a row its next state; False when the `claim` on it, its key and attempts, was lost.

        `more` are the values of parameters in the columns that change beside the state.
        """
        key, attempts = claim
        given = {"claimed_key": key, "claimed_attempts": attempts, "new_state": state}
        return self._change.changed(connection, {**given, "fault": fault, **more}) == 1
