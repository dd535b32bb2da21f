"""Settlement certificates: a payment's event joined to what consensus signed about its block.

`build_certificate` takes a signed header of consensus, the Ethereum block that its `app_hash` names with all receipts,
and the headers by which the set of validators changed since genesis. `node.verify_certificate`, which anybody can run
alone, says what the file is and what it proves. A certificate holds as little as proves its event: the first
signatures that exceed two thirds, and no changes that led back to an earlier set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from node.block import Header, Log, Receipt, list_proof
from node.errors import NothingToCertify
from node.primitives import keccak
from node.signed_header import SignedHeader
from node.verify_certificate import FORMAT, SETTLEMENT_ADDRESS, SIGNATURE_BY_EVENT, Fields

EVENT_BY_TOPIC: Final[Mapping[bytes, str]] = {
    keccak(signature.encode()): event for event, signature in SIGNATURE_BY_EVENT.items()
}
"""Name of each event that may be certified, by its first topic."""


@dataclass(frozen=True, slots=True)
class CertificateMaterial:
    """All that a certificate is made of."""

    header: Header
    """Of the Ethereum block."""
    receipts: Sequence[Receipt]
    """All of that block."""
    transaction_index: int
    log_index: int
    """Position within the transaction's own receipt."""
    signed: SignedHeader
    """One whose `app_hash` is the hash of `header`."""
    changes: Sequence[SignedHeader]
    """Every header from genesis on that names another set as the next, in order of height."""


def payment_event(log: Log) -> str | None:
    """Return the name of the payment's event that a log is, None where it is none."""
    if log.address != SETTLEMENT_ADDRESS or len(log.topics) < 2:
        return None
    return EVENT_BY_TOPIC.get(log.topics[0])


def build_certificate(material: CertificateMaterial) -> bytes:
    """Return the certificate; raises NothingToCertify where no event of a payment is at that position."""
    index, log_index = material.transaction_index, material.log_index
    if not 0 <= index < len(material.receipts):
        raise NothingToCertify(index, log_index)
    receipt = material.receipts[index]
    log = receipt.logs[log_index] if 0 <= log_index < len(receipt.logs) else None
    event = payment_event(log) if log is not None else None
    if log is None or event is None:
        raise NothingToCertify(index, log_index)
    encoded = [each.encode() for each in material.receipts]
    changes = needed_changes(
        each for each in material.changes if each.header.height < material.signed.header.height
    )
    fields = {
        "format": FORMAT,
        "payment": {
            "event": event,
            "payment_id": log.topics[1],
            "topics": list(log.topics[2:]),
            "data": log.data,
            "log_index": receipt.logs.index(log),
        },
        "transaction_index": index,
        "receipt": encoded[index],
        "receipt_proof": list(list_proof(encoded, index)),
        "ethereum_header": material.header.encode(),
        "validator_changes": [_signed_fields(each) for each in changes],
        **_signed_fields(material.signed),
    }
    return rfc8785.dumps(_written(fields))


def needed_changes(changes: Iterable[SignedHeader]) -> tuple[SignedHeader, ...]:
    """Return the changes without those between a set of validators and the same set again."""
    path: list[SignedHeader] = []
    place_by_set: dict[bytes, int] = {}
    for change in changes:
        place_by_set[change.header.validators_hash] = len(path)
        path.append(change)
        place = place_by_set.get(change.header.next_validators_hash)
        if place is not None:
            for unneeded in path[place:]:
                del place_by_set[unneeded.header.validators_hash]
            del path[place:]
    return tuple(path)


def _signed_fields(signed: SignedHeader) -> Fields:
    """A signed header as a certificate has it, with the first signatures that exceed two thirds."""
    commit, members = signed.commit, signed.validators.members
    needed, power = [], 0
    for each in commit.signatures:
        if 3 * power > 2 * signed.validators.power:
            break
        power += members[each.validator].power
        needed.append(
            {"validator": each.validator, "time": each.time.fields(), "signature": each.signature}
        )
    parts = commit.block_id.parts()
    return {
        "consensus_header": signed.header.fields(),
        "commit": {"round": commit.round, "parts": parts, "signatures": needed},
        "validators": [each.fields() for each in members],
    }


def _written(value: Any) -> Any:  # a document's shape is its own
    """A document with its bytes as hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _written(each) for name, each in value.items()}
    return [_written(each) for each in value] if isinstance(value, list) else value
