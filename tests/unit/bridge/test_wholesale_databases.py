"""A day of the central bank and a bank, on SQLite and on PostgreSQL alike.

Cites docs/spec/reconciliation.md: REC-1, 8, 9; docs/spec/central-bank.md: RTGS-6, 7, STM-2.
"""

from bridge import chart
from bridge.centralbank.transferring import TransferOrder, order_transfer
from bridge.money import Amount
from bridge.rtgs import Priority
from bridge.store import StatedAccount, StatementKind
from support.databases import Databases
from support.offices import book_by_hand, transfer
from support.participants import BANK_A, BANK_B
from support.token_books import EUR
from support.wholesale_street import Street

DAY = 86_400
RESERVES = chart.reserves(EUR)


def test_a_day_agrees_and_a_break_is_found_and_closed(databases: Databases) -> None:
    street = Street(databases.place("issuer"), databases.place("bank"))
    street.funds(40_000)
    street.redeems(10_000)
    order = TransferOrder(BANK_B, Amount(EUR, 5_000), Priority.URGENT, "RENT")
    order_transfer(street.bank.institution, order, "k")
    street.post()
    street.issuer.done("set_rtgs_terms", BANK_B, {"credit_line": "2000.00"})
    with street.issuer.store.unit_of_work() as work:
        back = transfer(2, 150_000, debtor=BANK_B, creditor=BANK_A)
        street.issuer.office.rtgs.enter(work, back)
        waiting = transfer(3, 900_000, debtor=BANK_B, creditor=BANK_A)
        street.issuer.office.rtgs.enter(work, waiting)
    street.later()
    street.later(DAY)
    street.later()
    assert street.bank.ledger(RESERVES) == 100_000 - 40_000 + 10_000 - 5_000 + 150_000
    assert street.issuer.ledger(chart.rtgs(BANK_B)) == 0
    with street.bank.store.reading() as work:
        account = StatedAccount("reserves", BANK_A, "EUR")
        newest = work.account_statements.newest(account, StatementKind.STATEMENT)
        assert newest is not None
        assert (newest.number, newest.closing) == (1, 215_000)
    assert (street.bank.open_breaks(), street.issuer.open_breaks()) == ({}, {})
    book_by_hand(street.bank, chart.tokens(EUR), chart.equity(EUR), 7, "by-hand")
    street.bank.later(10)
    for name, found in street.bank.open_breaks().items():
        street.bank.done("resolve_break", found.break_id, {"explanation": name})
    street.later()
    street.later()
    assert street.bank.open_breaks() == {}
    for office in (street.bank, street.issuer):
        office.store.close()
