"""The ledger in its real database against a model that keeps nothing but sums.

Whatever is booked, posted, voided, refused, rolled back or read after a restart: debits equal
credits per unit (LED-1), no unflagged account falls below zero (LED-5), a pending entry is resolved
once (LED-8), and the balances kept beside the postings are those the postings add up to (LED-11).
"""

import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from bridge.errors import EntryInvalid, EntryResolved, InsufficientFunds, RecordConflict
from bridge.ledger import Account, JournalEntry, Posting, Resolution, Side, credit, debit
from bridge.money import Amount
from bridge.store import Store
from support.bridge_records import (
    ACCOUNTS,
    CASH,
    DEPOSIT,
    DOLLARS,
    FEES,
    NOW,
    POSITION,
    SGD,
    entry_of,
    euros,
    open_store,
)

EURO_ACCOUNTS = (CASH, DEPOSIT, FEES, POSITION)
_cents = st.integers(1, 500)


@st.composite
def balanced(draw: st.DrawFn) -> list[Posting]:
    """Postings in euro that sum to zero: several debits against several credits."""
    debits = draw(
        st.lists(st.tuples(st.sampled_from(EURO_ACCOUNTS), _cents), min_size=1, max_size=3)
    )
    total = sum(cents for _, cents in debits)
    first = draw(st.integers(1, total))
    parts = [part for part in (first, total - first) if part]
    credits_ = [(draw(st.sampled_from(EURO_ACCOUNTS)), part) for part in parts]
    return [debit(account.account_id, euros(cents)) for account, cents in debits] + [
        credit(account.account_id, euros(cents)) for account, cents in credits_
    ]


class Model:
    """Balances as two counters of signed cents, grown on each account's normal side."""

    def __init__(self) -> None:
        self.posted: Counter[str] = Counter()
        self.leaving: Counter[str] = Counter()

    def copy(self) -> "Model":
        other = Model()
        other.posted, other.leaving = self.posted.copy(), self.leaving.copy()
        return other

    def movements(self, entry: JournalEntry) -> list[tuple[Account, int]]:
        by_id = {account.account_id: account for account in ACCOUNTS}
        found = []
        for posting in entry.postings:
            account = by_id[posting.account_id]
            grows = posting.side is account.account_type.normal_side
            units = posting.amount.minor_units
            found.append((account, units if grows else -units))
        return found

    def post(self, entry: JournalEntry) -> None:
        for account, units in self.movements(entry):
            self.posted[account.account_id] += units

    def reserve(self, entry: JournalEntry, sign: int = 1) -> None:
        for account, units in self.movements(entry):
            if units < 0:
                self.leaving[account.account_id] -= sign * units

    def available(self, account: Account) -> int:
        return self.posted[account.account_id] - self.leaving[account.account_id]

    def allows(self, entry: JournalEntry) -> bool:
        after = self.copy()
        if entry.pending:
            after.reserve(entry)
        else:
            after.post(entry)
        return not any(
            after.available(account) < 0 and after.available(account) < self.available(account)
            for account in ACCOUNTS
            if not account.may_overdraw
        )


