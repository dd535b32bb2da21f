"""The loop of the liquidity service: follow the chain, and whenever something waits, try to settle it.

After each block in which something waits, and when a deadline of a waiting payment passes, one turn:

    read      the queues at the newest block that has been followed
    send      `expire` for what is past its last second to settle,
              `reassess` for what counts as waiting and is not eligible, or the other way round,
              `resolve` (and, with the second pass, `resolveSelected`) for what the solver found

Nothing is sent that a dry run refuses, and no turn is taken while transactions of ours are not final.
Each is signed once and kept before it is sent, so a service that dies goes on with the same bytes;
one that never comes back has cost nobody anything, since anybody may resolve.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.chain import (
    BlockData,
    Call,
    ChainClient,
    ContractCall,
    FinalTransaction,
    Follower,
    Submitter,
    settlement_call,
)
from bridge.errors import CallReverted, TransactionRefused, Unavailable
from bridge.liquidity.bypass import second_pass
from bridge.liquidity.rounds import solve_in_rounds
from bridge.liquidity.solve import Solution
from bridge.resolving.proposal import NOTHING, Proposal, propose
from bridge.resolving.reading import read_snapshot
from bridge.resolving.snapshot import HEAD_ITEMS_MAX, Snapshot, book_of
from bridge.resolving.waiting import Waiting
from bridge.store import Store, UnitOfWork
from bridge.telemetry import get_logger
from bridge.worker import backoff_seconds

FOLLOW_SECONDS: Final = 0.1
"""How often the node is asked for a new block."""

RESTORE_BLOCKS: Final = 1_000
"""Blocks whose kept events are read at a time when the service starts."""

RESEND_SECONDS: Final = 2
"""Age from which a transaction that is not final is sent again."""

EXPIRY_GRACE_SECONDS: Final = 10
"""How long the payer's own bridge is given to expire a payment before this service does."""

ROUNDS_AHEAD_MAX: Final = 4
"""Rounds sent in one turn; each next one goes by what the one before leaves of the queues."""

HOUSEKEEPING_MAX: Final = 32
"""Calls of `expire` and `reassess` sent in one turn; more wait for the next."""

CHORE_SECONDS: Final = 2
"""How long until what a dry run refused is tried again: the chain's clock may be behind ours."""

CALLDATA_BYTES_MAX: Final = 120_000
"""Longest calldata of a round: the node takes transactions of 131,072 bytes."""

GAS_BASE: Final = 200_000
GAS_PER_WALK: Final = 100_000
GAS_PER_ITEM: Final = 50_000
GAS_PER_LEG: Final = 20_000
"""Parts of a round's usual gas limit: for accounts, for payments and for their legs. Measured with
one leg and few accounts: 46,000 for each payment of a round of 128."""

GAS_MAX: Final = 16_000_000
"""What a transaction may have at most: for a round that a dry run finds to need more than is usual."""

AWAY_SECONDS: Final = 2
"""How long until the node is asked again after it could not answer."""

GAS_HOUSEKEEPING: Final = 1_000_000
"""Gas limit of one `expire` or `reassess`."""


@dataclass(frozen=True, slots=True)
class Round:
    """One transaction that settles: its call, and what it is expected to settle."""

    call: ContractCall
    gas_limit: int
    items: int
    settles: int


