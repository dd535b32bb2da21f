"""What happens around payments: limits, issues and redemptions, freezes, suspensions, pauses, and time.

Each is done on the real contracts and in the model, and the contracts must take or refuse it as the model says.
"""

from collections.abc import Callable
from itertools import product
from random import Random
from typing import Final

from support.chain_harness import Receipt, Reverted
from support.settlement_model import DAY, NO_LIMIT, Model, Position, Use
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    Institution,
    Street,
)
from support.token_desk import FIRST, SECOND, WHOLE, ordered

HOLDERS: Final = (ALPHA, BETA, MAKER)
POSITIONS: Final[tuple[Position, ...]] = tuple(product(HOLDERS, (EUR, SGD)))
BOUNDS: Final = (NO_LIMIT, NO_LIMIT, NO_LIMIT, 1, 5, 9)


class Circumstances:
    """The means to change them; `attempt` calls the settlement contract, and returns none where it refused."""

    def __init__(
        self, street: Street, model: Model, attempt: Callable[..., Receipt | None]
    ) -> None:
        self.street = street
        self.model = model
        self._attempt = attempt

    def change(self, source: Random) -> None:
        """Change one of them."""
        acts = (
            self.limit,
            self.limit_towards,
            self.issue,
            self.redeem,
            self.disturb,
            self.pass_time,
        )
        (act,) = source.choices(acts, (2, 2, 4, 2, 3, 3))
        act(source)

    def limit(self, source: Random) -> None:
        position, net, gross = (
            source.choice(POSITIONS),
            source.choice(BOUNDS),
            source.choice(BOUNDS),
        )
        holder, currency = position
        receipt = self._attempt(holder, "setLimits", holder.reference(), currency, net, gross)
        assert (receipt is not None) == self.model.may_act(holder)
        if receipt is None:
            return
        if min(net, gross) == NO_LIMIT:
            self.model.net.pop(position, None)
            self.model.gross.pop(position, None)
        else:
            self.model.net.setdefault(position, Use()).limit = net
            self.model.gross.setdefault(position, Use()).limit = gross

    def limit_towards(self, source: Random) -> None:
        position, other = source.choice(POSITIONS), source.choice(HOLDERS)
        net = source.choice(BOUNDS)
        holder, currency = position
        given = (holder.reference(), currency, other.lei, net)
        receipt = self._attempt(holder, "setBilateralLimit", *given)
        assert (receipt is not None) == self.model.may_act(holder)
        if receipt is None:
            return
        if net == NO_LIMIT:
            self.model.bilateral.pop((position, other), None)
        else:
            self.model.bilateral.setdefault((position, other), Use()).limit = net

    def issue(self, source: Random) -> None:
        position, amount = source.choice(POSITIONS), source.randint(1, 4)
        holder, currency = position
        token = self.street.tokens[currency]
        supply = token.read("totalSupply")
        self.street.attest(currency, self.street.attestation(currency, supply + amount))
        try:
            self.street.issue(currency, holder, amount, f"issue/{source.random()}")
        except Reverted:
            assert not self.model.may_act(holder) or position in self.model.frozen
        else:
            assert self.model.may_act(holder)
            assert position not in self.model.frozen
            self.model.balances[position] += amount

    def redeem(self, source: Random) -> None:
        """Nobody redeems what payments that wait ask of an account."""
        position, amount = source.choice(POSITIONS), source.randint(1, 4)
        holder, currency = position
        awaited = self.model.counted(position)[1]
        is_allowed = (
            self.model.may_act(holder) and amount <= self.model.available(position) - awaited
        )
        given = (source.randbytes(32), holder.settlement.address, amount)
        try:
            self.street.tokens[currency].transact(holder.operating, "redeem", *given)
        except Reverted:
            assert not is_allowed
        else:
            assert is_allowed
            self.model.balances[position] -= amount

    def disturb(self, source: Random) -> None:
        holder = source.choice(HOLDERS)
        match source.choice(("freeze", "freeze", "suspend", "honour", "pause")):
            case "freeze":
                self.freeze_or_thaw(source, holder)
            case "suspend":
                self.suspend_or_reinstate(holder)
            case "honour":
                self.turn_the_rulebook_over()
            case _:
                self.pause_or_unpause()

    def calm_at_times(self, source: Random) -> None:
        """Lift all that stands in the way, two times of three: payments are to meet each other too."""
        if source.random() < 0.33:
            return
        if self.model.is_paused:
            self.pause_or_unpause()
        for holder in list(self.model.suspended_since):
            self.suspend_or_reinstate(holder)
        for holder, _ in list(self.model.frozen):
            self.freeze_or_thaw(source, holder)

    def freeze_or_thaw(self, source: Random, holder: Institution) -> None:
        """Two officers of the euro's central bank freeze an account whole, or thaw it."""
        token, account = self.street.tokens[EUR], holder.settlement.address
        reference = source.randbytes(32)
        if (holder, EUR) in self.model.frozen:
            ordered(token, "setFrozenTokens", account, 0, reference=reference.hex(), expected=WHOLE)
        else:
            token.transact(FIRST, "freeze", account, 0, WHOLE, reference)
            token.transact(SECOND, "confirmFreeze", account, reference)
        self.model.frozen ^= {(holder, EUR)}

    def suspend_or_reinstate(self, holder: Institution) -> None:
        self.street.pass_time(1)
        self.model.now = self.street.now
        is_suspended = holder in self.model.suspended_since
        function = "reinstate" if is_suspended else "suspend"
        self.street.registry.transact(OPERATOR.operating, function, holder.lei)
        if is_suspended:
            del self.model.suspended_since[holder]
        else:
            self.model.suspended_since[holder] = self.street.now

    def turn_the_rulebook_over(self) -> None:
        self.model.is_honouring = not self.model.is_honouring
        self.street.registry.transact(
            OPERATOR.operating, "setHonoursEarlierEntries", self.model.is_honouring
        )

    def pause_or_unpause(self) -> None:
        function = "unpause" if self.model.is_paused else "pause"
        assert self._attempt(OPERATOR, function) is not None
        self.model.is_paused = not self.model.is_paused

    def pass_time(self, source: Random) -> None:
        self.street.pass_time(source.choice((1, 400, 400, HOUR // 2, HOUR + 1, DAY)))
        self.model.now = self.street.now
