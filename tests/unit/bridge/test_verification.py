"""The books computed anew from their postings: what somebody with the database's keys can do is found."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import AccountUnknown
from bridge.ledger import HOLD, part_of
from bridge.store import Store
from bridge.verification import FINDINGS_MAX, Finding, recompute_balance, verify_books
from support.bridge_records import ACCOUNTS, CASH, DEPOSIT, FEES, NOW, euros, open_store, transfer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Books in which everything has happened that can happen to an entry."""
    opened = open_store(tmp_path)
    with opened.unit_of_work() as work:
        book = work.ledger
        book.book(transfer("opening", CASH, DEPOSIT, 1_000))
        for name in ("posted", "voided", "parts", "open"):
            book.book(transfer(name, DEPOSIT, FEES, 100, pending=True))
        book.post("posted", NOW)
        book.void("voided", NOW)
        book.post("parts", NOW, part_of(transfer("parts", DEPOSIT, FEES, 100), euros(30)))
        book.post("parts", NOW, part_of(transfer("parts", DEPOSIT, FEES, 100), euros(20)))
        hold = transfer("expired", DEPOSIT, FEES, 100, pending=True)
        book.book(replace(hold, kind=HOLD, expires_at=NOW + 1))
        book.expire("expired", NOW + 1)
        pair = [transfer(name, DEPOSIT, FEES, 10, pending=True) for name in ("one", "two")]
        book.book_linked("pair", pair)
        book.post_linked("pair", NOW)
    yield opened
    opened.close()


def tamper(tmp_path: Path, *statements: str) -> None:
    """What somebody does who drops the guards first."""
    connection = sqlite3.connect(tmp_path / "bridge.sqlite")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        assert connection.execute(statement).rowcount > 0, statement
    connection.commit()
    connection.close()


def test_books_that_the_ledger_wrote_are_right(store: Store) -> None:
    """LED-11."""
    assert verify_books(store) == ()


def test_a_balance_is_what_the_postings_of_an_account_add_up_to(store: Store) -> None:
    """LED-11: a customer's books, computed from their postings alone."""
    with store.reading() as work:
        for account in ACCOUNTS:
            kept = work.ledger.balance(account.account_id)
            assert recompute_balance(store, account.account_id) == kept
    with pytest.raises(AccountUnknown):
        recompute_balance(store, "stranger")


ATTACKS = {
    "an amount": "UPDATE postings SET amount = 999 WHERE entry_id = 'opening'",
    "a balance": """UPDATE postings SET posted_credits = posted_credits + 1
        WHERE account_id = 'deposit:alice' AND version = 9""",
    "a pending balance": """UPDATE postings SET pending_debits = pending_debits + 1
        WHERE account_id = 'deposit:alice' AND version = 3""",
    "a side": "UPDATE postings SET side = 'credit' WHERE entry_id = 'opening' AND position = 0",
    "an account": """UPDATE postings SET account_id = 'fx-position:EUR', version = 1
        WHERE entry_id = 'posted' AND step = 1 AND position = 1""",
    "a time": "UPDATE postings SET at = 1 WHERE account_id = 'cash:EUR' AND entry_id = 'opening'",
    "a movement taken out": "DELETE FROM postings WHERE entry_id = 'open' AND position = 1",
    "an entry taken out": "DELETE FROM postings WHERE entry_id = 'opening'",
    "a void into a post": """UPDATE entry_resolutions SET resolution = 'posted'
        WHERE entry_id = 'voided'""",
    "a resolution taken out": "DELETE FROM entry_resolutions WHERE entry_id = 'posted'",
    "an end without movements": """INSERT INTO entry_resolutions
        VALUES ('open', 1, 'voided', 1, 1)""",
    "an end undone": "UPDATE entry_resolutions SET is_final = 0 WHERE entry_id = 'posted'",
    "an end before it is over": "UPDATE entry_resolutions SET is_final = 1 WHERE entry_id = 'parts'",
    "a pending entry into a posted one": "UPDATE entries SET pending = 0 WHERE entry_id = 'open'",
    "a linked entry out of step": "UPDATE entries SET link_id = 'pair' WHERE entry_id = 'voided'",
    "an entry of nothing": """INSERT INTO entries (entry_id, kind, description, pending, booked_at)
        VALUES ('nothing', 'test', 'nothing', 0, 1)""",
    "whose claim": "UPDATE accounts SET issuer = 'somebody' WHERE account_id = 'deposit:alice'",
}


@pytest.mark.parametrize("statement", ATTACKS.values(), ids=ATTACKS.keys())
def test_whoever_changes_a_row_behind_the_ledger_is_found(
    store: Store, tmp_path: Path, statement: str
) -> None:
    """LED-11."""
    tamper(tmp_path, statement)
    assert verify_books(store) != ()


def test_more_used_up_than_was_pending_is_found(store: Store, tmp_path: Path) -> None:
    """P9: even where every balance was made to fit."""
    tamper(
        tmp_path,
        "UPDATE postings SET amount = 60 WHERE entry_id = 'parts' AND step = 1",
        "UPDATE postings SET amount = 50 WHERE entry_id = 'parts' AND step = 2",
    )
    assert Finding("entry parts", "more was used up than was pending") in verify_books(store)


def test_a_verification_ends_after_so_many_findings(store: Store, tmp_path: Path) -> None:
    with store.unit_of_work() as work:
        work.ledger.book_many([transfer(str(n), CASH, DEPOSIT, 1) for n in range(FINDINGS_MAX)])
    tamper(tmp_path, "UPDATE postings SET posted_debits = 0, posted_credits = 0")
    assert len(verify_books(store)) == FINDINGS_MAX
