"""The audit log at work: rows are sealed as they come, and the newest record is anchored once a day.

    every few seconds   rows of the books that no record seals yet are sealed
    once a day          the number and hash of the newest record go to the chain (`anchorAuditLog`)
    in a final block    the anchor is recorded in turn

A restored log is older than its newest anchor: what was lost is recorded before anything else.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.audit import ANCHORED, RESTORED, Note, export_record, export_row
from bridge.chain import Call, ChainClient, ChainEvent, Submitter, registry_call
from bridge.errors import StoreBusy
from bridge.store import EffectRow, NewEffect, Store, UnitOfWork
from bridge.store.audit_log import SEALED_TABLES
from bridge.telemetry import get_logger
from bridge.worker import Done, Outcome

ANCHOR: Final = "anchor_audit_log"
"""Kind of the effect that anchors the newest record on the chain."""

ANCHOR_EVENT: Final = "AuditLogAnchored"

ANCHOR_GAS_LIMIT: Final = 200_000

SEAL_SECONDS: Final = 5
"""How often rows are sealed: an edit past the database's own guards has no longer than this."""

ACTOR: Final = "bridge"
"""Who the bridge is in the log when nobody told it to."""


@dataclass(frozen=True, slots=True)
class Auditor:
    """Keeps one institution's log sealed and anchored; `clock` gives UTC seconds."""

    store: Store
    chain: ChainClient
    submitter: Submitter
    lei: str
    anchor_seconds: int
    clock: Callable[[], int]

    def run(self, stop: threading.Event) -> None:
        """Seal and anchor until `stop` is set; a busy database is for the next time."""
        while not stop.is_set():
            try:
                self.step()
            except StoreBusy as error:
                get_logger().warning("not_sealed", error=str(error))
            stop.wait(SEAL_SECONDS)

    def step(self) -> None:
        """Seal what is not sealed, and have the newest record anchored if a day has passed."""
        while self._seal():
            pass
        with self.store.unit_of_work() as work:
            self._order_anchor(work)

    def admit_loss(self) -> None:
        """Record that the log is older than its newest anchor, if it is: it was restored.

        Raises `Unavailable` when the node does not answer.
        """
        anchor = self.chain.audit_anchor(self.lei)
        with self.store.unit_of_work() as work:
            head = work.audit.head()
            if anchor.sequence <= (0 if head is None else head.sequence):
                return
            details = {"hash": anchor.record_hash.hex()}
            note = Note(ACTOR, RESTORED, str(anchor.sequence), details)
            work.audit.record(note, self.clock(), sequence=anchor.sequence + 1)
        get_logger().error("audit_log_restored", anchored=anchor.sequence)

    def anchor(self, effect: EffectRow) -> Outcome:
        """Carry a record's number and hash to the chain."""
        sequence = int(str(effect.payload["sequence"]))
        record_hash = bytes.fromhex(str(effect.payload["hash"]))
        call = registry_call("anchorAuditLog", (sequence, record_hash))
        self.submitter.submit(
            Call(purpose=effect.key, to=call.to, data=call.data, gas_limit=ANCHOR_GAS_LIMIT)
        )
        return Done()

    def observe(self, work: UnitOfWork, event: ChainEvent, at: int) -> None:
        """Record a final anchor of this institution; any other event is left alone."""
        if event.name != ANCHOR_EVENT or event.arguments["lei"].decode() != self.lei:
            return
        details = {
            "hash": event.arguments["recordHash"].hex(),
            "block": str(event.block_number),
            "transaction": event.transaction_hash.hex(),
        }
        note = Note(ACTOR, ANCHORED, str(event.arguments["sequence"]), details)
        work.audit.record(note, at)

    def _seal(self) -> bool:
        """Seal some rows of each table; whether there were any. Looked for first without writing."""
        with self.store.reading() as work:
            if not any(work.audit.has_unsealed(table) for table in SEALED_TABLES):
                return False
        with self.store.unit_of_work() as work:
            sealed = [work.audit.seal(table, self.clock()) for table in SEALED_TABLES]
        return any(sealed)

    def _order_anchor(self, work: UnitOfWork) -> None:
        head, anchored = work.audit.head(), work.audit.newest_of(ANCHORED)
        now = self.clock()
        if head is None or (anchored is not None and now < anchored.at + self.anchor_seconds):
            return
        if anchored is not None and head.sequence == anchored.sequence:
            return
        work.effects.add(
            NewEffect(
                kind=ANCHOR,
                key=f"{ANCHOR}:{now // self.anchor_seconds}",
                payload={"sequence": head.sequence, "hash": head.hash.hex()},
                due_at=now,
            )
        )


def export_log(work: UnitOfWork) -> Iterator[str]:
    """The lines of the whole log, oldest first, each seal after the rows it seals as they are now."""
    for record in work.audit.records():
        for table, row in work.audit.sealed_rows(record):
            yield export_row(table, row)
        yield export_record(record)
