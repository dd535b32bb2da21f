"""Sealed copies of payment messages at a central bank or supervisor, by settlement id.

A row is made when the chain announces a payment, so that a copy that never comes is seen to be missing.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from bridge.store import tables
from bridge.store.page import Page, read_page
from bridge.store.vault import Vault


@dataclass(frozen=True, slots=True)
class SupervisorCopy:
    """What the chain says of a payment's copy, and when the copy itself came.

    `copy_hash` is zero where the payment names none. `finding` says what is wrong with the copy.
    """

    settlement_id: bytes
    sender_lei: str
    copy_hash: bytes
    message_commitment: bytes
    announced_at: int
    received_at: int | None = None
    finding: str | None = None


class SupervisorCopies:
    """Copies by settlement id and by time."""

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def expect(self, announced: SupervisorCopy) -> None:
        """Record that the chain announced a payment with its copy's hash; once."""
        if self.find(announced.settlement_id) is not None:
            return
        self._connection.execute(
            insert(tables.supervisor_copies).values(
                settlement_id=announced.settlement_id,
                sender_lei=announced.sender_lei,
                copy_hash=announced.copy_hash,
                message_commitment=announced.message_commitment,
                announced_at=announced.announced_at,
            )
        )

    def find(self, settlement_id: bytes) -> SupervisorCopy | None:
        """What is known of a payment's copy, if the payment was announced."""
        query = select(tables.supervisor_copies).where(
            tables.supervisor_copies.c.settlement_id == settlement_id
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _copy(row)

    def keep(
        self, settlement_id: bytes, copy: bytes, *, finding: str | None, received_at: int
    ) -> None:
        """Keep the copy of an announced payment; the first stays."""
        kept = tables.supervisor_copies.c
        change = update(tables.supervisor_copies).where(
            kept.settlement_id == settlement_id, kept.received_at.is_(None)
        )
        sealed = self._vault.seal(self.scope(settlement_id), "copy", copy)
        self._connection.execute(
            change.values(copy=sealed, finding=finding, received_at=received_at)
        )

    def content(self, settlement_id: bytes) -> bytes | None:
        """The copy itself, once it has come; raises `MessageShredded`."""
        query = select(tables.supervisor_copies.c.copy).where(
            tables.supervisor_copies.c.settlement_id == settlement_id
        )
        sealed = self._connection.execute(query).scalar_one_or_none()
        if sealed is None:
            return None
        return self._vault.open(self.scope(settlement_id), "copy", sealed)

    def scope(self, settlement_id: bytes) -> str:
        """Whose key a copy is kept under."""
        return f"copy:{settlement_id.hex()}"

    def page(self, *, limit: int, cursor: str | None) -> Page[SupervisorCopy]:
        """Announced payments and their copies, newest first; raises `CursorInvalid`."""
        query = select(tables.supervisor_copies)
        return read_page(
            self._connection,
            query,
            tables.supervisor_copies.c.sequence,
            _copy,
            limit=limit,
            cursor=cursor,
        )


def _copy(row: Row[Any]) -> SupervisorCopy:  # a row of the whole table
    return SupervisorCopy(
        settlement_id=row.settlement_id,
        sender_lei=row.sender_lei,
        copy_hash=row.copy_hash,
        message_commitment=row.message_commitment,
        announced_at=row.announced_at,
        received_at=row.received_at,
        finding=row.finding,
    )
