"""Offline vouchers: paid once, whoever presents them and wherever; who spends twice is caught.

Cites docs/spec/retail.md (CBDC-n).
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge import chart
from bridge.errors import (
    DeviceBlocked,
    DeviceHeld,
    DeviceUnknown,
    EnvelopeSignatureInvalid,
    ParticipantUnknown,
    Rejected,
    ResourceUnknown,
    VoucherExpired,
    VoucherInvalid,
    VoucherPassedTwice,
    VoucherSpentTwice,
    VoucherUncovered,
)
from bridge.retail import device
from bridge.retail.device import Handover
from bridge.retail.offline import DEVICES_MAX, PRESENT_SECONDS
from bridge.retail.ordering import order_vault
from bridge.retail.paying import RetailOrder
from bridge.store.retail_offline import DeviceStatus
from bridge.store.retail_register import CustodyDirection
from bridge.voucher import Presentation, Voucher
from bridge.wallet import RetailKind, RetailState
from support.offline_devices import Devices
from support.participants import BANK_A, PROVIDER
from support.retail_network import DEPOSIT, RetailNetwork, check_books, euros, make_retail_network

WEEK = 7 * 86_400


@pytest.fixture
def network(tmp_path: Path) -> RetailNetwork:
    """Alice has 600 euro in her wallet."""
    made = make_retail_network(tmp_path)
    keeper = made.bank_a.business.intermediary
    with made.bank_a.store.unit_of_work() as work:
        order_vault(keeper, work, euros(100_000), "first", direction=CustodyDirection.ISSUE)
    made.run()
    wallet_id = made.wallets["alice"].wallet_id
    load = RetailOrder(RetailKind.LOAD, wallet_id, euros(60_000), made.bank_a.lei, wallet_id)
    made.bank_a.business.cashier.take("alice", load, "load")
    return made


@pytest.fixture
def devices(network: RetailNetwork) -> Devices:
    """Every customer has a device; Alice's carries 100 euro."""
    made = Devices(network)
    for name in ("alice", "bob", "dave", "shop"):
        made.give(name)
    made.load("alice", 10_000, "first")
    return made


def offline(devices: Devices, name: str = "alice") -> int:
    return devices.network.bank_of(name).ledger(chart.offline(devices.purses[name].device))


def status(devices: Devices, name: str) -> DeviceStatus:
    with devices.network.bank_of(name).store.reading() as work:
        found = work.devices.find(devices.purses[name].device)
    assert found is not None
    return found.status


def test_a_device_carries_value_out_of_the_wallet(devices: Devices) -> None:
    """CBDC-30."""
    network = devices.network
    assert (network.held("alice"), offline(devices)) == (50_000, 10_000)
    devices.load("alice", 10_000, "first")
    assert (network.held("alice"), offline(devices)) == (50_000, 10_000)
    check_books(network)


def test_a_device_carries_no_more_than_its_tier_allows(devices: Devices) -> None:
    """CBDC-31: 300 euro in the example."""
    assert devices.load("alice", 20_001, "more")["code"] == "spending_limit_exceeded"
    devices.load("alice", 20_000, "most")
    assert offline(devices) == 30_000


def test_what_is_offline_counts_against_the_holding_limit(devices: Devices) -> None:
    """CBDC-12."""
    network = devices.network
    keeper = network.bank_a.business.intermediary
    with network.bank_a.store.reading() as work:
        assert keeper.holding(work, network.wallets["alice"]) == euros(60_000)


def test_a_voucher_in_one_bank_is_paid_at_once(devices: Devices) -> None:
    """CBDC-32."""
    network = devices.network
    paid = devices.deposit("bob", devices.hand("alice", "bob", 4_000))
    assert paid.state is RetailState.SETTLED
    assert (network.held("bob"), offline(devices)) == (4_000, 6_000)
    check_books(network)


