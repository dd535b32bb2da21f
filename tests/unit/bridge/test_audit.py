"""The audit log: whatever is changed in it, or in the rows it seals, is found.

Cites docs/spec/audit.md: AUD-1 to AUD-9.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import chart
from bridge.audit import (
    ANCHORED,
    NOTHING,
    RESTORED,
    Note,
    export_record,
    export_row,
    follow_up,
    verify,
)
from bridge.auditing import ANCHOR, Auditor, export_log
from bridge.chain import AuditAnchor, ChainClient, ChainEvent, Submitter
from bridge.chain.encoding import REGISTRY
from bridge.errors import AuditLogInvalid, StatementRefused
from bridge.ledger import JournalEntry, credit, debit
from bridge.money import Amount, parse_currency
from bridge.store import EffectRow, Store
from bridge.store import audit_log as audit_log_module
from support.clock import Clock

EUR = parse_currency("EUR")
LEI = "529900T8BM49AURSDO55"
NOW = 1_800_000_000
DAY = 86_400
NOTE = Note("operator:olga", "tested", "it", {"why": "to see"})


@dataclass(slots=True)
class FixedChain:
    """What the auditor asks of the chain, answered from here."""

    anchor: AuditAnchor
    chain_id: int = 1

    def audit_anchor(self, lei: str) -> AuditAnchor:
        assert lei == LEI
        return self.anchor


@dataclass(slots=True)
class Desk:
    """A store with its auditor, and hands on both."""

    store: Store
    chain: FixedChain
    clock: Clock
    auditor: Auditor
    database: Path

    def note(self, note: Note = NOTE) -> None:
        with self.store.unit_of_work() as work:
            work.audit.record(note, self.clock())

    def book(self, number: int) -> None:
        amount = Amount(EUR, 100 + number)
        postings = (
            debit(chart.reserves(EUR), amount),
            credit(chart.equity(EUR), amount),
        )
        with self.store.unit_of_work() as work:
            for account in chart.institution_accounts(EUR):
                work.ledger.open_account(account)
            work.ledger.book(JournalEntry(f"entry-{number}", "test", "booked", postings, NOW))

    def lines(self) -> list[str]:
        with self.store.reading() as work:
            return list(export_log(work))

    def anchors(self) -> list[EffectRow]:
        with self.store.unit_of_work() as work:
            found = work.effects.claim(
                now=self.clock(), owner="test", limit=9, lease_seconds=1_000_000
            )
        return [effect for effect in found if effect.kind == ANCHOR]

    def sees_anchor(self, effect: EffectRow, lei: str = LEI) -> None:
        event = ChainEvent(
            contract=REGISTRY,
            name="AuditLogAnchored",
            address=bytes(20),
            block_number=7,
            block_hash=bytes(32),
            log_index=0,
            transaction_hash=b"\x01" * 32,
            arguments={
                "lei": lei.encode(),
                "sequence": int(str(effect.payload["sequence"])),
                "recordHash": bytes.fromhex(str(effect.payload["hash"])),
            },
        )
        with self.store.unit_of_work() as work:
            self.auditor.observe(work, event, self.clock())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    store = Store.open(tmp_path / "bridge.sqlite")
    chain, clock = FixedChain(AuditAnchor(0, 0, bytes(32))), Clock(NOW)
    auditor = Auditor(store, cast(ChainClient, chain), cast(Submitter, None), LEI, DAY, clock)
    return Desk(store, chain, clock, auditor, tmp_path / "bridge.sqlite")


def a_log(desk: Desk) -> list[str]:
    """Records, sealed rows, records again: everything an export can hold but a loss."""
    desk.note()
    for number in range(3):
        desk.book(number)
    desk.auditor.step()
    desk.sees_anchor(desk.anchors()[0])
    desk.book(3)
    desk.note(replace(NOTE, details={}))
    desk.auditor.step()
    return desk.lines()


def test_aud_1_each_record_is_bound_to_the_one_before() -> None:
    first = follow_up(None, NOTE, NOW)
    second = follow_up(first, NOTE, NOW)
    assert (first.sequence, first.previous) == (1, NOTHING)
    assert (second.sequence, second.previous) == (2, first.hash)
    assert first.hash != second.hash
    finding = verify([export_record(first), export_record(second)])
    assert finding.head == second
    assert finding.hash_by_sequence == {1: first.hash, 2: second.hash}
    assert verify([]).head is None


def test_aud_2_the_log_holds_the_rows_of_the_books(desk: Desk) -> None:
    finding = verify(a_log(desk))
    assert finding.sealed_rows == {"entries": 4, "postings": 8}
    assert finding.lost == ()
    with desk.store.reading() as work:
        assert work.audit.head() == finding.head


def test_aud_2_rows_are_sealed_once_and_in_bounded_parts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log_module, "SEAL_ROWS_MAX", 2)
    for number in range(5):
        desk.book(number)
    desk.auditor.step()
    desk.auditor.step()
    with desk.store.reading() as work:
        seals = [record.note.details for record in work.audit.records()]
        tables = [record.note.subject for record in work.audit.records()]
    assert [(seal["first"], seal["last"]) for seal in seals[0::2][:3]] == [
        ("1", "2"),
        ("3", "4"),
        ("5", "5"),
    ]
    assert tables == ["entries", "postings"] * 3 + ["postings"] * 2
    assert verify(desk.lines()).sealed_rows == {"entries": 5, "postings": 10}


def edit(line: str) -> str:
    content = json.loads(line)
    if "row" in content:
        content["row"]["description"] = "another"
    else:
        content["subject"] += "x"
    return json.dumps(content, sort_keys=True)


def rehash(line: str) -> str:
    """A record that was edited by somebody who knows how its hash is made."""
    content = json.loads(line)
    note = Note(content["actor"], content["action"], content["subject"] + "x", content["details"])
    made = follow_up(None, note, content["at"], sequence=content["sequence"])
    return export_record(replace(made, previous=bytes.fromhex(content["previous"])))


CHANGES: dict[str, Callable[[list[str], int], list[str]]] = {
    "edited": lambda lines, place: [*lines[:place], edit(lines[place]), *lines[place + 1 :]],
    "deleted": lambda lines, place: [*lines[:place], *lines[place + 1 :]],
    "inserted": lambda lines, place: [*lines[:place], lines[place], *lines[place:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_aud_3_any_line_edited_deleted_or_inserted_is_found(desk: Desk, change: str) -> None:
    lines = a_log(desk)
    last = len(lines) - 1
    for place in range(len(lines)):
        if change == "deleted" and place == last:
            continue  # the end is held by the anchor alone, see AUD-6
        with pytest.raises(AuditLogInvalid):
            verify(CHANGES[change](lines, place))


def test_aud_3_every_single_character_counts(desk: Desk) -> None:
    text = "\n".join(a_log(desk))
    whole = verify(text.splitlines())
    for place, old in enumerate(text):
        if old in {" ", "\n"}:
            continue
        changed = f"{text[:place]}{'0' if old != '0' else '1'}{text[place + 1 :]}"
        try:
            finding = verify(changed.splitlines())
        except AuditLogInvalid:
            continue
        assert finding == whole, (place, old)


def test_aud_3_a_record_made_anew_does_not_fit_between_its_neighbours(desk: Desk) -> None:
    lines = a_log(desk)
    records = [place for place, line in enumerate(lines) if "row" not in json.loads(line)]
    for place in records[:-1]:
        with pytest.raises(AuditLogInvalid):
            verify([*lines[:place], rehash(lines[place]), *lines[place + 1 :]])


@given(st.lists(st.text() | st.binary().map(repr), max_size=5))
def test_aud_3_what_is_no_log_is_refused_by_name(lines: list[str]) -> None:
    if not lines:
        return
    with pytest.raises(AuditLogInvalid):
        verify(lines)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_records SET subject = 'x' WHERE sequence = 1",
        "DELETE FROM audit_records WHERE sequence = 1",
        "INSERT OR REPLACE INTO audit_records SELECT * FROM audit_records WHERE sequence = 1",
        "INSERT INTO audit_records VALUES (1, 0, 'a', 'b', 'c', '{}', x'00', x'01')",
    ],
)
def test_aud_4_the_database_refuses_to_change_a_record(desk: Desk, statement: str) -> None:
    desk.note()
    desk.note()
    raw = sqlite3.connect(desk.database)
    with raw, pytest.raises(sqlite3.IntegrityError, match="audit_records are immutable"):
        raw.execute(statement)
    raw.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET description = 'another' WHERE sequence = 2",
        "DELETE FROM entries WHERE sequence = 2",
        "UPDATE entries SET sequence = 99 WHERE sequence = 2",
    ],
)
def test_aud_4_whoever_removes_the_guards_is_found(desk: Desk, statement: str) -> None:
    a_log(desk)
    raw = sqlite3.connect(desk.database)
    for verb in ("update", "delete"):
        raw.execute(f"DROP TRIGGER entries_refuse_{verb}")
    raw.execute(statement)
    raw.commit()
    raw.close()
    with pytest.raises(AuditLogInvalid, match="the rows of entries are not those it seals"):
        verify(desk.lines())


def test_aud_5_the_newest_record_is_anchored_once_a_day(desk: Desk) -> None:
    desk.auditor.step()
    assert desk.anchors() == []
    desk.note()
    desk.auditor.step()
    desk.auditor.step()
    (effect,) = desk.anchors()
    assert effect.payload["sequence"] == 1
    desk.sees_anchor(effect, lei="969500KRKW8PDNPBTE86")
    desk.sees_anchor(effect)
    with desk.store.reading() as work:
        anchored = work.audit.newest_of(ANCHORED)
    assert anchored is not None
    assert (anchored.sequence, anchored.note.subject) == (2, "1")
    desk.clock.now += DAY - 1
    desk.note()
    desk.auditor.step()
    assert desk.anchors() == []
    desk.clock.now += 1
    desk.auditor.step()
    (effect,) = desk.anchors()
    assert effect.payload["sequence"] == 3


def test_aud_5_a_log_with_nothing_new_is_not_anchored_again(desk: Desk) -> None:
    desk.note()
    desk.auditor.step()
    desk.sees_anchor(desk.anchors()[0])
    desk.clock.now += 2 * DAY
    desk.auditor.step()
    assert desk.anchors() == []


def test_aud_6_an_anchor_holds_the_end_of_the_log(desk: Desk) -> None:
    lines = a_log(desk)
    head = verify(lines).head
    assert head is not None
    verify(lines).check_anchor(head.sequence, head.hash)
    verify(lines).check_anchor(0, bytes(32))
    shorter = lines[:-1]
    while "row" in json.loads(shorter[-1]):
        shorter.pop()
    with pytest.raises(AuditLogInvalid, match="not in the log"):
        verify(shorter).check_anchor(head.sequence, head.hash)
    with pytest.raises(AuditLogInvalid, match="another hash"):
        verify(lines).check_anchor(head.sequence, bytes(32))


def test_aud_6_a_log_rewritten_from_its_beginning_differs_from_what_it_says_was_anchored() -> None:
    first = follow_up(None, NOTE, NOW)
    told = Note("bridge", ANCHORED, "1", {"hash": "00" * 32})
    with pytest.raises(AuditLogInvalid, match="anchored with another hash"):
        verify([export_record(first), export_record(follow_up(first, told, NOW))])


def test_aud_7_what_a_restore_lost_stays_visible(desk: Desk) -> None:
    desk.note()
    desk.chain.anchor = AuditAnchor(5, NOW, b"\x05" * 32)
    desk.auditor.admit_loss()
    desk.auditor.admit_loss()
    desk.note()
    finding = verify(desk.lines())
    assert finding.lost == ((2, 5),)
    assert sorted(finding.hash_by_sequence) == [1, 6, 7]
    finding.check_anchor(5, b"\x05" * 32)


def test_aud_7_a_gap_without_that_word_is_no_restore() -> None:
    first = follow_up(None, NOTE, NOW)
    gap = follow_up(first, NOTE, NOW, sequence=5)
    with pytest.raises(AuditLogInvalid, match="stands in its place"):
        verify([export_record(first), export_record(gap)])
    loss = Note("bridge", RESTORED, "1", {})
    back = follow_up(first, loss, NOW, sequence=1)
    with pytest.raises(AuditLogInvalid, match="stands in its place"):
        verify([export_record(first), export_record(back)])


def test_aud_2_rows_nobody_sealed_do_not_pass() -> None:
    with pytest.raises(AuditLogInvalid, match="sealed by no record"):
        verify([export_row("entries", {"sequence": "1"})])


def test_aud_4_a_failed_unit_of_work_leaves_no_record(desk: Desk) -> None:
    def fail() -> None:
        with desk.store.unit_of_work() as work:
            work.audit.record(NOTE, NOW)
            raise StatementRefused("no")

    with pytest.raises(StatementRefused):
        fail()
    assert desk.lines() == []
