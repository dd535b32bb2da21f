"""The shapes of what follows a settled payment, and of what is stuck: returns, recalls, suspense, alerts."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.api.schemas import AmountBody, AmountView, PaymentView
from bridge.api.shapes import AnswerShape, PageQuery, RequestShape


class ReturnSummary(AnswerShape):
    """A return of a payment, in short; it is a payment of its own under its id."""

    id: str
    amount: AmountView
    status: str
    reason: str | None


class RecallView(AnswerShape):
    """A settled payment that is asked back, and the answer."""

    payment_id: str
    direction: Literal["outgoing", "incoming"]
    state: Literal["asked", "granted", "rejected", "closed"]
    reason: str
    rejection: str | None
    return_payment_id: str | None
    asked_at: int
    answer_by: int
    answered_at: int | None


class RecallPage(AnswerShape):
    """Some recalls, newest first."""

    items: tuple[RecallView, ...]
    next: str | None


class RecalledView(AnswerShape):
    """A payment that was asked back, and its recall; without one it is withdrawn instead."""

    payment: PaymentView
    recall: RecallView | None


class RecallBody(RequestShape):
    """A wish to have a payment back, with its ISO cancellation reason."""

    reason: Annotated[str, Field(pattern=r"^[A-Z0-9]{4}$", examples=["DUPL"])]


class RecallAnswerBody(RequestShape):
    """Whether the money goes back."""

    is_granted: bool


class PaymentDetailView(PaymentView):
    """A payment with what was given back of it, and its recall."""

    returns: tuple[ReturnSummary, ...]
    recall: RecallView | None


class ReturnBody(RequestShape):
    """A wish to give a payment back; without an amount, all that is left of it."""

    reason: Annotated[str, Field(pattern=r"^[A-Z0-9]{4}$", examples=["CUST"])]
    amount: AmountBody | None = None


class ReturnAnswerView(AnswerShape):
    """The return, or the proposal that another person has to approve first."""

    payment: PaymentView | None
    proposal_id: str | None


class AlertsQuery(PageQuery):
    """Which alerts: those raised now, those cleared, or all."""

    state: Literal["raised", "cleared"] | None = None


class RecallsQuery(PageQuery):
    """Which recalls: those asked of others, those others ask, or all."""

    direction: Literal["outgoing", "incoming"] | None = None


class SuspenseQuery(PageQuery):
    """Which suspense items: those in one state, or all."""

    state: Literal["open", "returning", "returned", "credited"] | None = None


class SuspenseItemView(AnswerShape):
    """Money that came for an account that could not be credited, and what became of it."""

    payment_id: str
    amount: AmountView
    cause: str
    state: Literal["open", "returning", "returned", "credited"]
    intended_account: str | None
    opened_at: int
    resolved_at: int | None
    resolved_by: str | None


class AlertView(AnswerShape):
    """Something stuck: since when, and the kinds of proposal that can end it."""

    kind: str
    subject: str
    payment_id: str | None
    state: Literal["raised", "cleared"]
    since: int
    raised_at: int
    seen_at: int
    cleared_at: int | None
    actions: tuple[str, ...]


class AlertPage(AnswerShape):
    """Some alerts, newest first, and how many of each kind are raised now."""

    raised: dict[str, int]
    items: tuple[AlertView, ...]
    next: str | None


class SuspensePage(AnswerShape):
    """Some suspense items, newest first."""

    items: tuple[SuspenseItemView, ...]
    next: str | None