@pytest.mark.parametrize(
    "fates", [[], ["answer"], ["question", "answer"], ["", "answer", "answer"]]
)
def test_a_voucher_of_another_bank_is_paid_over_the_central_bank(
    devices: Devices, fates: list[str]
) -> None:
    """CBDC-32: into a merchant's deposit, once, whatever is lost."""
    network = devices.network
    network.lose.extend(fates)
    claimed = devices.deposit("shop", devices.hand("alice", "shop", 4_000))
    assert claimed.state is RetailState.CLAIMED
    network.run(seconds=20)
    with network.bank_b.store.reading() as work:
        assert work.retail_payments.get(claimed.payment_id).state is RetailState.SETTLED
    assert (network.deposit("shop"), offline(devices)) == (DEPOSIT + 4_000, 6_000)
    check_books(network)


def test_the_same_deposit_twice_is_one_payment(devices: Devices) -> None:
    """CBDC-33."""
    handed = devices.hand("alice", "bob", 4_000)
    assert devices.deposit("bob", handed) == devices.deposit("bob", handed)
    assert devices.network.held("bob") == 4_000
    assert status(devices, "alice") is DeviceStatus.ACTIVE


@pytest.mark.parametrize("second", ["bob", "dave"])
def test_a_device_that_spends_twice_is_caught_at_the_deposit_and_blocked(
    devices: Devices, second: str
) -> None:
    """CBDC-33, CBDC-34: here and at another bank; both signatures are kept."""
    network, before = devices.network, devices.purses["alice"]
    first = devices.hand("alice", "shop", 4_000)
    devices.purses["alice"] = before  # the cheat: the purse as it was before it paid
    again = devices.hand("alice", second, 4_000)
    devices.deposit("shop", first)
    network.run(seconds=3)
    if second == "bob":
        with pytest.raises(VoucherSpentTwice):
            devices.deposit(second, again)
    else:
        claimed = devices.deposit(second, again)
        network.run(seconds=3)
        with network.bank_b.store.reading() as work:
            ended = work.retail_payments.get(claimed.payment_id)
        assert (ended.state, ended.reason) == (RetailState.REFUSED, "AM05")
    assert network.held(second) == 0
    assert status(devices, "alice") is DeviceStatus.BLOCKED
    with network.bank_a.store.reading() as work:
        (evidence,) = work.devices.evidence(9)
    held = [Presentation.parse(text).voucher for text in (evidence.first, evidence.second)]
    assert evidence.culprit == before.device
    assert held == [first.voucher, again.voucher]
    with pytest.raises(DeviceBlocked):
        network.bank_a.business.offline.certificate("alice", before.device)
    assert devices.load("alice", 1, "again")["code"] == "device_blocked"
    check_books(network)


def test_a_holder_may_hand_a_voucher_on_once(devices: Devices) -> None:
    """CBDC-35."""
    handed = devices.hand("alice", "bob", 4_000)
    passed = devices.pass_on("bob", "dave", handed, issuer="alice")
    with pytest.raises(VoucherInvalid):
        device.endorse(devices.purses["dave"], passed, devices.purses["shop"].device)
    devices.deposit("dave", passed)
    devices.network.run(seconds=3)
    assert devices.network.held("dave") == 4_000
    check_books(devices.network)


def test_a_holder_who_hands_on_and_deposits_too_is_caught(devices: Devices) -> None:
    """CBDC-34, CBDC-35: the device of the voucher is not to blame."""
    handed = devices.hand("alice", "bob", 4_000)
    passed = devices.pass_on("bob", "dave", handed, issuer="alice")
    devices.deposit("dave", passed)
    devices.network.run(seconds=3)
    with pytest.raises(VoucherPassedTwice) as refused:
        devices.deposit("bob", handed)
    assert refused.value.device == devices.purses["bob"].device
    assert status(devices, "bob") is DeviceStatus.BLOCKED
    assert status(devices, "alice") is DeviceStatus.ACTIVE
    assert devices.network.held("bob") == 0


