"""Double entry: accounts, journal entries, postings and balances; pure.

A journal entry moves money between ledger accounts and sums to zero in each unit it touches. It is
booked *posted*, which is final, or *pending*, which only reserves: later the whole entry is posted
or voided, exactly once. Entries never change; a mistake is put right by another entry.

    book(pending) --post--> posted        the reservation becomes the movement
                  '--void--> voided       as if it had never been
    book(posted)

Every function here answers with the balances after the step and leaves the old ones alone; the
store keeps them. The *available* balance of an account is what may still leave it: its posted
balance less what pending entries would take, while money that is only expected does not count.

Invariants: debits equal credits per unit in every entry, pending or posted; the available balance
of an account never falls below zero unless the account is flagged; a pending entry is resolved once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Final, TypeAlias

from bridge.errors import (
    AmountOutOfRange,
    EntryInvalid,
    EntryNotPending,
    EntryResolved,
    InsufficientFunds,
)
from bridge.money import Amount, Currency

POSTINGS_MAX: Final = 64
"""Most postings one journal entry may have."""

TURNOVER_MAX: Final = 2**63 - 1
"""Largest sum of debits or credits an account can carry over its life: what a database integer holds."""


@unique
class Side(Enum):
    """Left or right."""

    DEBIT = "debit"
    CREDIT = "credit"


@unique
class AccountType(Enum):
    """The five kinds of account; each grows on its normal side."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    INCOME = "income"
    EXPENSE = "expense"

    @property
    def normal_side(self) -> Side:
        """The side on which an account of this type grows."""
        if self in {AccountType.ASSET, AccountType.EXPENSE}:
            return Side.DEBIT
        return Side.CREDIT


@unique
class Resolution(Enum):
    """How a pending entry ended."""

    POSTED = "posted"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Account:
    """One ledger account.

    `unit` tells apart claims in one currency that must not be exchanged inside an entry, such as a
    deposit and retail central-bank money; without it the unit is the currency. `owner` is the
    customer or participant the account is kept for.
    """

    account_id: str
    name: str
    account_type: AccountType
    currency: Currency
    may_overdraw: bool = False
    owner: str | None = None
    unit: str | None = None

    @property
    def entry_unit(self) -> str:
        """The unit in which entries on this account must sum to zero."""
        return self.unit or self.currency.code


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a journal entry."""

    account_id: str
    side: Side
    amount: Amount


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One balanced movement. `kind` names the business fact; `booked_at` is a UTC second.

    Nothing voids a pending entry by itself, since a time-out is never proof.
    """

    entry_id: str
    kind: str
    description: str
    postings: tuple[Posting, ...]
    booked_at: int
    pending: bool = False
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """Everything ever debited and credited to one account, in minor units."""

    account: Account
    pending_debits: int = 0
    pending_credits: int = 0
    posted_debits: int = 0
    posted_credits: int = 0

    @property
    def ledger(self) -> Amount:
        """The posted balance, positive on the account's normal side."""
        grown, shrunk = self.posted_debits, self.posted_credits
        if self.account.account_type.normal_side is Side.CREDIT:
            grown, shrunk = shrunk, grown
        return Amount(self.account.currency, grown - shrunk)

    @property
    def available(self) -> Amount:
        """What may still leave the account: posted less pending outflow."""
        leaving = self.pending_credits
        if self.account.account_type.normal_side is Side.CREDIT:
            leaving = self.pending_debits
        return self.ledger - Amount(self.account.currency, leaving)


Balances: TypeAlias = Mapping[str, Balance]
"""Balances by account id."""


def debit(account_id: str, amount: Amount) -> Posting:
    """A posting on the left."""
    return Posting(account_id, Side.DEBIT, amount)


def credit(account_id: str, amount: Amount) -> Posting:
    """A posting on the right."""
    return Posting(account_id, Side.CREDIT, amount)


