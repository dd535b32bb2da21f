"""The pool: who waits, who is refused, and what the next block takes."""

from __future__ import annotations

import pytest

from node.errors import (
    NonceGap,
    NonceTooLow,
    PoolFull,
    Rejected,
    ReplacementRefused,
    TransactionAlreadyKnown,
)
from node.pool import (
    Dropped,
    DropReason,
    Executable,
    Pool,
    PooledTransaction,
    PoolStatus,
    Waiting,
)
from node.pool.pool import (
    DROPS_REMEMBERED_MAX,
    GAP_MAX,
    WAITING_DIVISOR,
    WAITING_SECONDS_MAX,
)
from node.primitives import Address, Hash32, keccak

ALICE = Address(b"\xaa" * 20)
BOB = Address(b"\xbb" * 20)
CAROL = Address(b"\xcc" * 20)
NOW = 1_800_000_000


def pooled(
    sender: Address, nonce: int, *, gas: int = 100_000, body: bytes = b""
) -> PooledTransaction:
    raw = sender + nonce.to_bytes(8, "big") + body
    return PooledTransaction(Hash32(keccak(raw)), sender, nonce, gas, raw)


def commit(pool: Pool, nonce_by_sender: dict[Address, int]) -> None:
    """A block with every transaction of these senders below these nonces that the pool held."""
    held = pool.page(bytes_max=2**30)
    included = {
        each.transaction_hash: each.sender
        for each in held.executable
        if each.nonce < nonce_by_sender.get(each.sender, 0)
    }
    pool.advance(nonce_by_sender, included, now=NOW)


def select_all(pool: Pool) -> list[tuple[Address, int]]:
    chosen = pool.select(gas_max=30_000_000, bytes_max=1_000_000)
    return [(transaction.sender, transaction.nonce) for transaction in chosen]


def test_a_transaction_at_the_state_nonce_is_executable() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 5), state_nonce=5, now=NOW)
    assert pool.has_executable()
    assert pool.status() == PoolStatus(executable=1, waiting=0)
    assert pool.next_nonce(ALICE, state_nonce=5) == 6


def test_a_transaction_behind_a_gap_waits_until_the_gap_is_filled() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 2), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    assert pool.status() == PoolStatus(executable=1, waiting=1)
    assert pool.next_nonce(ALICE, state_nonce=0) == 1
    pool.add(pooled(ALICE, 1), state_nonce=0, now=NOW)
    assert pool.status() == PoolStatus(executable=3, waiting=0)
    assert select_all(pool) == [(ALICE, 0), (ALICE, 1), (ALICE, 2)]


@pytest.mark.parametrize(
    ("transaction", "error"),
    [
        (pooled(ALICE, 3), TransactionAlreadyKnown),
        (pooled(ALICE, 2), NonceTooLow),
        (pooled(ALICE, 3, body=b"other"), ReplacementRefused),
        (pooled(ALICE, 3 + 8), NonceGap),
    ],
)
def test_a_transaction_out_of_turn_is_refused_by_name(
    transaction: PooledTransaction, error: type[Rejected]
) -> None:
    pool = Pool(sender_transactions_max=8)
    pool.add(pooled(ALICE, 3), state_nonce=3, now=NOW)
    with pytest.raises(error):
        pool.add(transaction, state_nonce=3, now=NOW)
    assert select_all(pool) == [(ALICE, 3)]


def test_a_waiting_transaction_may_be_replaced_by_its_sender() -> None:
    pool = Pool()
    first, second = pooled(ALICE, 1), pooled(ALICE, 1, body=b"better")
    pool.add(first, state_nonce=0, now=NOW)
    pool.add(second, state_nonce=0, now=NOW)
    assert pool.get(first.transaction_hash) is None
    assert pool.get(second.transaction_hash) == second
    assert pool.status() == PoolStatus(executable=0, waiting=1)


def test_a_full_pool_refuses_and_loses_nothing() -> None:
    pool = Pool(transactions_max=1)
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    with pytest.raises(PoolFull):
        pool.add(pooled(BOB, 0), state_nonce=0, now=NOW)
    assert select_all(pool) == [(ALICE, 0)]


def test_a_pool_full_of_bytes_refuses() -> None:
    pool = Pool(bytes_max=60)
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 1), state_nonce=0, now=NOW)
    with pytest.raises(PoolFull):
        pool.add(pooled(ALICE, 2), state_nonce=0, now=NOW)


