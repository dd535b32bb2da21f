"""What is stuck: a closed list of things that should have ended by themselves and have not; pure.

Each kind has an action that two operators can end it by; until then, or until it ends by itself, its
alert stays raised.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final


@unique
class AlertKind(StrEnum):
    """What is stuck; an alert's subject is what the action takes."""

    PAYMENT_OVERDUE = "payment_overdue"
    """A payment that has not ended though the chain could have ended it; subject: its id."""
    EFFECT_RETRYING = "effect_retrying"
    """An effect that is tried and tried again; subject: its key."""
    EFFECT_DEAD = "effect_dead"
    """An effect that was given up; subject: its key."""
    TRANSACTION_UNMINED = "transaction_unmined"
    """A transaction that does not come into a block; subject: its hash."""
    MESSAGE_UNANNOUNCED = "message_unannounced"
    """A message whose payment never came to the chain; subject: the payment's key there."""
    SUSPENSE_OPEN = "suspense_open"
    """Money without a home; subject: the payment it came with."""
    RECALL_UNANSWERED = "recall_unanswered"
    """A recall past its time for an answer; subject: the payment."""
    RECALL_UNPAID = "recall_unpaid"
    """A recall that was granted and whose return did not settle; subject: the payment that came."""


ACTIONS_BY_KIND: Final = {
    AlertKind.PAYMENT_OVERDUE: ("expire_now",),
    AlertKind.EFFECT_RETRYING: ("write_off_effect",),
    AlertKind.EFFECT_DEAD: ("revive_effect", "write_off_effect"),
    AlertKind.TRANSACTION_UNMINED: ("consume_nonce",),
    AlertKind.MESSAGE_UNANNOUNCED: ("write_off_message",),
    AlertKind.SUSPENSE_OPEN: ("release_suspense", "return_suspense"),
    AlertKind.RECALL_UNPAID: ("return_payment",),
    AlertKind.RECALL_UNANSWERED: ("answer_recall", "close_recall"),
}
"""The kinds of proposal that can end what an alert is about."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found stuck now; `since` is the UTC second at which its time was over."""

    kind: AlertKind
    subject: str
    since: int
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding as it is kept: raised until it is seen no more. Times are UTC seconds."""

    finding: Finding
    raised_at: int
    seen_at: int
    cleared_at: int | None = None
