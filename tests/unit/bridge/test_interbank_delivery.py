"""Couriers: what each answer means, how long is tried, and what is taken once.

Cites docs/spec/interbank.md: IBK-3, 13, 14, 15, 16.
"""

from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import EnvelopeInvalid, InvariantBroken, MessageIdReused, RecordMissing
from bridge.interbank import Course, Heading, Interbank, Kind, Received, Receivers, take
from bridge.interbank.channel import PEER_SECONDS_MAX
from bridge.interbank.delivery import LEASE_SECONDS, PAUSE_SECONDS_MAX, pause_seconds
from bridge.store import Delivery, DeliveryState, UnitOfWork
from support.participants import BANK_A, BANK_B, PROVIDER, directory_of
from support.street_post import INSTITUTIONS, NETWORK, Side, make_side

NOW = 1_795_429_800
DAY = 86_400


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return make_side(BANK_A, tmp_path, NOW)


def answering(side: Side, *statuses: int, code: str = "commitment_mismatch") -> list[bytes]:
    """Have the others answer with these statuses, the last one for ever; what they are sent."""
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(statuses[min(len(sent), len(statuses)) - 1], json={"code": code})

    known = directory_of(INSTITUTIONS)
    http = httpx.Client(transport=httpx.MockTransport(answer))
    side.channel = Interbank(BANK_A, INSTITUTIONS[BANK_A].keys, lambda: known, http, NETWORK)
    return sent


def reader() -> Interbank:
    known = directory_of(INSTITUTIONS)
    return Interbank(BANK_B, INSTITUTIONS[BANK_B].keys, lambda: known, httpx.Client(), NETWORK)


def test_what_is_taken_is_sent_once_with_its_heading(side: Side) -> None:
    """IBK-3."""
    sent = answering(side, 202)
    message_id = side.delivers("p", "hello")
    courier = side.courier()
    assert courier.step()
    assert not courier.step()
    assert side.delivery(message_id).state is DeliveryState.TAKEN
    (received,) = [reader().open(sealed) for sealed in sent]
    assert received.heading == Heading(message_id, position=1, created_at=NOW)


def test_ibk_13_what_is_sent_again_says_so_and_is_the_same_message(side: Side) -> None:
    sent = answering(side, 503, 202)
    side.delivers("p", "hello")
    courier = side.courier()
    courier.step()
    side.clock.now += 1
    courier.step()
    first, second = [reader().open(sealed) for sealed in sent]
    assert first.heading is not None
    assert second.heading is not None
    assert (first.heading.possible_duplicate, second.heading.possible_duplicate) == (False, True)
    assert first.content_digest == second.content_digest
    assert first.digest != second.digest


def test_ibk_14_pauses_double_up_to_a_longest_one(side: Side) -> None:
    answering(side, 503)
    message_id = side.delivers("p", "hello")
    courier = side.courier()
    pauses = []
    for _ in range(12):
        assert courier.step()
        pauses.append(side.delivery(message_id).due_at - side.clock.now)
        side.clock.now = side.delivery(message_id).due_at
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert pause_seconds(10_000) == PAUSE_SECONDS_MAX


def test_ibk_15_after_its_days_a_message_is_dead_and_the_next_has_its_turn(side: Side) -> None:
    answering(side, 503)
    first, second = side.delivers("p", "1"), side.delivers("p", "2")
    courier = side.courier()
    courier.step()
    side.clock.now += 7 * DAY - 1
    courier.step()
    assert side.delivery(first).state is DeliveryState.WAITING
    side.clock.now = side.delivery(first).due_at
    courier.step()
    assert side.delivery(first).state is DeliveryState.DEAD
    courier.step()
    assert side.delivery(second).attempts == 1


def test_ibk_15_a_final_refusal_ends_it_and_its_course_follows_once(side: Side) -> None:
    answering(side, 422)
    problems: list[str] = []

    def refused(_: UnitOfWork, delivery: Delivery, problem: str) -> None:
        problems.append(f"{delivery.payment_id} {problem}")

    message_id = side.delivers("p", "hello")
    courier = side.courier({Kind.STATUS_REPORT: Course(refused=refused)})
    courier.step()
    assert not courier.step()
    assert side.delivery(message_id).state is DeliveryState.REFUSED
    assert problems == ["p commitment_mismatch"]


def test_ibk_15_what_is_not_wanted_any_more_is_not_sent(side: Side) -> None:
    sent = answering(side, 202)
    message_id = side.delivers("p", "hello")
    side.courier({Kind.STATUS_REPORT: Course(is_wanted=lambda _, __: False)}).step()
    assert sent == []
    assert side.delivery(message_id).state is DeliveryState.NEEDLESS


