"""A bridge with restored books asks the others for what it missed.

The question, sealed and signed like any message, says from which second on, or for which payments (by
their settlement ids). The answer says how much is sent again and from where to ask on; the messages
themselves come as deliveries, marked as possible duplicates, and are taken once like any other. Only
what was recorded for the institution that asks is ever sent to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.chain import Directory
from bridge.errors import EnvelopeInvalid, PeerAnswerInvalid, Rejected, Unavailable
from bridge.interbank.channel import Interbank, Received
from bridge.interbank.delivery import SECONDS_PER_DAY
from bridge.interbank.kinds import Kind
from bridge.payment import Direction, SettlementId
from bridge.store import Store, UnitOfWork
from bridge.telemetry import get_logger

PATH: Final = "/v1/interbank/fetches"

MESSAGES_MAX: Final = 500
"""Most messages that one question has sent again."""

PAYMENTS_MAX: Final = 100
"""Most payments that one question may name."""

QUESTIONS_MAX: Final = 10_000
"""Most questions that are put to one institution: one that always has more is left."""

_NUMBER_DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: messages recorded from the UTC second `since` on, of `payments` if any."""

    since: int = 0
    payments: Sequence[SettlementId] = ()


def answer_fetch(store: Store, question: Received, *, at: int, days: int) -> dict[str, str]:
    """Have what the asking institution missed sent again; the body of the answer.

    Raises `EnvelopeInvalid` for what is no such question.
    """
    if question.kind is not Kind.FETCH:
        raise EnvelopeInvalid(f"{question.kind.value} is not taken here")
    since, after = _number(question.body, "since"), _number(question.body, "after")
    keys = _keys(question.body.get("payments", ""))
    with store.unit_of_work() as work:
        payment_ids = _payment_ids(work, keys)
        found: tuple[int, ...] = ()
        if payment_ids or not keys:
            found = work.deliveries.missed(
                question.sender_lei,
                since=since,
                after=after,
                limit=MESSAGES_MAX,
                payment_ids=payment_ids,
            )
        work.deliveries.replay(found, now=at, persists_until=at + days * SECONDS_PER_DAY)
    following = str(found[-1]) if len(found) == MESSAGES_MAX else ""
    return {"count": str(len(found)), "next": following}


def fetch_missed(
    interbank: Interbank, directory: Callable[[], Directory], wanted: Wanted
) -> tuple[str, ...]:
    """Ask every other admitted institution for what was missed; the LEIs of those yet to be asked.

    Asking again does no harm, so whoever restored asks until nobody is left. An institution that
    refuses the question for good counts as asked.
    """
    left = []
    for participant in directory().participants:
        if participant.lei == interbank.lei or not participant.is_admitted:
            continue
        try:
            count = _ask(interbank, participant.lei, wanted)
        except Unavailable as error:
            get_logger().warning("fetch_not_answered", peer=participant.lei, error=str(error))
            left.append(participant.lei)
        except Rejected as error:
            get_logger().warning("fetch_refused", peer=participant.lei, error=str(error))
        else:
            get_logger().info("fetch_answered", peer=participant.lei, count=count)
    return tuple(left)


def _ask(interbank: Interbank, lei: str, wanted: Wanted) -> int:
    count, after = 0, "0"
    for _ in range(QUESTIONS_MAX):
        body = {
            "since": str(wanted.since),
            "after": after,
            "payments": ",".join(key.hex() for key in wanted.payments),
        }
        answer = interbank.ask(lei, PATH, Kind.FETCH, body)
        try:
            count += _number(answer.body, "count")
            following = _number(answer.body, "next") if answer.body["next"] else None
        except (KeyError, EnvelopeInvalid) as error:
            raise PeerAnswerInvalid(lei, "it says not how much is sent again") from error
        if following is None:
            return count
        after = str(following)
    raise PeerAnswerInvalid(lei, "it never comes to an end")


def _payment_ids(work: UnitOfWork, keys: Iterable[SettlementId]) -> tuple[str, ...]:
    """The ids here of payments by their ids on the chain; what is unknown is left out."""
    found = (
        work.payments.by_settlement_id(key, direction) for key in keys for direction in Direction
    )
    return tuple(payment.payment_id for payment in found if payment is not None)


def _keys(text: str) -> tuple[SettlementId, ...]:
    parts = [part for part in text.split(",", PAYMENTS_MAX + 1) if part]
    if len(parts) > PAYMENTS_MAX:
        raise EnvelopeInvalid(f"it names more than {PAYMENTS_MAX} payments")
    try:
        return tuple(SettlementId(bytes.fromhex(part)) for part in parts)
    except ValueError as error:
        raise EnvelopeInvalid("its payments are not hexadecimal") from error


def _number(body: Mapping[str, str], name: str) -> int:
    text = body.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS_MAX):
        raise EnvelopeInvalid(f"its {name} is no number")
    return int(text)
