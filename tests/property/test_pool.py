"""The pool under any sequence of what senders, blocks and time may do to it.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.errors import Rejected, TransactionAlreadyKnown, Unavailable
from node.pool import (
    Dropped,
    DropReason,
    Executable,
    Pool,
    PooledTransaction,
    PoolEvent,
    Waiting,
)
from node.pool.line import SENDER_GAS_SHARE_DIVISOR
from node.pool.pool import WAITING_DIVISOR, WAITING_SECONDS_MAX
from node.primitives import Address, Hash32, keccak

SENDERS = [Address(bytes([number]) * 20) for number in (1, 2, 3, 4)]
TRANSACTIONS_MAX = 12
SENDER_TRANSACTIONS_MAX = 8
BLOCK_GAS = 100
BLOCK_BYTES = 300
GAS_MAX = 60
RAW_BYTES = 30

senders = st.sampled_from(SENDERS)
nonces = st.integers(0, 9)
gas_limits = st.integers(1, GAS_MAX)


def pooled(sender: Address, nonce: int, gas: int) -> PooledTransaction:
    raw = (sender + bytes([nonce, gas])).ljust(RAW_BYTES, b"\0")
    return PooledTransaction(keccak(raw), sender, nonce, gas, raw)


class PoolMachine(RuleBasedStateMachine):
    """A pool beside a plain account of what it was promised."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(
            transactions_max=TRANSACTIONS_MAX, sender_transactions_max=SENDER_TRANSACTIONS_MAX
        )
        self.now = 1_800_000_000
        self.state: Counter[Address] = Counter()
        self.held: dict[Hash32, PooledTransaction] = {}
        self.executable: set[Hash32] = set()
        self.deadlines: dict[Hash32, int] = {}
        """For each executable transaction, how many more blocks it may be kept waiting."""

    @rule(sender=senders, nonce=nonces, gas=gas_limits)
    def submit(self, sender: Address, nonce: int, gas: int) -> None:
        transaction = pooled(sender, self.state[sender] + nonce - 1, gas) if nonce else None
        if transaction is None:
            return
        before = dict(self.held)
        try:
            self.pool.add(transaction, state_nonce=self.state[sender], now=self.now)
        except TransactionAlreadyKnown:
            assert transaction.transaction_hash in before
            return
        except (Rejected, Unavailable):
            assert self.pool.take_events() == ()
            return
        self.held[transaction.transaction_hash] = transaction
        self.take_events(allowed={DropReason.REPLACED, DropReason.DISPLACED})

    @rule(seconds=st.integers(1, WAITING_SECONDS_MAX))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.pool.expire(self.now)
        self.take_events(allowed={DropReason.EXPIRED})

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_transaction_becomes_impossible(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(sorted(self.held)))
        transaction = self.held[chosen]
        self.pool.drop(chosen, now=self.now, detail="no longer permitted")
        followers = {
            each.transaction_hash
            for each in self.held.values()
            if each.sender == transaction.sender and each.nonce > transaction.nonce
        }
        self.executable -= followers
        for follower in followers:
            self.deadlines.pop(follower, None)
        self.take_events(allowed={DropReason.REFUSED})

    @rule(sender=senders)
    def another_node_includes_something_we_do_not_hold(self, sender: Address) -> None:
        self.state[sender] += 1
        self.include((), extra=sender)

    @rule()
    def a_block_is_made(self) -> None:
        block = self.pool.select(gas_max=BLOCK_GAS, bytes_max=BLOCK_BYTES)
        self.check_block(block)
        for each in block:
            assert each.nonce == self.state[each.sender]
            self.state[each.sender] += 1
        self.include(block, extra=None)
        for waiting in self.deadlines:
            self.deadlines[waiting] -= 1
            assert self.deadlines[waiting] > 0, "an executable transaction waits for too long"

    def check_block(self, block: tuple[PooledTransaction, ...]) -> None:
        """Bounds, and the share while somebody else could have had the room."""
        assert sum(each.gas_limit for each in block) <= BLOCK_GAS
        assert sum(len(each.raw) for each in block) <= BLOCK_BYTES
        assert bool(block) == bool(self.executable)
        gas_left = BLOCK_GAS - sum(each.gas_limit for each in block)
        served = {each.sender for each in block}
        for sender in served:
            own = [each.gas_limit for each in block if each.sender == sender]
            if len(own) < 2 or sum(own) <= BLOCK_GAS // SENDER_GAS_SHARE_DIVISOR:
                continue
            for other in (each for each in SENDERS if each not in served):
                first = self.first_executable(other)
                assert first is None or first.gas_limit > gas_left

    def first_executable(self, sender: Address) -> PooledTransaction | None:
        """What a sender's next block would begin with."""
        own = [self.held[each] for each in self.executable if self.held[each].sender == sender]
        return min(own, key=lambda each: each.nonce, default=None)

    def include(self, block: tuple[PooledTransaction, ...], extra: Address | None) -> None:
        """A block becomes durable."""
        moved = {each.sender: self.state[each.sender] for each in block}
        if extra is not None:
            moved[extra] = self.state[extra]
        for each in block:
            del self.held[each.transaction_hash]
            self.executable.remove(each.transaction_hash)
            self.deadlines.pop(each.transaction_hash)
        self.pool.advance(
            moved, {each.transaction_hash: each.sender for each in block}, now=self.now
        )
        self.take_events(allowed={DropReason.NONCE_USED})

    def take_events(self, allowed: set[DropReason]) -> None:
        """Books what the pool told; it may tell nothing else, and nothing twice."""
        for event in self.pool.take_events():
            transaction = self.held[event.transaction_hash]
            assert event == PoolEvent(
                transaction.transaction_hash,
                transaction.sender,
                transaction.nonce,
                event.dropped_for,
            )
            if event.dropped_for is None:
                assert event.transaction_hash not in self.executable
                self.executable.add(event.transaction_hash)
                own_ahead = transaction.nonce - self.state[transaction.sender]
                self.deadlines[event.transaction_hash] = (own_ahead + 1) * len(SENDERS) + 1
                continue
            assert event.dropped_for in allowed
            if event.dropped_for not in {DropReason.REFUSED, DropReason.NONCE_USED}:
                assert event.transaction_hash not in self.executable
            assert isinstance(self.pool.standing(event.transaction_hash), Dropped)
            del self.held[event.transaction_hash]
            self.executable.discard(event.transaction_hash)
            self.deadlines.pop(event.transaction_hash, None)

    @invariant()
    def the_pool_holds_what_it_said(self) -> None:
        page = self.pool.page(bytes_max=2**30)
        assert {each.transaction_hash for each in page.executable} == self.executable
        assert {each.transaction_hash for each in (*page.executable, *page.waiting)} == set(
            self.held
        )
        slots = [(each.sender, each.nonce) for each in self.held.values()]
        assert len(slots) == len(set(slots))
        assert len(self.held) <= TRANSACTIONS_MAX

    @invariant()
    def what_is_executable_follows_the_state_without_a_gap(self) -> None:
        for sender in SENDERS:
            own = sorted(
                self.held[each].nonce
                for each in self.executable
                if self.held[each].sender == sender
            )
            first = self.state[sender]
            assert own == list(range(first, first + len(own)))
            assert self.pool.next_nonce(sender, state_nonce=first) == first + len(own)

    @invariant()
    def what_waits_is_bounded_in_time_and_says_what_is_missing(self) -> None:
        for each in self.held.values():
            standing = self.pool.standing(each.transaction_hash)
            if each.transaction_hash in self.executable:
                assert isinstance(standing, Executable)
                assert standing.own_ahead == each.nonce - self.state[each.sender]
                continue
            assert isinstance(standing, Waiting)
            assert standing.expires_at > self.now
            assert standing.missing
            taken = {one.nonce for one in self.held.values() if one.sender == each.sender}
            assert not taken & set(standing.missing)


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestPool = PoolMachine.TestCase
"""N-13, N-14, N-70, N-71, N-73, N-75."""


