"""Leases: what one process at a time may do, for as long as it says that it lives.

    taken (epoch n) --renew--> ... --expires, or is released--> taken by another (epoch n + 1)

An epoch is given once. Whoever acts under a lease checks its epoch in the same unit of work as the act:
a process that stood still and was replaced finds that out before it writes anything, whatever its
clock says. Clocks only decide how soon another may take over.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from bridge.errors import LeaseLost
from bridge.store import tables
from bridge.store.prepared import Prepared

_EPOCH = Prepared(select(tables.leases.c.epoch).where(tables.leases.c.name == bindparam("name")))


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it was given. `epoch` grows with every taking."""

    name: str
    owner: str
    epoch: int


class Leases:
    """The newest lease of each name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(
        self, name: str, owner: str, *, now: int, seconds: int, instead_of: Lease | None = None
    ) -> Lease | None:
        """The lease from `now` on, unless somebody holds it.

        `instead_of` is the lease of a holder known to be gone, whose end is not waited for.
        """
        kept = tables.leases.c
        row = self._connection.execute(select(tables.leases).where(kept.name == name)).one_or_none()
        if row is None:
            self._connection.execute(
                insert(tables.leases).values(
                    name=name, owner=owner, epoch=1, expires_at=now + seconds
                )
            )
            return Lease(name, owner, 1)
        is_gone = instead_of is not None and instead_of.epoch == row.epoch
        if row.expires_at > now and not is_gone:
            return None
        lease = Lease(name, owner, row.epoch + 1)
        self._connection.execute(
            update(tables.leases)
            .where(kept.name == name)
            .values(owner=owner, epoch=lease.epoch, expires_at=now + seconds)
        )
        return lease

    def renew(self, lease: Lease, *, now: int, seconds: int) -> None:
        """Hold the lease `seconds` from now; raises `LeaseLost` when another has taken it."""
        self._set_end(lease, now + seconds)

    def release(self, lease: Lease, *, now: int) -> None:
        """Let the next one take it at once; raises `LeaseLost` when one has."""
        self._set_end(lease, now)

    def check(self, lease: Lease) -> None:
        """Raise `LeaseLost` unless this is the newest lease of its name."""
        if _EPOCH.rows(self._connection, {"name": lease.name}) != [(lease.epoch,)]:
            raise LeaseLost(lease.name, lease.epoch)

    def holder(self, name: str, *, now: int) -> Lease | None:
        """The lease that is held at `now`, if one is."""
        kept = tables.leases.c
        row = self._connection.execute(
            select(tables.leases).where(kept.name == name, kept.expires_at > now)
        ).one_or_none()
        return None if row is None else Lease(row.name, row.owner, row.epoch)

    def _set_end(self, lease: Lease, expires_at: int) -> None:
        kept = tables.leases.c
        change = (
            update(tables.leases)
            .where(kept.name == lease.name, kept.epoch == lease.epoch)
            .values(expires_at=expires_at)
        )
        if self._connection.execute(change).rowcount != 1:
            raise LeaseLost(lease.name, lease.epoch)
