"""A bridge with restored books asks the others for what it missed.

    asker                                                   asked
      what was delivered to me from this second on?  -->
                                                     <--    the ids of those messages, page by page
      of those, send these, which I have not, again  -->
                                                     <--    how many; they come as deliveries

Questions are sealed and signed like any message. What is sent again is marked as a possible duplicate,
and taken once like any other. Only what was recorded for the institution that asks is ever named or sent
to it. Books that lost nothing have nothing sent again, however often they ask: what comes again would
hold up what is new.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from bridge.chain import Directory
from bridge.errors import EnvelopeInvalid, PeerAnswerInvalid, Rejected, Unavailable
from bridge.interbank.channel import Interbank, Received
from bridge.interbank.delivery import SECONDS_PER_DAY
from bridge.interbank.kinds import Kind
from bridge.store import Store
from bridge.telemetry import get_logger

PATH: Final = "/v1/interbank/fetches"

MESSAGES_MAX: Final = 500
"""Most messages that one answer names, and that one question has sent again."""

QUESTIONS_MAX: Final = 10_000
"""Most questions that are put to one institution: one that always has more is left."""

_NUMBER_DIGITS_MAX: Final = 15

_MESSAGE_ID: Final = re.compile(r"[0-9a-f]{32}")


def answer_fetch(store: Store, question: Received, *, at: int, days: int) -> dict[str, str]:
    """The body of the answer to either question; what is wanted again is sent for `days` from `at` on.

    Raises `EnvelopeInvalid` for what is no such question.
    """
    if question.kind is not Kind.FETCH:
        raise EnvelopeInvalid(f"{question.kind.value} is not taken here")
    if "messages" not in question.body:
        return _name_delivered(store, question)
    wanted = _message_ids(question.body)
    with store.unit_of_work() as work:
        found = work.deliveries.sequences_of(question.sender_lei, wanted)
        until = at + days * SECONDS_PER_DAY
        count = work.deliveries.replay(found, now=at, persists_until=until)
    return {"count": str(count)}


def _name_delivered(store: Store, question: Received) -> dict[str, str]:
    since, after = _number(question.body, "since"), _number(question.body, "after")
    with store.reading() as work:
        ended = work.deliveries.ended(
            question.sender_lei, since=since, after=after, limit=MESSAGES_MAX
        )
    following = str(ended[-1].sequence) if len(ended) == MESSAGES_MAX else ""
    return {"messages": ",".join(each.message_id for each in ended), "next": following}


def fetch_missed(
    store: Store, interbank: Interbank, directory: Callable[[], Directory], since: int
) -> tuple[str, ...]:
    """Have every other admitted institution send again what is missing here; who is yet to be asked.

    What it recorded from the UTC second `since` on is looked at. Asking again does no harm, so whoever
    restored asks until nobody is left. An institution that refuses the question for good counts as asked.
    """
    left = []
    for participant in directory().participants:
        if participant.lei == interbank.lei or not participant.is_admitted:
            continue
        try:
            count = _fetch(store, interbank, participant.lei, since)
        except Unavailable as error:
            get_logger().warning("fetch_not_answered", peer=participant.lei, error=str(error))
            left.append(participant.lei)
        except Rejected as error:
            get_logger().warning("fetch_refused", peer=participant.lei, error=str(error))
        else:
            get_logger().info("fetch_answered", peer=participant.lei, count=count)
    return tuple(left)


def _fetch(store: Store, interbank: Interbank, lei: str, since: int) -> int:
    count, after = 0, 0
    for _ in range(QUESTIONS_MAX):
        body = {"since": str(since), "after": str(after)}
        answer = interbank.ask(lei, PATH, Kind.FETCH, body).body
        try:
            delivered = _message_ids(answer)
            following = _number(answer, "next") if answer["next"] else None
        except (KeyError, EnvelopeInvalid) as error:
            raise PeerAnswerInvalid(lei, "it names no messages") from error
        with store.reading() as work:
            missing = work.receipts.missing(lei, delivered)
        if missing:
            interbank.ask(lei, PATH, Kind.FETCH, {"messages": ",".join(missing)})
            count += len(missing)
        if following is None:
            return count
        if following <= after:
            break
        after = following
    raise PeerAnswerInvalid(lei, "it never comes to an end")


def _message_ids(body: Mapping[str, str]) -> tuple[str, ...]:
    parts = tuple(part for part in body["messages"].split(",", MESSAGES_MAX + 1) if part)
    if len(parts) > MESSAGES_MAX:
        raise EnvelopeInvalid(f"it names more than {MESSAGES_MAX} messages")
    if not all(_MESSAGE_ID.fullmatch(part) for part in parts):
        raise EnvelopeInvalid("its messages are no message ids")
    return parts


def _number(body: Mapping[str, str], name: str) -> int:
    text = body.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS_MAX):
        raise EnvelopeInvalid(f"its {name} is no number")
    return int(text)
