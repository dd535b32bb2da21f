"""A central bank whose days are those of a calendar, and what moves in them."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bridge import chart
from bridge.config import CalendarSettings
from bridge.rtgs import Transfer
from bridge.store import StatedAccount, StatementKind, StatementLine, StoredStatement
from support.offices import Office, transfer
from support.participants import BANK_A, BANK_B

BERLIN = ZoneInfo("Europe/Berlin")
TARGET = {"zone": "Europe/Berlin", "holidays": "target", "opens": "07:00", "cut_off": "18:00"}
LISTED = {"zone": "Europe/Berlin", "holidays": "singapore-example", "cut_off": "18:00"}
RESERVES_A = StatedAccount("reserves", BANK_A, "EUR")
TOKENS_A = StatedAccount("tokens", BANK_A, "EUR")
RTGS_A = chart.rtgs(BANK_A)


def second(text: str) -> int:
    """The UTC second of a local time in Berlin."""
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


def at(bank: Office, text: str) -> None:
    """Let it become a local time, and what is due be done."""
    bank.later(second(text) - bank.now)


def order(bank: Office, number: int, cents: int, debtor: str = BANK_A) -> Transfer:
    """A transfer that is entered now."""
    creditor = BANK_B if debtor == BANK_A else BANK_A
    entered = transfer(number, cents, debtor=debtor, creditor=creditor, at=bank.now)
    return replace(entered, business_day=bank.office.rtgs.days.day_of(bank.now))


def enter(bank: Office, entered: Transfer) -> Transfer:
    with bank.store.unit_of_work() as work:
        return bank.office.rtgs.enter(work, entered)


def found(bank: Office, entered: Transfer) -> Transfer:
    with bank.store.reading() as work:
        return work.rtgs.get(entered.ordered_by, entered.transfer_id)


def lines(bank: Office, account: StatedAccount = RESERVES_A) -> list[StatementLine]:
    with bank.store.reading() as work:
        return list(work.account_statements.lines(account, 1, 999))


def daily(bank: Office, account: StatedAccount = RESERVES_A) -> list[StoredStatement]:
    with bank.store.reading() as work:
        page = work.account_statements.page(account.lei, limit=200)
    return [
        each
        for each in reversed(page.items)
        if (each.account, each.kind) == (account, StatementKind.STATEMENT)
    ]


def settled_otherwise(bank: Office, calendar: dict[str, str] | None) -> Office:
    """The same central bank, started again with another calendar."""
    read = {} if calendar is None else {"EUR": CalendarSettings.model_validate(calendar)}
    institution = bank.books.institution
    settings = institution.settings.model_copy(update={"calendars": read})
    books = replace(bank.books, institution=replace(institution, settings=settings))
    return Office(books, bank.lei, bank.path, bank.now, bank.block)
