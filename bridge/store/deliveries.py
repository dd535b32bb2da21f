"""Messages to other institutions, in order per payment, until each is taken, refused or given up.

    waiting --claim--> claimed --taken------> taken
       ^                  |-----refused----> refused   (the peer will never take it)
       |                  |-----needless---> needless  (its payment ended before it was sent)
       |                  |-----given up---> dead      (no retry helps, or nobody answered for days)
       |-------retry------'
       '--replay-- from any of the four ends

A message stands in a stream: those of one payment to one institution. Of a stream only the first that
is not at its end can be claimed, so the next is never sent before it; streams do not wait for each
other. Of one institution one message is in hand at a time: one that does not answer holds up one
sender. A claim is a lease, as in the outbox of effects, and `attempts` is what stands for it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import Any, Final

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    func,
    literal,
    select,
    update,
)

from bridge.errors import RecordConflict
from bridge.store import tables
from bridge.store.claims import Claim, Leaving, claiming
from bridge.store.page import Page, read_page
from bridge.store.prepared import Prepared, PreparedInsert, one_of
from bridge.store.vault import Vault, message_scope


@unique
class DeliveryState(Enum):
    """Where a delivery stands; see the module docstring."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    TAKEN = "taken"
    REFUSED = "refused"
    NEEDLESS = "needless"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message to be delivered, under an id that names it for ever; times are UTC seconds.

    `stream` orders it among those to the same institution; `persists_until` is how long it is tried.
    """

    message_id: str
    peer_lei: str
    stream: str
    kind: str
    body: Mapping[str, str]
    created_at: int
    persists_until: int
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way.

    `position` counts from 1 in its stream; `attempts` counts all claims, `failures` those that failed
    since it was last recorded or replayed.
    """

    sequence: int
    message_id: str
    peer_lei: str
    stream: str
    position: int
    kind: str
    payment_id: str | None
    state: DeliveryState
    created_at: int
    due_at: int
    persists_until: int
    attempts: int
    failures: int
    error: str | None

    @property
    def claim(self) -> Claim:
        """What stands for the claim on it, once it is claimed."""
        return self.sequence, self.attempts


_UNFINISHED: Final = (DeliveryState.WAITING.value, DeliveryState.CLAIMED.value)


