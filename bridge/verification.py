"""Whether the books are right, from their postings alone.

Everything that is kept beside a posting is computed anew and compared: the versions and balances of
every account, the balance of every entry in each of its steps, what was pending of it and how that
ended, and the common end of linked entries. Whoever edited a row behind the ledger's back, with the
database's guards out of the way, is found here, unless every row that follows from it was edited too.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final

from bridge.errors import EntryInvalid
from bridge.ledger import (
    Account,
    Balance,
    Balances,
    Change,
    Resolution,
    check_balanced,
    move,
    take_from,
)
from bridge.store import Store, UnitOfWork
from bridge.store.ledger_record import EntryRecord, PostingRecord

FINDINGS_MAX: Final = 100
"""Most findings of one verification; it ends after them."""

_CHANGE_BY_RESOLUTION: Final = {
    Resolution.POSTED: Change.COMPLETED,
    Resolution.VOIDED: Change.RELEASED,
    Resolution.EXPIRED: Change.RELEASED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the books that cannot be: of which account, entry or link, and what."""

    place: str
    fault: str


def verify_books(store: Store) -> tuple[Finding, ...]:
    """What is wrong with the books of one moment; empty when they are right."""
    with store.reading() as work:
        accounts = work.ledger_record.accounts()
        balances = {account_id: Balance(account) for account_id, account in accounts.items()}
        found = list(islice(_verify_accounts(work, balances), FINDINGS_MAX))
        found += islice(_verify_entries(work, balances), FINDINGS_MAX - len(found))
    return tuple(found)


def recompute_balance(store: Store, account_id: str) -> Balance:
    """An account's balance added up from its postings; raises `AccountUnknown`."""
    with store.reading() as work:
        balance = Balance(work.ledger.account(account_id))
        for record in work.ledger_record.by_account(account_id):
            balance = _replay(balance, record)
    return balance


def _verify_accounts(work: UnitOfWork, empty: Balances) -> Iterator[Finding]:
    records = work.ledger_record.by_account()
    for account_id, group in groupby(records, key=lambda record: record.posting.account_id):
        balance = empty[account_id]
        for record in group:
            place = f"account {account_id}, version {record.version}"
            expected = _replay(balance, record)
            if record.version != expected.version:
                yield Finding(place, f"version {expected.version} was to follow")
            if _written(balance.account, record) != expected:
                yield Finding(place, "its balances or its time are not what its postings make them")
            balance = expected


def _verify_entries(work: UnitOfWork, empty: Balances) -> Iterator[Finding]:
    entries = work.ledger_record.by_entry()
    for link_id, group in groupby(entries, key=lambda entry: entry.link_id):
        ends = set()
        for entry in group:
            for fault in _faults_of(entry, empty):
                yield Finding(f"entry {entry.entry_id}", fault)
            ends.add((entry.pending, tuple(each.resolution for each in entry.resolutions)))
        if link_id is not None and len(ends) > 1:
            yield Finding(f"link {link_id}", "its entries did not end alike")


def _faults_of(entry: EntryRecord, empty: Balances) -> Iterator[str]:
    steps: defaultdict[int, list[PostingRecord]] = defaultdict(list)
    for record in entry.postings:
        steps[record.step].append(record)
    expected = {0: Change.RESERVED if entry.pending else Change.POSTED}
    for resolution in entry.resolutions:
        expected[resolution.step] = _CHANGE_BY_RESOLUTION[resolution.resolution]
    if sorted(steps) != list(range(len(expected))) or steps.keys() != expected.keys():
        yield "its steps have no postings, or its postings no step"
        return
    for step, records in steps.items():
        if {record.change for record in records} != {expected[step]}:
            yield f"what step {step} did is not what was decided"
        try:
            check_balanced(entry.entry_id, [record.posting for record in records], empty)
        except EntryInvalid as error:
            yield f"step {step}: {error.rule}"
    yield from _pending_faults(entry, steps)


def _pending_faults(entry: EntryRecord, steps: dict[int, list[PostingRecord]]) -> Iterator[str]:
    if not entry.pending:
        return
    remaining = tuple(record.posting for record in steps[0])
    try:
        for resolution in entry.resolutions:
            part = [record.posting for record in steps[resolution.step]]
            remaining = take_from(remaining, part, entry.entry_id)
    except EntryInvalid:
        yield "more was used up than was pending"
        return
    is_final = any(resolution.is_final for resolution in entry.resolutions)
    if is_final == bool(remaining):
        yield "it is not ended exactly when nothing is pending"


def _replay(balance: Balance, record: PostingRecord) -> Balance:
    account_id = record.posting.account_id
    (movement,) = move({account_id: balance}, (record.posting,), record.change, record.decided_at)
    return movement.after


def _written(account: Account, record: PostingRecord) -> Balance:
    return Balance(
        account,
        record.pending_debits,
        record.pending_credits,
        record.posted_debits,
        record.posted_credits,
        record.version,
        record.at,
    )
