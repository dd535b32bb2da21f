"""What institutions send each other, and the heading of what is delivered.

The heading follows the business application header of ISO 20022 (head.001): sender and receiver,
the message's id, its definition, when it was made, and whether the same may have come before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

from bridge.iso20022.codes import MessageName

MESSAGE_ID_CHARACTERS_MAX: Final = 35
"""Longest id of a message (ISO 20022 Max35Text)."""


class Kind(StrEnum):
    """What a sealed message is."""

    CREDIT_TRANSFER = "pacs.008"
    STATUS_REPORT = "pacs.002"
    INSTITUTION_TRANSFER = "pacs.009"
    RETURN = "pacs.004"
    STATUS_REQUEST = "pacs.028"
    CANCELLATION_REQUEST = "camt.056"
    INVESTIGATION_RESOLUTION = "camt.029"
    STATEMENT = "camt.053"
    SUPERVISOR_COPY = "supervisor-copy"
    INTRADAY_REPORT = "camt.052"
    TRANSFER_CANCELLATION = "transfer-cancellation"
    TRANSFER_NOTICE = "transfer-notice"
    BREAK_REPORT = "break-report"
    ISSUANCE_REQUEST = "issuance-request"
    ISSUANCE_TAKEN = "issuance-taken"
    QUOTE_REQUEST = "quote-request"
    QUOTE = "quote"
    CHARGE_REQUEST = "charge-request"
    CHARGE = "charge"
    RETAIL_ORDER = "retail-order"
    RETAIL_ORDER_TAKEN = "retail-order-taken"
    RETAIL_TRANSFER = "retail-transfer"
    RETAIL_CREDIT = "retail-credit"
    RETAIL_CREDIT_TAKEN = "retail-credit-taken"
    RETAIL_MISSING = "retail-missing"
    RETAIL_MISSED = "retail-missed"
    RETAIL_CLAIM = "retail-claim"
    RETAIL_CLAIM_TAKEN = "retail-claim-taken"
    RETAIL_REPORT = "retail-report"
    RETAIL_REPORT_TAKEN = "retail-report-taken"
    FETCH = "fetch"
    FETCHED = "fetched"


ANSWER_KIND: Final[Mapping[Kind, Kind]] = {
    Kind.ISSUANCE_REQUEST: Kind.ISSUANCE_TAKEN,
    Kind.QUOTE_REQUEST: Kind.QUOTE,
    Kind.CHARGE_REQUEST: Kind.CHARGE,
    Kind.RETAIL_ORDER: Kind.RETAIL_ORDER_TAKEN,
    Kind.RETAIL_CREDIT: Kind.RETAIL_CREDIT_TAKEN,
    Kind.RETAIL_MISSING: Kind.RETAIL_MISSED,
    Kind.RETAIL_CLAIM: Kind.RETAIL_CLAIM_TAKEN,
    Kind.RETAIL_REPORT: Kind.RETAIL_REPORT_TAKEN,
    Kind.FETCH: Kind.FETCHED,
}
"""What a question is answered with."""

DEFINITION_BY_KIND: Final[Mapping[Kind, str]] = {
    Kind.CREDIT_TRANSFER: MessageName.CREDIT_TRANSFER.value,
    Kind.STATUS_REPORT: MessageName.STATUS_REPORT.value,
    Kind.INSTITUTION_TRANSFER: MessageName.INSTITUTION_TRANSFER.value,
    Kind.RETURN: MessageName.PAYMENT_RETURN.value,
    Kind.STATUS_REQUEST: MessageName.STATUS_REQUEST.value,
    Kind.CANCELLATION_REQUEST: MessageName.CANCELLATION_REQUEST.value,
    Kind.INVESTIGATION_RESOLUTION: MessageName.INVESTIGATION_RESOLUTION.value,
    Kind.STATEMENT: MessageName.STATEMENT.value,
    Kind.SUPERVISOR_COPY: "corridor.supervisor-copy.1",
    Kind.INTRADAY_REPORT: MessageName.INTRADAY_REPORT.value,
    Kind.TRANSFER_CANCELLATION: "corridor.transfer-cancellation.1",
    Kind.TRANSFER_NOTICE: "corridor.transfer-notice.1",
    Kind.BREAK_REPORT: "corridor.break-report.1",
}
"""The definition of what is delivered; one that is none of ISO 20022's is named after the project."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a message that is delivered.

    `message_id` names it for ever among its sender's; `position` counts the messages of one payment
    to one receiver from 1; `created_at` is a UTC second.
    """

    message_id: str
    position: int
    created_at: int
    possible_duplicate: bool = False

    def document(self, *, sender_lei: str, receiver_lei: str, kind: Kind) -> dict[str, object]:
        """The heading as JSON."""
        return {
            "from": sender_lei,
            "to": receiver_lei,
            "message_id": self.message_id,
            "definition": DEFINITION_BY_KIND[kind],
            "position": self.position,
            "created": datetime.fromtimestamp(self.created_at, UTC).isoformat(),
            "possible_duplicate": self.possible_duplicate,
        }

    @classmethod
    def parse(
        cls, document: Mapping[str, Any], sender_lei: str, receiver_lei: str, kind: Kind
    ) -> Self:
        """The heading in a message of this sender, receiver and kind; raises `ValueError` otherwise."""
        types = [type(document[name]) for name in ("message_id", "position", "possible_duplicate")]
        if types != [str, int, bool]:
            raise ValueError("the heading's parts are not of their types")
        heading = cls(
            message_id=document["message_id"],
            position=document["position"],
            created_at=int(datetime.fromisoformat(document["created"]).timestamp()),
            possible_duplicate=document["possible_duplicate"],
        )
        if not 0 < len(heading.message_id) <= MESSAGE_ID_CHARACTERS_MAX:
            raise ValueError("the heading's message id has a wrong length")
        if (
            heading.document(sender_lei=sender_lei, receiver_lei=receiver_lei, kind=kind)
            != document
        ):
            raise ValueError("the heading is not that of this message")
        return heading
