"""The outbox: effects that leave the process, recorded with their cause and done by the worker.

    waiting --claim--> claimed --done--> done
       ^                  |-----abandon--> dead (kept, for people to look at)
       |------retry-------'                (operators make a dead one waiting again, or write one off as done)

A claim is a lease: when the worker that holds it dies, another takes the effect once the lease is
over. An effect may therefore be done more than once and its handler must not mind; whatever a
worker says of a claim it has lost is ignored. Due effects are claimed in the order they fell due.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from functools import cache
from typing import Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    bindparam,
    func,
    or_,
    select,
    update,
)

from bridge.errors import EffectNotDead, EffectNotStuck, RecordConflict
from bridge.store import tables
from bridge.store.claims import Claim, Leaving, claiming
from bridge.store.prepared import Prepared, one_of, unless_known

Payload: TypeAlias = Mapping[str, str | int | bool | None]
"""What an effect carries: plain values by name, kept as JSON."""


@unique
class EffectState(Enum):
    """Where an effect stands; see the module docstring."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NewEffect:
    """An effect to be recorded. `key` names it for ever; `due_at` is a UTC second."""

    kind: str
    key: str
    payload: Payload
    due_at: int
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class EffectRow:
    """A claimed effect; `attempts` counts the claims, this one included."""

    effect_id: int
    kind: str
    key: str
    payload: Payload
    payment_id: str | None
    attempts: int

    @property
    def claim(self) -> Claim:
        """What stands for the claim on it."""
        return self.effect_id, self.attempts


@dataclass(frozen=True, slots=True)
class Lane:
    """What a worker leaves to others, so that waiting for one does not hold up all.

    `leaves` are kinds it never takes.
    """

    leaves: frozenset[str] = frozenset()


EVERYTHING: Final = Lane()
"""The lane of a worker that takes whatever is due."""


@dataclass(frozen=True, slots=True)
class DeadEffect:
    """An effect that was given up, why, and when it was to be tried."""

    effect: EffectRow
    error: str
    effect_due_at: int


@dataclass(frozen=True, slots=True)
class RetriedEffect:
    """An effect that is tried again and again, and since when."""

    effect: EffectRow
    since: int