@pytest.mark.parametrize(
    ("to", "text"), [(PROVIDER, "hello"), (BANK_B, "x" * 70_000)], ids=["unknown", "too large"]
)
def test_ibk_15_what_no_retry_can_help_is_dead_at_once(side: Side, to: str, text: str) -> None:
    answering(side, 202)
    message_id = side.delivers("p", text, to=to)
    side.courier().step()
    assert side.delivery(message_id).state is DeliveryState.DEAD
    assert side.delivery(message_id).error


def test_an_unforeseen_fault_is_tried_again(side: Side) -> None:
    answering(side, 202)
    message_id = side.delivers("p", "hello")
    known, calls = directory_of(INSTITUTIONS), iter([RuntimeError("a fault"), None])

    def directory() -> object:
        if (fault := next(calls, None)) is not None:
            raise fault
        return known

    side.channel._directory = directory  # type: ignore[assignment]
    courier = side.courier()
    courier.step()
    assert side.delivery(message_id).state is DeliveryState.WAITING
    side.clock.now += 1
    courier.step()
    assert side.delivery(message_id).state is DeliveryState.TAKEN


def test_a_broken_invariant_stops_the_courier(side: Side) -> None:
    answering(side, 202)
    side.delivers("p", "hello")

    def fail(_: UnitOfWork, __: Delivery) -> bool:
        raise RecordMissing("payment", "p")

    with pytest.raises(InvariantBroken):
        side.courier({Kind.STATUS_REPORT: Course(is_wanted=fail)}).step()


def test_a_lease_outlives_any_attempt() -> None:
    assert 2 * PEER_SECONDS_MAX < LEASE_SECONDS


def received(side: Side, heading: Heading, text: str = "hello") -> Received:
    other = make_channel(BANK_B)
    body = {"payment": "p", "text": text}
    return side.channel.open(other.seal(BANK_A, Kind.STATUS_REPORT, body, heading))


def make_channel(lei: str) -> Interbank:
    known = directory_of(INSTITUTIONS)
    return Interbank(lei, INSTITUTIONS[lei].keys, lambda: known, httpx.Client(), NETWORK)


def receivers(side: Side) -> Receivers:
    return {Kind.STATUS_REPORT: side.receiver()}


def test_ibk_16_a_message_is_taken_once_duplicate_mark_or_not(side: Side) -> None:
    plain, marked = Heading("M", 1, NOW), Heading("M", 1, NOW, possible_duplicate=True)
    results = [
        take(side.store, receivers(side), received(side, heading), at=NOW)
        for heading in (plain, marked, plain)
    ]
    assert (results, side.taken) == ([True, False, False], [("p", "hello")])


def test_ibk_16_another_message_under_the_same_id_is_refused(side: Side) -> None:
    heading = Heading("M", 1, NOW)
    take(side.store, receivers(side), received(side, heading), at=NOW)
    with pytest.raises(MessageIdReused):
        take(side.store, receivers(side), received(side, heading, "other"), at=NOW)
    assert side.taken == [("p", "hello")]


def test_ibk_16_what_was_refused_is_judged_again(side: Side) -> None:
    message = received(side, Heading("M", 1, NOW))

    def refuse(_: UnitOfWork) -> None:
        raise EnvelopeInvalid("not now")

    with pytest.raises(EnvelopeInvalid):
        take(side.store, {Kind.STATUS_REPORT: lambda _: refuse}, message, at=NOW)
    assert take(side.store, receivers(side), message, at=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"from": BANK_A},
        {"to": BANK_B},
        {"definition": "pacs.008.001.08"},
        {"message_id": ""},
        {"message_id": "x" * 36},
        {"message_id": ["M"]},
        {"position": "1"},
        {"position": True},
        {"created": "yesterday"},
        {"created": 7},
        {"possible_duplicate": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_ibk_3_a_heading_of_another_message_or_shape_is_refused(
    side: Side, change: dict[str, object]
) -> None:
    class Lying(Heading):
        """A heading that says what it should not."""

        def document(self, **given: object) -> dict[str, object]:
            right = Heading(self.message_id, self.position, self.created_at)
            return {**right.document(**given), **change}  # type: ignore[arg-type]

    sealed = make_channel(BANK_B).seal(BANK_A, Kind.STATUS_REPORT, {}, Lying("M", 1, NOW))
    with pytest.raises(EnvelopeInvalid):
        side.channel.open(sealed)


@settings(max_examples=20)
@given(order=st.lists(st.integers(0, 4), max_size=25))
def test_ibk_16_in_whatever_order_and_however_often_messages_come_each_is_taken_once(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    side = make_side(BANK_A, tmp_path_factory.mktemp("taken"), NOW)
    for number in order:
        heading = Heading(f"M{number}", number + 1, NOW)
        take(side.store, receivers(side), received(side, heading, str(number)), at=NOW)
    assert sorted(text for _, text in side.taken) == sorted({str(number) for number in order})
    side.store.close()
