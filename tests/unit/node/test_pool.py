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
from node.pool import GAP_MAX, WAITING_DIVISOR, Pool, PooledTransaction, PoolStatus
from node.primitives import Address, Hash32, keccak

ALICE = Address(b"\xaa" * 20)
BOB = Address(b"\xbb" * 20)


def pooled(
    sender: Address, nonce: int, *, gas: int = 100_000, body: bytes = b""
) -> PooledTransaction:
    raw = sender + nonce.to_bytes(8, "big") + body
    return PooledTransaction(Hash32(keccak(raw)), sender, nonce, gas, raw)


def select_all(pool: Pool) -> list[tuple[Address, int]]:
    chosen = pool.select(gas_max=30_000_000, bytes_max=1_000_000)
    return [(transaction.sender, transaction.nonce) for transaction in chosen]


def test_a_transaction_at_the_state_nonce_is_executable() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 5), state_nonce=5)
    assert pool.has_executable()
    assert pool.status() == PoolStatus(executable=1, waiting=0)
    assert pool.next_nonce(ALICE, state_nonce=5) == 6


def test_a_transaction_behind_a_gap_waits_until_the_gap_is_filled() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 2), state_nonce=0)
    pool.add(pooled(ALICE, 0), state_nonce=0)
    assert pool.status() == PoolStatus(executable=1, waiting=1)
    assert pool.next_nonce(ALICE, state_nonce=0) == 1
    pool.add(pooled(ALICE, 1), state_nonce=0)
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
    pool.add(pooled(ALICE, 3), state_nonce=3)
    with pytest.raises(error):
        pool.add(transaction, state_nonce=3)
    assert select_all(pool) == [(ALICE, 3)]


def test_a_waiting_transaction_may_be_replaced_by_its_sender() -> None:
    pool = Pool()
    first, second = pooled(ALICE, 1), pooled(ALICE, 1, body=b"better")
    pool.add(first, state_nonce=0)
    pool.add(second, state_nonce=0)
    assert pool.get(first.transaction_hash) is None
    assert pool.get(second.transaction_hash) == second
    assert pool.status() == PoolStatus(executable=0, waiting=1)


def test_a_full_pool_refuses_and_loses_nothing() -> None:
    pool = Pool(transactions_max=1)
    pool.add(pooled(ALICE, 0), state_nonce=0)
    with pytest.raises(PoolFull):
        pool.add(pooled(BOB, 0), state_nonce=0)
    assert select_all(pool) == [(ALICE, 0)]


def test_a_pool_full_of_bytes_refuses() -> None:
    pool = Pool(bytes_max=60)
    pool.add(pooled(ALICE, 0), state_nonce=0)
    pool.add(pooled(ALICE, 1), state_nonce=0)
    with pytest.raises(PoolFull):
        pool.add(pooled(ALICE, 2), state_nonce=0)


def test_a_gap_has_a_limit() -> None:
    """N-13."""
    pool = Pool()
    pool.add(pooled(ALICE, 0), state_nonce=0)
    pool.add(pooled(ALICE, GAP_MAX), state_nonce=0)
    with pytest.raises(NonceGap):
        pool.add(pooled(ALICE, GAP_MAX + 1), state_nonce=0)
    pool.add(pooled(ALICE, 1), state_nonce=0)
    pool.add(pooled(ALICE, GAP_MAX + 1), state_nonce=0)


def test_a_sender_has_a_limit_of_bytes_of_its_own() -> None:
    """N-13."""
    pool = Pool(sender_bytes_max=60)
    pool.add(pooled(ALICE, 0), state_nonce=0)
    pool.add(pooled(ALICE, 1), state_nonce=0)
    with pytest.raises(PoolFull):
        pool.add(pooled(ALICE, 2), state_nonce=0)
    pool.add(pooled(BOB, 0), state_nonce=0)
    pool.advance({ALICE: 1})
    pool.add(pooled(ALICE, 2), state_nonce=1)


