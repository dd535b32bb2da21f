"""ISO 20022 documents as they were received and sent, and the inbox of sealed messages.

A sealed message may arrive before the chain event it belongs to. It waits in the inbox under its
settlement id until the bridge has both, and is taken once.
"""

from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    delete,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)

from bridge.errors import InboxConflict, RecordConflict, RecordMissing
from bridge.payment import incoming_payment_id
from bridge.store import tables
from bridge.store.prepared import unless_known
from bridge.store.vault import Vault, message_scope


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
class MessageHeading:
    """What is known of a kept document without reading it."""

    message_id: str
    direction: MessageDirection
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A sealed message's content that came from another participant.

    `copy` is the sealed copy for supervision that it came with.
    """

    settlement_id: bytes
    sender_lei: str
    document: bytes
    salt: bytes
    received_at: int
    copy: bytes | None = None


class Messages:
    """Documents by message id, by payment and by time; unreadable once their key is destroyed."""

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def add(self, message: StoredMessage) -> None:
        """Keep a document; nothing happens when the same one is kept already.

        Raises `RecordConflict` when the message id stands for another document, and
        `MessageShredded`, as every reading does, when its payment's key was destroyed.
        """
        scope, place = message_scope(message.payment_id, message.message_id), message.message_id
        salt = message.salt
        row = {
            "message_id": message.message_id,
            "direction": message.direction.value,
            "name": message.name,
            "document": self._vault.seal(scope, place, message.document),
            "payment_id": message.payment_id,
            "peer": message.peer,
            "salt": None if salt is None else self._vault.seal(scope, f"{place}|salt", salt),
            "created_at": message.created_at,
        }

        def compare() -> None:
            found = self.get(message.message_id)
            if replace(found, created_at=message.created_at) != message:
                raise RecordConflict("message", message.message_id)

        _ADD_UNLESS_KNOWN.add_unless_known(self._connection, row, compare)

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
        return None if row is None else self._read(row)

    def of_payment(self, payment_id: str) -> tuple[StoredMessage, ...]:
        """Every document of a payment, in the order they were kept."""
        kept = tables.messages.c
        query = select(tables.messages).where(kept.payment_id == payment_id).order_by(kept.sequence)
        return tuple(self._read(row) for row in self._connection.execute(query))

    def headings(self, payment_id: str) -> tuple[MessageHeading, ...]:
        """What is known of a payment's documents, in the order they were kept, read or not."""
        kept = tables.messages.c
        query = (
            select(kept.message_id, kept.direction, kept.name, kept.created_at)
            .where(kept.payment_id == payment_id)
            .order_by(kept.sequence)
        )
        return tuple(
            MessageHeading(
                row.message_id, MessageDirection(row.direction), row.name, row.created_at
            )
            for row in self._connection.execute(query)
        )

    def _read(self, row: Row[Any]) -> StoredMessage:  # a row of the whole table
        scope, place = message_scope(row.payment_id, row.message_id), row.message_id
        salt = row.salt
        return StoredMessage(
            message_id=row.message_id,
            direction=MessageDirection(row.direction),
            name=row.name,
            document=self._vault.open(scope, place, row.document),
            created_at=row.created_at,
            payment_id=row.payment_id,
            peer=row.peer,
            salt=None if salt is None else self._vault.open(scope, f"{place}|salt", salt),
        )


class Inbox:
    """Messages that wait for their chain event, by settlement id."""

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def put(self, message: InboxMessage) -> bool:
        """Keep a message; False when the very same one is here already, taken or not.

        Raises `InboxConflict` when another message came for this settlement id before.
        """
        found = self.get(message.settlement_id)
        if found is None:
            copy = message.copy
            self._connection.execute(
                insert(tables.inbox).values(
                    settlement_id=message.settlement_id,
                    sender_lei=message.sender_lei,
                    document=self._seal(message.settlement_id, "document", message.document),
                    salt=self._seal(message.settlement_id, "salt", message.salt),
                    copy=None if copy is None else self._seal(message.settlement_id, "copy", copy),
                    received_at=message.received_at,
                    is_taken=False,
                )
            )
            return True
        content = (message.sender_lei, message.document, message.salt, message.copy)
        if (found.sender_lei, found.document, found.salt, found.copy) != content:
            raise InboxConflict(message.settlement_id.hex())
        return False

    def get(self, settlement_id: bytes) -> InboxMessage | None:
        """The message for a settlement id, taken or not."""
        row = self._find(settlement_id)
        return None if row is None else self._read(row)

    def has(self, settlement_id: bytes) -> bool:
        """Whether a message came for a settlement id, taken or not."""
        return self._find(settlement_id) is not None

    def waiting_count(self, sender_lei: str) -> int:
        """How many messages of one sender wait for their chain event."""
        kept = tables.inbox.c
        query = select(func.count()).where(kept.sender_lei == sender_lei, kept.is_taken.is_(False))
        return self._connection.execute(query).scalar_one()

    def waiting_since(self, at: int, limit: int) -> tuple[InboxMessage, ...]:
        """Messages that came before `at` and whose payment no chain event has announced, oldest first."""
        kept, known = tables.inbox.c, tables.payments.c
        is_announced = exists().where(
            known.settlement_id == kept.settlement_id, known.direction == "incoming"
        )
        query = (
            select(tables.inbox)
            .where(kept.is_taken.is_(False), kept.received_at < at, not_(is_announced))
            .order_by(kept.received_at)
            .limit(limit)
        )
        return tuple(self._read(row) for row in self._connection.execute(query))

    def is_waiting(self, settlement_id: bytes) -> bool:
        """Whether a message for this settlement id is here and was not taken."""
        row = self._find(settlement_id)
        return row is not None and not row.is_taken

    def discard(self, settlement_id: bytes) -> None:
        """Forget a message that was not taken, so that it may come anew; raises `RecordMissing`."""
        kept = tables.inbox.c
        gone = delete(tables.inbox).where(
            kept.settlement_id == settlement_id, kept.is_taken.is_(False)
        )
        if self._connection.execute(gone).rowcount != 1:
            raise RecordMissing("waiting message", settlement_id.hex())

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
        return self._read(row)

    def _seal(self, settlement_id: bytes, part: str, plain: bytes) -> bytes:
        return self._vault.seal(incoming_payment_id(settlement_id), f"inbox|{part}", plain)

    def _read(self, row: Row[Any]) -> InboxMessage:  # a row of the whole table
        scope = incoming_payment_id(row.settlement_id)
        copy = row.copy
        return InboxMessage(
            settlement_id=row.settlement_id,
            sender_lei=row.sender_lei,
            document=self._vault.open(scope, "inbox|document", row.document),
            salt=self._vault.open(scope, "inbox|salt", row.salt),
            received_at=row.received_at,
            copy=None if copy is None else self._vault.open(scope, "inbox|copy", copy),
        )

    def _find(self, settlement_id: bytes) -> Row[Any] | None:  # a row of the whole table
        query = select(tables.inbox).where(tables.inbox.c.settlement_id == settlement_id)
        return self._connection.execute(query).one_or_none()


_ADD_UNLESS_KNOWN = unless_known(tables.messages, "message_id")
