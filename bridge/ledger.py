"""Double entry: units, accounts, journal entries, postings and balances; pure.

A journal entry moves money between ledger accounts. It is booked *posted*, which is final, or
*pending*, which only reserves: later what is pending is posted, at once or in parts, and what is left
is voided or expires. Entries never change; a mistake is put right by another entry.

    book(pending) --post part--> pending (less) --post--> posted    the reservation becomes the movement
                  |--post------------------------------> posted
                  |--void------------------------------> voided    as if the rest had never been
                  '--expire----------------------------> expired   the same, by the ledger's own decision
    book(posted)

A *unit* is an issuer and a code: euro on an account here are a claim on this institution, euro tokens
one on the central bank, points a promise that is no money at all. The one rule of balance: **debits
equal credits in every entry, per currency on the balance sheet and per unit off it, and claims on two
issuers meet on the balance sheet only at an account that is declared to exchange them.** Units are
exchanged across that border by linked entries: each balances by itself, and all of them are booked and
resolved together or not at all.

Every function here answers with the movements that a step makes and the balances after each; the
store keeps them. Each movement gives its account the next version (1, 2, 3 ...) and happens at the
time of its step or, where the account has seen a later one, at that: the past of an account is closed.
The *available* balance is what may still leave an account: its posted balance less what pending
entries would take, while money that is only expected does not count.

Invariants: the rule of balance; the available balance of an account never falls below minus its credit
limit unless the account is flagged; what is pending is used up exactly once in sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, unique
from typing import Final, NamedTuple, TypeAlias

from bridge.errors import (
    AmountOutOfRange,
    EntryInvalid,
    EntryNotExpired,
    EntryNotPending,
    EntryResolved,
    InsufficientFunds,
    UnitInvalid,
)
from bridge.money import CURRENCY_BY_CODE, Amount, Currency

POSTINGS_MAX: Final = 64
"""Most postings one journal entry may have."""

LINKED_MAX: Final = 16
"""Most entries that may be linked."""

TURNOVER_MAX: Final = 2**63 - 1
"""Largest sum of debits or credits an account can carry over its life: what a database integer holds."""

OWN: Final = "institution"
"""Issuer of the units that are claims on the institution itself, and owner of its own accounts."""

CENTRAL_BANK: Final = "central bank"
"""Issuer of central-bank money: whichever institution the chain names as the currency's issuer."""

HOLD: Final = "hold"
"""Kind of the entry that sets a customer's money aside for a while, without a payment behind it."""

EXPIRING_KINDS: Final = frozenset({HOLD})
"""Kinds of entry whose end is the ledger's own decision, so that time alone may end them."""

UNIT_CODE_CHARACTERS_MAX: Final = 12
UNIT_DECIMALS_MAX: Final = 8


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

    def __init__(self, value: str) -> None:
        self.normal_side = Side.DEBIT if value in {"asset", "expense"} else Side.CREDIT
        """The side on which an account of this type grows."""


@unique
class Resolution(Enum):
    """How a pending entry, or what was left of it, ended."""

    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


@unique
class Change(Enum):
    """What one movement does to the two halves of a balance."""

    RESERVED = "reserved"
    """More is pending."""
    POSTED = "posted"
    """More is posted, at once."""
    COMPLETED = "completed"
    """What was pending is posted."""
    RELEASED = "released"
    """What was pending is no more."""


_FACTORS: Final[Mapping[Change, tuple[int, int]]] = {
    Change.RESERVED: (1, 0),
    Change.POSTED: (0, 1),
    Change.COMPLETED: (-1, 1),
    Change.RELEASED: (-1, 0),
}
"""How often a movement's amount is added to the pending and to the posted half."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What an account is kept in: whose promise, and its code (a currency, or points)."""

    issuer: str
    code: str

    def __str__(self) -> str:
        """Return the code and the issuer, for people."""
        return f"{self.code} of {self.issuer}"


