"""Retail CBDC at two banks and their central bank, over the banks' own APIs and sealed messages.

Cites docs/spec/retail.md by number (CBDC-n).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge import chart
from bridge.retail import device
from bridge.retail.device import Purse
from support.bridge_api import NOW, OPERATOR
from support.participants import BANK_A, BANK_B
from support.retail_network import (
    DEPOSIT,
    EUR,
    House,
    RetailNetwork,
    check_books,
    make_retail_network,
)

LIMIT = 300_000
"""Cents: the digital euro's holding limit of an individual."""


@pytest.fixture
def network(tmp_path: Path) -> RetailNetwork:
    return make_retail_network(tmp_path)


def money(cents: int) -> dict[str, str]:
    return {"value": f"{cents // 100}.{cents % 100:02}", "currency": "EUR"}


def fill_vault(network: RetailNetwork, house: House, cents: int, key: str = "vault") -> None:
    order = {"direction": "issue", "amount": money(cents)}
    answer = house.say("POST", "/v1/operations/retail/orders", OPERATOR, key=key, json=order)
    assert answer.status_code == 202, answer.text
    network.run()


def load(network: RetailNetwork, name: str, cents: int, key: str = "load") -> Any:
    wallet_id = network.wallets[name].wallet_id
    path = f"/v1/retail/wallets/{wallet_id}/loads"
    body = {"amount": money(cents)}
    answer = network.bank_of(name).say("POST", path, f"{name}-token", key=key, json=body)
    return answer.json()


def pay(
    network: RetailNetwork, payer: str, payee: str, cents: int, key: str, **more: Any
) -> dict[str, Any]:
    house = network.bank_of(payer)
    body = {
        "wallet": network.wallets[payer].wallet_id,
        "payee": {
            "wallet": network.wallets[payee].wallet_id,
            "agent": network.bank_of(payee).lei,
        },
        "amount": money(cents),
        **more,
    }
    answer = house.say("POST", "/v1/retail/payments", f"{payer}-token", key=key, json=body)
    told: dict[str, Any] = answer.json()
    return told


def status(network: RetailNetwork, name: str, payment_id: str) -> str:
    path = f"/v1/retail/payments/{payment_id}"
    told = network.bank_of(name).say("GET", path, f"{name}-token").json()
    return str(told["status"])


def test_retail_cbdc_is_issued_against_reserves_and_redeemed_for_them(
    network: RetailNetwork,
) -> None:
    """CBDC-1, CBDC-2."""
    fill_vault(network, network.bank_a, 100_000)
    assert network.bank_a.ledger(chart.custody(EUR)) == 100_000
    assert network.in_register(network.bank_a) == 100_000
    assert network.bank_a.ledger(chart.reserves(EUR)) == 3 * DEPOSIT - 100_000
    order = {"direction": "redeem", "amount": money(40_000)}
    network.bank_a.say("POST", "/v1/operations/retail/orders", OPERATOR, key="back", json=order)
    network.run()
    assert network.in_register(network.bank_a) == 60_000
    check_books(network)


def test_a_wallet_is_never_among_the_banks_deposits(network: RetailNetwork) -> None:
    """CBDC-1: wallets are in a unit of their own; the deposit is the bank's only debt."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    with network.bank_a.store.reading() as work:
        wallet = work.ledger.account(chart.wallet(network.wallets["alice"].wallet_id))
        deposit = work.ledger.account(chart.deposit("DEPOSIT-ALICE"))
    assert wallet.unit != deposit.unit
    assert (network.held("alice"), network.deposit("alice")) == (60_000, DEPOSIT - 60_000)


@pytest.mark.parametrize("fate", ["question", "answer"])
def test_an_order_whose_answer_is_lost_is_carried_out_once(
    network: RetailNetwork, fate: str
) -> None:
    """CBDC-3: silence proves nothing; the same order is asked again and answered the same."""
    network.lose.append(fate)
    fill_vault(network, network.bank_a, 100_000)
    assert network.bank_a.ledger(chart.custody(EUR)) == 0
    network.run(seconds=3)
    assert network.bank_a.ledger(chart.custody(EUR)) == 100_000
    assert network.in_register(network.bank_a) == 100_000
    check_books(network)


def test_a_payment_in_one_bank_is_one_entry_and_instant(network: RetailNetwork) -> None:
    """CBDC-20."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    told = pay(network, "alice", "bob", 25_000, "p1")
    assert told["status"] == "settled"
    assert (network.held("alice"), network.held("bob")) == (35_000, 25_000)
    assert pay(network, "alice", "bob", 25_000, "p1") == told
    assert network.held("alice") == 35_000
    check_books(network)


