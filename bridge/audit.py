"""The audit log: what was decided and what the books held, each record bound to the one before; pure.

    record n      sequence, at, actor, action, subject, details, previous
    its hash      SHA-256 of the RFC 8785 JSON of all these; `previous` is the hash of record n - 1

Whoever knows the hash of record n (it is anchored on the chain once a day) knows that nothing up to
record n was edited, deleted or inserted since. Rows of the books are bound in as *seals*: a record
whose details hold the digest of all rows of one table from a first to a last sequence number.

A log restored from a backup lacks its newest records. The next one then takes the number after the
newest anchor and says so (`RESTORED`): what is missing stays visible for ever.

Nothing here holds personal data: persons appear by the ids their institution gave them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from bridge.errors import AuditLogInvalid

SEALED: Final = "rows_sealed"
"""Action of a record that binds rows of a table; its subject is the table."""

ANCHORED: Final = "anchored"
"""Action of a record that tells of an anchor on the chain; its subject is the anchored number."""

RESTORED: Final = "restored"
"""Action of a record before which records were lost; its subject is the newest anchored number."""

NOTHING: Final = bytes(32)
"""What the first record follows."""

EXPORT_LINE_BYTES_MAX: Final = 1024 * 1024
"""Longest line of an exported log that is read."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be recorded: who did what to what.

    `actor` is `operator:ID`, `customer:ID` or `bridge`; `details` are short texts by name.
    """

    actor: str
    action: str
    subject: str
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One link of the log. `at` is a UTC second, `previous` and `hash` have 32 bytes."""

    sequence: int
    at: int
    note: Note
    previous: bytes
    hash: bytes


def follow_up(head: AuditRecord | None, note: Note, at: int, *, sequence: int = 0) -> AuditRecord:
    """The record after `head`; `sequence` is given only where records were lost before it."""
    previous = NOTHING if head is None else head.hash
    number = sequence or (1 if head is None else head.sequence + 1)
    return AuditRecord(number, at, note, previous, _hash(number, at, note, previous))


def _hash(sequence: int, at: int, note: Note, previous: bytes) -> bytes:
    return hashlib.sha256(rfc8785.dumps(_content(sequence, at, note, previous))).digest()


def _content(sequence: int, at: int, note: Note, previous: bytes) -> dict[str, Any]:  # JSON
    """The members of a record that its hash is over."""
    return {
        "sequence": sequence,
        "at": at,
        "actor": note.actor,
        "action": note.action,
        "subject": note.subject,
        "details": dict(note.details),
        "previous": previous.hex(),
    }


class RowDigest:
    """The digest of rows in their order, taken one by one."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self.count = 0

    def add(self, row: Mapping[str, str | None]) -> None:
        """Take the next row, its values as text by column."""
        self._sum.update(rfc8785.dumps(dict(row)) + b"\n")
        self.count += 1

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return self._sum.hexdigest()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verified log says: its length and head, what it sealed and where it was anchored.

    `hash_by_sequence` has every record; `lost` the numbers that a restore left out, as first and
    last; `sealed_rows` counts the rows checked against their seals, by table.
    """

    head: AuditRecord | None
    hash_by_sequence: Mapping[int, bytes]
    lost: tuple[tuple[int, int], ...]
    sealed_rows: Mapping[str, int]

    def check_anchor(self, sequence: int, record_hash: bytes) -> None:
        """Hold the log against an anchor; raises `AuditLogInvalid` where they differ.

        An anchor of a record that a restore lost proves that loss and nothing else.
        """
        if sequence == 0 or any(first <= sequence <= last for first, last in self.lost):
            return
        found = self.hash_by_sequence.get(sequence)
        if found is None:
            raise AuditLogInvalid(sequence, "it is anchored on the chain and not in the log")
        if found != record_hash:
            raise AuditLogInvalid(sequence, "the chain has another hash of it")


def plain(record: AuditRecord) -> dict[str, Any]:  # JSON
    """A record by its members, as whoever checks its hash reads it."""
    content = _content(record.sequence, record.at, record.note, record.previous)
    return content | {"hash": record.hash.hex()}


def export_record(record: AuditRecord) -> str:
    """A record as a line of an exported log."""
    return json.dumps(plain(record), sort_keys=True)


def export_row(table: str, row: Mapping[str, str | None]) -> str:
    """A sealed row as a line of an exported log; rows stand before the record that seals them."""
    return json.dumps({"table": table, "row": dict(row)}, sort_keys=True)


