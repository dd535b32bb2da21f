"""Three-way reconciliation: each class of break, injected, is found by the next block or step.

Cites docs/spec/reconciliation.md: REC-1 to REC-13.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import chart
from bridge.breaks import BreakState, agree
from bridge.centralbank.funding import fund, redeem
from bridge.centralbank.transferring import TransferOrder, order_transfer
from bridge.errors import (
    BreakEnded,
    BreakUnknown,
    DecisionInvalid,
    EnvelopeInvalid,
    OrdersStopped,
    OwnProposal,
)
from bridge.interbank import Kind
from bridge.money import Amount, Currency
from bridge.operating import Wish
from bridge.reconciliation import Reconciler
from bridge.rtgs import Priority
from bridge.store import StatedAccount, StatementKind, StatementLine, StoredStatement
from bridge.store.reconciliation_items import Comparand
from support.offices import OLGA, Office, book_by_hand, minted, moved, transfer
from support.participants import BANK_A, BANK_B
from support.token_books import A_ADDRESS, B_ADDRESS, EUR
from support.wholesale_street import Street

TOKENS, RESERVES, EQUITY = chart.tokens(EUR), chart.reserves(EUR), chart.equity(EUR)
OUTSTANDING, LENDING = chart.tokens_outstanding(EUR), chart.lending(EUR)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    """Both have compared once and agree; bank A holds 400.00 of tokens."""
    made = Street(tmp_path / "issuer", tmp_path / "bank")
    made.funded = made.funds(40_000)
    made.later()
    made.later()
    assert (made.bank.open_breaks(), made.issuer.open_breaks()) == ({}, {})
    return made


def stated(bank: Office, scope: str, lines: list[tuple[str, int]]) -> None:
    """A statement that the central bank made of other lines than it should."""
    account = StatedAccount(scope, BANK_A, "EUR")
    with bank.store.unit_of_work() as work:
        last = work.account_statements.last_line(account)
        number, balance = (0, 0) if last is None else (last.number, last.balance)
        opening, made = balance, []
        for key, amount in lines:
            number, balance = number + 1, balance + amount
            made.append(StatementLine(number, "payment", key, amount, balance, bank.now))
        work.account_statements.add_lines(account, made)
        work.account_statements.add(
            StoredStatement(
                statement_id=f"forged-{scope}-{bank.now}",
                kind=StatementKind.STATEMENT,
                account=account,
                number=1 + bank.now,
                first_line=number - len(made) + 1,
                last_line=number,
                opening=opening,
                closing=balance,
                period_start=bank.now,
                period_end=bank.now,
                block=bank.block,
            )
        )


def left(office: Office, scope: str) -> int:
    with office.store.reading() as work:
        return len(list(work.reconciliation_items.open(Comparand(scope, "EUR"))))


def test_rec_1_what_is_properly_done_agrees_on_every_side(street: Street) -> None:
    street.redeems(10_000)
    order = TransferOrder(BANK_B, Amount(EUR, 5_000), Priority.URGENT, "RENT")
    order_transfer(street.bank.institution, order, "k")
    with street.issuer.store.unit_of_work() as work:
        incoming = transfer(2, 7_000, debtor=BANK_B, creditor=BANK_A, at=street.issuer.now)
        street.issuer.office.rtgs.enter(work, incoming)
    street.issuer.done("grant_credit", BANK_A, {"amount": "1.00"})
    street.post()
    street.later()
    street.later()
    assert (street.bank.open_breaks(), street.issuer.open_breaks()) == ({}, {})
    assert street.bank.ledger(RESERVES) == 100_000 - 40_000 + 10_000 - 5_000 + 7_000 + 100
    assert [left(street.bank, scope) for scope in ("tokens", "reserves")] == [0, 0]
    assert left(street.issuer, "supply") == 0


def test_rec_2_a_total_that_differs_is_found_at_the_next_block(street: Street) -> None:
    street.bank.books.chain.balances[A_ADDRESS] -= 1_000
    street.bank.sees(moved(A_ADDRESS, B_ADDRESS, 1_000))
    (found,) = street.bank.open_breaks().values()
    assert (found.subject, found.amount, found.block) == (
        "total",
        Amount(EUR, 1_000),
        street.bank.block,
    )


def test_rec_3_tokens_moved_behind_the_back_are_missing_in_the_ledger(street: Street) -> None:
    street.bank.books.chain.balances[A_ADDRESS] -= 1_000
    street.bank.sees(moved(A_ADDRESS, B_ADDRESS, 1_000))
    street.bank.later(10)
    found = street.bank.open_breaks()
    assert found.keys() == {"tokens total_differs total", "tokens missing_in_ledger"}
    assert found["tokens missing_in_ledger"].amount == Amount(EUR, -1_000)


def test_rec_3_a_mint_that_nobody_ordered_is_found_by_both(street: Street) -> None:
    street.move_supply(2_000)
    for office, scope in ((street.issuer, "supply"), (street.bank, "tokens")):
        office.sees(*minted(b"\x66" * 32, 2_000))
        office.later(10)
        assert office.open_breaks().keys() == {
            f"{scope} total_differs total",
            f"{scope} missing_in_ledger",
        }


def test_rec_3_an_entry_booked_by_hand_is_missing_on_the_chain(street: Street) -> None:
    book_by_hand(street.bank, TOKENS, EQUITY, 300, "by-hand")
    street.bank.sees()
    assert street.bank.open_breaks().keys() == {"tokens total_differs total"}
    street.bank.later(10)
    assert "tokens missing_on_chain" in street.bank.open_breaks()
    book_by_hand(street.issuer, LENDING, OUTSTANDING, 300, "by-hand")
    street.issuer.sees()
    assert street.issuer.open_breaks().keys() == {"supply total_differs total"}
    street.issuer.later(70)
    assert "supply missing_on_chain" in street.issuer.open_breaks()


def test_rec_3_an_entry_by_hand_on_the_reserves_is_missing_in_the_statement(
    street: Street,
) -> None:
    book_by_hand(street.bank, RESERVES, EQUITY, 300, "by-hand")
    street.bank.later(70)
    assert street.bank.open_breaks() == {}
    stated(street.bank, "reserves", [])
    street.bank.later(10)
    assert street.bank.open_breaks().keys() == {"reserves missing_in_statement"}


def test_rec_4_a_lost_event_is_found_at_the_next_block(street: Street) -> None:
    street.bank.books.chain.balances[A_ADDRESS] += 700
    street.bank.sees(moved(B_ADDRESS, A_ADDRESS, 700), is_lost=True)
    assert street.bank.open_breaks().keys() == {
        "tokens total_differs total",
        "tokens total_differs events",
    }


def test_rec_5_what_a_statement_should_hold_by_now_is_missing_in_it(street: Street) -> None:
    street.move_supply(500)
    order = fund(street.bank.institution, Amount(EUR, 500), "second")
    street.bank.sees(*minted(order.reference, 500))
    street.bank.later(10)
    assert street.bank.open_breaks() == {}
    stated(street.bank, "tokens", [])
    street.bank.later(10)
    assert street.bank.open_breaks().keys() == {"tokens missing_in_statement"}
    stated(street.bank, "tokens", [(order.reference.hex()[:32], 500)])
    street.bank.later(10)
    assert street.bank.open_breaks() == {}


def test_rec_5_a_statement_that_comes_while_items_are_compared_makes_nothing_late(
    street: Street,
) -> None:
    """Its lines have not been read yet, so that it does not count either."""
    street.move_supply(500)
    order = fund(street.bank.institution, Amount(EUR, 500), "second")
    street.bank.sees(*minted(order.reference, 500))

    class Interrupted(Reconciler):
        """To whom a statement comes when it has just read the tokens for the first time."""

        has_come = False

        def _read(self, comparand: Comparand, currency: Currency) -> bool:
            is_full = super()._read(comparand, currency)
            if comparand.scope == "tokens" and not self.has_come:
                self.has_come = True
                stated(street.bank, "tokens", [(order.reference.hex()[:32], 500)])
            return is_full

    reconciler = Interrupted(street.bank.institution)
    reconciler.check_items()
    assert (reconciler.has_come, street.bank.open_breaks()) == (True, {})
    reconciler.check_items()
    assert (left(street.bank, "tokens"), street.bank.open_breaks()) == (0, {})


def test_rec_5_what_only_a_statement_holds_is_missing_in_the_ledger_once_it_is_late(
    street: Street,
) -> None:
    stated(street.bank, "tokens", [("ab" * 16, 500)])
    stated(street.bank, "reserves", [("cd" * 16, -500)])
    street.bank.later(10)
    assert street.bank.open_breaks() == {}
    street.bank.later(60)
    assert street.bank.open_breaks().keys() == {
        "tokens missing_in_ledger",
        "reserves missing_in_ledger",
    }


def test_rec_5_a_line_that_is_still_on_its_way_makes_nothing_late_for_a_while(
    street: Street,
) -> None:
    account = StatedAccount("reserves", BANK_A, "EUR")
    with street.bank.store.unit_of_work() as work:
        last = work.account_statements.last_line(account)
        assert last is not None
        gap = replace(last, number=last.number + 2, balance=1, amount=1, at=street.bank.now)
        work.account_statements.add_lines(account, [gap])
    stated(street.bank, "reserves", [])
    street.bank.later(60)
    assert street.bank.open_breaks() == {}
    street.bank.later(10)
    assert "reserves total_differs stated" in street.bank.open_breaks()


@pytest.mark.parametrize("way", ["issues", "redeems"])
def test_rec_5_a_day_that_a_block_ends_states_nothing_of_that_block(
    street: Street, way: str
) -> None:
    """STM-2: what moves in it is of the next day, and not missing in the statement of this one."""
    midnight = (street.issuer.now // 86_400 + 1) * 86_400
    street.issuer.now = street.bank.now = midnight + 1
    (street.funds if way == "issues" else street.redeems)(500, "second")
    street.post()
    street.bank.later(10)
    with street.bank.store.reading() as work:
        closed = work.account_statements.newest(StatedAccount("tokens", BANK_A, "EUR"))
    assert closed is not None
    assert (closed.period_end, closed.block) == (midnight - 1, street.issuer.block - 1)
    assert street.bank.open_breaks() == {}
    street.later()
    assert (left(street.bank, "tokens"), street.bank.open_breaks()) == (0, {})


def test_rec_6_a_statement_of_another_amount_differs_and_one_said_twice_is_a_duplicate(
    street: Street,
) -> None:
    order = fund(street.bank.institution, Amount(EUR, 500), "second")
    street.move_supply(500)
    street.bank.sees(*minted(order.reference, 500))
    stated(street.bank, "tokens", [(order.reference.hex()[:32], 499)])
    street.bank.later(70)
    found = street.bank.open_breaks()
    assert found.keys() == {"tokens amount_differs"}
    assert found["tokens amount_differs"].amount == Amount(EUR, 1)
    first = street.funded.hex()[:32]
    stated(street.bank, "tokens", [(first, 40_000)])
    street.bank.later(70)
    assert "tokens duplicate" in street.bank.open_breaks()


def test_rec_7_what_is_still_on_its_way_is_no_break(street: Street) -> None:
    order = fund(street.bank.institution, Amount(EUR, 500), "second")
    stated(street.bank, "reserves", [(order.reference.hex()[:32], -500)])
    street.later(400)
    assert street.bank.open_breaks() == {}
    with street.issuer.store.reading() as work:
        assert work.issuances.on_their_way(EUR) == 0


def test_rec_8_a_break_is_opened_once_and_closes_by_itself_when_the_figures_agree(
    street: Street,
) -> None:
    book_by_hand(street.bank, TOKENS, EQUITY, 300, "by-hand")
    for _ in range(3):
        street.bank.later(10)
    assert len(street.bank.open_breaks()) == 2
    first = street.bank.open_breaks()["tokens total_differs total"]
    assert first.age_seconds(street.bank.now) == 20
    book_by_hand(street.bank, EQUITY, TOKENS, 300, "put-right")
    street.bank.later(10)
    assert street.bank.open_breaks() == {}
    with street.bank.store.reading() as work:
        ended = work.breaks.get(first.break_id)
    assert (ended.state, ended.closed_at) == (BreakState.AGREED, street.bank.now)
    book_by_hand(street.bank, TOKENS, EQUITY, 300, "by-hand-again")
    street.bank.later(10)
    again = street.bank.open_breaks()["tokens total_differs total"]
    assert again.break_id != first.break_id


def test_rec_9_a_break_is_closed_by_two_operators_with_an_explanation(street: Street) -> None:
    book_by_hand(street.bank, RESERVES, EQUITY, 300, "by-hand")
    street.bank.later(70)
    stated(street.bank, "reserves", [])
    street.bank.later(10)
    (found,) = street.bank.open_breaks().values()
    document = {"explanation": "coins found behind the safe", "entry_id": "by-hand"}
    for wrong in ({}, {"explanation": " "}, {**document, "entry_id": "none"}, {"colour": "red"}):
        with pytest.raises(DecisionInvalid):
            street.bank.done("resolve_break", found.break_id, wrong)
    wish = Wish("resolve_break", found.break_id, document, "n")
    proposal = street.bank.four_eyes.propose(OLGA, wish, "k")
    with pytest.raises(OwnProposal):
        street.bank.four_eyes.approve(OLGA, proposal.proposal_id)
    street.bank.done("resolve_break", found.break_id, document)
    for _ in range(2):
        street.bank.later(10)
    assert street.bank.open_breaks() == {}
    with street.bank.store.reading() as work:
        ended = work.breaks.get(found.break_id)
    assert (ended.state, ended.explanation, ended.entry_id) == (
        BreakState.RESOLVED,
        document["explanation"],
        "by-hand",
    )
    with pytest.raises(BreakUnknown):
        street.bank.done("resolve_break", found.break_id, document, key="again")


def test_rec_9_an_explained_difference_explains_no_other(street: Street) -> None:
    street.bank.books.chain.balances[A_ADDRESS] += 1
    street.bank.sees(is_lost=True)
    for name, found in street.bank.open_breaks().items():
        street.bank.done("resolve_break", found.break_id, {"explanation": name})
    street.bank.sees()
    assert street.bank.open_breaks() == {}
    street.bank.books.chain.balances[A_ADDRESS] += 1
    street.bank.sees(is_lost=True)
    assert len(street.bank.open_breaks()) == 2


def test_rec_10_a_banks_break_stops_its_own_orders_and_is_reported(street: Street) -> None:
    book_by_hand(street.bank, TOKENS, EQUITY, 300, "by-hand")
    street.bank.sees()
    for order in (fund, redeem):
        with pytest.raises(OrdersStopped):
            order(street.bank.institution, Amount(EUR, 1), "new")
    street.post()
    with street.issuer.store.reading() as work:
        (report,) = work.breaks.reported(BANK_A)
        assert work.breaks.first_open(EUR) is None
    assert (report.scope, report.amount) == ("tokens", Amount(EUR, 300))
    book_by_hand(street.bank, EQUITY, TOKENS, 300, "put-right")
    street.bank.later(10)
    street.post()
    with street.issuer.store.reading() as work:
        assert work.breaks.reported(BANK_A) == ()
    assert fund(street.bank.institution, Amount(EUR, 1), "new").amount == Amount(EUR, 1)


def test_rec_10_an_order_known_before_is_still_answered(street: Street) -> None:
    known = fund(street.bank.institution, Amount(EUR, 1), "before")
    street.bank.books.chain.balances[A_ADDRESS] += 1
    street.bank.sees()
    assert fund(street.bank.institution, Amount(EUR, 1), "before") == known


def test_rec_10_a_report_that_is_none_is_refused(street: Street) -> None:
    with pytest.raises(EnvelopeInvalid):
        street.issuer.takes(BANK_A, Kind.BREAK_REPORT, {"break_id": "b"}, "m-1")


def test_rec_11_books_altered_behind_the_ledger_are_found(street: Street) -> None:
    with closing(sqlite3.connect(street.bank.path)) as raw:
        (trigger,) = raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'postings' "
            "AND name LIKE '%update%'"
        ).fetchone()
        raw.execute(f"DROP TRIGGER {trigger}")
        raw.execute(
            "UPDATE postings SET posted_debits = posted_debits + 5 WHERE account_id = ?",
            (RESERVES,),
        )
        raw.commit()
    street.bank.later(10)
    assert street.bank.open_breaks().keys() == {"reserves total_differs stated"}


def test_rec_12_breaks_are_never_ended_twice(street: Street) -> None:
    book_by_hand(street.bank, TOKENS, EQUITY, 300, "by-hand")
    street.bank.sees()
    (found,) = street.bank.open_breaks().values()
    street.bank.done("resolve_break", found.break_id, {"explanation": "known"})
    with street.bank.store.unit_of_work() as work, pytest.raises(BreakUnknown):
        work.breaks.save(replace(found, owner="olga"))
    with street.bank.store.reading() as work:
        ended = work.breaks.get(found.break_id)
    with pytest.raises(BreakEnded):
        agree(ended, street.bank.now)
