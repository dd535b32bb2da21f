"""The outbox: effects are recorded once, claimed under a lease and left exactly one way."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.errors import RecordConflict
from bridge.store import EffectRow, EffectState, Store
from bridge.store.effects import EVERYTHING, Lane
from support.bridge_records import NOW, effect, open_store_at
from support.databases import Databases

LEASE = 30


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    opened = open_store_at(databases.place())
    yield opened
    opened.close()


def add(store: Store, *keys: str, due_at: int = NOW) -> None:
    with store.unit_of_work() as work:
        for key in keys:
            work.effects.add(effect(key, due_at=due_at))


def claim(
    store: Store,
    owner: str = "one",
    *,
    now: int = NOW,
    limit: int = 10,
    lane: Lane = EVERYTHING,
) -> tuple[EffectRow, ...]:
    with store.unit_of_work() as work:
        return work.effects.claim(now=now, owner=owner, limit=limit, lease_seconds=LEASE, lane=lane)


def count(store: Store, state: EffectState) -> int:
    with store.reading() as work:
        return work.effects.count(state)


def test_an_effect_is_recorded_once_per_key(store: Store) -> None:
    """OUT-1."""
    add(store, "a")
    add(store, "a", due_at=NOW + 5)
    assert [each.key for each in claim(store)] == ["a"]
    with pytest.raises(RecordConflict), store.unit_of_work() as work:
        work.effects.add(replace(effect("a"), payload={"key": "b"}))


def test_an_effect_that_is_done_cannot_be_recorded_anew(store: Store) -> None:
    """OUT-1."""
    add(store, "a")
    (claimed,) = claim(store)
    with store.unit_of_work() as work:
        assert work.effects.done(claimed)
    add(store, "a")
    assert claim(store) == ()
    with store.reading() as work:
        assert work.effects.has("a")
        assert not work.effects.has("b")


def test_a_claimed_effect_carries_what_was_recorded(store: Store) -> None:
    add(store, "a")
    (claimed,) = claim(store)
    assert claimed == EffectRow(
        effect_id=claimed.effect_id,
        kind="send",
        key="a",
        payload={"key": "a"},
        payment_id="pay_1",
        attempts=1,
    )


def test_effects_are_claimed_in_the_order_they_fall_due(store: Store) -> None:
    """OUT-2."""
    add(store, "late", due_at=NOW + 1)
    add(store, "a", "b")
    assert [each.key for each in claim(store, limit=1)] == ["a"]
    assert [each.key for each in claim(store)] == ["b"]
    assert [each.key for each in claim(store)] == []
    assert [each.key for each in claim(store, now=NOW + 1)] == ["late"]


def test_two_workers_never_hold_one_effect(store: Store) -> None:
    """OUT-2."""
    add(store, *"abcd")
    first = claim(store, "one", limit=2)
    second = claim(store, "two", limit=10)
    assert [each.key for each in first] == ["a", "b"]
    assert [each.key for each in second] == ["c", "d"]


def test_a_lease_that_has_run_out_passes_the_effect_on(store: Store) -> None:
    """OUT-3."""
    add(store, "a")
    (lost,) = claim(store, "one")
    assert claim(store, "two", now=NOW + LEASE - 1) == ()
    (taken,) = claim(store, "two", now=NOW + LEASE)
    assert (taken.effect_id, taken.attempts) == (lost.effect_id, 2)


def test_a_worker_that_lost_its_claim_is_not_heard(store: Store) -> None:
    """OUT-3."""
    add(store, "a")
    (lost,) = claim(store, "one")
    (taken,) = claim(store, "two", now=NOW + LEASE)
    with store.unit_of_work() as work:
        assert not work.effects.retry(lost, NOW + 999, "late")
        assert not work.effects.abandon(lost, "late")
        assert not work.effects.done(lost)
        assert work.effects.retried_since(NOW + 9_999, 9) == ()
        assert work.effects.done(taken)
    assert count(store, EffectState.DONE) == 1


def test_a_retried_effect_falls_due_again(store: Store) -> None:
    add(store, "a")
    (claimed,) = claim(store)
    with store.unit_of_work() as work:
        assert work.effects.retry(claimed, NOW + 7, "not yet")
        assert work.effects.next_due() == NOW + 7
    assert claim(store, now=NOW + 6) == ()
    (again,) = claim(store, now=NOW + 7)
    assert again.attempts == 2


def test_an_abandoned_effect_stays_visible_and_is_never_claimed(store: Store) -> None:
    """OUT-6."""
    add(store, "a", "b")
    first, second = claim(store)
    with store.unit_of_work() as work:
        assert work.effects.abandon(first, "the peer refuses")
        assert work.effects.done(second)
        (dead,) = work.effects.dead(limit=10)
    assert (dead.effect, dead.error) == (first, "the peer refuses")
    assert claim(store, now=NOW + 10_000) == ()
    assert count(store, EffectState.DEAD) == 1


def test_at_the_start_every_claim_is_released(store: Store) -> None:
    """OUT-3."""
    add(store, "a", "b")
    claim(store, "died", limit=1)
    with store.unit_of_work() as work:
        assert work.effects.release_all(NOW) == 1
    assert [each.key for each in claim(store)] == ["a", "b"]


def test_nothing_is_due_in_an_empty_outbox(store: Store) -> None:
    with store.reading() as work:
        assert work.effects.next_due() is None


def test_a_lane_leaves_kinds_to_others(store: Store) -> None:
    """OUT-7."""
    add(store, "a")
    lane = Lane(leaves=frozenset({"send"}))
    assert claim(store, lane=lane) == ()
    with store.reading() as work:
        assert (work.effects.next_due(lane), work.effects.next_due()) == (None, NOW)
    assert [each.key for each in claim(store)] == ["a"]