def points(code: str, decimals: int) -> Currency:
    """A unit of account that is no money, such as a bank's loyalty points.

    It has no ISO 4217 number. Raises `UnitInvalid` for a code that is a currency's or no word of
    capital letters and digits, and for decimals beyond `UNIT_DECIMALS_MAX`.
    """
    is_word = code.isascii() and code.isalnum() and code.isupper()
    if not is_word or len(code) > UNIT_CODE_CHARACTERS_MAX or code in CURRENCY_BY_CODE:
        raise UnitInvalid(code, decimals)
    if not 0 <= decimals <= UNIT_DECIMALS_MAX:
        raise UnitInvalid(code, decimals)
    return Currency(code=code, numeric=0, minor_units=decimals)


@dataclass(frozen=True, slots=True)
class Account:
    """One ledger account.

    `issuer` is whose promise stands on it: `OWN`, `CENTRAL_BANK` or an LEI. `is_off_balance` puts it
    beside the balance sheet (what is kept for others); points always stand there. At an account that
    `exchanges`, claims on different issuers may meet. `owner` is the customer or participant the
    account is kept for. The available balance never falls below minus `credit_limit`, in minor units,
    unless the account `may_overdraw` without limit.
    """

    account_id: str
    name: str
    account_type: AccountType
    currency: Currency
    may_overdraw: bool = False
    owner: str | None = None
    issuer: str = OWN
    is_off_balance: bool = False
    exchanges: bool = False
    credit_limit: int = 0

    @property
    def unit(self) -> Unit:
        """The unit in which the account is kept."""
        return Unit(self.issuer, self.currency.code)

    @property
    def is_on_balance_sheet(self) -> bool:
        """Whether the account is the institution's own, and in money."""
        return not self.is_off_balance and self.currency.numeric != 0


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a journal entry."""

    account_id: str
    side: Side
    amount: Amount


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One balanced movement. `kind` names the business fact; times are UTC seconds.

    Nothing voids a pending entry by itself, since a time-out is never proof. Only an entry of
    `EXPIRING_KINDS` may have `expires_at`, the second from which it may be ended as expired. Entries
    with one `link_id` are booked and resolved together.
    """

    entry_id: str
    kind: str
    description: str
    postings: tuple[Posting, ...]
    booked_at: int
    pending: bool = False
    payment_id: str | None = None
    expires_at: int | None = None
    link_id: str | None = None


class Balance(NamedTuple):
    """Everything ever debited and credited to one account, in minor units.

    `version` counts the account's movements, `at` is the UTC second of the newest. Each posting makes
    one or two of them: a tuple is made in a third of the time that a frozen class takes.
    """

    account: Account
    pending_debits: int = 0
    pending_credits: int = 0
    posted_debits: int = 0
    posted_credits: int = 0
    version: int = 0
    at: int = 0

    @property
    def ledger(self) -> Amount:
        """The posted balance, positive on the account's normal side."""
        return Amount(self.account.currency, self._ledger_units)

    @property
    def available(self) -> Amount:
        """What may still leave the account: posted less pending outflow; a credit line not counted."""
        return Amount(self.account.currency, self.available_units)

    @property
    def _ledger_units(self) -> int:
        net = self.posted_debits - self.posted_credits
        return net if self.account.account_type.normal_side is Side.DEBIT else -net

    @property
    def available_units(self) -> int:
        """The available balance in minor units."""
        if self.account.account_type.normal_side is Side.DEBIT:
            return self.posted_debits - self.posted_credits - self.pending_credits
        return self.posted_credits - self.posted_debits - self.pending_debits


Balances: TypeAlias = Mapping[str, Balance]
"""Balances by account id."""


