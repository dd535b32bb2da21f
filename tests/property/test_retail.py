"""Retail CBDC under random acts and a network that loses messages: what must hold whenever it rests.

Cites docs/spec/retail.md: CBDC-1, 2, 3, 11, 12, 13, 14, 22, 33, 50.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge import chart
from bridge.errors import Rejected, Unavailable
from bridge.retail.device import Handover
from bridge.retail.ordering import order_vault
from bridge.retail.paying import Condition, RetailOrder
from bridge.store.retail_register import CustodyDirection
from bridge.wallet import RetailKind
from support.full_run import IS_FULL
from support.offline_devices import Devices
from support.retail_network import (
    DEPOSIT,
    HOLDERS,
    RetailNetwork,
    check_books,
    euros,
    make_retail_network,
)

pytestmark = pytest.mark.slow

NAMES = [name for names in HOLDERS.values() for name in names]
WITH_DEVICES = ["alice", "bob", "dave", "shop"]
HOLDING_MAX = {"shop": 0}
DAILY_MAX = 250_000
TIERS = [
    {
        "name": "individual",
        "holder": "individual",
        "balance_max": "1000.00",
        "daily_max": "2500.00",
        "offline_max": "300.00",
    },
    {"name": "merchant", "holder": "merchant", "balance_max": "0"},
]
WEALTH = DEPOSIT * len(NAMES)

names = st.sampled_from(NAMES)
cents = st.integers(1, 120_000)
fates = st.lists(st.sampled_from(["", "question", "answer"]), max_size=6)


class RetailMachine(RuleBasedStateMachine):
    """Two banks, five customers, four devices, and one that cheats."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.network: RetailNetwork = make_retail_network(
            Path(self.folder.name), scheme=None, tiers=TIERS, vault_max="400.00"
        )
        self.devices = Devices(self.network)
        for name in WITH_DEVICES:
            self.devices.give(name)
        self.handed: list[tuple[str, Handover]] = []
        self.held: list[tuple[str, str]] = []
        self.keys = 0

    def key(self) -> str:
        self.keys += 1
        return str(self.keys)

    def order(
        self, kind: RetailKind, payer: str, payee: str, amount: int, hold: Condition | None = None
    ) -> None:
        house = self.network.bank_of(payer)
        order = RetailOrder(
            kind=kind,
            wallet_id=self.network.wallets[payer].wallet_id,
            amount=euros(amount),
            payee_lei=self.network.bank_of(payee).lei,
            payee_wallet=self.network.wallets[payee].wallet_id,
            condition=hold,
        )
        key = self.key()
        try:
            told = house.business.cashier.take(payer, order, key)
            assert house.business.cashier.take(payer, order, key).body == told.body
        except (Rejected, Unavailable):
            return
        if hold is not None and not told.is_refusal:
            self.held.append((payer, str(told.body["id"])))

    @rule(house=st.sampled_from(sorted(HOLDERS)), amount=cents, back=st.booleans())
    def move_the_vault(self, house: str, amount: int, back: bool) -> None:
        keeper = self.network.houses[house].business.intermediary
        direction = CustodyDirection.REDEEM if back else CustodyDirection.ISSUE
        try:
            with self.network.houses[house].store.unit_of_work() as work:
                order_vault(keeper, work, euros(amount), self.key(), direction=direction)
        except (Rejected, Unavailable):
            return

    @rule(kind=st.sampled_from([RetailKind.LOAD, RetailKind.UNLOAD]), name=names, amount=cents)
    def exchange(self, kind: RetailKind, name: str, amount: int) -> None:
        self.order(kind, name, name, amount)

    @rule(payer=names, payee=names, amount=cents)
    def pay(self, payer: str, payee: str, amount: int) -> None:
        self.order(RetailKind.PAYMENT, payer, payee, amount)

    @rule(payer=names, payee=names, amount=cents, seconds=st.integers(1, 40))
    def hold(self, payer: str, payee: str, amount: int, seconds: int) -> None:
        releaser = HOLDERS[self.network.bank_of(payer).lei][0]
        condition = Condition(releaser, self.network.clock.now + seconds)
        self.order(RetailKind.PAYMENT, payer, payee, amount, condition)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), gives_up=st.booleans())
    def decide(self, data: st.DataObject, gives_up: bool) -> None:
        payer, payment_id = data.draw(st.sampled_from(self.held))
        house = self.network.bank_of(payer)
        releaser = HOLDERS[house.lei][0]
        cashier = house.business.cashier
        try:
            (cashier.give_up if gives_up else cashier.release)(releaser, payment_id)
        except (Rejected, Unavailable):
            return

    @rule(name=st.sampled_from(["alice", "bob", "dave"]), amount=st.integers(1, 30_000))
    def load_device(self, name: str, amount: int) -> None:
        self.devices.load(name, amount, self.key())

    @rule(
        payer=st.sampled_from(["alice", "bob", "dave"]),
        payee=st.sampled_from(WITH_DEVICES),
        amount=st.integers(1, 9_000),
        cheats=st.booleans(),
    )
    def hand(self, payer: str, payee: str, amount: int, cheats: bool) -> None:
        before = self.devices.purses[payer]
        try:
            handover = self.devices.hand(payer, payee, amount)
        except Rejected:
            return
        self.handed.append((payee, handover))
        if cheats and payer == "alice":
            self.devices.purses["alice"] = before

    @precondition(lambda self: self.handed)
    @rule(data=st.data())
    def deposit(self, data: st.DataObject) -> None:
        holder, handover = data.draw(st.sampled_from(self.handed))
        try:
            self.devices.deposit(holder, handover)
        except (Rejected, Unavailable):
            return

    @rule(losses=fates)
    def lose(self, losses: list[str]) -> None:
        self.network.lose.extend(losses)

    @rule(seconds=st.integers(0, 30))
    def pass_time(self, seconds: int) -> None:
        self.network.run(seconds)

    @invariant()
    def no_limit_is_exceeded_and_nothing_is_below_zero(self) -> None:
        for name in NAMES:
            house, wallet = self.network.bank_of(name), self.network.wallets[name]
            keeper = house.business.intermediary
            with house.store.reading() as work:
                holding = keeper.holding(work, wallet).minor_units
                available = keeper.available(work, chart.wallet(wallet.wallet_id)).minor_units
                passage = work.ledger.balance(chart.passage(wallet.wallet_id)).ledger
                spent = keeper.spending(work, wallet, self.network.clock.now).today.minor_units
            assert available >= 0
            assert not passage
            assert 0 <= holding <= HOLDING_MAX.get(name, 100_000)
            assert spent <= DAILY_MAX

    def teardown(self) -> None:
        if not hasattr(self, "network"):
            return
        network = self.network
        network.lose.clear()
        network.run()
        network.clock.now += 700  # every wait and every hold is over, every pause too
        network.run(seconds=3)
        network.clock.now += 700
        network.run(seconds=3)
        check_books(network)
        wealth = sum(network.held(name) + network.deposit(name) for name in NAMES)
        wealth += sum(
            network.bank_of(name).ledger(chart.offline(purse.device))
            for name, purse in self.devices.purses.items()
        )
        assert wealth == WEALTH
        self.check_vouchers()
        for house in network.houses.values():
            house.store.close()
        self.folder.cleanup()

    def check_vouchers(self) -> None:
        """What left a device is what its distinct counters were paid, each once."""
        for name, purse in self.devices.purses.items():
            house = self.network.bank_of(name)
            with house.store.reading() as work:
                found = work.devices.find(purse.device)
                vouchers = (handover.voucher for _, handover in self.handed)
                counters = {each.counter for each in vouchers if each.device == purse.device}
                paid = [
                    kept
                    for counter in counters
                    if (kept := work.devices.paid(purse.device, counter=counter, serial=""))
                ]
                spent = sum(
                    work.retail_payments.get(kept.payment_id).amount.minor_units for kept in paid
                )
            assert found is not None
            assert house.ledger(chart.offline(purse.device)) == found.loaded - spent


RetailTest = RetailMachine.TestCase
RetailTest.settings = settings(
    max_examples=200 if IS_FULL else 6, stateful_step_count=25, deadline=None
)
