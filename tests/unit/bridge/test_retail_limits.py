"""Tiers, limits and waterfalls of wallets, by themselves. Cites docs/spec/retail.md (CBDC-n)."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.config import RetailSettings
from bridge.errors import (
    HoldingLimitExceeded,
    IdentificationLacking,
    InsufficientFunds,
    Rejected,
    RetailPaymentUnexpected,
    SettingsInvalid,
    SpendingLimitExceeded,
    WalletHeld,
)
from bridge.money import Amount, parse_currency
from bridge.retail.intermediary import WalletOrder
from bridge.retail.tiers import load_scheme, load_tiers
from bridge.wallet import (
    RetailKind,
    RetailPayment,
    RetailState,
    Spending,
    Wallet,
    check_spending,
    drawn_from_deposit,
    excess_over_limit,
    step,
)
from support.retail_network import RetailNetwork, account_number, make_retail_network

CNY = parse_currency("CNY")
TIERS = load_tiers(RetailSettings(currency="CNY", scheme="e-cny"))
WALLET = Wallet("wal_1", "li", CNY, "four", frozenset({"phone"}), "deposit:li", 0)


def yuan(whole: int) -> Amount:
    return Amount(CNY, whole * 100)


@pytest.mark.parametrize(
    ("tier", "limits"),
    [
        ("four", (10_000, 2_000, 5_000, 50_000)),
        ("three", (20_000, 5_000, 10_000, None)),
        ("two", (500_000, 50_000, 100_000, None)),
        ("one", (None, None, None, None)),
    ],
)
def test_the_tiers_of_the_e_cny_are_those_published(
    tier: str, limits: tuple[int | None, ...]
) -> None:
    found = TIERS[tier]
    given = (found.balance_max, found.payment_max, found.daily_max, found.annual_max)
    assert given == tuple(None if limit is None else yuan(limit) for limit in limits)


def test_the_digital_euro_lets_a_person_hold_3000_and_a_merchant_nothing() -> None:
    tiers = load_tiers(RetailSettings(currency="EUR", scheme="digital-euro"))
    held = {name: tier.balance_max for name, tier in tiers.items()}
    assert {name: str(limit) for name, limit in held.items()} == {
        "individual": "3000.00 EUR",
        "merchant": "0.00 EUR",
    }


def test_each_scheme_names_its_source() -> None:
    assert "People's Bank of China" in load_scheme("e-cny").source
    assert "European Central Bank" in load_scheme("digital-euro").source


@pytest.mark.parametrize(
    ("currency", "scheme"), [("EUR", "e-cny"), ("EUR", "no-such"), ("EUR", "..-x")]
)
def test_a_scheme_that_does_not_fit_is_refused(currency: str, scheme: str) -> None:
    with pytest.raises((SettingsInvalid, ValueError)):
        load_tiers(RetailSettings(currency=currency, scheme=scheme))


@pytest.mark.parametrize(
    ("amount", "today", "year", "limit"),
    [
        (2_001, 0, 0, "payment_max"),
        (2_000, 3_001, 3_001, "daily_max"),
        (2_000, 0, 48_001, "annual_max"),
    ],
)
def test_the_limit_that_is_exceeded_is_named(
    amount: int, today: int, year: int, limit: str
) -> None:
    """CBDC-11."""
    spent = Spending(yuan(today), yuan(year))
    with pytest.raises(SpendingLimitExceeded) as refused:
        check_spending(TIERS["four"], yuan(amount), spent)
    assert refused.value.limit == limit
    check_spending(TIERS["one"], yuan(amount), spent)


def test_what_just_reaches_a_limit_is_within_it() -> None:
    """CBDC-11."""
    check_spending(TIERS["four"], yuan(2_000), Spending(yuan(3_000), yuan(48_000)))


@pytest.mark.parametrize(("holding", "excess"), [(0, 0), (9_000, 0), (9_500, 500), (10_000, 1_000)])
def test_the_excess_is_what_is_above_the_limit(holding: int, excess: int) -> None:
    """CBDC-13."""
    found = excess_over_limit(WALLET, TIERS["four"], yuan(holding), yuan(1_000))
    assert found == yuan(excess)


def test_without_a_linked_account_neither_waterfall_runs() -> None:
    """CBDC-15."""
    unlinked = replace(WALLET, linked_account=None)
    with pytest.raises(HoldingLimitExceeded):
        excess_over_limit(unlinked, TIERS["four"], yuan(9_500), yuan(1_000))
    with pytest.raises(InsufficientFunds):
        drawn_from_deposit(unlinked, yuan(2), yuan(1))
    assert drawn_from_deposit(WALLET, yuan(2), yuan(1)) == yuan(1)


def test_what_is_over_goes_nowhere_again() -> None:
    payment = RetailPayment(
        payment_id="ret_1",
        kind=RetailKind.PAYMENT,
        state=RetailState.EXPIRED,
        client="li",
        wallet_id="wal_1",
        amount=yuan(1),
        payee_lei="",
        payee_wallet="wal_2",
        created_at=0,
    )
    with pytest.raises(RetailPaymentUnexpected):
        step(payment, RetailState.SETTLED)


@pytest.fixture
def network(tmp_path: Path) -> RetailNetwork:
    return make_retail_network(tmp_path)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"tier": "merchant"}, WalletHeld),
        ({"identification": frozenset()}, IdentificationLacking),
        ({"linked_identification": account_number("bob")}, Rejected),
        ({"tier": "none"}, Rejected),
        ({"customer_id": "nobody", "linked_identification": None}, Rejected),
    ],
)
def test_a_wallet_that_may_not_be_is_not_opened(
    network: RetailNetwork, change: dict[str, object], refusal: type[Rejected]
) -> None:
    """CBDC-10."""
    house = network.bank_a
    right = WalletOrder(
        customer_id="alice",
        tier="individual",
        identification=frozenset({"identity_document", "bank_account"}),
        linked_identification=account_number("alice"),
    )
    keeper = house.business.intermediary
    with house.store.unit_of_work() as work:
        assert keeper.open_wallet(work, right, network.clock()) == network.wallets["alice"]
    with house.store.unit_of_work() as work, pytest.raises(refusal):
        keeper.open_wallet(work, replace(right, **change), network.clock())  # type: ignore[arg-type]
