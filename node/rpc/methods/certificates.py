"""Proofs for others: settlement certificates, and the evidence against validators."""

from __future__ import annotations

import json
from typing import Final

from node.certificate import CertificateMaterial, build_certificate, payment_event
from node.errors import CertificateNotReady, HistoryPruned, PaymentUnknown
from node.history import LogFilter
from node.primitives import Address, Hash32
from node.rpc.codec.format import format_data, format_quantity
from node.rpc.codec.parse import parse_hash
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View
from node.verify_certificate import SETTLEMENT_ADDRESS

ENDS: Final = frozenset({"PaymentSettled", "PaymentRejected", "PaymentCancelled", "PaymentExpired"})
"""Events after which nothing more happens to a payment."""

MISBEHAVIOURS_MAX: Final = 1_000
"""Evidence of one answer, the newest."""

_Place = tuple[
    int, int, int
]  # a block's number, a transaction's position in it, a log's in its receipt


def corridor_get_settlement_certificate(view: View, payment_or_transaction: Json) -> JsonObject:
    """A file that proves to anybody what became of a payment, by its id or by the hash of a transaction.

    The payment's newest event is certified; of a transaction's events the one that ends a payment, else its last. Kept
    as RFC 8785 JSON, the answer is what `verify_certificate.py` reads.
    """
    asked = parse_hash(payment_or_transaction, name="id")
    place = _place_in_transaction(view, asked) or _place_of_payment(view, asked)
    if place is None:
        raise PaymentUnknown(asked)
    number, position, log_index = place
    header, signed = view.history.header(number), view.history.signed_header(number)
    if header is None or signed is None:
        raise CertificateNotReady(number)
    material = CertificateMaterial(
        header=header,
        receipts=view.history.receipts(number),
        transaction_index=position,
        log_index=log_index,
        signed=signed,
        changes=view.history.validator_changes(),
    )
    document: JsonObject = json.loads(build_certificate(material))
    return document


def corridor_get_misbehaviours(view: View) -> list[JsonObject]:
    """The newest evidence against validators in decided blocks, newest first."""
    return [
        {
            "kind": each.kind,
            "validator": format_data(each.validator),
            "height": format_quantity(each.height),
            "timestamp": format_quantity(each.timestamp),
            "reportedHeight": format_quantity(each.reported_height),
        }
        for each in view.history.misbehaviours(MISBEHAVIOURS_MAX)
    ]


def _place_in_transaction(view: View, transaction_hash: Hash32) -> _Place | None:
    record = view.history.receipt(transaction_hash)
    if record is None:
        return None
    events = [
        (index, name)
        for index, log in enumerate(record.receipt.logs)
        if (name := payment_event(log)) is not None
    ]
    ends = [each for each in events if each[1] in ENDS]
    if not events:
        raise PaymentUnknown(transaction_hash)
    return record.number, record.position, (ends or events)[-1][0]


def _place_of_payment(view: View, payment_id: Hash32) -> _Place | None:
    first_number = view.history.first_number()
    log_filter = LogFilter(
        from_number=first_number,
        to_number=view.history.head().number,
        addresses=(Address(SETTLEMENT_ADDRESS),),
        topics=((), (payment_id,)),
    )
    found = [each for each in view.history.logs(log_filter) if payment_event(each.log) is not None]
    if not found and first_number:
        raise HistoryPruned(first_number)
    if not found:
        return None
    newest = found[-1]
    receipts = view.history.receipts(newest.number)
    before = sum(len(each.logs) for each in receipts[: newest.transaction_position])
    return newest.number, newest.transaction_position, newest.log_index - before