def test_what_is_above_the_limit_flows_on_into_the_linked_deposit(network: RetailNetwork) -> None:
    """CBDC-13."""
    fill_vault(network, network.bank_a, 600_000)
    load(network, "alice", LIMIT)
    load(network, "bob", 290_000)
    assert pay(network, "alice", "bob", 50_000, "p1")["status"] == "settled"
    assert (network.held("bob"), network.deposit("bob")) == (
        LIMIT,
        DEPOSIT - 290_000 + 40_000,
    )
    check_books(network)


def test_a_wallet_without_a_linked_account_is_not_paid_above_its_limit(
    network: RetailNetwork,
) -> None:
    """CBDC-15."""
    fill_vault(network, network.bank_a, 600_000)
    load(network, "alice", LIMIT)
    load(network, "bob", LIMIT)
    pay(network, "alice", "erin", LIMIT, "p1")
    refused = pay(network, "bob", "erin", 1, "p2")
    assert refused["code"] == "holding_limit_exceeded"
    assert (network.held("erin"), network.held("bob")) == (LIMIT, LIMIT)
    check_books(network)


def test_what_a_payment_lacks_is_drawn_from_the_deposit(network: RetailNetwork) -> None:
    """CBDC-14."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 10_000)
    assert pay(network, "alice", "bob", 45_000, "p1")["status"] == "settled"
    assert (network.held("alice"), network.deposit("alice")) == (0, DEPOSIT - 45_000)
    assert network.held("bob") == 45_000
    check_books(network)


def test_a_merchant_holds_nothing_and_is_paid_into_its_deposit(network: RetailNetwork) -> None:
    """CBDC-16: over the central bank, into another bank's merchant."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    told = pay(network, "alice", "shop", 20_000, "p1")
    assert told["status"] == "reserved"
    network.run(seconds=2)
    assert status(network, "alice", told["id"]) == "settled"
    assert (network.held("shop"), network.deposit("shop")) == (0, DEPOSIT + 20_000)
    assert network.in_register(network.bank_b) == 20_000
    check_books(network)


def test_a_payment_waits_while_its_bank_gets_retail_cbdc(network: RetailNetwork) -> None:
    """CBDC-17."""
    told = pay(network, "alice", "bob", 45_000, "p1")
    assert told["status"] == "waiting"
    assert network.deposit("alice") == DEPOSIT
    network.run(seconds=2)
    assert status(network, "alice", told["id"]) == "settled"
    assert (network.held("bob"), network.deposit("alice")) == (45_000, DEPOSIT - 45_000)
    check_books(network)


def test_a_payment_that_waits_too_long_is_over_and_its_money_free(network: RetailNetwork) -> None:
    """CBDC-17: the order stands; what comes late is the bank's own."""
    network.lose.extend(["question"] * 12)
    told = pay(network, "alice", "bob", 45_000, "p1")
    network.run(seconds=301)
    assert status(network, "alice", told["id"]) == "expired"
    network.lose.clear()
    network.run(seconds=61)
    assert (network.held("bob"), network.deposit("alice")) == (0, DEPOSIT)
    assert network.bank_a.ledger(chart.vault(EUR)) == 45_000
    check_books(network)


@pytest.mark.parametrize(
    "fates", [["answer"], ["", "", "answer"], ["question", "answer", "answer"]]
)
def test_a_payment_between_banks_is_taken_once_whatever_is_lost(
    network: RetailNetwork, fates: list[str]
) -> None:
    """CBDC-21, CBDC-22."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    network.lose.extend(fates)
    for number in range(3):
        pay(network, "alice", "dave", 10_000 + number, f"p{number}")
    network.run(seconds=20)
    assert (network.held("alice"), network.held("dave")) == (29_997, 30_003)
    check_books(network)


def test_a_transfer_that_no_wallet_can_take_goes_back_to_its_payer(
    network: RetailNetwork,
) -> None:
    """CBDC-23."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    body = {
        "wallet": network.wallets["alice"].wallet_id,
        "payee": {"wallet": "wal_" + "0" * 24, "agent": BANK_B},
        "amount": money(10_000),
    }
    told = network.bank_a.say(
        "POST", "/v1/retail/payments", "alice-token", key="p1", json=body
    ).json()
    network.run(seconds=3)
    assert status(network, "alice", told["id"]) == "returned"
    assert network.held("alice") == 60_000
    check_books(network)