def test_an_executable_transaction_takes_the_place_of_a_waiting_one_when_the_pool_is_full() -> None:
    """N-13."""
    pool = Pool(transactions_max=8)
    oldest, newer = pooled(BOB, 2), pooled(BOB, 1)
    for waiting in (oldest, newer):
        pool.add(waiting, state_nonce=0)
    for nonce in range(6):
        pool.add(pooled(ALICE, nonce), state_nonce=0)
    for nonce in (6, 7):
        pool.add(pooled(ALICE, nonce), state_nonce=0)
        assert pool.get(oldest.transaction_hash) is None
        assert (pool.get(newer.transaction_hash) is None) == (nonce == 7)
    assert pool.status() == PoolStatus(executable=8, waiting=0)
    for refused in (pooled(ALICE, 8), pooled(BOB, 0), pooled(BOB, 1)):
        with pytest.raises(PoolFull):
            pool.add(refused, state_nonce=0)
    assert select_all(pool) == [(ALICE, nonce) for nonce in range(8)]


def test_a_pool_full_of_bytes_makes_room_as_well() -> None:
    """N-13."""
    pool = Pool(bytes_max=90)
    for sender, nonce in ((BOB, 1), (BOB, 2), (ALICE, 0)):
        pool.add(pooled(sender, nonce), state_nonce=0)
    pool.add(pooled(ALICE, 1, body=bytes(20)), state_nonce=0)
    assert pool.status() == PoolStatus(executable=2, waiting=0)


def test_one_place_in_four_is_for_those_that_wait() -> None:
    """N-13."""
    places = 8
    pool = Pool(transactions_max=places)
    senders = [Address(bytes([number]) * 20) for number in range(places)]
    for sender in senders:
        pool.add(pooled(sender, 1), state_nonce=0)
        assert pool.status().waiting <= places // WAITING_DIVISOR
    left = [sender for sender in senders if pool.get(pooled(sender, 1).transaction_hash)]
    assert left == senders[-places // WAITING_DIVISOR :]


def test_a_commit_forgets_what_the_state_has_passed() -> None:
    pool = Pool()
    for nonce in range(3):
        pool.add(pooled(ALICE, nonce), state_nonce=0)
    pool.advance({ALICE: 2, BOB: 7})
    assert select_all(pool) == [(ALICE, 2)]
    pool.advance({ALICE: 3})
    assert pool.status() == PoolStatus(executable=0, waiting=0)
    assert not pool.has_executable()


def test_a_commit_that_fills_a_gap_makes_waiting_transactions_executable() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 1), state_nonce=0)
    assert not pool.has_executable()
    pool.advance({ALICE: 1})
    assert select_all(pool) == [(ALICE, 1)]


def test_dropping_a_transaction_makes_its_followers_wait() -> None:
    pool = Pool()
    transactions = [pooled(ALICE, nonce) for nonce in range(3)]
    for transaction in transactions:
        pool.add(transaction, state_nonce=0)
    pool.drop(transactions[1].transaction_hash)
    assert pool.status() == PoolStatus(executable=1, waiting=1)
    pool.drop(transactions[1].transaction_hash)
    assert select_all(pool) == [(ALICE, 0)]


def test_a_block_is_filled_in_order_of_arrival() -> None:
    pool = Pool()
    for transaction in (pooled(BOB, 0), pooled(ALICE, 0), pooled(BOB, 1)):
        pool.add(transaction, state_nonce=0)
    assert select_all(pool) == [(BOB, 0), (ALICE, 0), (BOB, 1)]


def test_a_sender_past_its_share_lets_others_go_first() -> None:
    pool = Pool()
    for nonce in range(4):
        pool.add(pooled(ALICE, nonce, gas=200), state_nonce=0)
    pool.add(pooled(BOB, 0, gas=200), state_nonce=0)
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
        pool.add(pooled(ALICE, nonce, gas=300), state_nonce=0)
    assert len(pool.select(gas_max=1_000, bytes_max=1_000_000)) == 3
    assert len(pool.select(gas_max=1_000_000, bytes_max=60)) == 2


def test_a_transaction_that_does_not_fit_holds_back_its_followers_but_nobody_else() -> None:
    pool = Pool()
    pool.add(pooled(ALICE, 0, gas=900), state_nonce=0)
    pool.add(pooled(ALICE, 1, gas=10), state_nonce=0)
    pool.add(pooled(BOB, 0, gas=10), state_nonce=0)
    chosen = pool.select(gas_max=800, bytes_max=1_000_000)
    assert [(item.sender, item.nonce) for item in chosen] == [(BOB, 0)]
