"""The central bank's register and a bank's end of it, under wrong, late and repeated messages.

Cites docs/spec/retail.md (CBDC-n).
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge import chart
from bridge.errors import (
    BridgeError,
    CurrencyUnsupported,
    EnvelopeInvalid,
    InsufficientFunds,
    RetailCreditAhead,
    RetailCreditConflict,
    RetailOrderConflict,
    RetailReceiverUnknown,
)
from bridge.interbank import Kind, Received
from bridge.retail.ordering import order_vault
from bridge.retail.paying import RetailOrder
from bridge.store.retail_register import CustodyDirection
from bridge.wallet import RetailKind
from support.bridge_api import CENTRAL_BANK
from support.participants import BANK_A, BANK_B, PROVIDER
from support.retail_network import (
    DEPOSIT,
    EUR,
    House,
    RetailNetwork,
    check_books,
    euros,
    make_retail_network,
)

REFERENCE = "ab" * 32
ISSUE = {"direction": "issue", "reference": REFERENCE, "amount": "100.00", "currency": "EUR"}
CREDIT = {
    "reference": REFERENCE,
    "position": "1",
    "sender": BANK_A,
    "amount": "1.00",
    "currency": "EUR",
    "sealed": "x",
}


@pytest.fixture
def network(tmp_path: Path) -> RetailNetwork:
    return make_retail_network(tmp_path)


def order(network: RetailNetwork, body: dict[str, str], sender: str = BANK_A) -> dict[str, str]:
    books = network.central_bank.register
    assert books is not None
    return books.receive(Received(sender, Kind.RETAIL_ORDER, body))


def take(network: RetailNetwork, body: dict[str, str], sender: str = CENTRAL_BANK) -> None:
    network.bank_b.business.receive(Received(sender, Kind.RETAIL_CREDIT, body))


def vault(house: House, cents: int, purpose: str) -> None:
    keeper = house.business.intermediary
    with house.store.unit_of_work() as work:
        order_vault(keeper, work, euros(cents), purpose, direction=CustodyDirection.ISSUE)


def ask(network: RetailNetwork, kind: RetailKind, names: tuple[str, str], cents: int) -> Any:
    payer, payee = names
    asked = RetailOrder(
        kind=kind,
        wallet_id=network.wallets[payer].wallet_id,
        amount=euros(cents),
        payee_lei=network.bank_of(payee).lei,
        payee_wallet=network.wallets[payee].wallet_id,
    )
    key = f"{kind}-{payer}-{payee}-{cents}"
    return network.bank_of(payer).business.cashier.take(payer, asked, key).body


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"amount": "15000.01"}, InsufficientFunds),
        ({"amount": "0"}, EnvelopeInvalid),
        ({"amount": "1.001"}, BridgeError),
        ({"currency": "SGD"}, CurrencyUnsupported),
        ({"reference": "ab"}, EnvelopeInvalid),
        ({"reference": "zz" * 32}, EnvelopeInvalid),
        ({"direction": "burn"}, EnvelopeInvalid),
        ({"direction": "redeem"}, InsufficientFunds),
        ({"direction": "transfer"}, EnvelopeInvalid),
        ({"receiver": BANK_B, "sealed": "x"}, EnvelopeInvalid),
        ({"direction": "transfer", "receiver": BANK_B, "sealed": "x" * 8_193}, EnvelopeInvalid),
        ({"direction": "transfer", "receiver": BANK_B, "sealed": "x"}, InsufficientFunds),
        ({"direction": "transfer", "receiver": BANK_A, "sealed": "x"}, RetailReceiverUnknown),
        ({"direction": "transfer", "receiver": PROVIDER, "sealed": "x"}, RetailReceiverUnknown),
        ({"direction": "transfer", "receiver": "nobody", "sealed": "x"}, RetailReceiverUnknown),
    ],
)
def test_an_order_that_cannot_be_leaves_nothing(
    network: RetailNetwork, change: dict[str, str], refusal: type[BridgeError]
) -> None:
    """CBDC-3, CBDC-4."""
    with pytest.raises(refusal):
        order(network, {**ISSUE, **change})
    with network.central_bank.store.reading() as work:
        assert work.retail_register.find(bytes.fromhex(REFERENCE)) is None
    assert network.in_register(network.bank_a) == 0


def test_an_order_is_carried_out_once_and_another_under_its_reference_refused(
    network: RetailNetwork,
) -> None:
    """CBDC-3."""
    assert order(network, ISSUE) == order(network, ISSUE) == {"reference": REFERENCE}
    assert network.in_register(network.bank_a) == 10_000
    for change, sender in (
        ({"amount": "1.00"}, BANK_A),
        ({"direction": "redeem"}, BANK_A),
        ({}, BANK_B),
    ):
        with pytest.raises(RetailOrderConflict):
            order(network, {**ISSUE, **change}, sender)
    assert network.in_register(network.bank_a) == 10_000


def test_only_banks_keep_retail_cbdc(network: RetailNetwork) -> None:
    """CBDC-50."""
    with pytest.raises(RetailReceiverUnknown):
        order(network, ISSUE, PROVIDER)


@pytest.mark.parametrize(
    "change",
    [
        {"tiers": "[]"},
        {"tiers": '{"individual": -1}'},
        {"tiers": '{"individual": true}'},
        {"tiers": '{"%s": 1}' % ("x" * 41)},
        {"day": "1000001"},
        {"day": "-1"},
        {"day": "x"},
        {"in_custody": "-1"},
        {"currency": "SGD"},
    ],
)
def test_a_report_that_counts_nothing_is_refused(
    network: RetailNetwork, change: dict[str, str]
) -> None:
    """CBDC-51."""
    report = {"day": "20000", "currency": "EUR", "in_custody": "1.00", "tiers": "{}"} | change
    books = network.central_bank.register
    assert books is not None
    with pytest.raises(BridgeError):
        books.receive(Received(BANK_A, Kind.RETAIL_REPORT, report))


@pytest.mark.parametrize(
    ("change", "sender", "refusal"),
    [
        ({}, BANK_A, EnvelopeInvalid),
        ({"position": "2"}, CENTRAL_BANK, RetailCreditAhead),
        ({"position": "0"}, CENTRAL_BANK, RetailCreditConflict),
        ({"position": "x"}, CENTRAL_BANK, EnvelopeInvalid),
        ({"amount": "0"}, CENTRAL_BANK, EnvelopeInvalid),
        ({"reference": "ab"}, CENTRAL_BANK, EnvelopeInvalid),
        ({"currency": "SGD"}, CENTRAL_BANK, CurrencyUnsupported),
    ],
)
def test_a_credit_that_cannot_be_leaves_nothing(
    network: RetailNetwork, change: dict[str, str], sender: str, refusal: type[BridgeError]
) -> None:
    """CBDC-22."""
    with pytest.raises(refusal):
        take(network, {**CREDIT, **change}, sender)
    assert network.bank_b.ledger(chart.custody(EUR)) == 0


def test_a_credit_is_taken_once_and_another_under_its_position_refused(
    network: RetailNetwork,
) -> None:
    """CBDC-22: what cannot be read goes to suspense, and back."""
    take(network, CREDIT)
    take(network, CREDIT)
    assert network.bank_b.ledger(chart.custody(EUR)) == 100
    for change in ({"amount": "2.00"}, {"reference": "cd" * 32}, {"position": "2"}):
        with pytest.raises(RetailCreditConflict):
            take(network, {**CREDIT, **change})
    assert network.bank_b.ledger(chart.custody(EUR)) == 100


def test_what_the_vault_holds_above_its_limit_is_redeemed(tmp_path: Path) -> None:
    """CBDC-5."""
    network = make_retail_network(tmp_path, vault_max="100.00")
    vault(network.bank_a, 90_000, "first")
    network.run()
    assert ask(network, RetailKind.LOAD, ("alice", "alice"), 50_000)["status"] == "settled"
    network.run()
    assert network.bank_a.ledger(chart.vault(EUR)) == 10_000
    assert network.in_register(network.bank_a) == 60_000
    check_books(network)


def test_the_limit_of_a_day_counts_what_was_drawn_and_begins_anew_at_midnight(
    tmp_path: Path,
) -> None:
    """CBDC-11: from the postings alone, in UTC days."""
    tier = {"name": "individual", "holder": "individual", "daily_max": "500.00"}
    merchant = {"name": "merchant", "holder": "merchant", "balance_max": "0"}
    network = make_retail_network(tmp_path, scheme=None, tiers=[tier, merchant])
    vault(network.bank_a, 100_000, "first")
    network.run()
    ask(network, RetailKind.LOAD, ("alice", "alice"), 10_000)
    assert ask(network, RetailKind.PAYMENT, ("alice", "bob"), 30_000)["status"] == "settled"
    assert ask(network, RetailKind.PAYMENT, ("alice", "dave"), 20_000)["status"] == "reserved"
    refused = ask(network, RetailKind.PAYMENT, ("alice", "bob"), 1)
    assert refused["code"] == "spending_limit_exceeded"
    network.clock.now += 86_400
    assert ask(network, RetailKind.PAYMENT, ("alice", "bob"), 2)["status"] == "settled"
    again = ask(network, RetailKind.PAYMENT, ("alice", "bob"), 1)
    assert again == refused  # a key that was refused stays refused


def test_a_bank_put_back_from_a_backup_fetches_what_came_since(
    tmp_path: Path, network: RetailNetwork
) -> None:
    """CBDC-24."""
    vault(network.bank_a, 100_000, "first")
    network.run()
    file = tmp_path / BANK_B / "bridge.sqlite"
    with (
        closing(sqlite3.connect(file)) as source,
        closing(sqlite3.connect(tmp_path / "backup")) as backup,
    ):
        source.backup(backup)
    for cents in (1_000, 2_000):
        ask(network, RetailKind.PAYMENT, ("alice", "dave"), cents)
    network.run(seconds=3)
    assert network.held("dave") == 3_000
    with (
        closing(sqlite3.connect(tmp_path / "backup")) as backup,
        closing(sqlite3.connect(file)) as target,
    ):
        backup.backup(target)
    assert network.held("dave") == 0
    network.bank_b.business.open()
    ask(network, RetailKind.PAYMENT, ("alice", "dave"), 4_000)
    network.run(seconds=3)
    assert network.held("dave") == 7_000
    check_books(network)


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE retail_register SET amount = amount * 2",
        "DELETE FROM retail_register",
        "INSERT OR REPLACE INTO retail_register SELECT * FROM retail_register",
    ],
)
def test_the_register_cannot_be_rewritten(
    tmp_path: Path, network: RetailNetwork, attack: str
) -> None:
    """CBDC-3: the database itself refuses it."""
    order(network, ISSUE)
    with closing(sqlite3.connect(tmp_path / CENTRAL_BANK / "bridge.sqlite")) as connection:
        with pytest.raises(sqlite3.DatabaseError, match="immutable"):
            connection.execute(attack)
        connection.rollback()


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE retail_credits SET amount = 1000",
        "DELETE FROM retail_credits",
        "INSERT OR REPLACE INTO retail_credits SELECT * FROM retail_credits",
    ],
)
def test_a_credit_cannot_be_rewritten(tmp_path: Path, network: RetailNetwork, attack: str) -> None:
    """CBDC-22: the database itself refuses it."""
    take(network, CREDIT)
    with closing(sqlite3.connect(tmp_path / BANK_B / "bridge.sqlite")) as connection:
        with pytest.raises(sqlite3.DatabaseError, match="immutable"):
            connection.execute(attack)
        connection.rollback()


def test_the_reserves_are_the_deposits_of_the_network(network: RetailNetwork) -> None:
    """What the tests above count on."""
    assert network.bank_a.ledger(chart.reserves(EUR)) == 3 * DEPOSIT
    check_books(network)