def test_a_bank_that_is_none_is_refused_and_the_money_is_free(network: RetailNetwork) -> None:
    """CBDC-4: only a refusal that proves that nothing moved frees money."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    body = {
        "wallet": network.wallets["alice"].wallet_id,
        "payee": {"wallet": "wal_" + "0" * 24, "agent": "ALPHA000000000000094"},
        "amount": money(10_000),
    }
    told = network.bank_a.say(
        "POST", "/v1/retail/payments", "alice-token", key="p1", json=body
    ).json()
    network.run()
    assert status(network, "alice", told["id"]) == "refused"
    with network.bank_a.store.reading() as work:
        balance = work.ledger.balance(chart.wallet(network.wallets["alice"].wallet_id))
    assert balance.available.minor_units == 60_000


def test_money_under_a_condition_moves_when_its_releaser_says_so(network: RetailNetwork) -> None:
    """CBDC-40, CBDC-41."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    condition = {"releaser": "erin", "expires_at": NOW + 100}
    told = pay(network, "alice", "bob", 10_000, "p1", condition=condition)
    assert told["status"] == "held"
    path = f"/v1/retail/payments/{told['id']}/release"
    assert network.bank_a.say("POST", path, "alice-token").status_code == 404
    assert network.bank_a.say("POST", path, "erin-token").json()["status"] == "settled"
    assert network.bank_a.say("POST", path, "erin-token").json()["status"] == "settled"
    assert (network.held("alice"), network.held("bob")) == (50_000, 10_000)
    check_books(network)


def test_money_under_a_condition_is_free_when_it_lapses(network: RetailNetwork) -> None:
    """CBDC-42."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    condition = {"releaser": "erin", "expires_at": NOW + 2}
    told = pay(network, "alice", "bob", 10_000, "p1", condition=condition)
    network.run(seconds=3)
    assert status(network, "alice", told["id"]) == "expired"
    path = f"/v1/retail/payments/{told['id']}/release"
    answer = network.bank_a.say("POST", path, "erin-token")
    assert (answer.status_code, answer.json()["code"]) == (422, "retail_payment_not_open")
    assert network.held("bob") == 0


def test_the_register_knows_banks_and_no_persons(network: RetailNetwork) -> None:
    """CBDC-50."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    pay(network, "alice", "dave", 20_000, "p1")
    network.run(seconds=2)
    told = network.central_bank.say("GET", "/v1/operations/retail/register", OPERATOR)
    assert told.json()["is_whole"]
    assert told.json()["in_issue"] == money(100_000)
    by_bank = {item["lei"]: item["in_custody"] for item in told.json()["intermediaries"]}
    assert by_bank == {BANK_A: money(80_000), BANK_B: money(20_000)}
    file = network.central_bank.store
    with file.reading() as work:
        kept = repr([work.retail_register.find(bytes.fromhex(told_id)) for told_id in _moved(work)])
    assert all(wallet.wallet_id not in kept for wallet in network.wallets.values())


def _moved(work: Any) -> list[str]:
    names = [
        entry.entry.entry_id for entry in work.ledger.entries(chart.retail_issued(BANK_B)).items
    ]
    return [name.removeprefix("retail:") for name in names]


def test_a_bank_reports_each_day_what_it_keeps_and_how_many_wallets(
    network: RetailNetwork,
) -> None:
    """CBDC-51."""
    fill_vault(network, network.bank_a, 100_000)
    network.clock.now += 86_400
    network.run()
    told = network.central_bank.say("GET", "/v1/operations/retail/register", OPERATOR).json()
    reports = {item["lei"]: item["report"] for item in told["intermediaries"]}
    assert reports[BANK_A] == {
        "day": NOW // 86_400,
        "in_custody": money(100_000),
        "tiers": {"individual": 3},
    }
    assert reports[BANK_B]["tiers"] == {"individual": 1, "merchant": 1}