def test_a_gap_has_a_limit() -> None:
    """N-13."""
    pool = Pool()
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, GAP_MAX), state_nonce=0, now=NOW)
    with pytest.raises(NonceGap):
        pool.add(pooled(ALICE, GAP_MAX + 1), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 1), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, GAP_MAX + 1), state_nonce=0, now=NOW)


def test_a_sender_has_a_limit_of_bytes_of_its_own() -> None:
    """N-13."""
    pool = Pool(sender_bytes_max=60)
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 1), state_nonce=0, now=NOW)
    with pytest.raises(PoolFull):
        pool.add(pooled(ALICE, 2), state_nonce=0, now=NOW)
    pool.add(pooled(BOB, 0), state_nonce=0, now=NOW)
    commit(pool, {ALICE: 1})
    pool.add(pooled(ALICE, 2), state_nonce=1, now=NOW)


def test_an_executable_transaction_takes_the_place_of_a_waiting_one_when_the_pool_is_full() -> None:
    """N-13."""
    pool = Pool(transactions_max=8)
    oldest, newer = pooled(BOB, 2), pooled(BOB, 1)
    for waiting in (oldest, newer):
        pool.add(waiting, state_nonce=0, now=NOW)
    for nonce in range(6):
        pool.add(pooled(ALICE, nonce), state_nonce=0, now=NOW)
    for nonce in (6, 7):
        pool.add(pooled(ALICE, nonce), state_nonce=0, now=NOW)
        assert pool.get(oldest.transaction_hash) is None
        assert (pool.get(newer.transaction_hash) is None) == (nonce == 7)
    assert pool.status() == PoolStatus(executable=8, waiting=0)
    for refused in (pooled(ALICE, 8), pooled(BOB, 0), pooled(BOB, 1)):
        with pytest.raises(PoolFull):
            pool.add(refused, state_nonce=0, now=NOW)
    assert select_all(pool) == [(ALICE, nonce) for nonce in range(8)]


def test_a_pool_full_of_bytes_makes_room_as_well() -> None:
    """N-13."""
    pool = Pool(bytes_max=90)
    for sender, nonce in ((BOB, 1), (BOB, 2), (ALICE, 0)):
        pool.add(pooled(sender, nonce), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 1, body=bytes(20)), state_nonce=0, now=NOW)
    assert pool.status() == PoolStatus(executable=2, waiting=0)


def test_one_place_in_four_is_for_those_that_wait() -> None:
    """N-13."""
    places = 8
    pool = Pool(transactions_max=places)
    senders = [Address(bytes([number]) * 20) for number in range(places)]
    for sender in senders:
        pool.add(pooled(sender, 1), state_nonce=0, now=NOW)
        assert pool.status().waiting <= places // WAITING_DIVISOR
    left = [sender for sender in senders if pool.get(pooled(sender, 1).transaction_hash)]
    assert left == senders[-places // WAITING_DIVISOR :]


def test_a_commit_forgets_what_the_state_has_passed() -> None:
    pool = Pool()
    for nonce in range(3):
        pool.add(pooled(ALICE, nonce), state_nonce=0, now=NOW)
    commit(pool, {ALICE: 2, BOB: 7})
    assert select_all(pool) == [(ALICE, 2)]
    commit(pool, {ALICE: 3})
    assert pool.status() == PoolStatus(executable=0, waiting=0)
    assert not pool.has_executable()


def test_a_commit_that_fills_a_gap_makes_waiting_transactions_executable() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 1), state_nonce=0, now=NOW)
    assert not pool.has_executable()
    commit(pool, {ALICE: 1})
    assert select_all(pool) == [(ALICE, 1)]


def test_dropping_a_transaction_makes_its_followers_wait() -> None:
    pool = Pool()
    transactions = [pooled(ALICE, nonce) for nonce in range(3)]
    for transaction in transactions:
        pool.add(transaction, state_nonce=0, now=NOW)
    pool.drop(transactions[1].transaction_hash, now=NOW, detail="refused")
    assert pool.status() == PoolStatus(executable=1, waiting=1)
    pool.drop(transactions[1].transaction_hash, now=NOW, detail="refused")
    assert select_all(pool) == [(ALICE, 0)]


def test_a_block_is_filled_in_order_of_arrival() -> None:
    pool = Pool()
    for transaction in (pooled(BOB, 0), pooled(ALICE, 0), pooled(BOB, 1)):
        pool.add(transaction, state_nonce=0, now=NOW)
    assert select_all(pool) == [(BOB, 0), (ALICE, 0), (BOB, 1)]


