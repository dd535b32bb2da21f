"""The outbox of messages: order per payment, leases, replay, what a peer missed.

Cites docs/spec/interbank.md: IBK-10, 11, 12, 13, 14, 18.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RecordConflict
from bridge.store import Delivery, DeliveryState, NewDelivery, Store

NOW = 1_000_000
LEASE = 60
ALPHA, BETA = "ALPHA", "BETA"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "bridge.sqlite")) as opened:
        yield opened


def record(
    store: Store, text: str, *, peer: str = ALPHA, payment: str = "p", created_at: int = NOW
) -> str:
    message_id = f"{peer}:{payment}:{text}"
    with store.unit_of_work() as work:
        work.deliveries.add(
            NewDelivery(
                message_id=message_id,
                peer_lei=peer,
                stream=payment,
                kind="pacs.002",
                body={"text": text},
                created_at=created_at,
                persists_until=NOW + 100,
                payment_id=payment,
            )
        )
    return message_id


def claim(store: Store, now: int = NOW) -> Delivery | None:
    with store.unit_of_work() as work:
        return work.deliveries.claim(now=now, owner="test", lease_seconds=LEASE)


def claimed(store: Store, now: int = NOW) -> Delivery:
    found = claim(store, now)
    assert found is not None
    return found


def finish(store: Store, delivery: Delivery, state: DeliveryState = DeliveryState.TAKEN) -> bool:
    with store.unit_of_work() as work:
        return work.deliveries.finish(delivery, state)


def test_ibk_10_the_same_message_again_changes_nothing(store: Store) -> None:
    record(store, "1")
    record(store, "1")
    with store.reading() as work:
        assert work.deliveries.count(DeliveryState.WAITING) == 1


def test_ibk_10_another_message_under_its_id_is_refused(store: Store) -> None:
    record(store, "1")
    other = NewDelivery("ALPHA:p:1", ALPHA, "p", "pacs.002", {"text": "2"}, NOW, NOW, "p")
    with pytest.raises(RecordConflict), store.unit_of_work() as work:
        work.deliveries.add(other)


@pytest.mark.parametrize(
    "end",
    [DeliveryState.TAKEN, DeliveryState.REFUSED, DeliveryState.NEEDLESS, DeliveryState.DEAD],
)
def test_ibk_11_the_next_message_waits_for_the_end_of_the_one_before(
    store: Store, end: DeliveryState
) -> None:
    first, second = record(store, "1"), record(store, "2")
    one = claimed(store)
    assert (one.message_id, one.position) == (first, 1)
    with store.unit_of_work() as work:
        assert work.deliveries.retry(one, NOW + 50, "no answer")
    assert claim(store) is None
    assert finish(store, claimed(store, NOW + 50), end)
    two = claimed(store, NOW + 50)
    assert (two.message_id, two.position) == (second, 2)


def test_ibk_11_payments_do_not_wait_for_each_other(store: Store) -> None:
    record(store, "1", payment="p")
    other = record(store, "1", payment="q")
    stuck = claimed(store)
    with store.unit_of_work() as work:
        work.deliveries.retry(stuck, NOW + 50, "no answer")
    assert claimed(store).message_id == other


def test_ibk_12_one_message_to_an_institution_is_in_hand_at_a_time(store: Store) -> None:
    record(store, "1", payment="p")
    record(store, "1", payment="q")
    elsewhere = record(store, "1", peer=BETA)
    claimed(store)
    assert claimed(store).message_id == elsewhere
    assert claim(store) is None


def test_ibk_13_a_lease_that_ran_out_is_claimed_anew_and_its_loser_not_heard(store: Store) -> None:
    record(store, "1")
    lost = claimed(store)
    assert claim(store, NOW + LEASE - 1) is None
    held = claimed(store, NOW + LEASE)
    assert (lost.attempts, held.attempts) == (1, 2)
    assert not finish(store, lost)
    assert finish(store, held)


def test_ibk_13_a_started_process_frees_what_a_dead_one_held(store: Store) -> None:
    record(store, "1")
    claimed(store)
    with store.unit_of_work() as work:
        assert work.deliveries.release_all(NOW) == 1
    assert claimed(store).attempts == 2


def test_ibk_14_what_waits_for_an_institution_is_due_once_it_answers(store: Store) -> None:
    record(store, "1", payment="p")
    delivery = claimed(store)
    with store.unit_of_work() as work:
        work.deliveries.retry(delivery, NOW + 600, "no answer")
        work.deliveries.hasten(BETA, NOW)
    assert claim(store) is None
    with store.unit_of_work() as work:
        work.deliveries.hasten(ALPHA, NOW)
    assert claimed(store).failures == 1


def test_ibk_18_what_a_peer_took_is_named_from_a_second_on(store: Store) -> None:
    record(store, "old", created_at=NOW - 99)
    finish(store, claimed(store, NOW - LEASE - 1))
    record(store, "other", peer=BETA)
    wanted = [record(store, text) for text in ("1", "2", "3")]
    for _ in range(4):
        finish(store, claimed(store))
    record(store, "waiting")
    with store.reading() as work:
        found = work.deliveries.ended(ALPHA, since=NOW, after=0, limit=2)
        rest = work.deliveries.ended(ALPHA, since=NOW, after=found[-1].sequence, limit=2)
        known = work.deliveries.sequences_of(ALPHA, [*wanted, "unknown"])
        assert work.deliveries.sequences_of(BETA, wanted) == ()
    assert [each.message_id for each in (*found, *rest)] == wanted
    assert known == tuple(each.sequence for each in (*found, *rest))


def test_ibk_18_what_was_taken_late_is_named_though_it_was_recorded_early(store: Store) -> None:
    early = record(store, "early", created_at=NOW - 9_000)
    finish(store, claimed(store))
    with store.reading() as work:
        (found,) = work.deliveries.ended(ALPHA, since=NOW, after=0, limit=9)
    assert found.message_id == early


def test_ibk_17_a_replayed_message_waits_again_whatever_its_end(store: Store) -> None:
    record(store, "1")
    finish(store, claimed(store), DeliveryState.DEAD)
    with store.unit_of_work() as work:
        page = work.deliveries.page(DeliveryState.DEAD, limit=9, cursor=None)
        sequences = [each.sequence for each in page.items]
        assert work.deliveries.replay(sequences, now=NOW, persists_until=NOW + 999) == 1
    again = claimed(store)
    assert (again.attempts, again.failures, again.persists_until) == (2, 0, NOW + 999)


def test_ibk_17_a_message_in_hand_is_not_replayed(store: Store) -> None:
    record(store, "1")
    held = claimed(store)
    with store.unit_of_work() as work:
        assert work.deliveries.replay([held.sequence], now=NOW, persists_until=NOW) == 0
    assert finish(store, held)


@settings(max_examples=25)
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["record", "take", "fail", "die"]),
            st.sampled_from(["p", "q", "r"]),
            st.sampled_from([ALPHA, BETA]),
        ),
        max_size=40,
    )
)
def test_ibk_11_whatever_happens_a_stream_is_taken_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("deliveries")
    taken: dict[tuple[str, str], list[int]] = {}
    with closing(Store.open(folder / "bridge.sqlite")) as store:
        for step, (act, payment, peer) in enumerate(acts):
            now = NOW + step
            if act == "record":
                record(store, str(step), peer=peer, payment=payment)
                continue
            delivery = claim(store, now)
            if delivery is None:
                continue
            match act:
                case "take":
                    assert finish(store, delivery)
                    stream = (delivery.peer_lei, delivery.stream)
                    taken.setdefault(stream, []).append(delivery.position)
                case "fail":
                    with store.unit_of_work() as work:
                        work.deliveries.retry(delivery, now + 3, "no answer")
                case _:
                    with store.unit_of_work() as work:
                        work.deliveries.release_all(now)
    assert all(positions == list(range(1, len(positions) + 1)) for positions in taken.values())
