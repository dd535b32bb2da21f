"""Which messages of a payment are still sent when it has come to an end.

Cites docs/spec/interbank.md: IBK-15, IBK-18.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.interbank import Kind, Outgoing, deliver
from bridge.payment import Direction, PaymentState
from bridge.settlement.submission import courses
from support import bridge_records
from support.bridge_api import NOW
from support.participants import BANK_A, BANK_B
from support.settlement_desk import Desk

PAYMENT = bridge_records.payment(1, Direction.OUTGOING)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (PaymentState.INSTRUCTED, {"pacs.008", "pacs.004", "pacs.028"}),
        (PaymentState.QUEUED, {"pacs.008", "pacs.004", "pacs.028"}),
        (PaymentState.SETTLED, {"pacs.008", "pacs.004"}),
        (PaymentState.EXPIRED, set()),
        (PaymentState.FAILED, set()),
    ],
)
def test_what_is_still_sent_depends_on_what_became_of_the_payment(
    tmp_path: Path, state: PaymentState, wanted: set[str]
) -> None:
    """What settled may be asked for by a bank whose books were restored."""
    desk = Desk(BANK_A, tmp_path)
    kinds = (Kind.CREDIT_TRANSFER, Kind.RETURN, Kind.STATUS_REQUEST)
    with desk.store.unit_of_work() as work:
        work.payments.add(replace(PAYMENT, state=state))
        for kind in kinds:
            message = Outgoing(kind.value, BANK_B, kind, {}, PAYMENT.payment_id)
            deliver(work, message, at=NOW)
        sent = {
            each.kind
            for each in work.deliveries.page(limit=9, cursor=None).items
            if courses(desk.institution)[Kind(each.kind)].is_wanted(work, each)
        }
    assert sent == wanted