def test_a_sender_past_its_share_lets_others_go_first() -> None:
    pool = Pool()
    for nonce in range(4):
        pool.add(pooled(ALICE, nonce, gas=200), state_nonce=0, now=NOW)
    pool.add(pooled(BOB, 0, gas=200), state_nonce=0, now=NOW)
    chosen = pool.select(gas_max=800, bytes_max=1_000_000)
    assert [(item.sender, item.nonce) for item in chosen] == [
        (ALICE, 0),
        (BOB, 0),
        (ALICE, 1),
        (ALICE, 2),
    ]


def test_a_block_never_exceeds_its_gas_or_its_bytes() -> None:
    pool = Pool()
    for nonce in range(5):
        pool.add(pooled(ALICE, nonce, gas=300), state_nonce=0, now=NOW)
    assert len(pool.select(gas_max=1_000, bytes_max=1_000_000)) == 3
    assert len(pool.select(gas_max=1_000_000, bytes_max=60)) == 2


def test_a_transaction_that_does_not_fit_holds_back_its_followers_but_nobody_else() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 0, gas=900), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 1, gas=10), state_nonce=0, now=NOW)
    pool.add(pooled(BOB, 0, gas=10), state_nonce=0, now=NOW)
    chosen = pool.select(gas_max=800, bytes_max=1_000_000)
    assert [(item.sender, item.nonce) for item in chosen] == [(BOB, 0)]


def events_of(pool: Pool) -> list[tuple[int, DropReason | None]]:
    """What happened since the last look: nonces of Alice and Bob, and why they left."""
    return [(event.nonce, event.dropped_for) for event in pool.take_events()]


def test_what_waits_expires_and_what_is_executable_never_does() -> None:
    """N-71."""
    pool = Pool()
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 2), state_nonce=0, now=NOW)
    pool.add(pooled(ALICE, 3), state_nonce=0, now=NOW + 1)
    pool.take_events()
    pool.expire(NOW + WAITING_SECONDS_MAX - 1)
    assert pool.status() == PoolStatus(executable=1, waiting=2)
    pool.expire(NOW + WAITING_SECONDS_MAX)
    assert events_of(pool) == [(2, DropReason.EXPIRED)]
    pool.expire(NOW + 1_000 * WAITING_SECONDS_MAX)
    assert pool.status() == PoolStatus(executable=1, waiting=0)


def test_one_that_waits_again_has_its_whole_time_again() -> None:
    """N-71."""
    pool = Pool()
    transactions = [pooled(ALICE, nonce) for nonce in range(2)]
    for transaction in transactions:
        pool.add(transaction, state_nonce=0, now=NOW)
    later = NOW + 2 * WAITING_SECONDS_MAX
    pool.drop(transactions[0].transaction_hash, now=later, detail="refused")
    pool.expire(later + WAITING_SECONDS_MAX - 1)
    assert pool.status() == PoolStatus(executable=0, waiting=1)
    pool.expire(later + WAITING_SECONDS_MAX)
    assert pool.status() == PoolStatus(executable=0, waiting=0)


def test_every_way_in_and_every_way_out_without_a_block_has_its_event() -> None:
    """N-73."""
    pool = Pool(transactions_max=4)
    pool.add(pooled(ALICE, 1), state_nonce=0, now=NOW)
    assert events_of(pool) == []
    pool.add(pooled(ALICE, 0), state_nonce=0, now=NOW)
    assert events_of(pool) == [(0, None), (1, None)]
    pool.add(pooled(BOB, 8), state_nonce=7, now=NOW)
    pool.add(pooled(BOB, 8, body=b"other"), state_nonce=7, now=NOW)
    assert events_of(pool) == [(8, DropReason.REPLACED)]
    pool.add(pooled(CAROL, 9), state_nonce=8, now=NOW)
    assert events_of(pool) == [(8, DropReason.DISPLACED)]
    pool.drop(pooled(ALICE, 0).transaction_hash, now=NOW, detail="not permitted")
    assert events_of(pool) == [(0, DropReason.REFUSED)]
    pool.advance({ALICE: 2}, {}, now=NOW)
    assert events_of(pool) == [(1, DropReason.NONCE_USED)]
    pool.advance({CAROL: 9}, {}, now=NOW)
    assert events_of(pool) == [(9, None)]
    pool.advance({CAROL: 10}, {pooled(CAROL, 9).transaction_hash: CAROL}, now=NOW)
    assert events_of(pool) == []
    assert pool.status() == PoolStatus(executable=0, waiting=0)


