"""The commitment that binds a sealed message to the chain.

For a payment, the debtor bank writes `commit(canonical_content(transfer), salt)` into the terms of the payment
and sends the message and the salt sealed; the creditor bank recomputes it. The canonical content
is the typed business content, not the XML: a message that is sent again, with another message id
or laid out differently, commits alike, and one changed character does not. Every interbank message
has such a content; it begins with the name of the message, so that no two kinds ever share one.

`SHA-256(domain || salt || content)` hides the content as long as the salt of 32 random bytes is
secret, and binds it as long as SHA-256 has no collisions.
"""

import hashlib
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final, TypeAlias

import rfc8785

from bridge.errors import NotCommittable
from bridge.iso20022.catalogue import name_of
from bridge.iso20022.codes import StatusReason
from bridge.iso20022.messages import CreditTransfer, FinancialInstitutionTransfer, StatusReport
from bridge.iso20022.messages_returns import (
    CancellationRequest,
    InvestigationResolution,
    PaymentReturn,
    StatusRequest,
)
from bridge.money import Amount, Rate

MESSAGE_DOMAIN: Final = b"corridor-message-commitment-v1"
"""What the commitment to a payment message begins with."""

CONTENT_VERSION: Final = "2"
"""The version of the rules by which a message becomes its content."""

REASON_DOMAIN: Final = b"corridor-reason-commitment-v1"
"""What the commitment to a reason begins with."""

SALT_BYTES: Final = 32
"""Length of a salt."""

InterbankMessage: TypeAlias = (
    CreditTransfer
    | FinancialInstitutionTransfer
    | StatusReport
    | PaymentReturn
    | StatusRequest
    | CancellationRequest
    | InvestigationResolution
)
"""A message between two banks: those that can be committed to."""

_Json: TypeAlias = "str | list[_Json] | dict[str, _Json]"

_TRANSPORT_FIELDS: Final = frozenset({"message_id", "created_at"})


def canonical_content(message: InterbankMessage) -> bytes:
    """Return the business content of an interbank message as RFC 8785 JSON.

    Every field counts except the message id and creation time, which belong to one sending;
    fields without a value are left out, so that a field added later changes no old commitment.
    """
    content: dict[str, _Json] = {
        "version": CONTENT_VERSION,
        "message": name_of(message).value,
        "content": _fields(message, without=_TRANSPORT_FIELDS),
    }
    return rfc8785.dumps(content)


def commit(content: bytes, salt: bytes) -> bytes:
    """Return the 32-byte commitment to canonical content."""
    return _digest(MESSAGE_DOMAIN, salt, content)


def commit_reason(reason: StatusReason, text: str | None, salt: bytes) -> bytes:
    """Return the 32-byte commitment to the reason of a refusal, whose code travels sealed."""
    content: dict[str, _Json] = {"reason": reason.value}
    if text is not None:
        content["text"] = text
    return _digest(REASON_DOMAIN, salt, rfc8785.dumps(content))


def _digest(domain: bytes, salt: bytes, content: bytes) -> bytes:
    if len(salt) != SALT_BYTES:
        raise NotCommittable(f"a salt of {len(salt)} bytes")
    return hashlib.sha256(domain + salt + content).digest()


def _fields(value: object, *, without: frozenset[str] = frozenset()) -> dict[str, _Json]:
    if not is_dataclass(value):
        raise NotCommittable(type(value).__name__)
    held = {field.name: getattr(value, field.name) for field in fields(value)}
    return {
        name: _json(item)
        for name, item in held.items()
        if item is not None and item != () and name not in without
    }


def _json(value: object) -> _Json:
    match value:
        case StrEnum():
            return value.value
        case str():
            return value
        case Amount():
            return {"currency": value.currency.code, "value": value.format()}
        case Rate():
            return value.format()
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case tuple():
            return [_json(item) for item in value]
        case _:
            return _fields(value)
