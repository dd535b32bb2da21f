"""Finds what is stuck and keeps an alert of it until it is not.

Every few seconds the store is asked for what should have ended by itself: payments past the deadline
at which the chain ends them, effects tried again and again or given up, transactions in no block,
messages without their payment, money without a home. So no payment stays open past its deadline
without an alert, whatever has gone wrong with the process that was to end it.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.alert import AlertKind, Finding
from bridge.config import AlertSettings
from bridge.errors import Unavailable
from bridge.store import Store, UnitOfWork

WATCH_SECONDS: Final = 5
"""How often it is looked."""

FINDINGS_MAX: Final = 1_000
"""Most things of one kind that are found at a time, the oldest; the rest follow as those end."""


@dataclass(frozen=True, slots=True)
class Watch:
    """The watch over one institution's store.

    `clock` gives UTC seconds; effects of the `patient` kinds wait by their nature, and what they wait
    for is watched itself.
    """

    store: Store
    bounds: AlertSettings
    clock: Callable[[], int]
    patient: frozenset[str] = frozenset()

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        while not stop.is_set():
            try:
                self.step()
            except Unavailable:
                continue
            finally:
                stop.wait(WATCH_SECONDS)

    def step(self) -> None:
        """Look once; nothing is written while nothing is stuck."""
        at = self.clock()
        with self.store.reading() as work:
            is_quiet = not any(True for _ in self._find(work, at)) and not work.alerts.raised()
        if not is_quiet:
            with self.store.unit_of_work() as work:
                work.alerts.see(self._find(work, at), at)

    def _find(self, work: UnitOfWork, at: int) -> Iterator[Finding]:
        yield from self._find_machinery(work, at)
        yield from self._find_business(work, at)

    def _find_machinery(self, work: UnitOfWork, at: int) -> Iterator[Finding]:
        """Effects and transactions."""
        bounds = self.bounds
        for stuck in work.effects.retried_since(at - bounds.effect_seconds, FINDINGS_MAX):
            if stuck.effect.kind not in self.patient:
                yield Finding(
                    AlertKind.EFFECT_RETRYING,
                    stuck.effect.key,
                    stuck.since,
                    stuck.effect.payment_id,
                )
        for dead in work.effects.dead(FINDINGS_MAX):
            since = dead.effect_due_at
            yield Finding(AlertKind.EFFECT_DEAD, dead.effect.key, since, dead.effect.payment_id)
        for transaction in work.transactions.outstanding():
            if transaction.created_at < at - bounds.transaction_seconds:
                subject = f"0x{transaction.hash.hex()}"
                since, about = transaction.created_at, transaction.payment_id
                yield Finding(AlertKind.TRANSACTION_UNMINED, subject, since, about)

    def _find_business(self, work: UnitOfWork, at: int) -> Iterator[Finding]:
        """Payments, messages, money and recalls."""
        bounds = self.bounds
        for payment in work.payments.overdue(at - bounds.payment_seconds, FINDINGS_MAX):
            payment_id = payment.payment_id
            since = payment.ends_by or at
            yield Finding(AlertKind.PAYMENT_OVERDUE, payment_id, since, payment_id)
        for message in work.inbox.waiting_since(at - bounds.message_seconds, FINDINGS_MAX):
            subject = f"0x{message.settlement_id.hex()}"
            yield Finding(AlertKind.MESSAGE_UNANNOUNCED, subject, message.received_at)
        for item in work.suspense.opened_before(at - bounds.suspense_seconds, FINDINGS_MAX):
            subject = item.payment_id
            yield Finding(AlertKind.SUSPENSE_OPEN, subject, item.opened_at, subject)
        for recall in work.recalls.unanswered(at, FINDINGS_MAX):
            subject = recall.payment_id
            yield Finding(AlertKind.RECALL_UNANSWERED, subject, recall.answer_by, subject)
        for recall in work.recalls.unpaid(FINDINGS_MAX):
            subject, since = recall.payment_id, recall.answered_at or at
            yield Finding(AlertKind.RECALL_UNPAID, subject, since, subject)