@given(
    flood=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from((1, 30, GAS_MAX - 15, GAS_MAX))),
        min_size=1,
        max_size=40,
    ),
    depth=st.integers(0, 2),
    gas=st.sampled_from((1, GAS_MAX)),
    rounds=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_no_flood_keeps_a_transaction_out_for_longer_than_its_bound(
    flood: list[tuple[int, int]], depth: int, gas: int, rounds: int
) -> None:
    """N-70: with k other senders the n-th transaction is in a block after n * (k + 1) blocks at most."""
    pool = Pool()
    nonces: Counter[Address] = Counter()

    def send(sender: Address, gas_limit: int) -> PooledTransaction:
        transaction = pooled(sender, nonces[sender], gas_limit)
        pool.add(transaction, state_nonce=0, now=0)
        nonces[sender] += 1
        return transaction

    flooders = [Address(bytes([100 + number]) * 20) for number in range(4)]
    for number, gas_limit in flood:
        send(flooders[number], gas_limit)
    ours = [send(SENDERS[0], gas) for _ in range(depth + 1)][-1]
    others = len({number for number, _ in flood})
    blocks = 0
    while pool.get(ours.transaction_hash) is not None:
        blocks += 1
        assert blocks <= (depth + 1) * (others + 1)
        block = pool.select(gas_max=BLOCK_GAS, bytes_max=BLOCK_BYTES)
        pool.advance(
            {each.sender: each.nonce + 1 for each in block},
            {each.transaction_hash: each.sender for each in block},
            now=0,
        )
        if blocks <= rounds:
            for number, gas_limit in flood:
                send(flooders[number], gas_limit)


@given(waiting=st.integers(1, 40))
def test_those_that_wait_never_take_more_than_their_part_of_the_places(waiting: int) -> None:
    """N-13."""
    pool = Pool(transactions_max=40)
    for number in range(waiting):
        pool.add(pooled(Address(bytes([number]) * 20), 1, 1), state_nonce=0, now=0)
    assert pool.status().waiting <= 40 // WAITING_DIVISOR