class Deliveries:
    """Deliveries by message id, by institution and by the time they fall due."""

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault
        self.has_added = False

    def add(self, delivery: NewDelivery) -> None:
        """Record a delivery at the end of its stream; the same one again changes nothing.

        Raises `RecordConflict` when its message id stands for another message.
        """
        found = self.find(delivery.message_id)
        if found is not None:
            kept = (found.peer_lei, found.kind, found.payment_id, self.body(found))
            if kept != (delivery.peer_lei, delivery.kind, delivery.payment_id, dict(delivery.body)):
                raise RecordConflict("delivery", delivery.message_id)
            return
        body = json.dumps(dict(delivery.body), sort_keys=True).encode()
        scope = message_scope(delivery.payment_id, delivery.message_id)
        row = {
            "message_id": delivery.message_id,
            "peer_lei": delivery.peer_lei,
            "stream": delivery.stream,
            "position": self._last_position(delivery.peer_lei, delivery.stream) + 1,
            "kind": delivery.kind,
            "payment_id": delivery.payment_id,
            "body": self._vault.seal(scope, delivery.message_id, body),
            "state": DeliveryState.WAITING.value,
            "created_at": delivery.created_at,
            "due_at": delivery.created_at,
            "persists_until": delivery.persists_until,
            "attempts": 0,
            "failures": 0,
            "owner": None,
            "error": None,
        }
        _ADD.add(self._connection, (row,))
        self.has_added = True

    def find(self, message_id: str) -> Delivery | None:
        """The delivery of the message with this id, if there is one."""
        rows = _BY_MESSAGE_ID.rows(self._connection, {"message_id": message_id})
        return _delivery(*rows[0]) if rows else None

    def body(self, delivery: Delivery) -> dict[str, str]:
        """What the message says; raises `MessageShredded`."""
        sealed: bytes = _BODY.rows(self._connection, {"sequence": delivery.sequence})[0][0]
        scope = message_scope(delivery.payment_id, delivery.message_id)
        body: dict[str, str] = json.loads(self._vault.open(scope, delivery.message_id, sealed))
        return body

    def has_unfinished(self, payment_id: str) -> bool:
        """Whether something of a payment is still on its way."""
        kept = tables.deliveries.c
        query = select(kept.sequence).where(
            kept.payment_id == payment_id, kept.state.in_(_UNFINISHED)
        )
        return self._connection.execute(query).first() is not None

    def claim(self, *, now: int, owner: str, lease_seconds: int) -> Delivery | None:
        """Take the delivery that is due first, or whose lease has run out, for `lease_seconds`."""
        chosen = self.first_due(now)
        if chosen is None:
            return None
        given = {
            "chosen": chosen,
            "claimant": owner,
            "now": now,
            "lease_ends_at": now + lease_seconds,
        }
        rows = _CLAIM.rows(self._connection, given)
        return _delivery(*rows[0]) if rows else None

    def first_due(self, now: int) -> int | None:
        """The sequence of the delivery that `claim` would take."""
        rows = _FIRST_DUE.rows(self._connection, {"now": now})
        return rows[0][0] if rows else None

    def finish(self, claimed: Delivery, state: DeliveryState, error: str | None = None) -> bool:
        """Record how a claimed delivery ended; False when the claim was lost."""
        return _END.leave(self._connection, claimed.claim, state, error)

    def retry(self, claimed: Delivery, due_at: int, error: str) -> bool:
        """Give a claimed delivery back until `due_at`; False when the claim was lost."""
        more = {"retried_at": due_at, "failed": claimed.failures + 1}
        return _RETRY.leave(self._connection, claimed.claim, DeliveryState.WAITING, error, **more)

    def hasten(self, peer_lei: str, now: int) -> None:
        """Make everything that waits for an institution due: it answers again."""
        kept = tables.deliveries.c
        change = update(tables.deliveries).where(
            kept.peer_lei == peer_lei,
            kept.state == DeliveryState.WAITING.value,
            kept.due_at > now,
        )
        self._connection.execute(change.values(due_at=now))

    def replay(self, sequences: Sequence[int], *, now: int, persists_until: int) -> int:
        """Have deliveries made again, wherever they stand; how many. One in hand is left alone."""
        kept = tables.deliveries.c
        change = update(tables.deliveries).where(
            kept.sequence.in_(sequences), kept.state != DeliveryState.CLAIMED.value
        )
        replayed = change.values(
            state=DeliveryState.WAITING.value,
            due_at=now,
            persists_until=persists_until,
            failures=0,
            error=None,
        )
        count = self._connection.execute(replayed).rowcount
        self.has_added = self.has_added or count > 0
        return count

    def ended(self, peer_lei: str, *, since: int, after: int, limit: int) -> tuple[Delivery, ...]:
        """What an institution took, or was given up, and was last tried from `since` on.

        Beyond the sequence `after`, the oldest first. What it refused or what became needless is left out.
        """
        kept = tables.deliveries.c
        query = (
            select(*_COLUMNS)
            .where(
                kept.peer_lei == peer_lei,
                kept.due_at >= since,  # of what has ended: the end of its last lease
                kept.sequence > after,
                kept.state.in_([DeliveryState.TAKEN.value, DeliveryState.DEAD.value]),
            )
            .order_by(kept.sequence)
            .limit(limit)
        )
        return tuple(_delivery(*row) for row in self._connection.execute(query))

    def sequences_of(self, peer_lei: str, message_ids: Sequence[str]) -> tuple[int, ...]:
        """The sequences of messages to an institution; what is no message to it is left out."""
        kept = tables.deliveries.c
        query = select(kept.sequence).where(
            kept.peer_lei == peer_lei, kept.message_id.in_(message_ids)
        )
        return tuple(self._connection.execute(query.order_by(kept.sequence)).scalars())

    def release_all(self, now: int) -> int:
        """Make every claimed delivery due again and return how many; for the start of the process."""
        released = (
            update(tables.deliveries)
            .where(tables.deliveries.c.state == DeliveryState.CLAIMED.value)
            .values(state=DeliveryState.WAITING.value, owner=None, due_at=now)
        )
        return self._connection.execute(released).rowcount

    def page(
        self, state: DeliveryState | None = None, *, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        """Deliveries, newest first; those in one state where it is given. Raises `CursorInvalid`."""
        query = select(*_COLUMNS)
        if state is not None:
            query = query.where(tables.deliveries.c.state == state.value)
        return read_page(
            self._connection,
            query,
            tables.deliveries.c.sequence,
            lambda row: _delivery(*row),
            limit=limit,
            cursor=cursor,
        )

    def count(self, state: DeliveryState) -> int:
        """How many deliveries are in a state."""
        query = select(func.count()).where(tables.deliveries.c.state == state.value)
        return self._connection.execute(query).scalar_one()

    def _last_position(self, peer_lei: str, stream: str) -> int:
        rows = _LAST_POSITION.rows(self._connection, {"peer_lei": peer_lei, "stream": stream})
        return rows[0][0] or 0


def _delivery(*row: Any) -> Delivery:  # `_COLUMNS`, which are its fields
    fields = (*row[:7], DeliveryState(row[7]), *row[8:])
    return Delivery(*fields)


def _first_due() -> Prepared:
    kept = tables.deliveries.c
    earlier, other = tables.deliveries.alias().c, tables.deliveries.alias().c
    is_behind = select(earlier.sequence).where(
        earlier.peer_lei == kept.peer_lei,
        earlier.stream == kept.stream,
        earlier.position < kept.position,
        one_of(earlier.state, _UNFINISHED),
    )
    is_peer_in_hand = select(other.sequence).where(
        other.peer_lei == kept.peer_lei,
        other.state == literal(DeliveryState.CLAIMED.value),
        other.due_at > bindparam("now"),
    )
    return Prepared(
        select(kept.sequence)
        .where(one_of(kept.state, _UNFINISHED), kept.due_at <= bindparam("now"))
        .where(~is_behind.correlate(tables.deliveries).exists())
        .where(~is_peer_in_hand.correlate(tables.deliveries).exists())
        .order_by(kept.due_at, kept.sequence)
        .limit(literal(1))
    )


_KEPT = tables.deliveries.c
_COLUMNS = tuple(column for column in _KEPT if column.name not in {"body", "owner"})

_ADD = PreparedInsert(tables.deliveries)
_BY_MESSAGE_ID = Prepared(select(*_COLUMNS).where(_KEPT.message_id == bindparam("message_id")))
_BODY = Prepared(select(_KEPT.body).where(_KEPT.sequence == bindparam("sequence")))
_LAST_POSITION = Prepared(
    select(func.max(_KEPT.position)).where(
        _KEPT.peer_lei == bindparam("peer_lei"), _KEPT.stream == bindparam("stream")
    )
)
_FIRST_DUE = _first_due()
_CLAIM = Prepared(
    claiming(
        tables.deliveries,
        and_(
            _KEPT.sequence == bindparam("chosen"),
            one_of(_KEPT.state, _UNFINISHED),
            _KEPT.due_at <= bindparam("now"),
        ),
        DeliveryState.CLAIMED,
    ).returning(*_COLUMNS)
)
_END = Leaving(tables.deliveries, _KEPT.sequence, DeliveryState.CLAIMED)
_RETRY = Leaving(
    tables.deliveries,
    _KEPT.sequence,
    DeliveryState.CLAIMED,
    due_at=bindparam("retried_at"),
    failures=bindparam("failed"),
)