class LedgerMachine(RuleBasedStateMachine):
    """A bank's day in random order."""

    pending = Bundle("pending")
    resolved = Bundle("resolved")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name)
        self.store: Store = open_store(self.path)
        self.model = Model()
        self.entries: dict[str, JournalEntry] = {}
        self.resolutions: dict[str, Resolution] = {}
        self.count = 0

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def next_id(self) -> str:
        self.count += 1
        return f"entry-{self.count}"

    @initialize(cents=st.integers(500, 5_000))
    def open_with_money(self, cents: int) -> None:
        opening = entry_of(
            self.next_id(),
            [debit(CASH.account_id, euros(cents)), credit(DEPOSIT.account_id, euros(cents))],
        )
        self.book(opening)

    def book(self, entry: JournalEntry) -> bool:
        """Book through the store; whether the model would have, with the same answer."""
        allowed = self.model.allows(entry)
        try:
            with self.store.unit_of_work() as work:
                work.ledger.book(entry)
        except InsufficientFunds:
            assert not allowed
            return False
        assert allowed
        self.entries[entry.entry_id] = entry
        if entry.pending:
            self.model.reserve(entry)
        else:
            self.model.post(entry)
        return True

    @rule(postings=balanced())
    def book_posted(self, postings: list[Posting]) -> None:
        self.book(entry_of(self.next_id(), postings))

    @rule(target=pending, postings=balanced())
    def book_pending(self, postings: list[Posting]) -> object:
        entry = entry_of(self.next_id(), postings, pending=True)
        return entry.entry_id if self.book(entry) else multiple()

    @rule(target=resolved, entry_id=consumes(pending))
    def post(self, entry_id: str) -> str:
        with self.store.unit_of_work() as work:
            work.ledger.post(entry_id, NOW)
        self.model.reserve(self.entries[entry_id], sign=-1)
        self.model.post(self.entries[entry_id])
        self.resolutions[entry_id] = Resolution.POSTED
        return entry_id

    @rule(target=resolved, entry_id=consumes(pending))
    def void(self, entry_id: str) -> str:
        with self.store.unit_of_work() as work:
            work.ledger.void(entry_id, NOW)
        self.model.reserve(self.entries[entry_id], sign=-1)
        self.resolutions[entry_id] = Resolution.VOIDED
        return entry_id

    @rule(entry_id=resolved, posting=st.booleans())
    def resolving_again_is_refused(self, entry_id: str, posting: bool) -> None:
        try:
            with self.store.unit_of_work() as work:
                step = work.ledger.post if posting else work.ledger.void
                step(entry_id, NOW)
        except EntryResolved:
            return
        raise AssertionError("an entry was resolved twice")

    @rule(postings=balanced(), cents=_cents)
    def an_unbalanced_entry_is_refused(self, postings: list[Posting], cents: int) -> None:
        wrong = [*postings, debit(POSITION.account_id, euros(cents))]
        self.refused(entry_of(self.next_id(), wrong), EntryInvalid)

    @rule(cents=_cents)
    def currencies_never_mix(self, cents: int) -> None:
        wrong = [
            debit(DOLLARS.account_id, Amount(SGD, cents)),
            credit(DEPOSIT.account_id, euros(cents)),
        ]
        self.refused(entry_of(self.next_id(), wrong), EntryInvalid)

    @precondition(lambda self: self.entries)
    @rule(postings=balanced())
    def an_entry_id_is_never_used_again(self, postings: list[Posting]) -> None:
        self.refused(entry_of(next(iter(self.entries)), postings), RecordConflict)

    def refused(self, entry: JournalEntry, fault: type[Exception]) -> None:
        try:
            with self.store.unit_of_work() as work:
                work.ledger.book(entry)
        except fault:
            return
        raise AssertionError(f"{entry} was booked")

    @rule(postings=balanced())
    def what_is_rolled_back_never_happened(self, postings: list[Posting]) -> None:
        entry = entry_of(self.next_id(), postings)
        with suppress(ZeroDivisionError, InsufficientFunds), self.store.unit_of_work() as work:
            work.ledger.book(entry)
            _ = 1 // 0

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.path)

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        with self.store.reading() as work:
            for account in ACCOUNTS:
                balance = work.ledger.balance(account.account_id)
                assert balance.ledger.minor_units == self.model.posted[account.account_id]
                assert balance.available.minor_units == self.model.available(account)

    @invariant()
    def debits_equal_credits(self) -> None:
        with self.store.reading() as work:
            balances = [work.ledger.balance(account.account_id) for account in EURO_ACCOUNTS]
        assert sum(each.posted_debits - each.posted_credits for each in balances) == 0
        assert sum(each.pending_debits - each.pending_credits for each in balances) == 0

    @invariant()
    def kept_balances_are_what_the_postings_add_up_to(self) -> None:
        sums: Counter[tuple[str, bool, Side]] = Counter()
        for entry_id, entry in self.entries.items():
            resolution = self.resolutions.get(entry_id)
            if resolution is Resolution.VOIDED:
                continue
            is_pending = entry.pending and resolution is None
            for posting in entry.postings:
                key = (posting.account_id, is_pending, posting.side)
                sums[key] += posting.amount.minor_units
        with self.store.reading() as work:
            for account in EURO_ACCOUNTS:
                balance = work.ledger.balance(account.account_id)
                name = account.account_id
                assert balance.pending_debits == sums[name, True, Side.DEBIT]
                assert balance.pending_credits == sums[name, True, Side.CREDIT]
                assert balance.posted_debits == sums[name, False, Side.DEBIT]
                assert balance.posted_credits == sums[name, False, Side.CREDIT]


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestLedger = LedgerMachine.TestCase
