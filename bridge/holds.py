"""Holds: a customer's money set aside on their own account, for a while and without a payment behind it.

    place ---> pending Dr deposit / Cr holds --release (an operator)---> voided
                 |--take, also in parts (two operators)--> posted so far; Dr holds / Cr whoever takes it
                 '--its time is over (the outbox)---------> expired

Placing or releasing one moves no money, so one operator may; taking from it does, so it takes two. That
a hold ends at its time is this institution's own decision, made when it was placed: nothing outside
depends on it, unlike a payment on the chain, which no time-out ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge import chart
from bridge.approval import Proposal
from bridge.errors import HoldUnusable, IdempotencyKeyReused, ResourceUnknown
from bridge.ledger import (
    HOLD,
    Account,
    BookedEntry,
    JournalEntry,
    Resolution,
    credit,
    debit,
    part_of,
)
from bridge.money import Amount, parse_currency
from bridge.operating import Action, Operator
from bridge.store import EffectRow, NewEffect, Store, UnitOfWork
from bridge.worker import Done, Outcome, Retry

EXPIRE_HOLD: Final = "expire_hold"
"""Kind of the effect that ends a hold at its time."""

TAKE_FROM_HOLD: Final = "take_from_hold"
"""Kind of the action; its subject is the hold, its document `amount`, `currency` and the account `to`."""

HOLD_SECONDS_MAX: Final = 366 * 86_400
"""Longest time for which money is held."""

HOLD_ID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class HoldOrder:
    """What an operator wants held: of which account, how much, until which UTC second, and why."""

    account_id: str
    amount: Amount
    expires_at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Holds:
    """The holds of one institution; `clock` gives UTC seconds."""

    store: Store
    clock: Callable[[], int]

    def place(self, operator: Operator, order: HoldOrder, key: str) -> BookedEntry:
        """Set the money aside, or find the hold that this operator placed under this key before.

        Raises `ResourceUnknown` for an account that is no customer's, `HoldUnusable` for a time that
        is over or too far, `InsufficientFunds`, and `IdempotencyKeyReused` for another order.
        """
        digest = operator.digest_of(key)
        now = self.clock()
        entry = JournalEntry(
            entry_id=f"hold_{digest[:HOLD_ID_DIGITS]}",
            kind=HOLD,
            description=order.reason,
            postings=(
                debit(order.account_id, order.amount),
                credit(chart.holds(order.amount.currency), order.amount),
            ),
            booked_at=now,
            pending=True,
            expires_at=order.expires_at,
        )
        with self.store.unit_of_work() as work:
            known = work.ledger.find_entry(entry.entry_id)
            if known is not None:
                if _order_of(known.entry) != order:
                    raise IdempotencyKeyReused(key)
                return known
            _check_order(work, entry, order)
            work.ledger.book(entry)
            work.effects.add(
                NewEffect(
                    kind=EXPIRE_HOLD,
                    key=f"{EXPIRE_HOLD}:{entry.entry_id}",
                    payload={"hold": entry.entry_id},
                    due_at=order.expires_at,
                )
            )
            return work.ledger.entry(entry.entry_id)

    def get(self, hold_id: str) -> BookedEntry:
        """A hold as it stands; raises `ResourceUnknown`."""
        with self.store.reading() as work:
            return _hold(work, hold_id)

    def release(self, hold_id: str) -> BookedEntry:
        """Give back what is held; again is the same as once.

        Raises `ResourceUnknown`, and `HoldUnusable` for one that ended otherwise.
        """
        with self.store.unit_of_work() as work:
            held = _hold(work, hold_id)
            if held.resolution is not Resolution.VOIDED:
                _check_open(held)
                work.ledger.void(hold_id, self.clock())
            return work.ledger.entry(hold_id)

    def expire(self, effect: EffectRow) -> Outcome:
        """End a hold whose time is over, unless it ended before."""
        hold_id = str(effect.payload["hold"])
        now = self.clock()
        with self.store.unit_of_work() as work:
            held = _hold(work, hold_id)
            if held.resolution is not None:
                return Done()
            expires_at = held.entry.expires_at
            if expires_at is not None and now < expires_at:
                return Retry(expires_at - now, "its time is not over")
            work.ledger.expire(hold_id, now)
        return Done()


def _order_of(entry: JournalEntry) -> HoldOrder:
    held = entry.postings[0]
    return HoldOrder(held.account_id, held.amount, entry.expires_at or 0, entry.description)


def _check_order(work: UnitOfWork, entry: JournalEntry, order: HoldOrder) -> None:
    account = _account(work, order.account_id)
    if not chart.is_customer_deposit(account):
        raise ResourceUnknown("account", order.account_id)
    if account.currency != order.amount.currency:
        raise HoldUnusable(entry.entry_id, f"the account is in {account.currency}")
    if not entry.booked_at < order.expires_at <= entry.booked_at + HOLD_SECONDS_MAX:
        raise HoldUnusable(entry.entry_id, "its time is over, or too far")


def _account(work: UnitOfWork, account_id: str) -> Account:
    account = work.ledger.find_account(account_id)
    if account is None:
        raise ResourceUnknown("account", account_id)
    return account


def _hold(work: UnitOfWork, hold_id: str) -> BookedEntry:
    held = work.ledger.find_entry(hold_id)
    if held is None or held.entry.kind != HOLD:
        raise ResourceUnknown("hold", hold_id)
    return held


def _check_open(held: BookedEntry) -> None:
    if held.resolution is not None:
        raise HoldUnusable(held.entry.entry_id, f"it was {held.resolution.value}")


def _check_taking(work: UnitOfWork, proposal: Proposal) -> None:
    _taking(work, proposal)


def _taking(work: UnitOfWork, proposal: Proposal) -> tuple[BookedEntry, Amount, Account]:
    """What is to be taken of which hold, and for whom; raises where that cannot be."""
    held = _hold(work, proposal.subject)
    _check_open(held)
    currency = parse_currency(proposal.document.get("currency", ""))
    amount = Amount.parse(proposal.document.get("amount", ""), currency)
    taker = _account(work, proposal.document.get("to", ""))
    left = held.remaining[0].amount
    if currency != left.currency or not 0 < amount.minor_units <= left.minor_units:
        raise HoldUnusable(proposal.subject, f"{left} are held")
    source = work.ledger.account(held.entry.postings[0].account_id)
    if taker.unit != source.unit or not taker.is_on_balance_sheet:
        raise HoldUnusable(proposal.subject, f"'{taker.account_id}' is not in {source.unit}")
    return held, amount, taker


def _take(work: UnitOfWork, proposal: Proposal, at: int) -> str:
    held, amount, taker = _taking(work, proposal)
    work.ledger.post(proposal.subject, at, part_of(held.entry, amount))
    work.ledger.book(
        JournalEntry(
            entry_id=f"{proposal.subject}:{proposal.proposal_id}",
            kind="taken",
            description="taken from a hold",
            postings=(
                debit(chart.holds(amount.currency), amount),
                credit(taker.account_id, amount),
            ),
            booked_at=at,
        )
    )
    return f"{amount} taken"


take_from_hold: Final = Action(_check_taking, _take)
"""The action itself: what is taken leaves the customer's account; the rest stays held."""
