"""What the pool's questions and answers look like in the fields of a frame.

Numbers of fixed width are big-endian. Whatever does not fit its form is `LinkFrameInvalid`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.errors import LinkFrameInvalid, MalformedRlp, NodeError
from node.link.frames import Frame, Kind, decode_error, encode_error
from node.pool import (
    Dropped,
    DropReason,
    Executable,
    PooledTransaction,
    PoolEvent,
    PoolPage,
    Standing,
    Waiting,
)
from node.primitives import (
    Address,
    Hash32,
    decode_bytes,
    decode_list,
    decode_rlp,
    encode_rlp,
)

EVENTS_PER_FRAME_MAX: Final = 2_048
"""Events in one frame."""

_EVENT: Final = struct.Struct(">32s20sQB")
_ENTRY: Final = struct.Struct(">32s20sQQ?")
_PLACE: Final = struct.Struct(">20sQ")
_VOUCHER: Final = struct.Struct(">32s20s")
_EXECUTABLE: Final = struct.Struct(">QQQ")
_DROPPED: Final = struct.Struct(">20sQBQ")
_TAKEN: Final = b"\0"
_REFUSED: Final = b"\1"


@dataclass(frozen=True, slots=True)
class Submission:
    """A raw transaction with what an RPC process found out about it by its own signature check."""

    raw: bytes
    transaction_hash: Hash32
    sender: Address


def encode_events(events: Sequence[PoolEvent]) -> Frame:
    """The notice of what happened to the pool; at most `EVENTS_PER_FRAME_MAX` events."""
    packed = b"".join(
        _EVENT.pack(each.transaction_hash, each.sender, each.nonce, each.dropped_for or 0)
        for each in events
    )
    return Frame(Kind.POOL_EVENTS, 0, (packed,))


def decode_events(fields: tuple[bytes, ...]) -> tuple[PoolEvent, ...]:
    """What `encode_events` packed."""
    try:
        (packed,) = fields
        return tuple(
            PoolEvent(Hash32(each), Address(sender), nonce, DropReason(why) if why else None)
            for each, sender, nonce, why in _EVENT.iter_unpack(packed)
        )
    except (struct.error, ValueError) as error:
        raise LinkFrameInvalid(str(error)) from error


def encode_submissions(submissions: Sequence[Submission]) -> tuple[bytes, ...]:
    """Transactions to take in: two fields each."""
    fields: list[bytes] = []
    for each in submissions:
        fields += (each.raw, _VOUCHER.pack(each.transaction_hash, each.sender))
    return tuple(fields)


def decode_submissions(fields: tuple[bytes, ...]) -> list[Submission]:
    """What `encode_submissions` wrote."""
    try:
        return [
            Submission(raw, *_voucher_of(voucher))
            for raw, voucher in zip(fields[::2], fields[1::2], strict=True)
        ]
    except (struct.error, ValueError) as error:
        raise LinkFrameInvalid(str(error)) from error


def encode_answers(answers: Sequence[Hash32 | NodeError]) -> tuple[bytes, ...]:
    """One field for each submission: taken in under a hash, or the refusal."""
    return tuple(
        _REFUSED + encode_rlp(encode_error(each)) if isinstance(each, NodeError) else _TAKEN + each
        for each in answers
    )


def decode_answers(fields: tuple[bytes, ...]) -> list[Hash32 | NodeError]:
    """What `encode_answers` wrote."""
    try:
        return [
            Hash32(field[1:])
            if field[:1] == _TAKEN
            else decode_error(tuple(map(decode_bytes, decode_list(decode_rlp(field[1:])))))
            for field in fields
        ]
    except MalformedRlp as error:
        raise LinkFrameInvalid(str(error)) from error


def encode_standing(standing: Standing | None) -> tuple[bytes, ...]:
    """A standing by its form: none, 3 (executable), 4 (waiting) or 2 fields (dropped)."""
    match standing:
        case None:
            return ()
        case Executable():
            numbers = _EXECUTABLE.pack(
                standing.own_ahead, standing.senders_ahead, standing.blocks_max
            )
            return (*_transaction_fields(standing.transaction), numbers)
        case Waiting():
            missing = struct.pack(f">{len(standing.missing)}Q", *standing.missing)
            rest = standing.expires_at.to_bytes(8, "big") + (standing.lost or b"")
            return (*_transaction_fields(standing.transaction), missing, rest)
        case Dropped():
            packed = _DROPPED.pack(
                standing.sender, standing.nonce, standing.reason, standing.dropped_at
            )
            return packed, standing.detail.encode()


def decode_standing(fields: tuple[bytes, ...]) -> Standing | None:
    """What `encode_standing` wrote."""
    try:
        match fields:
            case ():
                return None
            case (entry, raw, numbers):
                return Executable(_transaction_of(entry, raw)[0], *_EXECUTABLE.unpack(numbers))
            case (entry, raw, missing, rest):
                nonces = struct.unpack(f">{len(missing) // 8}Q", missing)
                transaction, _ = _transaction_of(entry, raw)
                expires_at, lost = int.from_bytes(rest[:8], "big"), rest[8:]
                return Waiting(transaction, nonces, expires_at, Hash32(lost) if lost else None)
            case (packed, detail):
                sender, nonce, reason, dropped_at = _DROPPED.unpack(packed)
                why = DropReason(reason)
                return Dropped(Address(sender), nonce, why, dropped_at, detail.decode())
            case _:
                raise LinkFrameInvalid("no such standing")
    except (struct.error, ValueError) as error:
        raise LinkFrameInvalid(str(error)) from error


def encode_page_request(
    after: tuple[Address, int] | None, sender: Address | None
) -> tuple[bytes, ...]:
    """Where a page begins, and whose it is; empty for none."""
    return _encode_place(after), sender or b""


def decode_page_request(
    after: bytes, sender: bytes
) -> tuple[tuple[Address, int] | None, Address | None]:
    """What `encode_page_request` wrote."""
    return _decode_place(after), Address(sender) if sender else None


def encode_page(page: PoolPage) -> tuple[bytes, ...]:
    """The place after which the next page begins, then two fields for each transaction."""
    fields = [_encode_place(page.following)]
    for each in page.executable:
        fields += _transaction_fields(each)
    for each in page.waiting:
        fields += _transaction_fields(each, is_waiting=True)
    return tuple(fields)


def decode_page(fields: tuple[bytes, ...]) -> PoolPage:
    """What `encode_page` wrote."""
    if not fields:
        raise LinkFrameInvalid("a page without its end")
    following, *entries = fields
    try:
        transactions = list(_transactions_of(entries))
    except (struct.error, ValueError) as error:
        raise LinkFrameInvalid(str(error)) from error
    return PoolPage(
        executable=tuple(each for each, is_waiting in transactions if not is_waiting),
        waiting=tuple(each for each, is_waiting in transactions if is_waiting),
        following=_decode_place(following),
    )


def _voucher_of(voucher: bytes) -> tuple[Hash32, Address]:
    transaction_hash, sender = _VOUCHER.unpack(voucher)
    return Hash32(transaction_hash), Address(sender)


def _encode_place(place: tuple[Address, int] | None) -> bytes:
    return _PLACE.pack(*place) if place else b""


def _decode_place(field: bytes) -> tuple[Address, int] | None:
    if not field:
        return None
    try:
        sender, nonce = _PLACE.unpack(field)
    except struct.error as error:
        raise LinkFrameInvalid(str(error)) from error
    return Address(sender), nonce


def _transaction_fields(
    transaction: PooledTransaction, *, is_waiting: bool = False
) -> tuple[bytes, bytes]:
    entry = _ENTRY.pack(
        transaction.transaction_hash,
        transaction.sender,
        transaction.nonce,
        transaction.gas_limit,
        is_waiting,
    )
    return entry, transaction.raw


def _transaction_of(entry: bytes, raw: bytes) -> tuple[PooledTransaction, bool]:
    transaction_hash, sender, nonce, gas_limit, is_waiting = _ENTRY.unpack(entry)
    found = PooledTransaction(Hash32(transaction_hash), Address(sender), nonce, gas_limit, raw)
    return found, is_waiting


def _transactions_of(fields: Sequence[bytes]) -> Iterator[tuple[PooledTransaction, bool]]:
    return (
        _transaction_of(entry, raw) for entry, raw in zip(fields[::2], fields[1::2], strict=True)
    )
