"""The ledger in the database: accounts, entries, resolutions and the balances kept beside them.

The rules are those of `bridge.ledger`; this repository reads the balances that a step touches,
asks the rules for the new ones and writes both the step and its result. Entries, postings and
resolutions are only ever added; the database itself refuses anything else.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, Select, insert, select, update

from bridge.errors import AccountUnknown, RecordConflict, RecordMissing
from bridge.ledger import (
    Account,
    AccountType,
    Balance,
    JournalEntry,
    Posting,
    Resolution,
    Side,
    apply,
    post,
    void,
)
from bridge.money import Amount, parse_currency
from bridge.store import tables
from bridge.store.page import PAGE_DEFAULT, Page, read_page


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """A journal entry as it stands: a pending one is unresolved, posted or voided."""

    entry: JournalEntry
    resolution: Resolution | None
    resolved_at: int | None


class LedgerBook:
    """Accounts, journal entries and balances."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open_account(self, account: Account) -> None:
        """Open an account; nothing happens when it is open already with the same properties.

        Raises `RecordConflict` when it is open with others.
        """
        found = self.find_account(account.account_id)
        if found == account:
            return
        if found is not None:
            raise RecordConflict("ledger account", account.account_id)
        self._connection.execute(
            insert(tables.accounts).values(
                account_id=account.account_id,
                name=account.name,
                account_type=account.account_type.value,
                currency=account.currency.code,
                may_overdraw=account.may_overdraw,
                owner=account.owner,
                unit=account.unit,
            )
        )
        self._connection.execute(
            insert(tables.balances).values(
                account_id=account.account_id,
                pending_debits=0,
                pending_credits=0,
                posted_debits=0,
                posted_credits=0,
            )
        )

    def account(self, account_id: str) -> Account:
        """The account; raises `AccountUnknown`."""
        found = self.find_account(account_id)
        if found is None:
            raise AccountUnknown(account_id)
        return found

    def find_account(self, account_id: str) -> Account | None:
        """The account, if it is open."""
        query = select(tables.accounts).where(tables.accounts.c.account_id == account_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _account(row)

    def accounts(self, owner: str | None = None) -> tuple[Account, ...]:
        """Every account, or those kept for one owner, by id."""
        query = select(tables.accounts).order_by(tables.accounts.c.account_id)
        if owner is not None:
            query = query.where(tables.accounts.c.owner == owner)
        return tuple(_account(row) for row in self._connection.execute(query))

    def balance(self, account_id: str) -> Balance:
        """The balance of one account; raises `AccountUnknown`."""
        return self._balances({account_id})[account_id]

    def book(self, entry: JournalEntry, *, is_fact: bool = False) -> None:
        """Book an entry, pending or posted as it says; a fact is booked whatever the balances.

        Raises `AccountUnknown`, `EntryInvalid`, `InsufficientFunds`, and `RecordConflict` for an
        entry id that was used before.
        """
        if self.find_entry(entry.entry_id) is not None:
            raise RecordConflict("journal entry", entry.entry_id)
        changed = apply(self._balances_of(entry), entry, is_fact=is_fact)
        self._connection.execute(
            insert(tables.entries).values(
                entry_id=entry.entry_id,
                kind=entry.kind,
                description=entry.description,
                pending=entry.pending,
                payment_id=entry.payment_id,
                booked_at=entry.booked_at,
            )
        )
        self._connection.execute(
            insert(tables.postings),
            [
                {
                    "entry_id": entry.entry_id,
                    "position": position,
                    "account_id": posting.account_id,
                    "side": posting.side.value,
                    "amount": posting.amount.minor_units,
                }
                for position, posting in enumerate(entry.postings)
            ],
        )
        self._save(changed)

    def post(self, entry_id: str, at: int) -> None:
        """Turn a pending entry into a movement, once.

        Raises `RecordMissing`, `EntryNotPending` or `EntryResolved`.
        """
        booked = self.entry(entry_id)
        changed = post(self._balances_of(booked.entry), booked.entry, booked.resolution)
        self._resolve(entry_id, Resolution.POSTED, at)
        self._save(changed)

    def void(self, entry_id: str, at: int) -> None:
        """Give a pending entry up, once; raises as `post` does."""
        booked = self.entry(entry_id)
        changed = void(self._balances_of(booked.entry), booked.entry, booked.resolution)
        self._resolve(entry_id, Resolution.VOIDED, at)
        self._save(changed)

    def entry(self, entry_id: str) -> BookedEntry:
        """One entry as it stands; raises `RecordMissing`."""
        found = self.find_entry(entry_id)
        if found is None:
            raise RecordMissing("journal entry", entry_id)
        return found

    def find_entry(self, entry_id: str) -> BookedEntry | None:
        """One entry as it stands, if it was booked."""
        query = _entries().where(tables.entries.c.entry_id == entry_id)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else self._booked(row)

    def entries(
        self, account_id: str, *, limit: int = PAGE_DEFAULT, cursor: str | None = None
    ) -> Page[BookedEntry]:
        """The entries that touch an account, newest first."""
        touching = select(tables.postings.c.entry_id).where(
            tables.postings.c.account_id == account_id
        )
        query = _entries().where(tables.entries.c.entry_id.in_(touching))
        rows, next_cursor = read_page(
            self._connection, query, tables.entries.c.sequence, limit=limit, cursor=cursor
        )
        return Page(tuple(self._booked(row) for row in rows), next_cursor)

    def _balances_of(self, entry: JournalEntry) -> dict[str, Balance]:
        return self._balances({posting.account_id for posting in entry.postings})

    def _balances(self, account_ids: set[str]) -> dict[str, Balance]:
        query = (
            select(tables.accounts, tables.balances)
            .join(tables.balances)
            .where(tables.accounts.c.account_id.in_(sorted(account_ids)))
        )
        found = {}
        for row in self._connection.execute(query):
            found[row.account_id] = Balance(
                account=_account(row),
                pending_debits=row.pending_debits,
                pending_credits=row.pending_credits,
                posted_debits=row.posted_debits,
                posted_credits=row.posted_credits,
            )
        for account_id in sorted(account_ids - found.keys()):
            raise AccountUnknown(account_id)
        return found

    def _save(self, balances: dict[str, Balance]) -> None:
        for account_id, balance in balances.items():
            self._connection.execute(
                update(tables.balances)
                .where(tables.balances.c.account_id == account_id)
                .values(
                    pending_debits=balance.pending_debits,
                    pending_credits=balance.pending_credits,
                    posted_debits=balance.posted_debits,
                    posted_credits=balance.posted_credits,
                )
            )

    def _resolve(self, entry_id: str, resolution: Resolution, at: int) -> None:
        self._connection.execute(
            insert(tables.entry_resolutions).values(
                entry_id=entry_id, resolution=resolution.value, resolved_at=at
            )
        )

    def _booked(self, row: Row[tuple[object, ...]]) -> BookedEntry:
        query = (
            select(tables.postings, tables.accounts.c.currency)
            .join(tables.accounts)
            .where(tables.postings.c.entry_id == row.entry_id)
            .order_by(tables.postings.c.position)
        )
        postings = tuple(
            Posting(
                account_id=line.account_id,
                side=Side(line.side),
                amount=Amount(parse_currency(line.currency), line.amount),
            )
            for line in self._connection.execute(query)
        )
        entry = JournalEntry(
            entry_id=row.entry_id,
            kind=row.kind,
            description=row.description,
            postings=postings,
            booked_at=row.booked_at,
            pending=row.pending,
            payment_id=row.payment_id,
        )
        resolution = None if row.resolution is None else Resolution(row.resolution)
        return BookedEntry(entry, resolution, row.resolved_at)


def _entries() -> Select[tuple[object, ...]]:
    resolutions = tables.entry_resolutions
    return select(
        tables.entries, resolutions.c.resolution, resolutions.c.resolved_at
    ).outerjoin_from(
        tables.entries, resolutions, tables.entries.c.entry_id == resolutions.c.entry_id
    )


def _account(row: Row[tuple[object, ...]]) -> Account:
    return Account(
        account_id=row.account_id,
        name=row.name,
        account_type=AccountType(row.account_type),
        currency=parse_currency(row.currency),
        may_overdraw=row.may_overdraw,
        owner=row.owner,
        unit=row.unit,
    )
