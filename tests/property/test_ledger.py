"""The ledger in its real database against a model that keeps nothing but sums and lists.

Whatever is booked, linked, posted whole or in parts, voided, expired, refused, rolled back or read
after a restart: debits equal credits per unit (LED-1), no unflagged account falls below its limit
(LED-5), what is pending is used up once in sum (LED-8, LED-12), linked entries share their end
(LED-16), versions have no gap (LED-14), an earlier moment is what it was (LED-15), and everything can
be computed anew from the postings alone (LED-11).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.errors import (
    EntryInvalid,
    EntryLinked,
    EntryNotExpired,
    EntryResolved,
    InsufficientFunds,
    RecordConflict,
)
from bridge.ledger import (
    HOLD,
    Account,
    JournalEntry,
    Posting,
    Resolution,
    Side,
    credit,
    debit,
    part_of,
)
from bridge.money import Amount
from bridge.store import StatementItem, Store, UnitOfWork
from bridge.verification import verify_books
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
    open_store_at,
    transfer,
)
from support.databases import Databases
from support.full_run import IS_FULL

EURO_ACCOUNTS = (CASH, DEPOSIT, FEES, POSITION)
_cents = st.integers(1, 500)
_seconds = st.integers(NOW, NOW + 50)
_pick = st.integers(0, 10**6)


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


@dataclass
class Pending:
    """A pending entry, or several linked ones, and how much of the first is left."""

    entries: list[JournalEntry]
    link_id: str | None = None
    left: int = 0


@dataclass
class Model:
    """Signed cents on each account's normal side, and what each account looked like over time."""

    posted: Counter[str] = field(default_factory=Counter)
    leaving: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    history: defaultdict[str, list[tuple[int, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def copy(self) -> "Model":
        return Model(self.posted.copy(), self.leaving.copy(), self.limits.copy())

    def move(self, postings: Sequence[Posting], *, pending: int, posted: int, at: int) -> None:
        by_id = {account.account_id: account for account in ACCOUNTS}
        for posting in postings:
            account = by_id[posting.account_id]
            grows = posting.side is account.account_type.normal_side
            units = posting.amount.minor_units
            name = account.account_id
            self.posted[name] += posted * (units if grows else -units)
            self.leaving[name] += pending * (0 if grows else units)
            time = max(at, self.history[name][-1][0] if self.history[name] else 0)
            self.history[name].append((time, self.posted[name], self.available(account)))

    def book(self, entry: JournalEntry) -> None:
        pending = int(entry.pending)
        self.move(entry.postings, pending=pending, posted=1 - pending, at=entry.booked_at)

    def available(self, account: Account) -> int:
        return self.posted[account.account_id] - self.leaving[account.account_id]

    def allows(self, entry: JournalEntry) -> bool:
        after = self.copy()
        after.book(entry)
        return not any(
            after.available(account) < -self.limits[account.account_id]
            and after.available(account) < self.available(account)
            for account in ACCOUNTS
            if not account.may_overdraw
        )

    def allows_all(self, entries: Sequence[JournalEntry]) -> bool:
        after = self.copy()
        for entry in entries:
            if not after.allows(entry):
                return False
            after.book(entry)
        return True


class LedgerMachine(RuleBasedStateMachine):
    """A bank's day in random order."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases.anew()
        self.store: Store = open_store_at(self.databases.place())
        self.other: Store = Store.open(self.databases.place())
        """Another process on the same database, which knows what it has seen itself."""
        self.model = Model()
        self.pending: list[Pending] = []
        self.ended: list[tuple[Pending, Resolution]] = []
        self.count = 0

    def teardown(self) -> None:
        assert verify_books(self.store) == ()
        self.store.close()
        self.other.close()
        self.databases.close()

    def next_id(self) -> str:
        self.count += 1
        return f"entry-{self.count}"

    def new(self, postings: Sequence[Posting], at: int, *, pending: bool = False) -> JournalEntry:
        return replace(entry_of(self.next_id(), postings, pending=pending), booked_at=at)

    @initialize(cents=st.integers(500, 5_000))
    def open_with_money(self, cents: int) -> None:
        assert self.book([transfer(self.next_id(), CASH, DEPOSIT, cents)])

    def book(self, entries: list[JournalEntry], link_id: str | None = None) -> bool:
        """Book through the store; whether it did, which the model says too."""
        allowed = self.model.allows_all(entries)
        try:
            with self.store.unit_of_work() as work:
                if link_id is None:
                    work.ledger.book_many(entries)
                else:
                    work.ledger.book_linked(link_id, entries)
        except InsufficientFunds:
            assert not allowed
            return False
        assert allowed
        for entry in entries:
            self.model.book(entry)
        return True

    def refused(self, fault: type[Exception], act: Callable[[UnitOfWork], None]) -> None:
        try:
            with self.store.unit_of_work() as work:
                act(work)
        except fault:
            return
        raise AssertionError(f"it was not refused as {fault.__name__}")

    @rule(groups=st.lists(balanced(), min_size=1, max_size=4), at=_seconds)
    def book_posted(self, groups: list[list[Posting]], at: int) -> None:
        self.book([self.new(postings, at) for postings in groups])

    @rule(postings=balanced(), at=_seconds)
    def book_pending(self, postings: list[Posting], at: int) -> None:
        entry = self.new(postings, at, pending=True)
        if self.book([entry]):
            self.pending.append(Pending([entry]))

    @rule(
        target_account=st.sampled_from((FEES, POSITION)),
        cents=_cents,
        at=_seconds,
        lasts=st.integers(1, 30),
    )
    def hold(self, target_account: Account, cents: int, at: int, lasts: int) -> None:
        entry = transfer(self.next_id(), DEPOSIT, target_account, cents, pending=True)
        entry = replace(entry, kind=HOLD, booked_at=at, expires_at=at + lasts)
        if self.book([entry]):
            self.pending.append(Pending([entry], left=cents))

    @rule(first=balanced(), second=balanced(), at=_seconds, pending=st.booleans())
    def link(self, first: list[Posting], second: list[Posting], at: int, pending: bool) -> None:
        entries = [self.new(postings, at, pending=pending) for postings in (first, second)]
        link_id = f"link-{self.count}"
        if self.book(entries, link_id) and pending:
            self.pending.append(Pending(entries, link_id))

    @precondition(lambda self: self.pending)
    @rule(pick=_pick, at=_seconds, cents=_cents)
    def post_a_part(self, pick: int, at: int, cents: int) -> None:
        chosen = self.pending[pick % len(self.pending)]
        assume(chosen.left)
        entry = chosen.entries[0]
        if cents > chosen.left:
            part = part_of(entry, euros(cents))
            self.refused(EntryInvalid, lambda work: work.ledger.post(entry.entry_id, at, part))
            return
        part = part_of(entry, euros(cents))
        with self.store.unit_of_work() as work:
            work.ledger.post(entry.entry_id, at, part)
        self.model.move(part, pending=-1, posted=1, at=at)
        chosen.left -= cents
        if not chosen.left:
            self.end(chosen, Resolution.POSTED)

    @precondition(lambda self: self.pending)
    @rule(pick=_pick, at=_seconds, posting=st.booleans())
    def resolve(self, pick: int, at: int, posting: bool) -> None:
        chosen = self.pending[pick % len(self.pending)]
        with self.store.unit_of_work() as work:
            book = work.ledger
            if chosen.link_id is not None:
                (book.post_linked if posting else book.void_linked)(chosen.link_id, at)
            else:
                (book.post if posting else book.void)(chosen.entries[0].entry_id, at)
        for entry in chosen.entries:
            left = part_of(entry, euros(chosen.left)) if chosen.left else entry.postings
            self.model.move(left, pending=-1, posted=int(posting), at=at)
        self.end(chosen, Resolution.POSTED if posting else Resolution.VOIDED)

    @precondition(lambda self: self.pending)
    @rule(pick=_pick, at=st.integers(NOW, NOW + 90))
    def expire(self, pick: int, at: int) -> None:
        chosen = self.pending[pick % len(self.pending)]
        assume(chosen.link_id is None)
        entry = chosen.entries[0]
        is_over = entry.expires_at is not None and entry.expires_at <= at
        with self.store.reading() as work:
            assert (entry.entry_id in work.ledger.expired(at)) is is_over
        if not is_over:
            self.refused(EntryNotExpired, lambda work: work.ledger.expire(entry.entry_id, at))
            return
        with self.store.unit_of_work() as work:
            work.ledger.expire(entry.entry_id, at)
        self.model.move(part_of(entry, euros(chosen.left)), pending=-1, posted=0, at=at)
        self.end(chosen, Resolution.EXPIRED)

    def end(self, chosen: Pending, resolution: Resolution) -> None:
        self.pending.remove(chosen)
        self.ended.append((chosen, resolution))

    @precondition(lambda self: self.ended)
    @rule(pick=_pick, step=st.sampled_from(("post", "void", "expire")))
    def resolving_again_is_refused(self, pick: int, step: str) -> None:
        chosen, _ = self.ended[pick % len(self.ended)]
        if chosen.link_id is not None:
            link_id, step = chosen.link_id, "void_linked" if step == "void" else "post_linked"
            self.refused(EntryResolved, lambda work: getattr(work.ledger, step)(link_id, NOW))
            return
        entry_id = chosen.entries[0].entry_id
        self.refused(EntryResolved, lambda work: getattr(work.ledger, step)(entry_id, NOW + 99))

    @precondition(lambda self: any(each.link_id for each in self.pending))
    @rule(step=st.sampled_from(("post", "void", "expire")))
    def a_linked_entry_is_not_resolved_by_itself(self, step: str) -> None:
        chosen = next(each for each in self.pending if each.link_id)
        entry_id = chosen.entries[-1].entry_id
        self.refused(EntryLinked, lambda work: getattr(work.ledger, step)(entry_id, NOW))

    @rule(cents=st.integers(0, 300))
    def a_credit_line_is_granted_or_withdrawn(self, cents: int) -> None:
        with self.store.unit_of_work() as work:
            work.ledger.set_credit_limit(DEPOSIT.account_id, euros(cents), NOW)
        self.model.limits[DEPOSIT.account_id] = cents

    @rule(postings=balanced(), cents=_cents)
    def an_unbalanced_entry_is_refused(self, postings: list[Posting], cents: int) -> None:
        wrong = [*postings, debit(POSITION.account_id, euros(cents))]
        entry = entry_of(self.next_id(), wrong)
        self.refused(EntryInvalid, lambda work: work.ledger.book(entry))

    @rule(cents=_cents)
    def currencies_never_mix(self, cents: int) -> None:
        wrong = [
            debit(DOLLARS.account_id, Amount(SGD, cents)),
            credit(DEPOSIT.account_id, euros(cents)),
        ]
        entry = entry_of(self.next_id(), wrong)
        self.refused(EntryInvalid, lambda work: work.ledger.book(entry))

    @rule(pick=_pick)
    def an_entry_id_is_never_used_again(self, pick: int) -> None:
        used = [each.entries[0] for each in self.pending] + [
            each.entries[0] for each, _ in self.ended
        ]
        name = used[pick % len(used)].entry_id if used else "entry-1"
        again = [transfer(name, DEPOSIT, POSITION, 1)]
        new = self.next_id()
        assume(self.model.allows_all([*again, *again]))
        fresh = transfer(new, DEPOSIT, POSITION, 1)
        self.refused(RecordConflict, lambda work: work.ledger.book_many([fresh, *again]))
        with self.store.reading() as work:
            assert work.ledger.find_entry(new) is None

    @rule(postings=balanced())
    def what_is_rolled_back_never_happened(self, postings: list[Posting]) -> None:
        entry = entry_of(self.next_id(), postings)
        with suppress(ZeroDivisionError, InsufficientFunds), self.store.unit_of_work() as work:
            work.ledger.book(entry)
            _ = 1 // 0

    @rule()
    def another_process_writes_from_now_on(self) -> None:
        self.store, self.other = self.other, self.store

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = open_store_at(self.databases.place())

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        with self.store.reading() as work:
            for account in ACCOUNTS:
                balance = work.ledger.balance(account.account_id)
                assert balance.ledger.minor_units == self.model.posted[account.account_id]
                assert balance.available.minor_units == self.model.available(account)
                assert balance.version == len(self.model.history[account.account_id])

    @invariant()
    def a_writer_knows_no_other_balances_than_the_database(self) -> None:
        """STO-16."""
        with self.store.unit_of_work() as work:
            known = [work.ledger.balance(account.account_id) for account in ACCOUNTS]
            assert set(known) == set(work.ledger.balances())

    @invariant()
    def debits_equal_credits(self) -> None:
        with self.store.reading() as work:
            balances = [work.ledger.balance(account.account_id) for account in EURO_ACCOUNTS]
        assert sum(each.posted_debits - each.posted_credits for each in balances) == 0
        assert sum(each.pending_debits - each.pending_credits for each in balances) == 0

    @rule(account=st.sampled_from(EURO_ACCOUNTS), second=st.integers(NOW - 1, NOW + 100))
    def an_earlier_moment_is_what_it_was(self, account: Account, second: int) -> None:
        past = [each for each in self.model.history[account.account_id] if each[0] <= second]
        with self.store.reading() as work:
            found = work.statements.balance_at(account.account_id, second)
        assert found.version == len(past)
        if past:
            assert (found.at, found.ledger.minor_units, found.available.minor_units) == past[-1]

    @rule(account=st.sampled_from(EURO_ACCOUNTS), first=_pick, second=_pick, size=st.integers(1, 5))
    def a_statement_leads_from_its_opening_to_its_closing_balance(
        self, account: Account, first: int, second: int, size: int
    ) -> None:
        history = self.model.history[account.account_id]
        after, through = sorted((first % (len(history) + 1), second % (len(history) + 1)))
        cursor: str | None = None
        items: list[StatementItem] = []
        with self.store.reading() as work:
            while True:
                page = work.statements.statement(
                    account.account_id, after=after, through=through, limit=size, cursor=cursor
                )
                items += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
        running = page.opening.ledger
        for item in items:
            grows = item.side is account.account_type.normal_side
            running += item.amount if grows else -item.amount
            assert item.balance == running
            assert (item.at, running.minor_units) == history[item.version - 1][:2]
        assert running == page.closing.ledger
        assert page.opening.version == after
        assert page.closing.version == through

    @invariant()
    def an_entry_stands_as_it_was_resolved(self) -> None:
        with self.store.reading() as work:
            for chosen, resolution in self.ended[-2:]:
                for entry in chosen.entries:
                    booked = work.ledger.entry(entry.entry_id)
                    assert (booked.resolution, booked.remaining) == (resolution, ())
            for chosen in self.pending[-2:]:
                booked = work.ledger.entry(chosen.entries[0].entry_id)
                left = sum(
                    each.amount.minor_units for each in booked.remaining if each.side is Side.DEBIT
                )
                whole = sum(
                    each.amount.minor_units
                    for each in booked.entry.postings
                    if each.side is Side.DEBIT
                )
                assert booked.resolution is None
                assert left == (chosen.left or whole)


def test_the_books_are_those_of_the_model(databases: Databases) -> None:
    class OnThese(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(databases)

    run_state_machine_as_test(
        OnThese,
        settings=settings(
            max_examples=500 if IS_FULL else 25, stateful_step_count=60 if IS_FULL else 30
        ),
    )