def test_a_holder_at_another_bank_who_hands_on_and_deposits_too_is_blocked_there(
    devices: Devices,
) -> None:
    """CBDC-34."""
    network = devices.network
    handed = devices.hand("alice", "dave", 4_000)
    passed = devices.pass_on("dave", "bob", handed, issuer="alice")
    devices.deposit("bob", passed)
    devices.deposit("dave", handed)
    network.run(seconds=3)
    assert status(devices, "dave") is DeviceStatus.BLOCKED
    assert (network.held("bob"), network.held("dave")) == (4_000, 0)


def test_how_a_signature_is_written_accuses_nobody(devices: Devices) -> None:
    """CBDC-34: only what was signed is compared."""
    handed = devices.hand("alice", "bob", 4_000)
    paid = devices.deposit("bob", handed)
    written = replace(handed.voucher, signature=handed.voucher.signature.upper())
    presentation = devices.presentation("bob", Handover(written, handed.certificate))
    assert devices.network.bank_a.business.offline.present("bob", presentation) == paid
    assert status(devices, "alice") is DeviceStatus.ACTIVE


def test_a_device_that_signs_more_than_it_carries_is_blocked(devices: Devices) -> None:
    """CBDC-34."""
    devices.purses["alice"] = replace(devices.purses["alice"], loaded=99_999)
    handed = devices.hand("alice", "bob", 10_001)
    with pytest.raises(VoucherUncovered):
        devices.deposit("bob", handed)
    assert status(devices, "alice") is DeviceStatus.BLOCKED
    assert offline(devices) == 10_000


def test_an_honest_device_refuses_what_it_cannot_spend(devices: Devices) -> None:
    payee = devices.purses["bob"].device
    for cents in (0, -1, 10_001):
        with pytest.raises(VoucherUncovered):
            device.spend(devices.purses["alice"], cents, payee, serial=bytes(16), now=0)
    late = devices.purses["alice"].expires_at
    with pytest.raises(VoucherExpired):
        device.spend(devices.purses["alice"], 1, payee, serial=bytes(16), now=late)


@pytest.mark.parametrize("part", ["amount", "payee", "counter", "expires_at", "serial"])
def test_a_voucher_that_was_changed_is_refused(devices: Devices, part: str) -> None:
    """CBDC-32."""
    handed = devices.hand("alice", "bob", 4_000)
    change: dict[str, Any] = {
        "amount": 4_001,
        "payee": devices.purses["bob"].device,
        "counter": 2,
        "expires_at": handed.voucher.expires_at - 1,
        "serial": "ff" * 16,
    }
    if part == "payee":
        handed = devices.hand("alice", "shop", 1)
    forged = Handover(replace(handed.voucher, **{part: change[part]}), handed.certificate)
    with pytest.raises(VoucherInvalid):
        devices.deposit("bob", forged)
    with pytest.raises(VoucherInvalid):
        device.accept(devices.purses["bob"], forged, devices.bank_key("alice"), now=0)
    assert devices.network.held("bob") == 0


def test_a_voucher_is_believed_only_with_its_banks_word(devices: Devices) -> None:
    handed = devices.hand("alice", "bob", 4_000)
    with pytest.raises(EnvelopeSignatureInvalid):
        device.accept(devices.purses["bob"], handed, devices.bank_key("shop"), now=0)
    other = replace(handed, certificate="")
    with pytest.raises(Rejected):
        device.accept(devices.purses["bob"], other, devices.bank_key("alice"), now=0)


def test_a_voucher_runs_no_longer_than_its_device(devices: Devices) -> None:
    """CBDC-36."""
    purse = devices.purses["alice"]
    devices.purses["alice"] = replace(purse, expires_at=purse.expires_at + 1)
    with pytest.raises(VoucherInvalid):
        devices.deposit("bob", devices.hand("alice", "bob", 4_000))


def test_a_lost_devices_value_comes_back_less_what_it_spent(devices: Devices) -> None:
    """CBDC-36."""
    network = devices.network
    handed = devices.hand("alice", "bob", 4_000)
    kept = devices.hand("alice", "bob", 500)
    devices.deposit("bob", handed)
    network.clock.now += WEEK + PRESENT_SECONDS
    network.run()
    assert offline(devices) == 6_000
    network.clock.now += 1
    network.run()
    assert (network.held("alice"), offline(devices)) == (56_000, 0)
    with pytest.raises(VoucherExpired):
        devices.deposit("bob", kept)
    assert devices.deposit("bob", handed).state is RetailState.SETTLED
    check_books(network)


