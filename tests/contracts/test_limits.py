"""Limits that participants put on their own accounts, as docs/spec/settlement.md requires them (LIM)."""

import pytest

from bridge.config import ROUND_ITEMS_MAX
from support.chain_harness import refused
from support.rounds import as_argument, propose
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    Street,
)
from support.waiting import (
    FOR_LIMIT,
    HIGH,
    NO_LIMIT,
    QUEUED,
    SETTLED,
    URGENT,
    pay,
    resolve,
    terms_of,
)


def test_lim_1_a_net_limit_makes_wait_and_inflow_frees_it(hundreds: Street) -> None:
    hundreds.settlement.transact(ALPHA.operating, "setLimits", ALPHA.reference(), EUR, 30, NO_LIMIT)
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 30)))[0]
        == SETTLED
    )
    more = terms_of(hundreds, ALPHA, BETA, 5)
    payment_id = hundreds.instruct(more)
    receipt = hundreds.accept(payment_id, more)
    assert receipt.event("PaymentQueued").arguments["reason"] == FOR_LIMIT
    with refused("SettlementNothingToSettle"):
        resolve(hundreds, {payment_id: more})
    pay(hundreds, BETA, ALPHA, terms_of(hundreds, BETA, ALPHA, 5))
    assert "PaymentSettled" in resolve(hundreds, {payment_id: more})
    used = hundreds.settlement.read("limitsOf", ALPHA.settlement.address, EUR)
    assert used == (30, NO_LIMIT, 30, 35)


def test_lim_1_a_gross_limit_counts_the_day_and_ends_with_it(hundreds: Street) -> None:
    hundreds.settlement.transact(ALPHA.operating, "setLimits", ALPHA.reference(), EUR, NO_LIMIT, 30)
    pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 30))
    pay(hundreds, BETA, ALPHA, terms_of(hundreds, BETA, ALPHA, 30))
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 1)))[0] == QUEUED
    )
    day = hundreds.now // 86_400
    hundreds.chain.now = (day + 1) * 86_400
    urgent = terms_of(hundreds, ALPHA, BETA, 30, priority=URGENT)
    assert hundreds.state(pay(hundreds, ALPHA, BETA, urgent))[0] == SETTLED


def test_lim_2_a_bilateral_limit_holds_towards_one_counterparty(hundreds: Street) -> None:
    hundreds.settlement.transact(
        ALPHA.operating, "setBilateralLimit", ALPHA.reference(), EUR, BETA.lei, 10
    )
    assert (
        hundreds.state(pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 10)))[0]
        == SETTLED
    )
    held = terms_of(hundreds, ALPHA, BETA, 1)
    waits = pay(hundreds, ALPHA, BETA, held)
    assert hundreds.state(waits)[0] == QUEUED
    free = terms_of(hundreds, ALPHA, MAKER, 20, priority=HIGH)
    assert hundreds.state(pay(hundreds, ALPHA, MAKER, free))[0] == SETTLED
    with refused("SettlementNothingToSettle"):
        resolve(hundreds, {waits: held})
    back = terms_of(hundreds, BETA, ALPHA, 1)
    pay(hundreds, BETA, ALPHA, back)
    assert "PaymentSettled" in resolve(hundreds, {waits: held})
    found = hundreds.settlement.read("bilateralLimitOf", ALPHA.settlement.address, EUR, BETA.lei)
    assert found == (10, 10)


def test_lim_1_only_the_holder_limits_its_account(hundreds: Street) -> None:
    for sender, account, currency in (
        (BETA, ALPHA.reference(), EUR),
        (ALPHA, ALPHA.reference("operating"), EUR),
        (ALPHA, ALPHA.reference(), b"USD"),
    ):
        with refused("SettlementInvalidLimit", account, currency):
            hundreds.settlement.transact(sender.operating, "setLimits", account, currency, 1, 1)
    with refused("SettlementInvalidLimit"):
        hundreds.settlement.transact(
            ALPHA.operating, "setLimits", ALPHA.reference(), EUR, NO_LIMIT + 1, 1
        )


@pytest.mark.slow
def test_rnd_1_a_round_of_which_a_limit_drops_most_fits_a_transaction(street: Street) -> None:
    street.settlement.transact(
        ALPHA.operating, "setBilateralLimit", ALPHA.reference(), EUR, BETA.lei, 1
    )
    waiting = {}
    for number in range(ROUND_ITEMS_MAX):
        terms = terms_of(street, ALPHA, BETA if number % 2 else MAKER, 1)
        waiting[pay(street, ALPHA, BETA if number % 2 else MAKER, terms)] = terms
    street.fund(EUR, {ALPHA: 1_000})
    receipt = street.settlement.transact(
        MAKER.operating, "resolve", as_argument(propose(street, waiting)), gas_limit=16_000_000
    )
    assert receipt.event("RoundSettled").arguments["settled"] == 3
    assert receipt.gas_used < 8_000_000
