"""The shapes of the ledger's requests and answers; times are UTC seconds."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.api.schemas import AmountBody, AmountView
from bridge.api.shapes import SECOND_MAX, AnswerShape, RequestShape
from bridge.store import PAGE_DEFAULT, PAGE_MAX

_Second = Annotated[int, Field(ge=0, le=SECOND_MAX)]


class MomentQuery(RequestShape):
    """Which moment: the end of the UTC second `at`; now without it."""

    at: _Second | None = None


class StatementQuery(RequestShape):
    """Which movements: `from` a UTC second on and before the second `to`, oldest first."""

    start: Annotated[_Second | None, Field(alias="from")] = None
    end: Annotated[_Second | None, Field(alias="to")] = None
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT
    cursor: Annotated[str, Field(max_length=40)] | None = None


class BalanceView(AnswerShape):
    """An account at a moment; `version` counts its movements until then."""

    account: str
    ledger: AmountView
    available: AmountView
    version: int


class StatementItemView(AnswerShape):
    """One movement, and the ledger balance after it."""

    version: int
    at: int
    entry: str
    kind: str
    description: str
    payment_id: str | None
    side: Literal["debit", "credit"]
    amount: AmountView
    balance: AmountView


class StatementView(AnswerShape):
    """A page of a statement; opening and closing balance are of the whole statement."""

    account: str
    opening: BalanceView
    items: tuple[StatementItemView, ...]
    closing: BalanceView
    next: str | None


class HoldBody(RequestShape):
    """What shall be held of a customer's account, until which second, and why."""

    account: Annotated[str, Field(min_length=1, max_length=200)]
    amount: AmountBody
    expires_at: _Second
    reason: Annotated[str, Field(min_length=1, max_length=140)]


class HoldView(AnswerShape):
    """A hold; `held` is what is held still."""

    id: str
    account: str
    amount: AmountView
    held: AmountView
    reason: str
    status: Literal["held", "taken", "released", "expired"]
    placed_at: int
    expires_at: int


class FindingView(AnswerShape):
    """Something in the books that cannot be."""

    place: str
    fault: str


class VerificationView(AnswerShape):
    """Whether the books are right, and what is not (at most 100 findings)."""

    verified: bool
    findings: tuple[FindingView, ...]
