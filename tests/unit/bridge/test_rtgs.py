"""RTGS accounts at the central bank: transfers, queues, limits, credit, the business day.

Cites docs/spec/central-bank.md: RTGS-1 to RTGS-12.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge import chart
from bridge.errors import (
    CurrencyUnsupported,
    DecisionInvalid,
    InsufficientFunds,
    RtgsAccountUnknown,
    RtgsQueueFull,
    TransferConflict,
    TransferLimitExceeded,
    TransferNotQueued,
    TransferUnknown,
    ZeroAmount,
)
from bridge.interbank import Kind
from bridge.money import Amount, parse_currency
from bridge.rtgs import QUEUE_MAX, Priority, Transfer, TransferState
from support.bridge_api import CENTRAL_BANK
from support.offices import Office, central_bank_office, transfer
from support.participants import BANK_A, BANK_B, PROVIDER
from support.token_books import EUR

DAY = 86_400
RTGS_A, RTGS_B = chart.rtgs(BANK_A), chart.rtgs(BANK_B)


@pytest.fixture
def bank(tmp_path: Path) -> Office:
    """The central bank; both banks have 1,000.00."""
    return central_bank_office(tmp_path)


def enter(bank: Office, order: Transfer) -> TransferState:
    with bank.store.unit_of_work() as work:
        return bank.office.rtgs.enter(work, order).state


def enter_all(bank: Office, orders: list[Transfer]) -> None:
    with bank.store.unit_of_work() as work:
        for order in orders:
            bank.office.rtgs.enter(work, order)


def state(bank: Office, order: Transfer) -> TransferState:
    with bank.store.reading() as work:
        return work.rtgs.get(order.ordered_by, order.transfer_id).state


def cancel(bank: Office, order: Transfer) -> TransferState:
    with bank.store.unit_of_work() as work:
        return bank.office.rtgs.cancel(work, order.ordered_by, order.transfer_id, bank.now).state


def test_rtgs_1_a_transfer_settles_at_once_where_there_is_money(bank: Office) -> None:
    assert enter(bank, transfer(1, 60_000)) is TransferState.SETTLED
    assert (bank.ledger(RTGS_A), bank.ledger(RTGS_B)) == (40_000, 160_000)


def test_rtgs_2_a_reference_settles_once_and_stands_for_one_transfer(bank: Office) -> None:
    order = transfer(1, 60_000)
    enter(bank, order)
    assert enter(bank, order) is TransferState.SETTLED
    assert bank.ledger(RTGS_A) == 40_000
    with pytest.raises(TransferConflict):
        enter(bank, replace(order, amount=Amount(EUR, 1)))


def test_rtgs_3_what_has_no_money_waits_and_settles_as_it_arrives(bank: Office) -> None:
    order = transfer(1, 150_000)
    assert enter(bank, order) is TransferState.QUEUED
    enter(bank, transfer(2, 50_000, debtor=BANK_B, creditor=BANK_A))
    assert state(bank, order) is TransferState.SETTLED
    assert (bank.ledger(RTGS_A), bank.ledger(RTGS_B)) == (0, 200_000)


def test_rtgs_4_a_small_transfer_does_not_pass_a_large_one(bank: Office) -> None:
    large, small = transfer(1, 150_000), transfer(2, 1_000)
    enter(bank, large)
    assert enter(bank, small) is TransferState.QUEUED
    cancel(bank, large)
    assert state(bank, small) is TransferState.SETTLED


def test_rtgs_4_an_urgent_one_passes_normal_ones_and_no_urgent_one(bank: Office) -> None:
    enter(bank, transfer(1, 150_000))
    urgent = transfer(2, 90_000, priority=Priority.URGENT)
    assert enter(bank, urgent) is TransferState.SETTLED
    second = transfer(3, 50_000, priority=Priority.URGENT)
    third = transfer(4, 1_000, priority=Priority.URGENT)
    assert enter(bank, second) is TransferState.QUEUED
    assert enter(bank, third) is TransferState.QUEUED


def test_rtgs_5_only_who_ordered_a_transfer_cancels_it_and_only_while_it_waits(
    bank: Office,
) -> None:
    order = transfer(1, 150_000)
    enter(bank, order)
    with pytest.raises(TransferUnknown):
        cancel(bank, replace(order, ordered_by=BANK_B))
    assert cancel(bank, order) is TransferState.CANCELLED
    assert cancel(bank, order) is TransferState.CANCELLED
    settled = transfer(2, 100)
    enter(bank, settled)
    with pytest.raises(TransferNotQueued):
        cancel(bank, settled)
    assert bank.ledger(RTGS_A) == 99_900


def test_rtgs_6_what_waits_at_the_end_of_the_day_expires(bank: Office) -> None:
    order = transfer(1, 150_000)
    enter(bank, order)
    bank.later(DAY)
    assert state(bank, order) is TransferState.EXPIRED
    assert bank.ledger(RTGS_A) == 100_000


def test_rtgs_7_a_credit_line_is_used_within_the_day_and_is_credit_overnight(
    bank: Office,
) -> None:
    bank.done("set_rtgs_terms", BANK_A, {"credit_line": "200.00"})
    assert enter(bank, transfer(1, 120_001)) is TransferState.QUEUED
    cancel(bank, transfer(1, 120_001))
    assert enter(bank, transfer(2, 120_000)) is TransferState.SETTLED
    assert bank.ledger(RTGS_A) == -20_000
    lent = bank.ledger(chart.lending(EUR))
    bank.later(DAY)
    assert bank.ledger(RTGS_A) == 0
    assert bank.ledger(chart.lending(EUR)) == lent + 20_000
    bank.later(DAY)
    assert bank.ledger(chart.lending(EUR)) == lent + 20_000


def test_rtgs_8_limits_bound_one_transfer_and_one_day(bank: Office) -> None:
    bank.done("set_rtgs_terms", BANK_A, {"transfer_max": "500.00", "day_max": "800.00"})
    with pytest.raises(TransferLimitExceeded):
        enter(bank, transfer(1, 50_001))
    enter(bank, transfer(2, 50_000))
    with pytest.raises(TransferLimitExceeded):
        enter(bank, transfer(3, 30_001))
    assert enter(bank, transfer(3, 30_000)) is TransferState.SETTLED
    bank.later(DAY)
    assert enter(bank, transfer(4, 20_000, at=bank.now)) is TransferState.SETTLED


def test_rtgs_8_a_queue_has_an_end(bank: Office) -> None:
    enter_all(bank, [transfer(number, 150_000) for number in range(QUEUE_MAX)])
    with pytest.raises(RtgsQueueFull):
        enter(bank, transfer(QUEUE_MAX, 1))


def test_rtgs_9_what_cannot_be_a_transfer_here_is_refused(bank: Office) -> None:
    with pytest.raises(RtgsAccountUnknown):
        enter(bank, transfer(1, 1, creditor=PROVIDER))
    with pytest.raises(RtgsAccountUnknown):
        enter(bank, transfer(1, 1, debtor=PROVIDER))
    with pytest.raises(CurrencyUnsupported):
        enter(bank, replace(transfer(1, 1), amount=Amount(parse_currency("SGD"), 1)))


def test_rtgs_10_both_parties_are_told_once_of_what_settled(bank: Office) -> None:
    enter(bank, transfer(1, 60_000))
    told = [(to, body["state"]) for to, kind, body, _ in bank.posted()]
    assert sorted(told) == sorted([(BANK_A, "settled"), (BANK_B, "settled")])
    order = transfer(2, 150_000)
    enter(bank, order)
    cancel(bank, order)
    assert [(to, body["state"], body["reason"]) for to, _, body, _ in bank.posted()] == [
        (BANK_A, "cancelled", "CUST")
    ]


def test_rtgs_11_the_central_banks_own_orders_take_two_persons(bank: Office) -> None:
    assert bank.done("open_rtgs_account", PROVIDER, {}).outcome == "opened"
    assert bank.done("grant_credit", PROVIDER, {"amount": "50.00"}).outcome == "granted"
    assert bank.ledger(chart.rtgs(PROVIDER)) == 5_000
    document = {"creditor": BANK_A, "amount": "20.00", "end_to_end_id": "ORDER-1"}
    assert bank.done("transfer_rtgs", PROVIDER, document).outcome == "settled"
    assert bank.ledger(RTGS_A) == 102_000
    assert bank.done("repay_credit", PROVIDER, {"amount": "30.00"}).outcome == "repaid"
    assert bank.ledger(chart.rtgs(PROVIDER)) == 0
    with pytest.raises(InsufficientFunds):
        bank.done("repay_credit", PROVIDER, {"amount": "0.01"}, key="again")


def test_rtgs_11_an_order_that_is_none_is_not_proposed(bank: Office) -> None:
    document = {"creditor": BANK_B, "amount": "1.00", "end_to_end_id": "ORDER-1"}
    for changed in (
        {"creditor": BANK_A},
        {"priority": "yesterday"},
        {"colour": "red"},
    ):
        with pytest.raises(DecisionInvalid):
            bank.done("transfer_rtgs", BANK_A, {**document, **changed})
    with pytest.raises(DecisionInvalid):
        bank.done("grant_credit", BANK_A, {})
    with pytest.raises(ZeroAmount):
        bank.done("grant_credit", BANK_A, {"amount": "0.00"})
    with pytest.raises(DecisionInvalid):
        bank.done("cancel_transfer", "unknown", {})
    with pytest.raises(RtgsAccountUnknown):
        bank.done("grant_credit", PROVIDER, {"amount": "1.00"})


def test_rtgs_11_operators_cancel_what_a_participant_ordered(bank: Office) -> None:
    order = transfer(1, 150_000)
    enter(bank, order)
    proposal = bank.done("cancel_transfer", order.transfer_id, {"ordered_by": BANK_A})
    assert proposal.outcome == "cancelled"


def test_rtgs_12_credit_lets_the_queue_move(bank: Office) -> None:
    order = transfer(1, 150_000)
    enter(bank, order)
    bank.done("grant_credit", BANK_A, {"amount": "500.00"})
    assert state(bank, order) is TransferState.SETTLED
    kinds = {(to, kind, body["debtor"]) for to, kind, body, _ in bank.posted()}
    assert (BANK_A, Kind.TRANSFER_NOTICE, CENTRAL_BANK) in kinds


def test_rtgs_3_a_step_settles_a_bounded_number_and_a_worker_goes_on(bank: Office) -> None:
    small = [transfer(number, 200) for number in range(1, 600)]
    enter_all(bank, [transfer(0, 150_000), *small])
    assert bank.ledger(RTGS_A) == 100_000
    bank.done("grant_credit", BANK_A, {"amount": "2000.00"})
    with bank.store.reading() as work:
        assert work.rtgs.queue_of(BANK_A)[0] == 100
    assert bank.do_effects() == ["settle_queues"]
    with bank.store.reading() as work:
        assert work.rtgs.queue_of(BANK_A) == (0, 0)
