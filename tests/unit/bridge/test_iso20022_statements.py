"""Statements: balances that follow from entries, and pages of bounded size.

Cites docs/spec/messages.md: MSG-22, 23.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import Rejected, UnsendableMessage
from bridge.iso20022.codes import BalanceType, ChargeType, CreditDebit, EntryStatus
from bridge.iso20022.document import MESSAGE_BYTES_MAX, MESSAGE_ELEMENTS_MAX
from bridge.iso20022.format import format_intraday_report, format_message, format_statement
from bridge.iso20022.identifiers import Country
from bridge.iso20022.messages import Agent, Party, PostalAddress
from bridge.iso20022.messages_statements import (
    ENTRIES_MAX,
    Page,
    Statement,
    StatementBalance,
    StatementCharge,
    StatementEntry,
    paginate,
)
from bridge.iso20022.parse import parse_message, parse_statement
from bridge.money import AMOUNT_MAX, Amount
from support.messages import BANK_A, DAY, EUR, SGD
from support.statement_messages import entry, intraday_report, statement


def test_msg_22_a_statement_tells_balances_and_the_references_of_its_entries() -> None:
    data = format_statement(statement(entry(1, -50_000), entry(2, 700))).decode()
    assert ">1000.00</Amt>" in data
    assert ">507.00</Amt>" in data
    for tag in ("EndToEndId>E2E-1<", "AcctSvcrRef>ENTRY-1<", "ElctrncSeqNb>12<", "Cd>OPBD<"):
        assert tag in data


def test_msg_22_a_balance_below_zero_is_a_debit() -> None:
    balance = StatementBalance.of(BalanceType.CLBD, Amount(EUR, -5), DAY)
    assert (balance.amount, balance.direction) == (Amount(EUR, 5), CreditDebit.DBIT)
    assert balance.signed == Amount(EUR, -5)


WHOLE = statement(entry(1, -50_000), entry(2, 700))
OPENING, CLOSING = WHOLE.balances


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"balances": (OPENING, replace(CLOSING, amount=Amount(EUR, 50_701)))}, "50701 minor"),
        ({"balances": (OPENING, replace(CLOSING, direction=CreditDebit.DBIT))}, "-50700 minor"),
        ({"entries": WHOLE.entries[:1]}, "closing balance"),
        ({"balances": (CLOSING, OPENING)}, "first balance is OPBD"),
        ({"balances": (OPENING, OPENING)}, "last balance is CLBD"),
        ({"balances": (OPENING, CLOSING, CLOSING)}, "once each"),
        ({"balances": (OPENING,)}, "Bal"),
        ({"balances": (OPENING, replace(CLOSING, is_interim=True))}, "INTM"),
        ({"page": Page(2, is_last=True)}, "INTM"),
        ({"page": Page(1, is_last=False)}, "INTM"),
        ({"page": Page(0)}, "a number from 1"),
        ({"currency": SGD}, "SGD"),
        ({"entries": (entry(1, -50_000), entry(1, 700))}, "AcctSvcrRef"),
        ({"period_end": WHOLE.period_start - timedelta(seconds=1)}, "FrToDt"),
        ({"entries": (replace(WHOLE.entries[0], status=EntryStatus.PDNG),)}, "PDNG"),
    ],
)
def test_msg_22_a_page_that_does_not_add_up_is_refused(
    change: dict[str, object], words: str
) -> None:
    with pytest.raises(UnsendableMessage, match=words):
        format_statement(replace(WHOLE, **change))  # type: ignore[arg-type]


def test_msg_22_a_wrong_closing_balance_is_refused_on_the_way_in_by_its_own_name() -> None:
    text = format_statement(WHOLE).decode().replace(">507.00</Amt>", ">508.00</Amt>")
    with pytest.raises(Rejected) as caught:
        parse_message(text.encode())
    assert (caught.value.code, caught.value.reason) == ("wrong_balance", "AM10")


def test_msg_22_an_intraday_report_may_hold_what_is_pending_and_no_balance() -> None:
    pending = replace(entry(1, -50_000), status=EntryStatus.PDNG)
    report = replace(intraday_report(pending), balances=())
    assert parse_message(format_intraday_report(report)) == report


def test_msg_23_a_short_statement_is_one_page_as_it_is() -> None:
    assert paginate(WHOLE) == (WHOLE,)
    empty = statement()
    assert paginate(empty) == (empty,)


@settings(max_examples=20)
@given(st.lists(st.integers(-10_000, 10_000).filter(bool), max_size=3 * ENTRIES_MAX + 1))
def test_msg_23_the_pages_of_a_statement_are_a_chain_that_loses_nothing(
    amounts: list[int],
) -> None:
    whole = statement(*(entry(number, each) for number, each in enumerate(amounts)))
    pages = paginate(whole)
    assert [page.page.number for page in pages] == list(range(1, len(pages) + 1))
    assert tuple(each for page in pages for each in page.entries) == whole.entries
    assert pages[0].balances[0] == whole.balances[0]
    assert pages[-1].balances[-1] == whole.balances[-1]
    for before, after in pairwise(pages):
        assert before.balances[-1].signed == after.balances[0].signed
        assert before.message_id != after.message_id
    if len(pages) > 1:
        assert parse_statement(format_message(pages[0])) == pages[0]
        assert parse_statement(format_message(pages[-1])) == pages[-1]


def widest_entry(number: int) -> StatementEntry:
    """Return an entry with everything in it, at its longest once XML has escaped it."""
    address = PostalAddress(
        town="&" * 35,
        country=Country("DE"),
        street="&" * 70,
        building_number="&" * 16,
        post_box="&" * 16,
        post_code="&" * 16,
        country_subdivision="&" * 35,
        lines=("&" * 70, "&" * 70),
    )
    party = Party(name="&" * 140, address=address, lei=BANK_A.lei)
    agent = Agent(bic=BANK_A.bic, lei=BANK_A.lei)
    reference = f"{number:0>35}"
    return replace(
        entry(number, AMOUNT_MAX // 1000),
        account_servicer_reference=reference,
        entry_reference=reference,
        original_message_id=reference,
        payment_information_id=reference,
        instruction_id=reference,
        end_to_end_id=reference,
        transaction_id=reference,
        charges=(StatementCharge(Amount(EUR, AMOUNT_MAX), ChargeType.COMM, agent),) * 8,
        debtor=party,
        creditor=party,
        remittance_information="&" * 140,
        additional_information="&" * 500,
    )


def test_msg_23_the_widest_page_is_smaller_than_the_largest_message() -> None:
    page: Statement = statement(*(widest_entry(number) for number in range(ENTRIES_MAX)))
    data = format_statement(page)
    assert len(data) < MESSAGE_BYTES_MAX
    assert data.count(b"</") < MESSAGE_ELEMENTS_MAX
