"""The central bank's statements: made from its books, delivered, kept by the owner, never changed.

Cites docs/spec/central-bank.md: STM-1 to STM-4.
"""

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.errors import EnvelopeInvalid, Rejected, StatementUnknown
from bridge.interbank import Kind
from bridge.iso20022.parse import parse_statement
from bridge.money import Amount
from bridge.store import StatedAccount, StatementKind, StoredStatement
from support.bridge_api import CENTRAL_BANK
from support.offices import Office, transfer
from support.participants import BANK_A, BANK_B
from support.token_books import EUR
from support.wholesale_street import Street

DAY = 86_400
RESERVES_A = StatedAccount("reserves", BANK_A, "EUR")
TOKENS_A = StatedAccount("tokens", BANK_A, "EUR")


@pytest.fixture
def street(tmp_path: Path) -> Street:
    made = Street(tmp_path / "issuer", tmp_path / "bank")
    made.funds(40_000)
    return made


def statements(office: Office, account: StatedAccount) -> list[StoredStatement]:
    """The statements of an account, oldest first."""
    with office.store.reading() as work:
        page = work.account_statements.page(account.lei, limit=200)
    return [each for each in reversed(page.items) if each.account == account]


def daily(office: Office, account: StatedAccount) -> list[StoredStatement]:
    kind = StatementKind.STATEMENT
    return [each for each in statements(office, account) if each.kind is kind]


def test_stm_1_every_movement_has_a_line_with_the_balance_after_it(street: Street) -> None:
    street.issuer.later(10)
    with street.issuer.store.reading() as work:
        lines = list(work.account_statements.lines(RESERVES_A, 1, 99))
        tokens = list(work.account_statements.lines(TOKENS_A, 1, 99))
    assert [(line.number, line.kind, line.amount, line.balance) for line in lines] == [
        (1, "opening", 100_000, 100_000),
        (2, "issuance", -40_000, 60_000),
    ]
    assert [(line.number, line.kind, line.amount, line.balance) for line in tokens] == [
        (1, "issue", 40_000, 40_000)
    ]


def test_stm_1_what_is_pending_has_a_line_when_it_is_posted(tmp_path: Path) -> None:
    street = Street(tmp_path / "issuer", tmp_path / "bank")
    with street.issuer.store.unit_of_work() as work:
        street.issuer.office.rtgs.enter(work, transfer(1, 150_000))
    street.issuer.later(10)
    street.issuer.done("grant_credit", BANK_A, {"amount": "500.00"})
    street.issuer.later(10)
    with street.issuer.store.reading() as work:
        lines = list(work.account_statements.lines(RESERVES_A, 1, 99))
    assert [line.balance for line in lines] == [100_000, 150_000, 0]


def test_stm_1_lines_and_statements_never_change(street: Street) -> None:
    street.issuer.later(10)
    with closing(sqlite3.connect(street.issuer.path)) as raw:
        for attack in (
            "UPDATE statement_lines SET amount = 1",
            "DELETE FROM statement_lines",
            "UPDATE statements SET closing = 1",
            "DELETE FROM statements",
            "UPDATE token_flows SET amount = 1",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="immutable"):
                raw.execute(attack)


def test_stm_2_each_day_has_a_statement_that_goes_on_from_the_one_before(street: Street) -> None:
    street.issuer.later(DAY)
    with street.issuer.store.unit_of_work() as work:
        order = transfer(1, 25_000, at=street.issuer.now)
        street.issuer.office.rtgs.enter(work, order)
    street.issuer.later(DAY)
    street.issuer.later(DAY)
    made = daily(street.issuer, RESERVES_A)
    assert [(each.number, each.opening, each.closing) for each in made] == [
        (1, 0, 60_000),
        (2, 60_000, 35_000),
        (3, 35_000, 35_000),
    ]
    assert [each.last_line - each.first_line + 1 for each in made] == [2, 1, 0]
    for earlier, later in itertools.pairwise(made):
        assert later.period_start == earlier.period_end + 1
        assert later.first_line == earlier.last_line + 1
    other = daily(street.issuer, StatedAccount("reserves", BANK_B, "EUR"))
    assert [each.closing for each in other] == [100_000, 125_000, 125_000]


def test_stm_2_statements_of_two_currencies_have_names_of_their_own(street: Street) -> None:
    street.issuer.later(DAY)
    names = [each.statement_id for each in statements(street.issuer, RESERVES_A)]
    assert names == [f"DREUR{BANK_A}1"]
    (tokens,) = daily(street.issuer, TOKENS_A)
    assert tokens.statement_id == f"DTEUR{BANK_A}1"


def test_stm_2_within_the_day_what_is_new_is_reported_once(street: Street) -> None:
    street.issuer.later(10)
    street.issuer.later(10)
    made = statements(street.issuer, RESERVES_A)
    assert [(each.kind, each.last_line) for each in made] == [(StatementKind.INTRADAY, 2)]


