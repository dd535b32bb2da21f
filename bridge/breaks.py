"""A break: something that ledger, chain and statement do not agree on; pure.

    OPEN --two operators, with an explanation--> RESOLVED
      '---the figures agree again--------------> AGREED

An open break has consequences: at a central bank nothing of its currency is issued, at any other
institution none is ordered or redeemed there. Nothing else stops.

Invariants: a break is never deleted, and ends once; only two persons or the figures themselves end it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum, unique

from bridge.errors import BreakEnded
from bridge.money import Amount, Currency


@unique
class BreakType(StrEnum):
    """What is wrong."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_ON_CHAIN = "missing_on_chain"
    MISSING_IN_STATEMENT = "missing_in_statement"
    AMOUNT_DIFFERS = "amount_differs"
    DUPLICATE = "duplicate"
    TOTAL_DIFFERS = "total_differs"


@unique
class BreakState(StrEnum):
    """Where a break stands; see the module docstring."""

    OPEN = "open"
    RESOLVED = "resolved"
    AGREED = "agreed"


@dataclass(frozen=True, slots=True)
class Break:
    """One break.

    `scope` is what was compared (`tokens`, `reserves`, `supply`), `subject` what disagrees in it: the
    key of an item, or `total`. `amount` is the difference, `issuer` the LEI of who issues its currency.
    Times are UTC seconds, `block` is where the chain stood. `owner` is the operator who looks after it,
    `entry_id` the entry that put it right.
    """

    break_id: str
    break_type: BreakType
    scope: str
    subject: str
    amount: Amount
    issuer: str
    opened_at: int
    block: int
    note: str
    state: BreakState = BreakState.OPEN
    owner: str | None = None
    closed_at: int | None = None
    explanation: str | None = None
    entry_id: str | None = None

    @property
    def currency(self) -> Currency:
        """The currency it is about."""
        return self.amount.currency

    def age_seconds(self, at: int) -> int:
        """For how long it has been, or was, open."""
        return (self.closed_at or at) - self.opened_at


def resolve(found: Break, explanation: str, entry_id: str | None, at: int) -> Break:
    """The break as two operators closed it; raises `BreakEnded`."""
    _check_open(found)
    return replace(
        found,
        state=BreakState.RESOLVED,
        closed_at=at,
        explanation=explanation,
        entry_id=entry_id,
    )


def agree(found: Break, at: int) -> Break:
    """The break as it ends when the figures agree again; raises `BreakEnded`."""
    _check_open(found)
    return replace(found, state=BreakState.AGREED, closed_at=at)


def _check_open(found: Break) -> None:
    if found.state is not BreakState.OPEN:
        raise BreakEnded(found.break_id, found.state.value)