def check_entry(entry: JournalEntry, balances: Balances) -> None:
    """Refuse an entry that is no entry: `EntryInvalid` names the rule it breaks.

    `balances` holds every account the entry touches.
    """
    if not 2 <= len(entry.postings) <= POSTINGS_MAX:
        raise EntryInvalid(entry.entry_id, f"it has {len(entry.postings)} postings")
    sums: defaultdict[str, int] = defaultdict(int)
    for posting in entry.postings:
        account = balances[posting.account_id].account
        if posting.amount.minor_units <= 0:
            raise EntryInvalid(entry.entry_id, f"it moves {posting.amount}")
        if posting.amount.currency != account.currency:
            rule = f"it books {posting.amount.currency} on an account in {account.currency}"
            raise EntryInvalid(entry.entry_id, rule)
        sign = 1 if posting.side is Side.DEBIT else -1
        sums[account.entry_unit] += sign * posting.amount.minor_units
    for unit, total in sums.items():
        if total:
            raise EntryInvalid(entry.entry_id, f"debits less credits are {total} of {unit}, not 0")


def apply(balances: Balances, entry: JournalEntry, *, is_fact: bool = False) -> dict[str, Balance]:
    """The balances that a new entry changes, pending or posted as it says.

    An entry that records a *fact*, something that is decided elsewhere, is never refused for money:
    refusing would not undo it, and a balance below zero is to be seen, not hidden.

    Raises `EntryInvalid` as `check_entry` does, and `InsufficientFunds` for the first account that
    the entry would take below zero without being allowed to.
    """
    check_entry(entry, balances)
    changed = _add(
        balances,
        entry.postings,
        pending=1 if entry.pending else 0,
        posted=0 if entry.pending else 1,
    )
    if is_fact:
        return changed
    for account_id, after in changed.items():
        before = balances[account_id]
        has_fallen = after.available < before.available
        if has_fallen and after.available.minor_units < 0 and not after.account.may_overdraw:
            raise InsufficientFunds(
                account_id=account_id,
                available=str(before.available),
                needed=str(before.available - after.available),
            )
    return changed


def post(
    balances: Balances, entry: JournalEntry, resolution: Resolution | None
) -> dict[str, Balance]:
    """The balances after a pending entry became a movement; `resolution` is how it stood before.

    Raises `EntryNotPending` or `EntryResolved`.
    """
    _check_unresolved(entry, resolution)
    return _add(balances, entry.postings, pending=-1, posted=1)


def void(
    balances: Balances, entry: JournalEntry, resolution: Resolution | None
) -> dict[str, Balance]:
    """The balances after a pending entry was given up; `resolution` is how it stood before.

    Raises `EntryNotPending` or `EntryResolved`.
    """
    _check_unresolved(entry, resolution)
    return _add(balances, entry.postings, pending=-1, posted=0)


def _check_unresolved(entry: JournalEntry, resolution: Resolution | None) -> None:
    if not entry.pending:
        raise EntryNotPending(entry.entry_id)
    if resolution is not None:
        raise EntryResolved(entry.entry_id, resolution.value)


def _add(
    balances: Balances, postings: Iterable[Posting], *, pending: int, posted: int
) -> dict[str, Balance]:
    """Add each posting `pending` times to the pending side and `posted` times to the posted one."""
    changed: dict[str, Balance] = {}
    for posting in postings:
        balance = changed.get(posting.account_id, balances[posting.account_id])
        units = posting.amount.minor_units
        if posting.side is Side.DEBIT:
            balance = replace(
                balance,
                pending_debits=balance.pending_debits + pending * units,
                posted_debits=balance.posted_debits + posted * units,
            )
        else:
            balance = replace(
                balance,
                pending_credits=balance.pending_credits + pending * units,
                posted_credits=balance.posted_credits + posted * units,
            )
        turnover = max(
            balance.pending_debits,
            balance.pending_credits,
            balance.posted_debits,
            balance.posted_credits,
        )
        if turnover > TURNOVER_MAX:
            raise AmountOutOfRange(turnover, posting.amount.currency.code)
        changed[posting.account_id] = balance
    return changed