def verify(lines: Iterable[str]) -> Finding:
    """What an exported log says, once every hash in it was computed anew.

    Raises `AuditLogInvalid` with the first record that does not fit: edited, deleted, inserted or
    out of order, or sealing other rows than stand before it.
    """
    return _Verification().run(_parsed(lines))


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if len(line) > EXPORT_LINE_BYTES_MAX:
            raise AuditLogInvalid(number, "its line is too long")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise AuditLogInvalid(number, "its line is not JSON") from error
        if not isinstance(found, dict):
            raise AuditLogInvalid(number, "its line is no object")
        yield found


class _Verification:
    """The state of one reading of a log."""

    def __init__(self) -> None:
        self.head: AuditRecord | None = None
        self.hashes: dict[int, bytes] = {}
        self.lost: list[tuple[int, int]] = []
        self.digests: dict[str, RowDigest] = {}
        self.last_sealed: dict[str, int] = {}
        self.sealed: dict[str, int] = {}

    def run(self, lines: Iterable[dict[str, Any]]) -> Finding:
        for line in lines:
            if set(line) == {"table", "row"}:
                self._take_row(line)
            else:
                self._take_record(_record(line, self._next()))
        for table, digest in self.digests.items():
            if digest.count:
                raise AuditLogInvalid(self._next(), f"rows of {table} are sealed by no record")
        return Finding(self.head, self.hashes, tuple(self.lost), self.sealed)

    def _next(self) -> int:
        return 1 if self.head is None else self.head.sequence + 1

    def _take_row(self, line: dict[str, Any]) -> None:
        table, row = line["table"], line["row"]
        is_text = isinstance(row, dict) and all(
            value is None or isinstance(value, str) for value in row.values()
        )
        if not isinstance(table, str) or not is_text:
            raise AuditLogInvalid(self._next(), "a row before it is not text by column")
        self.digests.setdefault(table, RowDigest()).add(row)

    def _take_record(self, record: AuditRecord) -> None:
        expected = self._next()
        if record.sequence != expected:
            if record.note.action != RESTORED or record.sequence < expected:
                raise AuditLogInvalid(expected, f"record {record.sequence} stands in its place")
            self.lost.append((expected, record.sequence - 1))
        if record.previous != (NOTHING if self.head is None else self.head.hash):
            raise AuditLogInvalid(record.sequence, "it does not follow the record before it")
        if record.hash != _hash(record.sequence, record.at, record.note, record.previous):
            raise AuditLogInvalid(record.sequence, "its hash is not that of its content")
        if record.note.action == SEALED:
            self._check_seal(record)
        if record.note.action == ANCHORED:
            self._check_anchored(record)
        self.head = record
        self.hashes[record.sequence] = record.hash

    def _check_anchored(self, record: AuditRecord) -> None:
        anchored = self.hashes.get(int(record.note.subject) if record.note.subject.isdigit() else 0)
        if anchored is not None and anchored.hex() != record.note.details.get("hash"):
            raise AuditLogInvalid(record.sequence, "it was anchored with another hash")

    def _check_seal(self, record: AuditRecord) -> None:
        table, details = record.note.subject, record.note.details
        try:
            first, last, rows = (int(details[name]) for name in ("first", "last", "rows"))
        except (KeyError, ValueError) as error:
            raise AuditLogInvalid(record.sequence, "it seals no rows") from error
        if first <= self.last_sealed.get(table, 0) or last < first:
            raise AuditLogInvalid(record.sequence, "it seals rows that were sealed before")
        self.last_sealed[table] = last
        digest = self.digests.pop(table, RowDigest())
        if (digest.count, digest.hexdigest()) != (rows, details.get("digest")):
            raise AuditLogInvalid(record.sequence, f"the rows of {table} are not those it seals")
        self.sealed[table] = self.sealed.get(table, 0) + rows


_MEMBERS: Final = frozenset(
    {"sequence", "at", "actor", "action", "subject", "details", "previous", "hash"}
)


def _record(line: Mapping[str, Any], number: int) -> AuditRecord:
    if set(line) != _MEMBERS:
        raise AuditLogInvalid(number, "it has other members than a record")
    details = line["details"]
    texts = (line["actor"], line["action"], line["subject"])
    numbers = (line["sequence"], line["at"])
    is_plain = (
        all(isinstance(text, str) for text in texts)
        and all(type(value) is int for value in numbers)
        and isinstance(details, dict)
        and all(isinstance(value, str) for value in details.values())
    )
    try:
        previous, hashed = bytes.fromhex(line["previous"]), bytes.fromhex(line["hash"])
    except (TypeError, ValueError) as error:
        raise AuditLogInvalid(number, "its hashes are not hexadecimal") from error
    if not is_plain:
        raise AuditLogInvalid(number, "its members are of other types")
    note = Note(line["actor"], line["action"], line["subject"], details)
    return AuditRecord(line["sequence"], line["at"], note, previous, hashed)
