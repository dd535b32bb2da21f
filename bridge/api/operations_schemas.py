"""What operators send and are answered: JSON bodies of their routes."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.api.schemas import AmountView
from bridge.api.shapes import AnswerShape, PageQuery, RequestShape
from bridge.store import DeliveryState


class ProposalsQuery(PageQuery):
    """Which proposals of operators: those in one state, or all."""

    state: Literal["open", "approved", "rejected", "withdrawn"] | None = None


class ProposalBody(RequestShape):
    """What an operator wants done, and why."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,59}$", examples=["revive_effect"])]
    subject: Annotated[str, Field(min_length=1, max_length=200)]
    document: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")],
            Annotated[str, Field(max_length=500)],
        ],
        Field(max_length=20),
    ] = {}  # noqa: RUF012 - pydantic copies it
    note: Annotated[str, Field(min_length=1, max_length=500)]


class AbandonedEffectView(AnswerShape):
    """Something the bridge gave up doing, and why."""

    key: str
    kind: str
    payment_id: str | None
    attempts: int
    error: str


class OverviewView(AnswerShape):
    """What needs an operator's eye."""

    open_payments: int
    abandoned_effects: tuple[AbandonedEffectView, ...]
    dead_deliveries: int


class DeliveryQuery(PageQuery):
    """Which deliveries: a page, of one state where it is given."""

    state: DeliveryState | None = None


class DeliveryView(AnswerShape):
    """A message to another institution and how far it has come; nothing of what it says."""

    id: str
    peer: str
    kind: str
    payment_id: str | None
    position: int
    state: str
    created_at: int
    due_at: int
    persists_until: int
    attempts: int
    error: str | None


class DeliveryPage(AnswerShape):
    """Deliveries, newest first."""

    items: tuple[DeliveryView, ...]
    next: str | None


class CopyView(AnswerShape):
    """A payment's copy for central banks and supervisors: `none`, `awaited` or `received`."""

    settlement_id: str
    debtor_agent: str
    state: str
    copy_hash: str
    announced_at: int
    received_at: int | None
    finding: str | None


class CopyPage(AnswerShape):
    """Copies, newest first."""

    items: tuple[CopyView, ...]
    next: str | None


class ComparisonView(AnswerShape):
    """What ledger and chain say of one currency, at the block the ledger has followed to."""

    currency: str
    block: int
    ledger: AmountView
    chain: AmountView
    difference: AmountView


class ReconciliationView(AnswerShape):
    """Whether ledger and chain agree in every currency kept here."""

    reconciled: bool
    open_breaks: int
    comparisons: tuple[ComparisonView, ...]


class ProposalView(AnswerShape):
    """A proposal as it stands; `outcome` says what an approved one did."""

    id: str
    kind: str
    subject: str
    document: dict[str, str]
    note: str
    state: Literal["open", "approved", "rejected", "withdrawn"]
    proposed_by: str
    proposed_at: int
    lapses_after: int
    decided_by: str | None
    decided_at: int | None
    outcome: str | None


class ProposalPage(AnswerShape):
    """Some proposals, newest first."""

    items: tuple[ProposalView, ...]
    next: str | None


class AuditRecordView(AnswerShape):
    """One record of the audit log; `hash` is over all the rest."""

    sequence: int
    at: int
    actor: str
    action: str
    subject: str
    details: dict[str, str]
    previous: str
    hash: str


class AuditPage(AnswerShape):
    """Some records of the audit log, newest first."""

    items: tuple[AuditRecordView, ...]
    next: str | None