def test_stm_2_what_happens_after_midnight_is_not_of_the_day_before(street: Street) -> None:
    street.issuer.now += DAY
    with street.issuer.store.unit_of_work() as work:
        street.issuer.office.rtgs.enter(work, transfer(1, 25_000, at=street.issuer.now))
    assert [each.closing for each in daily(street.issuer, RESERVES_A)] == [60_000]


def test_stm_3_a_statement_reaches_its_owner_whatever_its_length(street: Street) -> None:
    with street.issuer.store.unit_of_work() as work:
        for number in range(75):
            incoming = transfer(number, 100, debtor=BANK_B, creditor=BANK_A)
            street.issuer.office.rtgs.enter(work, incoming)
    street.issuer.later(DAY)
    street.post()
    with street.issuer.store.reading() as work:
        sent = list(work.account_statements.lines(RESERVES_A, 1, 999))
    with street.bank.store.reading() as work:
        kept = list(work.account_statements.lines(RESERVES_A, 1, 999))
    assert [(line.number, line.key, line.amount, line.balance) for line in kept] == [
        (line.number, line.key, line.amount, line.balance) for line in sent
    ]
    assert len(daily(street.bank, RESERVES_A)) == 3


def test_stm_3_a_page_is_a_camt_053_with_the_references_of_its_transfers(street: Street) -> None:
    with street.issuer.store.unit_of_work() as work:
        street.issuer.office.rtgs.enter(work, transfer(7, 100))
    street.issuer.later(DAY)
    street.issuer.do_effects()
    documents = [
        parse_statement(body["document"].encode())
        for to, kind, body, _ in street.issuer.posted()
        if (to, kind) == (BANK_A, Kind.STATEMENT)
    ]
    (page,) = [each for each in documents if each.account.other == f"rtgs:{BANK_A}"]
    assert page.servicer.lei == CENTRAL_BANK
    assert page.balances[-1].signed == Amount(EUR, 59_900)
    entry = page.entries[-1]
    assert (entry.end_to_end_id, entry.uetr) == ("E2E-7", transfer(7, 100).transfer_id)


def test_stm_3_asked_for_again_it_is_sent_again_and_kept_once(street: Street) -> None:
    street.issuer.later(DAY)
    street.post()
    before = statements(street.bank, RESERVES_A)
    desks = street.issuer.office.desks()
    assert desks is not None
    (made,) = daily(street.issuer, RESERVES_A)
    with street.issuer.store.unit_of_work() as work:
        desks.statements.resend(work, made.statement_id, street.issuer.now)
    assert street.issuer.do_effects() == ["send_statement"]
    ((to, kind, body, message_id),) = street.issuer.posted()
    assert (to, kind) == (BANK_A, Kind.STATEMENT)
    assert street.bank.takes(CENTRAL_BANK, kind, body, message_id)
    assert statements(street.bank, RESERVES_A) == before
    with street.issuer.store.unit_of_work() as work, pytest.raises(StatementUnknown):
        desks.statements.resend(work, "none", street.issuer.now)


def page_of(street: Street) -> dict[str, str]:
    """The body of bank A's first statement of its reserves."""
    street.issuer.later(DAY)
    street.issuer.do_effects()
    return next(
        body
        for to, kind, body, _ in street.issuer.posted()
        if (to, kind) == (BANK_A, Kind.STATEMENT) and "rtgs:" in body["document"]
    )


def test_stm_4_what_is_not_the_issuers_or_not_about_the_own_account_is_refused(
    street: Street,
) -> None:
    body = page_of(street)
    with pytest.raises(EnvelopeInvalid):
        street.bank.takes(BANK_B, Kind.STATEMENT, body, "m-1")
    other = {**body, "document": body["document"].replace(f"rtgs:{BANK_A}", f"rtgs:{BANK_B}")}
    with pytest.raises(EnvelopeInvalid):
        street.bank.takes(CENTRAL_BANK, Kind.STATEMENT, other, "m-2")
    for field, value in (("block", "x"), ("document", "<x/>")):
        with pytest.raises(Rejected):
            street.bank.takes(CENTRAL_BANK, Kind.STATEMENT, {**body, field: value}, f"m-{field}")


def test_stm_4_a_page_that_does_not_add_up_is_refused(street: Street) -> None:
    body = page_of(street)
    wrong = {**body, "document": body["document"].replace("600.00", "600.01")}
    with pytest.raises(Rejected):
        street.bank.takes(CENTRAL_BANK, Kind.STATEMENT, wrong, "m-1")
    assert statements(street.bank, RESERVES_A) == []


def test_stm_4_a_line_that_was_stated_otherwise_before_is_refused(street: Street) -> None:
    body = page_of(street)
    assert street.bank.takes(CENTRAL_BANK, Kind.STATEMENT, body, "m-1")
    document = body["document"].replace("400.00", "399.00").replace("600.00", "601.00")
    document = document.replace("1400.00", "1399.00")
    with pytest.raises(Rejected):
        street.bank.takes(CENTRAL_BANK, Kind.STATEMENT, {**body, "document": document}, "m-2")
    with street.bank.store.reading() as work:
        assert [line.amount for line in work.account_statements.lines(RESERVES_A, 1, 9)] == [
            100_000,
            -40_000,
        ]
