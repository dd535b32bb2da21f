"""The shapes of requests and answers about RTGS accounts, statements, breaks and backing."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.api.schemas import AmountBody, AmountView
from bridge.api.shapes import SECOND_MAX, AnswerShape, PageQuery, RequestShape
from bridge.iso20022.identifiers import REFERENCE_CHARACTERS_MAX


class TransferBody(RequestShape):
    """A transfer out of the institution's own RTGS account."""

    creditor: Annotated[str, Field(min_length=20, max_length=20)]
    amount: AmountBody
    priority: Literal["urgent", "normal"] = "normal"
    end_to_end_id: Annotated[str, Field(max_length=REFERENCE_CHARACTERS_MAX)]


class TransferView(AnswerShape):
    """A transfer between RTGS accounts as it stands; `ordered_by` is the LEI of who wants it."""

    id: str
    ordered_by: str
    debtor: str
    creditor: str
    amount: AmountView
    priority: Literal["urgent", "normal"]
    end_to_end_id: str
    state: Literal["queued", "settled", "cancelled", "expired"]
    reason: str | None
    entered_at: int
    ended_at: int | None


class TransferPage(AnswerShape):
    """Some transfers, newest first."""

    items: tuple[TransferView, ...]
    next: str | None


class StatementView(AnswerShape):
    """A statement of an account at the central bank, or a page of one; its lines are numbered."""

    id: str
    kind: Literal["statement", "intraday"]
    scope: Literal["reserves", "tokens"]
    participant: str
    number: int
    first_line: int
    last_line: int
    opening: AmountView
    closing: AmountView
    period_start: int
    period_end: int
    block: int


class StatementPageView(AnswerShape):
    """Some statements, newest first."""

    items: tuple[StatementView, ...]
    next: str | None


class BreaksQuery(PageQuery):
    """Which breaks: those in one state, or all."""

    state: Literal["open", "resolved", "agreed"] | None = None


class BreakView(AnswerShape):
    """A break as it stands; `amount` is the difference, `age_seconds` how long it is or was open."""

    id: str
    type: str
    scope: str
    subject: str
    amount: AmountView
    opened_at: int
    age_seconds: int
    block: int
    note: str
    state: Literal["open", "resolved", "agreed"]
    owner: str | None
    closed_at: int | None
    explanation: str | None
    entry_id: str | None


class BreakPage(AnswerShape):
    """Some breaks, newest first."""

    items: tuple[BreakView, ...]
    next: str | None


class BackingView(AnswerShape):
    """What backs a currency's tokens: figures of the chain and of the central bank, at one block.

    `ratio` is the attested reserves for each token, rounded down; there is none without tokens.
    """

    currency: str
    block: int
    supply: AmountView
    reserves: AmountView
    attested: AmountView
    attested_at: int
    attested_until: int
    ratio: str | None


class PeriodQuery(RequestShape):
    """From one UTC second to another, both included."""

    since: Annotated[int, Field(ge=0, le=SECOND_MAX)] = 0
    until: Annotated[int, Field(ge=0, le=SECOND_MAX)] = SECOND_MAX


class QueueView(AnswerShape):
    """What waits in an account's queue."""

    count: int
    amount: AmountView


class ReportedBreakView(AnswerShape):
    """A break that a participant reports of its own books."""

    id: str
    type: str
    scope: str
    amount: AmountView
    opened_at: int


class ParticipantReport(AnswerShape):
    """One participant as its central bank sees it; issued and redeemed are of the period."""

    participant: str
    rtgs_balance: AmountView
    credit_line: AmountView
    reserve_requirement: AmountView
    meets_requirement: bool
    tokens_held: AmountView
    issued: AmountView
    redeemed: AmountView
    queue: QueueView
    breaks: tuple[ReportedBreakView, ...]


class ParticipantReports(AnswerShape):
    """Every participant with an RTGS account, by LEI."""

    items: tuple[ParticipantReport, ...]
