"""What a bank tells the central bank of each day: custody in all, wallets by tier, no persons.

The report of a day falls due when the day is over and plans that of the next, from the opening of the
books on. It says how things stand when it is sent; the central bank keeps the first of each day.
"""

import json
from typing import Final

from bridge import chart
from bridge.errors import PeerUnavailable, Rejected
from bridge.interbank import Kind
from bridge.retail.custody import RETAIL_PATH
from bridge.retail.intermediary import Intermediary
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.worker import Done, Outcome

REPORT: Final = "report_retail"
"""Kind of the effect that reports a day."""

DAY_SECONDS: Final = 86_400


def plan_report(work: UnitOfWork, at: int) -> None:
    """Have the day of `at` reported when it is over; once for each day."""
    day = at // DAY_SECONDS
    work.effects.add(
        NewEffect(
            kind=REPORT,
            key=f"{REPORT}:{day}",
            payload={"day": day},
            payment_id=None,
            due_at=(day + 1) * DAY_SECONDS,
        )
    )


class Reporting:
    """A bank's reports."""

    def __init__(self, intermediary: Intermediary) -> None:
        self._intermediary = intermediary

    def send(self, effect: EffectRow) -> Outcome:
        """Report a day; raises `PeerUnavailable` for whatever the central bank objects."""
        intermediary = self._intermediary
        institution, currency = intermediary.institution, intermediary.currency
        with institution.store.reading() as work:
            held = work.ledger.balance(chart.custody(currency)).ledger
            tiers = work.wallets.count_by_tier()
        body = {
            "day": str(effect.payload["day"]),
            "currency": currency.code,
            "in_custody": held.format(),
            "tiers": json.dumps(tiers, sort_keys=True),
        }
        try:
            institution.interbank.ask(intermediary.issuer, RETAIL_PATH, Kind.RETAIL_REPORT, body)
        except Rejected as refusal:
            raise PeerUnavailable(intermediary.issuer) from refusal
        with institution.store.unit_of_work() as work:
            plan_report(work, institution.clock())
        return Done()
