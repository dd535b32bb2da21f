"""Any sequence of acts on a token against a model of it (TOK-7, TOK-14, TOK-15, TOK-16).

After every act: supply is the sum of the balances, no issue has left it above what is attested, and what an account
has, holds, has frozen and can spend is what the model says. The model also says of every act whether it succeeds: so
nothing moves through a suspended party, nor through one that is frozen whole but for holds made before.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.primitives import keccak
from support.chain_harness import Reverted
from support.full_run import IS_FULL
from support.settlement_network import (
    ALPHA,
    BETA,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    Attestation,
    Institution,
    attestation_data,
    open_street,
    sign,
)
from support.standing_settlement import StandingSettlement
from support.token_desk import DAY, FIRST, SECOND, WHOLE, ordered, propose
from support.transactions import Key

BANKS: Final = (ALPHA, BETA)
SETTLEMENTS: Final = tuple(bank.settlement.address for bank in BANKS)
OTHERS: Final = tuple(bank.operating.address for bank in BANKS)
ACCOUNTS: Final = SETTLEMENTS + OTHERS
LAPSE: Final = 72 * HOUR
WHOLE_MIN: Final = 2**255
AMOUNTS: Final = st.one_of(st.integers(0, 90), st.integers(0, 300))
FROZEN: Final = st.sampled_from((5, 30, 90, 200, WHOLE))
PLACES: Final = st.integers(0, 1)


@dataclass
class Money:
    """What the model knows of one account."""

    balance: int = 0
    held: int = 0
    confirmed: int = 0
    provisional: int = 0
    lapses_at: int = 0
    officer: Key | None = None
    reference: bytes = b""

    def frozen(self, now: int) -> int:
        return self.provisional if now < self.lapses_at else self.confirmed

    def available(self, now: int) -> int:
        return max(0, self.balance - self.held - self.frozen(now))


@dataclass
class Held:
    """A hold as the model knows it."""

    payer: int
    payee: int
    amount: int
    expires_at: int


@dataclass
class Model:
    """All of it, accounts by their place in `ACCOUNTS`; bank `n` owns accounts n and n + 2."""

    money: list[Money] = field(default_factory=lambda: [Money() for _ in ACCOUNTS])
    suspended: set[int] = field(default_factory=set)
    attested: int = 0
    sequence: int = 0
    waiting: int = 0
    holds: dict[bytes, Held] = field(default_factory=dict)
    reserves: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    seizures: dict[bytes, tuple[int, int, int, int]] = field(default_factory=dict)

    def may_move(self, place: int, now: int) -> bool:
        return place % 2 not in self.suspended and self.money[place].frozen(now) < WHOLE_MIN

    def move(self, payer: int, payee: int, amount: int) -> None:
        self.money[payer].balance -= amount
        self.money[payee].balance += amount


class AnySequence(RuleBasedStateMachine):
    """Acts of everybody on one token."""

    def __init__(self) -> None:
        super().__init__()
        self.street = open_street()
        self.settlement = StandingSettlement(self.street)
        self.token = self.settlement.token
        self.model = Model()
        self.number = 0
        for place in (0, 1):
            self.attest(1_000)
            self.issue(place, 500)
            self.transfer(place, place + 2, 100)

    # What the suite knows of time and names.

    @property
    def now(self) -> int:
        return self.street.now

    def fresh(self) -> bytes:
        self.number += 1
        return keccak(self.number.to_bytes(4, "big"))

    def attempt(self, allowed: bool, sender: Key, function: str, *arguments: Any) -> bool:
        """Make a call and check that it succeeds exactly where the model says so."""
        if allowed:
            self.token.transact(sender, function, *arguments)
        else:
            with pytest.raises(Reverted):
                self.token.transact(sender, function, *arguments)
        return allowed

    def settle(self, allowed: bool, function: str, *arguments: Any) -> bool:
        """The same as the settlement contract."""
        if allowed:
            self.settlement.transact(function, *arguments)
        else:
            with pytest.raises(Reverted):
                self.settlement.transact(function, *arguments)
        return allowed

    def order(self, allowed: bool, function: str, *arguments: Any) -> bytes | None:
        """The same by an order of two officers; return its id where it was executed."""
        terms = {"reference": self.fresh().hex()}
        if allowed:
            return ordered(self.token, function, *arguments, **terms)[0]
        order_id = propose(self.token, function, *arguments, **terms)
        self.token.transact(SECOND, "confirm", order_id)
        with pytest.raises(Reverted):
            self.token.transact(FIRST, function, *arguments)
        self.token.transact(SECOND, "withdrawOrder", order_id)
        return None

    # Reserves, issues and redemptions.

    @rule(amount=st.integers(0, 3_000))
    def attest(self, amount: int) -> None:
        model = self.model
        model.sequence += 1
        statement = Attestation(model.sequence, self.now, self.now + 7 * DAY, amount)
        signature = sign(
            EUROSYSTEM.account("attesting"), attestation_data(self.token.address, statement)
        )
        fields = (statement.sequence, statement.as_of, statement.valid_until, amount)
        self.attempt(
            True, OPERATOR.operating, "attest", (*fields, statement.statement_hash), signature
        )
        model.attested = amount
        self.attested_until = statement.valid_until

    @rule(place=PLACES, amount=AMOUNTS)
    def issue(self, place: int, amount: int) -> None:
        supply = sum(money.balance for money in self.model.money)
        allowed = (
            amount > 0
            and self.now <= self.attested_until
            and supply + amount <= self.model.attested
            and self.model.may_move(place, self.now)
        )
        if self.attempt(
            allowed, EUROSYSTEM.operating, "issue", self.fresh(), ACCOUNTS[place], amount
        ):
            self.model.money[place].balance += amount
            assert self.token.read("totalSupply") <= self.model.attested

    @rule(place=PLACES, amount=AMOUNTS)
    def redeem(self, place: int, amount: int) -> None:
        money = self.model.money[place]
        allowed = (
            amount > 0
            and self.model.may_move(place, self.now)
            and amount <= max(0, money.available(self.now) - self.model.waiting)
        )
        bank = BANKS[place].operating
        if self.attempt(allowed, bank, "redeem", self.fresh(), ACCOUNTS[place], amount):
            money.balance -= amount
            self.model.attested = max(0, self.model.attested - amount)

    # Transfers and the settlement contract.

    @rule(payer=st.integers(0, 3), payee=st.integers(0, 3), amount=AMOUNTS)
    def transfer(self, payer: int, payee: int, amount: int) -> None:
        model = self.model
        within = payer % 2 == payee % 2
        allowed = (
            model.may_move(payer, self.now)
            and model.may_move(payee, self.now)
            and (within or (payer > 1 and payee > 1))
            and (payer > 1 or not within or model.waiting == 0)
            and amount <= model.money[payer].available(self.now)
        )
        says = self.token.read("canTransfer", ACCOUNTS[payer], ACCOUNTS[payee], amount)
        assert says or not allowed
        bank = BANKS[payer % 2]
        key = bank.settlement if payer < 2 else bank.operating
        if self.attempt(allowed, key, "transfer", ACCOUNTS[payee], amount):
            model.move(payer, payee, amount)

    @rule(payer=PLACES, amount=AMOUNTS, in_round=st.booleans())
    def pay(self, payer: int, amount: int, in_round: bool) -> None:
        model = self.model
        may_pay = model.may_move(payer, self.now) and amount <= model.money[payer].available(
            self.now
        )
        may_receive = model.may_move(1 - payer, self.now)
        parties = (ACCOUNTS[payer], ACCOUNTS[1 - payer])
        if not in_round:
            if self.settle(may_pay and may_receive, "settle", self.fresh(), *parties, amount, b""):
                model.move(payer, 1 - payer, amount)
        elif may_receive and self.settle(may_pay, "collect", parties[0], amount, b""):
            assert self.settle(True, "distribute", parties[1], amount, b"")
            model.move(payer, 1 - payer, amount)

    @rule(place=PLACES, amount=AMOUNTS)
    def reserve(self, place: int, amount: int) -> None:
        model, payment = self.model, self.fresh()
        money = model.money[place]
        allowed = (
            amount > 0 and place not in model.suspended and amount <= money.available(self.now)
        )
        if self.settle(allowed, "reserve", payment, ACCOUNTS[place], amount, b""):
            money.held += amount
            model.reserves[payment] = (place, amount)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if not self.model.reserves:
            return
        payment = data.draw(st.sampled_from(sorted(self.model.reserves)))
        place, amount = self.model.reserves.pop(payment)
        self.settle(True, "release", payment, ACCOUNTS[place])
        self.model.money[place].held -= amount

    @rule(amount=st.sampled_from((0, 0, 0, 50, 1_000)))
    def let_wait(self, amount: int) -> None:
        self.settlement.let_wait(min(amount, 1), amount)
        self.model.waiting = amount

    # Holds.

    @rule(payer=PLACES, amount=AMOUNTS, seconds=st.integers(0, 2 * DAY))
    def hold(self, payer: int, amount: int, seconds: int) -> None:
        model, reference = self.model, self.fresh()
        money = model.money[payer]
        allowed = (
            amount > 0
            and payer not in model.suspended
            and model.may_move(payer, self.now)
            and model.may_move(1 - payer, self.now)
            and amount <= max(0, money.available(self.now) - model.waiting)
        )
        terms = (ACCOUNTS[payer], ACCOUNTS[1 - payer], MAKER.operating.address, amount)
        expires_at = self.now + seconds
        bank = BANKS[payer]
        if self.attempt(allowed, bank.operating, "createHold", reference, *terms, expires_at):
            money.held += amount
            hold_id = keccak(bank.lei.ljust(32, b"\0") + reference)
            model.holds[hold_id] = Held(payer, 1 - payer, amount, expires_at)

    @rule(data=st.data(), amount=AMOUNTS)
    def execute_hold(self, data: st.DataObject, amount: int) -> None:
        model = self.model
        if not model.holds:
            return
        hold_id = data.draw(st.sampled_from(sorted(model.holds)))
        held = model.holds[hold_id]
        allowed = (
            self.now <= held.expires_at
            and 0 < amount <= held.amount
            and not model.suspended
            and model.may_move(held.payee, self.now)
        )
        if self.attempt(allowed, MAKER.operating, "executeHold", hold_id, amount):
            model.move(held.payer, held.payee, amount)
            model.money[held.payer].held -= amount
            held.amount -= amount
            if held.amount == 0:
                del model.holds[hold_id]

    @rule(data=st.data(), way=st.sampled_from(("releaseHold", "expireHold", "cancelHold")))
    def end_hold(self, data: st.DataObject, way: str) -> None:
        model = self.model
        if not model.holds:
            return
        hold_id = data.draw(st.sampled_from(sorted(model.holds)))
        held = model.holds[hold_id]
        if way == "cancelHold":
            ordered(self.token, way, hold_id, reference=self.fresh().hex())
            ended = True
        else:
            allowed = way == "releaseHold" or self.now > held.expires_at
            ended = self.attempt(allowed, MAKER.operating, way, hold_id)
        if ended:
            model.money[held.payer].held -= held.amount
            del model.holds[hold_id]

    # Freezes and seizures.

    @rule(
        place=st.integers(0, 3),
        amount=FROZEN,
        officer=st.sampled_from((FIRST, SECOND)),
    )
    def freeze(self, place: int, amount: int, officer: Key) -> None:
        money, reference = self.model.money[place], self.fresh()
        frozen, is_open = money.frozen(self.now), self.now < money.lapses_at
        allowed = amount > frozen and (is_open or money.officer is not officer)
        if self.attempt(allowed, officer, "freeze", ACCOUNTS[place], frozen, amount, reference):
            if not is_open or money.officer is not officer:
                money.lapses_at = self.now + LAPSE
            money.provisional, money.officer, money.reference = amount, officer, reference

    @rule(place=st.integers(0, 3), officer=st.sampled_from((FIRST, SECOND)))
    def confirm_freeze(self, place: int, officer: Key) -> None:
        money = self.model.money[place]
        allowed = self.now < money.lapses_at and money.officer is not officer
        reference = money.reference or bytes(32)
        if self.attempt(allowed, officer, "confirmFreeze", ACCOUNTS[place], reference):
            self.set_frozen(money, money.provisional)

    @rule(place=st.integers(0, 3), amount=st.one_of(st.just(0), st.just(0), FROZEN))
    def order_freeze(self, place: int, amount: int) -> None:
        money = self.model.money[place]
        terms = {"reference": self.fresh().hex(), "expected": money.frozen(self.now)}
        ordered(self.token, "setFrozenTokens", ACCOUNTS[place], amount, **terms)
        self.set_frozen(money, amount)

    def set_frozen(self, money: Money, amount: int) -> None:
        money.confirmed, money.provisional, money.lapses_at = amount, 0, 0
        money.officer, money.reference = None, b""

    @rule(payer=st.integers(0, 3), payee=st.integers(0, 3), amount=AMOUNTS)
    def seize(self, payer: int, payee: int, amount: int) -> None:
        model = self.model
        money = model.money[payer]
        allowed = (
            0 < amount <= money.balance - money.held
            and payer != payee
            and model.may_move(payee, self.now)
        )
        parties = (ACCOUNTS[payer], ACCOUNTS[payee])
        order_id = self.order(allowed, "forcedTransfer", *parties, amount)
        if order_id is None:
            return
        thawed = self.thaw(money, amount)
        model.move(payer, payee, amount)
        model.seizures[order_id] = (payer, payee, amount, thawed)

    @rule(data=st.data(), amount=AMOUNTS)
    def reverse(self, data: st.DataObject, amount: int) -> None:
        model = self.model
        if not model.seizures:
            return
        order_id = data.draw(st.sampled_from(sorted(model.seizures)))
        owner, taker, taken, thawed = model.seizures[order_id]
        money = model.money[taker]
        allowed = (
            0 < amount <= min(taken, money.balance - money.held)
            and owner % 2 not in model.suspended
        )
        if self.order(allowed, "reverseTransfer", order_id, amount) is None:
            return
        del model.seizures[order_id]
        self.thaw(money, amount)
        model.move(taker, owner, amount)
        self.refreeze(model.money[owner], min(thawed, amount))

    def thaw(self, money: Money, amount: int) -> int:
        thawed = max(0, amount - money.available(self.now))
        if thawed:
            frozen = money.frozen(self.now) - thawed
            if self.now < money.lapses_at:
                money.provisional = frozen
            money.confirmed = min(money.confirmed, frozen)
        return thawed

    def refreeze(self, money: Money, amount: int) -> None:
        money.confirmed = min(WHOLE, money.confirmed + amount)
        if self.now < money.lapses_at:
            money.provisional = min(WHOLE, money.provisional + amount)

    # Participants and time.

    @rule(place=PLACES)
    def suspend_or_reinstate(self, place: int) -> None:
        bank: Institution = BANKS[place]
        act = "reinstate" if place in self.model.suspended else "suspend"
        self.street.registry.transact(OPERATOR.operating, act, bank.lei)
        self.model.suspended ^= {place}

    @rule()
    def reinstate_everybody(self) -> None:
        for place in sorted(self.model.suspended):
            self.suspend_or_reinstate(place)

    @rule(seconds=st.sampled_from((1, HOUR, DAY, LAPSE - 1, LAPSE)))
    def pass_time(self, seconds: int) -> None:
        self.street.pass_time(seconds)

    # What always holds.

    @invariant()
    def supply_is_the_sum_of_the_balances(self) -> None:
        everybody = (*ACCOUNTS, self.settlement.address)
        balances = [self.token.read("balanceOf", account) for account in everybody]
        assert balances == [*(money.balance for money in self.model.money), 0]
        assert self.token.read("totalSupply") == sum(balances)

    @invariant()
    def every_account_stands_as_in_the_model(self) -> None:
        for account, money in zip(ACCOUNTS, self.model.money, strict=True):
            found = [
                self.token.read(f, account) for f in ("heldOf", "getFrozenTokens", "availableOf")
            ]
            assert found == [money.held, money.frozen(self.now), money.available(self.now)]
            assert money.held <= money.balance

    @invariant()
    def what_is_held_is_the_sum_of_holds_and_reserves(self) -> None:
        for place, money in enumerate(self.model.money):
            held = sum(each.amount for each in self.model.holds.values() if each.payer == place)
            held += sum(amount for owner, amount in self.model.reserves.values() if owner == place)
            assert money.held == held


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(
    max_examples=200 if IS_FULL else 8,
    stateful_step_count=200 if IS_FULL else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
