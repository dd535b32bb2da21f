"""ISO 20022 documents as they were received and sent, and the inbox of sealed messages.

A sealed message may arrive before the chain event it belongs to. It waits in the inbox under its
settlement id until the bridge has both, and is taken once.
"""

from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from bridge.errors import InboxConflict, RecordConflict, RecordMissing
from bridge.store import tables


@unique
class MessageDirection(Enum):
    """Whether a message came to this bank or left it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One document as it travelled.

    `message_id` is the id under which this bank keeps it; the ISO one stands in the document.
    `name` is the full ISO name such as `pacs.008.001.08`; `peer` is the customer or participant at
    the other end; `salt` opens the commitment of a committed message.
    """

    message_id: str
    direction: MessageDirection
    name: str
    document: bytes
    created_at: int
    payment_id: str | None = None
    peer: str | None = None
    salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A sealed message's content that came from another participant."""

    settlement_id: bytes
    sender_lei: str
    document: bytes
    salt: bytes
    received_at: int


class Messages:
    """Documents by message id, by payment and by time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, message: StoredMessage) -> None:
        """Keep a document; nothing happens when the same one is kept already.

        Raises `RecordConflict` when the message id stands for another document.
        """
        found = self.find(message.message_id)
        if found is not None:
            if replace(found, created_at=message.created_at) != message:
                raise RecordConflict("message", message.message_id)
            return
        self._connection.execute(
            insert(tables.messages).values(
                message_id=message.message_id,
                direction=message.direction.value,
                name=message.name,
                document=message.document,
                payment_id=message.payment_id,
                peer=message.peer,
                salt=message.salt,
                created_at=message.created_at,
            )
        )

    def get(self, message_id: str) -> StoredMessage:
        """The document kept under this id; raises `RecordMissing`."""
        found = self.find(message_id)
        if found is None:
            raise RecordMissing("message", message_id)
        return found

    def find(self, message_id: str) -> StoredMessage | None:
        """The document kept under this id, if there is one."""
        query = select(tables.messages).where(tables.messages.c.message_id == message_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _message(row)

    def of_payment(self, payment_id: str) -> tuple[StoredMessage, ...]:
        """Every document of a payment, in the order they were kept."""
        kept = tables.messages.c
        query = select(tables.messages).where(kept.payment_id == payment_id).order_by(kept.sequence)
        return tuple(_message(row) for row in self._connection.execute(query))


class Inbox:
    """Messages that wait for their chain event, by settlement id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, message: InboxMessage) -> bool:
        """Keep a message; False when the very same one is here already, taken or not.

        Raises `InboxConflict` when another message came for this settlement id before.
        """
        found = self._find(message.settlement_id)
        if found is None:
            self._connection.execute(
                insert(tables.inbox).values(
                    settlement_id=message.settlement_id,
                    sender_lei=message.sender_lei,
                    document=message.document,
                    salt=message.salt,
                    received_at=message.received_at,
                    is_taken=False,
                )
            )
            return True
        content = (message.sender_lei, message.document, message.salt)
        if (found.sender_lei, found.document, found.salt) != content:
            raise InboxConflict(message.settlement_id.hex())
        return False

    def get(self, settlement_id: bytes) -> InboxMessage | None:
        """The message for a settlement id, taken or not."""
        row = self._find(settlement_id)
        return None if row is None else _inbox_message(row)

    def waiting_count(self, sender_lei: str) -> int:
        """How many messages of one sender wait for their chain event."""
        kept = tables.inbox.c
        query = select(func.count()).where(kept.sender_lei == sender_lei, kept.is_taken.is_(False))
        return self._connection.execute(query).scalar_one()

    def take(self, settlement_id: bytes) -> InboxMessage | None:
        """The message for a settlement id, the first time it is asked for; None afterwards."""
        row = self._find(settlement_id)
        if row is None or row.is_taken:
            return None
        self._connection.execute(
            update(tables.inbox)
            .where(tables.inbox.c.settlement_id == settlement_id)
            .values(is_taken=True)
        )
        return _inbox_message(row)

    def _find(self, settlement_id: bytes) -> Row[Any] | None:  # a row of the whole table
        query = select(tables.inbox).where(tables.inbox.c.settlement_id == settlement_id)
        return self._connection.execute(query).one_or_none()


def _message(row: Row[Any]) -> StoredMessage:  # a row of the whole table
    return StoredMessage(
        message_id=row.message_id,
        direction=MessageDirection(row.direction),
        name=row.name,
        document=row.document,
        created_at=row.created_at,
        payment_id=row.payment_id,
        peer=row.peer,
        salt=row.salt,
    )


def _inbox_message(row: Row[Any]) -> InboxMessage:  # a row of the whole table
    return InboxMessage(
        settlement_id=row.settlement_id,
        sender_lei=row.sender_lei,
        document=row.document,
        salt=row.salt,
        received_at=row.received_at,
    )