@dataclass(slots=True)
class Resolver:
    """One liquidity service over a store of its own.

    `address` is the operating account it sends from; `with_second_pass` says whether its participant
    has the role liquidity, `items_max` how many payments a round may name.
    """

    store: Store
    chain: ChainClient
    submitter: Submitter
    address: bytes
    clock: Callable[[], int]
    with_second_pass: bool = True
    items_max: int = HEAD_ITEMS_MAX
    _waiting: Waiting = field(default_factory=Waiting)
    _has_news: bool = True
    _wake_at: int | None = None
    _rests_until: int = 0
    _failures: int = 0

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, whatever the node says meanwhile."""
        self.restore()
        follower = Follower(self.store, self.chain, self._observe)
        is_away = False
        while not stop.is_set():
            try:
                while not stop.is_set() and follower.step():
                    pass
                self.turn()
                is_away = False
            except (Unavailable, TransactionRefused) as error:
                self._has_news = True
                self._rests_until = self.clock() + AWAY_SECONDS
                if not is_away:
                    get_logger().warning("not_resolving", error=str(error))
                is_away = True
            stop.wait(FOLLOW_SECONDS)

    def restore(self) -> None:
        """Learn from the store what waits."""
        with self.store.reading() as work:
            checkpoint = work.chain_log.checkpoint()
            end = -1 if checkpoint is None else checkpoint.number
            for first in range(0, end + 1, RESTORE_BLOCKS):
                last = min(first + RESTORE_BLOCKS - 1, end)
                self._waiting.restore(work.chain_log.events(first=first, last=last))

    def catch_up(self) -> None:
        """Follow the chain to its head."""
        Follower(self.store, self.chain, self._observe).catch_up()

    def turn(self) -> int:
        """Send what helps, if anything waits and something has changed; how many transactions."""
        now = self.clock()
        if self.is_under_way() or not self._is_due(now):
            return 0
        with self.store.reading() as work:
            position = work.chain_log.checkpoint()
        head = self.chain.head()
        if position is None or head.hash != position.hash:
            return 0
        snapshot = read_snapshot(self.chain, self._waiting, head, max(now, head.timestamp))
        self._has_news = False
        self._wake_at = self._next_deadline(now)
        sent = self._keep_house(snapshot, head.number) + self._settle(snapshot, head.number)
        self._log_turn(snapshot, head.number, sent)
        return sent

    def is_under_way(self) -> bool:
        """Whether transactions of ours are not final; old ones are sent again."""
        now = self.clock()
        with self.store.reading() as work:
            outstanding = work.transactions.outstanding()
        if any(each.created_at + RESEND_SECONDS <= now for each in outstanding):
            self.submitter.resend_outstanding()
        return bool(outstanding)

    def _is_due(self, now: int) -> bool:
        if not self._waiting.queued or now < self._rests_until:
            return False
        return self._has_news or (self._wake_at is not None and now >= self._wake_at)

    def _next_deadline(self, now: int) -> int | None:
        """When the passing of time alone changes something for a waiting payment."""
        terms = [self._waiting.terms[name] for name in self._waiting.queued]
        moments = {each.not_before for each in terms} | {
            each.settle_by + EXPIRY_GRACE_SECONDS + 1 for each in terms
        }
        return min((moment for moment in moments if moment > now), default=None)

    def _observe(self, _: UnitOfWork, block: BlockData, own: tuple[FinalTransaction, ...]) -> None:
        for event in block.events:
            self._waiting.observe(event.name, event.arguments)
            if event.name == "RoundSettled":
                get_logger().info("round_settled", block=block.ref.number, **event.arguments)
        for transaction in own:
            self._judge(transaction)
        self._has_news = True

    def _judge(self, transaction: FinalTransaction) -> None:
        """Rest for a while after a failure, longer after each: what fails may go on failing."""
        if transaction.succeeded:
            self._failures = 0
            return
        self._rest(transaction.purpose, "it reverted")

    def _rest(self, purpose: str, reason: str) -> None:
        self._failures += 1
        seconds = backoff_seconds(self._failures)
        self._rests_until = self.clock() + seconds
        self._has_news = True
        get_logger().warning("not_settled", purpose=purpose, reason=reason, rest_seconds=seconds)

    def _keep_house(self, snapshot: Snapshot, block_number: int) -> int:
        """Expire what is over, and have what is misjudged looked at again."""
        overdue = [
            name
            for name in sorted(self._waiting.queued)
            if self._waiting.terms[name].settle_by + EXPIRY_GRACE_SECONDS < snapshot.at
        ]
        misjudged = [each.payment_id for each in snapshot.misjudged()]
        chores = [("expire", name) for name in overdue] + [
            ("reassess", name) for name in misjudged if name not in overdue
        ]
        sent = 0
        for function, name in chores[:HOUSEKEEPING_MAX]:
            call = settlement_call(function, (name, self._waiting.terms[name]))
            if self._is_refused(call, GAS_HOUSEKEEPING, function):
                self._wake_at = snapshot.at + CHORE_SECONDS
                continue
            purpose = f"{function}:{name.hex()}:{block_number}"
            self.submitter.submit(Call(purpose, call.to, call.data, GAS_HOUSEKEEPING))
            sent += 1
        if len(chores) > HOUSEKEEPING_MAX:
            self._has_news = True
        return sent

    def _settle(self, snapshot: Snapshot, block_number: int) -> int:
        """Send the rounds that the solver finds; the first only after a dry run."""
        rounds = self._rounds(snapshot)
        if not rounds:
            return 0
        purpose = f"round:{block_number}"
        first = rounds[0]
        if self._is_refused(first.call, first.gas_limit, purpose):
            if self._is_refused(first.call, GAS_MAX, purpose):
                self._rest(purpose, "a dry run refuses it")
                return 0
            rounds = [replace(first, gas_limit=GAS_MAX)]
        for place, each in enumerate(rounds):
            self.submitter.submit(
                Call(f"{purpose}:{place}", each.call.to, each.call.data, each.gas_limit)
            )
            get_logger().info(
                "round_sent",
                purpose=f"{purpose}:{place}",
                items=each.items,
                settles=each.settles,
                calldata_bytes=len(each.call.data),
            )
        return len(rounds)

    def _rounds(self, snapshot: Snapshot) -> list[Round]:
        """As large as they may be; smaller ones where passed-over payments or legs make them too long."""
        items_max = self.items_max
        while items_max > 0:
            rounds = rounds_of(snapshot, self._plan(snapshot, items_max))
            if all(self._fits(each) for each in rounds):
                return rounds
            items_max //= 2
        return []

    def _fits(self, each: Round) -> bool:
        return each.items <= HEAD_ITEMS_MAX and len(each.call.data) <= CALLDATA_BYTES_MAX

    def _plan(self, snapshot: Snapshot, items_max: int) -> Sequence[Solution]:
        book = book_of(snapshot)
        has_choice = self.with_second_pass and any(item.bypassable for item in book.items)
        if has_choice:
            return second_pass(book, items_max)[:ROUNDS_AHEAD_MAX]
        return solve_in_rounds(book, items_max).rounds[:ROUNDS_AHEAD_MAX]

    def _is_refused(self, call: ContractCall, gas_limit: int, purpose: str) -> bool:
        try:
            self.chain.simulate(call, sender=self.address, gas_limit=gas_limit)
        except CallReverted as error:
            get_logger().info("dry_run_refused", purpose=purpose, reason=str(error))
            return True
        return False

    def _log_turn(self, snapshot: Snapshot, block_number: int, sent: int) -> None:
        eligible = sum(snapshot.is_eligible(each) for each in snapshot.queued.values())
        get_logger().info(
            "turn",
            block=block_number,
            waiting=len(self._waiting.queued),
            read=len(snapshot.queued),
            eligible=eligible,
            sent=sent,
        )


def rounds_of(snapshot: Snapshot, steps: Sequence[Solution]) -> list[Round]:
    """The calls that settle each step after the one before; explicit steps skip what is not chosen."""
    rounds = []
    for step in steps:
        chosen = frozenset(name for name in step.settled if isinstance(name, bytes))
        proposal = propose(snapshot, chosen)
        rounds.append(_round(proposal, settles=len(chosen), is_explicit=not step.advances))
        snapshot = snapshot.without(chosen)
    return rounds


def _round(proposal: Proposal, *, settles: int, is_explicit: bool) -> Round:
    call = settlement_call("resolve", (proposal.abi,))
    if is_explicit:
        arguments = (NOTHING, proposal.abi, list(proposal.skipped))
        call = settlement_call("resolveSelected", arguments)
    gas = (
        GAS_BASE
        + GAS_PER_WALK * len(proposal.walks)
        + GAS_PER_ITEM * len(proposal.items)
        + GAS_PER_LEG * proposal.leg_count
    )
    return Round(call, min(gas, GAS_MAX), items=len(proposal.items), settles=settles)
