"""A model of what payments do to accounts and queues, kept simple: lists, and sums made anew each time.

`Model` knows balances, queues and limits of a few institutions with one settlement account each. It says what becomes
of a payment when it enters, and whether what a round settled keeps order, money and limits; which set a round of all
that waits settles, it asks the solver. Positions are pairs of an institution and a currency.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from bridge.liquidity.book import Item, Limits, line_up
from bridge.liquidity.book import Leg as SolverLeg
from bridge.liquidity.solve import solve
from support.settlement_network import Institution, Terms

INSTRUCTED, QUEUED, SETTLED, REJECTED, CANCELLED, EXPIRED = 1, 2, 3, 4, 5, 6
FOR_MONEY, FOR_ORDER, FOR_LIMIT, NOT_ELIGIBLE = 1, 2, 3, 4
NO_LIMIT: Final = 2**127 - 1
DAY: Final = 86_400

Position = tuple[Institution, bytes]


@dataclass(frozen=True, slots=True)
class Movement:
    """One leg, its parties known."""

    currency: bytes
    payer: Institution
    payee: Institution
    amount: int


@dataclass(slots=True, eq=False)
class Payment:
    """A payment as the model has it. What a participant chose holds for all legs that it pays."""

    payment_id: bytes
    uetr_hash: bytes
    terms: Terms
    legs: tuple[Movement, ...]
    consented: set[Institution]
    fill: int = 0
    may_wait: bool = True
    original: "Payment | None" = None
    state: int = INSTRUCTED
    entered_at: int = 0
    is_set_aside: bool = False
    is_reserved: bool = False
    priorities: dict[Institution, int] = field(default_factory=dict)
    bypassing: set[Institution] = field(default_factory=set)
    withdrawing: set[Institution] = field(default_factory=set)

    @property
    def instructing(self) -> Institution:
        return self.legs[0].payer

    @property
    def is_open(self) -> bool:
        return self.state in {INSTRUCTED, QUEUED}

    @property
    def parties(self) -> set[Institution]:
        return {party for leg in self.legs for party in (leg.payer, leg.payee)}

    @property
    def payers(self) -> set[Institution]:
        return {leg.payer for leg in self.legs}

    @property
    def waiting_legs(self) -> tuple[Movement, ...]:
        """Legs that stand in queues."""
        return self.legs[1:] if self.is_reserved else self.legs

    def asks(self) -> dict[Position, int]:
        """What the legs that stand in queues ask of each."""
        asked: dict[Position, int] = {}
        for leg in self.waiting_legs:
            position = (leg.payer, leg.currency)
            asked[position] = asked.get(position, 0) + leg.amount
        return asked

    def class_of(self, party: Institution) -> int:
        return self.priorities.get(party, 0)

    def received_by(self, party: Institution, currency: bytes) -> int:
        return sum(
            leg.amount for leg in self.legs if leg.payee == party and leg.currency == currency
        )


@dataclass(slots=True)
class Use:
    """A limit and what was used of it on one day."""

    limit: int = NO_LIMIT
    day: int = -1
    used: int = 0

    def room(self, day: int) -> int:
        return self.limit - (self.used if self.day == day else 0)

    def count(self, amount: int, day: int) -> None:
        self.used = (self.used if self.day == day else 0) + amount
        self.day = day


class Model:
    """Everything that a step may change."""

    def __init__(self, balances: dict[Position, int]) -> None:
        self.now = 0
        self.balances = balances
        self.frozen: set[Position] = set()
        self.suspended_since: dict[Institution, int] = {}
        self.is_honouring = False
        self.is_paused = False
        self.payments: list[Payment] = []
        self.queues: dict[Position, tuple[list[Payment], ...]] = {
            position: ([], [], []) for position in balances
        }
        self.net: dict[Position, Use] = {}
        self.gross: dict[Position, Use] = {}
        self.bilateral: dict[tuple[Position, Institution], Use] = {}

    @property
    def day(self) -> int:
        return self.now // DAY

    def held(self, position: Position) -> int:
        return sum(
            payment.legs[0].amount
            for payment in self.payments
            if payment.state == QUEUED
            and payment.is_reserved
            and (payment.legs[0].payer, payment.legs[0].currency) == position
        )

    def available(self, position: Position) -> int:
        if position in self.frozen:
            return 0
        return self.balances[position] - self.held(position)

    def queue(self, position: Position) -> list[Payment]:
        """What stands in a queue, head first."""
        return [payment for lane in reversed(self.queues[position]) for payment in lane]

    def counted(self, position: Position) -> tuple[int, int]:
        """How many payments count in a queue and what they ask of it."""
        asked = [
            payment.asks()[position] for payment in self.queue(position) if not payment.is_set_aside
        ]
        return len(asked), sum(asked)

    def used_of(self, quote_hash: bytes) -> int:
        """What payments hold or have settled of a quote."""
        return sum(
            payment.fill
            for payment in self.payments
            if payment.terms.quote_hash == quote_hash
            and (payment.is_open or payment.state == SETTLED)
        )

    def returned_of(self, original: Payment, party: Institution, currency: bytes) -> int:
        """What a participant returned of a payment, or is returning."""
        return sum(
            payment.legs[0].amount
            for payment in self.payments
            if payment.original is original
            and payment.instructing == party
            and payment.legs[0].currency == currency
            and (payment.is_open or payment.state == SETTLED)
        )

    def may_act(self, party: Institution) -> bool:
        return party not in self.suspended_since

    def is_active(self, party: Institution, entered_at: int) -> bool:
        since = self.suspended_since.get(party)
        return since is None or (self.is_honouring and 0 < entered_at < since)

    def is_eligible(self, payment: Payment) -> bool:
        """Whether nothing but money, order and limits keeps it from settling (QUE-6)."""
        positions = {
            (party, leg.currency) for leg in payment.legs for party in (leg.payer, leg.payee)
        }
        return (
            payment.terms.not_before <= self.now <= payment.terms.settle_by
            and all(self.is_active(party, payment.entered_at) for party in payment.parties)
            and not positions & self.frozen
        )

    def enter(self, payment: Payment) -> int:
        """Settle, queue or end a payment that all have accepted (PAY-9, QUE-7); return why it waits, 0 if not."""
        reason = self._reason_to_wait(payment)
        payment.entered_at = self.now
        if reason == 0:
            self.settle([payment])
        elif not payment.may_wait or (payment.fill and not self._can_reserve(payment)):
            payment.state = CANCELLED
        else:
            if payment.fill:
                payment.is_reserved = True
                self._count_outflow(payment.legs[0])
            payment.state = QUEUED
            for payer, currency in payment.asks():
                self.queues[payer, currency][payment.class_of(payer)].append(payment)
        return reason

    def close(self, payment: Payment, state: int) -> None:
        """End a payment, settled or not."""
        if payment.state == QUEUED:
            for payer, currency in payment.asks():
                self.queues[payer, currency][payment.class_of(payer)].remove(payment)
        payment.state = state

    def prioritise(self, payment: Payment, party: Institution, priority: int) -> None:
        for payer, currency in payment.asks():
            if payer == party:
                self.queues[payer, currency][payment.class_of(payer)].remove(payment)
                self.queues[payer, currency][priority].append(payment)
        payment.priorities[party] = priority

    def settle(self, payments: Collection[Payment]) -> None:
        """Move what payments settled together move, and count it."""
        for payment in payments:
            for leg in payment.legs:
                self.balances[leg.payer, leg.currency] -= leg.amount
                self.balances[leg.payee, leg.currency] += leg.amount
                if leg in payment.waiting_legs:
                    self._count_outflow(leg)
                self._count_inflow(leg)
            self.close(payment, SETTLED)

    def check_round(self, settled: Collection[Payment], passed_over: Collection[Payment]) -> None:
        """Check that what a round settled was eligible, in order, covered and within limits (RND-1, RND-8)."""
        assert len(set(settled)) == len(settled)
        assert all(each.state == QUEUED and self.is_eligible(each) for each in settled)
        for position in self.balances:
            self._check_order(position, settled, passed_over)
            paid, received = self._flows(settled, position)
            if not paid:
                continue
            assert paid - received <= self.available(position)
            assert paid - received <= self._room(self.net, position)
            assert paid <= self._room(self.gross, position)
        for (position, other), use in self.bilateral.items():
            paid, received = self._flows(settled, position, other)
            assert not paid or paid - received <= use.room(self.day)

    def solution(self) -> set[bytes]:
        """What a round of all that waits settles, as the solver has it. Money set aside has an account of its own."""
        eligible = [
            each for each in self.payments if each.state == QUEUED and self.is_eligible(each)
        ]
        owners: dict[str | bytes, str | bytes] = {
            holder.name: holder.lei for holder, _ in self.balances
        }
        available: dict[tuple[str | bytes, str], int] = {
            (holder.name, currency.decode()): self.available((holder, currency))
            for holder, currency in self.balances
        }
        queues: dict[tuple[str | bytes, str], list[str | bytes]] = {
            (holder.name, currency.decode()): [
                each.payment_id for each in self.queue((holder, currency)) if each in eligible
            ]
            for holder, currency in self.balances
        }
        for each in eligible:
            if each.is_reserved:
                leg = each.legs[0]
                owners[each.payment_id] = leg.payer.lei
                available[each.payment_id, leg.currency.decode()] = leg.amount
                queues[each.payment_id, leg.currency.decode()] = [each.payment_id]
        items = [Item(each.payment_id, tuple(_solver_legs(each))) for each in eligible]
        found = solve(line_up(items, available, self._headroom(owners), queues))
        return {bytes(name) for name in found.settled if isinstance(name, bytes)}

    def _headroom(self, owners: dict[str | bytes, str | bytes]) -> Limits:
        def named(uses: dict[Position, Use]) -> dict[tuple[str | bytes, str], int]:
            return {
                (holder.name, currency.decode()): use.room(self.day)
                for (holder, currency), use in uses.items()
                if use.limit < NO_LIMIT
            }

        return Limits(
            bilateral={
                (holder.name, currency.decode(), other.lei): use.room(self.day)
                for ((holder, currency), other), use in self.bilateral.items()
            },
            multilateral=named(self.net),
            outflow=named(self.gross),
            participants=owners,
        )

    def _check_order(
        self, position: Position, settled: Collection[Payment], passed_over: Collection[Payment]
    ) -> None:
        is_blocked = False
        for payment in self.queue(position):
            if payment in settled:
                assert not is_blocked
            elif self.is_eligible(payment):
                may_skip = payment in passed_over and position[0] in payment.bypassing
                is_blocked = is_blocked or not may_skip

    def _flows(
        self, settled: Collection[Payment], position: Position, other: Institution | None = None
    ) -> tuple[int, int]:
        """What leaves a queue, and what comes in, of one counterparty or of all."""
        holder, currency = position
        paid = received = 0
        for payment in settled:
            for leg in payment.legs:
                if leg.currency != currency:
                    continue
                if (
                    leg.payer == holder
                    and other in {None, leg.payee}
                    and leg in payment.waiting_legs
                ):
                    paid += leg.amount
                if leg.payee == holder and other in {None, leg.payer}:
                    received += leg.amount
        return paid, received

    def _room(self, uses: dict[Position, Use], position: Position) -> int:
        use = uses.get(position)
        return NO_LIMIT if use is None or use.limit == NO_LIMIT else use.room(self.day)

    def _uses(self, position: Position, other: Institution, *, is_outflow: bool) -> Iterator[Use]:
        if position in self.net:
            yield self.net[position]
        if is_outflow and position in self.gross:
            yield self.gross[position]
        if (position, other) in self.bilateral:
            yield self.bilateral[position, other]

    def _count_outflow(self, leg: Movement) -> None:
        for use in self._uses((leg.payer, leg.currency), leg.payee, is_outflow=True):
            use.count(leg.amount, self.day)

    def _count_inflow(self, leg: Movement) -> None:
        for use in self._uses((leg.payee, leg.currency), leg.payer, is_outflow=False):
            use.count(-leg.amount, self.day)

    def _is_held_up(self, position: Position, priority: int) -> bool:
        """Whether anything that counts stands there with this priority or a higher one."""
        lanes = self.queues[position][priority:]
        return any(not each.is_set_aside for lane in lanes for each in lane)

    def _reason_to_wait(self, payment: Payment) -> int:
        if self.is_paused or not self.is_eligible(payment):
            return NOT_ELIGIBLE
        asks = payment.asks()
        if any(self._is_held_up(place, payment.class_of(place[0])) for place in asks):
            return FOR_ORDER
        if any(amount > self.available(place) for place, amount in asks.items()):
            return FOR_MONEY
        if not all(self._fits_limits(payment, place) for place in asks):
            return FOR_LIMIT
        return 0

    def _fits_limits(self, payment: Payment, position: Position) -> bool:
        """Whether what a payment alone takes out of an account fits; what it brings is not counted (PAY-9)."""
        paid = payment.asks()[position]
        payees = {leg.payee for leg in payment.waiting_legs if leg.payer == position[0]}
        is_fit = paid <= min(self._room(self.net, position), self._room(self.gross, position))
        return is_fit and all(
            self._flows([payment], position, payee)[0]
            <= self.bilateral[position, payee].room(self.day)
            for payee in payees
            if (position, payee) in self.bilateral and self._flows([payment], position, payee)[0]
        )

    def _can_reserve(self, payment: Payment) -> bool:
        leg = payment.legs[0]
        position = (leg.payer, leg.currency)
        return (
            self.is_active(leg.payer, 0)
            and self.is_active(leg.payee, 0)
            and not {position, (leg.payee, leg.currency)} & self.frozen
            and leg.amount <= self.available(position)
            and not self._is_held_up(position, payment.class_of(leg.payer))
            and self._fits_limits(payment, position)
        )


def _solver_legs(payment: Payment) -> Iterator[SolverLeg]:
    for number, leg in enumerate(payment.legs):
        is_aside = payment.is_reserved and number == 0
        payer: str | bytes = payment.payment_id if is_aside else leg.payer.name
        yield SolverLeg(payer, leg.payee.name, leg.currency.decode(), leg.amount)