class Effects:
    """Effects by key and by the time they fall due."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.has_added = False

    def add(self, effect: NewEffect) -> None:
        """Record an effect; nothing happens when the same one is recorded already.

        Raises `RecordConflict` when the key stands for another effect.
        """
        row = {
            "kind": effect.kind,
            "key": effect.key,
            "payload": _ENCODE(dict(effect.payload)),
            "payment_id": effect.payment_id,
            "state": EffectState.WAITING.value,
            "due_at": effect.due_at,
            "attempts": 0,
        }

        def note() -> None:
            self.has_added = True

        def compare() -> None:
            kept = tables.effects.c
            query = select(kept.kind, kept.payload, kept.payment_id).where(kept.key == effect.key)
            found = tuple(self._connection.execute(query).one())
            if found != (row["kind"], row["payload"], row["payment_id"]):
                raise RecordConflict("effect", effect.key)

        _ADD_UNLESS_KNOWN.add_unless_known(self._connection, row, known=compare, added=note)

    def has(self, key: str) -> bool:
        """Whether an effect was ever recorded under this key."""
        query = select(tables.effects.c.effect_id).where(tables.effects.c.key == key)
        return self._connection.execute(query).first() is not None

    def claim(
        self, *, now: int, owner: str, limit: int, lease_seconds: int, lane: Lane = EVERYTHING
    ) -> tuple[EffectRow, ...]:
        """Take up to `limit` due effects, and those whose lease has run out, for `lease_seconds`."""
        given = {"now": now, "most": limit, "claimant": owner, "lease_ends_at": now + lease_seconds}
        rows = _claim(lane).rows(self._connection, given)
        return tuple(sorted((_effect(*row) for row in rows), key=lambda effect: effect.effect_id))

    def done(self, effect: EffectRow) -> bool:
        """Record that a claimed effect has happened; False when the claim was lost."""
        return _END.leave(self._connection, effect.claim, EffectState.DONE, None)

    def retry(self, effect: EffectRow, due_at: int, error: str) -> bool:
        """Give a claimed effect back until `due_at`; False when the claim was lost."""
        return _RETRY.leave(
            self._connection, effect.claim, EffectState.WAITING, error, retried_at=due_at
        )

    def abandon(self, effect: EffectRow, error: str) -> bool:
        """Give a claimed effect up for good; False when the claim was lost."""
        return _END.leave(self._connection, effect.claim, EffectState.DEAD, error)

    def release_all(self, now: int) -> int:
        """Make every claimed effect due again and return how many; for the start of the process."""
        kept = tables.effects.c
        released = (
            update(tables.effects)
            .where(kept.state == EffectState.CLAIMED.value)
            .values(state=EffectState.WAITING.value, owner=None, due_at=now)
        )
        return self._connection.execute(released).rowcount

    def next_due(self, lane: Lane = EVERYTHING) -> int | None:
        """When the next effect of a lane falls due or its next lease runs out, if there is any."""
        found: int | None = _next_due(lane).rows(self._connection, {})[0][0]
        return found

    def newest(self) -> int | None:
        """The id of the effect that was added last."""
        found: int | None = _NEWEST.rows(self._connection, {})[0][0]
        return found

    def dead(self, limit: int) -> tuple[DeadEffect, ...]:
        """The newest effects that were given up."""
        kept = tables.effects.c
        query = (
            select(*_COLUMNS, kept.error, kept.due_at)
            .where(kept.state == EffectState.DEAD.value)
            .order_by(kept.effect_id.desc())
            .limit(limit)
        )
        return tuple(
            DeadEffect(_effect(*row[:-2]), row.error, row.due_at)
            for row in self._connection.execute(query)
        )

    def retried_since(self, at: int, limit: int) -> tuple[RetriedEffect, ...]:
        """Unfinished effects that were first tried in vain before `at`, the oldest first."""
        kept = tables.effects.c
        query = (
            select(*_COLUMNS, kept.retried_since)
            .where(kept.state.in_(_UNFINISHED), kept.retried_since < at)
            .order_by(kept.retried_since)
            .limit(limit)
        )
        return tuple(
            RetriedEffect(_effect(*row[:-1]), row.retried_since)
            for row in self._connection.execute(query)
        )

    def hurry(self, key: str, now: int) -> bool:
        """Make an effect due now, once more even if it was done; False when it is in hand, or unknown."""
        kept = tables.effects.c
        in_hand = EffectState.CLAIMED.value
        hurried = update(tables.effects).where(kept.key == key, kept.state != in_hand)
        values = {"state": EffectState.WAITING.value, "due_at": now, "retried_since": None}
        is_hurried = self._connection.execute(hurried.values(**values)).rowcount == 1
        self.has_added |= is_hurried
        return is_hurried

    def write_off(self, key: str, why: str) -> None:
        """End an effect that was given up or is tried in vain; raises `EffectNotStuck`."""
        kept = tables.effects.c
        ended = (
            update(tables.effects)
            .where(kept.key == key, _IS_STUCK)
            .values(state=EffectState.DONE.value, error=why)
        )
        if self._connection.execute(ended).rowcount != 1:
            raise EffectNotStuck(key)

    def is_stuck(self, key: str) -> bool:
        """Whether an effect was given up, or waits to be tried once more."""
        kept = tables.effects.c
        query = select(kept.effect_id).where(kept.key == key, _IS_STUCK)
        return self._connection.execute(query).first() is not None

    def revive(self, key: str, now: int) -> None:
        """Make an effect that was given up due again; raises `EffectNotDead`."""
        kept = tables.effects.c
        revived = (
            update(tables.effects)
            .where(kept.key == key, kept.state == EffectState.DEAD.value)
            .values(state=EffectState.WAITING.value, due_at=now, retried_since=None)
        )
        if self._connection.execute(revived).rowcount != 1:
            raise EffectNotDead(key)
        self.has_added = True

    def is_dead(self, key: str) -> bool:
        """Whether an effect was given up."""
        kept = tables.effects.c
        query = select(kept.effect_id).where(kept.key == key, kept.state == EffectState.DEAD.value)
        return self._connection.execute(query).first() is not None

    def unfinished_by_kind(self) -> dict[str, int]:
        """How many effects are still to be done, by kind."""
        return self._count_by_kind(_UNFINISHED)

    def dead_by_kind(self) -> dict[str, int]:
        """How many effects were given up, by kind."""
        return self._count_by_kind((EffectState.DEAD.value,))

    def _count_by_kind(self, states: tuple[str, ...]) -> dict[str, int]:
        kept = tables.effects.c
        query = select(kept.kind, func.count()).where(kept.state.in_(states))
        rows = self._connection.execute(query.group_by(kept.kind))
        return {row.kind: row[1] for row in rows}

    def count(self, state: EffectState) -> int:
        """How many effects are in a state."""
        query = select(func.count()).where(tables.effects.c.state == state.value)
        return self._connection.execute(query).scalar_one()


_IS_STUCK = or_(
    tables.effects.c.state == EffectState.DEAD.value,
    (tables.effects.c.state == EffectState.WAITING.value)
    & tables.effects.c.retried_since.is_not(None),
)
"""Given up, or tried in vain and waiting to be tried once more."""

_UNFINISHED = (EffectState.WAITING.value, EffectState.CLAIMED.value)

_ENCODE = json.JSONEncoder(sort_keys=True).encode

_KEPT = tables.effects.c

_COLUMNS = (
    _KEPT.effect_id,
    _KEPT.kind,
    _KEPT.key,
    _KEPT.payload,
    _KEPT.payment_id,
    _KEPT.attempts,
)

_ADD_UNLESS_KNOWN = unless_known(tables.effects, "key", empty=("owner", "error", "retried_since"))

_NEWEST = Prepared(select(func.max(_KEPT.effect_id)))

_END = Leaving(tables.effects, _KEPT.effect_id, EffectState.CLAIMED)

_RETRY = Leaving(
    tables.effects,
    _KEPT.effect_id,
    EffectState.CLAIMED,
    due_at=bindparam("retried_at"),
    retried_since=func.coalesce(_KEPT.retried_since, bindparam("retried_at")),
)


def _unfinished(lane: Lane) -> ColumnElement[bool]:
    """That an effect of the lane is still to be done."""
    is_unfinished = one_of(_KEPT.state, _UNFINISHED)
    return is_unfinished & ~one_of(_KEPT.kind, lane.leaves) if lane.leaves else is_unfinished


@cache
def _next_due(lane: Lane) -> Prepared:
    return Prepared(select(func.min(_KEPT.due_at)).where(_unfinished(lane)))


@cache
def _claim(lane: Lane) -> Prepared:
    due = (
        select(_KEPT.effect_id)
        .where(_unfinished(lane), _KEPT.due_at <= bindparam("now"))
        .order_by(_KEPT.due_at, _KEPT.effect_id)
        .limit(bindparam("most", type_=Integer()))
    )
    chosen = _KEPT.effect_id.in_(due.scalar_subquery())
    claimed = claiming(tables.effects, chosen, EffectState.CLAIMED)
    return Prepared(claimed.returning(*_COLUMNS))


def _effect(
    effect_id: int, kind: str, key: str, payload: str, payment_id: str | None, attempts: int
) -> EffectRow:
    return EffectRow(effect_id, kind, key, json.loads(payload), payment_id, attempts)
