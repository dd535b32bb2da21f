"""Any sequence of acts by anybody, compared with a model of what the specification says.

Checked after every step: balances, what is held, supply and the empty clearing account; each payment's state, so that
it settles once, whole, and never after its end; open payments, queues in their order and what counts in them; uses of
quotes and of returns; and that nothing moved where a suspension or a freeze stands. Whatever is left at the end of a
run, in whatever state its parties are, ends by `expire` and gives back all it held.
"""

from functools import lru_cache
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from support.full_run import IS_FULL
from support.rounds import queue_of
from support.settlement_circumstances import HOLDERS, POSITIONS
from support.settlement_model import (
    DAY,
    SETTLED,
    Position,
)
from support.settlement_network import (
    EUR,
    MAKER,
    OPERATOR,
    SGD,
    Street,
    open_street,
    quote_hash_of,
)
from support.settlement_players import Players

START_BALANCE: Final = 4
FAR: Final = 10 * DAY

pytestmark = pytest.mark.slow


@lru_cache(maxsize=1)
def _funded_street() -> Street:
    street = open_street()
    for currency in (EUR, SGD):
        street.fund(currency, dict.fromkeys(HOLDERS, START_BALANCE))
    return street


class AnySequence(RuleBasedStateMachine):
    """Acts in any order by any participant, allowed or not; drawn so that no act crowds out the others."""

    def __init__(self) -> None:
        super().__init__()
        self.street = _funded_street().fork()
        self.players = Players(self.street, START_BALANCE)
        self.model = self.players.model
        self.stuck: dict[Position, int] = {}

    @rule(seed=st.integers(0, 2**48))
    def act(self, seed: int) -> None:
        self.players.act(seed)

    # What must hold after each of these.

    @invariant()
    def money_is_where_the_model_has_it(self) -> None:
        for currency, token in self.street.tokens.items():
            found = {holder: self.street.balance(holder, currency) for holder in HOLDERS}
            for holder, balance in found.items():
                position = (holder, currency)
                assert balance == self.model.balances[position] >= 0
                held = token.read("heldOf", holder.settlement.address)
                assert held == self.model.held(position) <= balance
            assert token.read("totalSupply") == sum(found.values())
            assert token.read("balanceOf", self.street.settlement.address) == 0

    @invariant()
    def nothing_moves_where_a_freeze_or_a_suspension_stands(self) -> None:
        barred = {} if self.model.is_honouring else self.model.suspended_since
        stuck = {
            position: self.street.balance(*position)
            for position in POSITIONS
            if position in self.model.frozen or position[0] in barred
        }
        assert all(
            self.stuck.get(position, balance) == balance for position, balance in stuck.items()
        )
        self.stuck = stuck

    @invariant()
    def payments_are_where_the_model_has_them(self) -> None:
        for payment in self.model.payments[-8:]:
            assert self.street.state(payment.payment_id)[0] == payment.state
        for holder in HOLDERS:
            opened = [each for each in self.model.payments if each.instructing == holder]
            found = self.street.settlement.read("openPaymentsOf", holder.lei)
            assert found == sum(each.is_open for each in opened)
        settled = {each.payment_id for each in self.model.payments if each.state == SETTLED}
        assert settled == self.players.settled_events

    @invariant()
    def queues_are_in_order_and_counted(self) -> None:
        for holder, currency in POSITIONS:
            queue = [each.payment_id for each in self.model.queue((holder, currency))]
            counted = self.street.settlement.read("waitingOf", holder.settlement.address, currency)
            assert counted == self.model.counted((holder, currency))
            if queue or self.players.steps % 5 == 0:
                assert queue_of(self.street, holder.reference(), currency) == queue

    @invariant()
    def quotes_and_returns_are_not_exceeded(self) -> None:
        for quote in self.players.quotes[:3]:
            quote_hash = quote_hash_of(quote)
            used = self.street.settlement.read("quoteUse", quote_hash)
            assert used == (self.model.used_of(quote_hash), quote_hash in self.players.cancelled)
            assert used[0] <= quote.maker_amount
        for payment in [each for each in self.model.payments if each.original][-2:]:
            assert payment.original is not None
            leg = payment.legs[0]
            place = (payment.original.payment_id, leg.payer.lei, leg.currency)
            returned = self.street.settlement.read("returnedOf", *place)
            assert returned == self.model.returned_of(payment.original, leg.payer, leg.currency)
            assert returned <= payment.original.received_by(leg.payer, leg.currency)

    def teardown(self) -> None:
        """After all deadlines anybody ends what is left, though one party is gone for ever; nothing stays behind."""
        self.street.registry.transact(OPERATOR.operating, "exit", MAKER.lei)
        self.street.pass_time(FAR)
        self.model.now = self.street.now
        for payment in self.model.payments:
            if payment.is_open:
                self.players.expire_now(payment)
        assert not any(payment.is_open for payment in self.model.payments)
        for payment in self.model.payments:
            assert self.street.state(payment.payment_id)[0] == payment.state
        assert not any(self.model.held(position) for position in POSITIONS)
        self.money_is_where_the_model_has_it()
        self.payments_are_where_the_model_has_them()
        self.queues_are_in_order_and_counted()
        self.quotes_and_returns_are_not_exceeded()


AnySequence.TestCase.settings = settings(
    max_examples=60 if IS_FULL else 5,
    stateful_step_count=80 if IS_FULL else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnySequence = AnySequence.TestCase
