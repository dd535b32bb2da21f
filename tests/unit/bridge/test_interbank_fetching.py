"""Asking for what was missed: whose it is, how much at a time, and questions that are none.

Cites docs/spec/interbank.md: IBK-18.
"""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bridge.errors import EnvelopeInvalid
from bridge.interbank import Interbank, Kind, Received, fetching
from bridge.interbank.fetching import Wanted, answer_fetch, fetch_missed
from bridge.payment import Direction, SettlementId
from bridge.store import DeliveryState
from support import bridge_records
from support.participants import BANK_A, BANK_B, directory_of
from support.street_post import INSTITUTIONS, NETWORK, Side, make_side

NOW = 1_795_429_800


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return make_side(BANK_A, tmp_path, NOW)


def asks(side: Side, **body: str) -> dict[str, str]:
    return answer_fetch(side.store, Received(BANK_B, Kind.FETCH, body), at=NOW, days=7)


def take_all(side: Side) -> None:
    """Have everything that waits be taken."""
    with side.store.unit_of_work() as work:
        while (found := work.deliveries.claim(now=NOW, owner="t", lease_seconds=9)) is not None:
            work.deliveries.finish(found, DeliveryState.TAKEN)


def waiting(side: Side) -> list[str]:
    with side.store.reading() as work:
        page = work.deliveries.page(DeliveryState.WAITING, limit=99, cursor=None)
        return sorted(work.deliveries.body(each)["text"] for each in page.items)


def test_only_what_was_recorded_for_the_asker_is_sent_again(side: Side) -> None:
    side.delivers("p", "theirs")
    side.delivers("p", "another's", to="OTHER")
    take_all(side)
    assert asks(side) == {"count": "1", "next": ""}
    assert waiting(side) == ["theirs"]


def test_what_is_older_than_the_second_asked_for_is_left(side: Side) -> None:
    side.delivers("p", "old")
    side.clock.now += 10
    side.delivers("p", "new")
    take_all(side)
    assert asks(side, since=str(NOW + 10)) == {"count": "1", "next": ""}
    assert waiting(side) == ["new"]


def test_payments_are_named_by_their_ids_on_the_chain(side: Side) -> None:
    wanted = bridge_records.payment(1, Direction.OUTGOING)
    with side.store.unit_of_work() as work:
        work.payments.add(wanted)
    side.delivers(wanted.payment_id, "wanted")
    side.delivers("p", "another's")
    take_all(side)
    assert asks(side, payments=wanted.settlement_id.hex()) == {"count": "1", "next": ""}
    assert waiting(side) == ["wanted"]
    assert asks(side, payments="ee" * 32) == {"count": "0", "next": ""}


def test_many_messages_take_several_questions(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MESSAGES_MAX", 2)
    for number in range(5):
        side.delivers("p", str(number))
    take_all(side)
    questions = []

    def answer(request: httpx.Request) -> httpx.Response:
        questions.append(side.channel.open(request.content).body["after"])
        return httpx.Response(200, content=side.answers(request.content))

    known = directory_of(INSTITUTIONS)
    http = httpx.Client(transport=httpx.MockTransport(answer))
    asker = Interbank(BANK_B, INSTITUTIONS[BANK_B].keys, lambda: known, http, NETWORK)
    assert fetch_missed(asker, lambda: known, Wanted(since=NOW)) == ()
    assert len(questions) == 3
    assert waiting(side) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "body",
    [
        {"since": "-1"},
        {"since": "yesterday"},
        {"since": "9" * 16},
        {"after": "x"},
        {"payments": "zz"},
        {"payments": ",".join(["00" * 32] * 101)},
    ],
    ids=str,
)
def test_a_question_that_is_none_is_refused(side: Side, body: dict[str, str]) -> None:
    side.delivers("p", "hello")
    with pytest.raises(EnvelopeInvalid):
        asks(side, **body)


def test_a_message_of_another_kind_is_no_question(side: Side) -> None:
    question = Received(BANK_B, Kind.STATUS_REPORT, {})
    with pytest.raises(EnvelopeInvalid):
        answer_fetch(side.store, question, at=NOW, days=7)


@pytest.mark.parametrize("body", [{}, {"count": "x", "next": ""}, {"count": "1", "next": "-"}])
def test_an_institution_whose_answer_is_none_is_asked_again_later(
    side: Side, body: dict[str, str]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, content=side.channel.answer(side.channel.open(request.content), body)
        )

    known = directory_of(INSTITUTIONS)
    http = httpx.Client(transport=httpx.MockTransport(answer))
    asker = Interbank(BANK_B, INSTITUTIONS[BANK_B].keys, lambda: known, http, NETWORK)
    key = SettlementId(bytes(32))
    assert fetch_missed(asker, lambda: known, replace(Wanted(), payments=(key,))) == (BANK_A,)
