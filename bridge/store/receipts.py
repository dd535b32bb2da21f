"""Which messages of other institutions were taken here, by sender and message id, for ever."""

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
