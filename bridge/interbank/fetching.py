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
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.errors import EnvelopeInvalid, PeerAnswerInvalid
from bridge.interbank.channel import Interbank, Received
from bridge.interbank.delivery import SECONDS_PER_DAY
from bridge.interbank.kinds import Kind
from bridge.store import Store

PATH: Final = "/v1/interbank/fetches"

MESSAGES_MAX: Final = 500
"""Most messages that one answer names, and that one question has sent again."""

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


@dataclass(frozen=True, slots=True)
class Page:
    """What one page came to: how many messages come again, and where to go on; None at the end."""

    count: int
    following: int | None


Fetch: TypeAlias = Callable[[Store, Interbank, str, int, int], Page]
"""How one page is fetched: `fetch_page`."""


def fetch_page(store: Store, interbank: Interbank, lei: str, since: int, after: int) -> Page:
    """Have an institution send again what it delivered and these books do not have, of one page.

    Looked at is what it tried last from the UTC second `since` on, beyond the place `after`. Asking again
    does no harm. Raises as `Interbank.ask` does, and `PeerAnswerInvalid` for what is no answer.
    """
    body = {"since": str(since), "after": str(after)}
    answer = interbank.ask(lei, PATH, Kind.FETCH, body).body
    try:
        delivered = _message_ids(answer)
        following = _number(answer, "next") if answer["next"] else None
    except (KeyError, EnvelopeInvalid) as error:
        raise PeerAnswerInvalid(lei, "it names no messages") from error
    if following is not None and following <= after:
        raise PeerAnswerInvalid(lei, "it comes to no end")
    with store.reading() as work:
        missing = work.receipts.missing(lei, delivered)
    if missing:
        interbank.ask(lei, PATH, Kind.FETCH, {"messages": ",".join(missing)})
    return Page(len(missing), following)


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