def test_a_bank_without_reserves_says_so_and_remembers_nothing(network: RetailNetwork) -> None:
    """CBDC-17."""
    fill_vault(network, network.bank_a, 3 * DEPOSIT)
    back = {"direction": "issue", "amount": money(1)}
    answer = network.bank_a.say(
        "POST", "/v1/operations/retail/orders", OPERATOR, key="more", json=back
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "custody_short")
    assert answer.json()["retryable"]


def test_offline_money_over_the_api(network: RetailNetwork) -> None:
    """CBDC-30, CBDC-32, CBDC-33: as a telephone and a till do it."""
    fill_vault(network, network.bank_a, 100_000)
    load(network, "alice", 60_000)
    bank_key = network.bank_a.institution.directory().by_lei(BANK_A).signing_key
    purses = {}
    for name in ("alice", "bob"):
        key = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32))
        purses[name] = Purse(key, BANK_A, "EUR")
        body = {"wallet": network.wallets[name].wallet_id, "device": purses[name].device}
        answer = network.bank_a.say("POST", "/v1/retail/devices", f"{name}-token", json=body)
        assert answer.status_code == 201
    path = f"/v1/retail/devices/{purses['alice'].device}"
    amount = {"amount": money(5_000)}
    loaded = network.bank_a.say("POST", f"{path}/loads", "alice-token", key="l", json=amount)
    assert (loaded.status_code, loaded.json()["loaded"]) == (202, 5_000)
    told = network.bank_a.say("GET", f"{path}/certificate", "alice-token").json()
    alice = device.load(purses["alice"], told["certificate"], bank_key)
    _, handed = device.spend(alice, 700, purses["bob"].device, serial=bytes(16), now=NOW)
    bob = device.accept(purses["bob"], handed, bank_key, now=NOW)
    document = json.loads(device.present(bob, handed, network.wallets["bob"].wallet_id).format())
    for _ in range(2):
        paid = network.bank_a.say("POST", "/v1/retail/vouchers", "bob-token", json=document)
        assert (paid.status_code, paid.json()["status"]) == (202, "settled")
    _, again = device.spend(alice, 800, purses["bob"].device, serial=bytes(16), now=NOW)
    document = json.loads(device.present(bob, again, network.wallets["bob"].wallet_id).format())
    refused = network.bank_a.say("POST", "/v1/retail/vouchers", "bob-token", json=document)
    assert (refused.status_code, refused.json()["code"]) == (422, "voucher_spent_twice")
    shown = network.bank_a.say("GET", "/v1/operations/retail/evidence", OPERATOR).json()
    assert [each["culprit"] for each in shown["items"]] == [alice.device]
    assert network.held("bob") == 700
    check_books(network)


def test_a_wallet_is_told_to_its_holder_alone(network: RetailNetwork) -> None:
    """CBDC-10."""
    path = f"/v1/retail/wallets/{network.wallets['alice'].wallet_id}"
    told = network.bank_a.say("GET", path, "alice-token").json()
    assert told["limits"]["balance_max"] == money(LIMIT)
    assert network.bank_a.say("GET", path, "bob-token").status_code == 404
    listed = network.bank_a.say("GET", "/v1/retail/wallets", "bob-token").json()["items"]
    assert [item["customer_id"] for item in listed] == ["bob"]
    custody = network.bank_a.say("GET", "/v1/operations/retail/custody", OPERATOR).json()
    assert custody["tiers"] == {"individual": 3}


def test_one_entry_draws_for_the_payer_and_flows_on_for_the_payee(network: RetailNetwork) -> None:
    """CBDC-13, CBDC-14: the figures of docs/concepts/retail-cbdc.md; an empty vault suffices."""
    fill_vault(network, network.bank_a, 300_000)
    load(network, "alice", 10_000)
    load(network, "bob", 290_000)
    assert network.bank_a.ledger(chart.vault(EUR)) == 0
    told = pay(network, "alice", "bob", 45_000, "p1")
    assert told["status"] == "settled"
    assert (network.held("alice"), network.held("bob")) == (0, LIMIT)
    assert network.deposit("alice") == DEPOSIT - 10_000 - 35_000
    assert network.deposit("bob") == DEPOSIT - 290_000 + 35_000
    with network.bank_a.store.reading() as work:
        wallet = chart.wallet(network.wallets["alice"].wallet_id)
        (newest, *_) = work.ledger.entries(wallet).items
    assert len(newest.entry.postings) == 10
    check_books(network)