def test_a_standing_says_what_is_ahead_what_is_missing_or_why_it_left() -> None:
    """N-75."""
    pool = Pool()
    for nonce in (0, 1, 4, 6):
        pool.add(pooled(ALICE, nonce), state_nonce=0, now=NOW)
    pool.add(pooled(BOB, 0), state_nonce=0, now=NOW)
    second, last, of_bob = pooled(ALICE, 1), pooled(ALICE, 6), pooled(BOB, 0)
    assert pool.standing(second.transaction_hash) == Executable(
        second, own_ahead=1, senders_ahead=0, blocks_max=3
    )
    assert pool.standing(of_bob.transaction_hash) == Executable(
        of_bob, own_ahead=0, senders_ahead=1, blocks_max=2
    )
    assert pool.standing(last.transaction_hash) == Waiting(
        last, missing=(2, 3, 5), expires_at=NOW + WAITING_SECONDS_MAX, lost=None
    )
    assert pool.standing(keccak(b"other")) is None
    pool.drop(last.transaction_hash, now=NOW + 9, detail="too heavy")
    assert pool.standing(last.transaction_hash) == Dropped(
        ALICE, 6, DropReason.REFUSED, NOW + 9, "too heavy"
    )
    pool.add(last, state_nonce=0, now=NOW + 10)
    assert isinstance(pool.standing(last.transaction_hash), Waiting)
    pool.drop(second.transaction_hash, now=NOW, detail="refused")
    assert pool.standing(pooled(ALICE, 4).transaction_hash) == Waiting(
        pooled(ALICE, 4),
        missing=(1, 2, 3),
        expires_at=NOW + WAITING_SECONDS_MAX,
        lost=second.transaction_hash,
    )


def test_only_the_latest_drops_are_remembered() -> None:
    """N-75."""
    pool = Pool()
    bodies = [number.to_bytes(4, "big") for number in range(DROPS_REMEMBERED_MAX + 2)]
    for body in bodies:
        pool.add(pooled(ALICE, 1, body=body), state_nonce=0, now=NOW)
    replaced = [pooled(ALICE, 1, body=body).transaction_hash for body in bodies[:-1]]
    assert pool.standing(replaced[0]) is None
    assert all(isinstance(pool.standing(each), Dropped) for each in replaced[1:])


def test_pages_hold_everything_once() -> None:
    """N-76."""
    pool = Pool()
    for sender, nonce in ((BOB, 0), (ALICE, 3), (ALICE, 1), (ALICE, 0), (BOB, 1)):
        pool.add(pooled(sender, nonce), state_nonce=0, now=NOW)
    for bytes_max in (1, 60, 1_000):
        found: list[tuple[Address, int]] = []
        after: tuple[Address, int] | None = None
        while True:
            page = pool.page(after=after, bytes_max=bytes_max)
            found += [(each.sender, each.nonce) for each in (*page.executable, *page.waiting)]
            assert all(each.nonce == 3 for each in page.waiting)
            if page.following is None:
                break
            after = page.following
        assert sorted(found) == [(ALICE, 0), (ALICE, 1), (ALICE, 3), (BOB, 0), (BOB, 1)]
    of_bob = pool.page(sender=BOB, bytes_max=1_000)
    assert [each.nonce for each in of_bob.executable] == [0, 1]
    assert pool.page(sender=Address(bytes(20)), bytes_max=1_000).executable == ()


def test_a_sender_that_a_full_block_passed_over_is_the_first_of_the_next() -> None:
    """N-70."""
    pool = Pool()
    for nonce in range(9):
        pool.add(pooled(ALICE, nonce, gas=600), state_nonce=0, now=NOW)
    pool.add(pooled(BOB, 0, gas=600), state_nonce=0, now=NOW)
    order = []
    for _ in range(3):
        block = pool.select(gas_max=1_000, bytes_max=1_000)
        order += [(each.sender, each.nonce) for each in block]
        pool.advance(
            {each.sender: each.nonce + 1 for each in block},
            {each.transaction_hash: each.sender for each in block},
            now=NOW,
        )
    assert order == [(ALICE, 0), (BOB, 0), (ALICE, 1)]


def test_the_state_may_be_a_block_ahead_of_the_pool() -> None:
    pool = Pool()
    included, waiting = pooled(ALICE, 0), pooled(ALICE, 1)
    pool.add(included, state_nonce=0, now=NOW)
    pool.add(waiting, state_nonce=1, now=NOW)
    with pytest.raises(NonceTooLow):
        pool.add(pooled(ALICE, 0, body=b"other"), state_nonce=1, now=NOW)
    pool.take_events()
    pool.advance({ALICE: 1}, {included.transaction_hash: ALICE}, now=NOW)
    assert events_of(pool) == []
    assert select_all(pool) == [(ALICE, 1)]