def test_another_load_moves_the_day_on_which_value_comes_back(devices: Devices) -> None:
    """CBDC-36."""
    network = devices.network
    network.clock.now += WEEK
    devices.load("alice", 1_000, "second")
    network.clock.now += PRESENT_SECONDS + 1
    network.run()
    assert offline(devices) == 11_000
    network.clock.now += WEEK
    network.run()
    assert offline(devices) == 0


def test_devices_are_their_holders_alone(devices: Devices) -> None:
    """CBDC-30."""
    network, desk = devices.network, devices.network.bank_a.business.offline
    own, bobs = network.wallets["alice"].wallet_id, devices.purses["bob"].device
    with pytest.raises(DeviceHeld):
        desk.register("alice", own, bobs)
    with pytest.raises(ResourceUnknown):
        desk.register("alice", network.wallets["bob"].wallet_id, "00" * 32)
    with pytest.raises(ResourceUnknown):
        desk.certificate("alice", bobs)
    with pytest.raises(DeviceUnknown):
        desk.register("alice", own, "no key")
    handed = devices.hand("alice", "bob", 1)
    with pytest.raises(ResourceUnknown):
        desk.present("alice", devices.presentation("bob", handed))
    for number in range(DEVICES_MAX - 1):
        desk.register("alice", own, f"{number:064x}")
    with pytest.raises(DeviceHeld):
        desk.register("alice", own, "ee" * 32)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", "[" * 5_000, '{"voucher": {}, "endorsement": null}']
)
def test_what_is_no_presentation_is_refused(text: str) -> None:
    with pytest.raises(VoucherInvalid):
        Presentation.parse(text)


def test_a_presentation_reads_as_it_was_written(devices: Devices) -> None:
    handed = devices.hand("alice", "bob", 4_000)
    passed = devices.pass_on("bob", "dave", handed, issuer="alice")
    for presentation in (
        devices.presentation("bob", handed),
        devices.presentation("dave", passed),
    ):
        assert Presentation.parse(presentation.format()) == presentation
        assert json.loads(presentation.format())["wallet_id"] == presentation.wallet_id


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE vouchers SET counter = counter + 1",
        "DELETE FROM vouchers",
        "INSERT OR REPLACE INTO vouchers SELECT * FROM vouchers",
        "UPDATE voucher_conflicts SET culprit = 'nobody'",
        "DELETE FROM voucher_conflicts",
    ],
)
def test_neither_vouchers_nor_evidence_can_be_rewritten(
    tmp_path: Path, devices: Devices, attack: str
) -> None:
    """CBDC-33, CBDC-34: the database itself refuses it."""
    before = devices.purses["alice"]
    devices.deposit("bob", devices.hand("alice", "bob", 4_000))
    devices.purses["alice"], devices.purses["bob"] = (
        before,
        replace(devices.purses["bob"], received=()),
    )
    with pytest.raises(VoucherSpentTwice):
        devices.deposit("bob", devices.hand("alice", "bob", 5_000))
    with closing(sqlite3.connect(tmp_path / BANK_A / "bridge.sqlite")) as connection:
        with pytest.raises(sqlite3.DatabaseError, match="immutable"):
            connection.execute(attack)
        connection.rollback()


def test_a_voucher_of_no_bank_is_not_even_claimed(devices: Devices) -> None:
    """CBDC-32."""
    handed = devices.hand("alice", "bob", 4_000)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    content = {
        name: getattr(handed.voucher, name)
        for name in ("currency", "amount", "payee", "counter", "serial", "expires_at")
    }
    for lei, refusal in ((PROVIDER, VoucherInvalid), ("ALPHA000000000000094", ParticipantUnknown)):
        forged = Handover(Voucher.sign(key, {**content, "bank_lei": lei}), "")
        with pytest.raises(refusal):
            devices.deposit("bob", forged)
