"""The ledger in the database: accounts, entries, their postings and what became of them.

The rules are those of `bridge.ledger`; this repository reads the balances that a step touches, asks
the rules for the movements and writes them. Rows are only ever added; the database itself refuses
anything else, a second use of an entry id or of an account's version, and a posting that does not
follow from the one before. The balance of an account is its newest posting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, insert, select

from bridge.errors import AccountUnknown, EntryLinked, RecordConflict, RecordMissing
from bridge.ledger import (
    Account,
    Balance,
    BookedEntry,
    JournalEntry,
    Posting,
    Step,
    apply,
    expire,
    link,
    post,
    void,
)
from bridge.money import Amount
from bridge.store import tables
from bridge.store.known_balances import known_balances
from bridge.store.ledger_rows import (
    ADD_ENTRIES,
    ADD_POSTINGS,
    ADD_RESOLUTIONS,
    ENTRY,
    POSTINGS_OF,
    RESOLUTIONS_OF,
    Row,
    asked_of,
    balance_of,
    booked_of,
    entry_row,
    newest,
    posting_row,
)
from bridge.store.page import PAGE_DEFAULT, Page, read_page


class LedgerBook:
    """Accounts, journal entries and balances."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known = known_balances(connection)

    # Accounts

    def open_account(self, account: Account, at: int = 0) -> None:
        """Open an account; nothing happens when it is open already with the same properties.

        Its credit limit is the one it begins with, and is not compared afterwards. Raises
        `RecordConflict` when it is open with other properties.
        """
        found = self.find_account(account.account_id)
        if found is not None:
            if replace(found, credit_limit=account.credit_limit) != account:
                raise RecordConflict("ledger account", account.account_id)
            return
        self._connection.execute(
            insert(tables.accounts).values(
                account_id=account.account_id,
                name=account.name,
                account_type=account.account_type.value,
                currency=account.currency.code,
                decimals=account.currency.minor_units,
                is_money=account.currency.numeric != 0,
                issuer=account.issuer,
                is_off_balance=account.is_off_balance,
                exchanges=account.exchanges,
                may_overdraw=account.may_overdraw,
                owner=account.owner,
            )
        )
        if account.credit_limit:
            self._add_credit_line(account.account_id, 1, account.credit_limit, at)

    def set_credit_limit(self, account_id: str, limit: Amount, at: int) -> None:
        """Let the available balance of an account fall to minus `limit` from now on.

        What was taken before stays taken: a lower limit refuses only what comes. Raises
        `AccountUnknown`, and `RecordConflict` for a limit in another currency.
        """
        account = self.account(account_id)
        if limit.currency != account.currency or limit.minor_units < 0:
            raise RecordConflict("credit limit", str(limit))
        lines = tables.credit_lines.c
        query = select(func.count()).where(lines.account_id == account_id)
        count = self._connection.execute(query).scalar_one()
        self._add_credit_line(account_id, count + 1, limit.minor_units, at)

    def account(self, account_id: str) -> Account:
        """The account; raises `AccountUnknown`."""
        found = self.find_account(account_id)
        if found is None:
            raise AccountUnknown(account_id)
        return found

    def find_account(self, account_id: str) -> Account | None:
        """The account, if it is open."""
        found = self._find_balances({account_id})
        return found[account_id].account if found else None

    def accounts(self, owner: str | None = None) -> tuple[Account, ...]:
        """Every account, or those kept for one owner, by id."""
        return tuple(balance.account for balance in self.balances(owner))

    # Balances

    def balance(self, account_id: str) -> Balance:
        """The balance of one account; raises `AccountUnknown`."""
        return self._balances({account_id})[account_id]

    def balance_anew(self, account_id: str) -> Balance:
        """The same, read from the database even where it is known: for whoever judges the books.

        Raises `AccountUnknown`.
        """
        self._known.by_account.pop(account_id, None)
        return self.balance(account_id)

    def balances(self, owner: str | None = None) -> tuple[Balance, ...]:
        """The balance of every account, or of those kept for one owner, by account id; read anew."""
        query = newest(self._connection.dialect).order_by(tables.accounts.c.account_id)
        if owner is not None:
            query = query.where(tables.accounts.c.owner == owner)
        return tuple(balance_of(tuple(row)) for row in self._connection.execute(query))

    # Booking

    def book(self, entry: JournalEntry, *, is_fact: bool = False) -> None:
        """Book an entry, pending or posted as it says; a fact is booked whatever the balances.

        Raises `AccountUnknown`, `EntryInvalid`, `InsufficientFunds`, and `RecordConflict` for an
        entry id that was used before.
        """
        self.book_many((entry,), is_fact=is_fact)

    def book_many(self, entries: Sequence[JournalEntry], *, is_fact: bool = False) -> None:
        """Book entries one after the other in few statements: all of them or none.

        Each finds the balances that those before it left. Raises as `book` does.
        """
        if not entries:
            return
        touched = {posting.account_id for entry in entries for posting in entry.postings}
        balances = self._balances(touched)
        postings: list[dict[str, object]] = []
        for entry in entries:
            movements = apply(balances, entry, is_fact=is_fact)
            for position, movement in enumerate(movements):
                balances[movement.posting.account_id] = movement.after
                postings.append(posting_row(entry.entry_id, 0, position, movement))
        self._add_entries(entries)
        self._add_postings(postings, balances)

    def book_linked(
        self, link_id: str, entries: Sequence[JournalEntry], *, is_fact: bool = False
    ) -> None:
        """Book entries as one unit: all or none, now and when they are resolved.

        Raises as `book` does, `EntryInvalid` for entries that cannot be linked, and `RecordConflict`
        for a link id that was used before.
        """
        if self._linked_ids(link_id):
            raise RecordConflict("link", link_id)
        self.book_many(link(link_id, entries), is_fact=is_fact)

    # Resolving

    def post(self, entry_id: str, at: int, part: tuple[Posting, ...] | None = None) -> None:
        """Turn a pending entry, or a balanced part of what is pending of it, into a movement.

        Raises `RecordMissing`, `EntryNotPending`, `EntryResolved`, `EntryLinked`, and `EntryInvalid`
        for a part that does not balance or is too much.
        """
        booked = self._single(entry_id)
        self._resolve(booked, post(self._balances_of(booked), booked, at, part), at)

    def void(self, entry_id: str, at: int) -> None:
        """Give up what is pending of an entry; raises as `post` does."""
        booked = self._single(entry_id)
        self._resolve(booked, void(self._balances_of(booked), booked, at), at)

    def expire(self, entry_id: str, at: int) -> None:
        """End an entry whose time is over at the UTC second `at`.

        Raises as `post` does, and `EntryNotExpired` while it is not, or when it has no such time.
        """
        booked = self._single(entry_id)
        self._resolve(booked, expire(self._balances_of(booked), booked, at), at)

    def post_linked(self, link_id: str, at: int) -> None:
        """Post every entry of a linked unit; raises as `post` does."""
        for booked in self._linked(link_id):
            self._resolve(booked, post(self._balances_of(booked), booked, at), at)

    def void_linked(self, link_id: str, at: int) -> None:
        """Void every entry of a linked unit; raises as `post` does."""
        for booked in self._linked(link_id):
            self._resolve(booked, void(self._balances_of(booked), booked, at), at)

    # Entries

    def entry(self, entry_id: str) -> BookedEntry:
        """One entry as it stands; raises `RecordMissing`."""
        found = self.find_entry(entry_id)
        if found is None:
            raise RecordMissing("journal entry", entry_id)
        return found

    def find_entry(self, entry_id: str) -> BookedEntry | None:
        """One entry as it stands, if it was booked."""
        rows = ENTRY.rows(self._connection, {"entry_id": entry_id})
        return self._booked(entry_id, rows[0]) if rows else None

    def entries(
        self, account_id: str, *, limit: int = PAGE_DEFAULT, cursor: str | None = None
    ) -> Page[BookedEntry]:
        """The entries that touch an account, newest first."""
        kept = tables.postings.c
        touching = select(kept.entry_id).where(kept.account_id == account_id, kept.step == 0)
        query = select(tables.entries).where(tables.entries.c.entry_id.in_(touching))
        return read_page(
            self._connection,
            query,
            tables.entries.c.sequence,
            lambda row: self._booked(row.entry_id, tuple(row)),
            limit=limit,
            cursor=cursor,
        )

    def expired(self, now: int, limit: int = PAGE_DEFAULT) -> tuple[str, ...]:
        """Ids of pending entries whose time is over, the earliest first; nothing happens to them."""
        ended = select(tables.entry_resolutions.c.entry_id).where(
            tables.entry_resolutions.c.entry_id == tables.entries.c.entry_id,
            tables.entry_resolutions.c.is_final.is_(True),
        )
        query = (
            select(tables.entries.c.entry_id)
            .where(tables.entries.c.expires_at <= now, ~ended.exists())
            .order_by(tables.entries.c.expires_at, tables.entries.c.sequence)
            .limit(limit)
        )
        return tuple(self._connection.execute(query).scalars())

    def _add_credit_line(self, account_id: str, version: int, limit: int, at: int) -> None:
        self._known.by_account.pop(account_id, None)
        self._connection.execute(
            insert(tables.credit_lines).values(
                account_id=account_id, version=version, credit_limit=limit, set_at=at
            )
        )

    def _add_entries(self, entries: Sequence[JournalEntry]) -> None:
        """Add the rows of entries; the database knows best whether an id was used before."""
        rows = [entry_row(entry, position) for position, entry in enumerate(entries)]
        first = entries[0].entry_id
        ADD_ENTRIES.add(self._connection, rows, lambda: RecordConflict("journal entry", first))

    def _single(self, entry_id: str) -> BookedEntry:
        booked = self.entry(entry_id)
        if booked.entry.link_id is not None:
            raise EntryLinked(entry_id, booked.entry.link_id)
        return booked

    def _linked(self, link_id: str) -> tuple[BookedEntry, ...]:
        entry_ids = self._linked_ids(link_id)
        if not entry_ids:
            raise RecordMissing("link", link_id)
        return tuple(self.entry(entry_id) for entry_id in entry_ids)

    def _linked_ids(self, link_id: str) -> Sequence[str]:
        kept = tables.entries.c
        query = select(kept.entry_id).where(kept.link_id == link_id).order_by(kept.link_position)
        return self._connection.execute(query).scalars().all()

    def _resolve(self, booked: BookedEntry, step: Step, at: int) -> None:
        entry_id, number = booked.entry.entry_id, booked.steps + 1
        resolution = {
            "entry_id": entry_id,
            "step": number,
            "resolution": step.resolution.value,
            "is_final": step.is_final,
            "resolved_at": at,
        }
        ADD_RESOLUTIONS.add(self._connection, (resolution,))
        rows = [
            posting_row(entry_id, number, position, movement)
            for position, movement in enumerate(step.movements)
        ]
        self._add_postings(rows, {each.posting.account_id: each.after for each in step.movements})

    def _add_postings(
        self, rows: Sequence[Mapping[str, object]], balances: Mapping[str, Balance]
    ) -> None:
        """Add the rows of movements; `balances` are where they leave the accounts."""
        try:
            ADD_POSTINGS.add(self._connection, rows)
        except BaseException:  # on SQLite some may be added
            self._known.forget()
            raise
        self._known.by_account.update(balances)

    def _balances_of(self, booked: BookedEntry) -> dict[str, Balance]:
        return self._balances({posting.account_id for posting in booked.entry.postings})

    def _balances(self, account_ids: set[str]) -> dict[str, Balance]:
        found = self._find_balances(account_ids)
        if len(found) < len(account_ids):
            raise AccountUnknown(min(account_ids - found.keys()))
        return found

    def _find_balances(self, account_ids: set[str]) -> dict[str, Balance]:
        known = self._known.by_account
        if account_ids.difference(known):
            self._known.make_room()  # by then more may be missing
            for statement, given in asked_of(account_ids.difference(known)):
                for row in statement.rows(self._connection, given):
                    balance = balance_of(row)
                    known[balance.account.account_id] = balance
        return {each: known[each] for each in account_ids if each in known}

    def _booked(self, entry_id: str, row: Row) -> BookedEntry:
        given = {"entry_id": entry_id}
        lines = POSTINGS_OF.rows(self._connection, given)
        return booked_of(row, lines, RESOLUTIONS_OF.rows(self._connection, given))
