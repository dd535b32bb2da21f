"""Asking for what was missed: whose it is, how much at a time, and questions that are none.

Cites docs/spec/interbank.md: IBK-18.
"""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bridge.errors import EnvelopeInvalid, PeerAnswerInvalid
from bridge.interbank import Interbank, Kind, Received, fetching
from bridge.interbank.fetching import Page, answer_fetch, fetch_page
from bridge.store import DeliveryState
from support.participants import BANK_A, BANK_B, directory_of
from support.street_post import INSTITUTIONS, NETWORK, Side, make_side

NOW = 1_795_429_800
ID = "0f" * 16


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return make_side(BANK_A, tmp_path, NOW)


def asks(side: Side, **body: str) -> dict[str, str]:
    return answer_fetch(side.store, Received(BANK_B, Kind.FETCH, body), at=NOW, days=7)


def end_all(side: Side, state: DeliveryState = DeliveryState.TAKEN) -> None:
    """Have everything that waits come to an end."""
    now = side.clock.now
    with side.store.unit_of_work() as work:
        while (found := work.deliveries.claim(now=now, owner="t", lease_seconds=9)) is not None:
            work.deliveries.finish(found, state)


def waiting(side: Side) -> list[str]:
    with side.store.reading() as work:
        page = work.deliveries.page(DeliveryState.WAITING, limit=99, cursor=None)
        return sorted(work.deliveries.body(each)["text"] for each in page.items)


@pytest.fixture
def asker(tmp_path: Path) -> Side:
    return make_side(BANK_B, tmp_path, NOW)


def fetches(asker: Side, answer: Callable[[httpx.Request], httpx.Response], after: int = 0) -> Page:
    """What a question of the asker's came to, put to somebody who answers so."""
    known = directory_of(INSTITUTIONS)
    http = httpx.Client(transport=httpx.MockTransport(answer))
    channel = Interbank(BANK_B, INSTITUTIONS[BANK_B].keys, lambda: known, http, NETWORK)
    return fetch_page(asker.store, channel, BANK_A, NOW, after)


def remembers(asker: Side, *message_ids: str) -> None:
    """Have the asker's books hold that these messages were taken."""
    with asker.store.unit_of_work() as work:
        for each in message_ids:
            work.receipts.add(BANK_A, each, bytes(32), received_at=NOW)


def test_only_what_was_recorded_for_the_asker_is_named_and_sent_again(side: Side) -> None:
    own = side.delivers("p", "theirs")
    others = side.delivers("p", "another's", to="OTHER")
    end_all(side)
    assert asks(side) == {"messages": own, "next": ""}
    assert waiting(side) == []
    assert asks(side, messages=f"{own},{others},{ID}") == {"count": "1"}
    assert waiting(side) == ["theirs"]


def test_what_is_older_than_the_second_asked_for_is_left(side: Side) -> None:
    side.delivers("p", "old")
    end_all(side)
    side.clock.now += 10
    new = side.delivers("p", "new")
    end_all(side)
    assert asks(side, since=str(NOW + 10)) == {"messages": new, "next": ""}


@pytest.mark.parametrize("state", [DeliveryState.REFUSED, DeliveryState.NEEDLESS])
def test_what_the_asker_refused_or_never_needed_is_not_named(
    side: Side, state: DeliveryState
) -> None:
    side.delivers("p", "ended otherwise")
    end_all(side, state)
    side.delivers("q", "on its way anyhow")
    assert asks(side) == {"messages": "", "next": ""}


def test_what_was_given_up_is_named(side: Side) -> None:
    """As after a week without the asker."""
    given_up = side.delivers("p", "given up")
    end_all(side, DeliveryState.DEAD)
    assert asks(side)["messages"] == given_up


def test_many_messages_take_several_questions_and_only_missing_ones_come_again(
    side: Side, asker: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MESSAGES_MAX", 2)
    sent = [side.delivers("p", str(number)) for number in range(5)]
    end_all(side)
    remembers(asker, sent[0], sent[2], sent[3])
    questions = []

    def answer(request: httpx.Request) -> httpx.Response:
        questions.append(side.channel.open(request.content).body)
        return httpx.Response(200, content=side.answers(request.content))

    first = fetches(asker, answer)
    second = fetches(asker, answer, after=2)
    assert (first, second, fetches(asker, answer, after=4)) == (
        Page(1, 2),
        Page(0, 4),
        Page(1, None),
    )
    assert waiting(side) == ["1", "4"]
    since = str(NOW)
    assert questions == [
        {"since": since, "after": "0"},
        {"messages": sent[1]},
        {"since": since, "after": "2"},
        {"since": since, "after": "4"},
        {"messages": sent[4]},
    ]


def test_books_that_lost_nothing_have_nothing_sent_again(side: Side, asker: Side) -> None:
    """What came again would stand before what is new, for as long as it takes."""
    sent = [side.delivers("p", str(number)) for number in range(9)]
    end_all(side)
    remembers(asker, *sent)
    page = fetches(asker, lambda asked: httpx.Response(200, content=side.answers(asked.content)))
    assert (page, waiting(side)) == (Page(0, None), [])


@pytest.mark.parametrize(
    "body",
    [
        {"since": "-1"},
        {"since": "yesterday"},
        {"since": "9" * 16},
        {"after": "x"},
        {"messages": "zz"},
        {"messages": ID.upper()},
        {"messages": ",".join([ID] * 501)},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_question_that_is_none_is_refused(side: Side, body: dict[str, str]) -> None:
    side.delivers("p", "hello")
    with pytest.raises(EnvelopeInvalid):
        asks(side, **body)


def test_a_message_of_another_kind_is_no_question(side: Side) -> None:
    question = Received(BANK_B, Kind.STATUS_REPORT, {})
    with pytest.raises(EnvelopeInvalid):
        answer_fetch(side.store, question, at=NOW, days=7)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": ID},
        {"messages": "x", "next": ""},
        {"messages": "", "next": "-"},
        {"messages": "", "next": "0"},
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_not_believed(
    side: Side, asker: Side, body: dict[str, str]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, content=side.channel.answer(side.channel.open(request.content), body)
        )

    with pytest.raises(PeerAnswerInvalid):
        fetches(asker, answer)
