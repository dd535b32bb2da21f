"""A bank's whole retail business, put together for the composition root and the API."""

from collections.abc import Mapping
from typing import Final, Self

from bridge.errors import EnvelopeInvalid
from bridge.institution import Institution
from bridge.interbank import Kind, Received
from bridge.retail import custody, offline, ordering, paying, reporting
from bridge.retail.custody import Custody
from bridge.retail.intermediary import Intermediary
from bridge.retail.offline import OfflineDesk
from bridge.retail.paying import Cashier
from bridge.retail.reporting import DAY_SECONDS, Reporting, plan_report
from bridge.store import NewEffect
from bridge.worker import Handler

PEER_EFFECTS: Final = frozenset({ordering.ORDER, custody.CATCH_UP, offline.CLAIM, reporting.REPORT})
"""Kinds of effects that wait for the answer of another institution."""


class RetailBusiness:
    """Wallets, payments and custody of one bank."""

    def __init__(self, intermediary: Intermediary) -> None:
        self.intermediary = intermediary
        self.cashier = Cashier(intermediary)
        self.custody = Custody(intermediary)
        self.offline = OfflineDesk(intermediary)
        self._reporting = Reporting(intermediary)

    @classmethod
    def of(cls, institution: Institution) -> Self | None:
        """The business that the settings ask for, if they do; raises `SettingsInvalid`."""
        intermediary = Intermediary.of(institution)
        return None if intermediary is None else cls(intermediary)

    def open(self) -> None:
        """Open the books of custody, report to the central bank and fetch what was missed.

        The first report, of the day before, makes the bank known there as one that keeps wallets.
        """
        self.intermediary.open_books()
        institution = self.intermediary.institution
        with institution.store.unit_of_work() as work:
            now = institution.clock()
            plan_report(work, now - DAY_SECONDS)
            work.effects.add(
                NewEffect(
                    kind=custody.CATCH_UP,
                    key=f"{custody.CATCH_UP}:{now}",
                    payload={},
                    payment_id=None,
                    due_at=now,
                )
            )

    def handlers(self) -> Mapping[str, Handler]:
        """What the worker does, by kind of effect."""
        return {
            ordering.ORDER: self.custody.request,
            custody.CATCH_UP: self.custody.catch_up,
            custody.COLLECT: self.custody.collect,
            offline.CLAIM: self.offline.claim,
            offline.RECLAIM: self.offline.reclaim,
            paying.RESUME: self.cashier.resume,
            paying.LAPSE: self.cashier.lapse,
            reporting.REPORT: self._reporting.send,
        }

    def receive(self, received: Received) -> dict[str, str]:
        """Take a message of the central bank or of another bank; the same again: the same answer.

        Raises `EnvelopeInvalid` for a kind that is not taken here.
        """
        if received.kind is Kind.RETAIL_CREDIT:
            return self.custody.take(received)
        if received.kind is Kind.RETAIL_CLAIM:
            return self.offline.pay_claim(received)
        raise EnvelopeInvalid(f"{received.kind.value} is not taken here")