class Movement(NamedTuple):
    """One posting as it takes effect on its account, and the account's balance after it."""

    posting: Posting
    change: Change
    after: Balance


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """A journal entry as it stands.

    `remaining` is what is pending still. `resolution` is how a pending entry ended, None before and
    for an entry that was booked as posted; it may have been posted in parts first. `steps` counts
    what happened to it since it was booked.
    """

    entry: JournalEntry
    remaining: tuple[Posting, ...]
    resolution: Resolution | None = None
    resolved_at: int | None = None
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What resolving an entry, or a part of it, does; `is_final` when nothing is pending after it."""

    movements: tuple[Movement, ...]
    resolution: Resolution
    is_final: bool


def debit(account_id: str, amount: Amount) -> Posting:
    """A posting on the left."""
    return Posting(account_id, Side.DEBIT, amount)


def credit(account_id: str, amount: Amount) -> Posting:
    """A posting on the right."""
    return Posting(account_id, Side.CREDIT, amount)


def link(link_id: str, entries: Sequence[JournalEntry]) -> tuple[JournalEntry, ...]:
    """The entries as one unit; raises `EntryInvalid` unless they are 2 to 16 and alike pending or not."""
    if not 2 <= len(entries) <= LINKED_MAX:
        raise EntryInvalid(link_id, f"{len(entries)} entries are linked")
    if len({entry.pending for entry in entries}) > 1:
        raise EntryInvalid(link_id, "pending and posted entries are linked")
    return tuple(replace(entry, link_id=link_id) for entry in entries)


def part_of(entry: JournalEntry, amount: Amount) -> tuple[Posting, ...]:
    """A part of an entry of one debit and one credit; raises `EntryInvalid` for any other entry."""
    if [posting.side for posting in entry.postings] not in (
        [Side.DEBIT, Side.CREDIT],
        [Side.CREDIT, Side.DEBIT],
    ):
        raise EntryInvalid(entry.entry_id, "it is not of one debit and one credit")
    return tuple(replace(posting, amount=amount) for posting in entry.postings)


def check_entry(entry: JournalEntry, balances: Balances) -> None:
    """Refuse an entry that is no entry: `EntryInvalid` names the rule it breaks.

    `balances` holds every account the entry touches.
    """
    if not 2 <= len(entry.postings) <= POSTINGS_MAX:
        raise EntryInvalid(entry.entry_id, f"it has {len(entry.postings)} postings")
    if entry.expires_at is not None and (
        entry.kind not in EXPIRING_KINDS or not entry.pending or entry.expires_at <= entry.booked_at
    ):
        raise EntryInvalid(entry.entry_id, "it cannot expire, or not then")
    check_balanced(entry.entry_id, entry.postings, balances)


def apply(
    balances: Balances, entry: JournalEntry, *, is_fact: bool = False
) -> tuple[Movement, ...]:
    """The movements of a new entry, pending or posted as it says.

    An entry that records a *fact*, something that is decided elsewhere, is never refused for money:
    refusing would not undo it, and a balance below zero is to be seen, not hidden.

    Raises `EntryInvalid` as `check_entry` does, and `InsufficientFunds` for the first account that
    the entry would take below its limit without being allowed to.
    """
    check_entry(entry, balances)
    change = Change.RESERVED if entry.pending else Change.POSTED
    movements = move(balances, entry.postings, change, entry.booked_at)
    if not is_fact:
        _check_funds(balances, {each.posting.account_id: each.after for each in movements})
    return movements


def post(
    balances: Balances, booked: BookedEntry, at: int, part: tuple[Posting, ...] | None = None
) -> Step:
    """What turns a pending entry, or a balanced part of what is left of it, into a movement.

    Raises `EntryNotPending` or `EntryResolved`, and `EntryInvalid` for a part that does not balance
    or is more than what is pending.
    """
    _check_unresolved(booked)
    rest: tuple[Posting, ...] = ()
    if part is None:
        part = booked.remaining
    else:
        check_balanced(booked.entry.entry_id, part, balances)
        rest = take_from(booked.remaining, part, booked.entry.entry_id)
    movements = move(balances, part, Change.COMPLETED, at)
    return Step(movements, Resolution.POSTED, is_final=not rest)


def void(balances: Balances, booked: BookedEntry, at: int) -> Step:
    """What gives up everything that is pending still; raises `EntryNotPending` or `EntryResolved`."""
    _check_unresolved(booked)
    movements = move(balances, booked.remaining, Change.RELEASED, at)
    return Step(movements, Resolution.VOIDED, is_final=True)


def expire(balances: Balances, booked: BookedEntry, at: int) -> Step:
    """What ends an entry whose time is over at the UTC second `at`.

    Raises `EntryNotPending`, `EntryResolved`, and `EntryNotExpired` before that time and for an entry
    that has none.
    """
    _check_unresolved(booked)
    if booked.entry.expires_at is None or at < booked.entry.expires_at:
        raise EntryNotExpired(booked.entry.entry_id, at)
    movements = move(balances, booked.remaining, Change.RELEASED, at)
    return Step(movements, Resolution.EXPIRED, is_final=True)


def take_from(
    remaining: Iterable[Posting], part: Iterable[Posting], entry_id: str
) -> tuple[Posting, ...]:
    """What is left of postings after a part of them; `EntryInvalid` where the part is more."""
    wanted: defaultdict[tuple[str, Side], int] = defaultdict(int)
    for posting in part:
        wanted[posting.account_id, posting.side] += posting.amount.minor_units
    left = []
    for posting in remaining:
        key = (posting.account_id, posting.side)
        units = posting.amount.minor_units
        taken = min(units, wanted[key])
        wanted[key] -= taken
        if taken < units:
            left.append(replace(posting, amount=Amount(posting.amount.currency, units - taken)))
    if any(wanted.values()):
        raise EntryInvalid(entry_id, "the part is more than what is pending")
    return tuple(left)


def _check_unresolved(booked: BookedEntry) -> None:
    if not booked.entry.pending:
        raise EntryNotPending(booked.entry.entry_id)
    if booked.resolution is not None:
        raise EntryResolved(booked.entry.entry_id, booked.resolution.value)


def check_balanced(entry_id: str, postings: Sequence[Posting], balances: Balances) -> None:
    """Refuse postings that break the rule of balance; each is of a positive amount in its currency.

    Raises `EntryInvalid`, naming the rule. Of `balances` only the accounts are looked at.
    """
    sums: defaultdict[str | Unit, int] = defaultdict(int)
    issuer_by_code: dict[str, str] = {}
    for posting in postings:
        account = balances[posting.account_id].account
        units = posting.amount.minor_units
        if units <= 0:
            raise EntryInvalid(entry_id, f"it moves {posting.amount}")
        if posting.amount.currency != account.currency:
            rule = f"it books {posting.amount.currency} on an account in {account.currency}"
            raise EntryInvalid(entry_id, rule)
        code = account.currency.code
        if account.is_on_balance_sheet:
            key: str | Unit = code
            if not account.exchanges:
                issuer = issuer_by_code.setdefault(code, account.issuer)
                if issuer != account.issuer:
                    rule = f"claims in {code} on {issuer} and on {account.issuer} meet in it"
                    raise EntryInvalid(entry_id, rule)
        else:
            key = account.unit
        sums[key] += units if posting.side is Side.DEBIT else -units
    for key, total in sums.items():
        if total:
            raise EntryInvalid(entry_id, f"debits less credits are {total} of {key}, not 0")


def _check_funds(balances: Balances, changed: Balances) -> None:
    for account_id, after in changed.items():
        if after.account.may_overdraw:
            continue
        before, available = balances[account_id], after.available_units
        if available < -after.account.credit_limit and available < before.available_units:
            raise InsufficientFunds(
                account_id=account_id,
                available=str(before.available),
                needed=str(before.available - after.available),
            )


def move(
    balances: Balances, postings: Iterable[Posting], change: Change, at: int
) -> tuple[Movement, ...]:
    """The movements of postings that take effect on their accounts one after the other, at `at`.

    Raises `AmountOutOfRange` for turnover beyond `TURNOVER_MAX`.
    """
    pending, posted = _FACTORS[change]
    changed: dict[str, Balance] = {}
    movements = []
    for posting in postings:
        account_id, units = posting.account_id, posting.amount.minor_units
        before = changed.get(account_id) or balances[account_id]
        debited = posting.side is Side.DEBIT
        on_left, on_right = (units, 0) if debited else (0, units)
        after = Balance(
            account=before.account,
            pending_debits=before.pending_debits + pending * on_left,
            pending_credits=before.pending_credits + pending * on_right,
            posted_debits=before.posted_debits + posted * on_left,
            posted_credits=before.posted_credits + posted * on_right,
            version=before.version + 1,
            at=max(at, before.at),
        )
        turnover = max(
            after.pending_debits, after.pending_credits, after.posted_debits, after.posted_credits
        )
        if turnover > TURNOVER_MAX:
            raise AmountOutOfRange(turnover, posting.amount.currency.code)
        changed[account_id] = after
        movements.append(Movement(posting, change, after))
    return tuple(movements)
