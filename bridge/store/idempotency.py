"""Answers already given, so that a repeated request gets the same one and moves nothing again.

The answer is written in the unit of work of its effect and never expires.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from bridge.errors import RecordConflict
from bridge.store import tables
from bridge.store.prepared import Prepared, unless_known


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a client was answered under a key.

    `fingerprint` is a digest of the request, so that another request under the same key is told
    apart; `status` and `body` are the answer.
    """

    fingerprint: bytes
    status: int
    body: str


class Idempotency:
    """Answers by client and key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, client: str, key: str) -> Remembered | None:
        """What this client was answered under this key, if anything."""
        rows = _FIND.rows(self._connection, {"client": client, "key": key})
        return Remembered(*rows[0]) if rows else None

    def remember(self, client: str, key: str, answer: Remembered) -> None:
        """Keep an answer; raises `RecordConflict` when the key has one already."""
        row = {
            "client": client,
            "key": key,
            "fingerprint": answer.fingerprint,
            "status": answer.status,
            "body": answer.body,
        }

        def refuse() -> None:
            raise RecordConflict("idempotency key", key)

        _ADD_UNLESS_KNOWN.add_unless_known(self._connection, row, refuse)


_KEPT = tables.idempotency.c

_FIND = Prepared(
    select(_KEPT.fingerprint, _KEPT.status, _KEPT.body).where(
        _KEPT.client == bindparam("client"), _KEPT.key == bindparam("key")
    )
)

_ADD_UNLESS_KNOWN = unless_known(tables.idempotency, "client", "key")
