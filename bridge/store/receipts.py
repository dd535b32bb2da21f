"""Which messages of other institutions were taken here, by sender and message id, for ever."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from bridge.errors import MessageIdReused
from bridge.store import tables


class Receipts:
    """Receipts by sender and message id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def has(self, sender_lei: str, message_id: str, digest: bytes) -> bool:
        """Whether this message was taken; raises `MessageIdReused` when its id was another's."""
        kept = tables.receipts.c
        query = select(kept.digest).where(
            kept.sender_lei == sender_lei, kept.message_id == message_id
        )
        found = self._connection.execute(query).scalar_one_or_none()
        if found is not None and found != digest:
            raise MessageIdReused(sender_lei, message_id)
        return found is not None

    def missing(self, sender_lei: str, message_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of a sender's messages that were not taken here, in their order."""
        kept = tables.receipts.c
        query = select(kept.message_id).where(
            kept.sender_lei == sender_lei, kept.message_id.in_(message_ids)
        )
        taken = set(self._connection.execute(query).scalars())
        return tuple(each for each in message_ids if each not in taken)

    def add(self, sender_lei: str, message_id: str, digest: bytes, *, received_at: int) -> bool:
        """Record that a message is taken; False when it was before. Raises as `has` does."""
        if self.has(sender_lei, message_id, digest):
            return False
        self._connection.execute(
            insert(tables.receipts).values(
                sender_lei=sender_lei,
                message_id=message_id,
                digest=digest,
                received_at=received_at,
            )
        )
        return True
